"""Put the results file together: every metric with its parameters, intervals, comparisons and origin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.core.provenance import made_with
from sedkit.evaluation.baselines import baselines as scored_baselines
from sedkit.evaluation.baselines import clip_lengths
from sedkit.evaluation.counts import number
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import Measured, Metric, all_metrics, metrics_named
from sedkit.evaluation.resample import Drawn, Resamples


def evaluate(
    truth: Truth,
    output: Output,
    metrics: Sequence[str] | None,
    options: Options | None = None,
    *,
    resamples: Resamples | None = None,
    against: tuple[str, Output] | None = None,
    judged: tuple[Truth, Output] | None = None,
    baselines: bool = False,
    every_threshold: bool = False,
) -> dict[str, Any]:
    """Return the results file's blocks of metrics, `undefined`, `overlaps` and `versions` for a system's output.

    Parameters
    ----------
    truth, output, options
        Reference and output, on the classes to be scored, and how to score.
    metrics
        Names of metrics. None: all whose inputs are there; one that refuses an input is left out with a warning.
    resamples
        Of the reference's clips and those with a duration only, for intervals (see `Resamples.of`).
    against
        Another output with its name, for paired differences.
    judged
        Reference and output as the judges of record see them: they are run too; SedkitError where they differ.
    baselines
        Also score an output without events and one with every class active throughout.
    every_threshold
        Score each operating point by itself; the block is the best one's, by its primary figure.
    """
    options = options or Options()
    work = Work(truth, output, options)
    wanted = _wanted(truth, output, metrics, options, every_threshold)
    if baselines:
        clip_lengths(truth)
    # Two outputs are compared by one variant of a metric, whatever forms the other one has.
    wanted = [metric.settled(output) for metric in wanted]
    if against is not None and not any(metric.can(truth, against[1]) for metric in wanted):
        raise UsageError(
            f"--against {against[0]}: of {', '.join(metric.name for metric in wanted)} none can be computed from it; "
            "expected the same form of output (a table, a folder of operating points, or scores)"
        )
    computed: list[Metric] = []
    results: dict[str, Any] = {}
    disagreements: list[str] = []
    refused: dict[str, list[str]] = {}
    for metric in wanted:
        of_metric: Work = work
        point: dict[str, Any] = {}
        try:
            if every_threshold and metric.reads == "estimate":
                of_metric, point = _best_point(metric, work)
            measured = metric.measure(of_metric)
        except SedkitError as error:
            if metrics is not None:
                raise
            refused.setdefault(str(error), []).append(metric.block)
            continue
        computed.append(metric)
        block = results[metric.block] = measured.block | point
        if resamples is not None:
            drawn = metric.resampled(measured, options.undefined, resamples)
            _add_intervals(metric, block, drawn)
            if against is not None:
                name, other = against
                try:
                    theirs = _difference(metric, Work(truth, other, options), measured, drawn, resamples)
                    block["against"] = None if theirs is None else {"path": name, **theirs}
                except SedkitError as error:
                    if metrics is not None:
                        raise
                    log.warning("%s: not compared by %s", error, metric.block)
                    block["against"] = None
        if judged is not None:
            reference, seen = judged
            if point and seen.points is not None:
                seen = replace(seen, estimate=seen.points.at(point["threshold"]))
            block["official"], differences = metric.judge(Work(reference, seen, options), measured)
            disagreements += differences
    for why, blocks in refused.items():
        if not computed:
            raise SedkitError(why)
        figures = ", ".join(blocks).replace("_", "-")
        log.warning("%s: no %s figures, unless --metrics asks for them", why, figures)
    if disagreements:
        n = len(disagreements)
        raise SedkitError(f"sedkit and the official tools disagree in {n} figures: {listed(disagreements, 3)}")
    if baselines:
        results["baselines"] = scored_baselines(truth, computed, options, output)
    if resamples is not None:
        for warning in dict.fromkeys(metric.narrow(resamples) for metric in computed):
            if warning:
                log.warning("%s", warning)
        results["bootstrap"] = resamples.as_json()
    results["undefined"], results["overlaps"] = options.undefined, options.overlaps
    results["versions"] = made_with("scipy", "pandas", *(("sed_eval", "psds_eval") if judged is not None else ()))
    return results


def _wanted(
    truth: Truth, output: Output, names: Sequence[str] | None, options: Options, every_threshold: bool
) -> list[Metric]:
    """Return the metrics that are named, or all whose inputs are there; UsageError where one's are not."""
    if every_threshold and output.points is not None:
        output = replace(output, estimate=output.points.tables[0])
    known = all_metrics(options.settings).values()
    if names is not None:
        wanted = metrics_named(names, options.settings)
    else:
        wanted = [metric for metric in known if metric.offered(truth, output)]
    for metric in wanted:
        metric.require(truth, output)
    if wanted:
        return wanted
    if truth.events is None:
        serving = ",".join(metric.name for metric in known if metric.from_tags)
        raise UsageError(
            f"nothing to score: a weak --reference serves --metrics {serving}, which needs --scores with clip scores"
        )
    possible = (metric for metric in known if metric.lacks and (metric.reads != "scores" or output.scores is not None))
    first, *others = dict.fromkeys(metric.lacks for metric in possible)
    raise UsageError(f"nothing to score from what is given: add {first}, or {' or '.join(others)}")


def _best_point(metric: Metric, work: Work) -> tuple[Work, dict[str, Any]]:
    """Return the operating point with the largest primary figure, and what the block says of all of them."""
    points = work.output.points
    assert points is not None
    rows, figures = [], []
    for threshold, table in zip(points.thresholds, points.tables, strict=True):
        block = metric.measure(Work(work.truth, Output(estimate=table), work.options)).block
        rows.append({"threshold": threshold, **{k: v for k, v in block.items() if k in ("macro", "micro")}})
        figure = block["macro"][metric.primary]
        figures.append(-1.0 if figure is None else figure)
    best = int(np.argmax(figures))
    chosen = replace(work.output, estimate=points.tables[best])
    return Work(work.truth, chosen, work.options), {"threshold": rows[best]["threshold"], "points": rows}


def _add_intervals(metric: Metric, block: dict[str, Any], drawn: Mapping[str, Drawn]) -> None:
    for place, of_place in drawn.items():
        figures = block if place == "value" else block[place]
        figures["interval"] = of_place.interval(metric.bounds)
        if of_place.units:
            figures["resampled"] = of_place.units


def _difference(
    metric: Metric, other: Work, measured: Measured, drawn: Mapping[str, Drawn], resamples: Resamples
) -> dict[str, Any] | None:
    """Return another output's figures and the differences from them; None where it has not the metric's form."""
    if not metric.can(other.truth, other.output):
        return None
    theirs = metric.measure(other)
    theirs_drawn = metric.resampled(theirs, other.options.undefined, resamples)
    widest = metric.bounds[1] - metric.bounds[0]
    return {
        place: {
            metric.primary: number(theirs.values[place]),
            "difference": number(value - theirs.values[place]),
            "interval": drawn[place].minus(theirs_drawn[place]).interval((-widest, widest)),
        }
        for place, value in measured.values.items()
    }
