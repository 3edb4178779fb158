"""Runs as the comparison reads them: their figures, and why nothing official may stand beside these."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.runs import network_name, run_name, training_of
from sedkit.evaluation.maestro import evaluated_area
from sedkit.evaluation.results_file import Results, ResultsSection, read_results
from sedkit.leaderboard.published import METRICS, VARIANTS, Quantity
from sedkit.models.complexity import complexity_of

#: The order in which sets are shown.
_SETS = ("validation", "public", "evaluation")

#: Why figures stand beside nothing official, whatever the set.
_ZERO = "0/0 counts as 0 (--undefined zero): official figures leave such classes out of the mean"
_MERGED = "overlapping events of a class were joined (--overlaps merge): the official scorers refuse or count them"
_BEST = "threshold chosen on this set"
_OTHER_CLASSES = "mean of other classes than MAESTRO's evaluated ones, which the official figures are of"

#: Keys to the blocks of controls, figures of what nobody had to train, which stand in results beside a system's.
_CONTROLS = {
    "no event": ("baselines", "all_negative"),
    "every class throughout": ("baselines", "all_positive"),
    "mixture as it is": ("separation", "mixture"),
    "ideal binary masks": ("separation", "oracles", "ibm"),
    "ideal ratio masks": ("separation", "oracles", "irm"),
}


@dataclass(frozen=True)
class Value:
    """A figure of one run in its metric's unit, with its interval, None where there is none.

    `reasons` say why official figures must not stand beside it; none where they may.
    """

    quantity: Quantity
    value: float
    interval: tuple[float, float] | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoredRun:
    """The results of a run, or a control that stands in them.

    Attributes
    ----------
    experiment
        The experiment that the results lie in, or None.
    axes
        Recipe, seed, fold and so on; what is unknown is absent.
    system
        The system's name, with its network where it is of one of several; for results without a run, the file's.
    set_name
        The set by the file's name, and after a point the post-processing that is not the tuned one; empty where the
        file lies in no experiment.
    control
        Whether the figures are those of a control, which `system` then names.
    """

    results: Results
    experiment: ExperimentFolder | None
    axes: Mapping[str, Any]
    system: str
    set_name: str
    control: bool = False

    @property
    def path(self) -> Path:
        """The results file."""
        return self.results.path

    @property
    def recipe(self) -> str | None:
        """The recipe's name."""
        return _text(self.axes.get("recipe"))

    @property
    def _whole_set(self) -> str:
        """The set, or that which the results are of a part of."""
        output = Path(self.results.output_path or "")
        return (output.stem if output.parent.name == "events" else self.set_name).partition(".")[0]

    @property
    def set_title(self) -> str:
        """The set as a heading names it; a part that was scored by itself after the set that it is a part of."""
        name, whole = self.set_name.partition(".")[0], self._whole_set
        return f"{whole}, part {name}" if name and whole != name else name

    @property
    def scored_on(self) -> str:
        """The set and the reference as printed."""
        name, reference = self.set_title, self.results.known_as or self.results.reference_path or ""
        return f"{name} ({reference})" if name and reference else name or reference

    @property
    def order(self) -> tuple[int, str]:
        """Place of the set among others: a set, its parts, the next set."""
        name = self.set_title.partition(",")[0]
        return (_SETS.index(name) if name in _SETS else len(_SETS), self.set_title)

    @property
    def commit(self) -> str | None:
        """Commit of sedkit that trained the system, else that scored it."""
        trained_with = self.experiment.environment.get("commit") if self.experiment else None
        return _text(trained_with or self.results.commit)

    @property
    def budget(self) -> str | None:
        """Budget of the training, None where it is not told."""
        trained_by = self.experiment.environment.get("budget") if self.experiment else None
        return _text(trained_by or self.axes.get("budget"))

    @property
    def parameters(self) -> int | None:
        """Trained parameters of the network."""
        if self.experiment is None:
            return None
        return self.experiment.parameters or complexity_of(self.experiment).parameters

    @property
    def key(self) -> tuple[str, ...]:
        """What runs of one system on one reference have in common: every axis but seed and fold."""
        reference = self.results.known_as or str(self.results.reference_sha256 or self.results.reference_path)
        # The folds of a cross-validation have a reference each: there the set's name stands for it.
        if "fold" in self.axes and not self.results.known_as:
            reference = f"folds of {self.set_name}"
        axes = {"system": self.system} | {name: self.axes.get(name) for name in ("pass", "snr_db", "trained_on")}
        return (str(self.recipe), run_name(axes), reference, self.set_name, str(self.axes.get("budget")))

    def not_comparable(self) -> list[str]:
        """Return the reasons why official figures must not stand beside this run's, none where they may."""
        reasons = self.results.not_official()
        if self.experiment and self._whole_set and self.experiment.seen_in_training(self._whole_set):
            reasons.append("the system was trained on this set")
        return reasons

    def values(self) -> list[Value]:
        """Return the figures of this run that a metric is known for."""
        values = (_value(name, self.results) for name, metric in METRICS.items() if metric.place)
        return [value for value in values if value is not None]


def _text(value: object) -> str | None:
    return str(value) if value else None


