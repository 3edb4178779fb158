"""From what a data set's module read to data dirs on disk, with a summary that says what was made."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError
from sedkit.core.files import aside_of, read_json, remove, replace_folder, same_place, sha256_file, sweep, write_json
from sedkit.core.log import log
from sedkit.core.stamp import Step
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import EXCERPTS, FACTS, SUMMARY, TABLES, Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.excerpts import lay_excerpts

_TABLES = (*TABLES, EXCERPTS, "missing.tsv")


@dataclass(frozen=True)
class Prepared:
    """What one data dir will hold; `listed` counts the list's clips, on disk or not.

    `release` as `SetOnDisk` has it, `excerpts_s` as `SetLayout`.
    """

    name: str
    role: str
    clips: Clips
    labels: Vocabulary
    weak: Tags | None
    strong: Events | None
    missing: tuple[str, ...]
    listed: int
    release: str | None = None
    excerpts_s: tuple[float, float] | None = None


def check_same_root(out: Path, root: Path, step: Step) -> None:
    """Stop where `out` holds data dirs made from another data root: of other content, and not moved with it."""
    if step.force or not (out / SUMMARY).is_file():
        return
    summary = read_json(out / SUMMARY)
    if not same_place(root, out, summary.get("root"), summary.get("place")) and not step.inputs_hold():
        raise SedkitError(
            f"{out}: was prepared from {summary.get('root')}, now {root.resolve()} is asked for; name another folder, "
            "or --force true"
        )


def tables_of(out: Path) -> dict[str, Path]:
    """Return every table of the data dirs in `out`, as the summary names them.

    A SedkitError tells that the recordings are not where a table says: then it is of no use, however whole.
    """
    tables: dict[str, Path] = {}
    for name, row in read_json(out / SUMMARY)["sets"].items():
        if not DataDir(out / name).reachable():
            raise SedkitError(f"{out / name}: its recordings were moved")
        tables |= {f"{name}/{table}": out / name / table for table in row["tables"]}
    return tables


def _hashes(folder: Path) -> dict[str, str]:
    return {name: sha256_file(folder / name) for name in _TABLES if (folder / name).is_file()}


def write_sets(
    out: str | os.PathLike[str], dataset: str, root: str | os.PathLike[str], sets: Sequence[Prepared]
) -> None:
    """Write the data dirs into `out`, take away those of an earlier call that are no more, and write the summary.

    A data dir whose tables come out as they were is left alone, with whatever features lie in it.
    """
    target = Path(out)
    before = set(read_json(target / SUMMARY)["sets"]) if (target / SUMMARY).is_file() else set()
    (target / SUMMARY).unlink(missing_ok=True)
    place = target.resolve()
    summary: dict[str, Any] = {"dataset": dataset, "root": str(Path(root).resolve()), "place": str(place), "sets": {}}
    for s in sets:
        if not len(s.clips):
            log.warning("%s: none of its %d clips is on disk; no data dir", s.name, s.listed)
            continue
        facts = {"dataset": dataset, "set": s.name, "role": s.role}
        _replace_if_other(place / s.name, s, facts)
        summary["sets"][s.name] = {
            "clips": len(s.clips),
            "listed": s.listed,
            "missing": len(s.missing),
            "hours": round(float(s.clips.duration_s.sum()) / 3600, 4),
            "events": s.strong.n_events if s.strong is not None else None,
            "fold": dict(Counter(s.clips.fold)) if s.clips.fold is not None else None,
            "role": s.role,
            "reference": s.release,
            "tables": sorted([*_hashes(target / s.name), FACTS]),
        }
    for name in sorted(before - set(summary["sets"])):
        if (target / name / "clips.tsv").is_file():
            log.info("%s: no longer in %s, removed", target / name, root)
            shutil.rmtree(target / name)
    write_json(target / SUMMARY, summary)


def _replace_if_other(folder: Path, s: Prepared, facts: dict[str, str]) -> None:
    # As seen from the data dir, so that it can be moved together with the data set.
    clips = replace(s.clips, audio=tuple(os.path.relpath(path, folder) for path in s.clips.audio))
    sweep(folder.parent)
    aside = aside_of(folder)
    try:
        excerpts = lay_excerpts(clips.filename, clips.duration_s, *s.excerpts_s) if s.excerpts_s else None
        write_datadir(aside, clips, s.labels, s.weak, s.strong, s.missing, facts, excerpts)
        if not folder.is_dir() or _hashes(folder) != _hashes(aside):
            replace_folder(aside, folder)
        elif not (folder / FACTS).is_file() or sha256_file(folder / FACTS) != sha256_file(aside / FACTS):
            write_json(folder / FACTS, facts)
    finally:
        remove(aside)
