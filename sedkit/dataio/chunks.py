"""Chunks: excerpts of equal length, where they begin, and which classes they hold.

A chunk table speaks of clips by index and of time in seconds, so that it serves waveforms and features alike. Three
ways to cut: *dense* (whole chunks only, overlapping: to train on), *grid* (back to back over the whole clip, the last
one possibly beyond its end: to be scored on) and *event-anchored* (what one publication tested on).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events, Tags

#: Slack in chunk hops that absorbs the rounding of sums such as 0.1 + 0.2.
_DUST = 1e-6


@dataclass(frozen=True)
class ChunkTable:
    """Chunks of a set of clips.

    Attributes
    ----------
    filenames
        The clips.
    labels
        Class order.
    clip
        (n,) int64, index into `filenames`.
    start_s
        (n,) float64, where a chunk begins in its clip, seconds.
    present
        (n, classes) bool.
    chunk_s
        Length of every chunk, seconds.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    clip: np.ndarray
    start_s: np.ndarray
    present: np.ndarray
    chunk_s: float = 1.0

    def __len__(self) -> int:
        return len(self.clip)

    def take(self, rows: np.ndarray) -> ChunkTable:
        """Return the table with these chunks (indices or a mask); the clips stay."""
        return replace(self, clip=self.clip[rows], start_s=self.start_s[rows], present=self.present[rows])

    def names(self) -> tuple[str, ...]:
        """Return a name for each chunk: its clip's stem, `@` and the start in milliseconds, such as ``dog@00300.wav``.

        Chunks that begin together are numbered: ``dog@00300-2.wav``.
        """
        stems = [name.rsplit(".", 1)[0] for name in self.filenames]
        seen: dict[str, int] = {}
        out = []
        for clip, start_s in zip(self.clip, self.start_s, strict=True):
            name = f"{stems[clip]}@{round(start_s * 1000):05d}"
            seen[name] = seen.get(name, 0) + 1
            out.append(f"{name}.wav" if seen[name] == 1 else f"{name}-{seen[name]}.wav")
        return tuple(out)


def dense_starts(duration_s: float, chunk_s: float = 1.0, hop_s: float = 0.1) -> np.ndarray:
    """Return the starts (seconds) of every whole chunk of a clip.

    >>> len(dense_starts(5.0))
    41
    """
    _check_grid(chunk_s, hop_s)
    n = int(np.floor((duration_s - chunk_s) / hop_s + _DUST)) + 1
    return np.arange(max(n, 0)) * hop_s


def covering_starts(duration_s: float, chunk_s: float = 1.0, hop_s: float = 1.0) -> np.ndarray:
    """Return the starts (seconds) of the fewest chunks, `hop_s` apart from 0 s on, that cover a clip to its end.

    >>> covering_starts(3.2).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    _check_grid(chunk_s, hop_s)
    if hop_s > chunk_s * (1 + _DUST):
        raise SedkitError(
            f"chunks of {chunk_s:g} s every {hop_s:g} s leave gaps, expected a hop of at most {chunk_s:g} s"
        )
    n = int(np.ceil((duration_s - chunk_s) / hop_s - _DUST)) + 1
    return np.arange(max(n, 1)) * hop_s


def _check_grid(chunk_s: float, hop_s: float) -> None:
    if not (chunk_s > 0 and hop_s > 0):
        raise SedkitError(f"chunks of {chunk_s:g} s every {hop_s:g} s, expected both above 0 s")


def tagged_chunks(tags: Tags, duration_s: np.ndarray, chunk_s: float = 1.0, hop_s: float = 0.1) -> ChunkTable:
    """Cut clips of isolated sounds densely; a chunk has its clip's classes.

    Parameters
    ----------
    tags
        Classes of each clip.
    duration_s
        (clips,) seconds.
    """
    starts = [dense_starts(d, chunk_s, hop_s) for d in duration_s]
    clip = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
    start_s = np.concatenate([*starts, np.zeros(0)])
    return ChunkTable(tags.filenames, tags.labels, clip, start_s, tags.present[clip], chunk_s)


def event_chunks(
    events: Events, duration_s: np.ndarray, chunk_s: float = 1.0, hop_s: float = 1.0, least_s: float = 0.0
) -> ChunkTable:
    """Cut whole clips on a grid; a chunk has the classes of the events that it overlaps.

    Parameters
    ----------
    events
        Strong labels of the clips.
    duration_s
        (clips,) seconds.
    hop_s
        Equal to `chunk_s`: chunks back to back.
    least_s
        A class is present where its events cover more than this much of the chunk (seconds); an event shorter than
        that counts where all of it lies inside.
    """
    starts = [covering_starts(d, chunk_s, hop_s) for d in duration_s]
    clip = np.repeat(np.arange(len(starts)), [len(s) for s in starts])
    start_s = np.concatenate([*starts, np.zeros(0)])
    first = np.concatenate([[0], np.cumsum([len(s) for s in starts])]).astype(np.int64)
    present = np.zeros((len(clip), len(events.labels)), dtype=bool)
    for c, label, onset, offset in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        own = slice(first[c], first[c + 1])
        overlap = np.minimum(start_s[own] + chunk_s, offset) - np.maximum(start_s[own], onset)
        present[own, label] |= overlap > min(least_s, (offset - onset) / 2) + _DUST * hop_s
    return ChunkTable(events.filenames, events.labels, clip, start_s, present, chunk_s)


def published_chunks(events: Events, labels: Sequence[str], chunk_s: float = 1.0) -> ChunkTable:
    """Cut as the published ESC-50 to DESED system did: from each event's onset on, so that no chunk is empty.

    The publication's rules are kept, faults included: events are sorted by file name and onset; chunks begin at the
    onset and every `chunk_s` after it while before the offset (the last one reaches beyond the event); where the next
    event of the file begins *later* than one chunk after this one's onset and its classes differ, both events take
    the classes of both (true overlaps are the other case); the last event of the table is dropped. The rule works
    down the table, so that classes travel on through several events: with that it gives the published 3057 chunks
    and 1.8 % of several classes on the public evaluation set.

    Parameters
    ----------
    events
        Strong labels; classes outside `labels` are left out first.
    labels
        Class order of the result.
    """
    kept = events.keep_labels(tuple(labels))
    names = np.array(kept.filenames, dtype=object)
    order = sorted(range(kept.n_events), key=lambda i: (names[kept.clip[i]], kept.onset_s[i], i))
    clip, onset, offset = kept.clip[order], kept.onset_s[order], kept.offset_s[order]
    classes = [frozenset([int(label)]) for label in kept.label[order]]
    rows: list[tuple[int, float, frozenset[int]]] = []
    for i in range(len(order) - 1):
        if clip[i + 1] == clip[i] and onset[i + 1] > onset[i] + chunk_s and classes[i + 1] != classes[i]:
            classes[i] = classes[i + 1] = classes[i] | classes[i + 1]
        start = float(onset[i])
        while start < offset[i]:
            rows.append((int(clip[i]), start, classes[i]))
            start += chunk_s
    present = np.zeros((len(rows), len(kept.labels)), dtype=bool)
    for j, (_, _, found) in enumerate(rows):
        present[j, list(found)] = True
    return ChunkTable(
        kept.filenames,
        kept.labels,
        np.array([row[0] for row in rows], dtype=np.int64),
        np.array([row[1] for row in rows], dtype=np.float64),
        present,
        chunk_s,
    )
