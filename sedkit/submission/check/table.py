"""Faults of one event table, read as the bytes that stand in the package.

The table is read as the organisers' scripts read it (`sedkit.dataio.rows`); what that reader or their scorers would
trip over is named, one finding a fault.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cached_property

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.dataio.events import Events
from sedkit.dataio.names import AUDIO_ENDINGS
from sedkit.dataio.rows import Rows, parse_rows
from sedkit.submission.check.bytes import MARK, is_table_text
from sedkit.submission.check.clips import ClipList, clip_of_unparted
from sedkit.submission.check.repeats import repeats
from sedkit.submission.check.table_header import check_header
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings, located
from sedkit.submission.formats import Format
from sedkit.submission.formats._format import COLUMNS

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

_FIELDS = "TAB between the fields, as in the header"
# sed_eval looks at no duration; psds_eval at what lies within the clip alone.
_PAST_END = ", all of it past the end: a false positive without any chance to sed_eval, nothing to psds_eval"


def check_table(file: str, data: bytes, form: Format, clips: ClipList | None, findings: Findings) -> Events | None:
    """Look for faults in an event table.

    Parameters
    ----------
    file
        Path in the package, for the findings.
    data
        The table's bytes.
    form
        The year's format.
    clips
        The evaluation list, None where unknown.
    findings
        Where faults are noted.

    Returns
    -------
    The events as they stand (unusable rows left out), or None where the table cannot be read at all.
    """
    if not is_table_text(file, data, findings):
        return None
    if not data.removeprefix(MARK).strip():
        findings.add(REFUSED, "table_empty", file, "is empty", f"a header {' '.join(COLUMNS)} and the detected events")
        return None
    cells = check_header(file, data, findings)
    if cells is None:
        return None
    headless = not set(COLUMNS) <= set(cells)
    if headless:
        data = b"\t".join(name.encode() for name in COLUMNS) + b"\n" + data.removeprefix(MARK)
    try:
        rows = parse_rows(file, data, COLUMNS, numbers=("onset", "offset"))
    except SedkitError as error:
        row, said = located(error, file)
        findings.add(REFUSED, "row_fields", file, said, "one row a line", row=row)
        return None
    for finding in rows.findings:
        # pandas stops at a row with more fields than the header.
        fields = finding.message.rpartition(": ")[2].partition(",")[0]
        findings.add(REFUSED, "row_fields", file, fields, f"{len(rows.names)}, TAB between", finding.line)
    if not len(rows):
        if not rows.findings:
            findings.add(SCORED_WRONGLY, "table_empty", file, "no row below the header", "the detected events")
        return None
    return _Table(file, rows, headless, findings).check(form, clips)


class _Table:
    """The rows of a table; an event has a class or a time, any other row lists a clip without events."""

    def __init__(self, file: str, rows: Rows, headless: bool, findings: Findings) -> None:
        self.file, self.rows, self.findings = file, rows, findings
        self.line = rows.line - headless
        self.name, self.names = rows.coded("filename")
        self.label, self.labels = rows.coded("event_label")
        self.onset, self.offset = rows.numbers("onset"), rows.numbers("offset")
        self.timeless = rows.missing("onset") | rows.missing("offset")
        self.lone = (self.label < 0) & rows.missing("onset") & rows.missing("offset")
        self.finite = np.isfinite(self.onset) & np.isfinite(self.offset)

    def check(self, form: Format, clips: ClipList | None) -> Events | None:
        """Note what is wrong; return the events, or None where the columns are not what the header calls them."""
        if self.rows.has_index and not any(name.lower().endswith(AUDIO_ENDINGS) for name in self.names):
            message = "the first row has a field more than the header: the reader takes the first of all for an index"
            self._tell_one(SCORED_WRONGLY, "row_fields", 0, message, f"{len(self.rows.names)}, TAB between")
            return None
        self._check_cells()
        self._check_clips(clips)
        self._check_classes(form)
        self._check_times(form, clips)
        self._check_repeated(form)
        if clips:
            listed_clips = {self.names[i] for i in np.unique(self.name[self.name >= 0])} | set(self._unparted)
            absent = [name for name in clips.filenames if name not in listed_clips]
            if absent and not self.rows.findings:
                message = f"{len(absent)} of {len(clips.filenames)} listed clips have no row ({listed(absent, 3)})"
                self.findings.add(NOTE, "clip_missing", self.file, message + ": taken as without events")
        if self.lone.all() and not self._unparted:
            message = f"no event in any of the {len(np.unique(self.name))} clips"
            self.findings.add(SCORED_WRONGLY, "no_events", self.file, message, "the detected events")
        return self._events()

    @cached_property
    def _pair(self) -> tuple[np.ndarray, ...]:
        return self.onset, self.offset

    @cached_property
    def _strange(self) -> np.ndarray:
        """Rows that something else than TABs separates, (n_rows,) bool."""
        strange = np.array([clip_of_unparted(name) is not None for name in self.names] + [False])
        return strange[self.name] & self.lone

    @cached_property
    def _unparted(self) -> dict[str, int]:
        """Clips of rows that something else than TABs separates, and the first of these rows."""
        out: dict[str, int] = {}
        rows = np.flatnonzero(self._strange)
        for code, row in zip(*np.unique(self.name[rows], return_index=True), strict=True):
            out.setdefault(clip_of_unparted(self.names[code]) or "", int(rows[row]))
        return out

    def _check_cells(self) -> None:
        """Look at cells that are missing, or no numbers."""
        self._tell(
            SCORED_WRONGLY,
            "filename_missing",
            self.name < 0,
            lambda i: "no filename",
            "the name of a clip",
            (self.name,),
        )
        if self._unparted:
            count = int(self._strange.sum())
            row = min(self._unparted.values())
            message = f"the fields of {count} rows are not separated by TABs: {self.names[self.name[row]][:60]!r}"
            self._tell_one(SCORED_WRONGLY, "separator", row, message, _FIELDS)
        event = (self.name >= 0) & ~self.lone
        text = event & ~self.finite & ~self.timeless & ~np.isinf(self.onset) & ~np.isinf(self.offset)
        expected = "seconds as numbers, with a point"
        rows = np.flatnonzero(text)
        if len(rows) and all(self._has_commas(i) for i in rows[:_LOOKED_AT]):
            message = f"commas in numbers: {self._shown_times(rows[0])}"
            self._tell_one(REFUSED, "number", rows[0], message, expected, len(rows))
        else:
            # Text turns the whole column into text; a number that is none is compared as one.
            self._tell(REFUSED, "number", text, self._shown_times, expected)
        self._tell(SCORED_WRONGLY, "number", event & ~self.finite & ~text, self._shown_times, expected)

    def _check_clips(self, clips: ClipList | None) -> None:
        known = set(clips.filenames) if clips else None
        # Names that a folder or another ending keeps from being those of the list, or of any: mostly all are.
        alike: dict[tuple[str, str, bool], list[int]] = {}
        rows = np.flatnonzero(self.name >= 0)
        codes, first = np.unique(self.name[rows], return_index=True)
        order = np.argsort(first)
        for code, row in zip(codes[order], rows[first[order]], strict=True):
            name = self.names[code]
            if known is not None:
                if name in known or clip_of_unparted(name) is not None:
                    continue
                if clips is not None and clips.is_misnamed(name):
                    alike.setdefault((SCORED_WRONGLY, "unknown_clip", "/" in name), []).append(row)
                else:
                    self._tell_clip(SCORED_WRONGLY, "unknown_clip", row, clips)
            elif "/" in name or not name.lower().endswith(AUDIO_ENDINGS):
                if clip_of_unparted(name) is None:
                    alike.setdefault((SCORED_WRONGLY, "clip_name", "/" in name), []).append(row)
            elif not name.endswith(".wav"):
                alike.setdefault((WARNING, "clip_name", False), []).append(row)
        for (severity, kind, _), rows_alike in alike.items():
            self._tell_clip(severity, kind, rows_alike[0], clips, len(rows_alike))

    def _tell_clip(self, severity: str, kind: str, row: int, clips: ClipList | None, count: int = 1) -> None:
        if not self.findings.room(severity, kind, self.file):
            self.findings.add_more(severity, kind, self.file, count)
            return
        name = self.names[self.name[row]]
        if clips is not None:
            message, expected = f"{name} is not in the evaluation list{clips.hint(name)}", "only clips of the list"
        elif severity == WARNING:
            message, expected = f"{name!r}: the clips of every set are named .wav", "<clip>.wav"
        else:
            message, expected = f"{name!r} is not the name of an audio file", "<clip>.wav without a folder"
        self._tell_one(severity, kind, row, message, expected, count)

    def _check_classes(self, form: Format) -> None:
        event = (self.name >= 0) & ~self.lone & ~(self.timeless & (self.label < 0))
        known = np.array([label in form.labels for label in self.labels] + [False])
        for code in np.unique(self.label[event & ~known[self.label]]):
            rows = np.flatnonzero(event & (self.label == code))
            label = self.labels[code] if code >= 0 else ""
            if not self.findings.room(SCORED_WRONGLY, "unknown_class", self.file):
                left = event & ~known[self.label] & (self.label >= code)
                self.findings.add_more(SCORED_WRONGLY, "unknown_class", self.file, int(left.sum()))
                break
            hint = suggest(label, form.labels) if len(label) < 100 else ""
            message, expected = f"unknown class {label[:100]!r}{hint}", f"one of {listed(form.labels, 12)}"
            self._tell_one(SCORED_WRONGLY, "unknown_class", rows[0], message, expected, len(rows))

    def _check_times(self, form: Format, clips: ClipList | None) -> None:
        durations = (clips.duration_s if clips else None) or {}
        ends = np.array([durations.get(name, np.nan) for name in self.names] + [np.nan])[self.name]
        limit = np.where(np.isnan(ends), form.longest_clip_s, ends + _PAST_END_S)
        timed = (self.name >= 0) & self.finite
        backwards = timed & (self.onset >= self.offset)
        negative = timed & ~backwards & (self.onset < 0)
        past = timed & ~backwards & ~negative & (self.offset > limit)
        self._tell(SCORED_WRONGLY, "onset_offset", backwards, self._times, "onset before offset", self._pair)
        self._tell(SCORED_WRONGLY, "negative_time", negative, self._times, "times from 0 s", self._pair)

        def message(i: int) -> str:
            outside = self.onset[i] >= (limit[i] if np.isnan(ends[i]) else ends[i])
            return self._times(i) + (_PAST_END if outside else "")

        def expected(i: int) -> str:
            longest = f"no clip longer than {limit[i]:g} s"
            what = longest if np.isnan(ends[i]) else f"{self.names[self.name[i]]} lasts {ends[i]:g} s"
            return f"times within the clip ({what})"

        slightly = self.offset <= limit + _OVERSHOOT_S
        self._tell(WARNING, "time_past_clip", past & slightly, message, expected)
        self._tell(SCORED_WRONGLY, "time_past_clip", past & ~slightly, message, expected)

    def _check_repeated(self, form: Format) -> None:
        """Look for events and empty rows that stand twice, empty rows beside events, overlaps within a class."""
        named = self.name >= 0
        rows = np.flatnonzero(named & self.lone)
        _, first = np.unique(self.name[rows], return_index=True)
        again = np.zeros(len(self.name), dtype=bool)
        again[np.delete(rows, first)] = True
        again &= ~self._strange
        message: Callable[[int], str] = lambda i: f"{self.names[self.name[i]]} is listed as without events twice"  # noqa: E731
        self._tell(SCORED_WRONGLY, "duplicate_row", again, message, "once")
        events = np.flatnonzero(named & ~self.lone)
        codes, first = np.unique(self.name[events], return_index=True)
        event_of = np.full(len(self.names) + 1, -1)
        event_of[codes] = events[first]
        self._tell(
            SCORED_WRONGLY,
            "empty_row_beside_events",
            named & self.lone & ~again & (event_of[self.name] >= 0),
            lambda i: (
                f"{self.names[self.name[i]]} is listed as without events, but has one in row "
                f"{self.line[event_of[self.name[i]]]}"
            ),
            "either an empty row or events",
        )
        rows = np.flatnonzero(named & self.finite & (self.label >= 0))
        order = rows[np.lexsort((self.offset[rows], self.onset[rows], self.label[rows], self.name[rows]))]
        twin, overlap = repeats(self.name[order], self.label[order], self.onset[order], self.offset[order])
        before = dict(zip(order[1:], order[:-1], strict=True)) if twin.any() else {}
        self._tell(
            SCORED_WRONGLY,
            "duplicate_row",
            self._mask(order[1:][twin]),
            lambda i: f"the same event as row {self.line[before[i]]}",
            "each event once",
        )
        self._tell(
            REFUSED if form.overlaps_refused else WARNING,
            "overlap",
            self._mask(order[1:][overlap]),
            lambda i: (
                f"{self.labels[self.label[i]]} from {self.onset[i]:g} s overlaps an event of its class in "
                f"{self.names[self.name[i]]}"
            ),
            "separate events within a class",
        )

    def _events(self) -> Events:
        rows = np.flatnonzero((self.name >= 0) & self.finite & (self.label >= 0))
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

    def _mask(self, rows: np.ndarray) -> np.ndarray:
        mask = np.zeros(len(self.name), dtype=bool)
        mask[rows] = True
        return mask

    def _has_commas(self, i: int) -> bool:
        return any(_COMMAS.fullmatch(self.rows.text(name, i)) for name in ("onset", "offset"))

    def _times(self, i: int) -> str:
        return f"onset {self.onset[i]:g} s, offset {self.offset[i]:g} s"

    def _shown_times(self, i: int) -> str:
        return f"onset {self.rows.text('onset', i)[:40]!r}, offset {self.rows.text('offset', i)[:40]!r}"

    def _tell(
        self,
        severity: str,
        kind: str,
        mask: np.ndarray,
        message: Callable[[int], str],
        expected: str | Callable[[int], str],
        alike: tuple[np.ndarray, ...] = (),
    ) -> None:
        """Note rows, those with equal values in `alike` as one; the message of one that is summed up is never made."""
        rows = np.flatnonzero(mask)
        count = np.ones(len(rows), dtype=np.int64)
        if alike and len(rows):
            keys = np.stack([values[rows] for values in alike], axis=1)
            _, first, count = np.unique(keys, axis=0, return_index=True, return_counts=True)
            order = np.argsort(first)
            rows, count = rows[first[order]], count[order]
        room = self.findings.room(severity, kind, self.file)
        for i, n in zip(rows[:room], count[:room], strict=True):
            wanted = expected if isinstance(expected, str) else expected(i)
            self._tell_one(severity, kind, i, message(i), wanted, int(n))
        self.findings.add_more(severity, kind, self.file, int(count[room:].sum()))

    def _tell_one(self, severity: str, kind: str, row: int, message: str, expected: str, count: int = 1) -> None:
        self.findings.add(severity, kind, self.file, message, expected, int(self.line[row]), count)
