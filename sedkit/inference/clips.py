"""Which checkpoint and which clips: found without torch, so that a call with nothing to do ends at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.config import read_config
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.runs import run_of, training_of
from sedkit.core.stamp import Source as Inputs
from sedkit.core.stamp import facts_of
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.names import stem
from sedkit.dataio.rows import read_rows, refuse
from sedkit.dataio.windows import Ints, Windows, windows_at
from sedkit.features.frontends import (
    FrontEnd,
    expect_features,
    features_path,
    frontend_from,
    frontends_from,
    open_features,
)
from sedkit.features.sources import Source, StoredFeatures, open_waveforms


def checkpoint_of(experiment: Path, which: str = "best", network: str | None = None) -> tuple[Path, str | None]:
    """Return the checkpoint of an experiment (a checkpoint file stands for itself), and the network of it to take.

    Parameters
    ----------
    experiment
        Its folder, or that of the run of one of its networks (`sedkit.core.runs.training_of`).
    which
        `best` or `last`.
    network
        As asked for; None takes that of the run, else the one that the checkpoint selects (None is returned).

    Raises
    ------
    SedkitError
        Neither an experiment nor a file; the message says what is there.
    UsageError
        A network is asked for that is not the run's.
    """
    if experiment.is_file():
        return experiment, network
    folder, named = training_of(experiment)
    if named is not None and network not in (None, named):
        raise UsageError(f"--network {network}: {experiment} is the run of {named}; give {run_of(folder, network)}")
    path = folder / "checkpoints" / f"{which}.pt"
    if not path.is_file():
        others = [p.stem for p in sorted((folder / "checkpoints").glob("*.pt"))]
        raise SedkitError(f"{path}: no such checkpoint (has {listed(others) or 'none'}); make it with `sedkit train`")
    return path, network or named


def rules_of(experiment: Path, given: str | PathLike[str] | float | None = None) -> str | None:
    """Return what `read_postprocessing` is to read: what was given, else the experiment's own rules.

    None for those that a checkpoint file holds itself.

    Raises
    ------
    UsageError
        There are none.
    """
    if given is not None:
        return str(given)
    if experiment.is_file():
        return None
    tuned = experiment / "postprocessing.yaml"
    if not tuned.is_file():
        raise UsageError(
            f"{experiment}: has no postprocessing.yaml; make it with `sedkit tune`, or give --postprocessing "
            "FILE.yaml, a preset (published) or a threshold (0.5)"
        )
    return str(tuned)


def frontends_of(checkpoint: Path) -> tuple[FrontEnd, dict[str, FrontEnd]]:
    """Return the front end of a checkpoint and those of its embeddings: from config.yaml, else from the file itself."""
    config = checkpoint.parent.parent / "config.yaml"
    if checkpoint.parent.name == "checkpoints" and config.is_file():
        where, sections = config, read_config(config)
        frontend, embeddings = sections.get("frontend"), sections.get("embeddings")
    else:
        from sedkit.models.checkpoint import read_checkpoint

        where, content = checkpoint, read_checkpoint(checkpoint)
        frontend, embeddings = content.frontend, content.embeddings
    return frontend_from(frontend, f"{where}: frontend"), frontends_from(embeddings, f"{where}: embeddings")


@dataclass(frozen=True)
class Place:
    """Clips to score: a features file as given, or a data dir with its features or recordings.

    Attributes
    ----------
    features
        The file that is read, and no other; None where recordings are cut.
    embeddings
        The files of further features, by name.
    data
        The data dir; None for a features file that lies in none.
    folds
        Only these of the data dir.
    table
        Windows to score, each as a clip of its own (`filename`, `onset`, `offset`, and where it has a name of its own
        `excerpt`); None scores whole recordings.
    """

    features: Path | None
    data: DataDir | None
    folds: Sequence[str] | None = None
    table: Path | None = None
    embeddings: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        path: Path,
        frontend: FrontEnd,
        folds: Sequence[str] | None = None,
        table: Path | None = None,
        embeddings: Mapping[str, FrontEnd] = MappingProxyType({}),
    ) -> Place:
        """Find what a path names for a front end, and in the same folder for those of embeddings.

        Raises
        ------
        SedkitError
            No such file, no features of this front end, or a features file where the front end needs recordings.
        """
        folder = path if path.is_dir() else path.parent
        data = DataDir(folder) if path.is_dir() or (folder / "clips.tsv").is_file() else None
        if data is None and folds is not None:
            raise UsageError(f"--fold: {path} does not lie in a data dir, whose clips.tsv would tell the folds")
        if not frontend.sliceable:
            if not path.is_dir():
                raise UsageError(f"{path}: the network cuts its windows out of recordings, expected a data dir")
            return cls(None, data, folds, table)
        main = features_path(path, frontend) if path.is_dir() else path
        beside = {name: features_path(folder, other) for name, other in embeddings.items()}
        for file in (main, *beside.values()):
            expect_features(file)
        return cls(main, data, folds, table, beside)

    def inputs(self) -> dict[str, Inputs]:
        """Return the files that the scores depend on."""
        inputs: dict[str, Inputs] = {}
        if self.features is not None:
            inputs["features"] = self.features
        inputs |= {f"embeddings.{name}": file for name, file in self.embeddings.items()}
        if self.data is not None:
            inputs["clips.tsv"] = self.data.path / "clips.tsv"
            if self.features is None:
                inputs["recordings"] = self.data.recordings()
        return inputs | ({"windows": self.table} if self.table is not None else {})

    def facts(self) -> dict[str, Any]:
        """Return what stamps say of the clips: data set and folds, and role; of features alone, what theirs says."""
        if self.data is None:
            return {"of": [], "role": None} | (facts_of(self.features) if self.features is not None else {})
        folds = [None] if self.folds is None else list(self.folds)
        return {"of": [[self.data.identity, fold] for fold in folds], "role": self.data.role}


@dataclass(frozen=True)
class Clips:
    """Clips that can be scored.

    Attributes
    ----------
    source
        Of their features.
    filenames, duration_s
        Of each; the duration is that of the recording where a data dir tells it.
    windows
        Where each clip is a window of a recording: that window.
    """

    source: Source
    filenames: tuple[str, ...]
    duration_s: NDArray[np.float64]
    windows: Windows | None = None


def open_clips(place: Place, frontend: FrontEnd, embeddings: Mapping[str, FrontEnd] = MappingProxyType({})) -> Clips:
    """Open the clips of a place.

    Raises
    ------
    SedkitError
        Features of another front end, clips without features, no clip at all, windows of several lengths.
    """
    data = place.data
    file = open_features(place.features, frontend) if place.features is not None else None
    beside = {name: open_features(path, embeddings[name]) for name, path in place.embeddings.items()}
    if data is not None:
        chosen = data.select(place.folds)
        names = tuple(data.clips.filename[i] for i in chosen)
        duration_s = data.clips.duration_s[chosen]
    else:
        assert file is not None
        chosen = np.arange(len(file.filenames))
        names, duration_s = file.filenames, file.n_frames * file.hop_samples / file.sample_rate

    def source_of(recordings: Ints) -> Source:
        if file is None:
            assert data is not None
            return open_waveforms(data, chosen[recordings], frontend)
        filenames = [names[i] for i in recordings]
        source = StoredFeatures.of(file, frontend, filenames)
        source.embeddings = {
            name: StoredFeatures.of(other, embeddings[name], filenames) for name, other in beside.items()
        }
        return source

    if not names:
        raise SedkitError(f"{place.features or (data and data.path)}: no clip to score")
    if place.table is None:
        return Clips(source_of(np.arange(len(names))), names, duration_s)
    onset_s, offset_s, recording, clips = _read_windows(place.table, names, duration_s)
    source, grid = source_of(recording), frontend.window_grid
    lengths = np.rint((offset_s - onset_s) * grid.frame_rate_hz).astype(np.int64)
    length = int(lengths.max())
    # The last window of a recording may end with it: what it lacks is silence.
    cut = offset_s >= duration_s[recording] - 0.5 / grid.frame_rate_hz
    if lengths.min() < 1 or (lengths[~cut] != length).any():
        raise SedkitError(
            f"{place.table}: windows of {(offset_s - onset_s).min():g} to {(offset_s - onset_s).max():g} s, expected "
            "all of one length, but for those that end with their recording"
        )
    windows = windows_at(grid, np.arange(len(onset_s)), onset_s, length, source.n_frames)
    names_once, at = np.unique(clips, return_index=True)
    if len(names_once) < len(clips):
        twice = clips[np.setdiff1d(np.arange(len(clips)), at)[0]]
        raise SedkitError(f"{place.table}: the window {twice} stands twice, expected each once")
    return Clips(source, clips, offset_s - onset_s, windows)


def _read_windows(
    path: Path, names: Sequence[str], duration_s: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Ints, tuple[str, ...]]:
    """Read onset, offset (seconds) and recording of each window of a table, and what it is called."""
    table = read_rows(path, ("filename", "onset", "offset"), ("excerpt",), numbers=("onset", "offset"))
    refuse(table.findings, path)
    index = {name: i for i, name in enumerate(names)}
    filenames = list(table.cells("filename"))
    strangers = [name for name in filenames if name not in index]
    if strangers or not filenames:
        what = f"{len(strangers)} clips that are not scored here ({listed(strangers, 3)})" if strangers else "no row"
        raise SedkitError(f"{path}: {what}, expected windows of the data dir's clips")
    recording = np.array([index[name] for name in filenames], dtype=np.int64)
    onset_s, offset_s = table.numbers("onset"), table.numbers("offset")
    # Annotations, and windows made from them, may reach a little beyond their recording: there is silence.
    beyond_s = onset_s - duration_s[recording]
    outside = np.flatnonzero(~((onset_s >= 0) & (offset_s > onset_s) & (beyond_s < offset_s - onset_s)))
    if len(outside):
        row = outside[0]
        raise SedkitError(
            f"{path}:{table.line[row]}: a window from {table.text('onset', row)!r} to {table.text('offset', row)!r}, "
            f"expected seconds of {filenames[row]}, which has {duration_s[recording[row]]:g}"
        )
    if "excerpt" in table.names:
        return onset_s, offset_s, recording, tuple(table.cells("excerpt"))
    bounds = zip(recording.tolist(), onset_s.tolist(), offset_s.tolist(), strict=True)
    clips = (f"{stem(names[i])}_{round(1000 * a)}_{round(1000 * b)}.wav" for i, a, b in bounds)
    return onset_s, offset_s, recording, tuple(clips)
