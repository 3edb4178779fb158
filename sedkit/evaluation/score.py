"""`sedkit score` on files: read, cut to classes and clips, warn, evaluate, describe."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.names import stem
from sedkit.dataio.rows import columns_of, read_rows, read_table, refuse, tables_in
from sedkit.dataio.tables import read_durations, read_weak
from sedkit.evaluation.describe import describe_output, describe_reference, mark_missing
from sedkit.evaluation.evaluate import Interval, evaluate
from sedkit.evaluation.fit import Fit
from sedkit.evaluation.inputs import Options, Output, Truth
from sedkit.evaluation.metrics.registry import all_metrics
from sedkit.evaluation.reading import (
    OperatingPoints,
    names_as_in,
    read_operating_points,
    read_reference,
    read_table_to_score,
)
from sedkit.evaluation.recordings import excerpt_of
from sedkit.evaluation.run_names import run_of_path

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


T = TypeVar("T")


@dataclass(frozen=True)
class _Cut:
    """The clips that `--clips` and `--fold` keep: those of the reference in its order, and all of them."""

    reference: tuple[str, ...]
    names: frozenset[str]


@dataclass(frozen=True)
class Request:
    """What `sedkit score` was asked for; paths as given, None where an option was not."""

    reference: str
    estimate: str | None = None
    operating_points: str | None = None
    scores: str | None = None
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


def score_files(request: Request) -> dict[str, Any]:
    """Return the results file of a call of `sedkit score`.

    Raises
    ------
    UsageError
        Options that contradict each other, or a metric without its input.
    SedkitError
        A file that cannot be scored.
    """
    _check(request)
    run = _run(request)
    reference = _read_reference(request.reference)
    events = reference if isinstance(reference, Events) else None
    classes = _read_labels(request.labels, reference)
    keep = _kept_clips(request, reference.filenames)
    durations = None
    if request.durations:
        durations = _named_by_clip(reference.filenames, read_durations(request.durations), request.durations)
    output = _named_as(reference.filenames, _read_output(request))
    against = _other(request)
    against = None if against is None else _named_as(reference.filenames, against)
    truth = _cut_truth(reference, durations, classes, keep)
    described = describe_reference(request.reference, reference, truth)
    path = request.estimate or request.scores or request.operating_points or ""
    estimate = describe_output(output, path, truth.tags.filenames)
    mark_missing(described, estimate, whole=keep is None)
    judged = _judged(request, output, classes, keep) if request.official and events is not None else None
    to_score = [_keep_clips(one, keep) for one in (output, against) if one is not None]
    cut, *other = [_keep_labels(one, classes) for one in to_score]
    cut = _at_threshold(request, cut)

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


def _run(request: Request) -> dict[str, Any]:
    """Return which run the output comes from; refuse figures on a set that it was trained on."""
    path = request.estimate or request.scores or request.operating_points or ""
    run = run_of_path(str(Path(path).resolve()))
    trained_on, name = str(run["trained_on"] or ""), Path(request.reference).resolve().parent.name
    if f"+{name}" in trained_on:
        raise UsageError(
            f"{path}: trained on {trained_on}, so figures on {name} ({request.reference}) would say nothing; "
            "score the split run instead"
        )
    return run


def _check(request: Request) -> None:
    if not (request.estimate or request.operating_points or request.scores):
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


def _read_labels(path: str | None, reference: Events | Tags) -> tuple[str, ...] | None:
    if path is None:
        return None
    from sedkit.core.vocabulary import Vocabulary

    labels = Vocabulary.read(path).labels
    absent = [name for name in labels if name not in reference.labels]
    if absent:
        log.warning(
            "%s: %s occurs nowhere in the reference%s", path, listed(absent), suggest(absent[0], reference.labels)
        )
    if len(absent) == len(labels):
        raise SedkitError(f"{path}: none of its {len(labels)} classes occurs in the reference")
    return labels


def _kept_clips(request: Request, names: Sequence[str]) -> _Cut | None:
    if request.clips is None:
        return None
    table = read_table(request.clips, ("filename",), ("fold",))
    listed_as = tuple(dict.fromkeys(table["filename"]))
    called = dict(zip(listed_as, names_as_in(names, listed_as, request.clips), strict=True))
    chosen = set(called.values())
    if request.folds:
        if "fold" not in table:
            raise SedkitError(f"{request.clips}: has no column fold, which --fold asks for")
        known = set(table["fold"])
        for fold in request.folds:
            if fold not in known:
                raise UsageError(
                    f"--fold {fold}: not in {request.clips}{suggest(fold, known)}; it has {listed(sorted(known))}"
                )
        rows = zip(table["filename"], table["fold"], strict=True)
        chosen = {called[name] for name, fold in rows if fold in request.folds}
    kept = tuple(name for name in names if name in chosen)
    if not kept:
        raise SedkitError(
            f"{request.clips}: none of its {len(chosen)} clips is in the reference ({names[0] if names else 'empty'!r})"
        )
    return _Cut(kept, frozenset(chosen))


def _read_output(request: Request) -> Output:
    from sedkit.dataio.store import read_scores

    return Output(
        estimate=read_table_to_score(request.estimate, "estimate") if request.estimate else None,
        points=read_operating_points(request.operating_points) if request.operating_points else None,
        scores=read_scores(request.scores) if request.scores else None,
    )


def _named_by_clip(names: Sequence[str], by_clip: dict[str, T], source: str, warn: bool = True) -> dict[str, T]:
    """Call clips as the reference does."""
    return dict(zip(names_as_in(names, tuple(by_clip), source, warn), by_clip.values(), strict=True))


def _named_as(names: Sequence[str], output: Output, warn: bool = True) -> Output:
    """Call the clips of an output as the reference does: scores by their ids, tables as `names_as_in` has it."""
    warned = not warn

    def renamed(table: Events) -> Events:
        nonlocal warned
        new = names_as_in(names, table.filenames, table.source, not warned)
        warned |= new != table.filenames
        return replace(table, filenames=new)

    estimate, points, scores = output.estimate, output.points, output.scores
    return Output(
        estimate=None if estimate is None else renamed(estimate),
        points=None if points is None else replace(points, tables=tuple(map(renamed, points.tables))),
        scores=None if scores is None else scores.named_as(names),
    )


def _judged(request: Request, output: Output, classes: Sequence[str] | None, keep: _Cut | None) -> tuple[Truth, Output]:
    """Return reference and output as the judges see them: read from the files anew, by the organisers' own calls."""
    from sedkit.evaluation import official

    reference, durations = official.read_events(request.reference), None
    # What names mean was decided, and warned of, when sedkit read them: the judges are to look at the same clips.
    if request.durations:
        seconds = official.read_durations(request.durations)
        durations = _named_by_clip(reference.filenames, seconds, request.durations, warn=False)
    truth = _cut_truth(reference, durations, classes, keep)
    points = output.points
    if points is not None:
        points = replace(points, tables=tuple(official.read_events(table.source) for table in points.tables))
    estimate = official.read_events(request.estimate) if request.estimate else None
    output = _named_as(reference.filenames, replace(output, estimate=estimate, points=points), warn=False)
    output = _keep_labels(_keep_clips(output, keep), classes)
    return truth, _at_threshold(request, output)


