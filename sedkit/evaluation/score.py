"""`sedkit score` on files: read, cut to classes and clips, warn, evaluate, describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import sha256_file
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.rows import columns_of, read_rows, read_table, refuse
from sedkit.dataio.tables import read_durations, read_weak
from sedkit.evaluation.evaluate import (
    Interval,
    describe_estimate,
    evaluate,
    overlapping,
    possible_metrics,
    run_of_path,
)
from sedkit.evaluation.measures import Options, Output, Truth
from sedkit.evaluation.reading import (
    TABLES,
    OperatingPoints,
    names_as_in,
    read_operating_points,
    read_reference,
    read_table_to_score,
    warn_beside_reference,
    warn_of_scores,
)
from sedkit.evaluation.references import content_hash, known_reference

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


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
    durations = _read_durations(request, reference)
    output = _named_as(reference.filenames, _read_output(request))
    described = _describe_reference(request, reference, classes, keep)

    if durations is not None:
        without = [name for name in (reference.filenames if keep is None else keep.reference) if name not in durations]
        if without:
            log.warning(
                "%s: no duration of %s (%d such clips of the reference: false positives in them do not count in PSDS "
                "and intersection figures, as psds_eval has it)",
                request.durations,
                without[0],
                len(without),
            )
    against = _other(request)
    against = None if against is None else _named_as(reference.filenames, against)
    for one in (output, *([against] if against else [])):
        if events is not None:
            for tables in ((one.estimate,) if one.estimate else (), one.points.tables if one.points else ()):
                warn_beside_reference(events, tables, durations, classes)
        if one.scores is not None:
            warn_of_scores(reference, one.scores, durations, classes)
    estimate = _describe_output(request, output, reference.filenames if keep is None else keep.reference)
    _mark_missing(request, described, estimate, whole=keep is None)
    truth = _cut_truth(reference, durations, classes, keep)
    judged = _judged(request, output, classes, keep) if request.official and events is not None else None
    output = _at_threshold(request, _cut_output(output, classes, keep))

    options = request.options
    if isinstance(request.threshold, float):
        options = replace(options, tagging_threshold=request.threshold)
    every = request.threshold == "all"
    metrics = request.metrics
    if metrics is None:
        have = replace(output, estimate=output.points.tables[0]) if every and output.points else output
        metrics = possible_metrics(truth, have)
        if "intersection" in metrics and options.overlaps == "refuse" and (odd := overlapping(truth, have)):
            log.warning("%s: no intersection-based figures, unless --metrics asks for them", odd)
            metrics = tuple(name for name in metrics if name != "intersection")
        if not metrics:
            needed = "--durations (PSDS) or --metrics pauc" if output.scores is not None else "--durations (PSDS)"
            raise UsageError(
                "nothing to score: a weak --reference serves --metrics tagging, which needs --scores with clip scores"
                if events is None
                else f"nothing to score from what is given: add --estimate, or {needed}"
            )
    results = evaluate(
        truth,
        output,
        metrics,
        options,
        interval_of=_interval(request, truth.tags.filenames),
        against=(str(request.against), _cut_output(against, classes, keep)) if against else None,
        judged=judged,
        baselines=request.baselines,
        every_threshold=every,
    )
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
    chosen = set(table["filename"])
    if request.folds:
        if "fold" not in table:
            raise SedkitError(f"{request.clips}: has no column fold, which --fold asks for")
        known = set(table["fold"])
        for fold in request.folds:
            if fold not in known:
                raise UsageError(
                    f"--fold {fold}: not in {request.clips}{suggest(fold, known)}; it has {listed(sorted(known))}"
                )
        chosen = {n for n, fold in zip(table["filename"], table["fold"], strict=True) if fold in request.folds}
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


def _read_durations(request: Request, reference: Events | Tags) -> dict[str, float] | None:
    if request.durations is None:
        return None
    seconds = read_durations(request.durations)
    return dict(zip(names_as_in(reference.filenames, tuple(seconds), request.durations), seconds.values(), strict=True))


def _named_as(names: Sequence[str], output: Output) -> Output:
    """Call the clips of an output as the reference does: scores by their ids, tables as `names_as_in` has it."""

    def renamed(table: Events) -> Events:
        return replace(table, filenames=names_as_in(names, table.filenames, table.source))

    estimate, points, scores = output.estimate, output.points, output.scores
    return Output(
        estimate=None if estimate is None else renamed(estimate),
        points=None if points is None else replace(points, tables=tuple(map(renamed, points.tables))),
        scores=None if scores is None else scores.named_as(names),
    )


def _judged(request: Request, output: Output, classes: Sequence[str] | None, keep: _Cut | None) -> tuple[Truth, Output]:
    """Return reference and output as the judges see them: read from the files anew, by the organisers' own calls."""
    from sedkit.evaluation import official

    durations = official.read_durations(request.durations) if request.durations else None
    truth = _cut_truth(official.read_events(request.reference), durations, classes, keep)
    points = output.points
    if points is not None:
        points = replace(points, tables=tuple(official.read_events(table.source) for table in points.tables))
    estimate = official.read_events(request.estimate) if request.estimate else None
    return truth, _at_threshold(request, _cut_output(replace(output, estimate=estimate, points=points), classes, keep))


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
        durations = None if durations is None else {n: s for n, s in durations.items() if n in keep.names}
    if isinstance(reference, Tags):
        order = [k for k in classes or reference.labels if k in reference.labels]
        present = reference.present[:, [reference.labels.index(k) for k in order]]
        return Truth(None, Tags(reference.filenames, tuple(order), present, reference.source), durations)
    if classes is not None:
        reference = reference.keep_labels([k for k in classes if k in reference.labels])
    return Truth(reference, tags_of(reference), durations)


