"""Recordings in windows: how they are cut, and how what overlapping windows say of frames is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.dataio.windows import Ints, Windows, lay
from sedkit.features.frontends import FrontEnd
from sedkit.features.sources import Floats, Source

if TYPE_CHECKING:
    from sedkit.inference.predictor import Predictor

#: Recordings of ten seconds may be some samples longer.
SLACK_S = 0.05
#: As `--window`: every recording is one window.
WHOLE = "whole"


@dataclass(frozen=True)
class Tiling:
    """How recordings are cut into windows, in frames of the front end's window grid.

    Attributes
    ----------
    length, hop
        Of a window, and from window to window.
    cover
        Frames that one of the network's frames stands for.
    unit
        Frames that a frame of the scores stands for.
    """

    length: int
    hop: int
    cover: int
    unit: int

    @classmethod
    def of(
        cls, predictor: Predictor, longest: int, window_s: float | str | None = None, hop_s: float | None = None
    ) -> Tiling:
        """Choose windows for a network.

        Parameters
        ----------
        longest
            Frames of the longest recording, for `WHOLE`.
        window_s
            Seconds, or `WHOLE`; None: what the network was trained on.
        hop_s
            Seconds; None: half a window, or a whole one where the network gives one score a window.

        Raises
        ------
        UsageError
            Another window than the only one that the network knows, one longer than it knows, or a hop that no frames
            of the scores fit.
        """
        network, frontend = predictor.network, predictor.frontend
        rate_hz, only, most = frontend.window_grid.frame_rate_hz, network.input_frames, network.most_frames
        length = predictor.window
        if window_s == WHOLE:
            length = max(longest, length)
        elif window_s is not None:
            length = max(1, round(float(window_s) * rate_hz))
        if only is not None and length != predictor.window:
            raise UsageError(
                f"windows of {length / rate_hz:g} s, expected {predictor.window / rate_hz:g} s, the only ones that the "
                "network knows"
            )
        cover = network.time_pooling * frontend.grid.hop_samples // frontend.window_grid.hop_samples
        if only is None:
            asked, length = length, -(-length // cover) * cover if frontend.sliceable else max(length, cover)
            if most is not None and frontend.window_frames(length) > most >= frontend.window_frames(asked):
                length -= cover
        elif only < 2 * network.time_pooling:
            cover = length
        if most is not None and frontend.window_frames(length) > most:
            raise UsageError(
                f"windows of {length / rate_hz:g} s, expected at most {most / frontend.grid.frame_rate_hz:g} s, the "
                "longest that the network knows"
            )
        hop = cover if length < 2 * cover else length // 2
        if hop_s is not None:
            hop = max(1, round(hop_s * rate_hz))
        if hop > length:
            raise UsageError(
                f"windows of {length / rate_hz:g} s every {hop / rate_hz:g} s leave gaps, expected a hop of at most a "
                "window"
            )
        if length >= 2 * cover:
            return cls(length, max(cover, hop // cover * cover), cover, cover)
        if cover % hop:
            raise UsageError(
                f"--hop {hop / rate_hz:g} s does not divide the network's {cover / rate_hz:g} s, of which it gives one "
                "score; give a whole part of it, such as a tenth"
            )
        return cls(length, hop, cover, hop)

    def windows(self, source: Source, frontend: FrontEnd) -> Windows:
        """Lay windows over recordings to their ends; `SLACK_S` more than a window is not worth another one."""
        grid = frontend.window_grid
        slack = min(self.cover // 2, int(SLACK_S * grid.frame_rate_hz))
        return lay(source.n_frames, grid, self.length, self.hop, to_end=True, slack=slack)


class Accumulated:
    """What overlapping windows say of frames, put together; of a recording of one window, what that says.

    Parameters
    ----------
    rows
        (windows,) recording of each window, from 0 on.
    frames
        Of the longest recording.
    shape
        Of what is said of a frame.
    kind
        Sums of several scores lose digits in single precision.
    """

    def __init__(self, rows: Ints, frames: int, shape: tuple[int, ...], kind: type[np.floating] = np.float64) -> None:
        self.several = np.bincount(rows) > 1
        kind = kind if self.several.any() else np.float32
        self._sums = np.zeros((len(self.several), frames, *shape), kind)
        self.weights = np.zeros((len(self.several), frames), kind)

    def add(self, rows: Ints, first: Ints, values: Floats, repeat: int = 1) -> None:
        """Add windows.

        Parameters
        ----------
        rows, first
            (n,) recording and first frame of each.
        values
            (n, frames / `repeat`, ...) what it says.
        repeat
            Frames that each of its own stands for.
        """
        tapered = np.repeat(_taper(values.shape[1]), repeat).astype(self._sums.dtype)
        values = np.repeat(values, repeat, axis=1) if repeat > 1 else values
        for row, start, said in zip(rows.tolist(), first.tolist(), values, strict=True):
            stop = min(start + len(said), self._sums.shape[1])
            weight = (tapered if self.several[row] else np.ones_like(tapered))[: stop - start]
            self._sums[row, start:stop] += said[: stop - start] * weight.reshape(-1, *[1] * (said.ndim - 1))
            self.weights[row, start:stop] += weight

    def means(self) -> NDArray[np.floating]:
        """Return the weighted means, (recordings, frames, ...); frames that no window covers are 0."""
        if self.several.any():
            weights = np.maximum(self.weights, np.finfo(np.float32).tiny)
            self._sums /= weights.reshape(*weights.shape, *[1] * (self._sums.ndim - 2))
        return self._sums


def _taper(n: int) -> NDArray[np.float64]:
    """Return how much each of `n` frames of a window counts: most in its middle, where it sees both sides."""
    place = (np.arange(n) + 0.5) / n
    return np.minimum(place, 1 - place) * 2
