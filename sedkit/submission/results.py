"""Results files as the comparison reads them, one a run: figures, and why nothing official may stand beside them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedkit.core.errors import UsageError, listed
from sedkit.core.runs import network_name, run_name, training_of
from sedkit.submission.experiment import Experiment
from sedkit.submission.maestro import OTHER_CLASSES, evaluated_area, of_evaluated
from sedkit.submission.numbers import is_number
from sedkit.submission.official import METRICS, Metric
from sedkit.submission.results_file import mapping, read_results

#: The order in which sets are shown.
_SETS = ("validation", "public", "evaluation")

#: An output lists at least this share of the clips, or it is partial: tables without empty rows list about 95 %.
COVERED = 0.9

#: Clips of the official references, by the beginning of the name: tells whether clips or classes were left out.
_CLIPS = {
    "dcase2018_test_": 288,
    "dcase2018_evaluation_": 880,
    "validation_": 1168,
    "public_evaluation": 692,
    "synthetic_2019": 2045,
}

#: Why figures stand beside nothing official, whatever the set.
_ZERO = "0/0 counts as 0 (--undefined zero): official figures leave such classes out of the mean"
_MERGED = "overlapping events of a class were joined (--overlaps merge): the official scorers refuse or count them"
_BEST = "threshold chosen on this set"


@dataclass(frozen=True)
class Value:
    """A figure of one run in its metric's unit, with its interval, None where there is none.

    `reasons` say why official figures must not stand beside it; none where they may.
    """

    metric: str
    parameters: Mapping[str, float]
    variant: str | None
    value: float
    interval: tuple[float, float] | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One results file.

    Attributes
    ----------
    path
        The file.
    results
        Its content, as `docs` and the command line's page describe it.
    experiment
        The experiment that it lies in, or None.
    control
        What the figures are of where they are no system's (see `controls`), or None.
    """

    path: Path
    results: Mapping[str, Any]
    experiment: Experiment | None
    control: str | None = None

    @property
    def run(self) -> Mapping[str, Any]:
        """Recipe, system, seed, fold and so on; what is unknown is absent."""
        written: Mapping[str, Any] = {}
        if self.experiment is not None:
            where = f"{self.experiment.training / 'environment.json'}: run"
            written = mapping(self.experiment.environment.get("run") or {}, where)
        told = self.results.get("run") or {}
        known = {**written, **{key: value for key, value in told.items() if value is not None}}
        # A control is the same for every system, however it was trained.
        return {key: known[key] for key in ("recipe", "snr_db", "fold") if key in known} if self.control else known

    @property
    def recipe(self) -> str | None:
        """The recipe's name."""
        return _text(self.run.get("recipe") or (self.experiment.config.get("recipe") if self.experiment else None))

    @property
    def system(self) -> str:
        """The system's name, with its network where it is of one of several; for results without a run, the file's."""
        if self.control:
            return self.control
        system = self.run.get("system")
        if system is None:
            return self.experiment.system if self.experiment else self.path.stem
        of_folder = self.experiment.network if self.experiment else None
        return network_name(str(system), self.run.get("network") or of_folder)

    @property
    def set_name(self) -> str:
        """The set by the results file's name, and after a point the post-processing that is not the tuned one."""
        name = self.path.stem if self.experiment else ""
        return name.partition(".")[0] if self.control else name

    @property
    def _whole_set(self) -> str:
        """The set, or that which the results are of a part of."""
        estimate = Path(str((self.results.get("estimate") or {}).get("path") or ""))
        file = estimate.stem if estimate.parent.name == "events" else self.set_name
        return file.partition(".")[0]

    @property
    def set_title(self) -> str:
        """The set as a heading names it; a part that was scored by itself after the set that it is a part of."""
        name, whole = self.set_name.partition(".")[0], self._whole_set
        return f"{whole}, part {name}" if name and whole != name else name

    @property
    def scored_on(self) -> str:
        """The set and the reference as printed."""
        name, reference = self.set_title, self.known_as or str(self.reference.get("path") or "")
        return f"{name} ({reference})" if name and reference else name or reference

    @property
    def order(self) -> tuple[int, str]:
        """Place of the set among others: a set, its parts, the next set."""
        name = self.set_title.partition(",")[0]
        return (_SETS.index(name) if name in _SETS else len(_SETS), self.set_title)

    @property
    def reference(self) -> Mapping[str, Any]:
        """What was scored against."""
        return self.results.get("reference") or {}

    @property
    def known_as(self) -> str | None:
        """The official reference's name, None for any other."""
        return _text(self.reference.get("known_as"))

    @property
    def commit(self) -> str | None:
        """Commit of sedkit that trained the system."""
        trained_with = self.experiment.environment.get("commit") if self.experiment and not self.control else None
        return _text(trained_with or (self.results.get("versions") or {}).get("commit"))

    @property
    def scored_with(self) -> str:
        """Version of sedkit that scored, as printed; empty where it is not told."""
        version = (self.results.get("versions") or {}).get("sedkit")
        return f"scored with sedkit {version}" if version else ""

    @property
    def budget(self) -> str | None:
        """Budget of the training, None where it is not told."""
        if self.control:
            return None
        return _text((self.experiment.environment if self.experiment else {}).get("budget") or self.run.get("budget"))

    @property
    def parameters(self) -> int | None:
        """Trained parameters of the network."""
        if self.experiment is None or self.control:
            return None
        return self.experiment.parameters or self.experiment.complexity.parameters

    @property
    def key(self) -> tuple[str, ...]:
        """What runs of one system on one reference have in common: every axis but seed and fold."""
        reference = self.known_as or str(self.reference.get("sha256") or self.reference.get("path"))
        fold = self.run.get("fold")
        # The folds of a cross-validation have a reference each: there the set's name stands for it.
        reference = f"folds of {self.set_name}" if fold is not None and not self.known_as else reference
        axes = {"system": self.system} | {name: self.run.get(name) for name in ("pass", "snr_db", "trained_on")}
        return (str(self.recipe), run_name(axes), reference, self.set_name, str(self.run.get("budget")))

    def not_comparable(self) -> list[str]:
        """Return the reasons why official figures must not stand beside this run's, none where they may."""
        reasons = []
        known = self.known_as
        if known is None:
            reasons.append("the reference is not an official one (a miniature, or data of your own)")
        elif known.endswith("/subset"):
            reasons.append(self._left_out(known.removesuffix("/subset")))
        estimate = self.results.get("estimate") or {}
        share = estimate.get("coverage")
        if estimate.get("partial"):
            reasons.append("the set is partial" + (f" ({self.coverage})" if self.coverage else ""))
        elif share is not None and share < COVERED:
            reasons.append(
                f"the output lists {self.coverage or f'{share:.0%} of the clips'}: too few to tell clips without "
                "events from clips that were never predicted"
            )
        seen = self.experiment and not self.control and self._whole_set
        if self.experiment and seen and self.experiment.seen_in_training(self._whole_set):
            reasons.append("the system was trained on this set")
        return reasons

    def _left_out(self, name: str) -> str:
        """Say what a subset of an official reference leaves out, as far as the results tell."""
        clips = self.reference.get("clips")
        whole = next((n for start, n in _CLIPS.items() if name.startswith(start)), None)
        if clips is None or whole is None:
            return f"only a subset (classes or clips) of {name} was scored"
        if clips < whole:
            return f"only {clips} of the {whole} clips of {name} were scored"
        return f"only a subset of the classes of {name} was scored"

    @property
    def coverage(self) -> str:
        """How many of the reference's clips the output lists; empty where it lists all, or nothing is known."""
        share = (self.results.get("estimate") or {}).get("coverage")
        clips = self.reference.get("clips")
        if not is_number(share) or not isinstance(clips, int) or share >= 1:
            return ""
        clips += int(self.reference.get("missing") or 0)
        return f"{round(share * clips)} of {clips} clips"

    def values(self) -> list[Value]:
        """Return the figures of this run that a metric is known for."""
        values = (_value(name, metric, self.results) for name, metric in METRICS.items() if metric.block)
        return [value for value in values if value is not None]


