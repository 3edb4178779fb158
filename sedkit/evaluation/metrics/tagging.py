"""Audio tagging figures from clip scores: average precision, area under the ROC curve, F1 at a threshold.

Macro is the mean over classes where the figure is defined (a class without a tagged clip has no average precision,
one without an untagged clip no ROC area); micro takes all (clip, class) pairs as one list.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.options import option
from sedkit.dataio.events import Tags
from sedkit.evaluation.counts import Rates, Undefined, mean_of_defined
from sedkit.evaluation.inputs import Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric
from sedkit.evaluation.metrics.registry import register
from sedkit.evaluation.ranking import average_precision, cumulative, roc_area

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

NAMES = ("average_precision", "roc_auc", "f1")


@dataclass(frozen=True)
class TaggingParameters:
    """`threshold`: a class is tagged where its clip score is above it."""

    threshold: float = option(0.5, "--threshold")


def tagging_rates(
    reference: Tags,
    clipwise: NDArray[np.floating],
    parameters: TaggingParameters,
    undefined: Undefined = "official",
    weights: NDArray[np.floating] | None = None,
) -> Rates:
    """Score clip scores against tags, by the figures in `NAMES`.

    Parameters
    ----------
    reference
        Tags of the clips.
    clipwise
        (clips, classes) scores, clips and classes as in `reference`.
    parameters
        The threshold of F1.
    undefined
        `official` leaves undefined figures out of the macro mean, `zero` takes 0 for them.
    weights
        (..., clips) how often each clip counts; None takes each once.
    """
    present = reference.present
    w = np.ones(len(present)) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = [_rates(clipwise[:, c], present[:, c], w, parameters.threshold) for c in range(present.shape[1])]
    classes = {name: np.stack([column[i] for column in columns], axis=-1) for i, name in enumerate(NAMES)}
    everything = _rates(
        clipwise.ravel(), present.ravel(), np.repeat(w, present.shape[1], axis=-1), parameters.threshold
    )
    micro = dict(zip(NAMES, everything, strict=True))
    if undefined == "zero":
        classes = {name: np.nan_to_num(value) for name, value in classes.items()}
        micro = {name: np.nan_to_num(value) for name, value in micro.items()}
    return Rates(classes, {name: mean_of_defined(value) for name, value in classes.items()}, micro)


def _rates(
    score: NDArray[np.floating], target: NDArray[np.bool_], weight: NDArray[np.float64], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    true, false = cumulative(score, target, weight)
    tagged = score > threshold
    hits = (weight * (tagged & target)).sum(axis=-1)
    both = (weight * tagged).sum(axis=-1) + (weight * target).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        f1 = np.asarray(2 * hits / both, dtype=np.float64)
    return average_precision(true, false), roc_area(true, false), f1


@dataclass(frozen=True)
class TaggedClips:
    """Tags, and the scores of the same clips and classes, (clips, classes)."""

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    tags: Tags
    clipwise: NDArray[np.floating]


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
        self.require_scores(truth, output)
        if output.scores is not None and output.scores.clipwise is None:
            why = "which a folder of score tables does not hold: give a scores.h5"
            raise UsageError(f"--metrics {self.name} needs clip scores, {why}")

    def count(self, work: Work) -> TaggedClips:
        """Return tags and scores."""
        tags, scores = work.truth.tags, work.given("scores")
        clipwise = _columns(tags.labels, scores, tags.filenames, scores.clipwise)
        return TaggedClips(tags.filenames, tags.labels, tags, clipwise)

    def figures(self, counts: TaggedClips, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures of `NAMES`."""
        return tagging_rates(counts.tags, counts.clipwise, self.parameters, undefined, weights)


def _columns(
    labels: Sequence[str], scores: Scores, rows: Sequence[str], values: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Bring clip scores onto clips and classes; what the scores lack is 0."""
    out = np.zeros((len(rows), len(labels)), values.dtype)
    row = {name: i for i, name in enumerate(scores.filenames)}
    scored = [i for i, name in enumerate(rows) if name in row]
    columns = [(k, scores.labels.index(name)) for k, name in enumerate(labels) if name in scores.labels]
    for k, c in columns:
        out[scored, k] = values[[row[rows[i]] for i in scored], c]
    return out
