"""Mel filter banks, the same as librosa's and torchaudio's to rounding; librosa itself takes seconds to import."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

# Slaney's Auditory Toolbox (1998): linear below 1 kHz with 15 mel to it, then 27 mel to each factor of 6.4.
_LINEAR_HZ_PER_MEL = 200.0 / 3
_BREAK_HZ, _BREAK_MEL = 1000.0, 15.0
_LOG_STEP = np.log(6.4) / 27.0
# Kaldi's scale is that of HTK with natural logarithms; its triangles are straight in mel, the others' in Hz.
_KALDI_MEL = 1127.0


def hz_to_mel(hz: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Frequencies in Hz to mel, on the "slaney", the "htk" or the "kaldi" scale."""
    if scale == "kaldi":
        return _KALDI_MEL * np.log(1.0 + hz / 700.0)
    if scale == "htk":
        return 2595.0 * np.log10(1.0 + hz / 700.0)
    above = np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_HZ_PER_MEL, _BREAK_MEL + above)


def mel_to_hz(mel: NDArray[np.float64], scale: str) -> NDArray[np.float64]:
    """Mel to frequencies in Hz; the inverse of `hz_to_mel`."""
    if scale == "kaldi":
        return 700.0 * (np.exp(mel / _KALDI_MEL) - 1.0)
    if scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (np.maximum(mel, _BREAK_MEL) - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, above)


@cache
def mel_bank(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    fmin_hz: float,
    fmax_hz: float,
    scale: str = "slaney",
    norm: str = "slaney",
) -> NDArray[np.float64]:
    """Triangular filters, evenly spaced in mel.

    Parameters
    ----------
    sample_rate, n_fft : rate in Hz and length in samples of the transform.
    n_mels : filters.
    fmin_hz, fmax_hz : lower end of the first and upper end of the last filter.
    scale : "slaney" (linear, then logarithmic), "htk", or "kaldi", whose triangles are straight lines over mel.
    norm : "slaney" gives every filter the same area, "none" the same height of 1.

    Returns
    -------
    (n_fft // 2 + 1, n_mels) float64, read only.
    """
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    ends = hz_to_mel(np.array([fmin_hz, fmax_hz], dtype=np.float64), scale)
    points = np.linspace(ends[0], ends[1], n_mels + 2)
    points_hz = mel_to_hz(points, scale)
    if scale == "kaldi":
        bins = hz_to_mel(bins, scale)
    else:
        points = points_hz
    low, centre, high = points[:-2], points[1:-1], points[2:]
    rising = (bins[:, None] - low) / (centre - low)
    falling = (high - bins[:, None]) / (high - centre)
    bank = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        bank *= 2.0 / (points_hz[2:] - points_hz[:-2])
    bank.setflags(write=False)
    return bank
