"""Seconds, samples and frames: the only place where one becomes another. Frame intervals are half open."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sedkit.core.errors import SedkitError

#: Slack, in frames, that absorbs the rounding of a product such as 0.3 * 64; far below what a millisecond changes.
_DUST = 1e-6


@dataclass(frozen=True)
class TimeGrid:
    """Frames of equal length, the first one beginning at 0 s.

    Parameters
    ----------
    sample_rate
        Samples a second.
    hop_samples
        Samples from one feature frame to the next.
    pooling
        Feature frames that one frame of this grid covers (8 after three poolings by 2).

    Examples
    --------
    >>> TimeGrid(32000, 500).frame_rate_hz
    64.0
    >>> TimeGrid(32000, 500).pooled(8).frame_s
    0.125
    """

    sample_rate: int
    hop_samples: int
    pooling: int = 1

    def __post_init__(self) -> None:
        for name in ("sample_rate", "hop_samples", "pooling"):
            value = getattr(self, name)
            if int(value) != value or value < 1:
                raise SedkitError(f"time grid: {name} is {value!r}, expected a whole number of at least 1")
            object.__setattr__(self, name, int(value))

    @property
    def frame_s(self) -> float:
        """Seconds that a frame covers."""
        return self.hop_samples * self.pooling / self.sample_rate

    @property
    def frame_rate_hz(self) -> float:
        """Frames a second."""
        return self.sample_rate / (self.hop_samples * self.pooling)

    def pooled(self, factor: int) -> TimeGrid:
        """Return the grid whose frames are `factor` times as long."""
        return TimeGrid(self.sample_rate, self.hop_samples, self.pooling * factor)

    def span(self, onset_s: float, offset_s: float) -> tuple[int, int]:
        """Return the half-open frame interval of an event; never empty."""
        first = max(0, math.floor(onset_s * self.frame_rate_hz + _DUST))
        return first, max(first + 1, self.n_frames(offset_s))

    def n_frames(self, seconds: float) -> int:
        """Return how many frames cover `seconds`."""
        return max(0, math.ceil(seconds * self.frame_rate_hz - _DUST))

    def edges_s(self, n_frames: int) -> np.ndarray:
        """Return the `n_frames` + 1 frame edges in seconds, float64."""
        return np.arange(n_frames + 1, dtype=np.float64) * (self.hop_samples * self.pooling) / self.sample_rate
