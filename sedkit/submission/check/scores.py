"""Faults of score folders: one table per clip, consecutive windows from 0 s, a column for every class."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import listed
from sedkit.core.parallel import progress
from sedkit.dataio.names import stem
from sedkit.dataio.rows import number, plain_numbers
from sedkit.submission.archive import Package
from sedkit.submission.check.bytes import decoded, read_within, with_line_feeds
from sedkit.submission.check.table import ClipList, near_clip
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format

#: Windows are printed with few decimals: two edges this close are the same edge.
_EDGE_S = 1e-6
_END_S = 0.1

#: The largest to be expected, 27 classes every 10 ms of an 11 s clip in 20 digits, makes 0.7 MiB; five minutes of
#: MAESTRO's 17 classes make 11 MiB.
_MOST_BYTES = 16 * 2**20

#: A header with more is there to exhaust its reader: no task has a hundred classes.
_MOST_COLUMNS = 1000

#: Scores kept of a run: a hundred times what a challenge asks for; what is beyond is there to exhaust its reader.
_MOST_VALUES = 300_000_000


@dataclass(frozen=True)
class ClipScores:
    """A faultless table: `edges_s` (windows + 1,) seconds, `values` (windows, classes) in the format's order."""

    edges_s: NDArray[np.float64]
    values: NDArray[np.float32]


@dataclass
class RunScores:
    """The faultless tables of one run by clip id, of the clips that are `wanted`."""

    wanted: frozenset[str] = frozenset()
    clips: dict[str, ClipScores] = field(default_factory=dict)
    room: int = _MOST_VALUES

    def keep(self, clip: str, scores: ClipScores | None) -> None:
        """Keep a table that is wanted, as long as there is room."""
        if scores is not None and clip in self.wanted and scores.values.size <= self.room:
            self.room -= scores.values.size
            self.clips[clip] = scores


@dataclass(frozen=True)
class ScoreFolder:
    """A folder of score tables: its path in the package, the clip ids in it, and a digest of all that it holds."""

    path: str
    clips: frozenset[str]
    digest: bytes


def check_score_folder(
    folder: str,
    files: tuple[str, ...],
    package: Package,
    form: Format,
    clips: ClipList | None,
    findings: Findings,
    kept: RunScores | None = None,
) -> ScoreFolder:
    """Look for faults in a folder of score tables.

    Parameters
    ----------
    folder
        Its path in the package.
    files
        Paths of the files in it.
    package
        Where they are read.
    form, clips, findings
        The format, the evaluation list (None where unknown), where faults are noted.
    kept
        Takes the tables that are to be scored.
    """
    tables = {PurePosixPath(name).stem: name for name in files if name.endswith(".tsv")}
    quiet = Findings()
    if not tables:
        message = f"no *.tsv among its {len(files)} files ({listed((PurePosixPath(name).name for name in files), 2)})"
        findings.add(REFUSED, "tables_missing", folder, message, "<clip id>.tsv for every clip")
        return ScoreFolder(folder, frozenset(), b"")
    for name in files:
        if not name.endswith(".tsv"):
            quiet.add(WARNING, "extra_file", name, "is no score table", "only <clip id>.tsv")
    duration: dict[str, float] = {}
    if clips:
        wanted = {stem(name) for name in clips.filenames}
        duration = {stem(name): value for name, value in (clips.duration_s or {}).items()}
        absent, strange = sorted(wanted - tables.keys()), sorted(tables.keys() - wanted)
        if absent:
            message = f"{len(absent)} of {len(wanted)} clips have no table ({listed(absent, 3)})"
            quiet.add(REFUSED, "clip_missing", folder, message, "a table for every clip of the list")
        for name in strange:
            message = f"{name} is not in the evaluation list{near_clip(name, wanted) if len(strange) < 5 else ''}"
            quiet.add(REFUSED, "unknown_clip", tables[name], message, "<clip id>.tsv, the id without .wav")
    elif form.scores and form.scores.clips and len(tables) != form.scores.clips:
        quiet.add(REFUSED, "clip_count", folder, f"{len(tables)} tables", f"{form.scores.clips}, one per clip")
    digest = sha256()
    for clip, name in progress(sorted(tables.items()), description=PurePosixPath(folder).name, unit="clip"):
        data = read_within(package, name, _MOST_BYTES, "a score table", quiet)
        if data is None:
            continue
        digest.update(f"{clip}\n{len(data)}\n".encode("utf-8", "surrogateescape"))
        digest.update(data)
        scores = _check_scores(name, data, form, duration.get(clip), quiet)
        if kept is not None:
            kept.keep(clip, scores)
    # What is wrong with one table is mostly wrong with all of them.
    findings.sum_up(quiet, folder)
    return ScoreFolder(folder, frozenset(tables), digest.digest())


