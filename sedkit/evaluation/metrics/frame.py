"""Frame-based figures: in which frames of the scores a class is active, at a threshold and over all of them.

As Kong et al. score their systems (arXiv 1804.04715): on the frames of the scores themselves, with scores that count
as 0 in clips whose clip score is not above a gate. A frame is active where an event reaches into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.options import option
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.counts import ClipCounts, Rates, Undefined, grouped, number, rates, with_zeros
from sedkit.evaluation.inputs import Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.ranking import Ranks, average_precision, roc_area

#: Seconds that absorb the rounding of times; far below what a microsecond changes.
_DUST_S = 1e-8


@dataclass(frozen=True)
class FrameParameters:
    """`threshold`: a class is found in frames with a score above it; `gate`: in clips with a clip score above it.

    A gate of 0 is none.
    """

    threshold: float = option(0.2, "--frame-threshold", "frame-based: scores above it are active (0.2)", metavar="T")
    gate: float = option(
        0.0,
        "--frame-gate",
        "frame-based: only in clips with a clip score above it (0: in all; published: 0.1)",
        metavar="T",
    )


@dataclass(frozen=True)
class CellCounts(ClipCounts):
    """Counts of cells (frames; or bins of frames) at a threshold, a clip, and over all clips by score."""

    ranks: Ranks = field(kw_only=True)


def count_cells(
    filenames: tuple[str, ...],
    labels: tuple[str, ...],
    threshold: float,
    cells: Iterable[tuple[NDArray[np.floating], NDArray[np.bool_]]],
) -> CellCounts:
    """Count the cells of one clip after the other: their scores and whether a class is there, (cells, classes) each.

    A class that is nowhere found has a precision of 0.
    """
    n, ranks = [], Ranks(len(labels))
    for score, target in cells:
        estimated = score > threshold
        n.append(np.stack([x.sum(axis=0, dtype=np.int64) for x in (target, estimated, target & estimated)]))
        ranks.add(score, target)
    target, estimated, both = np.array(n, np.int64).reshape(-1, 3, len(labels)).swapaxes(0, 1)
    return CellCounts(filenames, labels, target, estimated, both, precision_without_output=0.0, ranks=ranks)


class CellBased(Metric):
    """Base of figures of cells: F1, precision and recall at a threshold, average precision and ROC area over all.

    Resamples are of F1, from the counts of each clip; the areas have no interval. A class without a cell in the
    reference has no figures. There is no judge of record.
    """

    def figures(self, counts: CellCounts, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures; those of resamples are of the threshold alone."""
        figures = rates(counts, undefined, weights=weights)
        classes, micro = dict(figures.classes), dict(figures.micro)
        if weights is None:
            classes |= _areas(counts.ranks)
            micro |= {name: value[0] for name, value in _areas(counts.ranks.pooled()).items()}
        if undefined == "zero":
            micro = with_zeros(micro)
            classes = with_zeros(classes) if weights is None else classes
        else:
            absent = figures.n["n_reference"] == 0
            classes = {name: np.where(absent, np.nan, value) for name, value in classes.items()}
        return Rates(classes, micro, figures.n)

    def shown(self, counts: CellCounts) -> dict[str, Any]:
        """Return the parameters, and how far the areas may be off for being counted in bins (see `Ranks`)."""
        largest = [
            max(float(np.nan_to_num(of).max(initial=0.0)) for of in both)
            for both in zip(counts.ranks.bounds(), counts.ranks.pooled().bounds(), strict=True)
        ]
        bounds = dict(zip(("average_precision", "roc_auc"), map(number, largest), strict=True))
        return {"parameters": asdict(self.parameters), "error_bounds": bounds}


def _areas(ranks: Ranks) -> dict[str, NDArray[np.float64]]:
    true, false = ranks.cumulative()
    return {"average_precision": average_precision(true, false), "roc_auc": roc_area(true, false)}


class Activity:
    """When the classes of events are active."""

    def __init__(self, events: Events) -> None:
        self.labels = events.labels
        self._row = {name: i for i, name in enumerate(events.filenames)}
        self._events = grouped(events)

    def end_s(self, filename: str) -> float:
        """Return when the last event of a clip ends, 0 where it has none."""
        return float(self._of(filename)[2].max(initial=0.0))

    def frames(self, filename: str, edges_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return in which frames of a clip, between edges (frames + 1,), each class is active: (frames, classes)."""
        out = np.zeros((len(edges_s) - 1, len(self.labels)), np.bool_)
        label, onset_s, offset_s = self._of(filename)
        first = np.maximum(np.searchsorted(edges_s, onset_s + _DUST_S, side="right") - 1, 0)
        stop = np.maximum(np.searchsorted(edges_s, offset_s - _DUST_S, side="left"), first + 1)
        for k, a, b in zip(label.tolist(), first.tolist(), stop.tolist(), strict=True):
            out[a:b, k] = True
        return out

    def _of(self, filename: str) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        first, label, onset_s, offset_s = self._events
        i = self._row[filename]
        clip = slice(first[i], first[i + 1])
        return label[clip], onset_s[clip], offset_s[clip]


@register("frame", FrameParameters)
class FrameBased(CellBased):
    """Figures of frame scores."""

    block, title, column = "frame_based", "frame-based", "frame"
    place = 8
    reads = "scores"
    by_default = False
    lacks = "--metrics frame"

    def require(self, truth: Truth, output: Output) -> None:
        """Raise UsageError where there are no scores, or no clip scores for the gate."""
        super().require(truth, output)
        if self.parameters.gate and output.scores is not None and output.scores.clipwise is None:
            raise UsageError("--frame-gate needs clip scores, which a folder of score tables does not hold")

    def count(self, work: Work) -> CellCounts:
        """Return the frames; a class or clip that the scores lack scores 0 there."""
        events, scores = work.events, work.given("scores")
        cells = self._frames(events, scores, work.truth.durations or {})
        return count_cells(events.filenames, events.labels, self.parameters.threshold, cells)

    def _frames(
        self, events: Events, scores: Scores, durations: Mapping[str, float]
    ) -> Iterator[tuple[NDArray[np.floating], NDArray[np.bool_]]]:
        activity = Activity(events)
        rows, columns = scores.places(events.filenames, events.labels)
        for name, row in zip(events.filenames, rows, strict=True):
            if row >= 0:
                edges_s, score = scores.edges(row), scores.of_clip(row, columns)
                if self.parameters.gate and scores.clipwise is not None:
                    score *= scores.clipwise[row, columns] > self.parameters.gate
            else:
                n = int(np.ceil(durations.get(name, activity.end_s(name)) / scores.frame_s - _DUST_S))
                edges_s = np.arange(n + 1, dtype=np.float64) * scores.frame_s
                score = np.zeros((n, len(events.labels)), scores.framewise.dtype)
            yield score, activity.frames(name, edges_s)
