"""Which data dirs, folds and features the streams of a run read. Importable without torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.stamp import facts_of
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.folds import others, with_parts
from sedkit.features.augment import folds_read, sets_read
from sedkit.features.frontends import FrontEnd, expect_features, features_path
from sedkit.synthesis.plan import MixSettings
from sedkit.training.settings import HELD_OUT, DataSettings, StreamSettings

#: How keys of streams that are trained on begin.
_TRAINED = "data.streams."
#: Roles of sets that nothing is trained or selected on.
NOT_TRAINED_ON = ("reported", "entered")


class Sets:
    """The sets of a run.

    Parameters
    ----------
    root
        Folder of the data dirs.
    data
        What is trained on, selected on and drawn.
    train_on
        `split`, `all` or `all+validation`.
    frontends
        Whose features are read.
    mix
        How mixtures are made; None where no stream is of them.
    """

    def __init__(
        self, root: Path, data: DataSettings, train_on: str, frontends: Sequence[FrontEnd], mix: MixSettings | None
    ) -> None:
        self.root, self.data, self.train_on, self.frontends, self.mix = root, data, train_on, frontends, mix
        self.streams = list(data.of_run(train_on))
        #: Reported sets that are trained on all the same, and those of them that join every labelled stream.
        self.allowed = {"validation"} if train_on == "all+validation" else set()
        self.joined = self.allowed - {stream.set for stream in self.trained.values()}

    @property
    def trained(self) -> dict[str, StreamSettings]:
        """The streams that are trained on, by name."""
        return {key.split(".", 2)[2]: stream for key, stream in self.streams if key.startswith(_TRAINED)}

    def check(self) -> None:
        """Refuse what must not be trained on, and ask for what is not there.

        Raises
        ------
        UsageError
            A set that is reported or entered, or a fold that is held out.
        SedkitError
            A data dir or features that are absent.
        """
        for key, stream in self.streams:
            beside = list(self.beside(stream, key))
            for name in (stream.set, *(name for _, name, _ in beside)):
                if (data := self.data_dir(name)).role in NOT_TRAINED_ON and name not in self.allowed:
                    raise UsageError(
                        f"{key}: {data.identity} is {data.role}: nothing is trained or selected on it (--train-on "
                        "all+validation adds validation, whose figures are then refused)"
                    )
            folds = self.folds(stream, key)
            self.data_dir(stream.set).select(folds)
            read = [(f"{key}.folds", folds), *((where, named) for where, _, named in beside)]
            for where, named in read if key.startswith(_TRAINED) else ():
                if held_out := [fold for fold in named or () if fold in HELD_OUT]:
                    raise UsageError(f"{where}: {held_out[0]} is held out of training, expected others, such as train")
            if stream.source == "features":
                self.features(stream.set)
        for name in self.joined:
            self.features(name)

    def folds(self, stream: StreamSettings, key: str) -> list[str] | None:
        """Return the folds of a stream, as given or else `train`; None where the set has none, or all are wanted."""
        if self.train_on != "split" and key.startswith(_TRAINED):
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

    def of(self, stream: StreamSettings, key: str) -> list[str]:
        """Return the data dirs of a stream."""
        joined = self.joined if key.startswith(_TRAINED) and stream.labels.target != "none" else ()
        return [stream.set, *joined]

    @cached_property
    def drawn(self) -> tuple[str, ...]:
        """Sets for curves alone, of those that are there with labels and features and not trained on."""

        def usable(name: str) -> bool:
            folder = self.root / name
            labelled = (folder / "weak.tsv").is_file() or (folder / "strong.tsv").is_file()
            return labelled and all(features_path(folder, frontend).is_file() for frontend in self.frontends)

        return tuple(name for name in self.data.draw if usable(name) and name not in self.allowed)

    def saw(self, weights: str | None) -> dict[str, list[list[str | None]]]:
        """Return what the run trains and selects on: (data set, fold), no fold for all.

        What was seen by the runs behind pseudo labels and a file of weights counts, as their stamps tell it.
        """
        facts: dict[str, list[list[str | None]]] = {"trained": [], "selected": []}
        for key, stream in self.streams:
            kind = "trained" if key.startswith(_TRAINED) else "selected"
            for name in self.of(stream, key):
                folds = self.folds(stream, key) if name == stream.set else None
                facts[kind] += [[self.data_dir(name).identity, fold] for fold in folds or [None]]
            for _, name, folds in self.beside(stream, key):
                facts[kind] += [[self.data_dir(name).identity, fold] for fold in folds or [None]]
        for source in {weights, *(stream.labels.source for _, stream in self.streams)} - {None}:
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
        folder = self.root / name
        if not (folder / "clips.tsv").is_file():
            raise SedkitError(f"{folder}: no such data dir; make it with `sedkit prepare`")
        return DataDir(folder)

    def features(self, name: str) -> dict[str, Path]:
        """Return the features files of a set, one a front end, by name; raise SedkitError where one is not there."""
        folder = self.data_dir(name).path
        paths = [features_path(folder, frontend) for frontend in self.frontends]
        for path in paths:
            expect_features(path)
        return {"features" if not place else path.stem: path for place, path in enumerate(paths)}
