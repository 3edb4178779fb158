"""`sedkit score` on files: read, cut to classes and clips, warn, evaluate, describe."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from sedkit.core.errors import UsageError, listed
from sedkit.core.facts import refuse_seen
from sedkit.core.log import log
from sedkit.core.stamp import facts_of
from sedkit.dataio.event_formats import is_table
from sedkit.dataio.events import Events
from sedkit.dataio.excerpts import Excerpt
from sedkit.dataio.names import stem
from sedkit.dataio.tables import read_durations
from sedkit.evaluation import judges, reading
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.fit import Fit
from sedkit.evaluation.inputs import Masks, Options, Output, Truth
from sedkit.evaluation.metrics.base import all_metrics
from sedkit.evaluation.recordings import cut_into, excerpts_in
from sedkit.evaluation.resample import Resamples
from sedkit.evaluation.show import describe_output, describe_reference, mark_missing

if TYPE_CHECKING:
    from sedkit.synthesis.mixture_set import Mixtures


#: What results say of their run, null where it is not known.
_RUN = ("recipe", "system", "seed", "fold", "snr_db", "trained_on")


@dataclass(frozen=True)
class Request:
    """What `sedkit score` was asked for; paths as given, None where an option was not.

    `experiment` is the checkpoint of a network that gives masks.
    """

    reference: str
    estimate: str | None = None
    operating_points: str | None = None
    scores: str | None = None
    experiment: str | None = None
    mixtures: str | None = None
    durations: str | None = None
    metrics: tuple[str, ...] | None = None
    threshold: float | Literal["all"] | None = None
    labels: str | None = None
    groups: str | None = None
    clips: str | None = None
    folds: tuple[str, ...] | None = None
    options: Options = field(default_factory=Options)
    bootstrap: int | None = None
    seed: int = 0
    against: str | None = None
    official: bool = False
    baselines: bool = False


def score_files(request: Request, masks: Masks | None = None) -> dict[str, Any]:
    """Return the results file of a call of `sedkit score`.

    `masks` is the network of `request.experiment`, where a metric needs it.

    Raises
    ------
    UsageError
        Options that contradict each other, or a metric without its input.
    SedkitError
        A file that cannot be scored.
    """
    _check(request)
    run = _run(request, masks)
    reference = reading.read_truth(request.reference)
    names = reference.filenames
    classes = reading.read_labels(request.labels, reference)
    keep = reading.read_cut(request.clips, request.folds, names)
    durations: Mapping[str, float] | None = None
    if request.durations:
        durations = reading.named_by_clip(names, read_durations(request.durations), request.durations)
    outputs = [_read_output(request, masks)]
    if request.against is not None:
        outputs.append(reading.read_other(request.against))
    whole = reference
    excerpts = excerpts_in(names, reading.clips_of(outputs[0])) if isinstance(reference, Events) else {}
    if excerpts and isinstance(reference, Events):
        reference, durations, keep = _in_excerpts(request, reference, excerpts, durations, keep)
    outputs = [reading.named_as(reference.filenames, output) for output in outputs]
    truth = reading.cut_truth(reference, durations, classes, keep)
    if request.mixtures:
        truth = replace(truth, mixtures=_mixtures(request, truth.tags.filenames, masks))
    described = describe_reference(request.reference, whole, truth)
    path = request.estimate or request.scores or request.operating_points or request.experiment or ""
    estimate = describe_output(outputs[0], path, truth.tags.filenames)
    mark_missing(described, estimate, whole=keep is None)
    judged = None
    if request.official and isinstance(reference, Events):
        judged = _judged(request, outputs[0], classes, keep)
    on_clips = [reading.cut_output(output, None, keep) for output in outputs]
    cut, *other = [reading.cut_output(output, classes, None).at(request.threshold) for output in on_clips]

    options = request.options
    if isinstance(request.threshold, float):
        options = replace(options, settings={**options.settings, "threshold": request.threshold})
    results = evaluate(
        truth,
        cut,
        request.metrics,
        options,
        resamples=_resamples(request, truth, names, excerpts),
        against=(str(request.against), other[0]) if other else None,
        judged=judged,
        baselines=request.baselines,
        every_threshold=request.threshold == "all",
    )
    computed = [metric for metric in all_metrics(options.settings).values() if metric.block in results]
    fit = Fit(reference, truth, classes, [metric.settled(cut) for metric in computed])
    fit.warn_of_durations(request.durations, results)
    for output, of in zip(on_clips, (request.scores, request.against), strict=False):
        fit.warn_of(output.at(request.threshold), of or "")
    tail = {name: results.pop(name) for name in ("undefined", "overlaps", "versions")}
    return {"reference": described, "estimate": estimate, **results, "run": run, **tail}


def _check(request: Request) -> None:
    if not (request.estimate or request.operating_points or request.scores or request.experiment):
        raise UsageError("nothing to score: give --estimate, --operating-points or --scores")
    if request.threshold == "all" and not request.operating_points:
        raise UsageError("--threshold all needs --operating-points")
    if request.threshold == "all" and request.estimate:
        raise UsageError("--threshold all scores each operating point: give either it or --estimate")
    if isinstance(request.threshold, float) and request.estimate and not request.scores:
        raise UsageError("--threshold chooses an operating point to score as a table: give either it or --estimate")
    if isinstance(request.threshold, float) and not (request.operating_points or request.scores):
        raise UsageError(
            "--threshold chooses an operating point or the tagging threshold: give --operating-points or --scores"
        )
    if request.baselines and not request.durations:
        raise UsageError("--baselines needs --durations: an output of every class throughout ends where the clips do")
    if request.folds and not request.clips:
        raise UsageError("--fold needs --clips, the table with the column fold")
    for path in (request.reference, request.estimate) if request.official else ():
        if path is not None and os.path.exists(path) and not is_table(path):
            raise UsageError(f"--official true: the judges read challenge tables, and {path} is none; leave it out")
    if request.groups and not (request.bootstrap or request.against):
        raise UsageError("--groups says what to resample: give --bootstrap N too")
    if request.against and request.threshold == "all":
        raise UsageError("--against compares one output with another: give one --threshold, not all")


def _run(request: Request, masks: Masks | None) -> dict[str, Any]:
    """Return which run the output comes from; refuse figures on clips that it, or what it is compared with, saw."""
    for path in filter(None, (request.estimate, request.scores, request.operating_points, request.against)):
        refuse_seen(path, facts_of(path))
    output = request.estimate or request.scores or request.operating_points
    told = facts_of(output).get("run", {}) if output else masks.run if masks else {}
    return dict.fromkeys(_RUN) | {name: value for name, value in told.items() if name != "saw"}


def _read_output(request: Request, masks: Masks | None) -> Output:
    from sedkit.dataio.store import read_scores

    return Output(
        estimate=reading.read_table_to_score(request.estimate, "estimate") if request.estimate else None,
        points=reading.read_operating_points(request.operating_points) if request.operating_points else None,
        scores=read_scores(request.scores) if request.scores else None,
        masks=masks,
    )


def _mixtures(request: Request, filenames: Sequence[str], masks: Masks | None) -> Mixtures:
    """Open the mixtures at the network's rate; refuse those that it was trained on."""
    from sedkit.synthesis.mixture_set import Mixtures

    mixtures = Mixtures.open(request.mixtures or "", masks.frontend.sample_rate if masks else None)
    if masks is not None:
        saw = {"saw": masks.run.get("saw", {}), "of": mixtures.places(filenames)}
        refuse_seen(str(request.experiment), saw)
    return mixtures


