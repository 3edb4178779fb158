"""A run as a report has it: what was run, what it left on disk, and which data its sets are of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.experiment_folder import SET_ORDER, ExperimentFolder
from sedkit.core.files import read_records
from sedkit.core.runs import training_of
from sedkit.core.stamp import facts_of
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.rows import TABLES, columns_of, tables_in
from sedkit.evaluation.results_file import Results, read_results
from sedkit.report.sets import SetFiles, usual_files

_SCORES = (".h5", ".hdf5")
_TABLES = tuple(TABLES)
CHECKPOINT = ".pt"
#: One of these makes a folder an experiment.
_FOLDERS = ("checkpoints", "scores", "events", "results")


@dataclass(frozen=True)
class RunSubject:
    """A run, or an output that somebody else's system made.

    Attributes
    ----------
    path
        The experiment's folder, or the file or folder of scores, or the table of events.
    name
        What it is called.
    experiment
        Its folder, where `sedkit train` wrote a configuration.
    files
        Its output by set.
    history
        The records of `metrics.jsonl`.
    results
        Its results files.
    lacks
        Why there is no `history`, and no `network`.
    is_folder
        Whether it is an experiment's folder, not an output or a checkpoint alone.
    """

    path: Path
    name: str
    experiment: ExperimentFolder | None = None
    files: Mapping[str, SetFiles] = field(default_factory=dict)
    history: tuple[Mapping[str, Any], ...] = ()
    results: tuple[Results, ...] = ()
    lacks: Mapping[str, str] = field(default_factory=dict)
    is_folder: bool = True

    @classmethod
    def open(cls, path: Path) -> RunSubject:
        """Take an experiment, scores (a file, or a folder of TSVs) or a table of events for a run.

        Raises
        ------
        SedkitError
            Nothing of these, or a file in it that cannot be read.
        """
        if path.is_file() and path.suffix in _SCORES:
            return cls._foreign(path, SetFiles(scores=path))
        if path.is_file() and path.suffix == CHECKPOINT:
            return cls(path, path.stem, lacks={"history": f"{path} is a checkpoint alone"}, is_folder=False)
        if path.is_file() and path.suffix in _TABLES:
            return cls._foreign(path, SetFiles(events=path))
        first = next(iter(tables_in(path)), None) if path.is_dir() else None
        if first is not None and "onset" in columns_of(first) and not (training_of(path)[0] / "config.yaml").is_file():
            return cls._foreign(path, SetFiles(scores=path))
        if not path.is_dir():
            what = "is neither scores (.h5, a folder of TSVs) nor events (.tsv)" if path.exists() else "is not there"
            raise SedkitError(f"{path}: {what}, expected an experiment's folder or a system's output")
        has_config = (training_of(path)[0] / "config.yaml").is_file()
        if not has_config and not any((path / name).is_dir() for name in _FOLDERS):
            raise SedkitError(
                f"{path}: is no experiment (no config.yaml, {', '.join(f'{name}/' for name in _FOLDERS)} in it); "
                "`sedkit train` makes one, scores and events made elsewhere are given as files"
            )
        experiment = ExperimentFolder(path) if has_config else None
        files = ExperimentFolder(path).results()
        results = tuple(read_results(file) for file in files.values())
        history, lacks = _history(training_of(path)[0] / "metrics.jsonl"), {}
        if not history:
            lacks["history"] = f"there is no {training_of(path)[0] / 'metrics.jsonl'}"
        if not any((training_of(path)[0] / "checkpoints").glob(f"*{CHECKPOINT}")):
            lacks["network"] = f"there is no checkpoint in {training_of(path)[0] / 'checkpoints'}"
        name = f"{experiment.system if experiment else path.resolve().parent.name}/{path.resolve().name}"
        return cls(path, name, experiment, _sets(path, results), history, results, lacks)

    @classmethod
    def _foreign(cls, path: Path, files: SetFiles) -> RunSubject:
        lacks = dict.fromkeys(("history", "network"), f"{path} is no experiment")
        return cls(path, path.stem, None, {path.stem: files}, lacks=lacks, is_folder=False)

    @property
    def has_network(self) -> bool:
        """Whether there is a checkpoint, to ask the network of other recordings."""
        return "network" not in self.lacks

    def on(self, given: Sequence[DataDir]) -> RunSubject:
        """Return the run on the sets of some data dirs, whether it has output on them or not.

        An output made elsewhere is called as it likes: it is of the one data dir that is given.
        """
        if not self.is_folder and self.files:
            if len(given) > 1:
                raise UsageError(f"{self.path} is of one set: expected one data dir, got {len(given)}")
            return replace(self, files={given[0].path.resolve().name: next(iter(self.files.values()))})
        files = {}
        for data in given:
            name = next((name for name in self.files if self.data_of(name, [data]) is data), data.path.resolve().name)
            files[name] = self.files.get(name) or usual_files(self.path, name)
        return replace(self, files=files)

    def data_of(self, name: str, given: Iterable[DataDir] = ()) -> DataDir | None:
        """Return the data dir of a set: one of those given, else where the experiment and its results say it is.

        The name of a set is that of its data dir; where the scores tell which clips they are of, a data dir of another
        name may be it too, and one of the same name that is another set is not.
        """
        files = self.files.get(name, SetFiles())
        of = {str(place[0]) for path in (files.scores, files.events) if path for place in facts_of(path).get("of", ())}

        def is_it(data: DataDir) -> bool:
            return data.identity in of if of else data.path.resolve().name == name

        for data in given:
            if is_it(data) or data.path.resolve().name == name:
                return data
        for folder in self._data_places(name):
            if (folder / "clips.tsv").is_file() and is_it(data := DataDir(folder)):
                return data
        return None

    def _data_places(self, name: str) -> Iterable[Path]:
        """Yield where the data dir of a set may be, the likeliest first."""
        for results in self.results:
            if results.reference_path and _set_of(results, [name]) == name:
                yield Path(results.reference_path).parent
        if self.experiment is None:
            return
        root, made_at = self.experiment.environment.get("data"), self.experiment.environment.get("place")
        if not isinstance(root, str):
            return
        # Data and experiments may have been moved together.
        roots = [Path(root)]
        if isinstance(made_at, str):
            before, now = Path(made_at), self.experiment.training.resolve()
            common = next((folder for folder in before.parents if Path(root).is_relative_to(folder)), None)
            depth = 0 if common is None else len(before.relative_to(common).parts)
            if common is not None and depth < len(now.parts):
                roots.append(now.parents[depth - 1] / Path(root).relative_to(common))
        for folder in roots:
            yield folder / name
            yield from sorted(folder.glob(f"*/{name}"))


def _history(path: Path) -> tuple[Mapping[str, Any], ...]:
    """Return the records of a run; the last one may be cut off, where a run was stopped."""
    records = read_records(path)
    return tuple(one for one in records if isinstance(one, dict) and isinstance(one.get("step"), int))


def _sets(path: Path, results: Sequence[Results]) -> dict[str, SetFiles]:
    """Return the files of every set that is reported: that has results, else events, else scores."""
    scores = sorted(file.stem for file in (path / "scores").glob("*.h5"))
    events = sorted(file.stem for file in (path / "events").glob("*.tsv"))
    names = [*scores, *(name for name in events if not _longest(name, scores))]
    decoded = {_longest(name, names) for name in events}
    reported = {_set_of(one, names) for one in results} - {None}
    kept = [name for name in names if name in reported] or [name for name in names if name in decoded] or names
    out = {}
    for name in kept:
        files = usual_files(path, name)
        if files.events is None:
            # Where all of a set was tuned on, its figures are those of presets.
            others = [other for other in events if other.startswith(f"{name}.") and _longest(other, names) == name]
            preset = others[0] if others else name
            table, points = path / "events" / f"{preset}.tsv", path / "points" / preset
            files = files._replace(
                events=table if table.is_file() else None, points=points if points.is_dir() else files.points
            )
        out[name] = files
    return out


def _longest(name: str, sets: Iterable[str]) -> str | None:
    """Return the set that a file's name begins with: `validation.published` is of `validation`."""
    fitting = [one for one in sets if name == one or name.startswith(f"{one}.")]
    return max(fitting, key=len, default=None)


