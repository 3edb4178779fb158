"""ESC-50: `meta/esc50.csv` and `audio/` to one data dir with the five folds.

The parts of a clip's name are ``{fold}-{src_file}-{take}-{target}``; takes of one `src_file` come from one Freesound
recording (and stand in one fold, four recordings excepted).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.core.options import option
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Tags
from sedkit.dataio.rows import Finding, read_table, refuse
from sedkit.datasets.base import DataSet, Place, SetLayout, SetOnDisk
from sedkit.datasets.registry import register

FOLDS = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Row:
    """One line of the table; `src_file` is the recording that the clip was cut from."""

    filename: str
    fold: str
    target: int
    category: str
    src_file: str


@dataclass(frozen=True)
class Esc50Options:
    """`reported`: root of a DESED that will be reported on beside it."""

    reported: str | None = option(
        None, "--reported", "stop where a recording is also reported on there", place=True, metavar="DESED_ROOT"
    )


@register("esc50", Esc50Options)
class Esc50(DataSet):
    """ESC-50: the five folds, the recording as group, the category as label, classes by their target numbers."""

    title, holds = "ESC-50", ("meta/esc50.csv",)
    sets = (SetLayout("esc50", "training", (Place(("audio",), ("meta/esc50.csv",)),)),)
    roots, ledger, clip_s = ("", "ESC-50-master", "ESC-50", "esc50"), "meta/sources.tsv", 5.0

    def read(self, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
        """Read and check the table."""
        (table,) = s.tables
        rows = read_rows(table, lenient or not labels)
        s.filenames = tuple(row.filename for row in rows)
        s.fold, s.group = ({row.filename: getattr(row, x) for row in rows} for x in ("fold", "src_file"))
        s.classes = Vocabulary(tuple(category for _, category in sorted({(row.target, row.category) for row in rows})))
        present = np.array([[row.category == name for name in s.classes] for row in rows])
        s.weak = Tags(s.filenames, s.classes.labels, present, str(table))

    def compared(self) -> dict[str, Path]:
        """Return the DESED that is reported on beside it: its clips may be cut from the same recordings."""
        return {"desed": Path(self.options.reported)} if self.options.reported else {}


def read_rows(table: Path, lenient: bool = False) -> list[Row]:
    """Read and check `esc50.csv`; with `lenient`, rows that cannot be right are left out and counted."""
    columns = read_table(table, ("filename", "fold", "target", "category"), ("src_file",))
    rows: list[Row] = []
    bad: list[Finding] = []
    category_of: dict[int, str] = {}
    seen: set[str] = set()
    # The first releases had no column src_file; the name says it too.
    columns.setdefault("src_file", [n.split("-")[1] if n.count("-") >= 3 else "" for n in columns["filename"]])
    for line, cells in enumerate(zip(*columns.values(), strict=True), start=2):
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
        bad.append(Finding("unreadable_row", f"{table}:{line}: {problem}", line))
    refuse(bad, table, lenient)
    if not rows:
        raise SedkitError(f"{table}: no usable row, expected filename, fold, target, category")
    return rows
