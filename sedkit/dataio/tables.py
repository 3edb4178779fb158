"""The tables of the challenge: events (strong), tags (weak), file lists, durations.

A table is read as it is found: TAB or comma separated, with or without an index column, a byte order mark, CRLF,
any number of digits. What is odd about it comes back as findings; `read_strong` and `read_weak` turn the serious
ones into errors that name file and row, `sedkit score` and `sedkit check` treat them in their own ways.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import write_text
from sedkit.dataio.rows import Finding, number, numbers, read_rows, refuse

if TYPE_CHECKING:
    import pandas as pd

#: Kinds of finding in a strong table. Those in ERRORS make a row unusable; the others are scored as they stand.
ERRORS = ("unreadable_row", "not_a_number", "nan_beside_event", "missing_filename")
ORDER = ("negative_duration", "zero_duration", "negative_onset")
LABELS = ("unknown_label", "missing_label")
ODDITIES = ("duplicate_row", "overlap", "empty_row_beside_events")


@dataclass(frozen=True)
class Events:
    """A strong table, integer-coded.

    Attributes
    ----------
    filenames
        Every clip that the table lists, with or without events, in order of first appearance.
    labels
        Class order.
    clip, label
        (n_events,) int64, indices into `filenames` and `labels`.
    onset_s, offset_s
        (n_events,) float64, seconds.
    line
        (n_events,) int64, line in the file (1 is the header).
    source
        Where the table came from, for messages.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    clip: np.ndarray
    label: np.ndarray
    onset_s: np.ndarray
    offset_s: np.ndarray
    line: np.ndarray
    source: str = "table"

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.clip)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[str, float | None, float | None, str | None]],
        labels: Sequence[str] | None = None,
        source: str = "table",
    ) -> Events:
        """Build a table from (filename, onset, offset, label) rows; three Nones list a clip without events."""
        names: dict[str, int] = {}
        found: list[tuple[int, float, float, str]] = []
        for name, onset, offset, label in rows:
            clip = names.setdefault(name, len(names))
            if label is not None:
                assert onset is not None and offset is not None
                found.append((clip, float(onset), float(offset), label))
        order = tuple(labels) if labels is not None else tuple(sorted({row[3] for row in found}))
        code = {label: i for i, label in enumerate(order)}
        for row in found:
            if row[3] not in code:
                raise SedkitError(f"{source}: unknown label {row[3]!r}{suggest(row[3], order)}")
        return cls(
            filenames=tuple(names),
            labels=order,
            clip=np.array([row[0] for row in found], dtype=np.int64),
            label=np.array([code[row[3]] for row in found], dtype=np.int64),
            onset_s=np.array([row[1] for row in found], dtype=np.float64),
            offset_s=np.array([row[2] for row in found], dtype=np.float64),
            line=np.arange(2, len(found) + 2, dtype=np.int64),
            source=source,
        )

    def take(self, rows: np.ndarray) -> Events:
        """Return the table with these event rows (indices or a mask); the clips stay."""
        return replace(
            self,
            clip=self.clip[rows],
            label=self.label[rows],
            onset_s=self.onset_s[rows],
            offset_s=self.offset_s[rows],
            line=self.line[rows],
        )

    def keep_clips(self, filenames: Sequence[str]) -> Events:
        """Return the table of exactly these clips, in this order; a clip that was not listed comes without events."""
        new = {name: i for i, name in enumerate(filenames)}
        code = np.array([new.get(name, -1) for name in self.filenames], dtype=np.int64)
        clip = code[self.clip] if self.n_events else self.clip
        kept = self.take(clip >= 0)
        return replace(kept, filenames=tuple(filenames), clip=clip[clip >= 0])

    def keep_labels(self, labels: Sequence[str]) -> Events:
        """Return the table with exactly these classes in this order; rows of other classes go, the clips stay."""
        new = {name: i for i, name in enumerate(labels)}
        code = np.array([new.get(name, -1) for name in self.labels], dtype=np.int64)
        label = code[self.label] if self.n_events else self.label
        kept = self.take(label >= 0)
        return replace(kept, labels=tuple(labels), label=label[label >= 0])

    def rows(self) -> Iterable[tuple[str, float | None, float | None, str | None]]:
        """Yield (filename, onset, offset, label) by clip and onset; three Nones for a clip without events."""
        order = np.lexsort((self.label, self.offset_s, self.onset_s, self.clip))
        counts = np.bincount(self.clip, minlength=len(self.filenames))
        first = np.concatenate([[0], np.cumsum(counts)])
        for i, name in enumerate(self.filenames):
            if counts[i] == 0:
                yield name, None, None, None
            for j in order[first[i] : first[i + 1]]:
                yield name, float(self.onset_s[j]), float(self.offset_s[j]), self.labels[self.label[j]]

    def frame(self) -> pd.DataFrame:
        """Return a pandas DataFrame filename, onset, offset, event_label; a clip without events is a row of NaN."""
        import pandas as pd

        return pd.DataFrame(
            [(n, np.nan if a is None else a, np.nan if b is None else b, c) for n, a, b, c in self.rows()],
            columns=["filename", "onset", "offset", "event_label"],
        )


