"""Areas under precision-recall and ROC curves, for one set of weights or for many resamples at once.

Scores are sorted once; a resample only reweights them. Items with equal scores enter the curve together. Where there
are more items than memory holds, `Ranks` counts them in narrow bins of the score instead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError

#: Digits of a score's distance to 0 or 1 that tell bins apart, and the powers of 2 down to which there are any.
_BITS, _LOWEST, _HIGHEST = 9, -40, -24
N_BINS = 2**_BITS * (-1 - _LOWEST - 1 - _HIGHEST) + 4


def cumulative(
    score: NDArray[np.floating], target: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Count targets and others at or above each distinct score, highest first.

    Parameters
    ----------
    score, target : (items,) a score, and whether the item is a target.
    weight : (..., items) how often each item counts.

    Returns
    -------
    true, false : (..., distinct scores) float64
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True)) if len(score) else np.zeros(0, np.int64)
    ordered = weight[..., order]
    true = np.cumsum(ordered * target[order], axis=-1)[..., last]
    false = np.cumsum(ordered * ~target[order], axis=-1)[..., last]
    return true, false


def average_precision(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of precision times rise of recall over distinct scores (scikit-learn's definition); NaN without targets."""
    if not true.shape[-1]:
        return np.full(true.shape[:-1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.nan_to_num(true / (true + false))
        rise = np.diff(true, axis=-1, prepend=0.0) / true[..., -1:]
        return np.asarray((precision * rise).sum(axis=-1), dtype=np.float64)


def roc_area(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    """Area under the ROC curve, straight lines through ties; NaN where targets or others are missing."""
    if not true.shape[-1]:
        return np.full(true.shape[:-1], np.nan)
    before = true - np.diff(true, axis=-1, prepend=0.0)
    width = np.diff(false, axis=-1, prepend=0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (width * (before + true) / 2).sum(axis=-1)
        return np.asarray(total / (true[..., -1] * false[..., -1]), dtype=np.float64)


def partial_roc_area(true: NDArray[np.float64], false: NDArray[np.float64], max_fpr: float) -> NDArray[np.float64]:
    """Area under the ROC staircase up to `max_fpr`, divided by it (as sed_scores_eval; no McClish correction)."""
    if not true.shape[-1]:
        return np.full(true.shape[:-1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        tpr, fpr = true / true[..., -1:], false / false[..., -1:]
        edges = np.minimum(np.concatenate([fpr, np.ones_like(fpr[..., :1])], axis=-1), max_fpr)
        return np.asarray((np.diff(edges, axis=-1) * tpr).sum(axis=-1) / max_fpr, dtype=np.float64)


def best_f1(true: NDArray[np.float64], false: NDArray[np.float64]) -> NDArray[np.float64]:
    """Largest F1 that a threshold gives; NaN without targets."""
    if not true.shape[-1]:
        return np.full(true.shape[:-1], np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = 2 * true / (true + false + true[..., -1:])
        return np.where(true[..., -1] > 0, f1.max(axis=-1), np.nan)


class Ranks:
    """Items of each class by score, counted in bins: memory that does not grow with them.

    A bin is 1/512 as wide as it is away from 0 or from 1, whichever is nearer, so scores that crowd at either end stay
    apart: down to 2**-40 and, of 1, as single precision has it; 0 and 1 themselves have bins of their own. Items in one
    bin enter the curves together, as if their scores were equal; `bounds` tells what that can have changed.

    Attributes
    ----------
    n : (classes, 2, bins) int64, how many items are no target, and how many are, by rising score.
    """

    def __init__(self, n_classes: int) -> None:
        self.n = np.zeros((n_classes, 2, N_BINS), np.int64)

    def add(self, score: NDArray[np.floating], target: NDArray[np.bool_]) -> None:
        """Count items, (items, classes); SedkitError for a score outside [0, 1]."""
        if score.size and not (score.min() >= 0 and score.max() <= 1):
            raise SedkitError(f"scores from {score.min():g} to {score.max():g}, expected probabilities")
        place = bin_of(score) + N_BINS * target
        for of_class, places in zip(self.n, place.T, strict=True):
            of_class += np.bincount(places, minlength=2 * N_BINS).reshape(2, N_BINS)

    def cumulative(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return targets and others at or above each bin, highest first, (classes, bins)."""
        false, true = np.cumsum(self.n[..., ::-1], axis=-1, dtype=np.float64).swapaxes(0, 1)
        return true, false

    def pooled(self) -> Ranks:
        """Return the items of all classes as one."""
        out = Ranks(1)
        out.n = self.n.sum(axis=0, keepdims=True)
        return out

    def bounds(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return how far the average precision and the ROC area of each class may be off; NaN where undefined.

        The k-th target of a bin counts with the precision at some later item of it: at most that after all targets and
        no other, at least that after k targets and all others, which is concave in k.
        """
        true, false = self.cumulative()
        t, f = (np.diff(x, axis=-1, prepend=0.0) for x in (true, false))
        # Scores of 1 and of 0 are equal, not only taken to be.
        t[..., [0, -1]] = 0
        with np.errstate(divide="ignore", invalid="ignore"):

            def precision(k: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
                return np.nan_to_num((true - t + k) / (true - t + k + others))

            taken, most = precision(t, false), precision(t, false - f)
            least = (precision(np.ones(1), false) + taken) / 2
            targets, others = true[..., -1], false[..., -1]
            above, below = ((t * off).sum(axis=-1) / targets for off in (most - taken, taken - least))
            return np.maximum(above, below), np.asarray((t * f).sum(axis=-1) / (2 * targets * others), np.float64)


def bin_of(score: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the bin of scores in [0, 1]; the order of scores is that of their bins, but for what shares one."""
    score = score.astype(np.float32)
    # The upper bits of a positive number, as an integer, rise with it: exponent and 127, then the first digits.
    bits = (np.minimum(score, 1 - score).view(np.int32) >> (23 - _BITS)).astype(np.int64)
    low = np.where(score > 0, np.maximum(bits - (127 + _LOWEST << _BITS), -1) + 2, 0)
    high = N_BINS - 1 - np.where(score < 1, bits - (127 + _HIGHEST << _BITS) + 1, 0)
    return np.where(score > 0.5, high, low)
