"""Intersection-based F1: reference events that detections cover, and detections that are not relevant.

The counts are those under PSDS (see `evaluation.coverage`, which holds the definition).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts, Rates, Undefined, per_clip_and_class
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.judges import official_intersection
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.parameters import IntersectionParameters


def count_intersections(
    reference: Events,
    estimate: Events,
    parameters: IntersectionParameters | None = None,
    durations: Mapping[str, float] | None = None,
) -> ClipCounts:
    """Count found reference events and false positives of a table; classes without reference events are passed over.

    `durations` are those of clips in seconds: a detection is a false positive only in one of these clips and before its
    end. None takes every clip of the reference, without an end.
    """
    from sedkit.evaluation.coverage import count_detections, join_points, prepare

    ground = prepare(reference, durations)
    counted = count_detections(ground, join_points(ground, [estimate]), parameters or IntersectionParameters())
    shape = len(ground.filenames), len(ground.labels)
    # Of a single operating point, a cell is a class.
    hits, false_positives = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for kind, n in enumerate((hits, false_positives)):
        np.add.at(n, (counted.clip[counted.kind == kind], counted.cell[counted.kind == kind]), 1)
    return ClipCounts(
        filenames=ground.filenames,
        labels=ground.labels,
        n_reference=ground.n_reference(),
        n_estimate=per_clip_and_class(estimate.keep_clips(ground.filenames).keep_labels(ground.labels)),
        n_true_positives=hits,
        n_false_positives=false_positives,
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
        reference, estimate = work.joined(work.events, work.given("estimate"))
        return official_intersection(reference, estimate, self.parameters, work.truth.durations)
