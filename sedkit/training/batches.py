"""Batches as dicts of streams. Which clips a step sees depends on seed and step alone, so any step can be resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.store import FeatureFile
from sedkit.models.scaler import Scaler
from sedkit.objectives.base import Batch, StreamBatch
from sedkit.training.settings import StreamSettings


def frame_targets(events: Events, grid: TimeGrid, n_frames: int) -> NDArray[np.uint8]:
    """Return (clips, n_frames, classes): 1 where an event is active, frame intervals half open."""
    target = np.zeros((len(events.filenames), n_frames, len(events.labels)), dtype=np.uint8)
    for clip, label, onset_s, offset_s in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        first, last = grid.span(float(onset_s), float(offset_s))
        target[clip, first:last, label] = 1
    return target


@dataclass
class Source:
    """Clips of one features file, with their targets.

    Attributes
    ----------
    features
        The file.
    rows
        (clips,) rows of the file.
    clip_target, frame_target
        (clips, classes) and (clips, frames, classes), or None.
    """

    features: FeatureFile
    rows: NDArray[np.int64]
    clip_target: NDArray[np.float32] | None
    frame_target: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return len(self.rows)


class Stream:
    """The clips of one stream, from one source or several (the validation set may join a training set).

    Attributes
    ----------
    random
        Whether `take` changes clips when it is given a random generator; whole clips are never changed.
    """

    random = False

    def __init__(self, name: str, sources: Sequence[Source]) -> None:
        self.name, self.sources = name, list(sources)
        self.first = np.concatenate([[0], np.cumsum([len(s) for s in self.sources])])
        if not len(self):
            raise SedkitError(f"stream {name!r} holds no clip")

    def __len__(self) -> int:
        return int(self.first[-1])

    def take(self, positions: NDArray[np.int64], scaler: Scaler | None = None) -> StreamBatch:
        """Return clips by position (0 to len - 1), scaled where a scaler is given."""
        if len(self.sources) == 1:
            batch = _take(self.sources[0], positions)
        else:
            which = np.searchsorted(self.first, positions, side="right") - 1
            parts = [_take(self.sources[w], positions[i : i + 1] - self.first[w]) for i, w in enumerate(which.tolist())]
            batch = StreamBatch(
                torch.cat([p.features for p in parts]),
                torch.cat([p.n_frames for p in parts]),
                _cat([p.clip_target for p in parts]),
                _cat([p.frame_target for p in parts]),
            )
        if scaler is not None:
            batch.features = scaler(batch.features)
        return batch

    def clip_keys(self) -> set[tuple[str, str]]:
        """Return what the stream is made of, each clip as (data dir, filename), to tell two streams apart."""
        return {
            (str(source.features.path.parent.resolve()), source.features.filenames[row])
            for source in self.sources
            for row in source.rows.tolist()
        }

    def blocks(self, size: int = 64) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield features and real frames of all clips, in turn."""
        for source in self.sources:
            for first in range(0, len(source), size):
                rows = source.rows[first : first + size]
                yield source.features.take(rows), source.features.n_frames[rows]


def _take(source: Source, positions: NDArray[np.int64]) -> StreamBatch:
    rows = source.rows[positions]
    clip, frame = source.clip_target, source.frame_target
    return StreamBatch(
        torch.from_numpy(source.features.take(rows)),
        torch.from_numpy(source.features.n_frames[rows]),
        None if clip is None else torch.from_numpy(clip[positions]),
        None if frame is None else torch.from_numpy(frame[positions].astype(np.float32)),
    )


def _cat(parts: list[torch.Tensor | None]) -> torch.Tensor | None:
    tensors = [p for p in parts if p is not None]
    return torch.cat(tensors) if len(tensors) == len(parts) else None


def rows_of(features: FeatureFile, filenames: Sequence[str], where: Path) -> NDArray[np.int64]:
    """Return the row of each clip in a features file."""
    at = {name: i for i, name in enumerate(features.filenames)}
    absent = [name for name in filenames if name not in at]
    if absent:
        raise SedkitError(
            f"{features.path}: lacks {len(absent)} of the {len(filenames)} clips of {where} ({listed(absent, 2)}); "
            "extract the features again"
        )
    return np.array([at[name] for name in filenames], dtype=np.int64)


