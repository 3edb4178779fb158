"""PSDS from operating points.

The definition is psds_eval 0.5.3's, after [1]_. For class c at an operating point, with the counts of `intersection`:

    tpr_c = true positives / reference events
    efpr_c = false positives per hour + alpha_ct * mean over other classes k of (cross triggers of k / hours of k)

The curve of a class is the largest tpr at or below each efpr. The effective rate etpr(x) = max(0, mean_c - alpha_st
* std_c) over classes (population standard deviation), and PSDS is its area up to `max_efpr`, divided by `max_efpr`.
psds_eval 0.3.0 averaged the cross triggers over all classes, the class itself counted as zero: variant `0.3.0`.

.. [1] C. Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.intersection import Ground, PointCounts, count_detections, join_points, prepare
from sedkit.evaluation.parameters import CrossTriggers, PsdsParameters

_NONE = np.zeros(1)


def psds_of_points(
    reference: Events,
    points: Sequence[Events],
    durations: Mapping[str, float],
    parameters: PsdsParameters,
) -> tuple[float, dict[str, float]]:
    """Compute PSDS and each class's own area from tables at several thresholds.

    Raises
    ------
    SedkitError
        No reference event, no duration, overlapping events of one class.
    """
    strict = parameters.cross_triggers != "0.3.0"
    ground = prepare(reference, durations, strict)
    counts = count_detections(ground, join_points(ground, points, strict), parameters.criteria)
    return psds_value(counts, parameters)


def psds_value(counts: PointCounts, parameters: PsdsParameters) -> tuple[float, dict[str, float]]:
    """Return PSDS and the area under each class's own curve, both in [0, 1]."""
    ground = counts.ground
    if not ground.labels:
        raise SedkitError("PSDS: the reference holds no event, expected at least one")
    seconds = total_s(ground)
    tpr = counts.dense("true") / ground.n_reference().sum(axis=0)
    efpr = counts.dense("false") * 3600.0 / seconds
    if parameters.alpha_ct:
        per_hour = counts.dense("cross") * 3600.0 / ground.reference_s().sum(axis=0)
        efpr = efpr + parameters.alpha_ct * cross_trigger_mean(per_hour, parameters.cross_triggers)
    x, cls, y, _ = steps_of(tpr, efpr, np.ones(len(ground.labels), np.bool_), parameters.max_efpr)
    return areas_of(x, cls, y, ground.labels, parameters)


def total_s(ground: Ground) -> float:
    """Return the summed durations of the clips, which must be known."""
    seconds = float(ground.duration_s.sum())
    if not np.isfinite(seconds) or seconds <= 0:
        raise SedkitError("PSDS: no durations, expected the clips' durations in seconds (--durations)")
    return seconds


def areas_of(
    x: NDArray[np.float64],
    cls: NDArray[np.int64],
    y: NDArray[np.float64],
    labels: Sequence[str],
    parameters: PsdsParameters,
) -> tuple[float, dict[str, float]]:
    """Return PSDS and each class's area from steps: class `cls[i]` reaches rate `y[i]` at `x[i]` per hour."""
    end, areas = parameters.max_efpr, {}
    for i, label in enumerate(labels):
        steps = cls == i
        alone = np.zeros_like(cls[steps])
        areas[label] = float(area_less_noise(x[steps], alone, y[steps], 1, 0.0, end, _NONE, _NONE))
    return float(area_less_noise(x, cls, y, len(labels), parameters.alpha_st, end, _NONE, _NONE)), areas


def cross_trigger_mean(rates: NDArray[np.float64], variant: CrossTriggers) -> NDArray[np.float64]:
    """Average cross-trigger rates (..., classes, other classes) over the other classes (diagonal zero)."""
    n = rates.shape[-1]
    others = n if variant == "0.3.0" else max(n - 1, 1)
    return np.asarray(rates.sum(axis=-1) / others, dtype=np.float64)


@njit(cache=True)
def steps_of(tpr: Any, efpr: Any, occurs: Any, max_efpr: float) -> Any:
    """Return operating points as steps (x, class, y) of the classes that count, and the number of these."""
    n_points, n_classes = tpr.shape
    x = np.empty(n_points * n_classes)
    cls = np.empty(n_points * n_classes, np.int64)
    y = np.empty(n_points * n_classes)
    n = n_occurring = 0
    for c in range(n_classes):
        if not occurs[c]:
            continue
        for p in range(n_points):
            if efpr[p, c] < max_efpr and tpr[p, c] > 0.0:
                x[n], cls[n], y[n] = efpr[p, c], n_occurring, tpr[p, c]
                n += 1
        n_occurring += 1
    return x[:n], cls[:n], y[:n], n_occurring


@njit(cache=True)
def area_less_noise(
    x: Any, cls: Any, y: Any, n_classes: int, alpha_st: float, max_efpr: float, grid: Any, noise: Any
) -> float:
    """Area under the effective rate, divided by `max_efpr`.

    Parameters
    ----------
    x, cls, y : (steps,) class `cls[i]` reaches rate `y[i]` at `x[i]` (below `max_efpr`) per hour, in any order.
    n_classes : classes that count.
    alpha_st : weight of the spread between classes.
    max_efpr : where the area ends, per hour.
    grid, noise : `noise[g]` is taken from the variance between classes from `grid[g]` on (rising from 0).
    """
    if n_classes == 0:
        return 0.0
    order = np.argsort(x)
    curve = np.zeros(n_classes)
    total = 0.0
    previous = 0.0
    height = 0.0
    mean = variance = 0.0
    i = g = 0
    while i < len(x) or g + 1 < len(grid):
        step = x[order[i]] if i < len(x) else np.inf
        here = min(step, grid[g + 1]) if g + 1 < len(grid) else step
        total += (here - previous) * height
        previous = here
        rose = False
        while i < len(x) and x[order[i]] == here:
            k = order[i]
            if y[k] > curve[cls[k]]:
                curve[cls[k]] = y[k]
                rose = True
            i += 1
        while g + 1 < len(grid) and grid[g + 1] <= here:
            g += 1
        if rose:
            mean, variance = mean_and_variance(curve)
        height = max(0.0, mean - alpha_st * np.sqrt(max(0.0, variance - noise[g])))
    total += (max_efpr - previous) * height
    return total / max_efpr


@njit(cache=True)
def mean_and_variance(values: Any) -> Any:
    """Return mean and population variance of a (n,) array."""
    mean = 0.0
    for value in values:
        mean += value
    mean /= len(values)
    spread = 0.0
    for value in values:
        spread += (value - mean) ** 2
    return mean, spread / len(values)
