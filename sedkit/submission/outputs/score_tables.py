"""Faults of score folders: one table per clip, consecutive windows from 0 s, a column for every class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import listed
from sedkit.core.parallel import progress
from sedkit.dataio.names import stem
from sedkit.dataio.rows import Rows, header_of, separator_of
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, Findings
from sedkit.submission.formats import Format
from sedkit.submission.outputs.raw import MARK, is_table_text, parsed, read_within
from sedkit.submission.package import Package

#: What is printed for 0 s.
_EDGE_S = 1e-6
_END_S = 0.1

#: The largest to be expected, 27 classes every 10 ms of an 11 s clip in 20 digits, makes 0.7 MiB; five minutes of
#: MAESTRO's 17 classes make 11 MiB.
_MOST_BYTES = 16 * 2**20

#: Strangers in a folder that are told apart.
_MOST_STRANGE = 20

#: Scores kept of a run: a hundred times what a challenge asks for; what is beyond is there to exhaust its reader.
_MOST_VALUES = 150_000_000


@dataclass(frozen=True)
class ClipScores:
    """A faultless table: `edges_s` (windows + 1,) seconds, `values` (windows, classes) in the format's order."""

    edges_s: NDArray[np.float64]
    values: NDArray[np.float64]


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
    """A folder of score tables: its path in the package, a digest of each clip's scores by id, and one of them all."""

    path: str
    tables: dict[str, bytes]
    digest: bytes

    @property
    def clips(self) -> frozenset[str]:
        """Ids of the clips."""
        return frozenset(self.tables)


def check_score_folder(
    folder: str,
    files: Sequence[str],
    package: Package,
    form: Format,
    clips: ClipList | None,
    findings: Findings,
    to_score: RunScores | None = None,
) -> ScoreFolder:
    """Look for faults in the files of a folder of score tables; `to_score` takes those that are to be scored."""
    tables = {PurePosixPath(name).stem: name for name in files if name.endswith(".tsv")}
    if not tables:
        message = f"no *.tsv among its {len(files)} files ({listed((PurePosixPath(name).name for name in files), 2)})"
        findings.add("tables_missing", folder, message, "<clip id>.tsv for every clip")
        return ScoreFolder(folder, {}, b"")
    for name in files:
        if not name.endswith(".tsv"):
            findings.add("extra_file", name, "is no score table", "only <clip id>.tsv")
    duration: dict[str, float] = {}
    if clips:
        wanted = {stem(name) for name in clips.filenames}
        duration = {stem(name): value for name, value in (clips.duration_s or {}).items()}
        absent, strange = sorted(wanted - tables.keys()), sorted(tables.keys() - wanted)
        if absent:
            message = f"{len(absent)} of {len(wanted)} clips have no table ({listed(absent, 3)})"
            findings.add("clip_missing", folder, message, "a table for every clip of the list")
        for name in strange[:_MOST_STRANGE]:
            message = f"{name} is not in the evaluation list{clips.hint(name)}"
            findings.add("unknown_clip", tables[name], message, "<clip id>.tsv, the id without .wav", severity=REFUSED)
        findings.add_more("unknown_clip", folder, len(strange[_MOST_STRANGE:]), severity=REFUSED)
    elif form.scores and form.scores.clips and len(tables) != form.scores.clips:
        findings.add("clip_count", folder, f"{len(tables)} tables", f"{form.scores.clips}, one per clip")
    digests, windows = dict.fromkeys(sorted(tables), b""), 0
    lowest, highest = np.full(len(form.labels), np.inf), np.full(len(form.labels), -np.inf)
    for clip, name in progress(sorted(tables.items()), description=PurePosixPath(folder).name, unit="clip"):
        data = read_within(package, name, _MOST_BYTES, "a score table", findings)
        if data is None:
            continue
        scores = _check_scores(name, data, form, duration.get(clip), findings)
        # However the same numbers are written.
        content = data if scores is None else scores.edges_s.tobytes() + scores.values.tobytes()
        digests[clip] = sha256(content).digest()
        if to_score is not None:
            to_score.keep(clip, scores)
        if scores is not None:
            lowest = np.minimum(lowest, scores.values.min(axis=0))
            highest = np.maximum(highest, scores.values.max(axis=0))
            windows += len(scores.values)
    if windows > 1:
        _check_spread(folder, form, lowest == highest, findings)
    digest = sha256()
    for clip, of_clip in digests.items():
        digest.update(clip.encode("utf-8", "surrogateescape") + b"\n" + of_clip)
    return ScoreFolder(folder, digests, digest.digest())


def _check_spread(folder: str, form: Format, constant: NDArray[np.bool_], findings: Findings) -> None:
    """Look at which classes have one score in every window of every clip: no threshold tells their events apart."""
    labels = [label for label, same in zip(form.labels, constant, strict=True) if same]
    if constant.all():
        message = "every class has one and the same score throughout"
        findings.add("scores_constant", folder, message, "scores that tell windows apart", severity=SCORED_WRONGLY)
    elif labels:
        message = f"{len(labels)} classes have one and the same score throughout ({listed(labels)})"
        findings.add("scores_constant", folder, message, "scores that tell windows apart")


