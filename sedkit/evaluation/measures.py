"""One measure per metric: its block of the results file, its headline values, how to resample them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.evaluation.alignment import align
from sedkit.evaluation.bootstrap import Drawn, Resamples, rates_of_resamples
from sedkit.evaluation.counts import ClipCounts, Undefined, as_json, number, rates
from sedkit.evaluation.event import EventParameters, count_events
from sedkit.evaluation.intersection import (
    Detections,
    Ground,
    IntersectionParameters,
    PointCounts,
    count_detections,
    count_intersections,
    join_points,
    prepare,
)
from sedkit.evaluation.overlaps import merge_overlaps
from sedkit.evaluation.psds import PSDS1, PSDS2, PsdsParameters, psds_value
from sedkit.evaluation.segment import SegmentParameters, count_segments

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores
    from sedkit.evaluation.reading import OperatingPoints

#: Below this number of operating points, noise hides between them (see `psds_bootstrap`).
_FEW_POINTS = 5
#: Below this number of clips, intervals of the PSDS of poor systems are too narrow (see `psds_bootstrap`).
FEW_UNITS = 150
BLOCKS = {
    "event": "event_based",
    "segment": "segment_based",
    "intersection": "intersection_based",
    "psds1": "psds1",
    "psds2": "psds2",
    "tagging": "tagging",
    "pauc": "segment_auc",
}
Variant = Literal["operating_points", "exact", "operating_points_0.3.0"]


@dataclass(frozen=True)
class Output:
    """What a system put out, in up to three forms: a table, tables at several thresholds, scores."""

    estimate: Events | None = None
    points: OperatingPoints | None = None
    scores: Scores | None = None


@dataclass(frozen=True)
class Truth:
    """What it is scored against: events (None for a weak reference), tags, durations in seconds.

    `durations` are those of clips, `recordings` those of the recordings that the clips are excerpts of.
    """

    events: Events | None
    tags: Tags
    durations: Mapping[str, float] | None = None
    recordings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """How to score; the defaults are the challenge's."""

    event: EventParameters = field(default_factory=EventParameters)
    segment: SegmentParameters = field(default_factory=SegmentParameters)
    intersection: IntersectionParameters = field(default_factory=IntersectionParameters)
    tagging_threshold: float = 0.5
    psds_variant: Variant | None = None
    undefined: Undefined = "official"
    overlaps: Literal["refuse", "merge"] = "refuse"


@dataclass(frozen=True)
class Measured:
    """A metric's figures.

    Attributes
    ----------
    block
        Its part of the results file.
    values
        Headline values by place in the block: `macro`, `micro` (figure `primary` in that block) or `value`.
    resampled
        Gives each headline value in resamples.
    primary
        Name of the headline figure in `macro` and `micro`.
    counts
        Counts under the figures, for event, segment and intersection.
    """

    block: dict[str, Any]
    values: dict[str, float]
    resampled: Callable[[Resamples], dict[str, Drawn]]
    primary: str = "f1"
    counts: ClipCounts | None = None


class Work:
    """A truth and an output with what several metrics need of them, made once."""

    def __init__(self, truth: Truth, output: Output, options: Options) -> None:
        self.truth, self.output, self.options = truth, output, options

    @cached_property
    def pair(self) -> tuple[Events, Events]:
        """Reference and estimate on the same clips and classes."""
        return align(_events(self.truth), _given(self.output.estimate))

    @property
    def refuse_overlaps(self) -> bool:
        """False for the variant of psds_eval 0.3.0, which let overlapping events of one class pass."""
        return variant_of(self.output, self.options) != "operating_points_0.3.0"

    @cached_property
    def ground(self) -> Ground:
        """The reference, ready for PSDS."""
        (reference,) = join_if_asked(self.options, _events(self.truth))
        return prepare(reference, _given(self.truth.durations), self.refuse_overlaps)

    @cached_property
    def detections(self) -> Detections:
        """All operating points, on the reference's clips and classes."""
        return join_points(
            self.ground, join_if_asked(self.options, *_given(self.output.points).tables), self.refuse_overlaps
        )


