"""Sums of a short-time spectrum under filters, several frames side by side: one in each place of the vectors.

The transform of a frame of n real samples is one of n / 2 complex points, even samples with odd ones, taken apart
afterwards (Sorensen et al., "Real-valued fast Fourier transform algorithms", IEEE Trans. ASSP 35, 1987); where n is odd
the frame is followed by as many zeros and every other frequency is taken. A transform of points goes by the factors of
their number (Cooley and Tukey 1965), in place, and leaves them in the order of reversed digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.features.frontends import PRECISIONS

# Frames that are changed at a time: they stay in the second-level cache.
_BLOCK_FRAMES = 128


class Points(NamedTuple):
    """The transform of so many complex points, one factor after another.

    Attributes
    ----------
    factors
        (passes,) int64; their product is the number of points.
    turns
        (values, 2) cosine and -sine, by which the outcomes of each pass are multiplied.
    roots
        (passes, largest factor, 2) the roots of one of each factor.
    order
        (points,) int64: where the k-th outcome lies.
    """

    factors: NDArray[np.int64]
    turns: NDArray[np.float64]
    roots: NDArray[np.float64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, points: int) -> Points:
        """Lay out a transform."""
        factors, left = [], points
        for factor in (4, *range(2, points + 1)):
            while left % factor == 0:
                factors.append(factor)
                left //= factor
        turns, roots = [], np.zeros((len(factors), max(factors, default=1), 2))
        order, length, passed = np.zeros(points, np.int64), points, 1
        for i, factor in enumerate(factors):
            apart = length // factor
            turns.append(_unit(np.outer(np.arange(apart), np.arange(factor)).ravel() / length))
            roots[i, :factor] = _unit(np.arange(factor) / factor)
            order += np.arange(points) // passed % factor * apart
            length, passed = apart, passed * factor
        return cls(np.array(factors, np.int64), np.concatenate([*turns, np.zeros((0, 2))]), roots, order)


def _unit(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., 2) of exp(-2 pi i turns)."""
    return np.stack([np.cos(2 * np.pi * turns), -np.sin(2 * np.pi * turns)], axis=-1)


class Spectrum(NamedTuple):
    """What a transform with a filter bank behind it needs; arrays of floats have its precision.

    Attributes
    ----------
    window
        (samples,) halved weights, an even number.
    factors, turns, roots
        Of the `Points`, flat.
    places
        (2 * used bins,) int64, where the points lie whose sum and difference a bin is.
    angles
        (2 * used bins,) cosine and sine, by which that difference is turned.
    starts
        (filters + 1,) int64, where the weights of each filter begin.
    first
        (filters,) int64, the first used bin of each.
    weights
        (weights,) of filters, one after another.
    """

    window: NDArray[np.floating]
    factors: NDArray[np.int64]
    turns: NDArray[np.floating]
    roots: NDArray[np.floating]
    places: NDArray[np.int64]
    angles: NDArray[np.floating]
    starts: NDArray[np.int64]
    first: NDArray[np.int64]
    weights: NDArray[np.floating]

    @classmethod
    def of(cls, window: NDArray[np.float64], n_fft: int, bank: NDArray[np.float64], real: type) -> Spectrum:
        """Lay out the transform of frames of len(window) samples, with zeros up to `n_fft`, under a filter bank.

        Parameters
        ----------
        window : (samples,) weights.
        n_fft : samples of a transform.
        bank : (n_fft // 2 + 1, filters).
        real : float64 or float32, what is computed with.
        """
        # Imported here: a call that only compares hashes should not pay for numba.
        from sedkit.features.transforms import SUMS

        apart = 1 + n_fft % 2
        points = Points.of(n_fft * apart // 2)
        used = np.flatnonzero(bank.any(axis=1))
        low, high = (int(used[0]), int(used[-1]) + 1) if used.size else (0, 1)
        bins = np.arange(low, high) * apart
        pairs = points.order[np.stack([bins, -bins], axis=1) % len(points.order)]
        starts, first, weights = [0], [], []
        for column in bank[low:high].T:
            inside = np.flatnonzero(column)
            begin, end = (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, 0)
            more = -(end - begin) % SUMS
            first.append(begin)
            weights += [*column[begin:end], *[0.0] * more]
            starts.append(len(weights))
        return cls(
            np.pad(window / 2, (0, len(window) % 2)).astype(real),
            points.factors,
            points.turns.ravel().astype(real),
            points.roots.ravel().astype(real),
            pairs.ravel(),
            (_unit(bins / (n_fft * apart)) * [1, -1]).ravel().astype(real),
            np.array(starts),
            np.array(first),
            np.array(weights, dtype=real),
        )


class Spectra(dict[str, Spectrum]):
    """The transform of a front end by its precision, "double" or "single", laid out when it is asked for.

    Parameters
    ----------
    window, n_fft, bank : as `Spectrum.of` takes them.
    """

    def __init__(self, window: NDArray[np.float64], n_fft: int, bank: NDArray[np.float64]) -> None:
        self._of = window, n_fft, bank

    def __missing__(self, precision: str) -> Spectrum:
        if precision not in PRECISIONS:
            raise SedkitError(f"precision is {precision!r}, expected one of {', '.join(PRECISIONS)}")
        self[precision] = Spectrum.of(*self._of, np.float64 if precision == "double" else np.float32)
        return self[precision]


def filtered(
    padded: NDArray[np.floating],
    spectrum: Spectrum,
    frame_samples: int,
    hop_samples: int,
    out: NDArray[np.float32],
    magnitude: bool = False,
    prepare: Callable[[NDArray[np.floating]], None] | None = None,
) -> None:
    """Sum the spectra of frames under filters.

    Parameters
    ----------
    padded : (samples,) what the frames see; frame k begins at k * hop_samples.
    spectrum : the transform and the filters.
    frame_samples, hop_samples : of a frame, and from frame to frame.
    out : (frames, filters) float32, written.
    magnitude : sum magnitudes instead of powers.
    prepare : changes a block of frames (n, frame samples) in place before the window.
    """
    from sedkit.features.transforms import sum_spectra

    length, seen = len(spectrum.window), (len(out) - 1) * hop_samples + frame_samples
    if len(padded) < seen:
        raise SedkitError(f"{len(padded)} samples for {len(out)} frames, expected at least {seen}")
    if prepare is None:
        # Of a window with an odd number of samples the last weight is 0, but there is something to read.
        enough = padded if len(padded) > seen or length == frame_samples else np.append(padded, padded[:1])
        sum_spectra(enough, hop_samples, *spectrum, magnitude, out)
        return
    frames = np.zeros((_BLOCK_FRAMES, length), dtype=spectrum.window.dtype)
    for first in range(0, len(out), _BLOCK_FRAMES):
        n = min(_BLOCK_FRAMES, len(out) - first)
        filled = padded[first * hop_samples :][: (n - 1) * hop_samples + frame_samples]
        np.copyto(frames[:n, :frame_samples], sliding_window_view(filled, frame_samples)[::hop_samples])
        prepare(frames[:n, :frame_samples])
        sum_spectra(frames.reshape(-1), length, *spectrum, magnitude, out[first : first + n])
