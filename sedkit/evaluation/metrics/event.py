"""Event-based figures: an estimate is right when class, onset and offset are.

The definition is sed_eval's `EventBasedMetrics` with optimal matching and `zero_score` for empty output: onsets
differ by at most the collar, offsets by at most the larger of the collar and a fraction of the reference's length.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts, grouped, per_clip_and_class
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.judges import official_event
from sedkit.evaluation.metrics.base import Metric, register
from sedkit.evaluation.parameters import EventParameters


def count_events(reference: Events, estimate: Events, parameters: EventParameters | None = None) -> ClipCounts:
    """Count matched events, and the errors of each clip, of two tables with the same clips and labels (see `align`)."""
    parameters = parameters or EventParameters()
    r, e = grouped(reference), grouped(estimate)
    shape = (len(reference.filenames), len(reference.labels))
    hits, substitutions = np.zeros(shape, np.int64), np.zeros(shape[0], np.int64)
    if reference.n_events and estimate.n_events:
        from sedkit.evaluation.matching import match_clips

        collar_s, fraction = float(parameters.collar_s), float(parameters.offset_fraction)
        match_clips(r, e, collar_s, fraction, hits, substitutions)
    matched = hits.sum(axis=1) + substitutions
    errors = np.stack([substitutions, np.diff(r[0]) - matched, np.diff(e[0]) - matched], axis=1)
    return ClipCounts(
        filenames=reference.filenames,
        labels=reference.labels,
        n_reference=per_clip_and_class(reference),
        n_estimate=per_clip_and_class(estimate),
        n_true_positives=hits,
        errors=errors,
        precision_without_output=0.0,
    )


@register("event", EventParameters)
class EventBased(Metric):
    """Macro and micro F1 and error rates of events; judged by sed_eval."""

    block, title, column = "event_based", "event-based", "event"
    place = 1
    tool = "sed_eval"

    def count(self, work: Work) -> ClipCounts:
        """Return the matched events."""
        return count_events(*work.pair, self.parameters)

    def official(self, work: Work) -> dict[str, Any]:
        """Return what sed_eval makes of the tables."""
        return official_event(work.events, work.given("estimate"), self.parameters)
