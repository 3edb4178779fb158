"""Kaldi's filter banks against the answers of the authors' code, and against its steps written out for one frame."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from sedkit.core.errors import UsageError
from sedkit.features.frontends import frontend_from
from sedkit.features.frontends.kaldi_fbank import KaldiFbank
from sedkit.features.passing import frames_of
from tests.unit.models.known_answers import answers, check, check_picks, wave


@pytest.mark.parametrize("precision", ["double", "single"])
def test_is_that_of_beats(shared: Path, precision: str) -> None:
    expected = answers(shared)["BEATs"]["10s"]
    features = KaldiFbank().transform(wave(16000, 10), precision)
    check(expected["fbank_raw"], features, 2e-4 if precision == "double" else 1e-2)
    normalised = (features - 15.41663) / (2 * 6.55582)
    check(expected["fbank_normalised"], normalised, 1e-4 if precision == "double" else 1e-3)
    check_picks(expected["fbank_picks"], normalised, 1e-4 if precision == "double" else 1e-3)


def slow_frame(x: np.ndarray, rate: int, n_mels: int) -> list[float]:
    """One frame of 400 samples by the rules, one number after the other."""
    x = 32768.0 * x
    x = x - x.mean()
    x = np.array([x[0] - 0.97 * x[0]] + [x[i] - 0.97 * x[i - 1] for i in range(1, 400)])
    x *= [(0.5 - 0.5 * math.cos(2 * math.pi * i / 399)) ** 0.85 for i in range(400)]
    power = np.abs(np.fft.rfft(np.concatenate([x, np.zeros(112)]))) ** 2

    def mel(hz: float) -> float:
        return 1127 * math.log(1 + hz / 700)

    step = (mel(rate / 2) - mel(20)) / (n_mels + 1)
    out = []
    for m in range(n_mels):
        low = mel(20) + m * step
        total = 0.0
        for k in range(256):
            place = (mel(k * rate / 512) - low) / step
            total += power[k] * max(0.0, min(place, 2 - place))
        out.append(math.log(max(total, 2**-23)))
    return out


@pytest.mark.parametrize("n_mels", [23, 128])
def test_a_frame_by_hand(n_mels: int) -> None:
    frontend, rng = KaldiFbank(n_mels=n_mels, clip_s=None), np.random.default_rng(0)
    x = rng.standard_normal(1200) * 0.1 + 0.3
    features = frontend.transform(x[None])
    assert features.shape == (1, 6, n_mels) and frontend.frames_for(1200 / 16000) == 6
    for frame in (0, 3, 5):
        expected = slow_frame(x[160 * frame :][:400], 16000, n_mels)
        np.testing.assert_allclose(features[0, frame], expected, atol=2e-5)


def test_silence_and_short_recordings() -> None:
    frontend = KaldiFbank(clip_s=None)
    features = frontend.transform(np.zeros((1, 100)))
    assert features.shape == (1, 1, 128)
    np.testing.assert_allclose(features, math.log(2**-23), rtol=1e-6)
    assert frontend.padding == pytest.approx(math.log(2**-23))
    assert KaldiFbank().frames_for(3) == 998 and len(KaldiFbank().pad(np.zeros(9, np.float32))) == 160000


def test_windows_are_slices_and_blocks_are_the_whole() -> None:
    frontend, x = KaldiFbank(clip_s=None), np.random.default_rng(1).standard_normal(16000 * 12).astype(np.float32)
    whole = frontend.transform(x[None])[0]
    seen = x[160 * 7 :][: frontend.window_samples(20)]
    # Some processors round products of matrices by how many rows there are.
    alike = partial(np.testing.assert_allclose, rtol=1e-6)
    alike(frontend.transform_windows(seen[None])[0], whole[7:27])
    blocks = [x[i : i + 7000] for i in range(0, len(x), 7000)]
    alike(np.concatenate(list(frames_of(blocks, len(x), frontend))), whole)
    padded = KaldiFbank(clip_s=13)
    alike(np.concatenate(list(frames_of(blocks, len(x), padded)))[: len(whole)], whole)


def test_bad_options() -> None:
    assert frontend_from({"name": "kaldi_fbank", "n_mels": 64}) == replace(KaldiFbank(), n_mels=64)
    for key, value in {"n_mels": 0, "floor": 0.0, "fmin_hz": 9000.0, "clip_s": 0.0}.items():
        with pytest.raises(UsageError, match=key):
            frontend_from({"name": "kaldi_fbank", key: value})
