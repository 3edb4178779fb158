"""Audio tagging figures from clip scores: average precision, area under the ROC curve, F1 at a threshold.

Macro is the mean over classes where the figure is defined (a class without a tagged clip has no average precision,
one without an untagged clip no ROC area); micro takes all (clip, class) pairs as one list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.options import option
from sedkit.evaluation.counts import Rates, Undefined, with_zeros
from sedkit.evaluation.inputs import Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.ranking import average_precision, cumulative, roc_area


@dataclass(frozen=True)
class TaggingParameters:
    """`threshold`: a class is tagged where its clip score is above it."""

    threshold: float = option(0.5, "--threshold")


@dataclass(frozen=True)
class TaggedClips:
    """Which classes occur in clips, bool, and the scores of both, each (clips, classes)."""

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    present: NDArray[np.bool_]
    score: NDArray[np.floating]


@register("tagging", TaggingParameters)
class Tagging(Metric):
    """Average precision, ROC area and F1 of clip scores; it has no judge of record."""

    block, title, column = "tagging", "tagging", "tagging"
    place = 6
    primary = "average_precision"
    reads = "scores"
    from_tags = True
    lacks = ""

    def require(self, truth: Truth, output: Output) -> None:
        """Raise UsageError where there are no clip scores."""
        super().require(truth, output)
        if output.scores is not None and output.scores.clipwise is None:
            why = "which a folder of score tables does not hold: give a scores.h5"
            raise UsageError(f"--metrics {self.name} needs clip scores, {why}")

    def count(self, work: Work) -> TaggedClips:
        """Return tags and scores; what the scores lack is 0."""
        tags, scores = work.truth.tags, work.given("scores")
        rows, columns = scores.places(tags.filenames, tags.labels)
        scored = (rows >= 0)[:, None] & (columns >= 0)
        score = np.zeros(scored.shape, scores.clipwise.dtype)
        score[scored] = scores.clipwise[np.ix_(rows[rows >= 0], columns[columns >= 0])].ravel()
        return TaggedClips(tags.filenames, tags.labels, tags.present, score)

    def figures(self, counts: TaggedClips, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures of each class and of all pairs of clip and class."""
        w = np.ones(len(counts.present)) if weights is None else np.asarray(weights, dtype=np.float64)
        of_class = [self._of(*of, w) for of in zip(counts.score.T, counts.present.T, strict=True)]
        classes = {name: np.stack([figures[name] for figures in of_class], axis=-1) for name in of_class[0]}
        pairs = np.repeat(w, len(counts.labels), axis=-1)
        micro = self._of(counts.score.ravel(), counts.present.ravel(), pairs)
        return Rates(with_zeros(classes), with_zeros(micro)) if undefined == "zero" else Rates(classes, micro)

    def _of(
        self, score: NDArray[np.floating], target: NDArray[np.bool_], weight: NDArray[np.float64]
    ) -> dict[str, NDArray[np.float64]]:
        """Return the figures of items (items,), each of which counts `weight` (..., items) times."""
        true, false = cumulative(score, target, weight)
        tagged = score > self.parameters.threshold
        hits = (weight * (tagged & target)).sum(axis=-1)
        both = (weight * tagged).sum(axis=-1) + (weight * target).sum(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            f1 = np.asarray(2 * hits / both, dtype=np.float64)
        return {"average_precision": average_precision(true, false), "roc_auc": roc_area(true, false), "f1": f1}
