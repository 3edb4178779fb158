"""What event, segment and intersection figures are made of: counts per clip and class, and the rates from their sums.

Every figure is a function of sums over clips, so an interval needs no second scoring: resampling clips is a matrix
product with the counts (see `bootstrap`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events

Undefined = Literal["official", "zero"]
_EPS = float(np.spacing(1))  # sed_eval's guard in error rates, part of the official figure of a class without events


@dataclass(frozen=True)
class ClipCounts:
    """Counts of one output against one reference.

    Attributes
    ----------
    filenames, labels
        Clips and classes.
    n_reference, n_estimate, n_true_positives
        (clips, classes) int64.
    n_false_positives
        (clips, classes) int64 where true positives are reference events and false positives estimates, so that it is
        not `n_estimate - n_true_positives` (intersection).
    errors
        (clips, 3) int64: substitutions, deletions, insertions over all classes together; None where the metric has
        none.
    precision_without_output
        Precision of a class that was never predicted.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    n_reference: NDArray[np.int64]
    n_estimate: NDArray[np.int64]
    n_true_positives: NDArray[np.int64]
    n_false_positives: NDArray[np.int64] | None = None
    errors: NDArray[np.int64] | None = None
    precision_without_output: float = np.nan

    def stacked(self) -> NDArray[np.float64]:
        """Return everything that is summed over clips as (clips, columns) float64."""
        columns = [self.n_reference, self.n_estimate, self.n_true_positives, self.false_positives()]
        return np.hstack(columns if self.errors is None else [*columns, self.errors]).astype(np.float64)

    def false_positives(self) -> NDArray[np.int64]:
        """Return the decisions that are wrong, (clips, classes)."""
        separate = self.n_false_positives
        return self.n_estimate - self.n_true_positives if separate is None else separate


@dataclass(frozen=True)
class Rates:
    """Figures of any number of (re)samples, by name.

    Attributes
    ----------
    classes
        (..., classes) f1, precision, recall, error_rate and its parts, or others.
    micro
        (...,) of all classes together.
    n
        (..., classes) sums of n_reference, n_estimate and n_true_positives, or of others.
    single
        (...,) `value` of a metric of one figure, which `classes` call by that name too.
    """

    classes: dict[str, NDArray[np.float64]]
    micro: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    n: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    single: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    @cached_property
    def macro(self) -> dict[str, NDArray[np.float64]]:
        """(...,) means over the classes in which a figure is defined; none of a metric of one figure."""
        return {} if self.single else {name: mean_of_defined(value) for name, value in self.classes.items()}


#: Where each clip begins, (clips + 1,) int64, and class, onset, offset of its events in the order of the file, (n,).
Grouped = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]


def grouped(events: Events) -> Grouped:
    """Return events grouped by clip, as compiled code takes them."""
    if events.n_events and (np.diff(events.clip) < 0).any():
        events = events.take(np.argsort(events.clip, kind="stable"))
    first = np.searchsorted(events.clip, np.arange(len(events.filenames) + 1)).astype(np.int64)
    return first, events.label, events.onset_s, events.offset_s


def per_clip_and_class(events: Events) -> NDArray[np.int64]:
    """Count events: (clips, classes)."""
    shape = (len(events.filenames), len(events.labels))
    cell = events.clip * shape[1] + events.label
    return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)


