"""Systems as the comparison reads them: runs that differ in seed or fold alone, and their figures over these runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sedkit.core.errors import UsageError
from sedkit.core.runs import axis_text
from sedkit.submission.official import METRICS, collections_for
from sedkit.submission.results import Run, Value


def shown_metrics(recipe: str | None) -> set[str]:
    """Return the metrics that tables of a recipe show: all but minor ones that its publications do not state."""
    stated = {figure.metric for collection in collections_for(recipe) for figure in collection.figures}
    return {name for name, metric in METRICS.items() if not metric.minor or name in stated}


@dataclass(frozen=True)
class Group:
    """Runs of one system on one reference that differ in seed or fold alone."""

    runs: tuple[Run, ...]

    @property
    def first(self) -> Run:
        """The run that stands for what they have in common."""
        return self.runs[0]

    @property
    def system(self) -> str:
        """System, with the pass, signal-to-noise ratio and training sets where they are not the usual ones."""
        run = self.first.run
        parts = [self.first.system]
        if run.get("pass") is not None:
            parts.append(f"pass {run['pass']}")
        if run.get("snr_db") is not None:
            parts.append(f"{axis_text(run['snr_db'])} dB")
        if run.get("trained_on") not in (None, "split"):
            parts.append(f"trained on {run['trained_on']}")
        return ", ".join(parts)

    @property
    def name(self) -> str:
        """System and post-processing, as printed."""
        if self.first.control:
            return f"{self.system} (control)"
        rule = self.first.set_name.partition(".")[2]
        if rule:
            return f"{self.system}, {rule} post-processing"
        experiment = self.first.experiment
        tuned = experiment is not None and (experiment.path / "postprocessing.yaml").is_file()
        return f"{self.system}, tuned post-processing" if tuned else self.system

    @property
    def seeds(self) -> tuple[str, ...]:
        """The seeds, each once."""
        return self._each("seed")

    @property
    def folds(self) -> tuple[str, ...]:
        """The folds, each once."""
        return self._each("fold")

    def _each(self, axis: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(r.run[axis]) for r in self.runs if r.run.get(axis) is not None))

    @property
    def coverage(self) -> tuple[str, ...]:
        """What the runs' outputs list of the reference, each once; nothing of those that list all."""
        return tuple(dict.fromkeys(run.coverage for run in self.runs if run.coverage))

    @cached_property
    def parameters(self) -> int | None:
        """Trained parameters of the network."""
        return self.first.parameters

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Figures over the runs: mean and sample standard deviation, or the single value with its interval."""
        by_metric: dict[tuple[Any, ...], list[Value]] = {}
        shown = shown_metrics(self.first.recipe)
        for run in self.runs:
            for value in run.values():
                if value.metric not in shown:
                    continue
                key = (value.metric, tuple(sorted(value.parameters.items())), value.variant, value.reasons)
                by_metric.setdefault(key, []).append(value)
        return tuple(Summary(self, values) for values in by_metric.values())


@dataclass(frozen=True)
class Summary:
    """A system's figure over its runs."""

    group: Group
    values: list[Value]

    @property
    def metric(self) -> str:
        """The metric's name."""
        return self.values[0].metric

    @property
    def parameters(self) -> Mapping[str, float]:
        """The metric's parameters."""
        return self.values[0].parameters

    @property
    def variant(self) -> str | None:
        """The PSDS variant."""
        return self.values[0].variant

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why official figures must not stand beside it, whatever the set; none where they may."""
        return self.values[0].reasons

    @property
    def mean(self) -> float:
        """Mean over the runs, in the metric's unit."""
        return statistics.fmean(v.value for v in self.values)

    @property
    def spread(self) -> float | None:
        """Sample standard deviation over the runs, None for a single one."""
        return statistics.stdev(v.value for v in self.values) if len(self.values) > 1 else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The interval of a single run; runs are never pooled."""
        return self.values[0].interval if len(self.values) == 1 else None


def _run_name(identity: tuple[str, str]) -> str:
    named = zip(("seed", "fold"), identity, strict=True)
    return " ".join(f"{what} {number}" for what, number in named if number != "None") or "the only run"


def group_runs(runs: Iterable[Run]) -> list[Group]:
    """Put runs together that differ in seed or fold alone.

    Raises
    ------
    UsageError
        The same run twice: it would pass for a repetition and shrink the spread.
    """
    groups: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        repeated = run.control or run.run.get("seed") is not None or run.run.get("fold") is not None
        key = run.key if repeated else (str(run.path),)
        groups.setdefault(key, []).append(run)
    for members in groups.values():
        seen: dict[tuple[str, str], Run] = {}
        for run in members:
            identity = (str(run.run.get("seed")), str(run.run.get("fold")))
            if identity in seen:
                raise UsageError(
                    f"{run.path} and {seen[identity].path}: both are {_run_name(identity)} of {run.system}; give "
                    "each run once"
                )
            seen[identity] = run
    return [Group(tuple(members)) for members in groups.values()]
