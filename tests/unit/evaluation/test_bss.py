"""BSS-eval v3; the judge is mir_eval."""

from __future__ import annotations

import warnings

import mir_eval
import numpy as np
import pytest
from scipy.signal import lfilter

from sedkit.core.errors import SedkitError
from sedkit.evaluation import bss
from sedkit.evaluation.bss import References

RATE = 8000


def sources(seed: int = 0, samples: int = 12000) -> np.ndarray:
    """Two bursts of coloured noise that overlap, and a scene; 16 bits."""
    rng = np.random.default_rng(seed)
    out = rng.normal(0, [[0.1], [0.1], [0.02]], (3, samples))
    out[0] = lfilter([1], [1, -0.9], out[0])
    out[1] = lfilter([1], [1, 0.5], out[1])
    out[0, samples // 2 :] = 0
    out[1, : samples // 3] = 0
    return np.round(out * 32768) / 32768


def estimates_of(true: np.ndarray, seed: int = 1) -> np.ndarray:
    """Filtered, leaking, noisy."""
    rng = np.random.default_rng(seed)
    leaks = true + rng.uniform(0, 0.3, (3, 3)) @ true
    return lfilter([0.2, 0.7, 0.3], [1], leaks, axis=1) + rng.normal(0, 0.005, true.shape)


def judged(true: np.ndarray, estimates: np.ndarray) -> np.ndarray:
    """(sources, 3) figures of mir_eval."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        sdr, sir, sar, _ = mir_eval.separation.bss_eval_sources(true, estimates, compute_permutation=False)
    return np.stack([sdr, sir, sar], axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_mir_eval(seed: int) -> None:
    true = sources(seed)
    estimates = estimates_of(true, seed + 10)
    out = References.of(true).figures(estimates, np.arange(3))
    np.testing.assert_allclose(out, judged(true, estimates), atol=1e-3)


def test_of_a_mixture_too_and_in_single_precision() -> None:
    true = sources()
    mixture = np.broadcast_to(true.sum(axis=0), true.shape)
    out = References.of(true.astype(np.float32)).figures(mixture.astype(np.float32), np.arange(3))
    expected = judged(true, mixture)
    np.testing.assert_allclose(out[:, :2], expected[:, :2], atol=1e-3)
    # Nothing in a mixture is an artefact: infinite but for rounding.
    assert (out[:, 2] > 75).all() and (expected[:, 2] > 75).all()


def test_estimates_come_in_any_order_and_number() -> None:
    true = sources()
    estimates = estimates_of(true)
    references = References.of(true)
    each = references.figures(estimates, np.arange(3))
    order = np.array([2, 0, 0, 1])
    np.testing.assert_allclose(references.figures(estimates[order], order), each[order], atol=1e-9)
    # An estimate of another source is judged as one.
    assert references.figures(estimates[:1], np.array([1]))[0, 0] < each[1, 0]


def test_one_estimate_may_stand_for_several_sources() -> None:
    true = sources()
    mixture, leak = true.sum(axis=0), estimates_of(true)[1]
    estimates = np.stack([np.zeros(12000), leak, mixture])
    out = References.of(true).figures(estimates, np.array([0, 1, 1, 2, 0]), np.array([2, 2, 1, 2, 0]))
    of_mixture, of_leak = judged(true, np.tile(mixture, (3, 1))), judged(true, np.tile(leak, (3, 1)))
    np.testing.assert_allclose(out[[0, 1, 3], :2], of_mixture[[0, 1, 2], :2], atol=1e-3)
    np.testing.assert_allclose(out[2], of_leak[1], atol=1e-3)
    assert np.isnan(out[4]).all()


def test_recordings_longer_than_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    true = sources(samples=12000)
    estimates = estimates_of(true)
    whole = References.of(true, 64).figures(estimates, np.arange(3))
    monkeypatch.setattr(bss, "_BLOCKS", 7)
    np.testing.assert_allclose(References.of(true, 64).figures(estimates, np.arange(3)), whole, atol=1e-9)


def test_one_tap_by_hand() -> None:
    """Two orthogonal sources, e = 2 s1 + s2 + noise orthogonal to both, of energies 4, 1, 0.25."""
    eye = np.eye(4)[:3] * 2
    e = eye[0] + eye[1] / 2 + eye[2] / 4
    out = References.of(eye[:2], 1).figures(e[None], np.array([0]))[0]
    np.testing.assert_allclose(out, 10 * np.log10([4 / 1.25, 4 / 1, 5 / 0.25]), atol=1e-6)


def test_silence_and_constants_have_no_figures() -> None:
    true = sources()
    silent = np.concatenate([true, np.zeros((1, 12000)), np.full((1, 12000), 0.1)])
    estimates = np.concatenate([estimates_of(true), true[:2]])
    out = References.of(silent).figures(estimates, np.arange(5))
    assert np.isnan(out[3:]).all()
    # They are as if they were not there.
    np.testing.assert_allclose(out[:3], References.of(true).figures(estimates[:3], np.arange(3)))
    estimates[1] = 0
    out = References.of(true).figures(estimates[:3], np.arange(3))
    assert np.isnan(out[1]).all() and np.isfinite(out[[0, 2]]).all()
    assert np.isnan(References.of(np.zeros((2, 100))).figures(np.ones((1, 100)), np.array([1]))).all()


def test_one_source_alone_has_no_interference() -> None:
    true = sources()[:1]
    out = References.of(true).figures(estimates_of(sources())[:1], np.array([0]))[0]
    assert np.isnan(out[1]) and out[0] == pytest.approx(out[2])


def test_a_perfect_estimate_and_a_pure_tone_are_finite() -> None:
    tone = np.sin(np.arange(12000) * 0.3)
    true = np.stack([tone, sources()[2]])
    out = References.of(true).figures(true, np.arange(2))
    assert np.isfinite(out).all() and (out > 60).all() and (out <= bss.LIMIT_DB).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SedkitError, match="0 taps, expected at least 1"):
        References.of(sources(), 0)
    with pytest.raises(SedkitError, match=r"\(1, 7\), expected \(estimates, 12000\)"):
        References.of(sources()).figures(np.ones((1, 7)), np.array([0]))
