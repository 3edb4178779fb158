"""Intersection-based F1: reference events that detections cover, and detections that are not relevant.

The counts are those under PSDS (see `evaluation.coverage`, which holds the definition).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts, Rates, Undefined, per_clip_and_class
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.parameters import IntersectionParameters

if TYPE_CHECKING:
    from sedkit.evaluation.coverage import Sparse


def count_intersections(
    reference: Events,
    estimate: Events,
    parameters: IntersectionParameters | None = None,
    durations: Mapping[str, float] | None = None,
) -> ClipCounts:
    """Count found reference events and false positives of one table.

    Parameters
    ----------
    reference, estimate
        Tables; classes without reference events are passed over.
    parameters
        The criteria.
    durations
        Clip durations in seconds; a detection is a false positive only in one of these clips and before its end. None
        takes every clip of the reference, without an end.
    """
    from sedkit.evaluation.coverage import count_points, prepare

    ground = prepare(reference, durations)
    points = count_points(ground, [estimate], parameters or IntersectionParameters())
    shape = len(ground.filenames), len(ground.labels)

    def per_clip(counts: Sparse) -> NDArray[np.int64]:
        # Of a single operating point, a cell is a class.
        cell = counts.clip * shape[1] + counts.cell
        return np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape).astype(np.int64)

    return ClipCounts(
        filenames=ground.filenames,
        labels=ground.labels,
        n_reference=ground.n_reference(),
        n_estimate=per_clip_and_class(estimate.keep_clips(ground.filenames).keep_labels(ground.labels)),
        n_true_positives=per_clip(points.true),
        n_false_positives=per_clip(points.false),
    )


@register("intersection", IntersectionParameters)
class IntersectionBased(Metric):
    """Macro F1 of found events; judged by psds_eval."""

    block, title, column = "intersection_based", "intersection-based", "intersection"
    place = 3
    tool = "psds_eval"
    clips = "durations"

    def count(self, work: Work) -> ClipCounts:
        """Return found events and false positives."""
        reference, estimate = work.joined(work.events, work.given("estimate"))
        return count_intersections(reference, estimate, self.parameters, work.truth.durations)

    def figures(self, counts: ClipCounts, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures; psds_eval knows no micro average."""
        return replace(super().figures(counts, undefined, weights), micro={})

    def official(self, work: Work) -> dict[str, Any]:
        """Return what psds_eval makes of the tables."""
        from sedkit.evaluation.judges import official_intersection

        reference, estimate = work.joined(work.events, work.given("estimate"))
        return official_intersection(reference, estimate, self.parameters, work.truth.durations)
