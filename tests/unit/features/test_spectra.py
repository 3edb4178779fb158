"""Sums of spectra against numpy's transform in double precision."""

from __future__ import annotations

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.features.spectra import Spectra, filtered

FILTERS = 5


def bank_of(n_fft: int) -> np.ndarray:
    """Return filters (n_fft // 2 + 1, FILTERS) over a few bins each; the third has none."""
    rng, bank = np.random.default_rng(n_fft), np.zeros((n_fft // 2 + 1, FILTERS))
    for f in (0, 1, 3, 4):
        first, last = np.sort(rng.integers(0, len(bank), 2))
        bank[first : last + 1, f] = rng.random(last + 1 - first)
    return bank


def expected(samples: np.ndarray, window: np.ndarray, n_fft: int, hop: int, frames: int, power: int) -> np.ndarray:
    cut = np.stack([samples[k * hop : k * hop + len(window)] for k in range(frames)]).astype(np.float64)
    return np.abs(np.fft.rfft(cut * window, n_fft, axis=1)) ** power @ bank_of(n_fft)


@pytest.mark.parametrize("frames", [1, 7, 8, 21])
@pytest.mark.parametrize("n_fft", [*range(1, 33), 49, 64, 97, 100, 400, 441, 512, 1023, 1024, 1102, 1103, 2048])
def test_sums_are_those_of_the_transform(n_fft: int, frames: int) -> None:
    rng, hop = np.random.default_rng(0), 1 + n_fft // 3
    window = rng.random(max(1, n_fft - frames))
    samples = rng.standard_normal((frames - 1) * hop + len(window)).astype(np.float32)
    for precision, tolerance in (("double", 1e-6), ("single", 1e-5)):
        for power in (1, 2):
            out, spectrum = np.full((frames, FILTERS), 7, np.float32), Spectra(window, n_fft, bank_of(n_fft))[precision]
            filtered(samples, spectrum, len(window), hop, out, magnitude=power == 1)
            right = expected(samples, window, n_fft, hop, frames, power)
            np.testing.assert_allclose(out, right, rtol=0, atol=tolerance * max(1.0, right.max()))


@pytest.mark.parametrize("precision", ["double", "single"])
def test_frames_are_changed_before_the_window(precision: str) -> None:
    rng, hop, frames = np.random.default_rng(0), 160, 300
    samples, window = rng.standard_normal(299 * hop + 401), rng.random(401)

    def without_mean(frames: np.ndarray) -> None:
        frames -= frames.mean(axis=1, keepdims=True)

    out = np.empty((frames, FILTERS), np.float32)
    filtered(samples, Spectra(window, 512, bank_of(512))[precision], 401, hop, out, prepare=without_mean)
    cut = np.stack([samples[k * hop : k * hop + 401] for k in range(frames)])
    cut -= cut.mean(axis=1, keepdims=True)
    right = np.abs(np.fft.rfft(cut * window, 512, axis=1)) ** 2 @ bank_of(512)
    np.testing.assert_allclose(out, right, rtol=0, atol=1e-5 * right.max())


def test_silence_beside_sound_is_silent_and_a_frame_the_same_wherever_it_lies() -> None:
    rng, window = np.random.default_rng(0), np.hanning(64)
    samples = rng.standard_normal(40 * 64).astype(np.float32)
    samples[5 * 64 : 6 * 64] = 0
    spectrum = Spectra(window, 64, bank_of(64))["single"]
    whole, rest = np.empty((40, FILTERS), np.float32), np.empty((37, FILTERS), np.float32)
    filtered(samples, spectrum, 64, 64, whole)
    filtered(samples[3 * 64 :], spectrum, 64, 64, rest)
    assert not whole[5].any()
    assert whole[[4, 6]].all(axis=0)[[0, 1, 3, 4]].all()
    np.testing.assert_array_equal(rest, whole[3:])


def test_another_precision_is_refused() -> None:
    with pytest.raises(SedkitError, match="half.*double, single"):
        Spectra(np.ones(4), 4, bank_of(4))["half"]


def test_less_than_the_frames_see_is_refused() -> None:
    spectrum, out = Spectra(np.ones(4), 4, bank_of(4))["double"], np.empty((3, FILTERS), np.float32)
    with pytest.raises(SedkitError, match="9 samples for 3 frames, expected at least 10"):
        filtered(np.zeros(9, np.float32), spectrum, 4, 3, out)
