"""Faults of one event table, read as the bytes that stand in the package.

`sedkit.dataio.tables` forgives what the wild brings; this module does not: what the organisers' reader (pandas, TAB,
header in row 1) or their scorers would trip over is named, one finding a fault.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from sedkit.core.errors import listed, suggest
from sedkit.dataio.events import Events
from sedkit.dataio.names import AUDIO_ENDINGS, stem
from sedkit.dataio.rows import columns_of, number
from sedkit.dataio.tables import read_durations, read_filenames
from sedkit.submission.check.bytes import decoded, with_line_feeds
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format
from sedkit.submission.formats._format import COLUMNS

#: Durations are published with one decimal, and a system may round an offset up by a frame.
_PAST_END_S = 0.1
#: An end this little past the clip is the last frame of a decoder (the organisers' own outputs hold such rows) and is
#: scored as it stands; further out, times are of another clip or unit.
_OVERSHOOT_S = 1.0

#: The largest to be expected: 13,190 clips (2019) with 30 events of 70 bytes each, at a low threshold without a filter.
MOST_BYTES = 32 * 2**20

_EMPTY = ("", "nan")


@dataclass(frozen=True)
class ClipList:
    """The evaluation list: clips, and their durations in seconds where the list gives them."""

    filenames: tuple[str, ...]
    duration_s: dict[str, float] | None = None


def read_clip_list(path: str | os.PathLike[str]) -> ClipList:
    """Read the evaluation list: a table with `filename` and, if it has one, `duration` in seconds."""
    if "duration" not in columns_of(path):
        return ClipList(read_filenames(path))
    duration_s = read_durations(path)
    return ClipList(tuple(filter(None, duration_s)), duration_s)


@dataclass
class _Rows:
    """Rows with an event, the clips that a row lists without one, and all clips with a row, usable or not."""

    line: list[int]
    name: list[str]
    onset_s: list[float]
    offset_s: list[float]
    label: list[str]
    empty: dict[str, int]
    listed: set[str]


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
    lines = _decode(file, data, findings)
    if lines is None:
        return None
    first = _check_header(file, lines[0], findings)
    if first is None:
        return None
    rows = _split_rows(file, lines[first:], first + 1, findings)
    if not rows.listed:
        findings.add(REFUSED, "table_empty", file, "no row below the header", "the detected events")
        return None
    _check_rows(file, rows, form, clips, findings)
    return Events.from_rows(
        [
            *zip(rows.name, rows.onset_s, rows.offset_s, rows.label, strict=True),
            *((name, None, None, None) for name in rows.empty),
        ],
        source=file,
    )


def _decode(file: str, data: bytes, findings: Findings) -> list[str] | None:
    if data.startswith(b"\xef\xbb\xbf"):
        findings.add(WARNING, "bom", file, "begins with a byte order mark", "plain UTF-8", row=1)
        data = data[3:]
    text = decoded(file, data, findings)
    if text is None:
        return None
    if "\0" in text:
        findings.add(REFUSED, "encoding", file, "holds NUL bytes", "UTF-8 text")
        return None
    lines = with_line_feeds(file, text, findings).split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        findings.add(REFUSED, "table_empty", file, "is empty", f"a header {' '.join(COLUMNS)} and the detected events")
        return None
    return lines


def _check_header(file: str, header: str, findings: Findings) -> int | None:
    """Return the index of the first data line, or None where the rows cannot be told apart."""
    expected = "filename<TAB>onset<TAB>offset<TAB>event_label"
    cells = header.split("\t")
    if tuple(cells) == COLUMNS:
        return 1
    if len(cells) == 1 and any(c in header for c in ",; "):
        findings.add(REFUSED, "separator", file, f"columns are not separated by TABs: {header[:60]!r}", expected, row=1)
        return None
    if len(cells) == len(COLUMNS) and (_is_number(cells[1]) or cells[0].lower().endswith(AUDIO_ENDINGS)):
        # Without a header the reader takes the first event for the column names.
        findings.add(
            REFUSED, "header_missing", file, f"begins with the row {header[:60]!r}", f"a header {expected}", row=1
        )
        return 0
    findings.add(REFUSED, "header", file, f"header {header[:60]!r}", expected, row=1)
    return None


def _is_number(text: str) -> bool:
    return math.isfinite(number(text))


def _split_rows(file: str, lines: list[str], first_line: int, findings: Findings) -> _Rows:
    rows = _Rows([], [], [], [], [], {}, set())
    # One string for each name and label, however often it stands there.
    known: dict[str, str] = {}
    unparted: list[int] = []
    for line, text in enumerate(lines, start=first_line):
        cells = text.split("\t")
        if not text.strip():
            findings.add(NOTE, "blank_line", file, "is blank", "no blank lines", row=line)
            continue
        if not cells[0].strip():
            findings.add(REFUSED, "filename_missing", file, "no filename", "the name of a clip", row=line)
            continue
        if len(cells) == 1 and (clip := _clip_of_unparted(text)):
            unparted.append(line)
            rows.listed.add(clip)
            continue
        rows.listed.add(cells[0])
        if all(cell.strip().lower() in _EMPTY for cell in cells[1:]) and len(cells) <= len(COLUMNS):
            if cells[0] in rows.empty:
                findings.add(
                    SCORED_WRONGLY,
                    "duplicate_row",
                    file,
                    f"{cells[0]} is listed as without events twice",
                    "once",
                    row=line,
                )
            rows.empty.setdefault(cells[0], line)
            continue
        if len(cells) != len(COLUMNS):
            findings.add(REFUSED, "row_fields", file, f"{len(cells)} fields", f"{len(COLUMNS)}, TAB between", row=line)
            continue
        if not (_is_number(cells[1]) and _is_number(cells[2])):
            got = f"onset {cells[1]!r}, offset {cells[2]!r}"
            findings.add(REFUSED, "number", file, got, "seconds as numbers, with a point", row=line)
            continue
        rows.line.append(line)
        rows.name.append(known.setdefault(cells[0], cells[0]))
        rows.onset_s.append(float(cells[1]))
        rows.offset_s.append(float(cells[2]))
        rows.label.append(known.setdefault(cells[3], cells[3]))
    if unparted:
        message = (
            f"the fields of {len(unparted)} rows are not separated by TABs: {lines[unparted[0] - first_line][:60]!r}"
        )
        findings.add(REFUSED, "separator", file, message, "TAB between the fields, as in the header", row=unparted[0])
    return rows


def _clip_of_unparted(text: str) -> str | None:
    """Return the clip of a row that something else than TABs separates, None where it is a clip's name alone."""
    parts = re.split(r"[,;]|\s+", text.strip())
    if len(parts) < len(COLUMNS) or not all(_is_number(part) or not part for part in parts[1:3]):
        return None
    return parts[0]


