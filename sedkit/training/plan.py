"""What a call of `sedkit train` will do, found out without torch, so that a call with nothing to do ends at once."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sedkit.core.config import read_config, select
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import content_hash, read_json, same_place
from sedkit.core.log import log
from sedkit.core.stamp import Source, Step
from sedkit.dataio.datadir import TABLES, DataDir
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.training.settings import (
    SECTIONS,
    TRAIN_ON,
    DataSettings,
    TrainingSettings,
    apply_budget,
    data_settings,
    training_settings,
)


@dataclass
class Plan:
    """A training run before it starts.

    Attributes
    ----------
    config
        The configuration with budget and overrides applied.
    data_root
        Folder of the data dirs.
    folder
        The experiment.
    budget
        Its name, or None.
    split_run
        The finished run on a split whose number of steps is taken over; None for a split run.
    """

    config: dict[str, Any]
    data_root: Path
    folder: Path
    budget: str | None = None
    split_run: Path | None = None
    data: DataSettings = field(init=False)
    training: TrainingSettings = field(init=False)
    frontend: FrontEnd = field(init=False)
    feature_paths: dict[str, Path] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        _check_present(self.config)
        data_settings(self.config["data"])
        for chunks in _with_map_files(self.config).values():
            # The record of the run is read from other folders too.
            chunks["class_map"] = str(Path(chunks["class_map"]).resolve())
        self.data = data_settings(self.config["data"])
        self.training = training_settings(self.config.get("training"))
        self.frontend = frontend_from(self.config["frontend"])
        if self.training.train_on == "split" and not self.data.select:
            raise UsageError("data.select is empty, expected a part to choose the checkpoint on (or --train-on all)")
        if self.training.train_on == "all+validation" and any(s.chunks for s in self.data.streams.values()):
            raise UsageError("--train-on all+validation: a stream that is cut into chunks cannot take in another set")
        if self.training.train_on == "all+validation" and not self.has_set("validation"):
            raise SedkitError(f"{self.data_root}: has no data dir validation, which --train-on all+validation adds")
        for name in self.sets:
            if name not in self._waves:
                self.features(name)

    @property
    def sections(self) -> dict[str, Any]:
        """The sections that decide what a training gives."""
        return select(self.config, SECTIONS)

    @property
    def sets(self) -> tuple[str, ...]:
        """Data dirs that are read, the ones for curves included."""
        streams = list(self.data.streams.values())
        if self.training.train_on == "split":
            streams += list(self.data.select.values())
        names = [s.set for s in streams]
        if self.training.train_on == "all+validation":
            names.append("validation")
        names += [name for name in self.data.draw if self.has_set(name)]
        return tuple(dict.fromkeys(names))

    @cached_property
    def _reads_waves(self) -> dict[str, list[bool]]:
        """Of each set, whether its streams cut their chunks out of recordings."""
        kinds: dict[str, list[bool]] = {}
        for s in (*self.data.streams.values(), *self.data.select.values()):
            kinds.setdefault(s.set, []).append(s.chunks is not None and s.chunks.needs_waves(self.frontend.name))
        return kinds

    @property
    def _waves(self) -> set[str]:
        """The sets that need no features file."""
        return {name for name, kinds in self._reads_waves.items() if all(kinds)}

    @property
    def _recorded(self) -> set[str]:
        """The sets whose recordings are read."""
        return {name for name, kinds in self._reads_waves.items() if any(kinds)}

    def has_set(self, name: str) -> bool:
        """Tell whether a set stands below the data root with labels and features of this front end."""
        folder = self.data_root / name
        labelled = (folder / "weak.tsv").is_file() or (folder / "strong.tsv").is_file()
        return labelled and self._features_path(name).is_file()

    def _features_path(self, name: str) -> Path:
        return self.data_root / name / f"{self.frontend.name}-{self.frontend.hash8}.h5"

    def features(self, name: str) -> Path:
        """Return the features file of a set, of this front end."""
        folder, path = self.data_root / name, self._features_path(name)
        if not (folder / "clips.tsv").is_file():
            raise SedkitError(f"{folder}: no such data dir; make it with `sedkit prepare`")
        if not path.is_file():
            others = [p.name for p in sorted(folder.glob("*.h5"))]
            raise SedkitError(
                f"{path}: no such features ({folder} has {listed(others) or 'none'}); make them with `sedkit extract`"
            )
        self.feature_paths[name] = path
        return path

    @cached_property
    def inputs(self) -> dict[str, Source]:
        """Files that the result depends on (not those of sets that are only drawn), as seen from the data root."""
        drawn = set(self.data.draw) - {s.set for s in (*self.data.streams.values(), *self.data.select.values())}
        if self.training.train_on == "all+validation":
            drawn.discard("validation")
        inputs: dict[str, Source] = {}
        streams = [*self.data.streams.values(), *self.data.select.values()]
        backgrounds = {s.chunks.augment.background_set for s in streams if s.chunks} - {None}
        for name in dict.fromkeys([*self.sets, *sorted(map(str, backgrounds))]):
            if name in drawn:
                continue
            folder = self.data_root / name
            inputs |= {f"{name}/{table}": folder / table for table in TABLES if (folder / table).is_file()}
            if name in self.feature_paths:
                inputs[f"{name}/features"] = self.feature_paths[name]
            if name in self._recorded or name in backgrounds:
                inputs[f"{name}/recordings"] = DataDir(folder).recordings()
        inputs |= {
            f"{key}.chunks.class_map": chunks["class_map"] for key, chunks in _with_map_files(self.config).items()
        }
        if self.training.weights:
            if not Path(self.training.weights).is_file():
                raise SedkitError(f"{self.training.weights}: no such file (training.weights)")
            inputs["weights"] = self.training.weights
        return inputs

    @property
    def stamp_config(self) -> dict[str, Any]:
        """What the stamp compares beside the inputs."""
        config = copy.deepcopy(self.sections) | {name: self.config.get(name) for name in ("recipe", "system")}
        # What weights and class maps are counts, not where they lie.
        for chunks in _with_map_files(config).values():
            chunks["class_map"] = Path(chunks["class_map"]).name
        training = {name: value for name, value in (config.get("training") or {}).items() if name != "weights"}
        return config | {"training": training}

    @cached_property
    def key(self) -> str:
        """Hash of everything that makes two runs the same run; a checkpoint of another key is not gone on with."""
        return content_hash([self.stamp_config, self._step.content()])

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
            "seed": self.training.seed,
            "trained_on": self.training.train_on,
            "budget": self.budget,
        }

    @cached_property
    def _step(self) -> Step:
        return Step("train", self.folder / "checkpoints" / "best.pt", self.stamp_config, self.inputs)

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


def _with_map_files(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the sections `chunks` of all streams whose class map is a file of the user's, by the stream's key."""
    found = {}
    for part in ("streams", "select"):
        for name, stream in (config["data"].get(part) or {}).items():
            chunks = stream.get("chunks") or {}
            path = Path(chunks.get("class_map") or "")
            if path.suffix in (".yaml", ".yml") and path.is_file():
                found[f"{part}.{name}"] = chunks
    return found


