"""PSDS: the area under an effective rate over classes, of operating points and of resamples of their clips.

The definition is psds_eval 0.5.3's, after [1]_. For class c at an operating point, with the counts of `coverage`:

    tpr_c = true positives / reference events
    efpr_c = false positives per hour + alpha_ct * mean over other classes k of (cross triggers of k / hours of k)

The curve of a class is the largest tpr at or below each efpr. The effective rate etpr(x) = max(0, mean_c - alpha_st
* std_c) over classes (population standard deviation), and PSDS is its area up to `max_efpr`, divided by `max_efpr`.
psds_eval 0.3.0 averaged the cross triggers over all classes, the class itself counted as zero: variant `0.3.0`.

Intervals (sedkit's own) are of PSDS without what sampling adds to the standard deviation between the classes' curves:
noise adds to it, so that the official figure on few clips lies below that on many, and the figures of resamples lie
lower still. How much the variance between classes grows from the clips to their resamples, at each false positive rate,
is the noise that one sampling adds: it is taken once from the variance of the clips, and twice from that of each
resample, which has been sampled twice.

The interval is about the figure on very many clips; where classes are about equally good, or a system is so poor that
the official figure is near 0, the official figure on few clips may lie below it. In simulations of 400 clips with 3 to
20 classes, equal or unequal, frequent or rare, good or poor, coverage is 92 to 98 % from five operating points on
(percentiles of the plain figures: 26 to 93 %); with one or two, 76 to 95 %. On the operating points of a real system
and of poorer ones made of it (`tests/simulations/psds_intervals.py`) it is 91 to 99 % from 150 clips on. The corrected
figure itself is not shown: it scatters more than the official one, mostly by more than it is less biased.

.. [1] C. Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.compiled import compiled, sort_rows
from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.coverage import Ground, PointCounts, count_detections, join_points, prepare
from sedkit.evaluation.parameters import PsdsParameters
from sedkit.evaluation.resample import Drawn, Resamples

_NONE = np.zeros(1)


def psds_of_points(
    reference: Events,
    points: Sequence[Events],
    durations: Mapping[str, float],
    parameters: PsdsParameters,
) -> tuple[float, dict[str, float]]:
    """Compute PSDS and each class's own area from tables at several thresholds.

    Raises SedkitError without reference event or durations, and for overlapping events of one class.
    """
    strict = parameters.cross_triggers != "0.3.0"
    ground = prepare(reference, durations, strict)
    counts = count_detections(ground, join_points(ground, points, strict), parameters.criteria)
    return psds_value(counts, parameters)


def psds_value(counts: PointCounts, parameters: PsdsParameters) -> tuple[float, dict[str, float]]:
    """Return PSDS and the area under each class's own curve, both in [0, 1]."""
    tpr, efpr = roc_points(counts, parameters)
    labels = counts.ground.labels
    x, cls, y, _ = steps_of(tpr, efpr, np.ones(len(labels), np.bool_), parameters.max_efpr)
    return areas_of(x, cls, y, labels, parameters)


def roc_points(counts: PointCounts, parameters: PsdsParameters) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the true positive rate, and the effective false positives per hour, of each point and class.

    Returns
    -------
    tpr, efpr
        (points, classes), the classes being those that occur in the reference.
    """
    ground = counts.ground
    if not ground.labels:
        raise SedkitError("PSDS: the reference holds no event, expected at least one")
    return rates_of(counts.dense(), ground.n_reference().sum(axis=0), ground, parameters)


def rates_of(
    counts: NDArray[np.float64], n_reference: Any, ground: Ground, parameters: PsdsParameters
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return tpr and efpr (...,) of counts (..., kinds) of classes that have so many reference events."""
    seconds = float(ground.duration_s.sum())
    if not np.isfinite(seconds) or seconds <= 0:
        raise SedkitError("PSDS: no durations, expected the clips' durations in seconds (--durations)")
    efpr = counts[..., 1] * 3600.0 / seconds
    if parameters.alpha_ct:
        per_hour = counts[..., 2:] * 3600.0 / ground.reference_s().sum(axis=0)
        n = per_hour.shape[-1]
        others = n if parameters.cross_triggers == "0.3.0" else max(n - 1, 1)
        efpr = efpr + parameters.alpha_ct * (per_hour.sum(axis=-1) / others)
    return counts[..., 0] / n_reference, efpr


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


@compiled()
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


@compiled()
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
    order = np.arange(len(x))
    sort_rows(order, x)
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


@compiled()
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


def psds_of_weights(points: PointCounts, weights: NDArray[np.float32], parameters: PsdsParameters) -> NDArray[Any]:
    """Return PSDS of every column of `weights`, (clips, n), as it is; NaN where no clip drawn holds an event."""
    counts = _resampled_counts(points, weights, parameters)
    return np.asarray(_psds(counts, points.n_points, _terms(parameters), np.zeros(1), np.zeros(1)))


def corrected_psds(points: PointCounts, resamples: Resamples, parameters: PsdsParameters) -> Drawn:
    """Return PSDS and its resamples without what sampling noise adds to the spread between classes."""
    weights = resamples.weights(points.ground.filenames)
    resampled = _resampled_counts(points, weights, parameters)
    whole = _resampled_counts(points, np.ones((len(weights), 1), np.float32), parameters)
    n, terms, grid = points.n_points, _terms(parameters), _grid(whole, points, parameters)
    noise = np.maximum(_variances(resampled, n, terms, grid) - _variances(whole, n, terms, grid), 0.0)
    estimate = float(_psds(whole, n, terms, grid, noise)[0])
    return Drawn(np.asarray(_psds(resampled, n, terms, grid, 2 * noise)), estimate, corrected=True)


