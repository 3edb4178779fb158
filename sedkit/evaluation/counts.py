"""What event, segment and intersection figures are made of: counts per clip and class, and the rates from their sums.

Every figure is a function of sums over clips, so an interval needs no second scoring: resampling clips is a matrix
product with the counts (see `bootstrap`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
        parts = [self.n_reference, self.n_estimate, self.n_true_positives]
        parts.append(self.false_positives())
        if self.errors is not None:
            parts.append(self.errors)
        return np.hstack(parts).astype(np.float64)

    def false_positives(self) -> NDArray[np.int64]:
        """Return the decisions that are wrong, (clips, classes)."""
        if self.n_false_positives is not None:
            return self.n_false_positives
        return self.n_estimate - self.n_true_positives


@dataclass(frozen=True)
class Rates:
    """Rates of any number of (re)samples: `classes[name]` is (..., classes), `macro[name]` and `micro[name]` (...,).

    Names are f1, precision, recall, error_rate and its parts, or others; `n` holds the sums of n_reference, n_estimate
    and n_true_positives. A metric of one figure has it in `single` and `classes` under the name `value`.
    """

    classes: dict[str, NDArray[np.float64]]
    macro: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    micro: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    n: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    single: dict[str, NDArray[np.float64]] = field(default_factory=dict)


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
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall, f1 = _precision_recall_f1(counts, reference, estimate, hits, false)
        totals = [x.sum(axis=-1) for x in (reference, estimate, hits, false)]
        micro_precision, micro_recall, micro_f1 = _precision_recall_f1(counts, *totals)
        deletion = (reference - hits) / (reference + _EPS)
        insertion = false / (reference + _EPS)
        if undefined == "zero":
            precision, recall, f1, micro_precision, micro_recall, micro_f1 = (
                np.nan_to_num(x) for x in (precision, recall, f1, micro_precision, micro_recall, micro_f1)
            )
            deletion, insertion = (np.where(reference > 0, x, np.nan) for x in (deletion, insertion))
            drawn = (reference > 0) | (counts.n_reference.sum(axis=0) == 0)
            precision, recall, f1 = (np.where(drawn, x, np.nan) for x in (precision, recall, f1))
    classes = {"f1": f1, "precision": precision, "recall": recall}
    micro = {"f1": micro_f1, "precision": micro_precision, "recall": micro_recall}
    if counts.errors is not None:
        classes.update(error_rate=deletion + insertion, deletion_rate=deletion, insertion_rate=insertion)
        scale = totals[0] + _EPS
        error_rates = [sums[..., 4 * k + j] / scale for j in range(3)]
        if undefined == "zero":
            error_rates = [np.where(totals[0] > 0, rate, np.nan) for rate in error_rates]
        micro["error_rate"] = error_rates[0] + error_rates[1] + error_rates[2]
        micro.update(substitution_rate=error_rates[0], deletion_rate=error_rates[1], insertion_rate=error_rates[2])
    return Rates(
        classes=classes,
        macro={name: mean_of_defined(value) for name, value in classes.items()},
        micro=micro,
        n={"n_reference": reference, "n_estimate": estimate, "n_true_positives": hits},
    )


def _precision_recall_f1(
    counts: ClipCounts,
    reference: NDArray[np.float64],
    estimate: NDArray[np.float64],
    hits: NDArray[np.float64],
    false: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    recall = hits / reference
    if counts.n_false_positives is not None:
        # A true positive is a reference event, a false positive an estimate: precision is not hits / estimate.
        precision = hits / (hits + false)
        f1 = np.where(hits > 0, 2 * hits / (2 * hits + (reference - hits) + false), np.nan)
        return precision, recall, f1
    precision = np.where(estimate == 0, counts.precision_without_output, hits / estimate)
    f1 = 2 * precision * recall / (precision + recall)
    return precision, recall, np.where((precision == 0) & (recall == 0), 0.0, f1)


def mean_of_defined(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis of what is defined; NaN where nothing is."""
    defined = ~np.isnan(values)
    n = defined.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / n, dtype=np.float64)


def averaged(
    classes: dict[str, NDArray[np.float64]], micro: dict[str, NDArray[np.float64]], undefined: Undefined
) -> Rates:
    """Return figures with their means over the classes in which they are defined; `zero` takes 0 for the others."""
    if undefined == "zero":
        classes, micro = ({name: np.nan_to_num(value) for name, value in of.items()} for of in (classes, micro))
    return Rates(classes, {name: mean_of_defined(value) for name, value in classes.items()}, micro)


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