def _check_scores(
    file: str, data: bytes, form: Format, duration_s: float | None, findings: Findings
) -> ClipScores | None:
    columns = _check_header(file, data, form, findings) if is_table_text(file, data, findings) else None
    rows = _check_rows(file, data, columns, findings) if columns else None
    if rows is None:
        return None
    values = rows.table()
    if not _check_numbers(file, rows, values, findings):
        return None
    whole = _check_windows(file, values, rows.line, duration_s, form.longest_clip_s, findings)
    outside = np.flatnonzero(((values[:, 2:] < 0) | (values[:, 2:] > 1)).any(axis=1))
    if len(outside):
        row = int(rows.line[outside[0]])
        findings.add("score_range", file, "a score outside 0 to 1", "scores from 0 to 1", row=row)
    if not whole or any(label not in rows.names for label in form.labels):
        return None
    edges = np.append(values[:, 0], values[-1, 1])
    return ClipScores(edges, values[:, [rows.names.index(label) for label in form.labels]])


def _check_header(file: str, data: bytes, form: Format, findings: Findings) -> list[str] | None:
    """Return the columns, or None where they are not those of a score table."""
    first = data.removeprefix(MARK).lstrip(b"\r\n ").partition(b"\n")[0]
    columns = [name.strip() for name in header_of(file, data)] if first else []
    if columns[:2] != ["onset", "offset"] or separator_of(data) != "\t":
        kind = "separator" if re.match(rb"onset[,; ]+offset", first) else "header"
        message = f"header {first[:60].decode(errors='replace')!r}"
        findings.add(kind, file, message, "onset<TAB>offset<TAB><class>…", row=1, severity=REFUSED)
        return None
    return columns if _check_columns(file, columns[2:], form, findings) else None


def _check_rows(file: str, data: bytes, columns: list[str], findings: Findings) -> Rows | None:
    """Return the rows, or None where they are not as long as the header, or none."""
    rows = parsed(file, data, columns[:2], None, findings)
    if rows is None:
        return None
    if rows.has_index or rows.findings:
        row = rows.findings[0].line if rows.findings else int(rows.line[0])
        findings.add("row_fields", file, "more fields than in the header", str(len(columns)), row=row)
        return None
    if not len(rows):
        findings.add("table_empty", file, "no window", "consecutive windows over the clip")
        return None
    return rows


def _check_numbers(file: str, rows: Rows, values: NDArray[np.float64], findings: Findings) -> bool:
    """Look at the cells, (rows, columns); return whether all are finite numbers."""
    bad = np.argwhere(~np.isfinite(values))
    if not len(bad):
        return True
    row, column = map(int, bad[0])
    message = f"{rows.names[column]} {rows.text(rows.names[column], row)[:40]!r} is no number"
    # Text and times that are none stop the scorer; a score that is missing or NaN does not.
    text = any((np.isnan(values[:, c]) & ~rows.missing(rows.names[c])).any() for c in np.unique(bad[:, 1]).tolist())
    severity = REFUSED if text or column < 2 else SCORED_WRONGLY
    findings.add("number", file, message, "finite numbers, digits 0 to 9", row=int(rows.line[row]), severity=severity)
    return False


def _check_columns(file: str, classes: list[str], form: Format, findings: Findings) -> bool:
    """Look at the class columns; return whether each stands for one class."""
    twice = sorted(label for label, count in Counter(classes).items() if count > 1)
    if twice:
        message = f"{len(twice)} classes have two columns or more ({listed(twice)})"
        findings.add("class_column_twice", file, message, "one column a class", row=1)
        return False
    absent = [label for label in form.labels if label not in classes]
    strange = [label for label in classes if label not in form.labels]
    if absent:
        also = f"; additional: {listed(strange)}" if strange else ""
        message = f"no column for {listed(absent)}{also}"
        findings.add("class_column", file, message, f"{len(form.labels)} class columns", row=1)
    elif strange:
        expected = "only the classes of the task"
        findings.add("class_column_extra", file, f"column {listed(strange)}", expected, row=1)
    return True


def _check_windows(
    file: str,
    values: NDArray[np.float64],
    line: NDArray[np.int64],
    duration_s: float | None,
    longest_s: float,
    findings: Findings,
) -> bool:
    """Look at the windows, (rows, at least onset and offset); return whether they are consecutive from 0 s."""
    onset, offset = values[:, 0], values[:, 1]

    def tell(kind: str, i: int, message: str, expected: str, severity: str = REFUSED) -> None:
        findings.add(kind, file, message, expected, int(line[i]), severity=severity)

    if abs(onset[0]) > _EDGE_S:
        findings.add("windows_start", file, f"the first window begins at {onset[0]:g} s", "0 s", row=2)
        return False
    for i in np.flatnonzero(offset <= onset)[:1]:
        tell("onset_offset", i, f"{onset[i]:g} to {offset[i]:g} s", "onset before offset")
        return False
    # sed_scores_eval compares the numbers as they are read.
    for i in np.flatnonzero(onset[1:] != offset[:-1])[:1] + 1:
        message = f"a window begins at {float(onset[i])!r} s, the one before it ends at {float(offset[i - 1])!r} s"
        tell("windows_gap", i, message, "consecutive windows")
        return False
    message = f"the windows end at {offset[-1]:g} s"
    if duration_s is None and onset[-1] >= longest_s:
        tell("windows_end", -1, message, f"seconds (no clip is longer than {longest_s:g} s)")
    elif duration_s is not None and abs(offset[-1] - duration_s) > max(_END_S, 1.01 * float(offset[-1] - onset[-1])):
        message += f", the clip at {duration_s:g} s"
        tell("windows_end", -1, message, "windows over the whole clip", SCORED_WRONGLY)
    return True
