"""Masks over time and frequency, and the rendered mixtures whose sounds, known one by one, they are scored against."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.names import stem
from sedkit.features.frontends import FrontEnd
from sedkit.synthesis.mixture_set import SCENE, Places


class Masks(Protocol):
    """What gives the masks of a recording: a network, or one that stands for it."""

    @property
    def labels(self) -> Vocabulary:
        """Return the classes."""

    @property
    def frontend(self) -> FrontEnd:
        """Return the front end, whose frames and bins the masks have."""

    @property
    def run(self) -> Mapping[str, Any]:
        """Return where the network comes from and, under `saw`, what it was trained and selected on."""

    def of(self, waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return clip scores (classes,) and masks (classes, frames, bins), in [0, 1], of a waveform (samples,)."""


@dataclass(frozen=True)
class Mixtures:
    """A rendered set (`sedkit mix render`): the mixtures of a data dir and, beside it, what each is made of.

    Attributes
    ----------
    data
        The data dir.
    folder
        Where the stems lie.
    sample_rate
        Rate in Hz to resample to; None keeps the files'.
    kept
        What a metric keeps for scoring the same mixtures again, by controls: ideal masks, a bit a cell.
    """

    data: DataDir
    folder: Path
    sample_rate: int | None = None
    kept: dict[Hashable, NDArray[np.uint8]] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def open(cls, folder: str | Path, sample_rate: int | None = None) -> Mixtures:
        """Open a rendered set; SedkitError where it is no data dir or has no stems."""
        data = DataDir(folder)
        stems = Places(Path(folder)).stems
        if not stems.is_dir():
            raise SedkitError(f"{stems}: no stems there; render the mixtures with `sedkit mix render --stems true`")
        return cls(data, stems, sample_rate)

    @cached_property
    def _row(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.data.clips.filename)}

    def places(self, filenames: Iterable[str]) -> list[list[str | None]]:
        """Return which set some mixtures are of, with each of their folds, as facts have it (`core.facts`)."""
        folds = self.data.clips.fold
        rows = [self._row[name] for name in filenames if name in self._row]
        return [[self.data.identity, fold] for fold in dict.fromkeys(folds[i] if folds else None for i in rows)]

    def sources(self, filenames: Iterable[str]) -> dict[str, Path]:
        """Return every file that figures of these mixtures depend on."""
        tables = {name: self.data.path / name for name in ("clips.tsv", "labels.txt")}
        sounds = {f"{name}/": self.audio_path(name) for name in filenames}
        return (
            tables | sounds | {f"{name}/{x}": path for name in filenames for x, path in self.stem_paths(name).items()}
        )

    def audio_path(self, filename: str) -> Path:
        """Return where a mixture lies."""
        if filename not in self._row:
            raise SedkitError(f"{self.data.path}: has no mixture {filename}, expected the set that is scored")
        return self.data.audio_path(self._row[filename])

    def mixture(self, filename: str) -> NDArray[np.float32]:
        """Return a mixture, (samples,), full scale 1."""
        return read_audio(self.audio_path(filename), self.sample_rate)

    def stem_paths(self, filename: str) -> dict[str, Path]:
        """Return where the sounds of a mixture lie, by class in the order of the classes, the scene last."""
        self.audio_path(filename)
        folder = self.folder / stem(filename)
        paths = {path.stem: path for path in folder.glob("*.wav")}
        if SCENE not in paths:
            raise SedkitError(f"{folder / SCENE}.wav: not there; render the mixtures again with `sedkit mix render`")
        labels = self.data.labels.labels
        if unknown := sorted(paths.keys() - {*labels, SCENE}):
            raise SedkitError(f"{paths[unknown[0]]}: no class of {self.data.path / 'labels.txt'} has this name")
        return {label: paths[label] for label in (*labels, SCENE) if label in paths}

    def stems(self, filename: str) -> dict[str, NDArray[np.float32]]:
        """Return the sounds that add up to a mixture, each (samples,) and as loud as in it, by class and `scene`."""
        paths = self.stem_paths(filename)
        waveforms = {name: read_audio(path, self.sample_rate) for name, path in paths.items()}
        for name, waveform in waveforms.items():
            if len(waveform) != len(waveforms[SCENE]):
                raise SedkitError(
                    f"{paths[name]}: {len(waveform)} samples, expected the {len(waveforms[SCENE])} of {paths[SCENE]}"
                )
        return waveforms
