"""Confidence intervals by resampling clips, or groups of clips, from counts: nothing is scored twice.

A resample draws as many units as there are, with replacement. Units are the groups (recordings, locations,
speakers) where given, since clips of one recording are not independent; a clip without a group is a unit of its
own. Every figure is a function of sums over clips, so the figures of all resamples come from products of the counts
with the drawn multiplicities.

Intervals are percentiles of the resampled figures, shifted by twice their mean distance from the estimate [1]_: PSDS
subtracts the spread between classes, to which sampling noise adds, so that an estimate lies below the truth and its
resamples lie below the estimate by about as much; plain percentiles would be off by both. Simulations with 3 to 10
classes of different quality give 93 to 96 % coverage (plain percentiles 88 to 95 %); where all classes are equally
good, the correction falls short, at about 90 % (percentiles: 26 %).

A class without a reference event in a resample is left out of that resample's averages, as the official tools leave it
out; a resample in which the figure is undefined altogether is dropped. Runs with different seeds are never pooled: the
interval is about clips.

.. [1] B. Efron and R. J. Tibshirani, "An introduction to the bootstrap", 1993, chapter 10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.evaluation.counts import ClipCounts, Rates, Undefined, rates
from sedkit.evaluation.intersection import PointCounts, Sparse
from sedkit.evaluation.psds import PsdsParameters, area

LEVEL = 0.95
RULE = (
    "percentiles shifted by twice the resamples' mean bias; "
    "a class without reference events in a resample is left out of its averages; "
    "resamples in which a figure is undefined are dropped"
)


class Resamples:
    """Multiplicities of clips in `n` resamples.

    Parameters
    ----------
    filenames
        Every clip.
    groups
        Clip to group; a clip that is missing or has an empty group is a unit of its own. None: every clip is.
    n
        Number of resamples.
    seed
        Of the draws; the same seed gives the same resamples, so that two outputs can be compared in pairs.
    """

    def __init__(
        self, filenames: Sequence[str], groups: Mapping[str, str] | None = None, n: int = 1000, seed: int = 0
    ) -> None:
        if n < 1:
            raise SedkitError(f"--bootstrap {n}: expected at least 1 resample")
        self._groups, self._seed = groups, seed
        codes: dict[tuple[str, str], int] = {}
        group = groups or {}
        unit = [
            codes.setdefault(("group", group[name]) if group.get(name) else ("clip", name), len(codes))
            for name in filenames
        ]
        self.n, self.n_units, self.grouped = n, len(codes), any(kind == "group" for kind, _ in codes)
        if self.n_units < 2:
            raise SedkitError(
                f"--bootstrap: {self.n_units} unit to draw from, expected at least 2 clips (or groups of clips)"
            )
        draws = np.random.default_rng(seed).integers(0, self.n_units, size=(n, self.n_units))
        flat = (draws + np.arange(n)[:, None] * self.n_units).ravel()
        times = np.bincount(flat, minlength=n * self.n_units).reshape(n, self.n_units).astype(np.float32)
        self._row = {name: i for i, name in enumerate(filenames)}
        self._weights = np.ascontiguousarray(times[:, np.array(unit)].T)

    def weights(self, filenames: Sequence[str]) -> NDArray[np.float32]:
        """Return (clips, n): how often each clip stands in each resample."""
        if list(self._row) == list(filenames):
            return self._weights
        return np.ascontiguousarray(self._weights[[self._row[name] for name in filenames]])

    def of_units(self, unit: Mapping[str, str]) -> Resamples:
        """Return resamples of what clips were put together to (clip to recording), a unit being in its clips' group."""
        group = {whole: (self._groups or {}).get(clip, "") for clip, whole in unit.items()}
        return Resamples(tuple(dict.fromkeys(unit.values())), group, self.n, self._seed)


def rates_of_resamples(counts: ClipCounts, resamples: Resamples, undefined: Undefined = "official") -> Rates:
    """Return event, segment or intersection rates of every resample, leading axis (n,)."""
    sums = resamples.weights(counts.filenames).T @ counts.stacked().astype(np.float32)
    return rates(counts, undefined, sums.astype(np.float64))


