"""The mel spectrograms of PaSST against the answers of the authors' code, and against their steps written out."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sedkit.features.frontends import frontend_from
from sedkit.features.frontends.passt_mel import PasstMel
from sedkit.models.sizes import FPASST_FRONTEND
from tests.unit.models.known_answers import answers, check, wave


def test_is_that_of_passt(shared: Path) -> None:
    expected = answers(shared)["PaSST-S"]["mel_normalised"]
    features = PasstMel().transform(wave(32000, 10))
    check(expected, (features.transpose(0, 2, 1) + 4.5) / 5)


def test_is_that_of_fpasst(shared: Path) -> None:
    expected = answers(shared)["fPaSST"]["mel_normalised"]
    features = frontend_from(FPASST_FRONTEND).transform(wave(16000, 10))
    check(expected, ((features.transpose(0, 2, 1) + 4.5) / 5)[:, None])


def slow_frame(x: np.ndarray, k: int) -> list[float]:
    """Frame k of a recording at 32 kHz by the rules, one number after the other."""
    y = [x[i + 1] - 0.97 * x[i] for i in range(len(x) - 1)]
    last = len(y) - 1
    places = [abs(i) if i <= last else 2 * last - i for i in range(320 * k - 400, 320 * k + 400)]
    framed = [y[place] * (0.5 - 0.5 * math.cos(2 * math.pi * i / 799)) for i, place in enumerate(places)]
    power = np.abs(np.fft.rfft(framed, 1024)) ** 2

    def mel(hz: float) -> float:
        return 1127 * math.log(1 + hz / 700)

    step = mel(15000) / 129
    out = []
    for m in range(128):
        places = [mel(b * 31.25) / step - m for b in range(512)]
        out.append(math.log(sum(p * max(0.0, min(at, 2 - at)) for p, at in zip(power, places, strict=False)) + 1e-5))
    return out


@pytest.mark.parametrize("samples", [3200, 3201, 3519])
def test_a_frame_by_hand(samples: int) -> None:
    frontend, x = PasstMel(clip_s=None), np.random.default_rng(0).standard_normal(samples) * 0.1
    features = frontend.transform(x[None])
    # 1 + (samples - 1) // hop: the recording without its first sample, and its end.
    assert features.shape == (1, 1 + (samples - 1) // 320, 128)
    assert frontend.frames_for(samples / 32000) == features.shape[1]
    for k in (0, 5, features.shape[1] - 1):
        np.testing.assert_allclose(features[0, k], slow_frame(x, k), atol=2e-5)


def test_frames_of_other_options() -> None:
    for end_frame, centre, frames in ((True, True, 10), (False, False, 7), (True, False, 7)):
        frontend = PasstMel(clip_s=None, end_frame=end_frame, centre=centre)
        x = np.random.default_rng(1).standard_normal((1, 3200))
        assert frontend.transform(x).shape == (1, frames, 128), (end_frame, centre)
    plain = PasstMel(clip_s=None, preemphasis=0.0, end_frame=True)
    assert plain.transform(np.zeros((1, 3200))).shape == (1, 11, 128)
    assert PasstMel(clip_s=None).transform(np.zeros((1, 1), np.float32)).shape == (1, 1, 128)


def test_what_a_filter_between_two_bins_holds() -> None:
    frontend = replace(frontend_from(FPASST_FRONTEND), clip_s=None)
    features = frontend.transform(np.random.default_rng(1).standard_normal((1, 1600)))
    # The lowest one ends at 26.5 Hz, below the first bin of the transform.
    np.testing.assert_allclose(features[0, :, 0], math.log(1e-7), rtol=1e-6)
    assert features[0, :, 1:].min() > math.log(1e-7) + 1
    assert frontend.scale == "ln_power" and frontend.padding == pytest.approx(math.log(1e-7))