@dataclass(frozen=True)
class Tags:
    """A weak table: which classes occur in which clip, `present` being (clips, labels) bool."""

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    present: np.ndarray
    source: str = "table"

    def keep_clips(self, filenames: Sequence[str]) -> Tags:
        """Return the rows of these clips, in this order; a clip that is not listed is an error."""
        at = {name: i for i, name in enumerate(self.filenames)}
        missing = [name for name in filenames if name not in at]
        if missing:
            raise SedkitError(f"{self.source}: {len(missing)} clips are not listed ({listed(missing, 3)})")
        return replace(self, filenames=tuple(filenames), present=self.present[[at[n] for n in filenames]])


def tags_of(events: Events) -> Tags:
    """Return the tags that the events of each clip imply."""
    present = np.zeros((len(events.filenames), len(events.labels)), dtype=bool)
    present[events.clip, events.label] = True
    return Tags(events.filenames, events.labels, present, events.source)


# ---------------------------------------------------------------------------------------------- strong tables


def read_events(path: str | os.PathLike[str], labels: Sequence[str] | None = None) -> tuple[Events, list[Finding]]:
    """Read a strong table (`filename onset offset event_label`) as found in the wild.

    Parameters
    ----------
    path
        The table. Header needed; TAB or comma separated; further columns are passed over.
    labels
        Class order. A label outside it is a finding, and its rows keep a class appended after the given ones.

    Returns
    -------
    events, findings
        Unusable rows (kinds in `ERRORS`) are left out of the events.

    Raises
    ------
    SedkitError
        The file cannot be read or its header lacks a column.
    """
    table = read_rows(path, ("filename", "onset", "offset", "event_label"))
    findings = list(table.findings)
    name, label = table.columns["filename"], table.columns["event_label"]
    onset_text, offset_text = table.columns["onset"], table.columns["offset"]
    onset, offset = numbers(onset_text), numbers(offset_text)
    line = np.array(table.line, dtype=np.int64)
    n = len(line)

    named = np.array([bool(x) for x in name], dtype=bool)
    blank = np.array([x.lower() in ("", "nan") for x in label], dtype=bool)
    empty_onset = np.array([x.lower() in ("", "nan") for x in onset_text], dtype=bool)
    empty_offset = np.array([x.lower() in ("", "nan") for x in offset_text], dtype=bool)
    lone = blank & empty_onset & empty_offset  # the official way to list a clip without events
    bad_number = (~np.isfinite(onset) & ~empty_onset) | (~np.isfinite(offset) & ~empty_offset)
    beside = ~lone & ~bad_number & (empty_onset | empty_offset)
    unlabelled = ~lone & blank & ~bad_number & ~beside

    def tell(rows: np.ndarray, kind: str, text: Callable[[int], str]) -> None:
        findings.extend(Finding(kind, f"{path}:{line[i]}: {text(i)}", int(line[i])) for i in np.flatnonzero(rows))

    tell(~named, "missing_filename", lambda i: "no filename, expected the name of a clip")
    tell(
        named & bad_number,
        "not_a_number",
        lambda i: f"onset {onset_text[i]!r}, offset {offset_text[i]!r}, expected seconds as numbers",
    )
    tell(
        named & beside,
        "nan_beside_event",
        lambda i: (
            f"onset {onset_text[i]!r}, offset {offset_text[i]!r} beside label {label[i]!r}; expected both "
            "numbers, or all three fields empty for a clip without events"
        ),
    )
    tell(named & unlabelled, "missing_label", lambda i: "an event without event_label, expected a class name")

    usable = named & ~bad_number & ~beside & ~unlabelled
    names: dict[str, int] = {}
    clip = np.array(
        [names.setdefault(x, len(names)) if ok else -1 for x, ok in zip(name, usable, strict=True)], dtype=np.int64
    )
    keep = usable & ~lone
    found = [label[i] for i in np.flatnonzero(keep)]
    order = _label_order(found, labels)
    code = {x: i for i, x in enumerate(order)}
    events = Events(
        filenames=tuple(names),
        labels=order,
        clip=clip[keep] if n else np.zeros(0, np.int64),
        label=np.array([code[x] for x in found], dtype=np.int64),
        onset_s=onset[keep],
        offset_s=offset[keep],
        line=line[keep],
        source=str(path),
    )
    listed_empty = set(clip[usable & lone].tolist()) & set(events.clip.tolist())
    tell(
        usable & lone & np.isin(clip, list(listed_empty)),
        "empty_row_beside_events",
        lambda i: f"{name[i]} is listed without events, but has events in other rows",
    )
    findings.extend(event_findings(events, labels))
    return events, findings


