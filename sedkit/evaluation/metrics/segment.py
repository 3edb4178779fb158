"""Segment-based figures: in which segments of a clip a class is active.

The definition is sed_eval's `SegmentBasedMetrics`: an event fills every segment it touches, floor(onset) to
ceil(offset). A clip ends with its last event, reference's or estimate's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts, grouped
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.judges import official_segment
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.parameters import SegmentParameters

#: A clip of more segments than this is a wrong unit (milliseconds?), not a recording.
MOST_SEGMENTS = 50_000_000


def count_segments(reference: Events, estimate: Events, parameters: SegmentParameters | None = None) -> ClipCounts:
    """Count active segments of two tables with the same clips and labels (see `inputs.align`)."""
    from sedkit.evaluation.rolls import count_rolls

    parameters = parameters or SegmentParameters()
    for table in (reference, estimate):
        if table.n_events and table.offset_s.max() / parameters.segment_s > MOST_SEGMENTS:
            i = int(np.argmax(table.offset_s))
            raise SedkitError(
                f"{table.source}:{table.line[i]}: offset {table.offset_s[i]:g} s is more than {MOST_SEGMENTS} "
                "segments, expected seconds"
            )
    shape = (len(reference.filenames), len(reference.labels))
    n_ref, n_est, n_tp = (np.zeros(shape, np.int64) for _ in range(3))
    errors = np.zeros((shape[0], 3), np.int64)
    count_rolls(grouped(reference), grouped(estimate), float(parameters.segment_s), n_ref, n_est, n_tp, errors)
    return ClipCounts(
        filenames=reference.filenames,
        labels=reference.labels,
        n_reference=n_ref,
        n_estimate=n_est,
        n_true_positives=n_tp,
        errors=errors,
    )


@register("segment", SegmentParameters)
class SegmentBased(Metric):
    """Macro and micro F1 and error rates of segments; judged by sed_eval."""

    block, title, column = "segment_based", "segment-based", "segment"
    place = 2
    tool = "sed_eval"

    def count(self, work: Work) -> ClipCounts:
        """Return the active segments."""
        return count_segments(*work.pair, self.parameters)

    def official(self, work: Work) -> dict[str, Any]:
        """Return what sed_eval makes of the tables."""
        return official_segment(work.events, work.given("estimate"), self.parameters)
