"""The tables of the challenge: events (strong), tags (weak), file lists, durations.

A table is read as it is found: TAB or comma separated, with or without an index column, a byte order mark, CRLF,
any number of digits. What is odd about it comes back as findings; `read_strong` and `read_weak` turn the serious
ones into errors that name file and row, `sedkit score` and `sedkit check` treat them in their own ways.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from sedkit.core.errors import SedkitError, listed, printable, suggest
from sedkit.core.files import write_text
from sedkit.dataio.event_formats import COLUMNS, CONFIDENCE, events_text, label_files, label_rows
from sedkit.dataio.events import Events, Tags, repeats
from sedkit.dataio.rows import Finding, Rows, read_rows, refuse

#: Kinds of finding in a strong table. Those in ERRORS make a row unusable; the others are scored as they stand.
ERRORS = ("unreadable_row", "not_a_number", "nan_beside_event", "missing_filename")
ORDER = ("negative_duration", "zero_duration", "negative_onset")
LABELS = ("unknown_label", "missing_label")
SOFT = ("bad_confidence", "missing_confidence")
#: Means of opinions may exceed 1 by rounding.
_ROUNDING = 1e-6


# ---------------------------------------------------------------------------------------------- strong tables


#: What a table calls its columns, by our names for them.
Called = Mapping[str, str] | None


def read_events(
    path: str | os.PathLike[str], labels: Sequence[str] | None = None, called: Called = None
) -> tuple[Events, list[Finding]]:
    """Read a strong table (`filename onset offset event_label`) as found in the wild.

    Parameters
    ----------
    path
        The table, as `rows.parse_rows` takes it, header needed, further columns but `confidence` are passed over; or
        one of the other formats that `event_formats` reads, or a folder of such files, one a recording.
    labels
        Class order. A label outside it is a finding, and its rows keep a class appended after the given ones.
    called
        What the table calls its columns, where they have other names.

    Returns
    -------
    events, findings
        Unusable rows (kinds in `ERRORS`) are left out of the events.

    Raises
    ------
    SedkitError
        The file is no table, or its header lacks a column.
    """
    if os.path.isdir(path):
        read = [_events_of(_rows_at(file, clip, called), labels) for clip, file in label_files(path).items()]
        return joined([events for events, _ in read], labels, str(path)), [x for _, findings in read for x in findings]
    return _events_of(_rows_at(path, None, called), labels)


def _rows_at(path: str | os.PathLike[str], clip: str | None, called: Called) -> Rows:
    rows = label_rows(path, clip)
    if rows is not None:
        return rows
    return read_rows(path, COLUMNS, (CONFIDENCE,), numbers=("onset", "offset", CONFIDENCE), called=called)


def joined(tables: Sequence[Events], labels: Sequence[str] | None, source: str) -> Events:
    """Return several tables as one: classes as given, then the others that occur, sorted."""
    others = sorted({label for table in tables for label in table.labels} - set(labels or ()))
    events = Events.from_rows([row for table in tables for row in table.rows()], (*(labels or ()), *others), source)
    if all(table.confidence is None for table in tables):
        return events
    return replace(events, confidence=np.concatenate([table.in_order().soft_labels for table in tables]))


def _events_of(table: Rows, labels: Sequence[str] | None) -> tuple[Events, list[Finding]]:
    """Return the events of a table's rows, and what is odd about them."""
    source, findings = table.source, list(table.findings)
    name, names = table.coded("filename")
    label, classes = table.coded("event_label")
    onset, offset = table.numbers("onset"), table.numbers("offset")
    no_onset, no_offset = table.missing("onset"), table.missing("offset")

    named, lone = name >= 0, (label < 0) & no_onset & no_offset  # the latter lists a clip without events
    bad_number = (~np.isfinite(onset) & ~no_onset) | (~np.isfinite(offset) & ~no_offset)
    beside = ~lone & ~bad_number & (no_onset | no_offset)
    unlabelled = ~lone & (label < 0) & ~bad_number & ~beside

    tell = functools.partial(_tell, findings, source, table.line)

    def times(i: int) -> str:
        return f"onset {table.text('onset', i)!r}, offset {table.text('offset', i)!r}"

    index = " (rows have a field more than the header: the first is taken for an index)" if table.has_index else ""
    tell(~named, "missing_filename", lambda i: "no filename, expected the name of a clip")
    tell(named & bad_number, "not_a_number", lambda i: f"{times(i)}, expected seconds as numbers{index}")
    tell(
        named & beside,
        "nan_beside_event",
        lambda i: (
            f"{times(i)} beside label {classes[label[i]] if label[i] >= 0 else ''!r}; expected both numbers, or all "
            f"three fields empty for a clip without events{index}"
        ),
    )
    tell(named & unlabelled, "missing_label", lambda i: "an event without event_label, expected a class name")

    usable = named & ~bad_number & ~beside & ~unlabelled
    eventful = usable & ~lone
    confidence = table.numbers(CONFIDENCE) if CONFIDENCE in table.names else None
    if confidence is not None:
        untold = table.missing(CONFIDENCE)
        within = (confidence >= 0) & (confidence <= 1 + _ROUNDING)
        tell(eventful & untold, "missing_confidence", lambda i: "no confidence, expected a number from 0 to 1")
        tell(
            eventful & ~untold & ~within,
            "bad_confidence",
            lambda i: f"confidence {table.text(CONFIDENCE, i)!r}, expected a number from 0 to 1",
        )
        confidence = np.minimum(confidence, 1.0)
    clip, filenames = _renumbered(name, names, usable)
    code, order = _class_order(label[eventful], classes, labels)
    events = Events(
        filenames=filenames,
        labels=order,
        clip=clip[eventful],
        label=code,
        onset_s=onset[eventful],
        offset_s=offset[eventful],
        line=table.line[eventful],
        source=source,
        confidence=None if confidence is None else confidence[eventful],
    )
    with_events = np.zeros(len(filenames), dtype=bool)
    with_events[events.clip] = True
    listed_empty = usable & lone
    listed_empty[listed_empty] = with_events[clip[listed_empty]]
    tell(
        listed_empty,
        "empty_row_beside_events",
        lambda i: f"{names[name[i]]} is listed without events, but has events in other rows",
    )
    findings.extend(_event_findings(events, labels))
    return events, findings


