"""Where the features of windows come from: slices of stored features, or waveforms with the front end run on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.dataio.windows import Ints, Windows, windows_at
from sedkit.features.frontends import FrontEnd, features_path, open_features
from sedkit.features.scales import to_amplitude

Floats = NDArray[np.float32]


class Source(Protocol):
    """Recordings of which windows can be had.

    Attributes
    ----------
    frontend
        Whose features they are.
    n_frames
        (recordings,) int64, frames on the front end's window grid that each recording fills.
    embeddings
        Sources of further features of the same recordings, by name.
    """

    frontend: FrontEnd
    n_frames: Ints
    embeddings: Mapping[str, Source]

    def features(self, windows: Windows) -> Floats:
        """Return the features of windows, (n, frames, bins) float32; the front end's silence beyond a recording."""

    def power(self, windows: Windows) -> NDArray[np.float64]:
        """Return the mean power of each window, (n,), in a unit that is the same for all of a recording."""


class StoredFeatures:
    """Windows as slices of the features of whole recordings.

    Parameters
    ----------
    features
        (rows, frames, bins) float32 or float16; an array or a memory map.
    rows
        (recordings,) row of each recording.
    n_frames
        (rows,) frames that each row's recording fills.
    frontend
        That made them.
    """

    def __init__(self, features: NDArray[np.floating], rows: Ints, n_frames: Ints, frontend: FrontEnd) -> None:
        self._features, self._rows, self.frontend = features.view(np.ndarray), rows, frontend
        self.n_frames = n_frames[rows]
        self.embeddings: Mapping[str, Source] = {}

    @classmethod
    def open(cls, path: Path, frontend: FrontEnd, filenames: Sequence[str]) -> StoredFeatures:
        """Open a features file of the front end for some of its clips.

        Raises
        ------
        SedkitError
            Another front end, or clips that the file lacks.
        """
        return cls.of(open_features(path, frontend), frontend, filenames)

    @classmethod
    def of(cls, file: FeatureFile, frontend: FrontEnd, filenames: Sequence[str]) -> StoredFeatures:
        """Take some clips of an open features file of the front end."""
        return cls(file.features, rows_of(file, filenames), file.n_frames, frontend)

    def features(self, windows: Windows) -> Floats:
        rows, stored = self._rows[windows.recording], self._features.shape[1]
        if windows.length == stored and not windows.first.any():
            # "clip": rows are in range, and numpy needs no buffer then.
            return np.take(self._features, rows, axis=0, mode="clip").astype(np.float32, copy=False)
        out = np.empty((len(rows), windows.length, self._features.shape[2]), dtype=np.float32)
        for target, row, first in zip(out, rows.tolist(), windows.first.tolist(), strict=True):
            piece = self._features[row, first : first + windows.length]
            target[: len(piece)] = piece
            target[len(piece) :] = self.frontend.padding
        return out

    def power(self, windows: Windows) -> NDArray[np.float64]:
        return _mean_power(windows, self._frame_power)

    def _frame_power(self, recording: int) -> NDArray[np.float64]:
        features = self._features[self._rows[recording]].astype(np.float64)
        return np.square(to_amplitude(features, self.frontend.scale)).sum(axis=1)


class Waveforms:
    """Windows of recordings' waveforms.

    Parameters
    ----------
    waveforms
        (samples,) float32 of each recording at the front end's rate, in memory or read when asked for.
    duration_s
        (recordings,) seconds.
    frontend
        What to run on them.
    """

    def __init__(self, waveforms: Sequence[Floats], duration_s: NDArray[np.float64], frontend: FrontEnd) -> None:
        self._waveforms, self.frontend = waveforms, frontend
        self.embeddings: Mapping[str, Source] = {}
        self.n_frames = np.array([max(1, frontend.window_grid.n_frames(float(s))) for s in duration_s], dtype=np.int64)
        self._padded = lru_cache(4)(lambda r: frontend.pad(self._waveforms[r]))

    def waveforms(self, windows: Windows, stretch: float = 1.0) -> Floats:
        """Return what the features of windows are computed from, (n, samples), `stretch` times as long."""
        samples = int(np.ceil(self.frontend.window_samples(windows.length) * stretch))
        out = np.zeros((len(windows), samples), dtype=np.float32)
        hop = windows.grid.hop_samples
        for target, recording, first in zip(out, windows.recording.tolist(), windows.first.tolist(), strict=True):
            piece = self._padded(recording)[first * hop : first * hop + samples]
            target[: len(piece)] = piece
        return out

    def features(self, windows: Windows) -> Floats:
        features = self.frontend.transform_windows(self.waveforms(windows))
        return features[:, : self.frontend.window_frames(windows.length)]

    def power(self, windows: Windows) -> NDArray[np.float64]:
        hop = windows.grid.hop_samples

        def of_frames(recording: int) -> NDArray[np.float64]:
            squares = np.square(self._waveforms[recording], dtype=np.float64)
            return np.add.reduceat(squares, np.arange(0, len(squares), hop)) if hop > 1 else squares

        return _mean_power(windows, of_frames)