def _cut_output(output: Output, classes: Sequence[str] | None, keep: _Cut | None) -> Output:
    def cut(table: Events) -> Events:
        if keep is not None:
            table = table.keep_clips([name for name in table.filenames if name in keep.names])
        if classes is not None:
            table = table.keep_labels([k for k in classes if k in table.labels])
        return table

    points = output.points
    return Output(
        estimate=None if output.estimate is None else cut(output.estimate),
        points=None if points is None else replace(points, tables=tuple(cut(t) for t in points.tables)),
        scores=output.scores,
    )


def _describe_reference(
    request: Request, reference: Events | Tags, classes: Sequence[str] | None, keep: _Cut | None
) -> dict[str, Any]:
    if isinstance(reference, Tags):
        return {
            "path": request.reference,
            "sha256": sha256_file(request.reference),
            "known_as": None,
            "clips": len(reference.filenames if keep is None else keep.reference),
            "events": int(reference.present.sum()),
        }
    sha256 = content_hash(reference)
    known = known_reference(sha256)
    cut = reference
    if keep is not None:
        cut = cut.keep_clips(keep.reference)
    if classes is not None:
        cut = cut.keep_labels([k for k in classes if k in cut.labels])
    name = None
    if known is not None:
        smaller = cut.n_events < reference.n_events or len(cut.filenames) < len(reference.filenames)
        name = known.name + ("/subset" if smaller else "")
        if known.outdated_by is not None:
            log.warning("%s: %s: outdated, corrected as %s", request.reference, known.title, known.outdated_by)
    out: dict[str, Any] = {
        "path": request.reference,
        "sha256": sha256,
        "known_as": name,
        "clips": len(cut.filenames),
        "events": cut.n_events,
    }
    if known is not None and known.outdated_by is not None:
        out["outdated_by"] = known.outdated_by
    return out


def _describe_output(request: Request, output: Output, wanted: Sequence[str]) -> dict[str, Any]:
    if output.estimate is not None and request.estimate:
        table = output.estimate
        empty = len(np.unique(table.clip)) < len(table.filenames)
        return describe_estimate(
            request.estimate, sha256_file(request.estimate), table.filenames, table.n_events, wanted, lists_empty=empty
        )
    if output.scores is not None and request.scores:
        path = Path(request.scores)
        names = output.scores.filenames
        there = set(names)
        missing = [name for name in wanted if name not in there]
        block = describe_estimate(request.scores, _hash_of(path), names, None, wanted, lists_empty=True)
        if missing:
            log.warning(
                "%s: no scores for %s (%d of %d clips of the reference: scored as clips without detections; "
                "--clips cuts the reference)",
                path,
                missing[0],
                len(missing),
                len(wanted),
            )
        return block
    assert output.points is not None and request.operating_points
    names = tuple(dict.fromkeys(name for table in output.points.tables for name in table.filenames))
    events = sum(table.n_events for table in output.points.tables)
    empty = any(len(np.unique(table.clip)) < len(table.filenames) for table in output.points.tables)
    sha256 = _hash_of(Path(request.operating_points))
    return describe_estimate(request.operating_points, sha256, names, events, wanted, lists_empty=empty)


def _mark_missing(request: Request, reference: dict[str, Any], estimate: dict[str, Any], *, whole: bool) -> None:
    """Mark figures as partial where the reference is a data dir's that lacks clips of the official list."""
    folder = Path(request.reference).parent
    if not ((folder / "clips.tsv").is_file() and (folder / "missing.tsv").is_file()):
        return
    missing = len(set(read_table(folder / "missing.tsv", ("filename",))["filename"]))
    if not missing:
        return
    estimate["partial"] = True
    if whole and estimate["coverage"] is not None:
        # Of clips that are not there nobody knows the fold: the coverage of a fold is that of its clips on disk.
        reference["missing"] = missing
        estimate["coverage"] *= reference["clips"] / (reference["clips"] + missing)
    log.warning(
        "%s: %d clips of the official list are not on disk (missing.tsv): partial figures", request.reference, missing
    )


def _hash_of(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and contents."""
    if path.is_file():
        return sha256_file(path)
    import hashlib

    parts = [f"{p.name} {sha256_file(p)}" for p in sorted(path.iterdir()) if p.is_file()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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
        first = next((p for p in sorted(path.iterdir()) if p.suffix in TABLES), None)
        if first is not None and "event_label" in columns_of(first):
            points: OperatingPoints = read_operating_points(path)
            chosen = points.at(request.threshold) if isinstance(request.threshold, float) else None
            return Output(estimate=chosen, points=points)
    if path.is_dir() or path.suffix in (".h5", ".hdf5"):
        from sedkit.dataio.store import read_scores

        scores: Scores = read_scores(path)
        return Output(scores=scores)
    return Output(estimate=read_table_to_score(path, "table of --against"))
