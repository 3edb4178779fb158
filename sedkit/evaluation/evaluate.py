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
from sedkit.evaluation.counts import number
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import Measured, Metric
from sedkit.evaluation.metrics.registry import all_metrics, metrics_named


@dataclass(frozen=True)
class Interval:
    """What to resample: number of resamples, groups of clips (None: clips), seed of the draws."""

    n: int
    groups: Mapping[str, str] | None = None
    seed: int = 0


def _nothing_to_score(truth: Truth, output: Output) -> str:
    known = all_metrics().values()
    if truth.events is None:
        serving = ",".join(metric.name for metric in known if metric.from_tags)
        return f"nothing to score: a weak --reference serves --metrics {serving}, which needs --scores with clip scores"
    possible = (metric for metric in known if metric.lacks and (metric.reads != "scores" or output.scores is not None))
    first, *others = dict.fromkeys(metric.lacks for metric in possible)
    return f"nothing to score from what is given: add {first}, or {' or '.join(others)}"


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
        Names of metrics. None: all whose inputs are there; one that refuses an input is left out with a warning.
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
        Score each operating point by itself; the block is the best one's, by its primary figure.

    Returns
    -------
    dict
        Metric blocks of the results file, `undefined`, `overlaps` and `versions`.
    """
    options = options or Options()
    have = output
    if every_threshold and output.points is not None:
        have = replace(output, estimate=output.points.tables[0])
    asked = metrics is not None
    if metrics is not None:
        wanted = metrics_named(metrics, options.settings)
    else:
        wanted = [metric for metric in all_metrics(options.settings).values() if metric.offered(truth, have)]
    if not wanted:
        raise UsageError(_nothing_to_score(truth, output))
    for metric in wanted:
        metric.require(truth, have)
    if baselines:
        clip_lengths(truth)
    # Two outputs are compared by one variant of a metric, whatever forms the other one has.
    wanted = [metric.settled(output) for metric in wanted]
    if against is not None and not any(_feeds(metric, truth, against[1]) for metric in wanted):
        raise UsageError(
            f"--against {against[0]}: of {', '.join(metric.name for metric in wanted)} none can be computed from it; "
            "expected the same form of output (a table, a folder of operating points, or scores)"
        )
    resamples = _resamples(truth, interval_of) if interval_of else None
    results: dict[str, Any] = {}
    disagreements: list[str] = []
    refused: dict[str, list[str]] = {}
    work = Work(truth, output, options)
    for metric in wanted:
        of_metric, points = work, None
        try:
            if every_threshold and metric.reads == "estimate":
                chosen, points = _best_point(metric, truth, output, options)
                of_metric = Work(truth, chosen, options)
            measured = metric.measure(of_metric)
        except SedkitError as error:
            if asked:
                raise
            refused.setdefault(str(error), []).append(metric.block)
            continue
        block = measured.block
        if points is not None:
            block.update(points)
        if resamples is not None:
            drawn = measured.resampled(resamples)
            for place in measured.values:
                _at(block, place)["interval"] = drawn[place].interval(metric.bounds)
                if drawn[place].units:
                    _at(block, place)["resampled"] = drawn[place].units
            if against is not None:
                try:
                    block["against"] = _compare(metric, truth, against, options, measured, drawn, resamples)
                except SedkitError as error:
                    if asked:
                        raise
                    log.warning("%s: not compared by %s", error, metric.block)
                    block["against"] = None
        if judged is not None:
            block["official"], differences = metric.judge(Work(*_at_point(judged, points), options), measured)
            disagreements += differences
        results[metric.block] = block
    for why, blocks in refused.items():
        if not results:
            raise SedkitError(why)
        figures = ", ".join(blocks).replace("_", "-")
        log.warning("%s: no %s figures, unless --metrics asks for them", why, figures)
    computed = [metric for metric in wanted if metric.block in results]
    if judged is not None:
        from sedkit.evaluation.official import refuse_differences

        refuse_differences(disagreements)
    if baselines:
        frame_s = None if output.scores is None else output.scores.frame_s
        results["baselines"] = scored_baselines(truth, computed, options, frame_s, output.masks)
    if resamples is not None and interval_of is not None:
        for warning in dict.fromkeys(metric.narrow(resamples) for metric in computed):
            if warning:
                log.warning("%s", warning)
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


def _best_point(metric: Metric, truth: Truth, output: Output, options: Options) -> tuple[Output, dict[str, Any]]:
    assert output.points is not None
    rows = []
    for threshold, table in zip(output.points.thresholds, output.points.tables, strict=True):
        measured = metric.measure(Work(truth, Output(estimate=table), options))
        averages = {k: v for k, v in measured.block.items() if k in ("macro", "micro")}
        rows.append({"threshold": threshold, **averages})
    figures = [row["macro"][metric.primary] for row in rows]
    best = int(np.argmax([-1.0 if figure is None else figure for figure in figures]))
    chosen = replace(output, estimate=output.points.tables[best])
    return chosen, {"threshold": rows[best]["threshold"], "points": rows}


def _feeds(metric: Metric, truth: Truth, output: Output) -> bool:
    """Tell whether an output is of a form that a metric can be computed from."""
    try:
        metric.require(truth, output)
    except UsageError:
        return False
    return True


def _compare(
    metric: Metric,
    truth: Truth,
    against: tuple[str, Output],
    options: Options,
    measured: Measured,
    drawn: Mapping[str, Drawn],
    resamples: Resamples,
) -> dict[str, Any] | None:
    name, other = against
    if not _feeds(metric, truth, other):
        return None
    theirs = metric.measure(Work(truth, other, options))
    theirs_drawn = theirs.resampled(resamples)
    widest = metric.bounds[1] - metric.bounds[0]
    out: dict[str, Any] = {"path": name}
    for place, value in measured.values.items():
        drawn_difference = drawn[place].minus(theirs_drawn[place])
        out[place] = {
            metric.primary: number(theirs.values[place]),
            "difference": number(value - theirs.values[place]),
            "interval": drawn_difference.interval((-widest, widest)),
        }
    return out


def _versions(official: bool) -> dict[str, str]:
    out = {"sedkit": sedkit.__version__, "python": platform.python_version(), "numpy": np.__version__}
    for name in ("sed_eval", "psds_eval") if official else ():
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "unknown"
    return out
