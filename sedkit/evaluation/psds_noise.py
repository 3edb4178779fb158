"""PSDS of resamples, corrected for what sampling noise adds to its spread between classes (sedkit's own).

PSDS subtracts the standard deviation between the classes' curves. Noise of sampling adds to it, so that the official
figure on few clips lies below that on many, and the figures of resamples lie lower still. How much the variance between
classes grows from the clips to their resamples, at each false positive rate, is the noise that one sampling adds: it is
taken once from the variance of the clips, and twice from that of each resample, which has been sampled twice.

The interval of the result is about the figure on very many clips; where classes are about equally good, or a system is
so poor that the official figure is near 0, the official figure on few clips may lie below it. In simulations of 400
clips with 3 to 20 classes, equal or unequal, frequent or rare, good or poor, coverage is 92 to 98 % from five operating
points on (percentiles of the plain figures: 26 to 93 %); with one or two, 76 to 95 %. On the operating points of a real
system and of poorer ones made of it (`tests/simulations/psds_intervals.py`) it is 91 to 99 % from 150 clips on. The
corrected figure itself is not shown: it scatters more than the official one, mostly by more than it is less biased.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sedkit.evaluation.intersection import PointCounts, Sparse
from sedkit.evaluation.parameters import PsdsParameters
from sedkit.evaluation.psds import area_less_noise, mean_and_variance, steps_of
from sedkit.evaluation.resample import Drawn, Resamples


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


#: Counts of resamples: true, false, cross (n, cells), reference events, their seconds (n, classes), seconds (n,).
_Counts = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def _resampled_counts(points: PointCounts, weights: NDArray[np.float32], parameters: PsdsParameters) -> _Counts:
    ground = points.ground
    k = len(ground.labels)
    n_cells = points.n_points * k
    clips = weights.T.astype(np.float64)
    return (
        _weighted(points.true, weights, n_cells),
        _weighted(points.false, weights, n_cells),
        _weighted(points.cross, weights, n_cells * k) if parameters.alpha_ct else np.zeros((weights.shape[1], 0)),
        clips @ ground.n_reference(),
        clips @ ground.reference_s(),
        clips @ ground.duration_s,
    )


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


def _weighted(counts: Sparse, weights: NDArray[np.float32], n_cells: int) -> NDArray[Any]:
    value = np.ones(len(counts.cell), np.float32) if counts.value is None else counts.value.astype(np.float32)
    total = np.zeros((n_cells, weights.shape[1]), np.float32)
    _add_weighted(counts.cell, counts.clip, value, weights, total)
    return np.ascontiguousarray(total.T)


@njit(cache=True)
def _add_weighted(cell: Any, clip: Any, value: Any, weights: Any, total: Any) -> None:
    # Rows of resamples are contiguous: each count is one vector operation over all of them.
    for i in range(len(cell)):
        row, w, v = total[cell[i]], weights[clip[i]], value[i]
        for j in range(len(row)):
            row[j] += w[j] * v


@njit(cache=True)
def _rates(counts: Any, r: int, terms: Any, tpr: Any, efpr: Any, occurs: Any) -> bool:
    """Fill in rates (points, classes) and the classes that occur in resample `r`; False where there is no event."""
    true, false, cross, n_reference, reference_s, seconds = counts
    alpha_ct, over_all, _, _ = terms
    n_points, k = tpr.shape
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
            at = p * k + c
            tpr[p, c] = true[r, at] / n_reference[r, c]
            efpr[p, c] = false[r, at] * 3600.0 / seconds[r]
            if alpha_ct > 0:
                rate = 0.0
                for o in range(k):
                    if occurs[o] and cross[r, at * k + o] > 0:
                        rate += cross[r, at * k + o] * 3600.0 / reference_s[r, o]
                efpr[p, c] += alpha_ct * rate / others
    return True


@njit(cache=True)
def _psds(counts: Any, n_points: int, terms: Any, grid: Any, noise: Any) -> Any:
    """Return PSDS of every resample, with `noise` (rates of `grid`) taken from the variance between classes."""
    _, _, alpha_st, max_efpr = terms
    n, k = counts[3].shape
    out = np.full(n, np.nan)
    tpr, efpr, occurs = np.zeros((n_points, k)), np.zeros((n_points, k)), np.zeros(k, np.bool_)
    for r in range(n):
        if _rates(counts, r, terms, tpr, efpr, occurs):
            x, cls, y, n_occurring = steps_of(tpr, efpr, occurs, max_efpr)
            out[r] = area_less_noise(x, cls, y, n_occurring, alpha_st, max_efpr, grid, noise)
    return out


@njit(cache=True)
def _variances(counts: Any, n_points: int, terms: Any, grid: Any) -> Any:
    """Return the variance between the classes' curves at each rate of `grid`, averaged over resamples."""
    n, k = counts[3].shape
    total, counted = np.zeros(len(grid)), 0
    tpr, efpr, occurs = np.zeros((n_points, k)), np.zeros((n_points, k)), np.zeros(k, np.bool_)
    for r in range(n):
        if _rates(counts, r, terms, tpr, efpr, occurs):
            x, cls, y, n_occurring = steps_of(tpr, efpr, occurs, terms[3])
            order, curve, i = np.argsort(x), np.zeros(n_occurring), 0
            for g in range(len(grid)):
                while i < len(x) and x[order[i]] <= grid[g]:
                    k_i = order[i]
                    curve[cls[k_i]] = max(curve[cls[k_i]], y[k_i])
                    i += 1
                total[g] += mean_and_variance(curve)[1]
            counted += 1
    return total / max(counted, 1)