def measure(metric: str, work: Work) -> Measured:
    """Compute one metric; its inputs must be there (see `evaluate.check_inputs`)."""
    options = work.options
    if metric == "event":
        return _f1(count_events(*work.pair, options.event), asdict(options.event), options)
    if metric == "segment":
        return _f1(count_segments(*work.pair, options.segment), asdict(options.segment), options)
    if metric == "intersection":
        reference, estimate = join_if_asked(options, _events(work.truth), _given(work.output.estimate))
        counts = count_intersections(reference, estimate, options.intersection, work.truth.durations)
        return _f1(counts, asdict(options.intersection), options)
    if metric in ("psds1", "psds2"):
        return _psds(PSDS1 if metric == "psds1" else PSDS2, work)
    if metric == "tagging":
        return _tagging(work.truth, _given(work.output.scores), options)
    return _partial_auc(work.truth, _given(work.output.scores), options)


def _given(value: Any) -> Any:
    if value is None:
        raise SedkitError("an input of this metric is missing")
    return value


def _events(truth: Truth) -> Events:
    if truth.events is None:
        raise SedkitError("the reference is a weak table, expected events with onset and offset")
    return truth.events


def join_if_asked(options: Options, *tables: Events) -> list[Events]:
    """Join overlapping events of one class where `--overlaps merge` asks for it; else return the tables as they are."""
    if options.overlaps == "refuse":
        return list(tables)
    out = []
    for table in tables:
        merged, n = merge_overlaps(table)
        if n:
            log.info("%s: %d events joined with one of their class that they overlap", table.source, n)
        out.append(merged)
    return out


def _f1(counts: ClipCounts, parameters: dict[str, float], options: Options) -> Measured:
    figures = rates(counts, options.undefined)
    block: dict[str, Any] = {"parameters": parameters, **as_json(counts, figures)}
    undefined = [label for label, f in zip(counts.labels, figures.classes["f1"], strict=True) if np.isnan(f)]
    if undefined:
        block["left_out_of_macro"] = undefined
    places = ["macro"] if counts.rule == "intersection" else ["macro", "micro"]

    def resampled(resamples: Resamples) -> dict[str, Drawn]:
        drawn = rates_of_resamples(counts, resamples, options.undefined)
        return {place: Drawn(getattr(drawn, place)["f1"], values[place]) for place in places}

    values = {place: float(getattr(figures, place)["f1"]) for place in places}
    return Measured(block, values, resampled, counts=counts)


def variant_of(output: Output, options: Options) -> Variant:
    """Return how PSDS is computed: as asked for, else from operating points, else exactly from scores."""
    if options.psds_variant is not None:
        return options.psds_variant
    return "operating_points" if output.points is not None else "exact"


def psds_parameters(parameters: PsdsParameters, variant: Variant) -> PsdsParameters:
    """Return the parameters with the cross-trigger average of the variant."""
    return replace(parameters, cross_triggers="0.3.0" if variant == "operating_points_0.3.0" else "0.5.3")


def _psds(parameters: PsdsParameters, work: Work) -> Measured:
    variant = variant_of(work.output, work.options)
    parameters = psds_parameters(parameters, variant)
    counted: Callable[[], PointCounts]
    if variant == "exact":
        from sedkit.evaluation.psds_exact import points_of_sweep, psds_of_sweep, sweep

        swept = sweep(work.ground, _given(work.output.scores), parameters.criteria)
        value, classes = psds_of_sweep(swept, parameters)
        counted = partial(points_of_sweep, swept, parameters)
    else:
        points = count_detections(work.ground, work.detections, parameters.criteria)
        value, classes = psds_value(points, parameters)
        counted = lambda: points  # noqa: E731

    def resampled(resamples: Resamples) -> dict[str, Drawn]:
        from sedkit.evaluation.psds_bootstrap import corrected_psds

        counts = counted()
        if counts.n_points < _FEW_POINTS:
            log.warning("PSDS from %d operating points: intervals from fewer than 5 are too narrow", counts.n_points)
        drawn = corrected_psds(counts, resamples, parameters)
        # Exact PSDS is resampled on some of its thresholds; what that leaves out is the same in every resample.
        rest = value - psds_value(counts, parameters)[0]
        return {"value": Drawn(drawn.samples + rest, drawn.estimate + rest, corrected=True)}

    shown = asdict(parameters)
    del shown["cross_triggers"]
    if variant != "exact":
        shown["n_operating_points"] = len(_given(work.output.points).tables)
    block = {"parameters": shown, "variant": variant, "value": value, "classes": classes}
    return Measured(block, {"value": value}, resampled, primary="value")


