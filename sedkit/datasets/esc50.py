"""ESC-50: `meta/esc50.csv` and `audio/` to one data dir with the five folds.

The parts of a clip's name are ``{fold}-{src_file}-{take}-{target}``; takes of one `src_file` come from one Freesound
recording (and stand in one fold, four recordings excepted).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips
from sedkit.dataio.events import Tags
from sedkit.dataio.names import stem
from sedkit.dataio.rows import read_table
from sedkit.datasets import desed
from sedkit.datasets.audiofiles import Recording, files_of, locate, read_headers
from sedkit.datasets.prepared import Prepared, coverage_line
from sedkit.datasets.recordings import Key, clashes, read_ledger, refuse_clashes

FOLDS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Row:
    """One line of the table; `src_file` is the recording that the clip was cut from."""

    filename: str
    fold: str
    target: int
    category: str
    src_file: str


def find_root(root: Path) -> Path:
    """The folder that holds `meta/esc50.csv`: `root` or one of the places below it where people keep it."""
    for part in ("", "ESC-50-master", "ESC-50", "esc50"):
        if (root / part / "meta" / "esc50.csv").is_file():
            return root / part
    raise SedkitError(f"{root}: no meta/esc50.csv, expected the root of ESC-50 (`sedkit download esc50` fetches it)")


def read_rows(table: Path, lenient: bool = False) -> list[Row]:
    """Read and check `esc50.csv`; with `lenient`, rows that cannot be right are left out and counted."""
    columns = read_table(table, ("filename", "fold", "target", "category"), ("src_file",))
    rows, bad = [], []
    category_of: dict[int, str] = {}
    seen: set[str] = set()
    for line, cells in enumerate(_cells(columns), start=2):
        name, fold, target, category, src_file = cells
        if fold not in FOLDS or not target.isdigit() or not category or not name:
            problem = f"fold {fold!r}, target {target!r}, category {category!r}, expected 1-5, a number and a name"
        elif category_of.setdefault(int(target), category) != category:
            problem = f"target {target} is {category!r} here and {category_of[int(target)]!r} before"
        elif name in seen:
            problem = f"{name} stands twice"
        else:
            seen.add(name)
            rows.append(Row(name, fold, int(target), category, src_file))
            continue
        bad.append(f"{table}:{line}: {problem}")
    if bad and not lenient:
        raise SedkitError(f"{bad[0]}; correct the row, or leave such rows out with --lenient true")
    if bad:
        log.warning("%s: %d rows left out, the first: %s", table, len(bad), bad[0])
    if not rows:
        raise SedkitError(f"{table}: no usable row, expected filename, fold, target, category")
    return rows


def _cells(columns: dict[str, list[str]]) -> Iterator[tuple[str, str, str, str, str]]:
    names = columns["filename"]
    # The first releases had no column src_file; the name says it too.
    sources = columns.get("src_file") or [n.split("-")[1] if n.count("-") >= 3 else "" for n in names]
    yield from zip(names, columns["fold"], columns["target"], columns["category"], sources, strict=True)


def coverage(root: Path) -> list[str]:
    """``esc50: 2000/2000 clips``, read off the list and the folder alone."""
    base = find_root(root)
    names = tuple(row.filename for row in read_rows(base / "meta" / "esc50.csv", lenient=True))
    return [coverage_line("esc50", len(locate(names, files_of([base / "audio"]))), len(names))]


def prepare(root: Path, *, lenient: bool = False, reported: Path | None = None, jobs: int = 1) -> list[Prepared]:
    """Read an ESC-50 root and return what its data dir holds.

    Parameters
    ----------
    root
        Folder with `meta/esc50.csv` and `audio/` (wav, ogg or flac of the names in the table).
    lenient
        Leave broken rows and files, and clips that are also reported on, out and count them.
    reported
        Root of a DESED that will be reported on: no recording may stand in both.
    jobs
        Processes for reading headers.

    Returns
    -------
    list
        One data dir `esc50`: fold ``1`` to ``5``, the recording as group, the category as label, classes in the order
        of their target numbers.
    """
    base = find_root(root)
    rows = read_rows(base / "meta" / "esc50.csv", lenient)
    names = tuple(row.filename for row in rows)
    recordings = read_headers(locate(names, files_of([base / "audio"])), jobs, lenient, "esc50")
    print(coverage_line("esc50", len(recordings), len(rows)))
    if not recordings:
        raise SedkitError(f"{base / 'audio'}: none of the {len(rows)} listed clips is there")
    kept = [row for row in rows if row.filename in recordings]
    if reported is not None:
        shared = _reported_too(base, kept, recordings, reported, lenient, jobs)
        kept = [row for row in kept if ("esc50", row.filename) not in shared]
    _tell_split_recordings(kept)
    labels = Vocabulary(tuple(category for _, category in sorted({(row.target, row.category) for row in rows})))
    present = np.zeros((len(kept), len(labels)), dtype=bool)
    present[np.arange(len(kept)), [labels.index(row.category) for row in kept]] = True
    clips = Clips(
        tuple(row.filename for row in kept),
        tuple(str(recordings[row.filename].path) for row in kept),
        np.array([recordings[row.filename].duration_s for row in kept], dtype=np.float64),
        tuple(row.fold for row in kept),
        tuple(row.src_file for row in kept),
    )
    weak = Tags(clips.filename, labels.labels, present, str(base / "meta" / "esc50.csv"))
    missing = tuple(name for name in names if name not in recordings)
    return [Prepared("esc50", clips, labels, weak, None, missing, len(rows))]


def _reported_too(
    base: Path, rows: list[Row], held: dict[str, Recording], reported: Path, lenient: bool, jobs: int
) -> set[Key]:
    """Clips whose recording a DESED root reports on: by Freesound id, by ledger, or byte for byte."""
    clips, sources = desed.reported_side(reported, jobs)
    # A ledger entry is `label:recording`; what was cut from ESC-50 or Freesound carries the id that src_file is.
    known = {key: (*names, *(name.rsplit(":", 1)[-1] for name in names)) for key, names in sources.items()}
    ledger = read_ledger(base / "meta" / "sources.tsv")
    own = {
        ("esc50", row.filename): (*ledger.get(("esc50", row.filename), ()), *filter(None, [row.src_file]))
        for row in rows
    }
    training = {("esc50", row.filename): held[row.filename] for row in rows}
    return refuse_clashes(clashes(training, clips, {**known, **own}), lenient)


def _tell_split_recordings(rows: list[Row]) -> None:
    """Say which recordings stand in two folds: four do in the true set (131943, 134049, 209698, 234879)."""
    folds: dict[str, set[str]] = {}
    for row in rows:
        folds.setdefault(row.src_file or stem(row.filename), set()).add(row.fold)
    split = sorted(source for source, held in folds.items() if len(held) > 1)
    if split:
        log.warning("esc50: %d recordings have takes in two folds (src_file %s)", len(split), listed(split))
