"""Faults of one event table, read as the bytes that stand in the package.

The table is read as the organisers' scripts read it (`sedkit.dataio.rows`); what that reader or their scorers would
trip over is named, one finding a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np

from sedkit.core.errors import listed, suggest
from sedkit.dataio.events import Events, repeats
from sedkit.dataio.names import AUDIO_ENDINGS
from sedkit.dataio.rows import Rows, header_of, separator_of
from sedkit.submission.clip_list import ClipList, clip_of_unparted, is_seconds
from sedkit.submission.findings import SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format
from sedkit.submission.formats._format import COLUMNS
from sedkit.submission.outputs.raw import MARK, is_table_text, parsed

#: Durations are published with one decimal, and a system may round an offset up by a frame.
_PAST_END_S = 0.1
#: An end this little past the clip is the last frame of a decoder (the organisers' own outputs hold such rows) and is
#: scored as it stands; further out, times are of another clip or unit.
_OVERSHOOT_S = 1.0

#: The largest to be expected: 13,190 clips (2019) with 30 events of 70 bytes each, at a low threshold without a filter.
MOST_BYTES = 32 * 2**20

#: A decimal comma, or commas between thousands.
_COMMAS = re.compile(r"[+-]?[\d.]*,[\d.,]*")

#: Rows with text for a time that are looked at to tell whether that is a way of writing numbers.
_LOOKED_AT = 100

_HEADER = "<TAB>".join(COLUMNS)
# sed_eval looks at no duration; psds_eval at what lies within the clip alone.
_PAST_END = ", all of it past the end: a false positive without any chance to sed_eval, nothing to psds_eval"

#: What is said of a row, given its number in the table.
_Words = Callable[[int], str]


def check_table(file: str, data: bytes, form: Format, clips: ClipList | None, findings: Findings) -> Events | None:
    """Look for faults in an event table of a package, given its path and bytes.

    Return the events as they stand (unusable rows left out), or None where the table cannot be read at all.
    """
    if not is_table_text(file, data, findings):
        return None
    if not data.removeprefix(MARK).strip():
        findings.add("table_empty", file, "is empty", f"a header {' '.join(COLUMNS)} and the detected events")
        return None
    columns = _check_header(file, data, findings)
    if columns is None:
        return None
    headless = not set(COLUMNS) <= set(columns)
    if headless:
        data = "\t".join(COLUMNS).encode() + b"\n" + data.removeprefix(MARK)
    rows = parsed(file, data, COLUMNS, ("onset", "offset"), findings)
    if rows is None:
        return None
    for finding in rows.findings:
        # pandas stops at a row with more fields than the header.
        fields = finding.message.rpartition(": ")[2].partition(",")[0]
        findings.add("row_fields", file, fields, f"{len(rows.names)}, TAB between", finding.line)
    if not len(rows):
        if not rows.findings:
            message = "no row below the header"
            findings.add("table_empty", file, message, "the detected events", severity=SCORED_WRONGLY)
        return None
    return _Table(file, rows, headless, findings).check(form, clips)


def _check_header(file: str, data: bytes, findings: Findings) -> list[str] | None:
    """Return the cells of the header, or None where the columns cannot be told apart."""
    cells = [cell.strip() for cell in header_of(file, data)]
    line = " ".join(cells)
    if separator_of(data) != "\t" or (len(cells) == 1 and any(c in line for c in ",; ")):
        begins = data.removeprefix(MARK).lstrip()[:60].splitlines()[0].decode("utf-8", "replace")
        findings.add("separator", file, f"columns are not separated by TABs: {begins!r}", _HEADER, row=1)
    elif set(COLUMNS) <= set(cells):
        if tuple(cells) != COLUMNS:
            # pandas finds columns by their names.
            findings.add("header", file, f"header {line[:60]!r}", _HEADER, row=1, severity=WARNING)
        return cells
    elif len(cells) == len(COLUMNS) and (is_seconds(cells[1]) or cells[0].lower().endswith(AUDIO_ENDINGS)):
        # Without a header the reader takes the first event for the column names.
        findings.add("header_missing", file, f"begins with the row {line[:60]!r}", f"a header {_HEADER}", row=1)
        return cells
    else:
        findings.add("header", file, f"header {line[:60]!r}", _HEADER, row=1)
    return None


class _Table:
    """The rows of a table; an event has a class or a time, any other row lists a clip without events."""

    def __init__(self, file: str, rows: Rows, headless: bool, findings: Findings) -> None:
        self.file, self.rows, self.findings = file, rows, findings
        self.line = rows.line - headless
        self.name, self.names = rows.coded("filename")
        self.label, self.labels = rows.coded("event_label")
        self.onset, self.offset = rows.numbers("onset"), rows.numbers("offset")
        self.timeless = rows.missing("onset") | rows.missing("offset")
        self.named = self.name >= 0
        self.lone = (self.label < 0) & rows.missing("onset") & rows.missing("offset")
        self.finite = np.isfinite(self.onset) & np.isfinite(self.offset)

    def check(self, form: Format, clips: ClipList | None) -> Events | None:
        """Note what is wrong; return the events, or None where the columns are not what the header calls them."""
        if self.rows.has_index and not any(name.lower().endswith(AUDIO_ENDINGS) for name in self.names):
            message = "the first row has a field more than the header: the reader takes the first of all for an index"
            self._tell_one("row_fields", 0, message, f"{len(self.rows.names)}, TAB between", severity=SCORED_WRONGLY)
            return None
        self._check_cells()
        self._check_clips(clips)
        self._check_classes(form)
        self._check_times(form, clips)
        self._check_repeated()
        if clips:
            listed_clips = {self.names[i] for i in np.unique(self.name[self.named])} | set(self._unparted)
            absent = [name for name in clips.filenames if name not in listed_clips]
            if absent and not self.rows.findings:
                message = f"{len(absent)} of {len(clips.filenames)} listed clips have no row ({listed(absent, 3)})"
                message += ": taken as without events"
                self.findings.add("clip_missing", self.file, message, severity="note")
        if self.lone.all() and not self._unparted:
            message = f"no event in any of the {len(np.unique(self.name))} clips"
            self.findings.add("no_events", self.file, message, "the detected events")
        rows = np.flatnonzero(self.named & self.finite & (self.label >= 0))
        return Events(
            filenames=self.names,
            labels=self.labels,
            clip=self.name[rows],
            label=self.label[rows],
            onset_s=self.onset[rows],
            offset_s=self.offset[rows],
            line=self.line[rows],
            source=self.file,
        )

    def _clip(self, row: int) -> str:
        return self.names[self.name[row]]

    @cached_property
    def _strange(self) -> np.ndarray:
        """Rows that something else than TABs separates, (n_rows,) bool."""
        strange = np.array([clip_of_unparted(name) is not None for name in self.names] + [False])
        return strange[self.name] & self.lone

    @cached_property
    def _unparted(self) -> dict[str, int]:
        """Clips of rows that something else than TABs separates, and the first of these rows."""
        out: dict[str, int] = {}
        for row in self._firsts(np.flatnonzero(self._strange)):
            out.setdefault(clip_of_unparted(self._clip(row)) or "", row)
        return out

    def _firsts(self, rows: np.ndarray) -> list[int]:
        """Return of some rows the first of each clip, in their order."""
        _, first = np.unique(self.name[rows], return_index=True)
        return rows[np.sort(first)].tolist()

    def _check_cells(self) -> None:
        """Look at cells that are missing, or no numbers."""
        self._tell("filename_missing", ~self.named, lambda i: "no filename", "the name of a clip", (self.name,))
        if self._unparted:
            count, row = int(self._strange.sum()), min(self._unparted.values())
            message = f"the fields of {count} rows are not separated by TABs: {self._clip(row)[:60]!r}"
            expected = "TAB between the fields, as in the header"
            self._tell_one("separator", row, message, expected, severity=SCORED_WRONGLY)
        event = self.named & ~self.lone
        text = event & ~self.finite & ~self.timeless & ~np.isinf(self.onset) & ~np.isinf(self.offset)
        expected = "seconds as numbers, with a point"
        rows = np.flatnonzero(text)
        if len(rows) and all(self._has_commas(i) for i in rows[:_LOOKED_AT]):
            self._tell_one("number", rows[0], f"commas in numbers: {self._cells(rows[0])}", expected, len(rows))
        else:
            # Text turns the whole column into text; a number that is none is compared as one.
            self._tell("number", text, self._cells, expected)
        self._tell("number", event & ~self.finite & ~text, self._cells, expected, severity=SCORED_WRONGLY)

    def _check_clips(self, clips: ClipList | None) -> None:
        known = set(clips.filenames) if clips else None
        # Names that a folder or another ending keeps from being those of the list, or of any: mostly all are.
        alike: dict[tuple[str, str, bool], list[int]] = {}
        for row in self._firsts(np.flatnonzero(self.named)):
            name = self._clip(row)
            in_folder, is_audio = "/" in name, name.lower().endswith(AUDIO_ENDINGS)
            if name in (known or ()) or clip_of_unparted(name) is not None:
                continue
            if clips is None and (in_folder or not is_audio):
                alike.setdefault((SCORED_WRONGLY, "clip_name", in_folder), []).append(row)
            elif clips is None and not name.endswith(".wav"):
                alike.setdefault((WARNING, "clip_name", False), []).append(row)
            elif clips is not None and clips.is_misnamed(name):
                alike.setdefault((SCORED_WRONGLY, "unknown_clip", in_folder), []).append(row)
            elif clips is not None:
                self._tell_clip(SCORED_WRONGLY, "unknown_clip", row, clips)
        for (severity, kind, _), rows in alike.items():
            self._tell_clip(severity, kind, rows[0], clips, len(rows))

    def _tell_clip(self, severity: str, kind: str, row: int, clips: ClipList | None, count: int = 1) -> None:
        if not self.findings.room(kind, self.file, severity):
            self.findings.add_more(kind, self.file, count, severity)
            return
        name = self._clip(row)
        if clips is not None:
            message, expected = f"{name} is not in the evaluation list{clips.hint(name)}", "only clips of the list"
        elif severity == WARNING:
            message, expected = f"{name!r}: the clips of every set are named .wav", "<clip>.wav"
        else:
            message, expected = f"{name!r} is not the name of an audio file", "<clip>.wav without a folder"
        self._tell_one(kind, row, message, expected, count, severity)

    def _check_classes(self, form: Format) -> None:
        known = np.array([label in form.labels for label in self.labels] + [False])
        unknown = self.named & ~self.lone & ~(self.timeless & (self.label < 0)) & ~known[self.label]
        for code in np.unique(self.label[unknown]):
            if not self.findings.room("unknown_class", self.file):
                self.findings.add_more("unknown_class", self.file, int((unknown & (self.label >= code)).sum()))
                break
            rows = np.flatnonzero(unknown & (self.label == code))
            label = self.labels[code] if code >= 0 else ""
            hint = suggest(label, form.labels) if len(label) < 100 else ""
            message, expected = f"unknown class {label[:100]!r}{hint}", f"one of {listed(form.labels, 12)}"
            self._tell_one("unknown_class", rows[0], message, expected, len(rows))

    def _check_times(self, form: Format, clips: ClipList | None) -> None:
        durations = (clips.duration_s if clips else None) or {}
        ends = np.array([durations.get(name, np.nan) for name in self.names] + [np.nan])[self.name]
        limit = np.where(np.isnan(ends), form.longest_clip_s, ends + _PAST_END_S)
        timed = self.named & self.finite
        backwards = timed & (self.onset >= self.offset)
        negative = timed & ~backwards & (self.onset < 0)
        past = timed & ~backwards & ~negative & (self.offset > limit)
        pair = (self.onset, self.offset)
        self._tell("onset_offset", backwards, self._times, "onset before offset", pair, SCORED_WRONGLY)
        self._tell("negative_time", negative, self._times, "times from 0 s", pair)

        def message(i: int) -> str:
            outside = self.onset[i] >= (limit[i] if np.isnan(ends[i]) else ends[i])
            return self._times(i) + (_PAST_END if outside else "")

        def expected(i: int) -> str:
            longest = f"no clip longer than {limit[i]:g} s"
            return f"times within the clip ({longest if np.isnan(ends[i]) else f'{self._clip(i)} lasts {ends[i]:g} s'})"

        slightly = self.offset <= limit + _OVERSHOOT_S
        self._tell("time_past_clip", past & slightly, message, expected)
        self._tell("time_past_clip", past & ~slightly, message, expected, severity=SCORED_WRONGLY)

    def _check_repeated(self) -> None:
        """Look for events and empty rows that stand twice, empty rows beside events, overlaps within a class."""
        empty = np.flatnonzero(self.named & self.lone)
        again = self._mask(np.setdiff1d(empty, self._firsts(empty))) & ~self._strange
        self._tell("duplicate_row", again, lambda i: f"{self._clip(i)} is listed as without events twice", "once")
        event_of = np.full(len(self.names) + 1, -1)
        events = self._firsts(np.flatnonzero(self.named & ~self.lone))
        event_of[self.name[events]] = events
        self._tell(
            "empty_row_beside_events",
            self.named & self.lone & ~again & (event_of[self.name] >= 0),
            lambda i: (
                f"{self._clip(i)} is listed as without events, but has one in row {self.line[event_of[self.name[i]]]}"
            ),
            "either an empty row or events",
        )
        rows = np.flatnonzero(self.named & self.finite & (self.label >= 0))
        twins, firsts, overlapping = repeats(self.name[rows], self.label[rows], self.onset[rows], self.offset[rows])
        same_as = dict(zip(rows[twins], rows[firsts], strict=True))
        message: _Words = lambda i: f"the same event as row {self.line[same_as[i]]}"  # noqa: E731
        self._tell("duplicate_row", self._mask(rows[twins]), message, "each event once")
        self._tell(
            "overlap",
            self._mask(rows[overlapping]),
            lambda i: (
                f"{self.labels[self.label[i]]} from {self.onset[i]:g} s overlaps an event of its class in "
                f"{self._clip(i)}"
            ),
            "separate events within a class",
        )

    def _mask(self, rows: np.ndarray) -> np.ndarray:
        mask = np.zeros(len(self.name), dtype=bool)
        mask[rows] = True
        return mask

    def _has_commas(self, i: int) -> bool:
        return any(_COMMAS.fullmatch(self.rows.text(name, i)) for name in ("onset", "offset"))

    def _times(self, i: int) -> str:
        return f"onset {self.onset[i]:g} s, offset {self.offset[i]:g} s"

    def _cells(self, i: int) -> str:
        return f"onset {self.rows.text('onset', i)[:40]!r}, offset {self.rows.text('offset', i)[:40]!r}"

    def _tell(
        self,
        kind: str,
        mask: np.ndarray,
        message: _Words,
        expected: str | _Words,
        alike: Sequence[np.ndarray] = (),
        severity: str | None = None,
    ) -> None:
        """Note rows, those with equal values in `alike` as one; the message of one that is summed up is never made."""
        rows = np.flatnonzero(mask)
        count = np.ones(len(rows), dtype=np.int64)
        if alike and len(rows):
            keys = np.stack([values[rows] for values in alike], axis=1)
            _, first, count = np.unique(keys, axis=0, return_index=True, return_counts=True)
            order = np.argsort(first)
            rows, count = rows[first[order]], count[order]
        room = self.findings.room(kind, self.file, severity)
        for i, n in zip(rows[:room], count[:room], strict=True):
            wanted = expected if isinstance(expected, str) else expected(i)
            self._tell_one(kind, i, message(i), wanted, int(n), severity)
        self.findings.add_more(kind, self.file, int(count[room:].sum()), severity)

    def _tell_one(
        self, kind: str, row: int, message: str, expected: str, count: int = 1, severity: str | None = None
    ) -> None:
        self.findings.add(kind, self.file, message, expected, int(self.line[row]), count, severity)