def _at_threshold(request: Request, output: Output) -> Output:
    if isinstance(request.threshold, float) and output.estimate is None and output.points is not None:
        return replace(output, estimate=output.points.at(request.threshold))
    return output


def _cut_truth(
    reference: Events | Tags,
    durations: Mapping[str, float] | None,
    classes: Sequence[str] | None,
    keep: _Cut | None,
) -> Truth:
    if keep is not None:
        reference = reference.keep_clips(keep.reference)
    # A table may give the durations of the recordings that the clips are excerpts of: these are no clips.
    whole = {excerpt.recording for name in reference.filenames if (excerpt := excerpt_of(name)) is not None}
    whole -= {stem(name) for name in reference.filenames}
    recordings = {name: seconds for name, seconds in (durations or {}).items() if stem(name) in whole}
    if durations is not None:
        kept = durations if keep is None else keep.names
        durations = {n: s for n, s in durations.items() if n in kept and n not in recordings}
    if isinstance(reference, Tags):
        order = [k for k in classes or reference.labels if k in reference.labels]
        present = reference.present[:, [reference.labels.index(k) for k in order]]
        tags = Tags(reference.filenames, tuple(order), present, reference.source)
        return Truth(None, tags, durations, recordings)
    if classes is not None:
        reference = reference.keep_labels([k for k in classes if k in reference.labels])
    return Truth(reference, tags_of(reference), durations, recordings)


def _keep_clips(output: Output, keep: _Cut | None) -> Output:
    if keep is None:
        return output
    return _tables_of(output, lambda table: table.keep_clips([n for n in table.filenames if n in keep.names]))


def _keep_labels(output: Output, classes: Sequence[str] | None) -> Output:
    if classes is None:
        return output
    return _tables_of(output, lambda table: table.keep_labels([k for k in classes if k in table.labels]))


def _tables_of(output: Output, cut: Callable[[Events], Events]) -> Output:
    estimate, points = output.estimate, output.points
    return replace(
        output,
        estimate=None if estimate is None else cut(estimate),
        points=None if points is None else replace(points, tables=tuple(map(cut, points.tables))),
    )


def _interval(request: Request, filenames: Sequence[str]) -> Interval | None:
    if not request.bootstrap and not request.against:
        return None
    groups = None
    if request.groups:
        groups = _read_groups(request.groups, filenames)
    if request.threshold == "all":
        log.warning("intervals of the best threshold take it as given, though it was chosen on the same clips")
    return Interval(request.bootstrap or 1000, groups, request.seed)


def _read_groups(path: str, filenames: Sequence[str]) -> dict[str, str]:
    """Read the group of each clip; clips without one are warned of, since they are drawn by themselves."""
    table = read_rows(path, ("filename", "group"))
    refuse(table.findings, path)
    groups: dict[str, str] = {}
    for line, name, group in zip(table.line, table.cells("filename"), table.cells("group"), strict=True):
        if groups.setdefault(name, group) != group:
            raise SedkitError(
                f"{path}:{line}: {name} is in group {group!r} here, in {groups[name]!r} in an earlier row"
            )
    groups = _named_by_clip(filenames, groups, path)
    alone = [name for name in filenames if not groups.get(name)]
    if len(alone) == len(filenames):
        if any(groups.values()):
            raise SedkitError(f"{path}: holds no clip of the reference, such as {listed(filenames, 1)}")
        log.warning("%s: no clip has a group: clips are resampled", path)
    elif alone:
        log.warning("%s: no group for %s (%d such clips: each is drawn by itself)", path, alone[0], len(alone))
    return groups


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
