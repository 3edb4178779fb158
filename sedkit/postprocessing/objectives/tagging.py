"""Clip thresholds by the F1 of clip scores: a search with one setting; frame rules stay as they are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.postprocessing.choose import FOLDS, Counts, Stage, macro_f1, per_fold, searched
from sedkit.postprocessing.objectives.base import Objective, Problem, register
from sedkit.postprocessing.rules import Postprocessing

#: More distinct clip scores than this are thinned out evenly before thresholds are laid between them.
_MOST_CANDIDATES = 20_000


class _Tagging(Objective):
    needs_events = False
    gated = False

    def search(self, problem: Problem) -> Postprocessing:
        """Try a threshold between every two neighbouring clip scores."""
        clipwise, present = _clipwise(problem)
        candidates = _between(clipwise)
        counts = tagging_counts(clipwise, present, candidates, problem.fold)
        stage = Stage(counts, lambda rule, _, k: replace(rule, clip_threshold=_short(candidates, k)))
        return searched(
            problem.start, stage, {"clip_threshold": "midway between neighbouring clip scores of all classes"}
        )

    def value(self, problem: Problem, rules: Postprocessing) -> float:
        """Return macro F1 of the clips' tags."""
        clipwise, present = _clipwise(problem)
        tagged = clipwise > rules.column("clip_threshold")
        return macro_f1(present.sum(0), (tagged & present).sum(0), tagged.sum(0))


register("tagging", _Tagging())


def _clipwise(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Return clip scores and what is true of them, (clips, classes) float64 and bool."""
    if problem.scores.clipwise is None:
        raise SedkitError("the scores hold no clip scores, which the objective tagging chooses thresholds for")
    return problem.scores.clipwise.astype(np.float64), problem.tags.present


def _between(clipwise: np.ndarray) -> np.ndarray:
    """Return one threshold between every two neighbouring scores, and one below the lowest."""
    values = np.unique(clipwise)
    if len(values) > _MOST_CANDIDATES:
        values = values[np.linspace(0, len(values) - 1, _MOST_CANDIDATES).astype(np.int64)]
    return np.concatenate([[min(values[0] / 2, values[0] - 1e-6)], (values[:-1] + values[1:]) / 2])


def _short(candidates: np.ndarray, k: int) -> float:
    """Return candidate `k` with as few decimals (at least three) as leave it nearest to its own place."""
    low = candidates[k - 1] if k > 0 else -np.inf
    high = candidates[k + 1] if k + 1 < len(candidates) else np.inf
    for digits in range(3, 17):
        value = round(float(candidates[k]), digits)
        # Halfway to its neighbours a threshold still lies between the same two scores.
        if (low + candidates[k]) / 2 < value < (high + candidates[k]) / 2:
            return value
    return float(candidates[k])


def tagging_counts(clipwise: np.ndarray, present: np.ndarray, candidates: np.ndarray, fold: np.ndarray) -> Counts:
    """Count decisions score > threshold: one setting, all `candidates` (ascending)."""
    shape = (FOLDS, clipwise.shape[1], 1, len(candidates))
    n_true, n_estimate = np.zeros(shape), np.zeros(shape)
    for p in range(FOLDS):
        for c in range(clipwise.shape[1]):
            for counts, rows in ((n_estimate, fold == p), (n_true, (fold == p) & present[:, c])):
                ordered = np.sort(clipwise[rows, c])
                counts[p, c, 0] = len(ordered) - np.searchsorted(ordered, candidates, side="right")
    return Counts(per_fold(present, fold), n_true, n_estimate)
