"""Put the results file together: every metric with its parameters, intervals, comparisons and origin."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import sedkit
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log
from sedkit.evaluation.baselines import baselines as scored_baselines
from sedkit.evaluation.baselines import clip_lengths
from sedkit.evaluation.bootstrap import LEVEL, RULE, Drawn, Resamples
from sedkit.evaluation.counts import as_json, number, rates
from sedkit.evaluation.measures import (
    BLOCKS,
    FEW_UNITS,
    Measured,
    Options,
    Output,
    Truth,
    Work,
    join_if_asked,
    measure,
    variant_of,
)

_NEEDS_TABLE = ("event", "segment", "intersection")


@dataclass(frozen=True)
class Interval:
    """What to resample: number of resamples, groups of clips (None: clips), seed of the draws."""

    n: int
    groups: Mapping[str, str] | None = None
    seed: int = 0


def check_inputs(metrics: Sequence[str], truth: Truth, output: Output, options: Options) -> None:
    """Raise UsageError, naming the option, where a metric lacks an input."""
    for metric in metrics:
        if metric != "tagging" and truth.events is None:
            raise UsageError(f"--metrics {metric}: --reference is a weak table, expected onsets and offsets")
        if metric in _NEEDS_TABLE and output.estimate is None:
            more = " (or --threshold T|all with --operating-points)" if output.points is not None else ""
            raise UsageError(f"--metrics {metric} needs --estimate{more}")
        if metric in ("psds1", "psds2"):
            if truth.durations is None:
                raise UsageError(f"--metrics {metric} needs --durations")
            exact = variant_of(output, options) == "exact"
            if exact and output.scores is None:
                both = "" if options.psds_variant == "exact" else "--operating-points or "
                raise UsageError(f"--metrics {metric} needs {both}--scores")
            if not exact and output.points is None:
                raise UsageError(f"--metrics {metric} of variant {options.psds_variant} needs --operating-points")
        if metric in ("tagging", "pauc") and not truth.tags.labels:
            raise SedkitError(f"--metrics {metric}: {truth.tags.source} has no class, expected at least one")
        if metric in ("tagging", "pauc") and output.scores is None:
            raise UsageError(f"--metrics {metric} needs --scores")
        if metric == "tagging" and output.scores is not None and output.scores.clipwise is None:
            raise UsageError(
                "--metrics tagging needs clip scores, which a folder of score tables does not hold: give a scores.h5"
            )


def possible_metrics(truth: Truth, output: Output) -> tuple[str, ...]:
    """Return the metrics whose inputs are there."""
    names: list[str] = []
    if truth.events is not None:
        names += _NEEDS_TABLE if output.estimate is not None else ()
        if truth.durations is not None and (output.points is not None or output.scores is not None):
            names += ["psds1", "psds2"]
    if output.scores is not None and output.scores.clipwise is not None and truth.tags.labels:
        names.append("tagging")
    return tuple(names)


def _nothing_to_score(truth: Truth, output: Output) -> str:
    if truth.events is None:
        return "nothing to score: a weak --reference serves --metrics tagging, which needs --scores with clip scores"
    needed = "--durations (PSDS) or --metrics pauc" if output.scores is not None else "--durations (PSDS)"
    return f"nothing to score from what is given: add --estimate, or {needed}"


def evaluate(
    truth: Truth,
    output: Output,
    metrics: Sequence[str] | None,
    options: Options | None = None,
    *,
    interval_of: Interval | None = None,
    against: tuple[str, Output] | None = None,
    judged: tuple[Truth, Output] | None = None,
    baselines: bool = False,
    every_threshold: bool = False,
) -> dict[str, Any]:
    """Score an output.

    Parameters
    ----------
    truth, output
        Reference and system output, on the classes to be scored.
    metrics
        Names from `measures.BLOCKS`. None: all whose inputs are there; one that refuses an input is left out with a
        warning.
    options
        How to score.
    interval_of
        Resamples for intervals.
    against
        Another output with its name, for paired differences.
    judged
        Reference and output as the judges of record are to see them: they are run too, and SedkitError is raised where
        they differ.
    baselines
        Also score an output without events and one with every class active throughout.
    every_threshold
        Score each operating point by itself; the block is the best one's, by macro F1.

    Returns
    -------
    dict
        Metric blocks of the results file, `undefined`, `overlaps` and `versions`.
    """
    options = options or Options()
    have = output
    if every_threshold and output.points is not None:
        have = replace(output, estimate=output.points.tables[0])
    asked, metrics = metrics is not None, possible_metrics(truth, have) if metrics is None else metrics
    if not metrics:
        raise UsageError(_nothing_to_score(truth, output))
    check_inputs(metrics, truth, have, options)
    if baselines:
        clip_lengths(truth)
    # Two outputs are compared by one variant of PSDS, whatever forms the other one has.
    alike = replace(options, psds_variant=variant_of(output, options))
    if against is not None and not any(_feeds(metric, truth, against[1], alike) for metric in metrics):
        raise UsageError(
            f"--against {against[0]}: of {', '.join(metrics)} none can be computed from it; expected the same form of "
            "output (a table, a folder of operating points, or scores)"
        )
    resamples = _resamples(truth, interval_of) if interval_of else None
    results: dict[str, Any] = {}
    disagreements: list[str] = []
    refused: dict[str, list[str]] = {}
    work = Work(truth, output, options)
    for metric in metrics:
        of_metric, points = work, None
        try:
            if every_threshold and metric in _NEEDS_TABLE:
                chosen, points = _best_point(metric, truth, output, options)
                of_metric = Work(truth, chosen, options)
            measured = measure(metric, of_metric)
        except SedkitError as error:
            if asked:
                raise
            refused.setdefault(str(error), []).append(metric)
            continue
        block = measured.block
        if points is not None:
            block.update(points)
        if resamples is not None:
            drawn = measured.resampled(resamples)
            for place in measured.values:
                _at(block, place)["interval"] = drawn[place].interval()
                if drawn[place].units:
                    _at(block, place)["resampled"] = drawn[place].units
            if against is not None:
                try:
                    block["against"] = _compare(metric, truth, against, alike, measured, drawn, resamples)
                except SedkitError as error:
                    if asked:
                        raise
                    log.warning("%s: not compared by %s", error, BLOCKS[metric])
                    block["against"] = None
        if judged is not None:
            block["official"], found = _judge(metric, *_at_point(judged, points), options, measured)
            disagreements += found
        results[BLOCKS[metric]] = block
    for why, names in refused.items():
        if not results:
            raise SedkitError(why)
        figures = ", ".join(BLOCKS[name].replace("_", "-") for name in names)
        log.warning("%s: no %s figures, unless --metrics asks for them", why, figures)
    if judged is not None:
        from sedkit.evaluation.official import refuse_differences

        refuse_differences(disagreements)
    if baselines:
        results["baselines"] = scored_baselines(truth, [m for m in metrics if BLOCKS[m] in results], options)
    if resamples is not None and resamples.n_units < FEW_UNITS and ("psds1" in results or "psds2" in results):
        log.warning(
            "intervals of PSDS from %d %s: those of poor systems are too narrow from fewer than %d",
            resamples.n_units,
            resamples.described()["over"],
            FEW_UNITS,
        )
    if resamples is not None and interval_of is not None:
        results["bootstrap"] = {
            "resamples": resamples.n,
            **resamples.described(),
            "level": LEVEL,
            "seed": interval_of.seed,
            "rule": RULE,
        }
    results["undefined"], results["overlaps"] = options.undefined, options.overlaps
    results["versions"] = _versions(judged is not None)
    return results


def _at_point(judged: tuple[Truth, Output], chosen: Mapping[str, Any] | None) -> tuple[Truth, Output]:
    """Return what the judges see, at the operating point that was chosen."""
    truth, output = judged
    if chosen is None or output.points is None:
        return judged
    return truth, replace(output, estimate=output.points.at(chosen["threshold"]))


def _at(block: dict[str, Any], place: str) -> dict[str, Any]:
    return block if place == "value" else block[place]


def _resamples(truth: Truth, wanted: Interval) -> Resamples:
    names = dict.fromkeys(truth.tags.filenames)
    names.update(dict.fromkeys(truth.durations or ()))
    return Resamples(tuple(names), wanted.groups, wanted.n, wanted.seed)


def _best_point(metric: str, truth: Truth, output: Output, options: Options) -> tuple[Output, dict[str, Any]]:
    assert output.points is not None
    rows = []
    for threshold, table in zip(output.points.thresholds, output.points.tables, strict=True):
        measured = measure(metric, Work(truth, Output(estimate=table), options))
        averages = {k: v for k, v in measured.block.items() if k in ("macro", "micro")}
        rows.append({"threshold": threshold, **averages})
    best = int(np.argmax([-1.0 if row["macro"]["f1"] is None else row["macro"]["f1"] for row in rows]))
    chosen = replace(output, estimate=output.points.tables[best])
    return chosen, {"threshold": rows[best]["threshold"], "points": rows}


def _feeds(metric: str, truth: Truth, output: Output, options: Options) -> bool:
    """Tell whether an output is of a form that a metric can be computed from."""
    try:
        check_inputs([metric], truth, output, options)
    except UsageError:
        return False
    return True


def _compare(
    metric: str,
    truth: Truth,
    against: tuple[str, Output],
    options: Options,
    measured: Measured,
    drawn: Mapping[str, Drawn],
    resamples: Resamples,
) -> dict[str, Any] | None:
    name, other = against
    if not _feeds(metric, truth, other, options):
        return None
    theirs = measure(metric, Work(truth, other, options))
    theirs_drawn = theirs.resampled(resamples)
    out: dict[str, Any] = {"path": name}
    for place, value in measured.values.items():
        drawn_difference = drawn[place].minus(theirs_drawn[place])
        out[place] = {
            theirs.primary: number(theirs.values[place]),
            "difference": number(value - theirs.values[place]),
            "interval": drawn_difference.interval((-1.0, 1.0)),
        }
    return out


def _judge(
    metric: str, truth: Truth, output: Output, options: Options, measured: Measured
) -> tuple[dict[str, Any] | None, list[str]]:
    from sedkit.evaluation import official as judges

    reference = truth.events
    if metric in ("tagging", "pauc") or reference is None:
        return None, []
    if metric in ("psds1", "psds2"):
        from sedkit.evaluation.psds import PSDS1, PSDS2

        if variant_of(output, options) != "operating_points":
            log.info("%s: variant %s has no judge of record, not compared", metric, variant_of(output, options))
            return None, []
        (reference,) = join_if_asked(options, reference)
        if len(set(reference.label.tolist())) < 2:
            log.info("%s: psds_eval 0.5.3 gives 0 for a single class, not compared", metric)
            return None, []
        assert output.points is not None and truth.durations is not None
        tables = join_if_asked(options, *output.points.tables)
        parameters = PSDS1 if metric == "psds1" else PSDS2
        with judges.refusals_in_a_line(metric):
            value = judges.official_psds(reference, tables, truth.durations, parameters)
        same = abs(value - measured.values["value"]) <= judges.PSDS_TOLERANCE
        found = [] if same else [f"{metric}: {measured.values['value']!r} against {value!r}"]
        return {"tool": "psds_eval", "value": number(value)}, found
    assert output.estimate is not None and measured.counts is not None
    estimate = output.estimate
    if metric == "intersection":
        reference, estimate = join_if_asked(options, reference, estimate)
    with judges.refusals_in_a_line(metric):
        if metric == "intersection":
            theirs = judges.official_intersection(reference, estimate, options.intersection, truth.durations)
        elif metric == "event":
            theirs = judges.official_event(reference, estimate, options.event)
        else:
            theirs = judges.official_segment(reference, estimate, options.segment)
    ours = as_json(measured.counts, rates(measured.counts, "official"))
    found = judges.differences(ours, theirs, BLOCKS[metric])
    shown: dict[str, Any] = {
        place: {k: number(v) for k, v in theirs[place].items()} for place in ("macro", "micro") if place in theirs
    }
    return {"tool": "psds_eval" if metric == "intersection" else "sed_eval", **shown}, found


def _versions(official: bool) -> dict[str, str]:
    out = {"sedkit": sedkit.__version__, "python": platform.python_version(), "numpy": np.__version__}
    for name in ("sed_eval", "psds_eval") if official else ():
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "unknown"
    return out