def _label_order(found: Iterable[str], labels: Sequence[str] | None) -> tuple[str, ...]:
    distinct = set(found)
    if labels is None:
        return tuple(sorted(distinct))
    return (*labels, *sorted(distinct - set(labels)))


def event_findings(events: Events, labels: Sequence[str] | None = None) -> list[Finding]:
    """Look at usable events: order of times, labels, duplicates, overlaps within a class."""
    out: list[Finding] = []

    def where(i: int) -> str:
        return f"{events.source}:{events.line[i]}"

    def tell(rows: np.ndarray, kind: str, text: Callable[[int], str]) -> None:
        out.extend(Finding(kind, f"{where(i)}: {text(i)}", int(events.line[i])) for i in np.flatnonzero(rows))

    on, off = events.onset_s, events.offset_s
    times: Callable[[int], str] = lambda i: f"onset {on[i]:g} s, offset {off[i]:g} s"  # noqa: E731
    tell(off < on, "negative_duration", lambda i: f"{times(i)}, expected onset before offset")
    tell(off == on, "zero_duration", lambda i: f"{times(i)}, expected onset before offset")
    tell(on < 0, "negative_onset", lambda i: f"{times(i)}, expected times from 0 s")
    if labels is not None:
        tell(
            events.label >= len(labels),
            "unknown_label",
            lambda i: (
                f"unknown label {events.labels[events.label[i]]!r}"
                f"{suggest(events.labels[events.label[i]], labels)}; expected one of {listed(labels, 12)}"
            ),
        )
    if events.n_events:
        order = np.lexsort((off, on, events.label, events.clip))
        a, b = order[:-1], order[1:]
        same = (events.clip[a] == events.clip[b]) & (events.label[a] == events.label[b])
        twin = same & (on[a] == on[b]) & (off[a] == off[b])
        group = np.concatenate([[0], np.cumsum(~same)])
        # The furthest offset so far within a clip and class: an event that begins before it overlaps an earlier one.
        furthest = _running_max(off[order], group)[:-1]
        overlap = same & ~twin & (on[b] < furthest)
        for later, earlier in zip(b[twin], a[twin], strict=True):
            out.append(
                Finding(
                    "duplicate_row",
                    f"{where(later)}: same event as line {events.line[earlier]}",
                    int(events.line[later]),
                )
            )
        for later in b[overlap]:
            out.append(
                Finding(
                    "overlap",
                    f"{where(later)}: {events.labels[events.label[later]]} at {on[later]:g} s overlaps an earlier "
                    f"event of its class in {events.filenames[events.clip[later]]}",
                    int(events.line[later]),
                )
            )
    return out