def _judged(
    request: Request, output: Output, classes: Sequence[str] | None, keep: reading.Kept
) -> tuple[Truth, Output]:
    """Return reference and output as the judges see them: read from the files anew, by the organisers' own calls."""
    reference, durations = judges.read_events(request.reference), None
    # What names mean was decided, and warned of, when sedkit read them: the judges are to look at the same clips.
    if request.durations:
        seconds = judges.read_durations(request.durations)
        durations = reading.named_by_clip(reference.filenames, seconds, request.durations, warn=False)
    output = output.changed(lambda table: judges.read_events(table.source))
    output = reading.cut_output(reading.named_as(reference.filenames, output, warn=False), classes, keep)
    return reading.cut_truth(reference, durations, classes, keep), output.at(request.threshold)


def _in_excerpts(
    request: Request,
    reference: Events,
    excerpts: Mapping[str, Excerpt],
    durations: Mapping[str, float] | None,
    keep: reading.Kept,
) -> tuple[Events, Mapping[str, float] | None, reading.Kept]:
    """Return the reference, durations and what is kept of excerpts in place of those of their recordings."""
    if request.official:
        raise UsageError(
            f"--official true: {request.reference} is of recordings and the output of excerpts of them, expected a "
            "reference of the excerpts, which is what the judges read"
        )
    recording = {stem(name): name for name in reference.filenames}
    wanted = {stem(name) for name in recording.values() if keep is None or name in keep}
    if missing := sorted(wanted - {excerpt.recording for excerpt in excerpts.values()}):
        log.warning("%s: no excerpt of %s: they are not scored", request.reference, listed(missing))
    log.info("%s: the output is of %d excerpts of its recordings", request.reference, len(excerpts))
    if durations is not None:
        durations = {**durations, **{clip: e.end_s - e.start_s for clip, e in excerpts.items()}}
    chosen = frozenset(clip for clip, excerpt in excerpts.items() if excerpt.recording in wanted)
    return cut_into(reference, excerpts), durations, None if keep is None else chosen


def _resamples(
    request: Request, truth: Truth, names: Sequence[str], excerpts: Mapping[str, Excerpt]
) -> Resamples | None:
    if not request.bootstrap and not request.against:
        return None
    clips = names if excerpts else truth.tags.filenames
    groups = reading.read_groups(request.groups, clips) if request.groups else None
    if groups is not None and excerpts:
        by_recording = {stem(name): group for name, group in groups.items()}
        groups = {clip: by_recording.get(excerpt.recording, "") for clip, excerpt in excerpts.items()}
    if request.threshold == "all":
        log.warning("intervals of the best threshold take it as given, though it was chosen on the same clips")
    return Resamples.of(truth, request.bootstrap or 1000, groups, request.seed)
