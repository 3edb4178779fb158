"""Sums of a short-time spectrum under filters, in blocks that stay in the second-level cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.features.frontends import PRECISIONS

# Frames per pass: window, spectrum and power of one pass stay in the second-level cache.
_BLOCK_FRAMES = 128
# A filter covers a few per cent of the bins: products over this many neighbouring filters leave most zeros out.
_BAND_FILTERS = 16


class _Band(NamedTuple):
    filters: slice
    bins: slice
    weights: NDArray[np.float32]


class Bands(NamedTuple):
    """A filter bank as products of neighbouring filters with the bins that they cover; `low` to `high` are used."""

    low: int
    high: int
    n_filters: int
    products: tuple[_Band, ...]

    @classmethod
    def of(cls, bank: NDArray[np.float64]) -> Bands:
        """Lay out a bank (n_fft // 2 + 1, filters)."""
        used = np.flatnonzero(bank.any(axis=1))
        first, last = int(used[0]), int(used[-1]) + 1
        products = []
        for begin in range(0, bank.shape[1], _BAND_FILTERS):
            filters = slice(begin, min(begin + _BAND_FILTERS, bank.shape[1]))
            used = np.flatnonzero(bank[:, filters].any(axis=1))
            low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (first, first)
            weights = np.ascontiguousarray(bank[low:high, filters], dtype=np.float32)
            products.append(_Band(filters, slice(low - first, high - first), weights))
        return cls(first, last, bank.shape[1], tuple(products))


@cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas")


def one_thread() -> Any:
    """Return a context of one thread: the last bits of a matrix product depend on their number, features must not."""
    return _blas().limit(limits=1)


def filtered(
    padded: NDArray[np.floating],
    window: NDArray[np.float64],
    n_fft: int,
    hop_samples: int,
    bands: Bands,
    out: NDArray[np.float32],
    precision: str = "double",
    magnitude: bool = False,
    prepare: Callable[[NDArray[np.floating]], None] | None = None,
) -> None:
    """Sum the spectra of frames under filters.

    Parameters
    ----------
    padded : (samples,) what the frames see; frame k begins at k * hop_samples.
    window : (frame samples,) weights; a frame is followed by zeros up to `n_fft`.
    n_fft, hop_samples : samples of the transform, and from frame to frame.
    bands : the filters.
    out : (frames, filters) float32, written.
    precision : of the transform, "double" or "single".
    magnitude : sum magnitudes instead of powers.
    prepare : changes a block of frames (n, frame samples) in place before the window.
    """
    # Imported here: a call that only compares hashes should not pay for scipy.
    from scipy.fft import rfft

    if precision not in PRECISIONS:
        raise SedkitError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
    real = np.dtype(np.float64 if precision == "double" else np.float32)
    window, length, (low, high) = window.astype(real), len(window), bands[:2]
    frames = np.empty((_BLOCK_FRAMES, length), dtype=real)
    parts = np.empty((_BLOCK_FRAMES, 2 * (high - low)), dtype=np.float32)
    values = np.empty((_BLOCK_FRAMES, high - low), dtype=np.float32)
    for first in range(0, len(out), _BLOCK_FRAMES):
        n = min(_BLOCK_FRAMES, len(out) - first)
        start = first * hop_samples
        stretch = padded[start : start + (n - 1) * hop_samples + length].astype(real, copy=False)
        strides = (hop_samples * real.itemsize, real.itemsize)
        seen = np.ndarray((n, length), real, stretch, 0, strides)
        if prepare is not None:
            np.copyto(frames[:n], seen)
            prepare(frames[:n])
            seen = frames[:n]
        np.multiply(seen, window, out=frames[:n])
        spectrum = rfft(frames[:n], n_fft, axis=1, overwrite_x=True).view(real)
        used = spectrum[:, 2 * low : 2 * high].astype(np.float32, copy=False)
        np.multiply(used, used, out=parts[:n])
        np.add(parts[:n, 0::2], parts[:n, 1::2], out=values[:n])
        if magnitude:
            np.sqrt(values[:n], out=values[:n])
        for band in bands.products:
            out[first : first + n, band.filters] = values[:n, band.bins] @ band.weights