def _value(name: str, results: Results) -> Value | None:
    metric = METRICS[name]
    block = place = results.blocks.section(metric.block)
    _, *way, last = metric.place.split(".")
    for key in way:
        place = place.section(key)
    value, bounds, variant = place.number(last), place.interval("interval"), block.text("variant")
    stated = block.section("parameters")
    parameters = {key: number for key in stated.content if (number := stated.number(key)) is not None}
    reasons = tuple(_reasons(name, results))
    if value is None:
        return None
    if name.startswith("psds") and variant not in VARIANTS:
        raise SedkitError(f"{block.where}variant is {variant!r}, expected one of {listed(VARIANTS)}")
    # The one interval of a place is that of its first figure: average precision of tagging, else F1, SDR or the value.
    if last not in (("average_precision",) if metric.block == "tagging" else ("f1", "sdr", "value")):
        bounds = None
    area, _ = evaluated_area(block) if name == "mpauc" else (None, ())
    if area is not None and not math.isclose(area, value, abs_tol=1e-9):
        # The interval of a mean over other classes is about something else.
        value, bounds = area, None
    scale = 100.0 if metric.unit == "percent" else 1.0
    interval = None if bounds is None else (scale * bounds[0], scale * bounds[1])
    return Value(Quantity(name, variant, parameters), scale * value, interval, reasons)


def _reasons(name: str, results: Results) -> Iterator[str]:
    """Say why official figures must not stand beside a metric's figure, however official its reference is."""
    metric = METRICS[name]
    block = results.blocks.section(metric.block)
    if name == "mpauc" and evaluated_area(block)[0] is None:
        yield _OTHER_CLASSES
    # Files of before these keys existed were scored by the defaults.
    if results.undefined == "zero" and (".macro." in metric.place or name == "mpauc"):
        yield _ZERO
    if results.overlaps == "merge" and metric.block in ("intersection_based", "psds1", "psds2"):
        yield _MERGED
    points = block.items("points")
    if points is not None:
        yield f"{_BEST} (the best of {len(points)})"


def _run_of(path: Path, experiment: ExperimentFolder | None) -> ScoredRun:
    results = read_results(path)
    axes, network, system, set_name = dict(results.run), None, path.stem, ""
    if experiment is not None:
        environment = ResultsSection(experiment.environment, f"{experiment.training / 'environment.json'}: ")
        written = environment.section("run").known
        axes = {"recipe": experiment.config.get("recipe"), **written, **axes}
        network, system, set_name = experiment.network, experiment.system, path.stem
    if "system" in axes:
        system = network_name(str(axes["system"]), axes.get("network") or network)
    return ScoredRun(results, experiment, axes, system, set_name)


def load_runs(paths: Iterable[str | os.PathLike[str]], set_name: str | None = None) -> list[ScoredRun]:
    """Read results files and the results of experiments, of these one set where `set_name` is given.

    Raises
    ------
    UsageError
        An experiment without (such) results; a set's name without an experiment.
    SedkitError
        A file that is no results file, or holds a value of another kind (see `evaluation.results_file`).
    """
    runs = []
    # `results/*.json` also names the stamps.
    given = [Path(path) for path in paths]
    places = [path for path in given if not path.name.endswith(".done.json")]
    if not places:
        raise UsageError(f"{listed(given, 3)}: stamps of finished steps only, expected results files or experiments")
    if set_name and not any(path.is_dir() for path in places):
        raise UsageError(f"--set {set_name} chooses a set of experiments, got results files only")
    for path in places:
        if not path.is_dir():
            home = path.parent.parent
            inside = path.parent.name == "results" and (training_of(home)[0] / "config.yaml").is_file()
            runs.append(_run_of(path, ExperimentFolder(home) if inside else None))
            continue
        experiment = ExperimentFolder.open(path)
        files = [file for name, file in experiment.results().items() if set_name in (None, name)]
        if not files:
            sets = listed(experiment.results()) or "none"
            raise UsageError(
                f"{path}: no results/{set_name or '*'}.json (there: {sets}); make them with `sedkit score`"
            )
        runs += [_run_of(file, experiment) for file in files]
    return runs


def controls(runs: Iterable[ScoredRun]) -> list[ScoredRun]:
    """Return the controls of systems' results, each once for a reference: systems and seeds have the same."""
    out: dict[tuple[object, ...], ScoredRun] = {}
    for run in runs:
        for name, keys in _CONTROLS.items():
            block = run.results.blocks
            for key in keys:
                block = block.section(key)
            if not block.content:
                continue
            if keys[0] == "separation":
                parameters = run.results.blocks.section("separation").section("parameters").content
                block = replace(block, content={"separation": {"parameters": parameters, **block.content}})
            control = replace(
                run,
                # It lists every clip, and is the same however a system was trained.
                results=replace(run.results, blocks=block, output_path=None, share=None, partial=None),
                experiment=None,
                axes={axis: run.axes[axis] for axis in ("recipe", "snr_db", "fold") if axis in run.axes},
                system=name,
                set_name=run.set_name.partition(".")[0],
                control=True,
            )
            out.setdefault((control.key, control.axes.get("fold")), control)
    return list(out.values())
