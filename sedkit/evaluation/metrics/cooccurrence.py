"""How much classes go together: in the scores as a correlation, in the events as minutes of overlap.

A network that learns from weak labels alone may give all classes of a clip one curve. These are the diagnostics of
T. Pellegrini and L. Cances (IJCNN 2019, arXiv 1901.03146), each with that of the reference beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import Rates, Undefined, as_json, grouped, mean_of_defined, number
from sedkit.evaluation.inputs import Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric
from sedkit.evaluation.metrics.frame import Activity
from sedkit.evaluation.metrics.registry import register

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


@dataclass(frozen=True)
class NoParameters:
    """These metrics have none."""


@dataclass(frozen=True)
class CooccurrenceCounts:
    """What the figures are made of, a row for each clip.

    Attributes
    ----------
    filenames, labels
        Clips and classes.
    estimate, reference
        (clips, classes) means over time, or (clips, classes, classes) seconds.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    estimate: NDArray[np.float64]
    reference: NDArray[np.float64]


class _Cooccurrence(Metric):
    """Base of both: one figure, the reference's in the same block, no judge of record."""

    primary = "value"
    by_default = False
    # Silence and a constant score have neither.
    constants = False

    @staticmethod
    def matrix(rows: NDArray[np.float64], weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Return each class with each, (..., classes, classes)."""
        raise TypeError("this metric does not say what classes have in common")

    @staticmethod
    def summary(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the figure of the pairs along the last axis."""
        raise TypeError("this metric does not say what it makes of pairs")

    @classmethod
    def headline(cls, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the figure of all pairs of classes."""
        return cls.summary(matrix[(..., *np.triu_indices(matrix.shape[-1], 1))])

    def of(self, rows: NDArray[np.float64], weights: NDArray[np.floating] | None = None) -> Rates:
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
        return {
            "parameters": asdict(self.parameters),
            "labels": list(counts.labels),
            "matrices": matrices,
            "reference": as_json(counts, self.of(counts.reference)),
        }

    def remarks(self, block: Mapping[str, Any]) -> list[str]:
        """Return the reference's figure."""
        value = block["reference"]["value"]
        return ["undefined in the reference" if value is None else f"{value:.4f} in the reference"]


def correlations(means: NDArray[np.float64], weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
    """Return Pearson's correlation of each two classes over clips.

    Parameters
    ----------
    means
        (clips, classes).
    weights
        (..., clips) how often each clip counts; None: once.

    Returns
    -------
    (..., classes, classes), NaN where a class is the same in all clips that count
    """
    weights = np.ones(len(means)) if weights is None else np.asarray(weights, dtype=np.float64)
    share = weights / weights.sum(axis=-1, keepdims=True)
    # Around the mean of all clips: what is subtracted below is then no small difference of large numbers.
    x = means - means.mean(axis=0)
    clips, classes = x.shape
    first = share @ x
    products = (share @ (x[:, :, None] * x[:, None, :]).reshape(clips, -1)).reshape(*first.shape, classes)
    covariance = products - first[..., :, None] * first[..., None, :]
    variance = np.diagonal(covariance, axis1=-2, axis2=-1)
    scale = np.sqrt(np.where(variance > 1e-20, variance, np.nan))
    return np.asarray(covariance / (scale[..., :, None] * scale[..., None, :]))


@register("class_correlation", NoParameters)
class ClassCorrelation(_Cooccurrence):
    """Mean over pairs of classes of the positive part of their correlation over clips.

    What is correlated is the mean over a clip's frames of a class' scores; in the reference, the share of these frames
    in which the class is active.
    """

    block, title, column = "class_correlation", "class correlation", "correlation"
    place = 11
    reads = "scores"
    lacks = "--metrics class_correlation"

    def require(self, truth: Truth, output: Output) -> None:
        """Raise UsageError where there are no scores."""
        super().require(truth, output)
        self.require_scores(truth, output)

    @staticmethod
    def matrix(rows: NDArray[np.float64], weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Return the correlations."""
        return correlations(rows, weights)

    @staticmethod
    def summary(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean of positive parts; pairs with a class that never changes do not count."""
        return mean_of_defined(np.maximum(pairs, 0.0))

    def count(self, work: Work) -> CooccurrenceCounts:
        """Average over time; a class or clip that the scores lack scores 0 there."""
        return CooccurrenceCounts(
            work.events.filenames, work.events.labels, *time_averages(work.given("scores"), work.events)
        )


def time_averages(scores: Scores, events: Events) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what scores and events are on average over the frames of each clip.

    Returns
    -------
    scores, active
        (clips, classes) of the events' clips and classes: means of the scores, and shares of frames in which a class
        is active; 0 where the scores lack a clip or a class.
    """
    activity = Activity(events)
    column = {label: k for k, label in enumerate(scores.labels)}
    row = {name: i for i, name in enumerate(scores.filenames)}
    means, active = np.zeros((2, len(events.filenames), len(events.labels)))
    classes = [k for k, label in enumerate(events.labels) if label in column]
    columns = [column[events.labels[k]] for k in classes]
    for i, name in enumerate(events.filenames):
        if name in row:
            of_clip = scores.framewise[row[name], : scores.n_frames[row[name]]]
            means[i, classes] = of_clip.mean(axis=0, dtype=np.float64)[columns]
            active[i] = activity.frames(name, scores.edges(row[name])).mean(axis=0)
    return means, active


@register("overlap", NoParameters)
class Overlap(_Cooccurrence):
    """Minutes for which events of different classes overlap, summed over pairs of events."""

    block, title, column = "overlap", "overlap (minutes)", "overlap"
    place = 12
    bounds = (0.0, np.inf)
    lacks = "--metrics overlap"

    @staticmethod
    def matrix(rows: NDArray[np.float64], weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        """Return the minutes of all clips together."""
        return (rows.sum(axis=0) if weights is None else np.tensordot(weights, rows, axes=1)) / 60.0

    @staticmethod
    def summary(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sum."""
        return np.asarray(pairs.sum(axis=-1))

    def count(self, work: Work) -> CooccurrenceCounts:
        """Sum the seconds of each clip."""
        reference, estimate = work.pair
        return CooccurrenceCounts(reference.filenames, reference.labels, overlap_s(estimate), overlap_s(reference))


def overlap_s(events: Events) -> NDArray[np.float64]:
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
