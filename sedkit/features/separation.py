"""Sounds out of a mixture, by masks on the frames and bins of a front end (Kong et al., arXiv 1804.04715).

A mask of mel bins becomes one of the transform's bins, each of which takes the mean of the filters that it lies in,
weighted as they weigh it. The mixture's spectrogram is multiplied with that and keeps its phase.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.features.frontends import FrontEnd

Floats = NDArray[np.float32]
#: Keeps bins that lie in no filter at 0, as published.
_NO_FILTER = 1e-8
#: Frames at a time, of each class.
_BLOCK = 128


class Separator:
    """Short-time spectrograms of recordings at a front end's rate, and what masks leave of them.

    Frames are the front end's and as many more on both sides as touch the recording, so that every sample lies in a
    full set of windows. Transformed back they are added up and divided by the sum of the windows at each sample. With
    the published window that sum is the published constant, 1.0795508, but for its ripple of 7.05e-4; dividing by the
    sum itself gives the recording back exactly where a mask is 1, to the edges, and for any window and hop.

    Parameters
    ----------
    frontend
        Whose frames and bins the masks have.

    Raises
    ------
    UsageError
        The front end has no spectrogram behind it.
    """

    def __init__(self, frontend: FrontEnd) -> None:
        if frontend.framing is None:
            raise UsageError(f"frontend {frontend.name}: has no spectrogram that masks could be laid over")
        self._window, self._first, self._hop, bank = frontend.framing
        self._n_fft, self._rate_hz = len(self._window), frontend.sample_rate
        self._inverse_bank = (bank / (bank.sum(axis=1, keepdims=True) + _NO_FILTER)).T.astype(np.float32)
        turns = -(-self._n_fft // self._hop)
        sums = np.pad(self._window, (0, turns * self._hop - self._n_fft)).reshape(turns, self._hop).sum(axis=0)
        # Where windows leave gaps, nothing can be had back.
        gain = np.divide(1.0, sums, out=np.zeros(self._hop), where=sums > 1e-6 * sums.max())
        self._gain = gain.astype(np.float32)
        self._analysis = self._window.astype(np.float32)

    def separate(self, waveform: Floats, masks: Floats) -> Floats:
        """Return what masks leave of a recording.

        Parameters
        ----------
        waveform
            (samples,), full scale 1.
        masks
            (classes, frames, bins) in [0, 1], on the front end's frames; beyond them the first and the last go on.

        Returns
        -------
        (classes, samples) float32
        """
        number = np.clip(self._numbers(len(waveform)), 0, masks.shape[1] - 1)
        return self._filtered(waveform, len(masks), lambda at: masks[:, number[at]] @ self._inverse_bank)

    def spectrogram(self, waveform: Floats) -> NDArray[np.complex64]:
        """Return the spectrogram of a recording, (frames, n_fft // 2 + 1): all frames that touch it."""
        padded = self._padded(waveform)
        return self._transformed(padded, slice(0, len(self._numbers(len(waveform)))))

    @property
    def full_scale(self) -> float:
        """Return the magnitude that a sine of full scale has in a `spectrogram`, on a frequency of the transform."""
        return float(self._window.sum() / 2)

    def centres_s(self, samples: int) -> NDArray[np.float64]:
        """Return the seconds on which the frames of the `spectrogram` of so many samples are centred."""
        starts = self._first + self._numbers(samples) * self._hop
        return np.asarray((starts + self._n_fft / 2) / self._rate_hz, dtype=np.float64)

    def filtered(self, waveform: Floats, masks: Floats) -> Floats:
        """Return what masks of its whole `spectrogram`, (classes, frames, n_fft // 2 + 1), leave of a recording."""
        return self._filtered(waveform, len(masks), lambda at: masks[:, at])

    def _numbers(self, samples: int) -> NDArray[np.int64]:
        """Return which frames of the front end touch a recording; some before its first and after its last do."""
        before = (self._n_fft + self._first - 1) // self._hop
        return np.arange(-before, (samples - 1 - self._first) // self._hop + 1)

    def _padded(self, waveform: Floats) -> Floats:
        """Return what those frames see, silence beyond the ends."""
        numbers = self._numbers(len(waveform))
        before = -(self._first + int(numbers[0]) * self._hop)
        length = (len(numbers) - 1) * self._hop + self._n_fft
        return np.pad(waveform.astype(np.float32, copy=False), (before, length - before - len(waveform)))

    def _transformed(self, padded: Floats, at: slice) -> NDArray[np.complex64]:
        from scipy.fft import rfft

        frames = np.lib.stride_tricks.sliding_window_view(padded, self._n_fft)[:: self._hop][at]
        return np.asarray(rfft(frames * self._analysis, axis=1), dtype=np.complex64)

    def _filtered(self, waveform: Floats, n: int, masks_of: Callable[[slice], Floats]) -> Floats:
        from scipy.fft import irfft

        padded = self._padded(waveform)
        out = np.zeros((n, len(padded)), dtype=np.float32)
        frames = len(self._numbers(len(waveform)))
        for first in range(0, frames, _BLOCK):
            at = slice(first, min(first + _BLOCK, frames))
            spectrum = self._transformed(padded, at)
            pieces = irfft(masks_of(at) * spectrum, n=self._n_fft, axis=2)
            for k in range(pieces.shape[1]):
                start = (first + k) * self._hop
                out[:, start : start + self._n_fft] += pieces[:, k]
        before = -(self._first + int(self._numbers(len(waveform))[0]) * self._hop)
        # In place, a hop at a time: recordings may be long.
        for start in range(0, out.shape[1], self._hop):
            piece = out[:, start : start + self._hop]
            piece *= self._gain[: piece.shape[1]]
        return out[:, before : before + len(waveform)]
