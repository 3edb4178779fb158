"""What is known of windows: a set's tags and events under the classes of a run, as targets of clips and frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError, listed
from sedkit.core.timegrid import TimeGrid
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.rows import columns_of
from sedkit.dataio.tables import read_strong, read_weak
from sedkit.dataio.windows import Ints, Windows
from sedkit.datasets.maps import load_class_map
from sedkit.features.frontends import FrontEnd
from sedkit.training.settings import LabelSettings

#: Slack, in windows' frames, for the rounding of an overlap.
_DUST = 1e-7


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


@dataclass(frozen=True)
class Targets:
    """Targets of windows.

    Attributes
    ----------
    present
        (n, classes) bool; None where nothing is known.
    events, roll
        Of the recordings, and as (recordings, frames, classes) at the features' frames; None where nobody needs it.
    tiled
        Every frame has its window's classes.
    framed
        Frames are compared with; else a `roll` is there for steps to move events in.
    frame_rate_hz
        Of the roll.
    """

    present: NDArray[np.bool_] | None = None
    events: Events | None = None
    roll: NDArray[np.uint8] | None = None
    tiled: bool = False
    framed: bool = False
    frame_rate_hz: float = 0.0

    def of_clips(self, at: Ints) -> NDArray[np.float32] | None:
        """Return (n, classes) of windows by position, or None."""
        return None if self.present is None else self.present[at].astype(np.float32)

    def of_frames(self, windows: Windows, at: Ints, frames: int) -> NDArray[np.float32] | None:
        """Return (n, frames, classes) of windows, which stand at these positions, or None."""
        if self.tiled and self.present is not None:
            return np.repeat(self.present[at, None].astype(np.float32), frames, axis=1)
        if self.roll is None:
            return None
        target = np.zeros((len(windows), frames, self.roll.shape[2]), dtype=np.float32)
        starts = np.rint(windows.onset_s() * self.frame_rate_hz).astype(np.int64)
        for row, recording, first in zip(target, windows.recording.tolist(), starts.tolist(), strict=True):
            piece = self.roll[recording, first : first + frames]
            row[: len(piece)] = piece
        return target


class Labels:
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
        return self._under_classes(table)

    def _under_classes(self, table: Events | Tags) -> Events | Tags:
        data = self.data
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

    def of(self, windows: Windows, clips: Ints, n_frames: Ints, frontend: FrontEnd, moved: bool) -> Targets:
        """Return the targets of windows.

        Parameters
        ----------
        windows
            Of the recordings of `clips`.
        clips, n_frames
            (recordings,) clips of the set, and how many frames each fills.
        frontend
            Whose frames are asked for.
        moved
            Whether steps may move sound in time: classes are then made again from the frames.
        """
        if self.table is None:
            return Targets()
        table = self.table.keep_clips([self.data.clips.filename[i] for i in clips])
        return self._of(table, windows, n_frames, frontend, moved)

    def of_events(self, events: Events, windows: Windows, n_frames: Ints, frontend: FrontEnd, moved: bool) -> Targets:
        """Return the targets of windows of recordings with these events, labelled as the set is; arguments as `of`."""
        if self.settings.target == "none":
            return Targets()
        return self._of(self._under_classes(events), windows, n_frames, frontend, moved)

    def _of(self, table: Events | Tags, windows: Windows, n_frames: Ints, frontend: FrontEnd, moved: bool) -> Targets:
        target = self.settings.target
        if target == "frame" and not (isinstance(table, Events) and frontend.sliceable):
            raise UsageError(
                f"{self.data.path}: labels.target is frame, expected a set with events and a front end that is cut "
                "into windows frame by frame"
            )
        if isinstance(table, Tags):
            return Targets(table.present[windows.recording], tiled=target == "tiled", framed=target == "tiled")
        longest, grid = max(int(n_frames.max(initial=0)), windows.length), frontend.grid
        if windows.length == longest and not self.settings.least_s:
            present = tags_of(table).present[windows.recording]
        else:
            present = classes_in(table, windows, self.settings.least_s)
        roll = None
        if target == "frame" or moved:
            roll = event_roll(table, grid, grid.n_frames(longest / windows.grid.frame_rate_hz))
        return Targets(present, table, roll, target == "tiled", target != "clip", grid.frame_rate_hz)
