"""What every metric offers: its inputs, its counts, its figures, its judge, and how it is shown; metrics by name.

Scoring, baselines, warnings, the table and the command line know metrics by these alone. A module of this folder
registers its own with `@register`; nothing else has to change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, suggest
from sedkit.core.options import Option, filled, options_of
from sedkit.core.registry import Registry
from sedkit.evaluation.counts import Rates, Undefined, as_json, number, rates
from sedkit.evaluation.inputs import Form, Output, Truth, Work
from sedkit.evaluation.judges import differences, refusals_in_a_line
from sedkit.evaluation.resample import Drawn, Resamples


@dataclass(frozen=True)
class Measured:
    """A metric's figures: its `block` of the results file, and the `counts` that they were computed from.

    `values` are the headline figures by place in the block: `macro`, `micro` (figure `primary` there) or `value`.
    """

    block: dict[str, Any]
    values: dict[str, float]
    counts: Any


#: By the form that a metric reads: the options that give what it needs, and where that is.
_FLAGS: dict[Form, dict[str, Callable[[Truth, Output], Any]]] = {
    "estimate": {"--estimate": lambda truth, output: output.estimate},
    "points": {"--operating-points": lambda truth, output: output.points},
    "scores": {"--scores": lambda truth, output: output.scores},
    "masks": {"--experiment": lambda truth, output: output.masks, "--mixtures": lambda truth, output: truth.mixtures},
}


class Metric:
    """Base of the metrics; as it stands, F1 of a table from `ClipCounts`.

    Attributes
    ----------
    block, title, column
        Its block of the results file, its title in the table, and the head of its column of classes.
    place
        Where it stands among the metrics; those that sedkit brings come first.
    primary
        Name of the headline figure in `macro` and `micro`, or `value` where the metric has one figure.
    reads
        The form of output that it is computed from.
    clips
        `reference`: the reference's clips are scored, as sed_eval's callers do. `durations`: also those with a duration
        only, and no detection is a false positive in a clip without one, as psds_eval has it.
    from_tags
        Whether a weak reference serves.
    bounds
        Between which the headline figure lies, and so its intervals.
    by_default
        Whether it is computed where `--metrics` names none.
    constants
        Whether `--baselines` scores an output of nothing and one of everything; not where the block has such rows.
    lacks
        The option that is missing where it is not computed from a strong reference; empty where none would do.
    below_interval, past_end
        What to say of a figure below its own interval, and of scores past their clip's end; empty for nothing.
    """

    block: ClassVar[str]
    title: ClassVar[str]
    column: ClassVar[str]
    place: ClassVar[float] = 100
    primary: ClassVar[str] = "f1"
    reads: Form = "estimate"
    clips: ClassVar[Literal["reference", "durations"]] = "reference"
    from_tags: ClassVar[bool] = False
    bounds: ClassVar[tuple[float, float]] = (0.0, 1.0)
    by_default: ClassVar[bool] = True
    constants: ClassVar[bool] = True
    lacks: ClassVar[str] = "--estimate"
    below_interval: ClassVar[str] = ""
    past_end: ClassVar[str] = ""

    def __init__(self, name: str, parameters: Any) -> None:
        self.name, self.parameters = name, parameters

    # ---- needs

    def require(self, truth: Truth, output: Output) -> None:
        """Raise UsageError, naming the option, where an input is missing; SedkitError where there is no class."""
        self.require_events(truth)
        if self.reads == "scores" and not truth.tags.labels:
            raise SedkitError(f"--metrics {self.name}: {truth.tags.source} has no class, expected at least one")
        missing = [flag for flag, of in _FLAGS[self.reads].items() if of(truth, output) is None]
        if missing:
            points = self.reads == "estimate" and output.points is not None
            more = " (or --threshold T|all with --operating-points)" if points else ""
            raise UsageError(f"--metrics {self.name} needs {' and '.join(missing)}{more}")

    def require_events(self, truth: Truth) -> None:
        """Raise UsageError where the reference is a weak table that does not serve."""
        if truth.events is None and not self.from_tags:
            raise UsageError(f"--metrics {self.name}: --reference is a weak table, expected onsets and offsets")

    def can(self, truth: Truth, output: Output) -> bool:
        """Tell whether its inputs are there."""
        try:
            self.require(truth, output)
        except SedkitError:
            return False
        return True

    def offered(self, truth: Truth, output: Output) -> bool:
        """Tell whether it is computed where `--metrics` names none."""
        return self.by_default and self.can(truth, output)

    def settled(self, output: Output) -> Metric:
        """Return the metric in the variant in which it is computed from an output."""
        return self

    def plain(self) -> Metric:
        """Return the metric in the variant for outputs that come in every form."""
        return self

    # ---- counts and figures

    def count(self, work: Work) -> Any:
        """Return counts with `filenames` and `labels`, from which the figures of any weights of the clips follow."""
        raise TypeError(f"{type(self).__name__} does not say what it counts")

    def figures(self, counts: Any, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return the figures; `weights` (n, clips) say how often each clip counts in each of n resamples."""
        return rates(counts, undefined, weights=weights)

    def resampled(self, measured: Measured, undefined: Undefined, resamples: Resamples) -> dict[str, Drawn]:
        """Return the headline values of resamples, by place."""
        weights = resamples.weights(measured.counts.filenames).T
        drawn = self.values(self.figures(measured.counts, undefined, weights))
        return {place: Drawn(value, measured.values[place]) for place, value in drawn.items()}

    def values(self, figures: Rates) -> dict[str, NDArray[np.float64]]:
        """Return the headline values by place."""
        places = {"macro": figures.macro, "micro": figures.micro, "value": figures.single}
        return {place: of[self.primary] for place, of in places.items() if of}

    def shown(self, counts: Any) -> dict[str, Any]:
        """Return how the block begins: the parameters, and what else describes the figures."""
        return {"parameters": asdict(self.parameters)}

    def as_block(self, counts: Any, figures: Rates) -> dict[str, Any]:
        """Return its part of the results file."""
        block = {**self.shown(counts), **as_json(counts, figures)}
        if figures.n and (absent := np.flatnonzero(np.isnan(figures.classes["f1"]))).size:
            block["left_out_of_macro"] = [counts.labels[i] for i in absent]
        return block

    def measure(self, work: Work) -> Measured:
        """Compute the metric; its inputs must be there."""
        counts = self.count(work)
        figures = self.figures(counts, work.options.undefined)
        values = {place: float(value) for place, value in self.values(figures).items()}
        return Measured(self.as_block(counts, figures), values, counts)

    # ---- judge and words

    #: The judge of record, and by how much figures (of one above 1: as a part of it) may differ from its own.
    tool: ClassVar[str] = ""
    tolerance: ClassVar[float] = 1e-9

    def official(self, work: Work) -> Mapping[str, Any] | None:
        """Return the judge's macro, micro and classes, or its value; None where there is no judge."""
        return None

    def judge(self, work: Work, measured: Measured) -> tuple[dict[str, Any] | None, list[str]]:
        """Run the judge of record on what it reads itself.

        Return its tool and figures, None where there is no judge, and where the figures differ, a line each.
        """
        with refusals_in_a_line(self.name):
            theirs = self.official(work)
        if theirs is None:
            return None, []
        ours = as_json(measured.counts, self.figures(measured.counts, "official"))
        block: dict[str, Any] = {"tool": self.tool}
        for place, of in theirs.items():
            if place != "classes":
                block[place] = {k: number(v) for k, v in of.items()} if isinstance(of, Mapping) else number(of)
        return block, differences(ours, theirs, self.block, self.tolerance)

    def remarks(self, block: Mapping[str, Any]) -> list[str]:
        """Return what the table says below the headline figures, a line each."""
        return []

    def narrow(self, resamples: Resamples) -> str:
        """Return a warning of intervals from so few units, empty where there is nothing to say."""
        return ""

    def without_durations(self, block: Mapping[str, Any]) -> str:
        """Say what the figure makes of a clip without a duration, beyond what `clips` says; empty for nothing."""
        return ""


