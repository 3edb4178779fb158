"""Windows: stretches of recordings on a time grid. A whole clip is the window [0, clip), a one-second chunk another."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.core.timegrid import TimeGrid

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Windows:
    """Windows of equal length.

    Attributes
    ----------
    grid
        What frames are: those of the features or, where every window is transformed on its own, single samples.
    recording
        (n,) int64, index of the recording in its set.
    first
        (n,) int64, first frame.
    valid
        (n,) int64, frames that the recording fills, at least 1; what follows is padding.
    length
        Frames of every window, padding included.
    """

    grid: TimeGrid
    recording: Ints
    first: Ints
    valid: Ints
    length: int

    def __len__(self) -> int:
        return len(self.recording)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Windows:
        """Return some of the windows (indices or a mask)."""
        return replace(self, recording=self.recording[rows], first=self.first[rows], valid=self.valid[rows])

    def onset_s(self) -> NDArray[np.float64]:
        """Return where each window begins, (n,) seconds."""
        return self.first / self.grid.frame_rate_hz

    @property
    def length_s(self) -> float:
        """Seconds of a window."""
        return self.length / self.grid.frame_rate_hz


def lay(n_frames: Ints, grid: TimeGrid, length: int, hop: int, to_end: bool = False, slack: int = 0) -> Windows:
    """Lay windows over recordings, every `hop` frames from the first frame on; at least one a recording.

    Parameters
    ----------
    n_frames
        (recordings,) frames of each recording.
    grid
        Their time grid.
    length, hop
        Frames of a window, and from window to window.
    to_end
        The last window ends at or after the recording's end, for prediction; else only windows that lie within it,
        for training.
    slack
        With `to_end`: frames of a recording's end for which no further window is worth it.

    Examples
    --------
    >>> len(lay(np.array([500]), TimeGrid(44100, 441), 100, 10))
    41
    >>> lay(np.array([320]), TimeGrid(44100, 441), 100, 100, to_end=True).first.tolist()
    [0, 100, 200, 300]
    """
    if length < 1 or hop < 1:
        raise SedkitError(f"windows of {length} frames every {hop} frames, expected at least 1 of both")
    spare = np.maximum(n_frames - length - (slack if to_end else 0), 0)
    counts = 1 + (-(-spare // hop) if to_end else spare // hop)
    recording = np.repeat(np.arange(len(n_frames), dtype=np.int64), counts)
    first = (np.arange(len(recording)) - np.repeat(np.cumsum(counts) - counts, counts)) * hop
    valid = np.clip(n_frames[recording] - first, 1, length)
    return Windows(grid, recording, first, valid, length)


def windows_at(grid: TimeGrid, recording: Ints, onset_s: NDArray[np.float64], length: int, n_frames: Ints) -> Windows:
    """Return windows of `length` frames that begin at given times, rounded to the grid.

    Parameters
    ----------
    recording, onset_s
        (n,) recording and begin of each window.
    n_frames
        (recordings,) frames of each recording.
    """
    first = np.rint(onset_s * grid.frame_rate_hz).astype(np.int64)
    return Windows(grid, recording, first, np.clip(n_frames[recording] - first, 1, length), length)
