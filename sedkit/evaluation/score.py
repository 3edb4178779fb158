"""`sedkit score` on files: read, cut to classes and clips, warn, evaluate, describe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sedkit.core.errors import UsageError
from sedkit.core.facts import refuse_seen
from sedkit.core.log import log
from sedkit.core.stamp import facts_of
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.rows import columns_of, tables_in
from sedkit.dataio.tables import read_durations, read_weak
from sedkit.evaluation.cut import Cut, cut_output, cut_truth, named_as, read_cut, read_labels
from sedkit.evaluation.describe import describe_output, describe_reference, mark_missing
from sedkit.evaluation.evaluate import Interval, evaluate
from sedkit.evaluation.fit import Fit
from sedkit.evaluation.inputs import Options, Output, Truth
from sedkit.evaluation.metrics.registry import all_metrics
from sedkit.evaluation.reading import (
    OperatingPoints,
    named_by_clip,
    read_groups,
    read_operating_points,
    read_reference,
    read_table_to_score,
)

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores
    from sedkit.evaluation.masks import Masks, Mixtures


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

    Parameters
    ----------
    request
        What was asked for.
    masks
        The network of `request.experiment`, where a metric needs it.

    Raises
    ------
    UsageError
        Options that contradict each other, or a metric without its input.
    SedkitError
        A file that cannot be scored.
    """
    _check(request)
    run = _run(request, masks)
    reference = _read_reference(request.reference)
    classes = read_labels(request.labels, reference)
    keep = read_cut(request.clips, request.folds, reference.filenames)
    durations = None
    if request.durations:
        durations = named_by_clip(reference.filenames, read_durations(request.durations), request.durations)
    output = named_as(reference.filenames, replace(_read_output(request), masks=masks))
    against = _other(request)
    against = None if against is None else named_as(reference.filenames, against)
    truth = cut_truth(reference, durations, classes, keep)
    if request.mixtures:
        truth = replace(truth, mixtures=_mixtures(request, truth.tags.filenames, masks))
    described = describe_reference(request.reference, reference, truth)
    path = request.estimate or request.scores or request.operating_points or request.experiment or ""
    estimate = describe_output(output, path, truth.tags.filenames)
    mark_missing(described, estimate, whole=keep is None)
    judged = _judged(request, output, classes, keep) if request.official and isinstance(reference, Events) else None
    to_score = [cut_output(one, None, keep) for one in (output, against) if one is not None]
    cut, *other = [_at_threshold(request, cut_output(one, classes, None)) for one in to_score]

    options = request.options
    if isinstance(request.threshold, float):
        options = replace(options, settings={**options.settings, "threshold": request.threshold})
    results = evaluate(
        truth,
        cut,
        request.metrics,
        options,
        interval_of=_interval(request, truth.tags.filenames),
        against=(str(request.against), other[0]) if other else None,
        judged=judged,
        baselines=request.baselines,
        every_threshold=request.threshold == "all",
    )
    computed = [metric for metric in all_metrics(options.settings).values() if metric.block in results]
    fit = Fit(reference, truth, classes, results, [metric.settled(cut) for metric in computed])
    fit.warn_of_durations(request.durations)
    for one in to_score:
        fit.warn_of(_at_threshold(request, one))
    tail = {name: results.pop(name) for name in ("undefined", "overlaps", "versions")}
    return {"reference": described, "estimate": estimate, **results, "run": run, **tail}


def _run(request: Request, masks: Masks | None) -> dict[str, Any]:
    """Return which run the output comes from; refuse figures on clips that it, or what it is compared with, saw."""
    for path in filter(None, (request.estimate, request.scores, request.operating_points, request.against)):
        refuse_seen(path, facts_of(path))
    output = request.estimate or request.scores or request.operating_points
    told = facts_of(output).get("run", {}) if output else masks.run if masks else {}
    return dict.fromkeys(_RUN) | {name: value for name, value in told.items() if name != "saw"}


def _mixtures(request: Request, filenames: Sequence[str], masks: Masks | None) -> Mixtures:
    """Open the mixtures at the network's rate; refuse those that it was trained on."""
    from sedkit.evaluation.masks import Mixtures

    mixtures = Mixtures.open(request.mixtures or "", masks.frontend.sample_rate if masks else None)
    if masks is not None:
        saw = {"saw": masks.run.get("saw", {}), "of": mixtures.places(filenames)}
        refuse_seen(str(request.experiment), saw)
    return mixtures


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
    if request.groups and not (request.bootstrap or request.against):
        raise UsageError("--groups says what to resample: give --bootstrap N too")
    if request.against and request.threshold == "all":
        raise UsageError("--against compares one output with another: give one --threshold, not all")


def _read_reference(path: str) -> Events | Tags:
    columns = columns_of(path)
    if "event_labels" in columns and "event_label" not in columns:
        return read_weak(path)
    return read_reference(path)


def _read_output(request: Request) -> Output:
    from sedkit.dataio.store import read_scores

    return Output(
        estimate=read_table_to_score(request.estimate, "estimate") if request.estimate else None,
        points=read_operating_points(request.operating_points) if request.operating_points else None,
        scores=read_scores(request.scores) if request.scores else None,
    )


def _judged(request: Request, output: Output, classes: Sequence[str] | None, keep: Cut | None) -> tuple[Truth, Output]:
    """Return reference and output as the judges see them: read from the files anew, by the organisers' own calls."""
    from sedkit.evaluation import official

    reference, durations = official.read_events(request.reference), None
    # What names mean was decided, and warned of, when sedkit read them: the judges are to look at the same clips.
    if request.durations:
        seconds = official.read_durations(request.durations)
        durations = named_by_clip(reference.filenames, seconds, request.durations, warn=False)
    truth = cut_truth(reference, durations, classes, keep)
    points = output.points
    if points is not None:
        points = replace(points, tables=tuple(official.read_events(table.source) for table in points.tables))
    estimate = official.read_events(request.estimate) if request.estimate else None
    output = named_as(reference.filenames, replace(output, estimate=estimate, points=points), warn=False)
    return truth, _at_threshold(request, cut_output(output, classes, keep))


def _at_threshold(request: Request, output: Output) -> Output:
    if isinstance(request.threshold, float) and output.estimate is None and output.points is not None:
        return replace(output, estimate=output.points.at(request.threshold))
    return output


def _interval(request: Request, filenames: Sequence[str]) -> Interval | None:
    if not request.bootstrap and not request.against:
        return None
    groups = None
    if request.groups:
        groups = read_groups(request.groups, filenames)
    if request.threshold == "all":
        log.warning("intervals of the best threshold take it as given, though it was chosen on the same clips")
    return Interval(request.bootstrap or 1000, groups, request.seed)


def _other(request: Request) -> Output | None:
    """Read the output to compare with: a table, a folder of operating points, or scores, whichever is there."""
    if request.against is None:
        return None
    path = Path(request.against)
    if path.is_dir():
        first = next(iter(tables_in(path)), None)
        if first is not None and "event_label" in columns_of(first):
            points: OperatingPoints = read_operating_points(path)
            chosen = points.at(request.threshold) if isinstance(request.threshold, float) else None
            return Output(estimate=chosen, points=points)
    if path.is_dir() or path.suffix in (".h5", ".hdf5"):
        from sedkit.dataio.store import read_scores

        scores: Scores = read_scores(path)
        return Output(scores=scores)
    return Output(estimate=read_table_to_score(path, "table of --against"))
