"""What every benchmark does alike: contestants in turn, medians, spread, the comparison with its peer and its limit."""

from __future__ import annotations

import importlib
import multiprocessing
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError

#: Runs of the short form.
QUICK_RUNS = 2


@dataclass(frozen=True)
class Form:
    """How much is measured.

    Attributes
    ----------
    quick
        The short form: a few seconds.
    runs
        How often each contestant works; one more run before them warms up.
    threads
        Threads of the numerical libraries. With one, time is the processor's, which a busy machine distorts less than
        the clock on the wall.
    """

    quick: bool
    runs: int
    threads: int = 1


@dataclass(frozen=True)
class Report:
    """What a benchmark found.

    Attributes
    ----------
    title
        The work, in words.
    seconds
        Contestant → (runs,) seconds for that work.
    equal
        Comparison → whether the results agree, checked in the same run. One that is not in it could not be made here,
        which a note says.
    work
        Name → amount of the work, for the columns of so many a second.
    notes
        Further lines.
    judged
        Whether this machine and this form are those that the ratios are asked of.
    limits
        Comparison → the contestant that does only what cannot be avoided on this machine.
    """

    title: str
    seconds: Mapping[str, np.ndarray]
    equal: Mapping[str, bool]
    work: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judged: bool = True
    limits: Mapping[str, str] = field(default_factory=dict)


#: Comparison → its contestant, the peer, and how many times as fast as the peer it must be (None: only measured).
Comparisons = Mapping[str, tuple[str, str, float | None]]


def measure(name: str, quick: bool, runs: int | None, threads: int) -> Report:
    """Run one benchmark, so often as it says itself where nobody else does."""
    import threadpoolctl

    warnings.simplefilter("ignore")
    module = importlib.import_module(f"benchmarks.{name}")
    form = Form(quick, runs or (min(QUICK_RUNS, module.RUNS) if quick else module.RUNS), threads)
    with threadpoolctl.threadpool_limits(threads):
        report: Report = module.run(form)
    return report


def measure_apart(*call: Any) -> Report:
    """Run one in a process of its own: memory and threads that others leave behind do not reach it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(measure, *call).result()
        except BrokenProcessPool:
            raise SedkitError("its process was killed; there may be too little memory for it") from None


def in_turn(
    form: Form,
    contestants: Mapping[str, Callable[[], object]],
    before: Callable[[int], None] | None = None,
    processes: bool = False,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Let the contestants work in turn within each run.

    Parameters
    ----------
    form
        Number of runs, and which clock.
    contestants
        Name → what is timed.
    before
        Called with the run before each contestant, outside the time. The first run, which warms up, is 0.
    processes
        Whether they work in processes of their own: the time is then that of the clock on the wall.

    Returns
    -------
    seconds, results
        (runs,) seconds of each contestant, and what it returned in the last run.
    """
    clock = time.perf_counter if processes or form.threads > 1 else time.process_time
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    results: dict[str, Any] = {}
    for run in range(form.runs + 1):
        for name, function in contestants.items():
            if before is not None:
                before(run)
            begin = clock()
            results[name] = function()
            if run:
                seconds[name].append(clock() - begin)
    return {name: np.array(values) for name, values in seconds.items()}, results


def spread(values: np.ndarray) -> float:
    """Distance of the quartiles, as a part of the median."""
    low, middle, high = np.percentile(values, (25, 50, 75))
    return float((high - low) / middle)


def compared(report: Report, comparisons: Comparisons) -> dict[str, dict[str, Any]]:
    """Return what the JSON holds of each comparison.

    That is `ours` and `peer` (median seconds of the same work), `ratio` (median over the runs of the ratio within a
    run), its `spread`, `equal`, and `limit_share`: the median of the limit's seconds as a part of ours, None where no
    limit is named.
    """
    out = {}
    for key, (ours, peer, _) in comparisons.items():
        if key not in report.equal:
            continue
        ratios = report.seconds[peer] / report.seconds[ours]
        limit = report.limits.get(key)
        out[key] = {
            "ours": float(np.median(report.seconds[ours])),
            "peer": float(np.median(report.seconds[peer])),
            "ratio": float(np.median(ratios)),
            "spread": spread(ratios),
            "equal": bool(report.equal[key]),
            "limit_share": None if limit is None else float(np.median(report.seconds[limit] / report.seconds[ours])),
        }
    return out


def table(report: Report, comparisons: Comparisons) -> str:
    """Return the contestants as a table for people."""
    width = max(map(len, report.seconds)) + 2
    shares = {
        comparisons[key][0]: row["limit_share"]
        for key, row in compared(report, comparisons).items()
        if row["limit_share"] is not None
    }
    lines = [
        report.title,
        f"{'':{width}}{'seconds':>11}{'spread':>9}"
        + "".join(f"{n + '/s':>14}" for n in report.work)
        + (f"{'of the limit':>14}" if shares else ""),
    ]
    for name, values in report.seconds.items():
        middle = float(np.median(values))
        rates = "".join(f"{amount / middle:14.1f}" for amount in report.work.values())
        share = f"{shares[name]:14.0%}" if name in shares else ""
        lines.append(f"{name:{width}}{middle:11.4f}{spread(values):9.0%}{rates}{share}")
    return "\n".join([*lines, *report.notes])


def outcome(row: Mapping[str, Any], least: float | None) -> str:
    """Return whether a ratio that is asked for was reached; `least` is None where none is."""
    if least is None:
        return "no ratio asked for"
    return "reached" if row["ratio"] >= least else "MISSED"


def verdict(key: str, row: Mapping[str, Any], least: float | None, limit: str | None = None) -> str:
    """Return one comparison as a line; `limit` is the contestant that its limit was measured by."""
    text = f"{key}: {row['ratio']:.2f} times as fast (spread {row['spread']:.0%}); "
    text += "results agree" if row["equal"] else "results DIFFER"
    if least is not None:
        text += f"; {outcome(row, least)}: {least:g} times is asked for"
    if limit is not None:
        text += f"; {row['limit_share']:.0%} of the limit ({limit})"
    return text
