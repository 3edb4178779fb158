"""Audio tagging figures from clip scores: average precision, area under the ROC curve, F1 at a threshold.

Macro is the mean over classes where the figure is defined (a class without a tagged clip has no average precision,
one without an untagged clip no ROC area); micro takes all (clip, class) pairs as one list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Tags
from sedkit.evaluation.counts import Undefined, mean_of_defined
from sedkit.evaluation.ranking import average_precision, cumulative, roc_area

NAMES = ("average_precision", "roc_auc", "f1")


@dataclass(frozen=True)
class TaggingParameters:
    """`threshold`: a class is tagged where its clip score is above it."""

    threshold: float = 0.5


@dataclass(frozen=True)
class TaggingRates:
    """`classes[name]` (..., classes), `macro[name]` and `micro[name]` (...,), for the names in `NAMES`."""

    classes: dict[str, NDArray[np.float64]]
    macro: dict[str, NDArray[np.float64]]
    micro: dict[str, NDArray[np.float64]]


def tagging_rates(
    reference: Tags,
    clipwise: NDArray[np.floating],
    parameters: TaggingParameters,
    undefined: Undefined = "official",
    weights: NDArray[np.float64] | None = None,
) -> TaggingRates:
    """Score clip scores against tags.

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
    return TaggingRates(classes, {name: mean_of_defined(value) for name, value in classes.items()}, micro)


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
