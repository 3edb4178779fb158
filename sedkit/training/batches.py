"""Batches as dicts of streams. Which windows a step sees depends on seed and step alone, so any step can be resumed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.features.batch import Batch, StreamBatch
from sedkit.features.normalise import Normalisation
from sedkit.training.distributed import ALONE, Ranks
from sedkit.training.settings import StreamSettings
from sedkit.training.streams import Stream


def shares(streams: Mapping[str, StreamSettings], batch_size: int) -> dict[str, int]:
    """Return each stream's windows in a batch: proportional to its share, at least 1, `batch_size` in all.

    >>> shares({"a": StreamSettings("weak"), "b": StreamSettings("synthetic", share=3)}, 8)
    {'a': 2, 'b': 6}
    """
    if batch_size < len(streams):
        raise UsageError(
            f"training.batch_size is {batch_size}, expected at least one window for each of {len(streams)} streams"
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
    """An endless shuffled order of `n` windows: one permutation after another, drawn from (seed, stream, round).

    Nothing is remembered from step to step; a batch may begin in one round and end in the next.
    """

    def __init__(self, n: int, seed: int, stream: int) -> None:
        self.n, self.seed, self.stream = n, seed, stream
        self._round, self._order = -1, np.empty(0, dtype=np.int64)

    def _permutation(self, number: int) -> NDArray[np.int64]:
        if number != self._round:
            self._order = np.random.default_rng([self.seed, self.stream, number]).permutation(self.n)
            self._round = number
        return self._order

    def positions(self, first: int, count: int) -> NDArray[np.int64]:
        """Return the windows at places `first` to `first + count`, (count,) int64: round k has k n to (k + 1) n - 1."""
        out = np.empty(count, dtype=np.int64)
        done = 0
        while done < count:
            number, place = divmod(first + done, self.n)
            piece = self._permutation(number)[place : place + count - done]
            out[done : done + len(piece)] = number * self.n + piece
            done += len(piece)
        return out


class StepBatch:
    """The batch of one step, augmented, on its device; normalised in each view that is asked for, once."""

    def __init__(self, batches: Batches, raw: Batch, draw: int) -> None:
        self._batches, self._raw, self._draw = batches, raw, draw
        self._shown: dict[str | None, Batch] = {}

    def view(self, name: str | None) -> Batch:
        """Return the windows as a view shows them, None: the default one; raise UsageError where no stream has it."""
        names = self._batches.views
        if name is not None and name not in names:
            raise UsageError(
                f"no stream has a view {name!r}{suggest(name, names)} in data.streams.*.views, only "
                f"{listed(sorted(names)) or 'the default one'}"
            )
        if name not in self._shown:
            batch = {}
            for stream, windows in self._raw.items():
                seen = windows if name is None else self._batches.streams[stream].view(windows, name, self._draw)
                batch[stream] = self._batches.normalised(seen)
            self._shown[name] = batch
        return self._shown[name]


class Batches:
    """The batches of a run, read one ahead by a thread.

    Parameters
    ----------
    streams
        By name.
    counts
        Windows of each stream in a batch, of all processes together.
    ranks
        The processes that train together; each reads its share of a batch.
    seed
        Of the order.
    normalise, device
        What views are normalised by, and where they are.
    resident
        Keep streams of stored features on the device whole: all (True), none (False), or on a GPU as many as fit into
        half of its free memory, the smallest first (None).
    """

    def __init__(
        self,
        streams: dict[str, Stream],
        counts: dict[str, int],
        seed: int,
        normalise: Normalisation,
        device: torch.device,
        resident: bool | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.streams, self.device, self.ranks = streams, device, ranks
        self.views = {view for stream in streams.values() for view in stream.views}
        self.counts = ranks.share(counts)
        self.normalise = normalise.to(device)
        self.samplers = {name: Sampler(len(s), seed, i) for i, (name, s) in enumerate(streams.items())}
        self.resident = self._resident(resident)

    def _resident(self, wanted: bool | None) -> dict[str, StreamBatch]:
        sizes = {name: _bytes(stream) for name, stream in self.streams.items() if stream.stored}
        room = math.inf if wanted else 0.0
        if wanted is None and self.device.type == "cuda":
            room = torch.cuda.mem_get_info(self.device)[0] / 2
        resident = {}
        for name in sorted(sizes, key=lambda name: sizes[name]):
            if sizes[name] <= room:
                resident[name] = self.streams[name].whole(self.device)
                room -= sizes[name]
        return resident

    def read(self, step: int) -> Batch:
        """Return the batch of a step as it is read; on the CPU its augmentation is done, too."""
        batch = {}
        for name, stream in self.streams.items():
            count = self.counts[name]
            positions = self.samplers[name].positions(self.ranks.draw(step) * count, count)
            if name in self.resident:
                rows = torch.from_numpy(positions % len(stream)).to(self.device)
                windows = self.resident[name].map(partial(torch.index_select, dim=0, index=rows))
            else:
                windows = stream.read(positions, augmented=True)
                if self.device.type == "cuda":
                    windows = windows.map(lambda x: x.pin_memory())
            batch[name] = stream.augmented(windows, self.ranks.draw(step)) if self.device.type == "cpu" else windows
        return batch

    def step_batch(self, batch: Batch, step: int) -> StepBatch:
        """Return what `read` gave on the device, augmented; on a CPU in the views that objectives will ask for, too."""
        draw = self.ranks.draw(step)
        if self.device.type == "cpu":
            out = StepBatch(self, batch, draw)
            for name in sorted(self.views) or [None]:
                out.view(name)
            return out
        moved = {
            name: self.streams[name].augmented(windows.map(lambda x: x.to(self.device, non_blocking=True)), draw)
            for name, windows in batch.items()
        }
        return StepBatch(self, moved, draw)

    def normalised(self, windows: StreamBatch) -> StreamBatch:
        """Return windows with normalised features."""
        assert windows.features is not None
        return replace(windows, features=self.normalise(windows.features, windows.n_frames))

    def iterate(self, first: int, last: int) -> Iterator[StepBatch]:
        """Yield the batches of steps `first` to `last` (exclusive)."""
        if first >= last:
            return
        on_cpu = self.device.type == "cpu"

        def ahead(step: int) -> Any:
            batch = self.read(step)
            return self.step_batch(batch, step) if on_cpu else batch

        with ThreadPoolExecutor(1) as thread:
            coming = thread.submit(ahead, first)
            for step in range(first, last):
                batch = coming.result()
                if step + 1 < last:
                    coming = thread.submit(ahead, step + 1)
                yield batch if on_cpu else self.step_batch(batch, step)


def _bytes(stream: Stream) -> int:
    """Bytes that a stream's windows take."""
    window = vars(stream.read(np.arange(1)))
    tensors = [*window.values(), *window["embeddings"].values()]
    return len(stream) * sum(x.nbytes for x in tensors if isinstance(x, torch.Tensor))
