"""Streams: windows of data dirs with their labels, and what is done to them before a network sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.windows import Windows, lay
from sedkit.features.augment import Augmentations, AugmentSetup
from sedkit.features.batch import StreamBatch
from sedkit.features.frontends import FrontEnd
from sedkit.features.sources import Source, StoredFeatures, Waveforms, open_waveforms, sounding, stored_features
from sedkit.synthesis.plan import MixSettings, MixturePlan
from sedkit.synthesis.rounds import Rounds
from sedkit.training.labels import Labels, Targets
from sedkit.training.settings import StreamSettings
from sedkit.training.windows import MixedWindows, SetWindows

#: Windows whose features are read at a time to fit a normalisation.
_BLOCK = 64


class Stream:
    """The windows of one stream, of one set or several (validation may join a training set).

    Parameters
    ----------
    name
        Of the stream.
    sets
        Its windows, all of one length.
    augment, views
        What is done to them, and what makes other views of them, by name.
    seed
        Numbers that tell the run and the stream from others.
    """

    def __init__(
        self,
        name: str,
        sets: Sequence[SetWindows],
        augment: Augmentations,
        views: dict[str, Augmentations],
        seed: tuple[int, ...] = (0, 0),
    ) -> None:
        self.name, self.sets, self.augment, self.views, self.seed = name, list(sets), augment, views, seed
        self._first = np.concatenate([[0], np.cumsum([len(s.windows) for s in self.sets])])

    def __len__(self) -> int:
        return int(self._first[-1])

    @property
    def length(self) -> int:
        """Frames of a window, on the front end's window grid."""
        return self.sets[0].windows.length

    @property
    def stored(self) -> bool:
        """Whether its windows are slices of stored features, the same in every round."""
        return all(isinstance(s.source, StoredFeatures) for s in self.sets)

    def whole(self, device: torch.device) -> StreamBatch:
        """Return every window of a stream of stored features, on a device."""
        first = self.read(np.arange(1))
        out = first.map(lambda x: torch.empty((len(self), *x.shape[1:]), dtype=x.dtype, device=device))
        for begin in range(0, len(self), _BLOCK):
            rows = torch.arange(begin, min(begin + _BLOCK, len(self)))
            out.joined(partial(_put, rows.to(device)), self.read(rows.numpy()))
        return out

    def clips(self) -> set[tuple[str, str]]:
        """Return the clips that the windows are made of, each as (data set, filename), to tell two streams apart."""
        return {clip for windows in self.sets for clip in windows.sources()}

    def read(self, at: NDArray[np.int64], augmented: bool = False) -> StreamBatch:
        """Return windows by position: features or, to be augmented, the waveforms that steps change.

        Positions from 0 to len - 1 are those of round 0, the next len those of round 1, and so on.
        """
        stretch = self.augment.stretch if augmented and self.augment.waveform_steps else None
        rounds, at = np.divmod(at, len(self))
        which = np.searchsorted(self._first, at, side="right") - 1
        # Neighbours of one set and round are read at once.
        ends = np.flatnonzero(np.diff(rounds) | np.diff(which)) + 1
        batches = []
        for rows in np.split(np.arange(len(at)), ends):
            windows, number = which[rows[0]], int(rounds[rows[0]])
            batches.append(self.sets[windows].of_round(number).batch(at[rows] - self._first[windows], stretch))
        return batches[0].joined(torch.cat, *batches[1:]) if len(batches) > 1 else batches[0]

    def augmented(self, batch: StreamBatch, step: int) -> StreamBatch:
        """Return what `read` gave with the stream's steps done, on its device; features are there afterwards."""
        seed = (*self.seed, step, 0)
        if self.augment.waveform_steps:
            batch = self._features_of(self.augment.on_waveform(batch, seed))
        return self.augment.on_features(batch, seed)

    def view(self, batch: StreamBatch, name: str, step: int) -> StreamBatch:
        """Return another view of what `augmented` gave; a stream without that view looks the same in it."""
        if name not in self.views:
            return batch
        return self.views[name].on_features(batch, (*self.seed, step, 1 + list(self.views).index(name)))

    def _features_of(self, batch: StreamBatch) -> StreamBatch:
        source = self.sets[0].source
        assert isinstance(source, Waveforms) and batch.waveform is not None
        frontend, length = source.frontend, self.length
        frames = frontend.window_frames(length)
        waveform = batch.waveform[:, : frontend.window_samples(length)]
        computed = frontend.transform_windows(waveform.cpu().numpy())[:, :frames]
        features = torch.from_numpy(computed).to(waveform.device)
        # Of events whose frames were only there to be moved, the classes remain.
        target = batch.frame_target if all(s.targets.framed for s in self.sets) else None
        return replace(
            batch,
            features=features,
            n_frames=batch.n_frames.clamp(max=frames),
            frame_target=None if target is None else target[:, :frames],
            waveform=None,
        )

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        """Yield features and real frames of windows that do not overlap, unchanged, to fit a normalisation on."""
        apart = np.concatenate([s.windows.first % s.windows.length == 0 for s in self.sets])
        rows = np.flatnonzero(apart)
        for first in range(0, len(rows), _BLOCK):
            batch = self.read(rows[first : first + _BLOCK])
            assert batch.features is not None
            yield batch.features.numpy(), batch.n_frames.numpy()


