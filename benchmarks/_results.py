"""The page of results: where and how it was measured, every comparison, then each benchmark in its own words."""

from __future__ import annotations

import datetime
import os
import platform
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import sedkit
from benchmarks._measure import Comparisons, Report, compared, outcome, table, verdict
from sedkit.core.files import write_text
from sedkit.core.parallel import cpu_jobs
from sedkit.models.precision import cpu_info, cpu_name

#: What the figures depend on, of what is installed.
PACKAGES = (
    "numpy scipy torch librosa soxr soundfile h5py numba pandas sed_eval psds_eval dcase_util onnxruntime "
    "kaldi-native-fbank"
).split()
#: What numerical libraries may choose by, of what a processor can do.
FLAGS = "avx2 avx512f avx512_bf16 amx_tile amx_bf16".split()
#: Settings of the environment that change the libraries' speed.
SETTINGS = ("OMP_", "MKL_", "OPENBLAS_", "NUMBA_", "MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
HEADER = ("comparison", "ours", "peer", "times as fast", "spread", "asked for", "outcome", "results", "of the limit")


@dataclass(frozen=True)
class Measured:
    """A benchmark that was run.

    Attributes
    ----------
    name, comparisons, report
        Which one, and what it found.
    judged
        Whether ratios are asked of this run.
    """

    name: str
    comparisons: Comparisons
    report: Report
    judged: bool

    @cached_property
    def rows(self) -> dict[str, dict[str, Any]]:
        """Return what the JSON holds of each comparison."""
        return compared(self.report, self.comparisons)

    def least(self, key: str) -> float | None:
        """Return the ratio that is asked for."""
        return self.comparisons[key][2] if self.judged else None

    def text(self) -> str:
        """Return the contestants and the comparisons for people."""
        lines = [table(self.report, self.comparisons)]
        lines += [verdict(k, row, self.least(k), self.report.limits.get(k)) for k, row in self.rows.items()]
        return "\n".join(lines)

    def cells(self) -> list[tuple[str, ...]]:
        """Return a row of the page's table for each comparison."""
        out = []
        for key, row in self.rows.items():
            ours, peer, _ = self.comparisons[key]
            least, share = self.least(key), row["limit_share"]
            out.append(
                (
                    key,
                    f"{ours}: {seconds(row['ours'])}",
                    f"{peer}: {seconds(row['peer'])}",
                    f"{row['ratio']:.2f}",
                    f"{row['spread']:.0%}",
                    "-" if least is None else f"{least:g}",
                    outcome(row, least),
                    "agree" if row["equal"] else "DIFFER",
                    "-" if share is None else f"{share:.0%}",
                )
            )
        return out


def seconds(value: float) -> str:
    """Return a time with three figures that count.

    >>> seconds(0.00021384), seconds(12.345)
    ('0.000214 s', '12.3 s')
    """
    digits = 3 - len(f"{value:.0f}") if value >= 1 else 2 - int(f"{value:e}".partition("e")[2])
    return f"{value:.{max(0, digits)}f} s"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    call = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(call, cwd=Path(__file__).parent, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def machine(load: float) -> dict[str, str]:
    """Return what the figures depend on; `load` is how many processes worked before the first benchmark."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    settings = [f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(SETTINGS)]
    flags = [flag for flag in FLAGS if flag in cpu_info("flags").split()]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {
        "processor": f"{cpu_name()}, {', '.join(flags) or 'flags unknown'}",
        "cores, memory": f"{cpu_jobs()}, {memory:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}, {' '.join(platform.libc_ver()) or 'libc unknown'}",
        "load before": f"{load:.2f}",
        "environment": ", ".join(settings) or "no setting of the numerical libraries",
        "sedkit": " ".join([sedkit.__version__, _commit()]).strip(),
        "versions": ", ".join([python, *(f"{p} {_version(p)}" for p in PACKAGES)]),
    }


def page(
    argv: Sequence[str], facts: Mapping[str, str], measured: Sequence[Measured], missing: Sequence[str] = ()
) -> str:
    """Return the page as Markdown."""
    day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = ["# Results of the benchmarks", "", f"    {shlex.join(['python', '-m', 'benchmarks', *argv])}", ""]
    lines += [f"Written by that call, {day}.", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    lines += [
        "",
        "Seconds are medians for the same work: the processor's with one thread, those of the clock on the wall where",
        "threads or processes work together. Times as fast: the median over the runs of peer / ours within a run;",
        "spread: the distance of that ratio's quartiles as a part of it. Of the limit: the seconds of what cannot be",
        "avoided on this machine, measured in the same run, as a part of ours. What the work is, how results are",
        "compared and what else was seen: below.",
        "",
        f"| {' | '.join(HEADER)} |",
        "|" + "---|" * len(HEADER),
    ]
    lines += [f"| {' | '.join(cells)} |" for one in measured for cells in one.cells()]
    lines += [text for reason in missing for text in ("", reason)]
    for one in measured:
        lines += ["", f"## {one.name}", "", "```text", one.text(), "```"]
    return "\n".join(lines) + "\n"


def write_results(
    path: Path,
    argv: Sequence[str],
    facts: Mapping[str, str],
    measured: Sequence[Measured],
    missing: Sequence[str] = (),
) -> None:
    """Write the page, whole or not at all; `missing` says what could not be measured, and why."""
    write_text(path, page(argv, facts, measured, missing))
