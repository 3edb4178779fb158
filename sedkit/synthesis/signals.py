"""Building blocks of procedural sounds: shaped noise, pulse trains, decaying modes, envelopes, filters.

All signals are float32, mono, `(samples,)`. Filters work in the frequency domain (zero phase), so a filter costs
two transforms whatever its order. scipy is imported by what transforms: the miniatures are asked for their options
without a sound being made.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Signal = npt.NDArray[np.float32]
Curve = tuple[npt.ArrayLike, npt.ArrayLike]  # (frequencies in Hz, gains in dB)

_GRID_POINTS = 1025
#: Room behind a signal for what a filter lets ring.
_TAIL_S = 0.03


@lru_cache(maxsize=8)
def _grid_hz(rate: int) -> npt.NDArray[np.float32]:
    return np.linspace(0, rate / 2, _GRID_POINTS, dtype=np.float32)


def gain_of_curve(curve: Curve, n_bins: int, rate: int) -> Signal:
    """Amplitude gain of each of `n_bins` transform bins, from a curve of dB over Hz.

    The curve is interpolated over the logarithm of frequency on a coarse grid (21 Hz at 44.1 kHz) first: a
    logarithm and a power per bin of a 10-s transform would cost more than the transform.
    """
    frequencies, gains_db = np.asarray(curve[0], dtype=np.float64), np.asarray(curve[1], dtype=np.float64)
    grid = np.interp(np.log(np.maximum(_grid_hz(rate), 10.0)), np.log(np.maximum(frequencies, 10.0)), gains_db)
    return _spread((10.0 ** (grid / 20.0)).astype(np.float32), n_bins)


def resonances(
    centres_hz: npt.ArrayLike, widths_hz: npt.ArrayLike, gains: npt.ArrayLike, n_bins: int, rate: int
) -> Signal:
    """Amplitude gain of `n_bins` bins: a sum of second-order resonance shapes (peak value `gains`)."""
    f = _grid_hz(rate)[:, None]
    width = np.asarray(widths_hz, dtype=np.float32)
    offset = (f - np.asarray(centres_hz, dtype=np.float32)) / width
    return _spread((np.asarray(gains, dtype=np.float32) / np.sqrt(1.0 + 4.0 * offset**2)).sum(axis=1), n_bins)


def _spread(on_grid: Signal, n_bins: int) -> Signal:
    positions = np.linspace(0, _GRID_POINTS - 1, n_bins, dtype=np.float32)
    left = np.minimum(positions.astype(np.int32), _GRID_POINTS - 2)
    slope = np.diff(on_grid)
    return on_grid[left] + slope[left] * (positions - left.astype(np.float32))


def transform_size(n: int) -> int:
    """The next length that transforms quickly."""
    from scipy import fft

    return int(fft.next_fast_len(n, real=True))


def shaped_noise(rng: np.random.Generator, n: int, rate: int, curve: Curve) -> Signal:
    """Gaussian noise with the spectrum of `curve`, root mean square 1, `(n,)`."""
    from scipy import fft

    size = transform_size(n)
    bins = size // 2 + 1
    spectrum = rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)
    spectrum *= gain_of_curve(curve, bins, rate)
    return unit_rms(fft.irfft(spectrum, size)[:n])


def filtered(x: Signal, gain: Signal, rate: int) -> Signal:
    """`x` through a zero-phase filter; `gain` has one value per bin of `filter_bins(len(x), rate)`."""
    from scipy import fft

    size = transform_size(len(x) + int(_TAIL_S * rate))
    return fft.irfft(fft.rfft(x, size) * gain, size)[: len(x)]


def filter_bins(n: int, rate: int) -> int:
    """How many gains `filtered` needs for a signal of `n` samples."""
    return transform_size(n + int(_TAIL_S * rate)) // 2 + 1


def equalised(x: Signal, rate: int, curve: Curve) -> Signal:
    """`x` through the zero-phase filter described by a curve of dB over Hz."""
    return filtered(x, gain_of_curve(curve, filter_bins(len(x), rate), rate), rate)


def pulse_train(f0_hz: npt.ArrayLike, n: int, rate: int, sharpness: float) -> Signal:
    """A train of smooth pulses at a fundamental that may vary, zero mean.

    ``exp(k (cos p - 1))`` has harmonics I_m(k) / I_0(k) (modified Bessel functions): about ``2 sqrt(k)`` of them
    matter, so the train is free of aliases while ``2 sqrt(k) f0`` stays below half the rate.
    """
    f0 = np.broadcast_to(np.asarray(f0_hz, dtype=np.float64), (n,))
    cycles = np.cumsum(f0)
    cycles *= 1.0 / rate
    cycles -= np.floor(cycles)  # single precision holds a fraction of a cycle, not a thousand cycles
    x = cycles.astype(np.float32)
    x *= np.float32(2 * np.pi)
    np.cos(x, out=x)
    x -= 1.0
    x *= np.float32(sharpness)
    np.exp(x, out=x)
    x -= x.mean()
    return x


def modes(frequencies_hz: npt.ArrayLike, decays_s: npt.ArrayLike, gains: npt.ArrayLike, n: int, rate: int) -> Signal:
    """The sound of a struck body: exponentially decaying sines, `(n,)`."""
    t = (np.arange(n, dtype=np.float32) / rate)[:, None]
    frequency, decay = np.asarray(frequencies_hz, dtype=np.float32), np.asarray(decays_s, dtype=np.float32)
    partials = np.sin(np.float32(2 * np.pi) * frequency * t) * np.exp(-t / decay)
    return partials @ np.asarray(gains, dtype=np.float32)


def slow_curve(rng: np.random.Generator, n: int, rate: int, points_per_s: float, low: float, high: float) -> Signal:
    """A smooth random curve between `low` and `high`, with `points_per_s` random values a second."""
    n_points = max(2, int(np.ceil(n / rate * points_per_s)) + 1)
    points = rng.uniform(low, high, n_points).astype(np.float32)
    position = np.linspace(0, n_points - 1, n, dtype=np.float32)
    left = np.minimum(position.astype(np.int32), n_points - 2)
    between = position - left.astype(np.float32)
    between = between * between * (3.0 - 2.0 * between)
    return points[left] + (points[left + 1] - points[left]) * between


def ramps(n: int, rate: int, attack_s: float, release_s: float) -> Signal:
    """An envelope of ones that rises and falls as half cosines."""
    envelope = np.ones(n, dtype=np.float32)
    attack, release = min(n, max(1, int(attack_s * rate))), min(n, max(1, int(release_s * rate)))
    envelope[:attack] *= _half_cosine(attack)
    envelope[n - release :] *= _half_cosine(release)[::-1]
    return envelope


def _half_cosine(n: int) -> Signal:
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(n, dtype=np.float32) + 0.5) / n)).astype(np.float32)


def add_at(x: Signal, position: int, sound: Signal, gain: float = 1.0) -> None:
    """Add `gain * sound` into `x` from a sample position on, cut at the end of `x`."""
    end = min(len(x), position + len(sound))
    if end > position:
        x[position:end] += np.float32(gain) * sound[: end - position]


def rms(x: Signal) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float32), dtype=np.float64)))


def unit_rms(x: Signal) -> Signal:
    """`x` with a root mean square of 1 (silence stays silence)."""
    value = rms(x)
    return x if value == 0.0 else x * np.float32(1.0 / value)
