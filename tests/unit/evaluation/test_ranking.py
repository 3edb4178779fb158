"""Areas from scores counted in bins: scikit-learn is the judge."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from sedkit.core.errors import SedkitError
from sedkit.evaluation.ranking import N_BINS, Ranks, average_precision, bin_of, roc_area

SHAPES = {
    "even": lambda x: x,
    "near 0": lambda x: x**12,
    "near 1": lambda x: 1 - x**12,
    "few values": lambda x: np.round(x * 4) / 4,
    "two values": np.round,
}


def counted(score: np.ndarray, target: np.ndarray, pieces: int = 1) -> Ranks:
    ranks = Ranks(score.shape[1])
    for a, b in zip(np.array_split(score, pieces), np.array_split(target, pieces), strict=True):
        ranks.add(a, b)
    return ranks


@pytest.mark.parametrize("shape", SHAPES)
@given(seed=st.integers(0, 2**32 - 1))
def test_areas_are_those_of_scikit_learn_within_their_bounds(shape: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    score = SHAPES[shape](rng.random((400, 2))).astype(np.float32)
    target = rng.random((400, 2)) < 0.1 + 0.5 * score
    target[0], target[1] = True, False
    ranks = counted(score, target, pieces=3)
    cumulative, bounds = ranks.cumulative(), ranks.bounds()
    for area, judge, bound in (
        (average_precision(*cumulative), average_precision_score, bounds[0]),
        (roc_area(*cumulative), roc_auc_score, bounds[1]),
    ):
        for k in range(2):
            off = abs(area[k] - judge(target[:, k], score[:, k]))
            assert off <= bound[k] + 1e-12
            if shape == "even":
                assert bound[k] < 5e-3
            if shape in ("few values", "two values"):
                assert off < 1e-12
            if shape == "two values":
                assert bound[k] == 0


def test_the_bound_is_reached_where_the_order_within_a_bin_is_the_worst() -> None:
    """One of two targets stands first; two scores share a bin: before or after the other, taken as equal."""
    score = np.array([0.9, 0.5 + 1e-6, 0.5 + 2e-6])[:, None].astype(np.float32)
    assert bin_of(score[1]) == bin_of(score[2])
    ranks = counted(score, np.array([[True], [True], [False]]))
    # By the scores one of the two pairs is in order; as ties the second counts half.
    assert roc_area(*ranks.cumulative())[0] == 0.75
    assert ranks.bounds()[1][0] == 0.25
    assert roc_auc_score([1, 1, 0], score[:, 0]) == 0.5


def test_bins_keep_the_order_of_scores_and_tell_0_and_1_apart() -> None:
    tiny = np.nextafter(np.float32(0), np.float32(1))
    score = np.sort(np.concatenate([2.0 ** -np.arange(1, 45), 1 - 2.0 ** -np.arange(2, 25), [0, tiny, 1]]))
    bins = bin_of(score.astype(np.float32))
    assert (np.diff(bins) >= 0).all()
    assert (bins[0], bins[1], bins[-1]) == (0, 1, N_BINS - 1)
    # Every power of two down to 2**-40, and of the distance to 1 down to single precision, has a bin of its own.
    assert (np.diff(bins[score >= 2.0**-40]) > 0).all()


def test_memory_does_not_grow_with_the_items_and_other_numbers_are_refused() -> None:
    ranks = Ranks(1)
    size = ranks.n.nbytes
    for _ in range(3):
        ranks.add(np.random.default_rng(0).random((1000, 1)), np.ones((1000, 1), bool))
    assert (ranks.n.nbytes, ranks.n.sum()) == (size, 3000)
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(SedkitError, match="expected probabilities"):
            ranks.add(np.array([[wrong]]), np.array([[True]]))