_METRICS: Registry[Callable[[str, Any], Metric]] = Registry("sedkit.evaluation.metrics", "metric")

#: `@register(name, parameters)` of `builder(name, parameters) -> Metric`; `parameters` is their dataclass.
register = _METRICS.register


def all_metrics(settings: Mapping[str, Any] | None = None) -> dict[str, Metric]:
    """Return every metric by name, in the order of the results; `settings` are values of options by name."""
    metrics = []
    for name in _METRICS.names():
        builder, parameters = _METRICS.entry(name)
        metrics.append(builder(name, filled(parameters, settings or {})))
    return {metric.name: metric for metric in sorted(metrics, key=lambda metric: metric.place)}


def metrics_named(names: Sequence[str], settings: Mapping[str, Any] | None = None) -> list[Metric]:
    """Return the metrics that `--metrics` names; raises UsageError for an unknown one."""
    known = all_metrics(settings)
    for name in names:
        if name not in known:
            raise UsageError(f"--metrics {name}: unknown{suggest(name, known)}, expected {','.join(known)}")
    return [known[name] for name in names]


def declared_options() -> list[Option]:
    """Return the command-line options that metrics declare, each once."""
    of_metrics = [options_of(type(metric.parameters)).values() for metric in all_metrics().values()]
    return list({option.name: option for options in of_metrics for option in options if option.help}.values())
