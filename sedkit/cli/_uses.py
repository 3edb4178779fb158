"""What a run of a recipe is, and what each set is to it: what it is tuned on, gated by, reported on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sedkit.cli._recipe import Recipe, System, Tuned, name_of, read_system
from sedkit.core.runs import run_axes, run_name
from sedkit.dataio.folds import others, with_parts


class Run:
    """An experiment's folder, `.../<system>/<run>`, which need not be there yet."""

    def __init__(self, experiment: Path) -> None:
        self.folder, self.axes = experiment, run_axes(experiment)
        self.system, self.of_pass = self.axes["system"], "pass" in self.axes
        everything, _, more = self.axes.get("trained_on", "").partition("+")
        #: The run of the split that this one takes its rules from; None for such a run.
        self.split = None
        if everything:
            alike = {axis: value for axis, value in self.axes.items() if axis != "trained_on"}
            self.split = experiment.parent.parent / run_name(alike)
        self.trained_on = more or None

    def path(self, *parts: str) -> str:
        return str(self.folder.joinpath(*parts))


class Uses:
    """The uses of a recipe's sets to a run, as they follow from the recipe, the run's system and the disk.

    Attributes
    ----------
    recipe
        As the run at hand fills it.
    system
        That of the run at hand.
    """

    recipe: Recipe
    system: System

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args

    def open(self, run: Run, recipe: Recipe) -> None:
        """Take a run in hand; a pass is decoded as a system without a section of its own."""
        path = self.args.recipe.parent / "conf" / f"{run.system}.yaml"
        of_system = path.is_file() and not run.of_pass
        self.recipe, self.system = recipe.of(run.axes), read_system(path) if of_system else System()

    @property
    def presets(self) -> dict[str, str]:
        """The recipe's and the system's presets, as words."""
        presets = self.recipe.presets | self.system.decoding.presets
        return {name: self.option(rules) for name, rules in presets.items() if rules is not None}

    @property
    def oracle(self) -> dict[str, str]:
        """The presets behind an oracle's gate, as words."""
        return {name: self.presets[preset] for name, preset in self.recipe.oracle.items() if preset in self.presets}

    def gate(self, path: str, run: Run) -> list[str]:
        """Return the words for what gates a set; none where it is the run's own clip scores."""
        folder = None if run.of_pass else self.system.gate(run.folder)
        return [] if folder is None else ["--tags", str(folder / f"{name_of(path)}.tsv")]

    def tuned(self, run: Run) -> list[Tuned]:
        """Return what a run's rules are tuned on: of a pass the gate alone, behind another's gate all but the gate."""
        from sedkit.postprocessing.tuning.base import build_objective

        tuned = [one for one in self.recipe.tuned if not one.optional or self._given(one)]
        if not run.of_pass and self.system.decoding.gate is None:
            return tuned
        return [one for one in tuned if build_objective({"name": one.objective}).gated != run.of_pass]

    def _given(self, tuned: Tuned) -> bool:
        """Tell whether there is a set to tune on, with clips in its fold."""
        return self.has(tuned.set, tuned.labels) and (tuned.fold is None or self.has_fold(tuned.set, tuned.fold))

    def tuned_whole(self, path: str) -> bool:
        """Tell whether rules are tuned on all of a set, so that their figures on it would say nothing."""
        return any(tuned.set == path and tuned.fold is None for tuned in self.recipe.tuned)

    def tuned_scores(self, tuned: Tuned) -> str:
        """Return what the scores that are tuned on are called."""
        return name_of(tuned.set) + ("" if tuned.fold is None else ".tune")

    def rules(self, run: Run) -> str:
        """Return the rules of a run: the tuned ones, or the first preset where there is nothing to tune on.

        A recipe that tunes nothing gives each run a file of the first preset's rules.
        """
        if not self.recipe.tuned and not run.of_pass:
            return run.path("postprocessing.yaml")
        if self.tuned(run) and all(self.tuning(tuned, run) for tuned in self.tuned(run)):
            return run.path("postprocessing.yaml")
        return next(iter(self.presets.values()))

    def variants(self, run: Run) -> dict[str, str]:
        """Return the rules of a run by name: '' for its own, and those tuned from other ones; a pass has its own."""
        own = self.rules(run)
        if own != run.path("postprocessing.yaml") or run.of_pass:
            return {"": own}
        return {"": own} | {name: run.path(f"postprocessing.{name}.yaml") for name in self.recipe.tuned_from}

    def tuning(self, tuned: Tuned, run: Run) -> str:
        """Return the folds that are tuned on, as a word; of a cross-validation that part of the folds trained on."""
        if tuned.fold is None:
            return "all" if self.has(tuned.set, tuned.labels) else ""
        if self.has_fold(tuned.set, tuned.fold) or "fold" not in run.axes:
            return tuned.fold
        return ",".join(others(tuned.fold, self.folds(tuned.set), run.axes["fold"]))

    def held_out(self, path: str, run: Run) -> list[str]:
        """Return the words for the clips that a run of a cross-validation is reported on; none for other runs."""
        if "fold" not in run.axes:
            return []
        return ["--fold", ",".join(with_parts(run.axes["fold"], self.folds(path)) or [run.axes["fold"]])]

    def clips_of(self, path: str, folds: str) -> list[str]:
        return ["--clips", self.table(path, "clips.tsv"), "--fold", folds]

    def windowed(self, path: str) -> str:
        return f"{name_of(path)}.{Path(self.recipe.windows or '').stem}"

    def excerpts_of(self, path: str) -> list[str]:
        """Return the words that score a set in excerpts of its recordings; none where these are clips."""
        from sedkit.dataio.datadir import EXCERPTS

        return ["--windows", self.table(path, EXCERPTS)] if path in self.recipe.excerpts else []

    def table(self, path: str, name: str = "") -> str:
        return str(self.args.data / path / name)

    def has(self, path: str, table: str) -> bool:
        return self.args.dry_run or (self.args.data / path / table).is_file()

    def reported(self, run: Run) -> list[str]:
        """Return the reported sets with events to score against that the run was not trained on."""
        return [p for p in self.recipe.reported if self.has(p, "strong.tsv") and name_of(p) != run.trained_on]

    def has_fold(self, path: str, fold: str) -> bool:
        return self.args.dry_run or fold in self.folds(path)

    def folds(self, path: str) -> Sequence[str]:
        """Return the fold of each clip of a set; nothing in a dry run, which need not have it."""
        from sedkit.dataio.rows import read_table

        if not self.has(path, "clips.tsv") or self.args.dry_run:
            return ()
        return read_table(self.table(path, "clips.tsv"), ("filename",), ("fold",)).get("fold", ())

    def option(self, value: Any) -> str:
        """Return the value of an option of `sedkit score` as a word."""
        if isinstance(value, list):
            return ",".join(map(str, value))
        if isinstance(value, bool):
            return str(value).lower()
        beside = self.args.recipe.parent / str(value)
        return str(beside) if beside.is_file() else str(value)
