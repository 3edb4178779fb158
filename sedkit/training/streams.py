"""Streams: windows of data dirs with their labels, and what is done to them before a network sees them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.rows import columns_of
from sedkit.dataio.tables import read_strong, read_weak
from sedkit.dataio.windows import Ints, Windows, lay
from sedkit.datasets.maps import load_class_map
from sedkit.features.augment import Augmentations, AugmentSetup
from sedkit.features.batch import StreamBatch
from sedkit.features.frontends import FrontEnd, features_path
from sedkit.features.sources import Source, StoredFeatures, Waveforms, open_waveforms, sounding
from sedkit.training.settings import LabelSettings, StreamSettings

#: Slack, in windows' frames, for the rounding of an overlap.
_DUST = 1e-7
_BLOCK = 64


def event_roll(events: Events, grid: TimeGrid, n_frames: int) -> NDArray[np.uint8]:
    """Return (clips, n_frames, classes): 1 where an event is active, frame intervals half open."""
    roll = np.zeros((len(events.filenames), n_frames, len(events.labels)), dtype=np.uint8)
    for clip, label, onset_s, offset_s in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        first, last = grid.span(float(onset_s), float(offset_s))
        roll[clip, first:last, label] = 1
    return roll


def classes_in(events: Events, windows: Windows, least_s: float) -> NDArray[np.bool_]:
    """Return (n, classes): whether events of a class cover enough of a window (`LabelSettings.least_s`)."""
    present = np.zeros((len(windows), len(events.labels)), dtype=bool)
    onset_s = windows.onset_s()
    bounds = np.searchsorted(windows.recording, np.arange(len(events.filenames) + 1))
    for clip, label, onset, offset in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        rows = slice(bounds[clip], bounds[clip + 1])
        overlap_s = np.minimum(onset_s[rows] + windows.length_s, offset) - np.maximum(onset_s[rows], onset)
        present[rows, label] |= overlap_s > min(least_s, (offset - onset) / 2) + _DUST
    return present


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
    present
        (n, classes) bool, or None.
    events, roll
        Of the recordings, and as (recordings, frames, classes) at the frames of the features; or None.
    frame_target
        Whether frames have targets: with `roll` the events', else the window's classes on each of them.
    """

    data: DataDir
    clips: Ints
    source: Source
    windows: Windows
    present: NDArray[np.bool_] | None = None
    events: Events | None = None
    roll: NDArray[np.uint8] | None = None
    frame_target: bool = False

    def batch(self, at: NDArray[np.int64], stretch: float | None) -> StreamBatch:
        """Return windows by position; `stretch` times their waveform where it is given, else features."""
        windows = self.windows.take(at)
        frames = windows.length
        batch = StreamBatch(None, torch.from_numpy(windows.valid))
        if stretch is None:
            features = self.source.features(windows)
            frames, batch.features = features.shape[1], torch.from_numpy(features)
        else:
            assert isinstance(self.source, Waveforms)
            frames = int(np.ceil(self.source.frontend.window_frames(windows.length) * stretch))
            batch.waveform = torch.from_numpy(self.source.waveforms(windows, stretch))
        if frames != windows.length:
            # Windows cut at samples: all that lies within them counts as real.
            batch.n_frames = torch.full((len(at),), frames, dtype=torch.int64)
        if self.present is not None:
            batch.clip_target = torch.from_numpy(self.present[at].astype(np.float32))
        if self.roll is not None:
            target = np.zeros((len(at), frames, self.roll.shape[2]), dtype=np.float32)
            for row, recording, first in zip(target, windows.recording.tolist(), windows.first.tolist(), strict=True):
                piece = self.roll[recording, first : first + frames]
                row[: len(piece)] = piece
            batch.frame_target = torch.from_numpy(target)
        elif self.frame_target and batch.clip_target is not None:
            batch.frame_target = batch.clip_target[:, None].repeat(1, frames, 1)
        return batch


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

    def clips(self) -> set[tuple[str, str]]:
        """Return the clips that the windows are of, each as (data dir, filename), to tell two streams apart."""
        return {
            (s.data.identity, s.data.clips.filename[s.clips[r]])
            for s in self.sets
            for r in np.unique(s.windows.recording)
        }

    def read(self, at: NDArray[np.int64], augmented: bool = False) -> StreamBatch:
        """Return windows by position (0 to len - 1): features or, to be augmented, the waveforms that steps change."""
        stretch = self.augment.stretch if augmented and self.augment.waveform_steps else None
        if len(self.sets) == 1:
            return self.sets[0].batch(at, stretch)
        which = np.searchsorted(self._first, at, side="right") - 1
        batches = [self.sets[w].batch(at[i : i + 1] - self._first[w], stretch) for i, w in enumerate(which.tolist())]
        return _together(batches)

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
        features = torch.from_numpy(frontend.transform_windows(waveform.cpu().numpy())).to(waveform.device)
        target = None if batch.frame_target is None else batch.frame_target[:, :frames]
        return replace(
            batch,
            features=features,
            n_frames=batch.n_frames.clamp(max=frames),
            frame_target=target,
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


def _together(batches: list[StreamBatch]) -> StreamBatch:
    def cat(values: list[Any]) -> torch.Tensor | None:
        return None if any(v is None for v in values) else torch.cat(values)

    columns = zip(*((b.features, b.n_frames, b.clip_target, b.frame_target, b.waveform) for b in batches), strict=True)
    features, n_frames, clip_target, frame_target, waveform = (cat(list(column)) for column in columns)
    assert n_frames is not None
    return StreamBatch(features, n_frames, clip_target, frame_target, waveform)


class StreamReader:
    """Reads streams for one run: one front end, one class order.

    Attributes
    ----------
    labels
        The classes, as the first stream that is read decides; None before.
    """

    def __init__(self, data_root: Path, frontend: FrontEnd, seed: int) -> None:
        self.data_root, self.frontend, self.seed = data_root, frontend, seed
        self.labels: Vocabulary | None = None

    def read(
        self, name: str, place: int, settings: StreamSettings, sets: Sequence[str], folds: Sequence[str] | None
    ) -> Stream:
        """Read a stream.

        Parameters
        ----------
        name, place
            Of the stream; `place` tells its random numbers from other streams'.
        settings
            How its windows are cut, labelled and changed.
        sets, folds
            Data dirs, and folds of the first of them (None: all); of the others everything.

        Raises
        ------
        SedkitError
            Windows that are no whole number of frames, no window at all, or what the data dirs lack.
        """
        windows = [self._set(settings, s, folds if s == settings.set else None) for s in sets]
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
            samples=self.frontend.window_samples(longest) if settings.source == "waveforms" else 0,
            data_root=self.data_root,
            classes=self.labels.labels,
            frames=self.frontend.window_frames(longest),
            least_s=settings.labels.least_s,
        )
        steps = {
            view: Augmentations.from_section(section, setup if view is None else replace(setup, samples=0), where)
            for view, section, where in [
                (None, settings.augment, f"{name}.augment"),
                *((view, section, f"{name}.views.{view}") for view, section in settings.views.items()),
            ]
        }
        augment = steps.pop(None)
        return Stream(name, windows, augment, {str(view): s for view, s in steps.items()}, (self.seed, place))

    def _set(self, settings: StreamSettings, name: str, folds: Sequence[str] | None) -> SetWindows:
        data, frontend = DataDir(self.data_root / name), self.frontend
        clips, labels = data.select(folds), _Labels(data, settings.labels, self.labels)
        self.labels = labels.classes
        clips = clips[labels.usable(clips)]
        filenames = [data.clips.filename[i] for i in clips]
        if settings.source == "waveforms":
            source: Source = open_waveforms(data, clips, frontend, in_memory=True)
        else:
            source = StoredFeatures.open(features_path(data.path, frontend), frontend, filenames)
        windows = self._windows(settings, source, name)
        if settings.window is not None and settings.window.silence_db and len(windows):
            sounds = sounding(windows, source.power(windows), settings.window.silence_db)
            if not sounds.all():
                log.info("%s: %d of %d windows are padding (silence), left out", name, (~sounds).sum(), len(windows))
            windows = windows.take(sounds)
        return labels.attach(SetWindows(data, clips, source, windows), frontend, bool(settings.augment))

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
    if abs(frames - round(frames)) > 1e-6 * max(1.0, frames) and grid.hop_samples > 1 or round(frames) < 1:
        raise UsageError(
            f"{what} of {seconds:g} s is {frames:.2f} frames of {grid.hop_samples} samples, expected a whole number; "
            "change frontend.hop_samples"
        )
    return round(frames)


