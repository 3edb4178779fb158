from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from sedkit.evaluation.counts import Rates, Undefined
from sedkit.evaluation.metrics.tagging import TaggedClips, Tagging, TaggingParameters


def figures_of(
    present: np.ndarray, score: np.ndarray, undefined: Undefined = "official", weights: np.ndarray | None = None
) -> Rates:
    clips = TaggedClips(
        tuple(f"c{i}" for i in range(len(present))), tuple("abcdef"[: present.shape[1]]), present, score
    )
    return Tagging("tagging", TaggingParameters()).figures(clips, undefined, weights)


@given(seed=st.integers(0, 2**32 - 1))
def test_equals_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    present = rng.random((30, 4)) < rng.random(4)
    present[0], present[1] = True, False
    # Coarse scores: ties are common.
    score = (np.round(rng.random((30, 4)) * 8) / 8).astype(np.float32)
    figures = figures_of(present, score)
    for name, of in (("average_precision", average_precision_score), ("roc_auc", roc_auc_score)):
        np.testing.assert_allclose(
            figures.classes[name], [of(present[:, c], score[:, c]) for c in range(4)], atol=1e-12
        )
        assert figures.macro[name] == pytest.approx(of(present, score, average="macro"), abs=1e-12)
        assert figures.micro[name] == pytest.approx(of(present, score, average="micro"), abs=1e-12)
    assert figures.macro["f1"] == pytest.approx(f1_score(present, score > 0.5, average="macro"), abs=1e-12)
    assert figures.micro["f1"] == pytest.approx(f1_score(present, score > 0.5, average="micro"), abs=1e-12)


def test_weights_are_repetitions() -> None:
    rng = np.random.default_rng(1)
    present, score = rng.random((20, 3)) < 0.4, (np.round(rng.random((20, 3)) * 8) / 8).astype(np.float32)
    times = rng.integers(0, 4, size=(5, 20))
    weighted = figures_of(present, score, weights=times.astype(float))
    for n in range(5):
        rows = np.repeat(np.arange(20), times[n])
        plain = figures_of(present[rows], score[rows])
        for name in plain.macro:
            assert weighted.macro[name][n] == pytest.approx(plain.macro[name], abs=1e-12)
            assert weighted.micro[name][n] == pytest.approx(plain.micro[name], abs=1e-12)


def test_a_class_without_tagged_clips_is_left_out_or_zero() -> None:
    present = np.array([[True, False], [False, False]])
    score = np.array([[0.9, 0.1], [0.2, 0.1]], np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        official = figures_of(present, score)
        zero = figures_of(present, score, "zero")
    assert (official.macro["average_precision"], zero.macro["average_precision"]) == (1.0, 0.5)
    assert np.isnan(official.classes["f1"][1])