def _running_max(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Running maximum within runs of equal `group` (0, 1, 2, ... in order)."""
    # Ranks instead of values, lifted by group, so that one pass of maximum.accumulate never carries over.
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    highest = np.maximum.accumulate(rank + group * len(values)) - group * len(values)
    return values[np.argsort(rank)][highest]


def read_strong(
    path: str | os.PathLike[str], labels: Sequence[str] | None = None, lenient: bool | None = None
) -> Events:
    """Read a strong table strictly: the first row that cannot be right is an error naming file and row.

    With `lenient` such rows are left out, counted and logged; None is False where a verb has no such option, so that
    the error does not advise it. Overlapping and duplicate rows stay: the official
    tables hold them.
    """
    events, findings = read_events(path, labels)
    bad = [f for f in findings if f.kind in ERRORS + ORDER + LABELS]
    refuse(bad, path, lenient)
    if bad and lenient:
        gone = [f.line for f in bad if f.line is not None]
        left = events.take(~np.isin(events.line, gone))
        # A clip whose every row is left out is one of unknown events, not one without.
        unknown = set(events.clip.tolist()) - set(left.clip.tolist())
        events = left.keep_clips([name for i, name in enumerate(events.filenames) if i not in unknown])
        events = events.keep_labels(labels if labels is not None else events.labels)
    return events


def _seconds(value: float) -> str:
    """Write seconds with three decimals, or with as many as are needed to read the same number back."""
    text = f"{value:.3f}"
    return text if float(text) == value else repr(value)


def write_events(path: str | os.PathLike[str], events: Events) -> None:
    """Write a strong table: TAB, LF, header; a clip without events is its name and three empty fields."""
    write_text(path, events_text(events))


def events_text(events: Events) -> str:
    """Return what `write_events` writes."""
    out = ["filename\tonset\toffset\tevent_label\n"]
    for name, onset, offset, label in events.rows():
        if label is None or onset is None or offset is None:
            out.append(f"{name}\t\t\t\n")
        else:
            out.append(f"{name}\t{_seconds(onset)}\t{_seconds(offset)}\t{label}\n")
    return "".join(out)


# ---------------------------------------------------------------------------------------------- weak tables, lists


def read_weak(path: str | os.PathLike[str], labels: Sequence[str] | None = None, lenient: bool | None = None) -> Tags:
    """Read a weak table (`filename event_labels`, labels joined by commas; repeated labels count once)."""
    table = read_rows(path, ("filename", "event_labels"))
    bad = list(table.findings)
    rows: dict[str, tuple[str, ...]] = {}
    for line, name, cell in zip(table.line, table.columns["filename"], table.columns["event_labels"], strict=True):
        tags = tuple(dict.fromkeys(x.strip() for x in cell.split(",") if x.strip()))
        unknown = [x for x in tags if labels is not None and x not in labels]
        if not name:
            bad.append(Finding("missing_filename", f"{path}:{line}: no filename, expected the name of a clip", line))
        elif unknown:
            assert labels is not None
            text = f"unknown label {unknown[0]!r}{suggest(unknown[0], labels)}; expected one of {listed(labels, 12)}"
            bad.append(Finding("unknown_label", f"{path}:{line}: {text}", line))
        elif name in rows and set(rows[name]) != set(tags):
            bad.append(Finding("duplicate_row", f"{path}:{line}: {name} stands twice with different labels", line))
        else:
            rows[name] = tags
    refuse(bad, path, lenient)
    order = tuple(labels) if labels is not None else tuple(sorted({x for tags in rows.values() for x in tags}))
    present = np.zeros((len(rows), len(order)), dtype=bool)
    for i, tags in enumerate(rows.values()):
        for tag in tags:
            present[i, order.index(tag)] = True
    return Tags(tuple(rows), order, present, str(path))


def write_weak(path: str | os.PathLike[str], tags: Tags) -> None:
    """Write a weak table: TAB, LF, header, labels in class order joined by commas."""
    out = ["filename\tevent_labels\n"]
    for name, row in zip(tags.filenames, tags.present, strict=True):
        out.append(f"{name}\t{','.join(label for label, on in zip(tags.labels, row, strict=True) if on)}\n")
    write_text(path, "".join(out))


def read_filenames(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the distinct clips that a table lists (column `filename`), in order of first appearance."""
    return tuple(dict.fromkeys(x for x in read_rows(path, ("filename",)).columns["filename"] if x))


def read_durations(path: str | os.PathLike[str]) -> dict[str, float]:
    """Read clip durations in seconds (`filename duration`); repeated rows must agree."""
    table = read_rows(path, ("filename", "duration"))
    out: dict[str, float] = {}
    for line, name, cell in zip(table.line, table.columns["filename"], table.columns["duration"], strict=True):
        value = number(cell)
        if not np.isfinite(value) or value <= 0:
            raise SedkitError(f"{path}:{line}: duration {cell!r} of {name}, expected seconds above 0")
        if out.setdefault(name, value) != value:
            raise SedkitError(f"{path}:{line}: {name} lasts {value:g} s here and {out[name]:g} s in an earlier row")
    return out


def stem(filename: str) -> str:
    """Return a clip's name without its audio ending: the id that score files and some tables use.

    >>> stem("Y-abc_1.000_2.000.wav")
    'Y-abc_1.000_2.000'
    """
    return str(Path(filename).with_suffix("")) if Path(filename).suffix.lower() in AUDIO_ENDINGS else filename


#: File name endings taken for audio.
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
