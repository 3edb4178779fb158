"""Areas under precision-recall and ROC curves, for one set of weights or for many resamples at once.

Scores are sorted once; a resample only reweights them. Items with equal scores enter the curve together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