def near_clip(name: str, known: Collection[str]) -> str:
    """Return `` (did you mean "x"?)`` for a clip whose name differs in little more than folder, ending or a letter.

    Names of clips are alike in shape (`Y…_30.000_40.000.wav`): what else is near in letters is another clip.
    """
    place = name.replace("\\", "/").rsplit("/", 1)[-1]
    mine = stem(place).lower()
    clips = sorted(known)
    for clip in clips:
        theirs = stem(clip).lower()
        short, long = sorted((mine, theirs), key=len)
        if mine == theirs or (len(short) >= 8 and short in long):
            return f' (did you mean "{clip}"?)'
    near = difflib.get_close_matches(place, clips, n=1, cutoff=0.9)
    return f' (did you mean "{near[0]}"?)' if near else ""


def _check_rows(file: str, rows: _Rows, form: Format, clips: ClipList | None, findings: Findings) -> None:
    known = set(clips.filenames) if clips else None
    durations = clips.duration_s if clips else None
    strangers: set[str] = set()
    for name, line in [*zip(rows.name, rows.line, strict=True), *rows.empty.items()]:
        if name in strangers:
            continue
        if known is not None and name not in known:
            hint = near_clip(name, known) if len(strangers) < 5 else ""
            message = f"{name} is not in the evaluation list{hint}"
            findings.add(SCORED_WRONGLY, "unknown_clip", file, message, "only clips of the list", row=line)
            strangers.add(name)
        elif known is None and ("/" in name or not name.lower().endswith(AUDIO_ENDINGS)):
            message = f"{name!r} is not the name of an audio file"
            findings.add(SCORED_WRONGLY, "clip_name", file, message, "<clip>.wav without a folder", row=line)
            strangers.add(name)
        elif known is None and not name.endswith(".wav"):
            message = f"{name!r}: the clips of every set are named .wav"
            findings.add(WARNING, "clip_name", file, message, "<clip>.wav", row=line)
            strangers.add(name)
    labels = set(form.labels)
    for name, line, onset, offset, label in zip(
        rows.name, rows.line, rows.onset_s, rows.offset_s, rows.label, strict=True
    ):
        if label not in labels:
            message = f"unknown class {label!r}{suggest(label, form.labels)}"
            findings.add(SCORED_WRONGLY, "unknown_class", file, message, f"one of {listed(form.labels, 12)}", row=line)
        times = f"onset {onset:g} s, offset {offset:g} s"
        end = durations.get(name) if durations else None
        limit = form.longest_clip_s if end is None else end + _PAST_END_S
        if onset >= offset:
            findings.add(SCORED_WRONGLY, "onset_offset", file, times, "onset before offset", row=line)
        elif onset < 0:
            findings.add(SCORED_WRONGLY, "negative_time", file, times, "times from 0 s", row=line)
        elif offset > limit:
            what = f"no clip longer than {limit:g} s" if end is None else f"{name} lasts {end:g} s"
            severity = WARNING if offset <= limit + _OVERSHOOT_S else SCORED_WRONGLY
            if onset >= (limit if end is None else end):
                # sed_eval looks at no duration; psds_eval at what lies within the clip alone.
                times += (
                    ", all of it past the end: a false positive without any chance to sed_eval, nothing to psds_eval"
                )
            findings.add(severity, "time_past_clip", file, times, f"times within the clip ({what})", row=line)
        if name in rows.empty:
            findings.add(
                SCORED_WRONGLY,
                "empty_row_beside_events",
                file,
                f"{name} is listed as without events, but has one in row {line}",
                "either an empty row or events",
                row=rows.empty.pop(name),
            )
    _check_overlaps(file, rows, form, findings)
    if clips:
        absent = [name for name in clips.filenames if name not in rows.listed]
        if absent:
            message = f"{len(absent)} of {len(clips.filenames)} listed clips have no row ({listed(absent, 3)})"
            findings.add(NOTE, "clip_missing", file, message + ": taken as without events")


def _check_overlaps(file: str, rows: _Rows, form: Format, findings: Findings) -> None:
    if not rows.name:
        return
    _, clip = np.unique(rows.name, return_inverse=True)
    _, label = np.unique(rows.label, return_inverse=True)
    onset, offset = np.array(rows.onset_s), np.array(rows.offset_s)
    order = np.lexsort((offset, onset, label, clip))
    severity = REFUSED if form.overlaps_refused else WARNING
    reach, last = -math.inf, -1
    for i in order:
        same = last >= 0 and clip[i] == clip[last] and label[i] == label[last]
        if same and onset[i] == onset[last] and offset[i] == offset[last]:
            message = f"the same event as row {rows.line[last]}"
            findings.add(SCORED_WRONGLY, "duplicate_row", file, message, "each event once", row=rows.line[i])
            continue
        if same and onset[i] < reach:
            message = f"{rows.label[i]} from {onset[i]:g} s overlaps an event of its class in {rows.name[i]}"
            findings.add(severity, "overlap", file, message, "separate events within a class", row=rows.line[i])
        reach = max(reach, offset[i]) if same else offset[i]
        last = i