def load_source(
    folder: Path, features_path: Path, target: str, folds: Sequence[str] | None, labels: Vocabulary | None
) -> tuple[Source, Vocabulary]:
    """Read one set: its features file, the clips of some folds, and their targets.

    Returns
    -------
    the source, and the data dir's classes (checked against `labels` where given)
    """
    data = DataDir(folder)
    if labels is not None:
        labels.check_same(data.labels, f"{folder}/labels.txt")
    features = FeatureFile(features_path)
    clips = data.select(folds)
    rows = rows_of(features, [data.clips.filename[i] for i in clips], folder)
    clip_target = frame_target = None
    if target == "frame":
        events = data.strong()
        grid = TimeGrid(features.sample_rate, features.hop_samples)
        frame_target = frame_targets(events, grid, features.shape[1])[clips]
    if target != "none":
        tags = data.weak() if data.has_weak else tags_of(data.strong())
        clip_target = tags.present[clips].astype(np.float32)
    return Source(features, rows, clip_target, frame_target), data.labels


def shares(streams: Mapping[str, StreamSettings], batch_size: int) -> dict[str, int]:
    """Return each stream's clips in a batch: proportional to its share, at least 1, `batch_size` in all.

    >>> shares({"a": StreamSettings("weak"), "b": StreamSettings("synthetic", share=3)}, 8)
    {'a': 2, 'b': 6}
    """
    if batch_size < len(streams):
        raise UsageError(
            f"training.batch_size is {batch_size}, expected at least one clip for each of {len(streams)} streams"
        )
    total = sum(s.share for s in streams.values())
    exact = {name: s.share / total * batch_size for name, s in streams.items()}
    counts = {name: max(1, int(value)) for name, value in exact.items()}
    while sum(counts.values()) < batch_size:
        name = max(counts, key=lambda n: exact[n] - counts[n])
        counts[name] += 1
    while sum(counts.values()) > batch_size:
        name = min((n for n in counts if counts[n] > 1), key=lambda n: exact[n] - counts[n])
        counts[name] -= 1
    return counts


class Sampler:
    """An endless shuffled order of `n` clips: one permutation after another, each drawn from (seed, stream, epoch).

    Nothing is remembered from step to step; a batch may begin in one epoch and end in the next.
    """

    def __init__(self, n: int, seed: int, stream: int) -> None:
        self.n, self.seed, self.stream = n, seed, stream
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, self.stream, epoch]).permutation(self.n)
            self._epoch = epoch
        return self._order

    def positions(self, first: int, count: int) -> NDArray[np.int64]:
        """Return the clips at places `first` to `first + count` of the order, (count,) int64."""
        out = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            epoch, place = divmod(first + done, self.n)
            piece = self._permutation(epoch)[place : place + count - done]
            out[done : done + len(piece)] = piece
            done += len(piece)
        return out


class Batches:
    """The batches of a run, read one ahead by a thread.

    Parameters
    ----------
    streams
        By name.
    counts
        Clips of each stream in a batch.
    seed
        Of the order.
    scaler, device
        Batches come scaled, on this device.
    """

    def __init__(
        self, streams: dict[str, Stream], counts: dict[str, int], seed: int, scaler: Scaler, device: torch.device
    ) -> None:
        self.streams, self.counts, self.device = streams, counts, device
        self.scaler = scaler.to(device)
        self.samplers = {name: Sampler(len(s), seed, i) for i, (name, s) in enumerate(streams.items())}

    def read(self, step: int) -> Batch:
        """Return the unscaled batch of a step, in (pinned) memory."""
        batch = {}
        for name, stream in self.streams.items():
            count = self.counts[name]
            positions = self.samplers[name].positions(step * count, count)
            if stream.random:
                # Drawn from (seed, stream, step), like the order: nothing to remember between steps.
                rng = np.random.default_rng([self.samplers[name].seed, self.samplers[name].stream, step, 1])
                batch[name] = stream.take(positions, None, rng)  # type: ignore[call-arg]
            else:
                batch[name] = stream.take(positions)
            if self.device.type == "cuda":
                batch[name] = _each(batch[name], lambda x: x.pin_memory())
        return batch

    def move(self, batch: Batch) -> Batch:
        """Return a batch on the device, scaled."""
        moved = {}
        for name, part in batch.items():
            moved[name] = _each(part, lambda x: x.to(self.device, non_blocking=True))
            moved[name].features = self.scaler(moved[name].features)
        return moved

    def iterate(self, first: int, last: int) -> Iterator[Batch]:
        """Yield the batches of steps `first` to `last` (exclusive)."""
        if first >= last:
            return
        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(self.read, first)
            for step in range(first, last):
                batch = coming.result()
                if step + 1 < last:
                    coming = thread.submit(self.read, step + 1)
                yield self.move(batch)


def _each(batch: StreamBatch, change) -> StreamBatch:  # type: ignore[no-untyped-def]
    parts = (batch.features, batch.n_frames, batch.clip_target, batch.frame_target)
    return StreamBatch(*(None if part is None else change(part) for part in parts))
