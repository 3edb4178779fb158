"""An experiment folder as it is read: what packing and comparing need to know of what the stages left in it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.facts import overlap
from sedkit.core.files import read_json, read_yaml, sha256_file
from sedkit.core.numbers import is_number
from sedkit.core.runs import network_name, run_of, training_of
from sedkit.core.stamp import facts_of

#: Sets a submission is written for, in this order of preference.
SET_ORDER = ("evaluation", "public", "validation")

#: Results on the sets on which the organisers ask for development results.
DEVELOPMENT_RESULTS = ("validation",)


@dataclass(frozen=True)
class ExperimentFolder:
    """An experiment folder: configuration, environment, and what the stages left in it.

    Attributes
    ----------
    path
        The folder, or that of the run of one of its networks (`sedkit.core.runs.training_of`).
    development
        Which of its results are those of the development set, or of several.
    """

    path: Path
    development: tuple[str, ...] = DEVELOPMENT_RESULTS

    @classmethod
    def open(cls, path: str | os.PathLike[str], development: tuple[str, ...] = DEVELOPMENT_RESULTS) -> ExperimentFolder:
        """Take a folder for an experiment; it has to hold a configuration."""
        folder = Path(path)
        training, _ = training_of(folder)
        if not (training / "config.yaml").is_file():
            what = "no such folder" if not training.is_dir() else "no config.yaml in it"
            raise SedkitError(f"{training}: is no experiment ({what}); `sedkit train` makes one")
        return cls(folder, development)

    @property
    def training(self) -> Path:
        """The folder of the training, with configuration, environment and checkpoints."""
        return training_of(self.path)[0]

    @property
    def network(self) -> str | None:
        """Which of the networks of the training it is of; None: the one that scores unless another is asked for."""
        return training_of(self.path)[1]

    @cached_property
    def config(self) -> dict[str, Any]:
        """The resolved configuration."""
        config = read_yaml(self.training / "config.yaml")
        return config if isinstance(config, dict) else {}

    @cached_property
    def environment(self) -> dict[str, Any]:
        """What the run was made with; empty where nothing was written."""
        file = self.training / "environment.json"
        environment = read_json(file) if file.is_file() else {}
        return environment if isinstance(environment, dict) else {}

    @property
    def system(self) -> str:
        """The system's name, with the network that it is of as in the names of runs."""
        return network_name(str(self.config.get("system") or self.training.parent.name), self.network)

    def choose_set(self, wanted: str | None, folder: str, ending: str) -> str:
        """Return the set to submit: the wanted one, else the first of `SET_ORDER` that has a file.

        Parameters
        ----------
        wanted
            A set's name, or None.
        folder, ending
            Where its file lies: ``events`` and ``.tsv``, or ``scores`` and ``.h5``.
        """
        sets = sorted(p.name.removesuffix(ending) for p in (self.path / folder).glob(f"*{ending}"))
        for name in [wanted] if wanted else SET_ORDER:
            if name in sets:
                return str(name)
        verb = "sedkit decode" if folder == "events" else "sedkit predict"
        expected = wanted or " or ".join(SET_ORDER)
        hint = suggest(wanted, sets) if wanted else ""
        raise UsageError(
            f"{self.path}: no {folder}/{expected}{ending}{hint} (there: {listed(sets) or 'none'}); make it with "
            f"`{verb}`, or name a set with --set"
        )

    def sets(self) -> tuple[str, ...]:
        """Return the sets that were predicted, by their scores or the energy that took."""
        scored = {path.stem for path in (self.path / "scores").glob("*.h5")}
        measured = {path.stem for path in (self.path / "energy").glob("*.json")}
        return tuple(sorted(scored | measured - {"training"}))

    @property
    def split_run(self) -> ExperimentFolder | None:
        """The run on a split whose steps this one followed, None where there is none (any more)."""
        written = self.environment.get("split_run")
        if not isinstance(written, str):
            return None
        # Experiments may have been moved together.
        for folder in (Path(written), self.training.resolve().parent / Path(written).name):
            if (folder / "config.yaml").is_file():
                return ExperimentFolder(run_of(folder, self.network), self.development)
        return None

    def seen_in_training(self, name: str) -> bool:
        """Tell whether clips of a set were trained on, by what the run saw: figures on them say nothing of the system.

        The clips are those of `scores/<name>.h5`; where these tell nothing, every set of that name was meant.
        """
        saw = (self.environment.get("run") or {}).get("saw") or {}
        trained = saw.get("trained") or []
        clips = facts_of(self.path / "scores" / f"{name}.h5").get("of")
        return bool(overlap(clips or [(s, None) for s, _ in trained if s.rpartition("/")[2] == name], trained))

    def results(self) -> dict[str, Path]:
        """Return the results files by set."""
        files = sorted((self.path / "results").glob("*.json"))
        return {path.stem: path for path in files if not path.name.endswith(".done.json")}

    def energy_kwh(self, name: str) -> float | None:
        """Return the energy in kWh that `energy/<name>.json` holds, None where it was not measured."""
        file = self.energy_file(name, ".json")
        content = read_json(file) if file.is_file() else {}
        kwh = content.get("kwh") if isinstance(content, dict) else None
        return float(kwh) if is_number(kwh) and kwh > 0 else None

    def energy_file(self, name: str, ending: str) -> Path:
        """Return the file of the energy of predicting a set, or of `training`, which networks have in common."""
        return (self.training if name == "training" else self.path) / "energy" / f"{name}{ending}"

    @property
    def parameters(self) -> int | None:
        """Trained parameters as the run wrote them down, None where it did not."""
        count = self.environment.get("parameters")
        return int(count) if isinstance(count, int) and is_number(count) else None

    @cached_property
    def checkpoint_hashes(self) -> frozenset[str]:
        """The SHA-256 of each checkpoint: what scores name as their producer."""
        return frozenset(sha256_file(file) for file in (self.training / "checkpoints").glob("*.pt"))