class _Labels:
    """The labels of a set, under the classes of a run."""

    def __init__(self, data: DataDir, settings: LabelSettings, classes: Vocabulary | None) -> None:
        self.data, self.settings = data, settings
        self.class_map = load_class_map(settings.map) if settings.map else None
        self.classes = classes or (Vocabulary(tuple(self.class_map)) if self.class_map else data.labels)
        if settings.target != "none" or classes is None:
            self._categories = self._of_classes()

    def _of_classes(self) -> dict[str, tuple[str, ...]]:
        """Return the categories of the set that stand for each class of the run."""
        data, classes = self.data, self.classes
        if self.class_map is None:
            categories = {label: (label,) for label in classes}
        elif set(self.class_map) != set(classes):
            raise UsageError(
                f"labels.map {self.settings.map} gives {listed(self.class_map, 12)}, expected the run's "
                f"{listed(classes, 12)}"
            )
        else:
            # A small copy of a data set need not have every category that a map names; one for each class it must have.
            categories = {c: tuple(s for s in self.class_map[c] if s in data.labels.labels) for c in classes}
        absent = [c for c, group in categories.items() if not group or group[0] not in data.labels.labels]
        if absent:
            hint = "categories of labels.map" if self.class_map else "classes; give labels.map for other classes"
            raise UsageError(f"{data.path}/labels.txt: has nothing for {listed(absent)}, expected {hint}")
        return categories

    @cached_property
    def table(self) -> Events | Tags | None:
        """Events or tags of every clip with the classes of the run; None where nothing is asked for."""
        if self.settings.target == "none":
            return None
        data = self.data
        if self.settings.source is not None:
            path = Path(self.settings.source)
            weak = "event_labels" in columns_of(path)
            table = (read_weak if weak else read_strong)(path, data.labels.labels).keep_clips(data.clips.filename)
        elif self.settings.target == "frame" or not data.has_weak:
            table = data.strong()
        else:
            table = data.weak()
        groups = [[data.labels.index(s) for s in self._categories[c]] for c in self.classes]
        if isinstance(table, Tags):
            present = np.stack([table.present[:, group].any(axis=1) for group in groups], axis=1)
            return Tags(table.filenames, self.classes.labels, present, table.source)
        code = np.full(len(data.labels), -1, dtype=np.int64)
        for label, group in enumerate(groups):
            code[group] = label
        known = table.take(code[table.label] >= 0)
        return replace(known, labels=self.classes.labels, label=code[known.label])

    def usable(self, clips: Ints) -> NDArray[np.bool_]:
        """Tell which clips are used: all, unless those that hold none of the classes are not wanted."""
        if self.settings.others or not isinstance(self.table, Tags):
            return np.ones(len(clips), dtype=bool)
        return self.table.present[clips].any(axis=1)

    def attach(self, windows: SetWindows, frontend: FrontEnd, augmented: bool) -> SetWindows:
        """Give windows their targets."""
        table, target = self.table, self.settings.target
        if table is None:
            return windows
        if target == "frame" and not (isinstance(table, Events) and frontend.sliceable):
            raise UsageError(
                f"{self.data.path}: labels.target is frame, expected a set with events and a front end of whole recordings"
            )
        table = table.keep_clips([self.data.clips.filename[i] for i in windows.clips])
        if isinstance(table, Tags):
            windows.present = table.present[windows.windows.recording]
        else:
            whole = windows.windows.length >= windows.source.n_frames.max(initial=0) and not self.settings.least_s
            windows.events = table
            tags = tags_of(table).present[windows.windows.recording]
            windows.present = tags if whole else classes_in(table, windows.windows, self.settings.least_s)
            if target == "frame" or augmented and frontend.sliceable:
                # Steps that move sound in time make the classes again from the frames.
                n_frames = max(int(windows.source.n_frames.max(initial=0)), windows.windows.length)
                windows.roll = event_roll(table, frontend.grid, n_frames)
        windows.frame_target = target in ("frame", "tiled")
        return windows