def _renumbered(code: np.ndarray, names: tuple[str, ...], usable: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Number the names of usable rows in order of first appearance; the codes of other rows become -1."""
    distinct, first = np.unique(code[usable], return_index=True)
    distinct = distinct[np.argsort(first)]
    new = np.full(len(names) + 1, -1, dtype=np.int64)
    new[distinct] = np.arange(len(distinct))
    return np.where(usable, new[code], -1), tuple(names[i] for i in distinct)


def _class_order(
    code: np.ndarray, names: tuple[str, ...], labels: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Recode classes: those given, then the others that occur, sorted."""
    occurring = [names[i] for i in np.unique(code)]
    order = (*(labels or ()), *(name for name in occurring if name not in set(labels or ())))
    at = {name: i for i, name in enumerate(order)}
    return np.array([at.get(name, -1) for name in names], dtype=np.int64)[code], order


def _event_findings(events: Events, labels: Sequence[str] | None) -> list[Finding]:
    """Look at usable events: order of times, labels, duplicates, overlaps within a class."""
    findings: list[Finding] = []
    tell = functools.partial(_tell, findings, events.source, events.line)
    on, off = events.onset_s, events.offset_s
    times: Callable[[int], str] = lambda i: f"onset {on[i]:g} s, offset {off[i]:g} s"  # noqa: E731
    tell(off < on, "negative_duration", lambda i: f"{times(i)}, expected onset before offset")
    tell(off == on, "zero_duration", lambda i: f"{times(i)}, expected onset before offset")
    tell(on < 0, "negative_onset", lambda i: f"{times(i)}, expected times from 0 s")
    if labels is not None:
        unknown = {k: _unknown(events.labels[k], labels) for k in range(len(labels), len(events.labels))}
        tell(events.label >= len(labels), "unknown_label", lambda i: unknown[int(events.label[i])])
    twins, firsts, overlapping = repeats(events.clip, events.label, on, off)
    twin_of = dict(zip(twins, firsts, strict=True))
    tell(twins, "duplicate_row", lambda i: f"same event as line {events.line[twin_of[i]]}")
    tell(
        overlapping,
        "overlap",
        lambda i: (
            f"{events.labels[events.label[i]]} at {on[i]:g} s overlaps an earlier event of its class in "
            f"{events.filenames[events.clip[i]]}"
        ),
    )
    return findings


def _tell(
    findings: list[Finding], source: str, line: np.ndarray, rows: np.ndarray, kind: str, text: Callable[[int], str]
) -> None:
    """Add what `text` says of each of the rows, given by number or as a mask."""
    numbers = np.flatnonzero(rows) if rows.dtype == bool else rows
    findings.extend(Finding(kind, f"{source}:{line[i]}: {text(i)}", int(line[i])) for i in numbers)


def _unknown(label: str, labels: Sequence[str]) -> str:
    return f"unknown label {label!r}{suggest(label, labels)}; expected one of {listed(labels, 12)}"


def read_strong(
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    lenient: bool | None = None,
    called: Called = None,
    clip: str | None = None,
    soft: bool = False,
) -> Events:
    """Read a strong table strictly: the first row that cannot be right is an error naming file and row.

    With `lenient` such rows are left out, counted and logged; None is False where a verb has no such option, so that
    the error does not advise it. Overlapping and duplicate rows stay: the official tables hold them. A column
    `confidence` is read where `soft` labels are wanted, and passed over else.
    """
    if os.path.isdir(path):
        files = label_files(path).items()
        read = [_strict(_rows_at(file, clip, called), labels, lenient, soft) for clip, file in files]
        return joined(read, labels, str(path))
    return _strict(_rows_at(path, clip, called), labels, lenient, soft)


def _strict(table: Rows, labels: Sequence[str] | None, lenient: bool | None, soft: bool) -> Events:
    """Refuse, or leave out, rows that cannot be right."""
    events, findings = _events_of(table, labels)
    events = events if soft else replace(events, confidence=None)
    bad = [f for f in findings if f.kind in ERRORS + ORDER + LABELS + (SOFT if soft else ())]
    refuse(bad, events.source, lenient)
    if bad and lenient:
        gone = [f.line for f in bad if f.line is not None]
        left = events.take(~np.isin(events.line, gone))
        # A clip whose every row is left out is one of unknown events, not one without.
        unknown = set(events.clip.tolist()) - set(left.clip.tolist())
        events = left.keep_clips([name for i, name in enumerate(events.filenames) if i not in unknown])
        events = events.keep_labels(labels if labels is not None else events.labels)
    return events


def write_events(path: str | os.PathLike[str], events: Events) -> None:
    """Write a strong table: TAB, LF, header; a clip without events is its name and empty fields."""
    write_text(path, events_text(events))


# ---------------------------------------------------------------------------------------------- weak tables, lists


def read_weak(
    path: str | os.PathLike[str],
    labels: Sequence[str] | None = None,
    lenient: bool | None = None,
    called: Called = None,
) -> Tags:
    """Read a weak table (`filename event_labels`, labels joined by commas; repeated labels count once)."""
    table = read_rows(path, ("filename", "event_labels"), called=called)
    bad = list(table.findings)
    rows: dict[str, tuple[str, ...]] = {}
    known = None if labels is None else set(labels)
    hints: dict[str, str] = {}
    cells = zip(table.line.tolist(), table.cells("filename"), table.cells("event_labels"), strict=True)
    for line, name, cell in cells:
        tags = tuple(dict.fromkeys(x.strip() for x in cell.split(",") if x.strip()))
        unknown = next((x for x in tags if known is not None and x not in known), None)
        if not name:
            bad.append(Finding("missing_filename", f"{path}:{line}: no filename, expected the name of a clip", line))
        elif unknown is not None and labels is not None:
            parts = " (commas part the labels of a weak table)" if "," in cell else ""
            text = hints[unknown] = hints.get(unknown) or _unknown(unknown, labels) + parts
            bad.append(Finding("unknown_label", f"{path}:{line}: {text}", line))
        elif name in rows and set(rows[name]) != set(tags):
            bad.append(Finding("duplicate_row", f"{path}:{line}: {name} stands twice with different labels", line))
        else:
            rows[name] = tags
    refuse(bad, path, lenient)
    order = tuple(labels) if labels is not None else tuple(sorted({x for tags in rows.values() for x in tags}))
    column = {label: i for i, label in enumerate(order)}
    present = np.zeros((len(rows), len(order)), dtype=bool)
    for i, tags in enumerate(rows.values()):
        present[i, [column[tag] for tag in tags]] = True
    return Tags(tuple(rows), order, present, str(path))


def write_weak(path: str | os.PathLike[str], tags: Tags) -> None:
    """Write a weak table: TAB, LF, header, labels in class order joined by commas.

    Raises
    ------
    SedkitError
        A class whose name holds a comma is present in a clip: it would be read back as two classes.
    """
    parted = [label for k, label in enumerate(tags.labels) if "," in label and tags.present[:, k].any()]
    if parted:
        raise SedkitError(
            f"{path}: label {parted[0]!r} holds a comma, which parts the labels of a weak table; "
            "expected names without commas"
        )
    out = ["filename\tevent_labels\n"]
    for name, row in zip(tags.filenames, tags.present, strict=True):
        out.append(f"{name}\t{','.join(label for label, on in zip(tags.labels, row, strict=True) if on)}\n")
    write_text(path, "".join(out))


def read_filenames(path: str | os.PathLike[str], called: Called = None) -> tuple[str, ...]:
    """Return the distinct clips that a table lists (column `filename`), in order of first appearance."""
    return tuple(dict.fromkeys(filter(None, read_rows(path, ("filename",), called=called).cells("filename"))))


def read_durations(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read clip durations in seconds (`filename duration`); repeated rows must agree."""
    table = read_rows(path, ("filename", "duration"), numbers=("duration",))
    refuse(table.findings, path)
    out: dict[str, float] = {}
    for line, name, value in zip(table.line, table.cells("filename"), durations_of(table).tolist(), strict=True):
        if out.setdefault(name, value) != value:
            raise SedkitError(f"{path}:{line}: {name} lasts {value:g} s here and {out[name]:g} s in an earlier row")
    return out


def durations_of(table: Rows) -> np.ndarray:
    """Return the columns `duration` of a table with `filename`, (n_rows,) float64 seconds.

    Raises
    ------
    SedkitError
        A row without a name, or a duration that is no number above 0.
    """
    seconds, names = table.numbers("duration"), table.cells("filename")
    nameless = np.array([not name for name in names], dtype=bool)
    for i in np.flatnonzero(nameless | ~np.isfinite(seconds) | (seconds <= 0))[:1]:
        what = f"duration {table.text('duration', i)!r} of {printable(names[i])}, expected seconds above 0"
        raise SedkitError(f"{table.source}:{table.line[i]}: {what if names[i] else 'no filename, expected a clip'}")
    return seconds