def _find_split_run(folder: Path, given: Path | None) -> Path:
    """Return the finished split run behind a run on all clips: as given, else the folder without its `all_`."""
    found = given or folder.with_name(re.sub(r"(^|_)all(\+validation)?_", r"\1", folder.name))
    if found.resolve() == folder.resolve():
        raise UsageError(f"{folder}: cannot tell which split run it follows; give --split-run EXP")
    for name, what in (("checkpoints/best.pt.done.json", "training"), ("postprocessing.yaml", "post-processing")):
        if not (found / name).is_file():
            raise SedkitError(
                f"--train-on all takes the number of steps and the post-processing of a finished run with "
                f"--train-on split: {found} has no finished {what}; run that first, or name it with --split-run EXP"
            )
    return found


def make_plan(
    config: Path,
    overrides: list[str],
    data_root: Path,
    folder: Path,
    *,
    budget: str | None = None,
    train_on: str | None = None,
    device: str | None = None,
    weights: str | None = None,
    split_run: Path | None = None,
) -> Plan:
    """Read the configuration and decide what to train, for how long, on what.

    Parameters
    ----------
    config, overrides
        The YAML and `section.key=value` changes; the latter win over the budget.
    data_root, folder
        Folder of the data dirs; the experiment to make.
    budget
        A mapping of the section `budgets`.
    train_on, device, weights
        As `training.train_on` and so on; None leaves them to the configuration.
    split_run
        For `train_on` other than `split`: the finished split run; by default the folder's name without `all_`.
    """
    given = {"train_on": train_on, "device": device, "weights": weights}
    overrides = [*overrides, *(f"training.{key}={value}" for key, value in given.items() if value is not None)]
    merged = apply_budget(read_config(config), budget, overrides)
    settings = training_settings(merged.get("training"))
    if settings.train_on not in TRAIN_ON:
        raise UsageError(f"training.train_on is {settings.train_on!r}, expected one of {listed(TRAIN_ON)}")
    if settings.train_on == "split":
        return Plan(merged, data_root, folder, budget)
    split = _find_split_run(folder, split_run)
    merged = _with_steps_of(merged, split)
    return Plan(merged, data_root, folder, budget, split)


def check_config(config: Path, overrides: list[str], budget: str | None = None) -> None:
    """Check every section that decides what a training gives, before there is anything to train on.

    Raises
    ------
    UsageError
        An unknown section, key or budget, or a value that its section refuses.
    """
    from sedkit.models.registry import resolve_model
    from sedkit.objectives.registry import resolve_objective

    merged = apply_budget(read_config(config), budget, overrides)
    _check_present(merged)
    data_settings(merged["data"])
    training_settings(merged.get("training"))
    frontend_from(merged["frontend"])
    resolve_model(merged["model"])
    resolve_objective(merged["objective"])


def _check_present(config: dict[str, Any]) -> None:
    for name in ("data", "model", "objective", "frontend"):
        if not isinstance(config.get(name), dict):
            raise UsageError(f"the configuration has no section {name!r}, which training needs")


def _with_steps_of(config: dict[str, Any], split: Path) -> dict[str, Any]:
    """Return `config` with the steps at which the split run was best, and its learning rate schedule."""
    chosen = read_json(split / "summary.json")
    training = dict(config.get("training") or {})
    training.update(steps=chosen["best_step"], lr_every=chosen["lr_every"])
    log.info("train: %d steps, as the best of %s", chosen["best_step"], split)
    return {**config, "training": training}
