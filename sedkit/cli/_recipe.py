"""`recipe.yaml`: a recipe's data sets, its sets and what each is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sedkit.core.errors import UsageError, listed, suggest


@dataclass(frozen=True)
class Tuned:
    """What a part of the rules is tuned on.

    Attributes
    ----------
    set, fold
        The data dir, and which of its folds; None is the whole set, whose figures are then those of the presets alone.
    objective
        Of `sedkit tune`.
    labels
        The table of the data dir that holds what is true.
    optional
        Leave it out where the data dir or its fold is not there; of others, the first preset stands for all rules then.
    """

    set: str
    objective: str
    fold: str | None = None
    labels: str = "strong.tsv"
    optional: bool = False

    @property
    def name(self) -> str:
        """What tells it from others, in the name of its rules."""
        return f"{self.objective}.{name_of(self.set)}"


@dataclass(frozen=True)
class Recipe:
    """A recipe's data sets, its sets (folders below `--data`), and what each is for.

    Attributes
    ----------
    data_sets
        Data set -> folder of its data dirs.
    predicted
        Sets that systems score.
    tagged
        Sets that passes tag: for the gate of their systems, and as labels for what comes after them.
    tuned
        In turn: each objective starts with the rules of the one before.
    reported
        Predicted sets with figures -> folds that have figures of their own, too.
    entered
        Predicted sets to enter a challenge with: the first that was prepared.
    format, development
        Of the submission: its format, and the results that it states as the development set's, or those of several.
    submitted_seeds
        How many trainings of a system are submitted.
    presets
        Name -> rules that decode reported sets beside the tuned ones.
    tuned_from
        Name -> rules at which tuning begins another time, for further tuned rules beside those without a name.
    operating_points
        Thresholds at which reported sets are decoded, too, for PSDS; None: PSDS is that of the scores themselves.
    oracle
        Name -> preset that decodes reported sets again, behind a gate of their own reference's classes: an upper bound.
    windows
        Name of a table of windows in reported sets' data dirs, each of which is a clip of its own for the presets.
    excerpts
        Predicted sets whose recordings are scored in excerpts, each a clip of its own: those of `excerpts.tsv`.
    score
        Options of `sedkit score`; paths are seen from the recipe's folder.
    score_of
        Reported set -> options in which it differs from `score`; null does without one.
    masks
        Metrics of masks, for reported sets that are mixtures with their stems.
    report_clips
        Clips of each reported set with sound in the page of a run; 0: no page.
    compared
        The system that others are held against.
    contrasts
        Of `sedkit benchmark`.
    """

    data_sets: dict[str, str]
    tuned: list[Tuned]
    predicted: list[str]
    reported: dict[str, list[str]]
    tagged: list[str] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)
    format: str = ""
    development: list[str] = field(default_factory=lambda: ["validation"])
    submitted_seeds: int = 1
    presets: dict[str, str | float] = field(default_factory=dict)
    tuned_from: dict[str, str | float] = field(default_factory=dict)
    operating_points: int | None = None
    oracle: dict[str, str] = field(default_factory=dict)
    windows: str | None = None
    excerpts: list[str] = field(default_factory=list)
    score: dict[str, Any] = field(default_factory=dict)
    score_of: dict[str, dict[str, Any]] = field(default_factory=dict)
    masks: list[str] = field(default_factory=list)
    report_clips: int = 24
    compared: str | None = None
    contrasts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        of_sets = {"reported": self.reported, "entered": self.entered, "excerpts": self.excerpts}
        for use, sets in of_sets.items():
            for name in sets:
                if name not in self.predicted:
                    raise UsageError(f"{use} has {name!r}, which is not predicted{suggest(name, self.predicted)}")
        for name in self.score_of:
            if name not in self.reported:
                raise UsageError(f"score_of has {name!r}, which is not reported{suggest(name, self.reported)}")
        _distinct("predicted sets", map(name_of, self.predicted))
        for name in self.oracle.values():
            if name not in self.presets:
                raise UsageError(f"oracle has {name!r}, which is no preset{suggest(name, self.presets)}")
        _distinct("rules", [*self.presets, *self.oracle, *self.tuned_from])
        _distinct("tuned sets", {(tuned.set, tuned.fold): name_of(tuned.set) for tuned in self.tuned}.values())
        _distinct("tuned", (tuned.name for tuned in self.tuned))
        folds = [fold for folds in self.reported.values() for fold in folds]
        _distinct("reported sets and folds", [*map(name_of, self.reported), *folds])

    def of(self, axes: Mapping[str, str]) -> Recipe:
        """Return the recipe as a run fills it: its values in place of `{snr_db}` and other axes in the sets' names.

        Raises
        ------
        UsageError
            An axis that the run's name does not tell.
        """
        from sedkit.core.config import fill

        sets = fill(asdict(self), axes, "recipe.yaml", "the run's name")
        return replace(self, **sets | {"tuned": [Tuned(**tuned) for tuned in sets["tuned"]]})


@dataclass(frozen=True)
class DecodingSettings:
    """The section `decoding` of a system: how stages decode its runs.

    Attributes
    ----------
    gate
        What says in which clips a class's events are looked for: one of the system's passes, or a folder of tables of
        tags, `<set>.tsv`, made by anyone. None: the clip scores of the run itself, where the rules say so.
    presets
        Rules beside or in place of the recipe's presets of the same name; null does without one.
    """

    gate: str | None = None
    presets: dict[str, str | float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class System:
    """What stages have to know of a system: how it is decoded, and its passes."""

    decoding: DecodingSettings = field(default_factory=DecodingSettings)
    passes: Mapping[str, Any] = field(default_factory=dict)

    def gate(self, run: Path) -> Path | None:
        """Return the folder of the tables that gate a run, or None."""
        from sedkit.core.config import pass_of

        gate = self.decoding.gate
        if gate is None:
            return None
        return pass_of(run, self.passes, gate) / "tags" if gate in self.passes else Path(gate)


def read_system(path: Path) -> System:
    """Read what stages have to know of a system from its configuration.

    Raises
    ------
    UsageError
        An unknown key, or a gate that is neither a pass of the system nor a folder.
    """
    from sedkit.core.config import read_config, read_passes, typed
    from sedkit.core.naming import naming_file

    with naming_file(path):
        decoding = typed(read_config(path).get("decoding"), DecodingSettings, "decoding")
        passes = read_passes(path)
        if decoding.gate is not None and decoding.gate not in passes and not Path(decoding.gate).is_dir():
            raise UsageError(
                f"decoding.gate is {decoding.gate!r}{suggest(decoding.gate, passes)}, expected one of the passes "
                f"({listed(passes) or 'there are none'}) or a folder of tables of tags"
            )
    return System(decoding, passes)


def _distinct(what: str, names: Iterable[str]) -> None:
    """Refuse names that files would share."""
    seen = list(names)
    twice = {name for name in seen if seen.count(name) > 1}
    if twice:
        raise UsageError(f"{what}: {listed(twice)} is there twice, expected names that differ")


def name_of(path: str) -> str:
    """Return what the files of a set are called after: the last part of its path."""
    return path.rpartition("/")[2]


def read_recipe(path: Path) -> Recipe:
    """Read and check a `recipe.yaml`.

    Raises
    ------
    UsageError
        A missing or unknown key, a set that is reported but not predicted, two sets whose files would have one name.
    """
    from sedkit.core.config import typed
    from sedkit.core.files import read_yaml

    return typed(read_yaml(path), Recipe, str(path))
