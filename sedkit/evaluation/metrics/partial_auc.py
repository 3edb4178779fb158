"""Segment-based partial ROC area (DCASE 2024 task 4, MAESTRO classes): no threshold, only few false positives count.

After sed_scores_eval's `segment_based.auroc`: a segment's score is the largest frame score in it, its target
whether a reference event of the class reaches into it; the staircase ROC curve up to a false positive rate of 0.1,
divided by 0.1, is averaged over classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.log import log
from sedkit.core.options import option
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.counts import Rates, Undefined, mean_of_defined
from sedkit.evaluation.inputs import Work
from sedkit.evaluation.metrics.base import Measured, Metric, register
from sedkit.evaluation.ranking import cumulative, partial_roc_area
from sedkit.evaluation.recordings import SEGMENT_S, all_excerpts, join_scores, join_truth, recording_lengths
from sedkit.evaluation.resample import Drawn, Resamples


@dataclass(frozen=True)
class SegmentAucParameters:
    """`segment_s`: length of a segment in seconds; `max_fpr`: where the area ends."""

    segment_s: float = option(1.0, "--segment")
    max_fpr: float = 0.1


@dataclass(frozen=True)
class Segments:
    """All segments: `score` and `target` (segments, classes), `clip` (segments,) their rows in `filenames`.

    Where these are recordings, `recording` names that of each clip that was joined.
    """

    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    score: NDArray[np.floating]
    target: NDArray[np.bool_]
    clip: NDArray[np.int64]
    recording: Mapping[str, str] = field(default_factory=dict)


def cut_segments(
    reference: Events, scores: Scores, durations: Mapping[str, float] | None, parameters: SegmentAucParameters
) -> Segments:
    """Cut clips into segments; a class or clip that the scores lack scores 0 there.

    Where each clip ends, in seconds, say `durations`; for a clip without one its last reference event does.
    """
    rows, columns = scores.places(reference.filenames, reference.labels)
    length = np.zeros(len(reference.filenames))
    np.maximum.at(length, reference.clip, reference.offset_s)
    if durations is not None:
        length = np.array([durations.get(name, s) for name, s in zip(reference.filenames, length, strict=True)])
    n_segments = np.ceil(length / parameters.segment_s).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(n_segments)])
    score = np.zeros((int(first[-1]), len(columns)), scores.framewise.dtype)
    target = np.zeros_like(score, dtype=np.bool_)
    grid = np.round(np.arange(n_segments.max(initial=0) + 1) * parameters.segment_s, 6)
    for i in np.flatnonzero(rows >= 0):
        edges, frames = np.round(scores.edges(rows[i]), 6), scores.of_clip(rows[i], columns)
        start = np.maximum(np.searchsorted(edges, grid[: n_segments[i]], side="right") - 1, 0)
        stop = np.minimum(np.searchsorted(edges, grid[1 : n_segments[i] + 1], side="left"), len(edges) - 1)
        for s in np.flatnonzero(stop > start):
            score[first[i] + s] = frames[start[s] : stop[s]].max(axis=0)
    events = zip(reference.clip, reference.label, reference.onset_s, reference.offset_s, strict=True)
    for c, label, onset, offset in events:
        bounds = grid[: n_segments[c] + 1]
        target[first[c] : first[c + 1], label] |= (bounds[:-1] < offset) & (bounds[1:] > onset)
    clip = np.repeat(np.arange(len(reference.filenames)), n_segments)
    return Segments(reference.filenames, reference.labels, score, target, clip)


def partial_auc(
    segments: Segments,
    parameters: SegmentAucParameters,
    undefined: Undefined = "official",
    weights: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the macro mean (...,) and the classes' areas (..., classes); `weights` (..., clips) resamples clips."""
    w = np.ones(len(segments.clip)) if weights is None else np.asarray(weights, np.float64)[..., segments.clip]
    areas = [
        partial_roc_area(*cumulative(segments.score[:, c], segments.target[:, c], w), parameters.max_fpr)
        for c in range(len(segments.labels))
    ]
    classes = np.stack(areas, axis=-1)
    if undefined == "zero":
        classes = np.nan_to_num(classes)
    return mean_of_defined(classes), classes


@register("pauc", SegmentAucParameters)
class PartialAuc(Metric):
    """Mean partial ROC area of clips, or of the recordings that they are excerpts of; it has no judge of record."""

    block, title, column = "segment_auc", "segment-based partial AUC", "pAUC"
    place = 7
    primary = "value"
    reads = "scores"
    by_default = False
    lacks = "--metrics pauc"

    def count(self, work: Work) -> Segments:
        """Return the segments of the clips, or of their recordings where every clip is an excerpt."""
        events, scores, durations = work.events, work.given("scores"), work.truth.durations
        excerpts = all_excerpts(events.filenames, durations, scores)
        if excerpts:
            if self.parameters.segment_s != SEGMENT_S:
                given = f"--segment {self.parameters.segment_s:g}"
                raise UsageError(f"{given}: recordings are joined by the second, expected 1")
            durations = recording_lengths(excerpts, {**(durations or {}), **work.truth.recordings})
            scores = join_scores(scores, excerpts, events.labels, durations)
            events = join_truth(events, excerpts)
        segments = cut_segments(events, scores, durations, self.parameters)
        return replace(segments, recording={name: excerpt.recording for name, excerpt in excerpts.items()})

    def figures(self, counts: Segments, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the areas."""
        value, classes = partial_auc(counts, self.parameters, undefined, weights)
        return Rates({"value": classes}, single={"value": value})

    def resampled(self, measured: Measured, undefined: Undefined, resamples: Resamples) -> dict[str, Drawn]:
        """Return the areas in resamples of the clips, or of the recordings."""
        recording = measured.counts.recording
        if not recording:
            return super().resampled(measured, undefined, resamples)
        of_recordings = resamples.of_recordings(recording)
        if of_recordings is None:
            log.warning("the clips are of one recording (or group): no interval of the partial AUC")
            return {"value": Drawn(np.full(resamples.n, np.nan), measured.values["value"])}
        drawn = super().resampled(measured, undefined, of_recordings)["value"]
        return {"value": replace(drawn, units=of_recordings.described())}

    def shown(self, counts: Segments) -> dict[str, Any]:
        """Return the parameters and the variant."""
        return super().shown(counts) | {"variant": "recordings" if counts.recording else "clips"}

    def without_durations(self, block: Mapping[str, Any]) -> str:
        """Say where a clip without a duration ends."""
        if block["variant"] == "recordings":
            return ""
        return "they end at their last reference event, and have no segment where they have none"
