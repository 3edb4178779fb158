"""What every benchmark does alike: contestants in turn, medians, spread, the comparison with its peer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


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
        Comparison → whether the results agree, checked in the same run.
    work
        Name → amount of the work, for the columns of so many a second.
    notes
        Further lines.
    judged
        Whether this machine and this form are those that the ratios are asked of.
    """

    title: str
    seconds: Mapping[str, np.ndarray]
    equal: Mapping[str, bool]
    work: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    judged: bool = True


#: Comparison → its contestant, the peer, and how many times as fast as the peer it must be (None: only measured).
Comparisons = Mapping[str, tuple[str, str, float | None]]


def in_turn(
    form: Form,
    contestants: Mapping[str, Callable[[], object]],
    before: Callable[[int], None] | None = None,
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

    Returns
    -------
    seconds, results
        (runs,) seconds of each contestant, and what it returned in the last run.
    """
    clock = time.process_time if form.threads == 1 else time.perf_counter
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
    run), its `spread`, and `equal`.
    """
    out = {}
    for key, (ours, peer, _) in comparisons.items():
        ratios = report.seconds[peer] / report.seconds[ours]
        out[key] = {
            "ours": float(np.median(report.seconds[ours])),
            "peer": float(np.median(report.seconds[peer])),
            "ratio": float(np.median(ratios)),
            "spread": spread(ratios),
            "equal": bool(report.equal[key]),
        }
    return out


def table(report: Report) -> str:
    """Return the contestants as a table for people."""
    width = max(map(len, report.seconds)) + 2
    lines = [
        report.title,
        f"{'':{width}}{'seconds':>11}{'spread':>9}" + "".join(f"{n + '/s':>14}" for n in report.work),
    ]
    for name, values in report.seconds.items():
        middle = float(np.median(values))
        rates = "".join(f"{amount / middle:14.1f}" for amount in report.work.values())
        lines.append(f"{name:{width}}{middle:11.4f}{spread(values):9.0%}{rates}")
    return "\n".join([*lines, *report.notes])


def verdict(key: str, row: Mapping[str, Any], least: float | None) -> str:
    """Return one comparison as a line; `least` is None where no ratio is asked for."""
    text = f"{key}: {row['ratio']:.2f} times as fast (spread {row['spread']:.0%}); "
    text += "results agree" if row["equal"] else "results DIFFER"
    if least is not None:
        text += f"; {'reached' if row['ratio'] >= least else 'MISSED'}: {least:g} times is asked for"
    return text
