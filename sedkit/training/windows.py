"""Windows of one set with their targets, as batches; those of mixtures are others in each round."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.dataio.datadir import DataDir
from sedkit.dataio.windows import Ints, Windows
from sedkit.features.batch import StreamBatch
from sedkit.features.sources import Source, Waveforms, embeddings_of
from sedkit.synthesis.rounds import Rounds
from sedkit.training.labels import Targets


@dataclass
class SetWindows:
    """Windows of one set, with their targets.

    Attributes
    ----------
    data
        The set.
    clips
        (recordings,) clips of it that the windows' recordings are.
    source, windows
        Where their features come from.
    targets
        What is known of them.
    """

    data: DataDir
    clips: Ints
    source: Source
    windows: Windows
    targets: Targets

    def of_round(self, number: int) -> SetWindows:
        """Return the windows as they are in a round, which ends when all were seen; recordings stay what they are."""
        return self

    def sources(self) -> set[tuple[str, str]]:
        """Return the clips that the windows are made of in any round, each as (data set, filename)."""
        recordings = np.unique(self.windows.recording)
        return {(self.data.identity, self.data.clips.filename[self.clips[r]]) for r in recordings}

    def batch(self, at: NDArray[np.int64], stretch: float | None) -> StreamBatch:
        """Return windows by position; `stretch` times their waveform where it is given, else features."""
        windows, source = self.windows.take(at), self.source
        features = waveform = None
        if stretch is None:
            features = torch.from_numpy(source.features(windows))
            frames = features.shape[1]
        else:
            assert isinstance(source, Waveforms)
            waveform = torch.from_numpy(source.waveforms(windows, stretch))
            frames = int(np.ceil(source.frontend.window_frames(windows.length) * stretch))
        valid = np.full(len(at), frames, dtype=np.int64)
        if source.frontend.sliceable:
            valid = np.clip(source.n_frames[windows.recording] - windows.first, 1, frames)
        clip, frame = self.targets.of_clips(at), None
        if stretch is not None or self.targets.framed:
            frame = self.targets.of_frames(windows, at, frames)
        mask = self.targets.mask
        return StreamBatch(
            features,
            torch.from_numpy(valid),
            None if clip is None else torch.from_numpy(clip),
            None if frame is None else torch.from_numpy(frame),
            waveform,
            None if mask is None else torch.from_numpy(np.repeat(mask[None], len(at), axis=0)),
            {name: torch.from_numpy(x) for name, x in embeddings_of(source, windows).items()},
        )


@dataclass
class MixedWindows(SetWindows):
    """Windows of mixtures, which are others in each round, and with them the targets.

    Attributes
    ----------
    rounds
        The mixtures.
    mixed
        Returns source and targets of a round.
    """

    rounds: Rounds
    mixed: Callable[[int], tuple[Source, Targets]]

    def of_round(self, number: int) -> SetWindows:
        source, targets = self.mixed(number) if number else (self.source, self.targets)
        return SetWindows(self.data, self.clips, source, self.windows, targets)

    def sources(self) -> set[tuple[str, str]]:
        return self.rounds.sources()