def _columns(
    labels: Sequence[str], scores: Scores, rows: Sequence[str], values: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Bring clip scores onto clips and classes; what the scores lack is 0."""
    out = np.zeros((len(rows), len(labels)), values.dtype)
    row = {name: i for i, name in enumerate(scores.filenames)}
    there = [i for i, name in enumerate(rows) if name in row]
    columns = [(k, scores.labels.index(name)) for k, name in enumerate(labels) if name in scores.labels]
    for k, c in columns:
        out[there, k] = values[[row[rows[i]] for i in there], c]
    return out


def _tagging(truth: Truth, scores: Scores, options: Options) -> Measured:
    from sedkit.evaluation.tagging import TaggingParameters, tagging_rates

    parameters = TaggingParameters(options.tagging_threshold)
    clipwise = _columns(truth.tags.labels, scores, truth.tags.filenames, _given(scores.clipwise))
    figures = tagging_rates(truth.tags, clipwise, parameters, options.undefined)
    block: dict[str, Any] = {
        "parameters": asdict(parameters),
        "macro": {name: number(v) for name, v in figures.macro.items()},
        "micro": {name: number(v) for name, v in figures.micro.items()},
        "classes": {
            label: {name: number(v[i]) for name, v in figures.classes.items()}
            for i, label in enumerate(truth.tags.labels)
        },
    }

    def resampled(resamples: Resamples) -> dict[str, Drawn]:
        weights = resamples.weights(truth.tags.filenames).T.astype(np.float64)
        drawn = tagging_rates(truth.tags, clipwise, parameters, options.undefined, weights)
        return {place: Drawn(getattr(drawn, place)["average_precision"], values[place]) for place in values}

    values = {place: float(getattr(figures, place)["average_precision"]) for place in ("macro", "micro")}
    return Measured(block, values, resampled, primary="average_precision")


def _partial_auc(truth: Truth, scores: Scores, options: Options) -> Measured:
    from sedkit.evaluation.recordings import SEGMENT_S, all_excerpts, join_scores, join_truth, recording_lengths
    from sedkit.evaluation.segment_auc import SegmentAucParameters, cut_segments, partial_auc

    parameters = SegmentAucParameters(segment_s=options.segment.segment_s)
    events, durations = _events(truth), truth.durations
    excerpts = all_excerpts(events.filenames, durations, scores)
    joined = bool(excerpts)
    if joined:
        if parameters.segment_s != SEGMENT_S:
            raise UsageError(f"--segment {parameters.segment_s:g}: recordings are joined by the second, expected 1")
        durations = recording_lengths(excerpts, {**(durations or {}), **truth.recordings})
        scores = join_scores(scores, excerpts, events.labels, durations)
        events = join_truth(events, excerpts)
    segments = cut_segments(events, scores, durations, parameters)
    value, classes = partial_auc(segments, parameters, options.undefined)
    block = {
        "parameters": asdict(parameters),
        "variant": "recordings" if joined else "clips",
        "value": number(value),
        "classes": {label: number(v) for label, v in zip(segments.labels, classes, strict=True)},
    }

    def resampled(resamples: Resamples) -> dict[str, Drawn]:
        recording = {name: excerpt.recording for name, excerpt in excerpts.items()}
        drawn = resamples.of_recordings(recording) if joined else resamples
        if drawn is None:
            log.warning("the clips are of one recording (or group): no interval of the partial AUC")
            return {"value": Drawn(np.full(resamples.n, np.nan), float(value))}
        weights = drawn.weights(segments.filenames).T.astype(np.float64)
        areas = partial_auc(segments, parameters, options.undefined, weights)[0]
        return {"value": Drawn(areas, float(value), units=drawn.described() if joined else None)}

    return Measured(block, {"value": float(value)}, resampled, primary="value")
