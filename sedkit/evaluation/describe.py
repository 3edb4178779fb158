"""Say in a results file what was scored: reference, output, and the run that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.core.files import sha256_file
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.references import content_hash, known_reference
from sedkit.dataio.rows import read_table
from sedkit.evaluation.inputs import Output, Truth


def describe_reference(path: str, reference: Events | Tags, truth: Truth) -> dict[str, Any]:
    """Return the `reference` block of the whole table and of what was scored of it; warn of an outdated one."""
    out: dict[str, Any] = {
        "path": path,
        "sha256": sha256_file(path) if isinstance(reference, Tags) else content_hash(reference),
        "known_as": None,
        "clips": len(truth.tags.filenames),
        "events": int(truth.tags.present.sum()) if truth.events is None else truth.events.n_events,
    }
    known = None if truth.events is None else known_reference(out["sha256"])
    if known is not None and isinstance(reference, Events):
        smaller = out["events"] < reference.n_events or out["clips"] < len(reference.filenames)
        out["known_as"] = known.name + ("/subset" if smaller else "")
        if known.outdated_by is not None:
            log.warning("%s: %s: outdated, corrected as %s", path, known.title, known.outdated_by)
            out["outdated_by"] = known.outdated_by
    return out


def describe_output(output: Output, path: str, wanted: Sequence[str]) -> dict[str, Any]:
    """Return the `estimate` block of the first form that an output has: a table, scores, operating points, masks.

    `partial` is False where it lists all the `wanted` clips, True where clips are missing although the output lists
    clips without events too (or is a file of scores), and None where that cannot be told: many tables leave out clips
    without events.
    """
    tables = (output.estimate,) if output.estimate is not None else output.points.tables if output.points else ()
    n_events: int | None = sum(table.n_events for table in tables)
    names = tuple(dict.fromkeys(name for table in tables for name in table.filenames))
    lists_empty = any(len(np.unique(table.clip)) < len(table.filenames) for table in tables)
    of_scores = output.estimate is None and output.scores is not None
    if of_scores and output.scores is not None:
        names, n_events, lists_empty = output.scores.filenames, None, True
    elif not tables and output.masks is not None:
        names, n_events, lists_empty = tuple(wanted), None, True
    listed = set(names)
    missing = [name for name in wanted if name not in listed]
    if names and wanted and len(missing) == len(wanted):
        raise SedkitError(
            f"{path}: none of its {len(names)} clips is in the reference ({names[0]!r} here, {wanted[0]!r} "
            "there); do the names differ in the folder, the ending or a leading letter?"
        )
    if missing and of_scores:
        log.warning(
            "%s: no scores for %s (%d of %d clips of the reference: they score 0, as clips without detections; "
            "--clips cuts the reference)",
            path,
            missing[0],
            len(missing),
            len(wanted),
        )
    return {
        "path": path,
        "sha256": hash_of(Path(path)),
        "clips": len(names),
        "events": n_events,
        "coverage": (len(wanted) - len(missing)) / len(wanted) if wanted else None,
        "partial": False if not missing else (True if lists_empty else None),
    }


def mark_missing(reference: dict[str, Any], estimate: dict[str, Any], *, whole: bool) -> None:
    """Mark figures as partial where the reference is a data dir's that lacks clips of the official list."""
    folder = Path(reference["path"]).parent
    if not ((folder / "clips.tsv").is_file() and (folder / "missing.tsv").is_file()):
        return
    missing = len(set(read_table(folder / "missing.tsv", ("filename",))["filename"]))
    if not missing:
        return
    estimate["partial"] = True
    if whole and estimate["coverage"] is not None:
        # Of clips that are not there nobody knows the fold: the coverage of a fold is that of its clips on disk.
        reference["missing"] = missing
        estimate["coverage"] *= reference["clips"] / (reference["clips"] + missing)
    log.warning(
        "%s: %d clips of the official list are not on disk (missing.tsv): partial figures", reference["path"], missing
    )


def hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and contents."""
    if path.is_file():
        return sha256_file(path)
    import hashlib

    lines = [f"{p.name} {sha256_file(p)}" for p in sorted(path.iterdir()) if p.is_file()]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
