"""Systems as the comparison reads them: runs that differ in seed or fold alone, and their figures over these runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from sedkit.core.errors import UsageError
from sedkit.core.files import read_yaml
from sedkit.core.runs import axis_text
from sedkit.leaderboard.published import Quantity, shown_metrics
from sedkit.leaderboard.runs import ScoredRun, Value


@dataclass(frozen=True)
class Group:
    """Runs of one system on one reference that differ in seed or fold alone."""

    runs: tuple[ScoredRun, ...]

    @property
    def first(self) -> ScoredRun:
        """The run that stands for what they have in common."""
        return self.runs[0]

    @property
    def system(self) -> str:
        """System, with the pass, signal-to-noise ratio and training sets where they are not the usual ones."""
        axes = self.first.axes
        parts = [self.first.system]
        if "pass" in axes:
            parts.append(f"pass {axes['pass']}")
        if "snr_db" in axes:
            parts.append(f"{axis_text(axes['snr_db'])} dB")
        if axes.get("trained_on", "split") != "split":
            parts.append(f"trained on {axes['trained_on']}")
        return ", ".join(parts)

    @property
    def name(self) -> str:
        """System and post-processing, as printed."""
        if self.first.control:
            return f"{self.system} (control)"
        rule = self.first.set_name.partition(".")[2]
        if not rule and (experiment := self.first.experiment) is not None:
            rules = experiment.path / "postprocessing.yaml"
            # Rules as they were published are not told from others.
            rule = "tuned" if rules.is_file() and read_yaml(rules).get("tuned_on") else ""
        return f"{self.system}, {rule} post-processing" if rule else self.system

    def each(self, axis: str) -> tuple[str, ...]:
        """Return the values of an axis that the runs have, such as their seeds, each once."""
        return tuple(dict.fromkeys(str(run.axes[axis]) for run in self.runs if axis in run.axes))

    @property
    def coverage(self) -> tuple[str, ...]:
        """What the runs' outputs list of the reference, each once; nothing of those that list all."""
        return tuple(dict.fromkeys(run.results.coverage for run in self.runs if run.results.coverage))

    @cached_property
    def parameters(self) -> int | None:
        """Trained parameters of the network."""
        return self.first.parameters

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Figures over the runs; those that may not stand beside official ones for other reasons are never pooled."""
        alike: dict[tuple[Quantity, tuple[str, ...]], list[Value]] = {}
        shown = shown_metrics(self.first.recipe)
        for run in self.runs:
            for value in run.values():
                if value.quantity.metric in shown:
                    alike.setdefault((value.quantity, value.reasons), []).append(value)
        return tuple(Summary(self, quantity, reasons, values) for (quantity, reasons), values in alike.items())


@dataclass(frozen=True)
class Summary:
    """A system's figures over its runs, which are alike.

    `reasons` say why official figures must not stand beside them, whatever the set; none where they may.
    """

    group: Group
    quantity: Quantity
    reasons: tuple[str, ...]
    values: list[Value]


def _run_name(identity: tuple[str, str]) -> str:
    named = zip(("seed", "fold"), identity, strict=True)
    return " ".join(f"{what} {number}" for what, number in named if number != "None") or "the only run"


def group_runs(runs: Iterable[ScoredRun]) -> list[Group]:
    """Put runs together that differ in seed or fold alone.

    Raises UsageError for the same run twice: it would pass for a repetition and shrink the spread.
    """
    groups: dict[tuple[str, ...], dict[tuple[str, str], ScoredRun]] = {}
    for run in runs:
        identity = (str(run.axes.get("seed")), str(run.axes.get("fold")))
        repeated = run.control or identity != ("None", "None")
        members = groups.setdefault(run.key if repeated else (str(run.path),), {})
        if identity in members:
            raise UsageError(
                f"{run.path} and {members[identity].path}: both are {_run_name(identity)} of {run.system}; give each "
                "run once"
            )
        members[identity] = run
    return [Group(tuple(members.values())) for members in groups.values()]
