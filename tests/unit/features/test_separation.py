"""Masks laid over recordings."""

from __future__ import annotations

from dataclasses import replace

import librosa
import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from sedkit.core.errors import UsageError
from sedkit.features.frontends import FrontEnd
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.separation import Separator

#: As published (Kong et al. 2018): 311 frames of 10 s.
PUBLISHED = LogMel(
    n_fft=2048, hop_samples=1024, window="hamming", centre=False, end_frame=True, spectrum="magnitude", fmin_hz=50.0,
    fmax_hz=16000.0, log="ln", floor=1e-8, window_unit_energy=True,
)  # fmt: skip
#: Centred, a hop that does not divide the transform, a window shorter than it.
DEFAULT = LogMel()
SHORT = LogMel(sample_rate=8000, n_fft=256, win_length=200, hop_samples=80, n_mels=20, fmax_hz=None)


def sound(frontend: LogMel, seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise between the filters' ends."""
    rate = frontend.sample_rate
    low, high = 300, min(frontend.highest_hz, 0.48 * rate) - 500
    x = np.random.default_rng(seed).normal(0, 0.1, round(seconds * rate))
    return sosfilt(butter(12, [low, high], "band", fs=rate, output="sos"), x).astype(np.float32)


@pytest.mark.parametrize("seconds", [2.0, 0.011])
def test_a_mask_of_ones_returns_the_recording_to_its_edges(seconds: float) -> None:
    """Filters from 50 Hz to half the rate: what lies below them is gone."""
    x = sound(PUBLISHED, seconds)
    masks = np.ones((2, PUBLISHED.valid_frames(seconds), 64), dtype=np.float32)
    out = Separator(PUBLISHED).separate(x, masks)
    assert out.shape == (2, len(x)) and out.dtype == np.float32
    np.testing.assert_allclose(out[0], x, atol=2e-3 * np.abs(x).max())
    np.testing.assert_array_equal(out[0], out[1])


@pytest.mark.parametrize("frontend", [DEFAULT, SHORT], ids=["default", "short"])
def test_other_framings_return_it_too(frontend: LogMel) -> None:
    x = sound(frontend)
    out = Separator(frontend).separate(x, np.ones((1, frontend.valid_frames(2.0), frontend.n_bins), dtype=np.float32))
    inside = slice(2048, -2048)
    assert np.square(out[0] - x)[inside].sum() < 1e-4 * np.square(x).sum()


def test_a_whole_spectrogram_is_transformed_back_exactly() -> None:
    x = np.random.default_rng(1).normal(0, 0.3, 33001).astype(np.float32)
    separator = Separator(PUBLISHED)
    whole = np.ones((1, *separator.spectrogram(x).shape), dtype=np.float32)
    np.testing.assert_allclose(separator.filtered(x, whole)[0], x, atol=1e-6)


def test_sums_of_windows_are_the_published_constant_and_its_ripple() -> None:
    # Kong et al.: the mean of w[n] + w[n + 1024] of the symmetric Hamming window; the front end's has unit energy.
    sums = 1 / Separator(PUBLISHED)._gain.astype(float) * np.sqrt(np.sum(np.hamming(2048) ** 2))
    assert sums.mean() == pytest.approx(1.0795508, abs=1e-7)
    assert np.ptp(sums) == pytest.approx(7.05e-4, abs=5e-7)


def test_bins_take_the_mean_of_their_filters() -> None:
    """A mask whose values differ from filter to filter, against librosa's filters and a plain loop."""
    rng = np.random.default_rng(2)
    x, masks = sound(PUBLISHED, 0.5), rng.uniform(0, 1, (1, 14, 64)).astype(np.float32)
    bank = librosa.filters.mel(sr=32000, n_fft=2048, n_mels=64, fmin=50, fmax=16000)
    linear = masks[0].astype(float) @ (bank / (bank.sum(axis=0) + 1e-8))
    window, expected, sums = np.hamming(2048), np.zeros(len(x) + 4096), np.zeros(len(x) + 4096)
    for k in range(-1, 16):
        at = slice(2048 + 1024 * k, 4096 + 1024 * k)
        spectrum = np.fft.rfft(window * np.pad(x, 2048)[at]) * linear[min(max(k, 0), 13)]
        expected[at] += np.fft.irfft(spectrum)
        sums[at] += window
    inside = slice(2048, 2048 + len(x))
    np.testing.assert_allclose(
        Separator(PUBLISHED).separate(x, masks)[0], (expected / np.maximum(sums, 1e-9))[inside], atol=1e-6
    )


def test_bins_outside_all_filters_are_silent() -> None:
    constant = np.ones(32000, dtype=np.float32)
    out = Separator(PUBLISHED).separate(constant, np.ones((1, 30, 64), dtype=np.float32))
    assert np.abs(out[0, 4000:-4000]).max() < 1e-3


@pytest.mark.parametrize("frontend", [PUBLISHED, DEFAULT], ids=["published", "default"])
def test_a_frame_of_the_mask_is_a_frame_of_the_features(frontend: LogMel) -> None:
    """A click lets through by one frame's mask alone, where the features show it."""
    x = np.zeros(32000, dtype=np.float32)
    x[16384] = 1.0
    level = frontend.transform(x[None])[0].sum(axis=1)
    masks = np.zeros((1, frontend.valid_frames(1.0), 64), dtype=np.float32)
    masks[0, level[: masks.shape[1]].argmax()] = 1.0
    separator = Separator(frontend)
    kept = np.square(separator.separate(x, masks)).sum()
    everything = np.square(separator.separate(x, np.ones_like(masks))).sum()
    assert kept > 0.25 * everything
    assert np.square(separator.separate(x, np.roll(masks, 5, axis=1))).sum() == 0


def test_long_recordings_are_separated_in_blocks() -> None:
    """More frames than one block; 12 s, the second half silent by its mask."""
    x, masks = sound(PUBLISHED, 12.0), np.ones((1, 374, 64), dtype=np.float32)
    masks[0, 187:] = 0
    out = Separator(PUBLISHED).separate(x, masks)[0]
    np.testing.assert_allclose(out[:190000], x[:190000], atol=2e-3 * np.abs(x).max())
    assert not out[194000:].any()


def test_gaps_between_windows_stay_silent() -> None:
    frontend = replace(SHORT, win_length=60, hop_samples=100)
    x = sound(frontend, 0.2)
    out = Separator(frontend).separate(x, np.ones((1, 16, 20), dtype=np.float32))
    assert np.isfinite(out).all() and (out == 0).any()


def test_a_front_end_without_a_spectrogram_is_refused() -> None:
    class Bare(LogMel):
        name = "bare"
        framing = FrontEnd.framing

    with pytest.raises(UsageError, match="bare: has no spectrogram"):
        Separator(Bare())