def _put(rows: torch.Tensor, columns: list[torch.Tensor]) -> torch.Tensor:
    """Write the second tensor into rows of the first."""
    return columns[0].index_copy_(0, rows, columns[1].to(columns[0].device))


class StreamReader:
    """Reads streams for one run: its front ends, one class order.

    Parameters
    ----------
    classes
        The classes, of which a set need not be annotated for all; None: those of the first stream that is read, which
        every set has.

    Attributes
    ----------
    labels
        The classes; None before a stream decides.
    """

    def __init__(
        self,
        data_root: Path,
        frontend: FrontEnd,
        seed: int,
        mix: MixSettings | None = None,
        classes: Vocabulary | None = None,
        embeddings: Mapping[str, FrontEnd] = MappingProxyType({}),
    ) -> None:
        self.data_root, self.frontend, self.seed, self.mix = data_root, frontend, seed, mix
        self.embeddings = embeddings
        self.labels, self._partly = classes, classes is not None

    def read(
        self, name: str, place: int, settings: StreamSettings, sets: Sequence[str], folds: Sequence[str] | None
    ) -> Stream:
        """Read a stream.

        Parameters
        ----------
        name, place
            Of the stream, the name as its key in the configuration; `place` tells its random numbers from others'.
        settings
            How its windows are cut, labelled and changed.
        sets, folds
            Data dirs, and folds of the first of them (None: all); of the others everything.

        Raises
        ------
        SedkitError
            Windows that are no whole number of frames, no window at all, or what the data dirs lack.
        """
        windows = [self._set(settings, s, folds if s == settings.set else None, place) for s in sets]
        if not sum(len(w.windows) for w in windows):
            raise SedkitError(f"stream {name!r} holds no window")
        longest = max(w.windows.length for w in windows)
        for one in windows:
            one.windows = replace(one.windows, length=longest)
        assert self.labels is not None
        setup = AugmentSetup(
            sample_rate=self.frontend.sample_rate,
            grid=self.frontend.grid,
            scale=self.frontend.scale,
            samples=self.frontend.window_samples(longest) if settings.source != "features" else 0,
            data_root=self.data_root,
            classes=self.labels.labels,
            frames=self.frontend.window_frames(longest),
            least_s=settings.labels.least_s,
            n_bins=self.frontend.n_bins,
            padding=self.frontend.padding,
            embeddings=bool(self.embeddings),
        )
        steps = {
            view: Augmentations.from_section(section, setup if view is None else replace(setup, samples=0), where)
            for view, section, where in [
                (None, settings.augment, f"{name}.augment"),
                *((view, section, f"{name}.views.{view}") for view, section in settings.views.items()),
            ]
        }
        augment = steps.pop(None)
        views = {str(view): view_steps for view, view_steps in steps.items()}
        return Stream(name.rpartition(".")[2], windows, augment, views, (self.seed, place))

    def _set(self, settings: StreamSettings, name: str, folds: Sequence[str] | None, place: int) -> SetWindows:
        data, frontend = DataDir(self.data_root / name), self.frontend
        # Another table of labels is one of the stream's own set.
        known = settings.labels if name == settings.set else replace(settings.labels, source=None)
        if settings.source == "mixtures" and name == settings.set:
            return self._mixed(settings, data, folds, place)
        clips, labels = data.select(folds), Labels(data, known, self.labels, self._partly)
        self.labels = labels.classes
        clips = clips[labels.usable(clips)]
        filenames = [data.clips.filename[i] for i in clips]
        if settings.source != "features":
            source: Source = open_waveforms(data, clips, frontend, in_memory=True)
        else:
            source = stored_features(data.path, frontend, self.embeddings, filenames)
        windows = self._windows(settings, source, name)
        if settings.window is not None and settings.window.silence_db and len(windows):
            sounds = sounding(windows, source.power(windows), settings.window.silence_db)
            if not sounds.all():
                log.info("%s: %d of %d windows are padding (silence), left out", name, (~sounds).sum(), len(windows))
            windows = windows.take(sounds)
        targets = labels.of(windows, clips, source.n_frames, frontend, bool(settings.augment))
        return SetWindows(data, clips, source, windows, targets)

    def _mixed(self, settings: StreamSettings, data: DataDir, folds: Sequence[str] | None, place: int) -> MixedWindows:
        assert self.mix is not None
        labels = Labels(data, settings.labels, self.labels, self._partly)
        self.labels = labels.classes
        rounds = Rounds(self.mix, data, DataDir(self.data_root / self.mix.scenes), folds, (self.seed, place))

        def recordings(plan: MixturePlan) -> Waveforms:
            waveforms = rounds.waveforms(plan)
            return Waveforms(waveforms, waveforms.duration_s, self.frontend)

        source = recordings(rounds.plan(0))
        windows = self._windows(settings, source, settings.set)

        # A batch may hold the end of one round and the beginning of the next.
        @lru_cache(2)
        def mixed(number: int) -> tuple[Source, Targets]:
            plan = rounds.plan(number)
            source, events = recordings(plan), rounds.events(plan)
            return source, labels.of_events(events, windows, source.n_frames, self.frontend, bool(settings.augment))

        return MixedWindows(data, data.select(folds), source, windows, mixed(0)[1], rounds, mixed)

    def _windows(self, settings: StreamSettings, source: Source, name: str) -> Windows:
        grid, window = self.frontend.window_grid, settings.window
        if window is not None:
            length = whole_frames(window.length_s, grid, f"{name}: window.length_s")
            hop = whole_frames(window.hop_s or window.length_s, grid, f"{name}: window.hop_s")
            return lay(source.n_frames, grid, length, hop)
        length = self.frontend.clip_frames or int(source.n_frames.max(initial=1))
        longer = int((source.n_frames > length).sum())
        if longer:
            log.info(
                "%s: %d recordings are longer than %g s: their beginning is used; `window` cuts them into several",
                name,
                longer,
                length / grid.frame_rate_hz,
            )
        return lay(np.minimum(source.n_frames, length), grid, length, length)


def whole_frames(seconds: float, grid: TimeGrid, what: str) -> int:
    """Return the frames of a length of time; raise UsageError where it is no whole number of them."""
    frames = seconds * grid.frame_rate_hz
    whole = abs(frames - round(frames)) <= 1e-6 * max(1.0, frames)
    if round(frames) < 1 or not (whole or grid.hop_samples == 1):
        raise UsageError(
            f"{what} of {seconds:g} s is {frames:.2f} frames of {grid.hop_samples} samples, expected a whole number; "
            "change frontend.hop_samples"
        )
    return round(frames)