def rates(
    counts: ClipCounts, undefined: Undefined = "official", *, weights: NDArray[np.float32] | None = None
) -> Rates:
    """Turn counts into rates.

    Parameters
    ----------
    counts
        Counts per clip.
    undefined
        `official` follows the judge of the metric: a class whose precision or recall is 0/0 has no F1 and is left
        out of the macro averages (event-based: precision without output is 0; intersection-based: a class without a
        true positive is left out). `zero` takes 0 for each undefined precision, recall and F1, and leaves the
        undefined error rate of a class without reference events out.
    weights
        (..., clips) how often each clip counts in resamples; None takes each clip once. A class that has reference
        events, but none in a resample, is left out of that resample's averages under either convention.
    """
    if weights is None:
        sums = counts.stacked().sum(axis=0)
    else:
        sums = (weights @ counts.stacked().astype(np.float32)).astype(np.float64)
    k = len(counts.labels)
    reference, estimate, hits, false = (sums[..., i * k : (i + 1) * k] for i in range(4))
    total = reference.sum(axis=-1)
    classes = _precision_recall_f1(counts, reference, estimate, hits, false)
    micro = _precision_recall_f1(counts, total, *(x.sum(axis=-1) for x in (estimate, hits, false)))
    if undefined == "zero":
        drawn = (reference > 0) | (counts.n_reference.sum(axis=0) == 0)
        classes = {name: np.where(drawn, value, np.nan) for name, value in with_zeros(classes).items()}
        micro = with_zeros(micro)
    if counts.errors is not None:
        deletion, insertion = ((n / (reference + _EPS)) for n in (reference - hits, false))
        parts = [sums[..., 4 * k + j] / (total + _EPS) for j in range(3)]
        if undefined == "zero":
            deletion, insertion = (np.where(reference > 0, rate, np.nan) for rate in (deletion, insertion))
            parts = [np.where(total > 0, rate, np.nan) for rate in parts]
        classes |= {"error_rate": deletion + insertion, "deletion_rate": deletion, "insertion_rate": insertion}
        micro["error_rate"] = parts[0] + parts[1] + parts[2]
        micro |= zip(("substitution_rate", "deletion_rate", "insertion_rate"), parts, strict=True)
    return Rates(classes, micro, {"n_reference": reference, "n_estimate": estimate, "n_true_positives": hits})


def _precision_recall_f1(
    counts: ClipCounts,
    reference: NDArray[np.float64],
    estimate: NDArray[np.float64],
    hits: NDArray[np.float64],
    false: NDArray[np.float64],
) -> dict[str, NDArray[np.float64]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        recall = hits / reference
        if counts.n_false_positives is not None:
            # A true positive is a reference event, a false positive an estimate: precision is not hits / estimate.
            precision = hits / (hits + false)
            f1 = np.where(hits > 0, 2 * hits / (2 * hits + (reference - hits) + false), np.nan)
        else:
            precision = np.where(estimate == 0, counts.precision_without_output, hits / estimate)
            f1 = 2 * precision * recall / (precision + recall)
            f1 = np.where((precision == 0) & (recall == 0), 0.0, f1)
    return {"f1": f1, "precision": precision, "recall": recall}


def with_zeros(figures: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return figures with 0 where they are undefined."""
    return {name: np.nan_to_num(value) for name, value in figures.items()}


def mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    n = defined.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / n, dtype=np.float64)


def as_json(counts: Any, figures: Rates) -> dict[str, Any]:
    """Return the averages and the figures per class as in the results file (undefined is None).

    `counts` is whatever has `labels`, the classes in the figures' order.
    """

    def block(values: dict[str, NDArray[np.float64]], i: int | None = None) -> dict[str, Any]:
        out: dict[str, Any] = {name: number(v if i is None else v[i]) for name, v in values.items()}
        return out | {name: int(v.sum() if i is None else v[i]) for name, v in figures.n.items()}

    if figures.single:
        values = figures.classes["value"]
        return block(figures.single) | {"classes": {x: number(v) for x, v in zip(counts.labels, values, strict=True)}}
    out: dict[str, Any] = {"macro": block(figures.macro)}
    if figures.micro:
        out["micro"] = block(figures.micro)
    out["classes"] = {label: block(figures.classes, i) for i, label in enumerate(counts.labels)}
    return out


def number(value: Any) -> float | None:
    """Return a float for JSON, None where undefined."""
    value = float(value)
    return value if np.isfinite(value) else None