def _check_scores(
    file: str, data: bytes, form: Format, duration_s: float | None, findings: Findings
) -> ClipScores | None:
    text = decoded(file, data, findings)
    if text is None:
        return None
    text = with_line_feeds(file, text, findings)
    header, _, body = text.partition("\n")
    if (tabs := header.count("\t")) >= _MOST_COLUMNS:
        expected = f"onset, offset and {len(form.labels)} classes"
        findings.add(REFUSED, "class_columns", file, f"{tabs + 1:,} columns", expected, row=1)
        return None
    columns = header.split("\t")
    if columns[:2] != ["onset", "offset"]:
        kind = "separator" if re.match(r"onset[,; ]+offset", header) else "header"
        findings.add(REFUSED, kind, file, f"header {header[:60]!r}", "onset<TAB>offset<TAB><class>…", row=1)
        return None
    if not _check_columns(file, columns[2:], form, findings):
        return None
    lines = body.rstrip("\n").split("\n") if body.strip() else []
    if not lines:
        findings.add(REFUSED, "table_empty", file, "no window", "consecutive windows over the clip")
        return None
    for row, line in enumerate(lines, start=2):
        if line.count("\t") != len(columns) - 1:
            findings.add(REFUSED, "row_fields", file, f"{line.count(chr(9)) + 1} fields", str(len(columns)), row=row)
            return None
    values = _numbers(lines, len(columns))
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        row = int(bad[0])
        cell = next(cell for cell in lines[row].split("\t") if not math.isfinite(number(cell)))
        findings.add(
            REFUSED, "number", file, f"{cell[:40]!r} is no number", "finite numbers, digits 0 to 9", row=row + 2
        )
        return None
    whole = _check_windows(file, values, duration_s, form.longest_clip_s, findings)
    outside = np.flatnonzero(((values[:, 2:] < 0) | (values[:, 2:] > 1)).any(axis=1))
    if len(outside):
        findings.add(
            WARNING, "score_range", file, "a score outside 0 to 1", "scores from 0 to 1", row=int(outside[0]) + 2
        )
    if not whole or any(label not in columns for label in form.labels):
        return None
    edges = np.append(values[:, 0], values[-1, 1])
    with np.errstate(over="ignore"):
        scores = values[:, [columns.index(label) for label in form.labels]].astype(np.float32)
    return ClipScores(edges, scores)


def _check_columns(file: str, classes: list[str], form: Format, findings: Findings) -> bool:
    """Look at the class columns; return whether each stands for one class."""
    twice = sorted(label for label, count in Counter(classes).items() if count > 1)
    if twice:
        message = f"{len(twice)} classes have two columns or more ({listed(twice)})"
        findings.add(REFUSED, "class_column_twice", file, message, "one column a class", row=1)
        return False
    absent = [label for label in form.labels if label not in classes]
    strange = [label for label in classes if label not in form.labels]
    if absent:
        also = f"; additional: {listed(strange)}" if strange else ""
        message = f"no column for {listed(absent)}{also}"
        findings.add(REFUSED, "class_column", file, message, f"{len(form.labels)} class columns", row=1)
    elif strange:
        expected = "only the classes of the task"
        findings.add(WARNING, "class_column_extra", file, f"column {listed(strange)}", expected, row=1)
    return True


def _numbers(lines: list[str], columns: int) -> np.ndarray:
    """Return the cells as numbers, (rows, columns); what is no number is NaN."""
    text = "\t".join(lines)
    cells = text.split("\t")
    try:
        values = np.array(cells if plain_numbers([text]) else [], dtype=np.float64)
    except ValueError:
        values = np.array([])
    if len(values) != len(cells):
        values = np.array(list(map(number, cells)))
    return values.reshape(len(lines), columns)


def _check_windows(
    file: str, values: np.ndarray, duration_s: float | None, longest_s: float, findings: Findings
) -> bool:
    """Look at the windows, (rows, at least onset and offset); return whether they are consecutive from 0 s."""
    onset, offset = values[:, 0], values[:, 1]
    if abs(onset[0]) > _EDGE_S:
        findings.add(REFUSED, "windows_start", file, f"the first window begins at {onset[0]:g} s", "0 s", row=2)
        return False
    backwards = np.flatnonzero(offset <= onset)
    if len(backwards):
        i = int(backwards[0])
        findings.add(
            REFUSED, "onset_offset", file, f"{onset[i]:g} to {offset[i]:g} s", "onset before offset", row=i + 2
        )
        return False
    gaps = np.flatnonzero(np.abs(onset[1:] - offset[:-1]) > _EDGE_S)
    if len(gaps):
        i = int(gaps[0]) + 1
        message = f"a window begins at {onset[i]:g} s, the one before it ends at {offset[i - 1]:g} s"
        findings.add(REFUSED, "windows_gap", file, message, "consecutive windows", row=i + 2)
        return False
    if duration_s is None and onset[-1] >= longest_s:
        message = f"the windows end at {offset[-1]:g} s"
        expected = f"seconds (no clip is longer than {longest_s:g} s)"
        findings.add(REFUSED, "windows_end", file, message, expected, row=len(values) + 1)
    elif duration_s is not None and abs(offset[-1] - duration_s) > max(_END_S, 1.01 * float(offset[-1] - onset[-1])):
        message = f"the windows end at {offset[-1]:g} s, the clip at {duration_s:g} s"
        findings.add(SCORED_WRONGLY, "windows_end", file, message, "windows over the whole clip", row=len(values) + 1)
    return True
