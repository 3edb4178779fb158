"""Choosing one setting per class from counts, with few positives in mind.

A class with a handful of positives has an F1 that jumps with every clip, and its best threshold is mostly luck. So
each class is scored as if it had seen `PRIOR_POSITIVES` more positives that behave as those of all classes together:

    F_c(s) = 2 (TP_c(s) + w TP(s)) / (P_c + N_c(s) + w (P + N(s))),   w = PRIOR_POSITIVES / P

with true positives TP, positives P and decisions N; without an index they are sums over all classes. With many
positives this is the class's own optimum, with few it leans towards the optimum of all classes, and with none it is
that optimum. Among equals the first setting wins (settings are listed from simple to involved) and, of its
thresholds, the middle of the longest run: between two neighbouring scores the threshold lies midway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.postprocessing.rules import Postprocessing, Rule

#: How many positives of all classes together stand beside a class's own.
PRIOR_POSITIVES = 5.0

#: Folds of the tuning set in cross-validation.
FOLDS = 5

_SAME = 1e-12


@dataclass(frozen=True)
class Counts:
    """Counts of every setting and threshold, apart for each fold of the clips.

    `n_reference` is (folds, classes), `n_true` and `n_estimate` are (folds, classes, settings, thresholds), all
    float64.
    """

    n_reference: np.ndarray
    n_true: np.ndarray
    n_estimate: np.ndarray


def choose(
    n_reference: np.ndarray, n_true: np.ndarray, n_estimate: np.ndarray, prior: float = PRIOR_POSITIVES
) -> tuple[np.ndarray, np.ndarray]:
    """Choose a setting and a threshold per class, (classes,) int64 indices.

    Parameters
    ----------
    n_reference
        (classes,) positives.
    n_true, n_estimate
        (classes, settings, thresholds) true positives and decisions.
    prior
        Positives of all classes together that stand beside a class's own.

    Raises
    ------
    SedkitError
        No class has a positive.
    """
    total = n_reference.sum()
    if total == 0:
        raise SedkitError("the reference holds no positive of any class for these clips, expected at least one")
    pool_true, pool_estimate = n_true.sum(axis=0), n_estimate.sum(axis=0)
    weight = prior / total
    setting, threshold = np.zeros(len(n_reference), np.int64), np.zeros(len(n_reference), np.int64)
    for c, positives in enumerate(n_reference):
        if positives:
            hits, decisions, wanted = n_true[c], n_estimate[c], positives
        else:
            hits, decisions, wanted = 0.0, 0.0, 0.0
        f = 2 * (hits + weight * pool_true) / (wanted + decisions + weight * (total + pool_estimate))
        best = f >= f.max() - _SAME
        setting[c] = np.argmax(best.any(axis=1))
        threshold[c] = _middle_of_longest_run(best[setting[c]])
    return setting, threshold


def _middle_of_longest_run(flags: np.ndarray) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    first, last = edges[::2], edges[1::2]
    k = int(np.argmax(last - first))
    return int(first[k] + (last[k] - first[k] - 1) // 2)


def folds_of(filenames: Sequence[str], groups: Mapping[str, str], seed: int) -> np.ndarray:
    """Return a random fold for every clip, (clips,) int64 in 0 .. FOLDS - 1, folds of (nearly) equal size.

    Clips of one group are in one fold; a clip without one is a group of its own.
    """
    codes: dict[tuple[bool, str], int] = {}
    group = [codes.setdefault((bool(g), g or name), len(codes)) for name in filenames for g in [groups.get(name, "")]]
    size = np.bincount(group, minlength=len(codes))
    order = np.argsort(np.random.default_rng(seed).permutation(len(codes)))
    fold, filled = np.zeros(len(codes), np.int64), np.zeros(FOLDS, np.int64)
    # The largest first, each into the fold that holds the fewest clips.
    for g in order[np.argsort(-size[order], kind="stable")]:
        fold[g] = np.argmin(filled)
        filled[fold[g]] += size[g]
    return fold[group] if len(group) else fold


def per_fold(values: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Sum (clips, classes) over the clips of each fold: (FOLDS, classes) float64."""
    member = (fold == np.arange(FOLDS)[:, None]).astype(np.float64)
    return member @ values.astype(np.float64)


def macro_f1(n_reference: np.ndarray, n_true: np.ndarray, n_estimate: np.ndarray) -> float:
    """Mean F1 over the classes that have positives; all (classes,)."""
    known = n_reference > 0
    return float((2 * n_true[known] / (n_reference[known] + n_estimate[known])).mean())


@dataclass(frozen=True)
class Choice:
    """Settings and thresholds that were counted, and the rule that a rule becomes with one of each (indices)."""

    counts: Counts
    rule: Callable[[Rule, int, int], Rule]

    def made(self, rules: Sequence[Rule], left_out: int | None) -> tuple[list[Rule], np.ndarray, np.ndarray]:
        """Return rules chosen on all folds but one, and their n_true and n_estimate (folds, classes)."""
        counted = self.counts.n_reference, self.counts.n_true, self.counts.n_estimate
        folds = [fold for fold in range(FOLDS) if fold != left_out]
        setting, threshold = choose(*(count[folds].sum(axis=0) for count in counted))
        chosen = [self.rule(*place) for place in zip(rules, setting.tolist(), threshold.tolist(), strict=True)]
        n_true, n_estimate = (count[:, np.arange(len(rules)), setting, threshold] for count in counted[1:])
        return chosen, n_true, n_estimate


def searched(
    start: Postprocessing,
    first: Choice,
    grid: Mapping[str, Any],
    then: Callable[[Sequence[Rule]], Choice] | None = None,
) -> Postprocessing:
    """Return the best rules, with the macro F1 where every fold is decided on with what the other folds choose.

    The search begins at the rules `start` with the choice `first`; `then` returns what is chosen next, given the rules
    chosen first. `grid` are the values tried, as they stand in the file.
    """

    def made(left_out: int | None) -> tuple[list[Rule], np.ndarray, np.ndarray]:
        rules, *counted = first.made(start.rules, left_out)
        return (rules, *counted) if then is None else then(rules).made(rules, left_out)

    n_reference = first.counts.n_reference
    n_true, n_estimate = np.zeros(n_reference.shape[1]), np.zeros(n_reference.shape[1])
    for left_out in range(FOLDS):
        if np.delete(n_reference, left_out, axis=0).any():
            _, true, estimate = made(left_out)
            n_true, n_estimate = n_true + true[left_out], n_estimate + estimate[left_out]
    value = macro_f1(n_reference.sum(0), n_true, n_estimate)
    return replace(start.with_rules(made(None)[0]), cross_validated=value, grid=grid)


def shrunk(values: np.ndarray, n_reference: np.ndarray, prior: float = PRIOR_POSITIVES) -> np.ndarray:
    """Draw per-class figures (classes, settings) towards their mean over classes: for figures not made of counts.

    Each class's figures count relative to its own best, A_c / max A_c, so that easy classes do not outvote hard
    ones: (P_c A_c + prior A) / (P_c + prior) with A the mean of the A_c weighted by the positives P_c.
    """
    total = n_reference.sum()
    if total == 0:
        raise SedkitError("the reference holds no positive of any class for these clips, expected at least one")
    best = values.max(axis=1, keepdims=True)
    relative = values / np.where(best > 0, best, 1.0)
    pool = (n_reference[:, None] * relative).sum(axis=0) / total
    return (n_reference[:, None] * relative + prior * pool) / (n_reference[:, None] + prior)
