"""What a report is of: the sets of runs, the systems on them, and what it is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.runs import training_of
from sedkit.dataio.datadir import TABLES, DataDir
from sedkit.report.panels import SYSTEM_COLOURS
from sedkit.report.runs import RunSubject, chosen_sets
from sedkit.report.sets import SetSubject

#: What a run's page is made from, beside its output and its data.
_SOURCES = ("config.yaml", "environment.json", "metrics.jsonl", "postprocessing.yaml", "results", "energy")


@dataclass(frozen=True)
class PageOptions:
    """What a page holds.

    Attributes
    ----------
    clips
        Clips of each set with sound, spectrogram and score curves: how many, or which.
    max_mb
        Megabytes of all of these together.
    folds
        Only clips of these folds of the data dirs.
    """

    clips: int | Sequence[str] = 100
    max_mb: float = 30.0
    folds: Sequence[str] | None = None


@dataclass
class ReportedSet:
    """A set of a page: the systems on it, its data dir, what is drawn, and what is missing."""

    name: str
    data: DataDir | None
    systems: tuple[SetSubject | None, ...]
    charts: list[dict[str, Any]] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    @property
    def outputs(self) -> list[SetSubject]:
        """The output of the systems that have any on it."""
        return [system for system in self.systems if system is not None]


def read_sets(runs: Sequence[RunSubject], given: Sequence[DataDir], options: PageOptions) -> list[ReportedSet]:
    """Read the output of every run on every set, on the clips that all of them list.

    Raises
    ------
    UsageError
        More runs than can be told apart.
    SedkitError
        A file that cannot be read, or runs whose clips have nothing in common.
    """
    if len(runs) > len(SYSTEM_COLOURS):
        raise UsageError(f"{len(runs)} experiments: expected {len(SYSTEM_COLOURS)} at most, to tell them apart")
    out = []
    for name in chosen_sets(runs):
        having = [run for run in runs if name in run.files]
        data = next(filter(None, (run.data_of(name, given) for run in having)), None)
        systems = [
            SetSubject.read(name, data, run.files[name], options.folds, run.name, run.path if run.is_folder else None)
            if run in having
            else None
            for run in runs
        ]
        shared = set.intersection(*({*system.filenames} for system in systems if system is not None))
        if not shared:
            raise SedkitError(f"{name}: {' and '.join(run.name for run in having)} list no clip in common")
        cut = tuple(None if system is None else system.keep_clips(shared) for system in systems)
        lacking = [f"{run.name} has no output on {name}" for run in runs if run not in having]
        lacking += [
            f"{system.system} lists {len(system.filenames)} clips of {name}, of which {len(shared)} are reported"
            for system in systems
            if system is not None and len(system.filenames) > len(shared)
        ]
        lacking += [remark for system in cut if system is not None for remark in system.remarks]
        out.append(ReportedSet(name, data, cut, lacking=lacking))
    return out


def sources_of(runs: Sequence[RunSubject], given: Sequence[DataDir]) -> dict[str, Path]:
    """Return the files and folders that the page of runs is made from, by what they are to it."""
    sources = {}
    for k, run in enumerate(runs):
        for name in _SOURCES:
            for home in dict.fromkeys((run.path, training_of(run.path)[0])):
                if (home / name).exists():
                    sources[f"{k} {name}"] = home / name
        for name, files in run.files.items():
            sources |= {f"{k} {name} {key}": path for key, path in files._asdict().items() if path is not None}
            data = run.data_of(name, given)
            if data is not None:
                sources |= {f"{name} {table}": data.path / table for table in TABLES if (data.path / table).is_file()}
    return sources