class Recordings(Sequence[Floats]):
    """The waveforms of files at one rate, each read when it is asked for; the last one is remembered."""

    def __init__(self, paths: Sequence[Path], sample_rate: int) -> None:
        self._paths = paths
        self._read = lru_cache(1)(lambda path: read_audio(path, sample_rate))

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Floats:  # type: ignore[override]
        return self._read(self._paths[index])


def open_waveforms(data: DataDir, clips: Ints, frontend: FrontEnd, in_memory: bool = False) -> Waveforms:
    """Return the recordings of some clips of a data dir, all read at once where they are wanted often."""
    recordings: Sequence[Floats] = Recordings([data.audio_path(int(i)) for i in clips], frontend.sample_rate)
    return Waveforms(list(recordings) if in_memory else recordings, data.clips.duration_s[clips], frontend)


def stored_features(
    folder: Path, frontend: FrontEnd, embeddings: Mapping[str, FrontEnd], filenames: Sequence[str]
) -> StoredFeatures:
    """Open the features of some clips of a data dir, with further ones of the same clips by name."""
    source = StoredFeatures.open(features_path(folder, frontend), frontend, filenames)
    source.embeddings = {
        name: StoredFeatures.open(features_path(folder, other), other, filenames) for name, other in embeddings.items()
    }
    return source


def embeddings_of(source: Source, windows: Windows) -> dict[str, Floats]:
    """Return the further features of windows by name, (n, rows, bins) each: of the same seconds, on their own grids.

    Windows begin with the step of the network that is nearest.
    """
    embeddings = {}
    for name, other in source.embeddings.items():
        frontend, n_rows = other.frontend, other.frontend.frames_for(windows.length_s)
        at = windows_at(frontend.grid, windows.recording, windows.onset_s(), n_rows, other.n_frames)
        # Rows of one step of a network stay together.
        first = np.rint(at.first / frontend.step_rows).astype(np.int64) * frontend.step_rows
        embeddings[name] = other.features(replace(at, first=first))
    return embeddings


def rows_of(file: FeatureFile, filenames: Sequence[str]) -> Ints:
    """Return the row of each clip in a features file."""
    rows = {name: i for i, name in enumerate(file.filenames)}
    absent = [name for name in filenames if name not in rows]
    if absent:
        raise SedkitError(
            f"{file.path}: lacks {len(absent)} of {len(filenames)} clips ({listed(absent, 2)}); run `sedkit extract` "
            "again"
        )
    return np.array([rows[name] for name in filenames], dtype=np.int64)


def _mean_power(windows: Windows, of_frames: Callable[[int], NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean power of each window, every frame looked at once a recording."""
    out = np.zeros(len(windows))
    for recording in np.unique(windows.recording):
        rows = np.flatnonzero(windows.recording == recording)
        total = np.concatenate([[0.0], np.cumsum(of_frames(int(recording)))])
        first = np.minimum(windows.first[rows], len(total) - 1)
        last = np.minimum(first + windows.length, len(total) - 1)
        out[rows] = (total[last] - total[first]) / windows.length
    return out


def sounding(windows: Windows, power: NDArray[np.float64], silence_db: float) -> NDArray[np.bool_]:
    """Tell which windows hold sound and which the padding that fills short recordings up to a clip's length.

    Parameters
    ----------
    windows
        All windows of their recordings.
    power
        (n,) mean power, any unit.
    silence_db
        How far below the loudest window of its recording a window counts as padding.

    Returns
    -------
    (n,) bool; the loudest window of a recording is always one that sounds.
    """
    loudest = np.zeros(int(windows.recording.max(initial=0)) + 1)
    np.maximum.at(loudest, windows.recording, power)
    return power >= loudest[windows.recording] * 10.0 ** (-silence_db / 10.0)
