"""What a call of `sedkit train` will do, found out without torch, so that a call with nothing to do ends at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sedkit.core.config import read_config, typed
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import content_hash, read_json, same_place
from sedkit.core.provenance import made_with
from sedkit.core.stamp import Step
from sedkit.features.augment import augment_options
from sedkit.features.frontends import FrontEnd, frontend_from, frontends_from
from sedkit.features.normalise import normalise_options
from sedkit.synthesis.plan import MixSettings
from sedkit.training.inputs import compared, inputs_of, name_files
from sedkit.training.mixing import mix_settings
from sedkit.training.sets import Sets
from sedkit.training.settings import DataSettings, RunSettings, SelectionSettings, TrainingSettings, data_settings
from sedkit.training.split_run import find_split_run, steps_of


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
    embeddings: dict[str, FrontEnd] = field(init=False)
    mix: MixSettings | None = field(init=False)
    sets: Sets = field(init=False)
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
        self.embeddings = frontends_from(self.config.get("embeddings"))
        train_on = self.training.train_on
        self.mix = mix_settings(self.config, self.data.of_run(train_on), self.frontend)
        self.sets = Sets(self.data_root, self.data, train_on, (self.frontend, *self.embeddings.values()), self.mix)
        normalise_options(self.config.get("normalise"), "normalise")
        for key, stream in self.sets.streams:
            augment_options(stream.augment, f"{key}.augment")
            for view, steps in stream.views.items():
                augment_options(steps, f"{key}.views.{view}")
            if stream.source == "features" and not self.frontend.sliceable:
                raise UsageError(f"{key}.source is features, but the front end transforms every window on its own")
            if stream.source != "features" and self.embeddings:
                raise UsageError(f"{key}.source is {stream.source}, expected features: embeddings are read from files")
        for name, stream in self.data.select.items():
            if stream.augment or stream.views:
                raise UsageError(f"data.select.{name}: what is selected on is not changed; leave augment and views out")
        for name in self.selection.figures:
            if name not in self.data.select:
                raise UsageError(f"selection.figures: data.select has no {name!r}, only {listed(self.data.select)}")

    def check(self) -> None:
        """Refuse what must not be trained on or is not there (`Sets.check`), and a split that selects on nothing."""
        if self.training.train_on == "split" and not self.data.select and self.selection.name != "last":
            raise UsageError("data.select is empty, expected a stream (or selection.name: last, or --train-on all)")
        self.sets.check()

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
            "inputs": self.inputs_hash,
            "made_with": made_with("torch"),
        }

    def saw(self) -> dict[str, list[list[str | None]]]:
        """Return what the run trains and selects on (`Sets.saw`)."""
        return self.sets.saw(self.training.weights)

    @cached_property
    def _step(self) -> Step:
        config = compared(self.config, self.mix) | {"pass": self.of_pass}
        if self.frontend.places:
            config["frontend"] = self.frontend.identity
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
    split = find_split_run(folder, split_run, merged.get("networks") or ())
    merged["training"] |= steps_of(split)
    return Plan(merged, data_root, folder, budget, of_pass, split)
