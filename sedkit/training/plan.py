"""What a call of `sedkit train` will do, found out without torch, so that a call with nothing to do ends at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sedkit.core.config import read_config, typed
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import content_hash, read_json, same_place
from sedkit.core.log import log
from sedkit.core.runs import run_of
from sedkit.core.stamp import Step, facts_of
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.folds import others, with_parts
from sedkit.features.augment import augment_options, folds_read, sets_read
from sedkit.features.frontends import FrontEnd, features_path, frontend_from
from sedkit.features.normalise import normalise_options
from sedkit.synthesis.plan import MixSettings
from sedkit.training.inputs import compared, inputs_of, name_files
from sedkit.training.mixing import mix_settings
from sedkit.training.settings import (
    HELD_OUT,
    DataSettings,
    RunSettings,
    SelectionSettings,
    StreamSettings,
    TrainingSettings,
    data_settings,
)

#: Roles of sets that nothing is trained or selected on.
NOT_TRAINED_ON = ("reported", "entered")


@dataclass
class Plan:
    """A training run before it starts.

    Attributes
    ----------
    config
        The configuration with pass, budget and overrides applied.
    data_root
        Folder of the data dirs.
    folder
        The experiment.
    budget, of_pass
        Their names, or None.
    split_run
        The finished run on a split whose number of steps is taken over; None for a split run.
    """

    config: dict[str, Any]
    data_root: Path
    folder: Path
    budget: str | None = None
    of_pass: str | None = None
    split_run: Path | None = None
    data: DataSettings = field(init=False)
    training: TrainingSettings = field(init=False)
    selection: SelectionSettings = field(init=False)
    frontend: FrontEnd = field(init=False)
    mix: MixSettings | None = field(init=False)
    axes: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("data", "model", "objective", "frontend", "optimiser"):
            if not isinstance(self.config.get(name), dict):
                raise UsageError(f"the configuration has no section {name!r}, which training needs")
        data_settings(self.config["data"])
        # The record of the run is read from other folders too.
        name_files(self.config, lambda path: str(path.resolve()))
        self.data = data_settings(self.config["data"])
        self.training = typed(self.config.get("training"), TrainingSettings, "training")
        self.selection = typed(self.config.get("selection"), SelectionSettings, "selection")
        self.axes = asdict(typed(self.config.get("run"), RunSettings, "run"))
        self.frontend = frontend_from(self.config["frontend"])
        self.mix = mix_settings(self.config, self.streams(), self.frontend)
        normalise_options(self.config.get("normalise"), "normalise")
        for key, stream in self.streams():
            augment_options(stream.augment, f"{key}.augment")
            for view, steps in stream.views.items():
                augment_options(steps, f"{key}.views.{view}")
            if stream.source == "features" and not self.frontend.sliceable:
                raise UsageError(f"{key}.source is features, but the front end transforms every window on its own")
        for name, stream in self.data.select.items():
            if stream.augment or stream.views:
                raise UsageError(f"data.select.{name}: what is selected on is not changed; leave augment and views out")
        for name in self.selection.figures:
            if name not in self.data.select:
                raise UsageError(f"selection.figures: data.select has no {name!r}, only {listed(self.data.select)}")

    def streams(self) -> Iterator[tuple[str, StreamSettings]]:
        """Yield every stream of the run under its key."""
        for side in ("streams", "select") if self.training.train_on == "split" else ("streams",):
            for name, stream in getattr(self.data, side).items():
                yield f"data.{side}.{name}", stream

    def check(self) -> None:
        """Refuse what must not be trained on, and ask for what is not there.

        Raises
        ------
        UsageError
            A set that is reported or entered, a fold that is held out, or nothing to select on.
        SedkitError
            A data dir or features that are absent.
        """
        train_on = self.training.train_on
        if train_on == "split" and not self.data.select and self.selection.name != "last":
            raise UsageError("data.select is empty, expected a stream (or selection.name: last, or --train-on all)")
        for key, stream in self.streams():
            beside = list(self.beside(stream, key))
            for data in map(self.data_dir, (stream.set, *(name for _, name, _ in beside))):
                if data.role in NOT_TRAINED_ON:
                    raise UsageError(
                        f"{key}: {data.identity} is {data.role}: nothing is trained or selected on it (--train-on "
                        "all+validation adds validation, whose figures are then refused)"
                    )
            folds = self.folds(stream, key)
            self.data_dir(stream.set).select(folds)
            read = [(f"{key}.folds", folds), *((where, named) for where, _, named in beside)]
            for where, named in read if key.startswith("data.streams.") else ():
                if held_out := [fold for fold in named or () if fold in HELD_OUT]:
                    raise UsageError(f"{where}: {held_out[0]} is held out of training, expected others, such as train")
            if stream.source == "features":
                self.features(stream.set)
        for name in self.added:
            self.features(name)

    @property
    def added(self) -> tuple[str, ...]:
        """Sets that join every labelled stream."""
        return ("validation",) if self.training.train_on == "all+validation" else ()

    def folds(self, stream: StreamSettings, key: str) -> list[str] | None:
        """Return the folds of a stream, as given or else `train`; None where the set has none, or all are wanted."""
        if self.training.train_on != "split" and key.startswith("data.streams."):
            return None
        names, held_out = self.data_dir(stream.set).clips.fold, self.data.held_out
        if names is None:
            return stream.folds
        wanted = stream.folds or ["train"]
        if held_out is not None:
            apart = with_parts(held_out, names)
            if not apart:
                raise UsageError(
                    f"data.held_out is {held_out!r}, {stream.set} has the folds {listed(sorted(set(names)))}"
                )
            meant = ([one] if one in names else others(one, names, held_out) or [one] for one in wanted)
            wanted = [name for one in meant for name in one]
            if heard := [name for name in wanted if name in apart]:
                raise UsageError(f"{key}.folds: {heard[0]} is held out (data.held_out), expected other folds")
        if stream.folds is None and "train" in wanted and "train" not in names:
            raise UsageError(
                f"{key}.folds: {stream.set} has {listed(set(names))}, expected some of them to be named, or one to be "
                "data.held_out"
            )
        return wanted

    def sets(self, stream: StreamSettings, key: str) -> list[str]:
        """Return the data dirs of a stream."""
        joined = self.added if key.startswith("data.streams.") and stream.labels.target != "none" else ()
        return [stream.set, *joined]

    @cached_property
    def drawn(self) -> tuple[str, ...]:
        """Sets for curves alone, of those that are there with labels and features and not trained on."""

        def usable(name: str) -> bool:
            folder = self.data_root / name
            labelled = (folder / "weak.tsv").is_file() or (folder / "strong.tsv").is_file()
            return labelled and features_path(folder, self.frontend).is_file()

        return tuple(name for name in self.data.draw if usable(name) and name not in self.added)

    def saw(self) -> dict[str, list[list[str | None]]]:
        """Return what the run trains and selects on: (data set, fold), no fold for all.

        What was seen by the runs behind pseudo labels and weights counts, as their stamps tell it.
        """
        facts: dict[str, list[list[str | None]]] = {"trained": [], "selected": []}
        for key, stream in self.streams():
            kind = "trained" if key.startswith("data.streams.") else "selected"
            for name in self.sets(stream, key):
                folds = self.folds(stream, key) if name == stream.set else None
                facts[kind] += [[self.data_dir(name).identity, fold] for fold in folds or [None]]
            for _, name, folds in self.beside(stream, key):
                facts[kind] += [[self.data_dir(name).identity, fold] for fold in folds or [None]]
        for source in {self.training.weights, *(stream.labels.source for _, stream in self.streams())} - {None}:
            before = facts_of(str(source))
            facts["trained"] += before.get("saw", {}).get("trained", [])
            facts["selected"] += [*before.get("saw", {}).get("selected", []), *before.get("tuned", [])]
        return {kind: [list(one) for one in dict.fromkeys(map(tuple, places))] for kind, places in facts.items()}

    def beside(self, stream: StreamSettings, key: str) -> Iterator[tuple[str, str, list[str] | None]]:
        """Yield what a stream reads beside its sets: the key that says so, a data dir, and folds of it (None: all)."""
        for steps in (stream.augment, *stream.views.values()):
            for name, folds in sets_read(steps).items():
                yield f"{key}.augment, {name}", name, folds_read(self.data_dir(name), folds)
        if self.mix is not None and stream.source == "mixtures":
            yield f"{key}.folds", self.mix.scenes, self.folds(stream, key)

    def data_dir(self, name: str) -> DataDir:
        """Return a set; raise SedkitError where there is none."""
        folder = self.data_root / name
        if not (folder / "clips.tsv").is_file():
            raise SedkitError(f"{folder}: no such data dir; make it with `sedkit prepare`")
        return DataDir(folder)

    def features(self, name: str) -> Path:
        """Return the features file of a set, of this front end; raise SedkitError where there is none."""
        folder = self.data_dir(name).path
        path = features_path(folder, self.frontend)
        if not path.is_file():
            others = [p.name for p in sorted(folder.glob("*.h5"))]
            raise SedkitError(
                f"{path}: no such features ({folder} has {listed(others) or 'none'}); make them with `sedkit extract`"
            )
        return path

    @cached_property
    def key(self) -> str:
        """Hash of everything that makes two runs the same run; a checkpoint of another key is not gone on with."""
        return content_hash([self._step.config, self.inputs_hash])

    @property
    def inputs_hash(self) -> str:
        """Hash of the content of the inputs."""
        return content_hash(self._step.content())

    @property
    def title(self) -> str:
        """A name for messages."""
        return f"{self.config.get('system') or self.config['model'].get('name')}, seed {self.training.seed}"

    def run_info(self) -> dict[str, Any]:
        """Return what results say about their run."""
        return {
            "recipe": self.config.get("recipe"),
            "system": self.config.get("system"),
            "pass": self.of_pass,
            **self.axes,
            "seed": self.training.seed,
            "trained_on": self.training.train_on,
            "budget": self.budget,
            "saw": self.saw(),
        }

    @cached_property
    def _step(self) -> Step:
        config = compared(self.config, self.mix) | {"pass": self.of_pass}
        output = self.folder / "checkpoints" / "best.pt"
        return Step("train", output, config, inputs_of(self), facts=lambda: {"saw": self.saw()})

    def step(self, force: bool) -> Step:
        """Return the stamped call."""
        self._step.force = force
        return self._step

    def check_same_root(self, force: bool) -> None:
        """Refuse to replace an experiment made from another data root: of other content, and not moved with it."""
        file = self.folder / "environment.json"
        if force or not file.is_file():
            return
        record = read_json(file)
        same = same_place(self.data_root, self.folder, record.get("data"), record.get("place"))
        if not same and record.get("inputs") != self.inputs_hash:
            raise SedkitError(
                f"{self.folder}: was trained on {record.get('data')}, not on {self.data_root.resolve()}; "
                "choose another --exp, or --force true to replace it"
            )


def _find_split_run(folder: Path, given: Path | None, networks: Sequence[str]) -> Path:
    """Return the finished split run behind a run on all clips: as given, else the folder without its `all_`.

    It is finished where it was trained, and rules tuned: its own, or those of the run of one of its networks.
    """
    split = given or folder.with_name(re.sub(r"(^|_)all(\+validation)?_", r"\1", folder.name))
    if split.resolve() == folder.resolve():
        raise UsageError(f"{folder}: cannot tell which split run it follows; give --split-run EXP")
    scored = [run_of(split, network) for network in networks] or [split]
    finished = {
        "training": (split / "checkpoints" / "best.pt.done.json").is_file(),
        "post-processing": any((run / "postprocessing.yaml").is_file() for run in scored),
    }
    for what, there in finished.items():
        if not there:
            raise SedkitError(
                f"--train-on all takes the number of steps and the post-processing of a finished run with "
                f"--train-on split: {split} has no finished {what}; run that first, or name it with --split-run EXP"
            )
    return split


def make_plan(
    config: Path,
    overrides: list[str],
    data_root: Path,
    folder: Path,
    *,
    budget: str | None = None,
    of_pass: str | None = None,
    train_on: str | None = None,
    device: str | None = None,
    weights: str | None = None,
    split_run: Path | None = None,
) -> Plan:
    """Read the configuration and decide what to train, for how long, on what.

    Parameters
    ----------
    config, overrides
        The YAML and `section.key=value` changes; the latter win over pass and budget.
    data_root, folder
        Folder of the data dirs; the experiment to make.
    budget, of_pass
        Mappings of the sections `budgets` and `passes`.
    train_on, device, weights
        As `training.train_on` and so on; None leaves them to the configuration.
    split_run
        For `train_on` other than `split`: the finished split run; by default the folder's name without `all_`.
    """
    given = {"train_on": train_on, "device": device, "weights": weights}
    overrides = [*overrides, *(f"training.{key}={value}" for key, value in given.items() if value is not None)]
    merged = read_config(config, overrides, budget, of_pass, folder)
    if typed(merged.get("training"), TrainingSettings, "training").train_on == "split":
        return Plan(merged, data_root, folder, budget, of_pass)
    split = _find_split_run(folder, split_run, merged.get("networks") or ())
    best = read_json(split / "summary.json")
    log.info("train: %d of %d steps, as the best of %s", best["best_step"], best["steps"], split)
    merged["training"] = {**merged["training"], "steps": best["steps"], "last_step": best["best_step"]}
    return Plan(merged, data_root, folder, budget, of_pass, split)
