"""Events and tags in memory, integer-coded: what strong and weak tables hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.dataio.names import renamed

#: A soft label above this is an event where events are asked for (DCASE 2023 task 4 B and 2024 task 4).
ACTIVE_ABOVE = 0.5


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
    confidence
        (n_events,) float64 in [0, 1], a soft label for each event, NaN where the table tells none; None: they are
        events and nothing else.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    clip: np.ndarray
    label: np.ndarray
    onset_s: np.ndarray
    offset_s: np.ndarray
    line: np.ndarray
    source: str = "table"
    confidence: np.ndarray | None = None

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.clip)

    @property
    def soft_labels(self) -> np.ndarray:
        """(n_events,) float64: the confidence of each row, 1 where none is told of any."""
        return np.ones(self.n_events) if self.confidence is None else self.confidence

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[str, float | None, float | None, str | None]],
        labels: Sequence[str] | None = None,
        source: str = "table",
    ) -> Events:
        """Build a table from (filename, onset, offset, label) rows; three Nones list a clip without events."""
        names: dict[str, int] = {}
        events: list[tuple[int, float, float, str]] = []
        for name, onset, offset, label in rows:
            clip = names.setdefault(name, len(names))
            if label is not None:
                assert onset is not None and offset is not None
                events.append((clip, float(onset), float(offset), label))
        order = tuple(labels) if labels is not None else tuple(sorted({row[3] for row in events}))
        code = {label: i for i, label in enumerate(order)}
        for row in events:
            if row[3] not in code:
                raise SedkitError(f"{source}: unknown label {row[3]!r}{suggest(row[3], order)}")
        return cls(
            filenames=tuple(names),
            labels=order,
            clip=np.array([row[0] for row in events], dtype=np.int64),
            label=np.array([code[row[3]] for row in events], dtype=np.int64),
            onset_s=np.array([row[1] for row in events], dtype=np.float64),
            offset_s=np.array([row[2] for row in events], dtype=np.float64),
            line=np.arange(2, len(events) + 2, dtype=np.int64),
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
            confidence=None if self.confidence is None else self.confidence[rows],
        )

    def active(self) -> Events:
        """Return what is an event: the rows of a confidence above 0.5, all where none is told."""
        if self.confidence is None:
            return self
        return replace(self.take(self.confidence > ACTIVE_ABOVE), confidence=None)

    def in_order(self) -> Events:
        """Return the table with its events by clip, onset, offset and class."""
        return self.take(np.lexsort((self.label, self.offset_s, self.onset_s, self.clip)))

    def keep_clips(self, filenames: Sequence[str]) -> Events:
        """Return the table of exactly these clips, in this order; a clip that was not listed comes without events."""
        new = {name: i for i, name in enumerate(filenames)}
        code = np.array([new.get(name, -1) for name in self.filenames], dtype=np.int64)
        clip = code[self.clip] if self.n_events else self.clip
        events = self.take(clip >= 0)
        return replace(events, filenames=tuple(filenames), clip=clip[clip >= 0])

    def keep_labels(self, labels: Sequence[str]) -> Events:
        """Return the table with exactly these classes in this order; rows of other classes go, the clips stay."""
        new = {name: i for i, name in enumerate(labels)}
        code = np.array([new.get(name, -1) for name in self.labels], dtype=np.int64)
        label = code[self.label] if self.n_events else self.label
        events = self.take(label >= 0)
        return replace(events, labels=tuple(labels), label=label[label >= 0])

    def rows(self) -> Iterable[tuple[str, float | None, float | None, str | None]]:
        """Yield (filename, onset, offset, label) by clip and onset; three Nones for a clip without events."""
        events = self.in_order()
        counts = np.bincount(self.clip, minlength=len(self.filenames))
        first = np.concatenate([[0], np.cumsum(counts)])
        for i, name in enumerate(self.filenames):
            if counts[i] == 0:
                yield name, None, None, None
            for j in range(first[i], first[i + 1]):
                yield name, float(events.onset_s[j]), float(events.offset_s[j]), self.labels[events.label[j]]


def repeats(
    clip: np.ndarray, label: np.ndarray, onset_s: np.ndarray, offset_s: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tell which events, (n_events,) arrays each, stand twice, and which overlap others of their class in their clip.

    Returns
    -------
    twins, firsts, overlapping
        Indices of events that are the same as another one, and of that one; indices of the other events that begin
        before an earlier one ends. In order of clip, class and time.
    """
    order = np.lexsort((offset_s, onset_s, label, clip))
    a, b = order[:-1], order[1:]
    same = (clip[a] == clip[b]) & (label[a] == label[b])
    twin = same & (onset_s[a] == onset_s[b]) & (offset_s[a] == offset_s[b])
    group = np.concatenate([np.zeros(min(1, len(order)), dtype=np.int64), np.cumsum(~same)])
    # The furthest offset so far within a clip and class: an event that begins before it overlaps an earlier one.
    overlap = same & ~twin & (onset_s[b] < _running_max(offset_s[order], group)[:-1])
    return b[twin], a[twin], b[overlap]


def _running_max(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Running maximum within runs of equal `group` (0, 1, 2, ... in order)."""
    # Ranks instead of values, lifted by group, so that one pass of maximum.accumulate never carries over.
    rank = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    highest = np.maximum.accumulate(rank + group * len(values)) - group * len(values)
    return values[np.argsort(rank)][highest]


@dataclass(frozen=True)
class Tags:
    """A weak table: which classes occur in which clip, `present` being (clips, labels) bool."""

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    present: np.ndarray
    source: str = "table"

    def named_as(self, filenames: Iterable[str]) -> Tags:
        """Return the tags with clips called as in a list of others' names (see `names.renamed`)."""
        return replace(self, filenames=renamed(self.filenames, filenames, self.source))

    def keep_labels(self, labels: Sequence[str]) -> Tags:
        """Return the table with exactly these classes in this order; no clip holds one that was not there."""
        present = np.zeros((len(self.filenames), len(labels)), bool)
        for k, label in enumerate(labels):
            if label in self.labels:
                present[:, k] = self.present[:, self.labels.index(label)]
        return replace(self, labels=tuple(labels), present=present)

    def keep_clips(self, filenames: Sequence[str]) -> Tags:
        """Return the rows of these clips, in this order; a clip that is not listed is an error."""
        at = {name: i for i, name in enumerate(self.filenames)}
        missing = [name for name in filenames if name not in at]
        if missing:
            raise SedkitError(f"{self.source}: {len(missing)} clips are not listed ({listed(missing, 3)})")
        return replace(self, filenames=tuple(filenames), present=self.present[[at[n] for n in filenames]])


def tags_of(events: Events) -> Tags:
    """Return the tags that the events of each clip imply; of soft labels, those that are `Events.active`."""
    events = events.active()
    present = np.zeros((len(events.filenames), len(events.labels)), dtype=bool)
    present[events.clip, events.label] = True
    return Tags(events.filenames, events.labels, present, events.source)
