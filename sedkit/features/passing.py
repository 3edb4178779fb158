"""Windows of one recording that passes by: an hours-long file needs no more memory than a few windows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.dataio.windows import Windows
from sedkit.features.frontends import FrontEnd
from sedkit.features.sources import Floats


class Passing:
    """A source (`sedkit.features.sources.Source`) of the windows of one recording, in the order of their times.

    Parameters
    ----------
    blocks
        (samples,) float32 each, full scale 1, at the front end's rate: the recording from begin to end.
    samples
        Of all blocks together.
    frontend
        What to run on them.

    Attributes
    ----------
    frontend, n_frames, embeddings
        As any source has them; of one recording.
    duration_s
        Of the recording.
    """

    def __init__(self, blocks: Iterable[Floats], samples: int, frontend: FrontEnd) -> None:
        self.frontend, self.duration_s = frontend, samples / frontend.sample_rate
        self.embeddings: Mapping[str, Passing] = {}
        filled = frontend.valid_frames(self.duration_s) if frontend.sliceable else samples
        self.n_frames = np.array([max(1, filled)], dtype=np.int64)
        if frontend.sliceable:
            self._coming, shape = frames_of(blocks, samples, frontend), (0, frontend.n_bins)
        else:
            self._coming, shape = iter(blocks), (0,)
        # What windows are cut out of, from the first frame on that may still be asked for.
        self._first, self._kept = 0, np.zeros(shape, np.float32)

    def features(self, windows: Windows) -> Floats:
        """Return the features of windows; none may begin before those of the call before.

        Raises
        ------
        SedkitError
            A window begins before what is still there.
        """
        frontend = self.frontend
        length = windows.length if frontend.sliceable else frontend.window_samples(windows.length)
        first = windows.first - self._first
        if first.min(initial=0) < 0:
            raise SedkitError("a window of a passing recording is asked for that is behind, expected rising times")
        self._fetch(int(first.max(initial=0)) + length)
        silence = np.float32(frontend.padding if frontend.sliceable else 0)
        out = np.full((len(windows), length, *self._kept.shape[1:]), silence, dtype=np.float32)
        for target, begin in zip(out, first.tolist(), strict=True):
            piece = self._kept[begin : begin + length]
            target[: len(piece)] = piece
        behind = int(first.max(initial=0))
        self._kept, self._first = self._kept[behind:], self._first + behind
        return out if frontend.sliceable else frontend.transform_windows(out)

    def power(self, windows: Windows) -> NDArray[np.float64]:
        """Refuse: what is loud in a recording is known when it has passed."""
        raise SedkitError("the power of windows is asked of a recording that passes by, expected one in memory")

    def _fetch(self, frames: int) -> None:
        """Let the recording come until so many frames are there, or its end."""
        pieces = [self._kept]
        missing = frames - len(self._kept)
        while missing > 0 and (piece := next(self._coming, None)) is not None:
            pieces.append(piece)
            missing -= len(piece)
        self._kept = np.concatenate(pieces) if len(pieces) > 1 else self._kept


def frames_of(blocks: Iterable[Floats], samples: int, frontend: FrontEnd) -> Iterator[Floats]:
    """Compute the features of a recording that comes in blocks.

    Parameters
    ----------
    blocks, samples, frontend
        As `Passing` takes them; the front end is sliceable.

    Yields
    ------
    (frames, bins); put together, what `FrontEnd.transform` gives of the whole recording.
    """
    hop, step = frontend.grid.hop_samples, frontend.step_frames
    missing = frontend.frames_for(samples / frontend.sample_rate)
    waveform = np.zeros(0, np.float32)
    for block in _padded(blocks, frontend):
        waveform = np.concatenate([waveform, block])
        ready = 1 + (len(waveform) - frontend.window_samples(1)) // hop
        ready = min(ready, missing) // step * step
        for first in range(0, ready, step):
            seen = waveform[first * hop :][: frontend.window_samples(step)]
            yield frontend.transform_windows(seen[None])[0]
        waveform, missing = waveform[max(0, ready) * hop :], missing - max(0, ready)
    if missing > 0:
        yield frontend.transform_windows(waveform[None])[0][:missing]


def _padded(blocks: Iterable[Floats], frontend: FrontEnd) -> Iterator[Floats]:
    """Yield a recording as `FrontEnd.pad` leaves it."""
    before, after = frontend.margins
    # What is padded at one end must hold what is mirrored there, and be no short recording.
    length = frontend.clip_frames or 1
    least = max(length * frontend.grid.hop_samples, frontend.window_samples(length)) + before + after + 1
    held, begun = np.zeros(0, np.float32), False
    for block in blocks:
        held = np.concatenate([held, block])
        if len(held) < 2 * least:
            continue
        ready = len(held) - least
        # With the sample behind it, which a preemphasis of the last one needs.
        padded = frontend.pad(held[: ready + 1])
        yield padded[before if begun else 0 : before + ready]
        held, begun = held[ready:], True
    yield frontend.pad(held)[before if begun else 0 :]