def _text(value: object) -> str | None:
    return str(value) if value else None


def _value(name: str, metric: Metric, results: Mapping[str, Any]) -> Value | None:
    block = results.get(metric.block)
    if block is None:
        return None
    *way, last = metric.value
    place = block
    for key in way:
        place = place.get(key) or {}
    number = place.get(last)
    if number is None:
        return None
    scale = 100.0 if metric.unit == "percent" else 1.0
    # The one interval of a place is that of its first figure: average precision of tagging, else F1, SDR or the value.
    primary = ("average_precision",) if metric.block == "tagging" else ("f1", "sdr", "value")
    bounds = place.get("interval") if last in primary else None
    if name == "mpauc":
        number, bounds = of_evaluated(block, number, bounds)
    interval = (scale * bounds[0], scale * bounds[1]) if bounds is not None else None
    parameters = {k: v for k, v in (block.get("parameters") or {}).items() if v is not None}
    reasons = _reasons(metric, results)
    return Value(name, parameters, block.get("variant"), scale * number, interval, reasons)


def _reasons(metric: Metric, results: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why official figures must not stand beside a metric's figure, however official its reference is."""
    reasons = []
    # Files of before these keys existed were scored by the defaults.
    if metric.block == "segment_auc" and evaluated_area(results[metric.block])[0] is None:
        reasons.append(OTHER_CLASSES)
    averaged = "macro" in metric.value or metric.block == "segment_auc"
    if averaged and results.get("undefined") == "zero":
        reasons.append(_ZERO)
    if results.get("overlaps") == "merge" and metric.block in ("intersection_based", "psds1", "psds2"):
        reasons.append(_MERGED)
    points = results[metric.block].get("points")
    if points is not None:
        reasons.append(f"{_BEST} (the best of {len(points)})")
    return tuple(reasons)


def load_runs(paths: Iterable[str | os.PathLike[str]], set_name: str | None = None) -> list[Run]:
    """Read results files and the results of experiments.

    Parameters
    ----------
    paths
        Results files and experiment folders.
    set_name
        Keep this set of each experiment; None keeps all.

    Raises
    ------
    UsageError
        An experiment without (such) results; a set's name without an experiment.
    SedkitError
        A file that is no results file, or holds a value of another kind (see `results_file`).
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
        if path.is_dir():
            experiment = Experiment.open(path)
            files = experiment.results()
            if set_name:
                files = {name: file for name, file in files.items() if name == set_name}
            if not files:
                sets = listed(experiment.results()) or "none"
                raise UsageError(
                    f"{path}: no results/{set_name or '*'}.json (there: {sets}); make them with `sedkit score`"
                )
            runs += [Run(file, read_results(file), experiment) for file in files.values()]
        else:
            home = path.parent.parent
            inside = path.parent.name == "results" and (training_of(home)[0] / "config.yaml").is_file()
            runs.append(Run(path, read_results(path), Experiment(home) if inside else None))
    return runs