#: Of resamples: counts (n, points * classes * kinds), reference events, their seconds (n, classes), seconds (n,).
_Counts = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _resampled_counts(points: PointCounts, weights: NDArray[np.float32], parameters: PsdsParameters) -> _Counts:
    ground, clips = points.ground, weights.T.astype(np.float64)
    k = len(ground.labels)
    # Without a weight of theirs, cross triggers are not counted.
    n_kinds = 2 + k if parameters.alpha_ct else 2
    rows = np.flatnonzero(points.kind < n_kinds)
    total = np.zeros((points.n_points * k * n_kinds, weights.shape[1]), np.float32)
    cell, value = points.cell[rows] * n_kinds + points.kind[rows], points.value[rows].astype(np.float32)
    _add_weighted(cell, points.clip[rows], value, weights, total)
    counts = np.ascontiguousarray(total.T)
    return counts, clips @ ground.n_reference(), clips @ ground.reference_s(), clips @ ground.duration_s


def _terms(parameters: PsdsParameters) -> tuple[float, bool, float, float]:
    """Return the weight of cross triggers, whether they are averaged over all classes, the spread's weight, the end."""
    over_all = parameters.cross_triggers == "0.3.0"
    return float(parameters.alpha_ct), over_all, float(parameters.alpha_st), float(parameters.max_efpr)


def _grid(counts: _Counts, points: PointCounts, parameters: PsdsParameters) -> NDArray[np.float64]:
    """Return false positive rates per hour from 0 on, denser where the curves of the whole set rise."""
    k = len(points.ground.labels)
    tpr, efpr, occurs = np.zeros((points.n_points, k)), np.zeros((points.n_points, k)), np.zeros(k, np.bool_)
    _rates(counts, 0, _terms(parameters), tpr, efpr, occurs)
    rises = efpr[efpr < parameters.max_efpr]
    even = np.linspace(0, parameters.max_efpr, 50, endpoint=False)
    return np.unique(np.concatenate([even, np.quantile(rises, np.linspace(0, 1, 100)) if rises.size else even]))


@compiled()
def _add_weighted(cell: Any, clip: Any, value: Any, weights: Any, total: Any) -> None:
    # Rows of resamples are contiguous: each count is one vector operation over all of them.
    for i in range(len(cell)):
        row, w, v = total[cell[i]], weights[clip[i]], value[i]
        for j in range(len(row)):
            row[j] += w[j] * v


@compiled()
def _rates(counts: Any, r: int, terms: Any, tpr: Any, efpr: Any, occurs: Any) -> bool:
    """Fill in rates (points, classes) and the classes that occur in resample `r`; False where there is no event."""
    counted, n_reference, reference_s, seconds = counts
    alpha_ct, over_all, _, _ = terms
    n_points, k = tpr.shape
    n_kinds = counted.shape[1] // (n_points * k) if n_points * k else 0
    n_occurring = 0
    for c in range(k):
        occurs[c] = n_reference[r, c] > 0
        n_occurring += occurs[c]
    if n_occurring == 0 or seconds[r] <= 0:
        return False
    others = n_occurring if over_all else max(n_occurring - 1, 1)
    for p in range(n_points):
        for c in range(k):
            if not occurs[c]:
                continue
            of = counted[r, (p * k + c) * n_kinds : (p * k + c + 1) * n_kinds]
            tpr[p, c] = of[0] / n_reference[r, c]
            efpr[p, c] = of[1] * 3600.0 / seconds[r]
            if alpha_ct > 0:
                rate = 0.0
                for o in range(k):
                    if occurs[o] and of[2 + o] > 0:
                        rate += of[2 + o] * 3600.0 / reference_s[r, o]
                efpr[p, c] += alpha_ct * rate / others
    return True


@compiled()
def _psds(counts: Any, n_points: int, terms: Any, grid: Any, noise: Any) -> Any:
    """Return PSDS of every resample, with `noise` (rates of `grid`) taken from the variance between classes."""
    _, _, alpha_st, max_efpr = terms
    n, k = counts[1].shape
    out = np.full(n, np.nan)
    tpr, efpr, occurs = np.zeros((n_points, k)), np.zeros((n_points, k)), np.zeros(k, np.bool_)
    for r in range(n):
        if _rates(counts, r, terms, tpr, efpr, occurs):
            x, cls, y, n_occurring = steps_of(tpr, efpr, occurs, max_efpr)
            out[r] = area_less_noise(x, cls, y, n_occurring, alpha_st, max_efpr, grid, noise)
    return out


@compiled()
def _variances(counts: Any, n_points: int, terms: Any, grid: Any) -> Any:
    """Return the variance between the classes' curves at each rate of `grid`, averaged over resamples."""
    n, k = counts[1].shape
    total, counted = np.zeros(len(grid)), 0
    tpr, efpr, occurs = np.zeros((n_points, k)), np.zeros((n_points, k)), np.zeros(k, np.bool_)
    for r in range(n):
        if _rates(counts, r, terms, tpr, efpr, occurs):
            x, cls, y, n_occurring = steps_of(tpr, efpr, occurs, terms[3])
            order, curve, i = np.arange(len(x)), np.zeros(n_occurring), 0
            sort_rows(order, x)
            for g in range(len(grid)):
                while i < len(x) and x[order[i]] <= grid[g]:
                    k_i = order[i]
                    curve[cls[k_i]] = max(curve[cls[k_i]], y[k_i])
                    i += 1
                total[g] += mean_and_variance(curve)[1]
            counted += 1
    return total / max(counted, 1)