def _set_of(results: Results, sets: Sequence[str]) -> str | None:
    output = Path(results.output_path or "")
    if output.parent.name in ("events", "scores", "points"):
        return _longest(output.name.removesuffix(output.suffix), sets) or _longest(output.name, sets)
    return _longest(results.path.stem, sets)


def _rank(name: str) -> int:
    return SET_ORDER.index(name) if name in SET_ORDER else -1


def open_runs(
    paths: Sequence[Path],
    given: Sequence[DataDir] = (),
    wanted: Sequence[str] | None = None,
    scores: Path | None = None,
    events: Path | None = None,
) -> list[RunSubject]:
    """Open what is reported.

    Parameters
    ----------
    paths
        As `RunSubject.open` takes them.
    given
        Data dirs whose sets are reported; none: the sets that the runs have results on.
    wanted
        Only these of the sets.
    scores, events
        In place of a run's own, of one set.

    Raises
    ------
    UsageError
        `scores` or `events` where there are several runs or sets, a set that no run has.
    """
    runs = [RunSubject.open(path) for path in paths]
    if given:
        runs = [run.on(given) for run in runs]
    names = chosen_sets(runs, wanted)
    runs = [replace(run, files={name: run.files[name] for name in names if name in run.files}) for run in runs]
    other = {key: path for key, path in (("scores", scores), ("events", events)) if path is not None}
    if other and (len(runs), len(names)) != (1, 1):
        raise UsageError(
            f"--{next(iter(other))} is of one set of one experiment, got {len(runs)} experiments and "
            f"{len(names)} sets ({listed(names) or 'none'}): --data or --set names one"
        )
    if other:
        # Operating points are those of the experiment's own output.
        runs = [replace(runs[0], files={names[0]: runs[0].files[names[0]]._replace(points=None, **other)})]
    twice = {run.name for run in runs if [one.name for one in runs].count(run.name) > 1}
    return [replace(run, name=str(run.path)) if run.name in twice else run for run in runs]


def chosen_sets(runs: Sequence[RunSubject], wanted: Sequence[str] | None = None) -> list[str]:
    """Return the sets of a report: those asked for, else all that any of the runs has.

    Raises
    ------
    UsageError
        A set that no run has.
    """
    # The development set first, as results are told; then as the files' names have it.
    names = sorted({name for run in runs for name in run.files}, key=lambda name: (-_rank(name), name))
    for name in wanted or ():
        if name not in names:
            raise UsageError(f"--set {name}: no run has it{suggest(name, names)} (there: {listed(names) or 'none'})")
    return list(dict.fromkeys(wanted)) if wanted else names
