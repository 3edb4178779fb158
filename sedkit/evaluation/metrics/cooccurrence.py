"""How much classes go together: in the scores as a correlation, in the events as minutes of overlap.

A network that learns from weak labels alone may give all classes of a clip one curve. These are the diagnostics of
T. Pellegrini and L. Cances (IJCNN 2019, arXiv 1901.03146), each with that of the reference beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.registry import NoOptions
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import Rates, Undefined, as_json, grouped, mean_of_defined, number
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.metrics.frame import Activity

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class CooccurrenceCounts:
    """What the figures are made of: (clips, classes) means over time, or (clips, classes, classes) seconds."""

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    estimate: Doubles
    reference: Doubles


class Cooccurrence(Metric):
    """Base of both: one figure, the reference's in the same block, no judge of record."""

    primary = "value"
    by_default = False
    # Silence and a constant score have neither.
    constants = False

    @staticmethod
    def matrix(rows: Doubles, weights: NDArray[np.floating] | None = None) -> Doubles:
        """Return each class with each, (..., classes, classes), of rows that count `weights` (..., clips) times."""
        raise TypeError("this metric does not say what classes have in common")

    @staticmethod
    def summary(pairs: Doubles) -> Doubles:
        """Return the figure of the pairs along the last axis."""
        raise TypeError("this metric does not say what it makes of pairs")

    @classmethod
    def headline(cls, matrix: Doubles) -> Doubles:
        """Return the figure of all pairs of classes."""
        return cls.summary(matrix[(..., *np.triu_indices(matrix.shape[-1], 1))])

    def of(self, rows: Doubles, weights: NDArray[np.floating] | None = None) -> Rates:
        """Return the figure of all pairs of classes, and of each class that of its pairs."""
        matrix = self.matrix(rows, weights)
        n = matrix.shape[-1]
        others = matrix[..., ~np.eye(n, dtype=bool)].reshape(*matrix.shape[:-1], n - 1)
        return Rates({"value": self.summary(others)}, single={"value": self.headline(matrix)})

    def figures(
        self, counts: CooccurrenceCounts, undefined: Undefined, weights: NDArray[np.float32] | None = None
    ) -> Rates:
        """Return the figures of the output."""
        return self.of(counts.estimate, weights)

    def shown(self, counts: CooccurrenceCounts) -> dict[str, Any]:
        """Return how the block begins: each class with each, in the order of `labels`, and the reference's figures."""
        both = {"estimate": counts.estimate, "reference": counts.reference}
        matrices = {name: [[number(x) for x in row] for row in self.matrix(rows)] for name, rows in both.items()}
        reference = as_json(counts, self.of(counts.reference))
        return super().shown(counts) | {"labels": list(counts.labels), "matrices": matrices, "reference": reference}

    def remarks(self, block: Mapping[str, Any]) -> list[str]:
        """Return the reference's figure."""
        value = block["reference"]["value"]
        return ["undefined in the reference" if value is None else f"{value:.4f} in the reference"]


@register("class_correlation", NoOptions)
class ClassCorrelation(Cooccurrence):
    """Mean over pairs of classes of the positive part of their correlation over clips.

    What is correlated is the mean over a clip's frames of a class' scores; in the reference, the share of these frames
    in which the class is active.
    """

    block, title, column = "class_correlation", "class correlation", "correlation"
    place = 11
    reads = "scores"
    lacks = "--metrics class_correlation"

    @staticmethod
    def matrix(rows: Doubles, weights: NDArray[np.floating] | None = None) -> Doubles:
        """Return Pearson's correlations; NaN where a class is the same in all clips that count."""
        weights = np.ones(len(rows)) if weights is None else np.asarray(weights, dtype=np.float64)
        share = weights / weights.sum(axis=-1, keepdims=True)
        # Around the mean of all clips: what is subtracted below is then no small difference of large numbers.
        x = rows - rows.mean(axis=0)
        clips, classes = x.shape
        first = share @ x
        products = (share @ (x[:, :, None] * x[:, None, :]).reshape(clips, -1)).reshape(*first.shape, classes)
        covariance = products - first[..., :, None] * first[..., None, :]
        variance = np.diagonal(covariance, axis1=-2, axis2=-1)
        scale = np.sqrt(np.where(variance > 1e-20, variance, np.nan))
        return np.asarray(covariance / (scale[..., :, None] * scale[..., None, :]))

    @staticmethod
    def summary(pairs: Doubles) -> Doubles:
        """Return the mean of positive parts; pairs with a class that never changes do not count."""
        return mean_of_defined(np.maximum(pairs, 0.0))

    def count(self, work: Work) -> CooccurrenceCounts:
        """Average over time; a class or clip that the scores lack scores 0 there."""
        events = work.events
        return CooccurrenceCounts(events.filenames, events.labels, *time_averages(work.given("scores"), events))


def time_averages(scores: Scores, events: Events) -> tuple[Doubles, Doubles]:
    """Return averages over the frames of each clip, of the scores and of whether a class is active.

    Each is (clips, classes) of the events' clips and classes; 0 where the scores lack a clip or a class.
    """
    activity = Activity(events)
    means, active = np.zeros((2, len(events.filenames), len(events.labels)))
    rows, columns = scores.places(events.filenames, events.labels)
    for i in np.flatnonzero(rows >= 0):
        means[i] = scores.of_clip(rows[i], columns).mean(axis=0, dtype=np.float64)
        active[i] = activity.frames(events.filenames[i], scores.edges(rows[i])).mean(axis=0)
    return means, active


@register("overlap", NoOptions)
class Overlap(Cooccurrence):
    """Minutes for which events of different classes overlap, summed over pairs of events."""

    block, title, column = "overlap", "overlap (minutes)", "overlap"
    place = 12
    bounds = (0.0, np.inf)
    lacks = "--metrics overlap"

    @staticmethod
    def matrix(rows: Doubles, weights: NDArray[np.floating] | None = None) -> Doubles:
        """Return the minutes of all clips together."""
        return (rows.sum(axis=0) if weights is None else np.tensordot(weights, rows, axes=1)) / 60.0

    @staticmethod
    def summary(pairs: Doubles) -> Doubles:
        """Return the sum."""
        return np.asarray(pairs.sum(axis=-1))

    def count(self, work: Work) -> CooccurrenceCounts:
        """Sum the seconds of each clip."""
        reference, estimate = work.pair
        return CooccurrenceCounts(reference.filenames, reference.labels, overlap_s(estimate), overlap_s(reference))


def overlap_s(events: Events) -> Doubles:
    """Return for how many seconds events of each two classes overlap, (clips, classes, classes).

    Events of one class that overlap are one event.
    """
    from sedkit.evaluation.overlaps import merge_overlaps

    events, _ = merge_overlaps(events)
    first, label, onset_s, offset_s = grouped(events)
    k = len(events.labels)
    out = np.zeros((len(events.filenames), k, k))
    for i, (a, b) in enumerate(pairwise(first)):
        begin, end, of = onset_s[a:b], offset_s[a:b], label[a:b]
        both = np.minimum(end[:, None], end) - np.maximum(begin[:, None], begin)
        both = np.where(of[:, None] != of, np.maximum(both, 0.0), 0.0)
        np.add.at(out[i], (of[:, None], of), both)
    return out