def psds_of_resamples(points: PointCounts, resamples: Resamples, parameters: PsdsParameters) -> NDArray[np.float64]:
    """Return PSDS of every resample, (n,); NaN where none of the clips drawn holds a reference event."""
    ground = points.ground
    weights = resamples.weights(ground.filenames)
    k = len(ground.labels)
    n_cells = points.n_points * k
    true = _weighted(points.true, weights, n_cells)
    false = _weighted(points.false, weights, n_cells)
    cross = _weighted(points.cross, weights, n_cells * k) if parameters.alpha_ct else np.zeros((resamples.n, 0))
    clips = weights.T.astype(np.float64)
    return np.asarray(
        _psds(
            true,
            false,
            cross,
            clips @ ground.n_reference(),
            clips @ ground.reference_s(),
            clips @ ground.duration_s,
            points.n_points,
            float(parameters.alpha_ct),
            float(parameters.alpha_st),
            float(parameters.max_efpr),
            parameters.cross_triggers == "0.3.0",
        )
    )


def _weighted(part: Sparse, weights: NDArray[np.float32], n_cells: int) -> NDArray[Any]:
    value = np.ones(len(part.cell), np.float32) if part.value is None else part.value.astype(np.float32)
    total = np.zeros((n_cells, weights.shape[1]), np.float32)
    _add_weighted(part.cell, part.clip, value, weights, total)
    return np.ascontiguousarray(total.T)


@njit(cache=True)
def _add_weighted(cell: Any, clip: Any, value: Any, weights: Any, total: Any) -> None:
    # Rows of resamples are contiguous: each count is one vector operation over all of them.
    for i in range(len(cell)):
        row, w, v = total[cell[i]], weights[clip[i]], value[i]
        for j in range(len(row)):
            row[j] += w[j] * v


@njit(cache=True)
def _psds(
    true: Any,
    false: Any,
    cross: Any,
    n_reference: Any,
    reference_s: Any,
    seconds: Any,
    n_points: int,
    alpha_ct: float,
    alpha_st: float,
    max_efpr: float,
    over_all: bool,
) -> Any:
    n, k = n_reference.shape
    out = np.empty(n)
    tpr, efpr = np.zeros((n_points, k)), np.zeros((n_points, k))
    for r in range(n):
        there = n_reference[r] > 0
        n_there = there.sum()
        if n_there == 0 or seconds[r] <= 0:
            out[r] = np.nan
            continue
        others = n_there if over_all else max(n_there - 1, 1)
        for p in range(n_points):
            for c in range(k):
                if not there[c]:
                    continue
                at = p * k + c
                tpr[p, c] = true[r, at] / n_reference[r, c]
                efpr[p, c] = false[r, at] * 3600.0 / seconds[r]
                if alpha_ct > 0:
                    rate = 0.0
                    for o in range(k):
                        if there[o] and cross[r, at * k + o] > 0:
                            rate += cross[r, at * k + o] * 3600.0 / reference_s[r, o]
                    efpr[p, c] += alpha_ct * rate / others
        out[r] = area(tpr, efpr, there, alpha_st, max_efpr)
    return out


def interval(
    estimate: float, samples: NDArray[np.float64], bounds: tuple[float, float] = (0.0, 1.0), level: float = LEVEL
) -> tuple[float, float] | None:
    """Return the bias-corrected interval of an estimate from its resampled values, within bounds; None where undefined.

    >>> interval(0.5, np.linspace(0.3, 0.5, 1001))
    (0.505, 0.695)
    """
    samples = samples[np.isfinite(samples)]
    if not len(samples) or not np.isfinite(estimate):
        return None
    shift = 2 * (float(samples.mean()) - estimate)
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2]) - shift
    return round(float(np.clip(low, *bounds)), 12), round(float(np.clip(high, *bounds)), 12)
