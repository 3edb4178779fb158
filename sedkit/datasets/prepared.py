"""From what a data set's module read to data dirs on disk, with a summary that says what was made."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError
from sedkit.core.files import content_hash, read_json, sha256_file, write_json
from sedkit.core.log import log
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Events, Tags

#: Written last into the folder of the data dirs.
SUMMARY = "prepare.json"
_TABLES = ("clips.tsv", "labels.txt", "weak.tsv", "strong.tsv", "missing.tsv")


@dataclass(frozen=True)
class Prepared:
    """What one data dir will hold; `listed` counts the clips of the official list, on disk or not."""

    name: str
    clips: Clips
    labels: Vocabulary
    weak: Tags | None
    strong: Events | None
    missing: tuple[str, ...]
    listed: int


def coverage_line(name: str, on_disk: int, in_list: int) -> str:
    """``weak: 99/100 clips``."""
    return f"{name}: {on_disk}/{in_list} clips"


def check_same_root(out: str | os.PathLike[str], root: str | os.PathLike[str], force: bool) -> None:
    """Stop where `out` holds data dirs made from another data root (unless `force`)."""
    path = Path(out) / SUMMARY
    if path.is_file() and not force:
        before = read_json(path).get("root")
        now = str(Path(root).resolve())
        if before != now:
            raise SedkitError(
                f"{out}: was prepared from {before}, now {now} is asked for; name another folder, or --force true"
            )


def tables_hash(folder: Path) -> str:
    """Hash over the tables of a data dir (features beside them do not count)."""
    return content_hash({name: sha256_file(folder / name) for name in _TABLES if (folder / name).is_file()})


def intact(out: Path) -> bool:
    """Whether every data dir that the summary names is there as it was written."""
    if not (out / SUMMARY).is_file():
        return False
    sets = read_json(out / SUMMARY)["sets"]
    return all((out / name).is_dir() and tables_hash(out / name) == row["tables"] for name, row in sets.items())


def write_sets(
    out: str | os.PathLike[str], dataset: str, root: str | os.PathLike[str], sets: Sequence[Prepared]
) -> None:
    """Write the data dirs into `out`, take away those of an earlier call that are no more, and write the summary.

    A data dir whose tables come out as they were is left alone, with whatever features lie in it.
    """
    target = Path(out)
    before = set(read_json(target / SUMMARY)["sets"]) if (target / SUMMARY).is_file() else set()
    (target / SUMMARY).unlink(missing_ok=True)
    summary: dict[str, Any] = {"dataset": dataset, "root": str(Path(root).resolve()), "sets": {}}
    for s in sets:
        if not len(s.clips):
            log.warning("%s: none of its %d clips is on disk; no data dir", s.name, s.listed)
            continue
        _replace_if_other(target / s.name, s)
        summary["sets"][s.name] = {
            "clips": len(s.clips),
            "listed": s.listed,
            "missing": len(s.missing),
            "hours": round(float(s.clips.duration_s.sum()) / 3600, 4),
            "events": s.strong.n_events if s.strong is not None else None,
            "fold": dict(Counter(s.clips.fold)) if s.clips.fold is not None else None,
            "tables": tables_hash(target / s.name),
        }
    for name in sorted(before - set(summary["sets"])):
        if (target / name / "clips.tsv").is_file():
            log.info("%s: no longer in %s, removed", target / name, root)
            shutil.rmtree(target / name)
    write_json(target / SUMMARY, summary)


def _replace_if_other(folder: Path, s: Prepared) -> None:
    aside = folder.with_name(f".{folder.name}.new")
    write_datadir(aside, s.clips, s.labels, s.weak, s.strong, s.missing)
    if folder.is_dir():
        if tables_hash(folder) == tables_hash(aside):
            shutil.rmtree(aside)
            return
        shutil.rmtree(folder)
    os.replace(aside, folder)
