"""What is known of windows: a set's tags and events under the classes of a run, as targets of clips and frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

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


def event_roll(
    events: Events, grid: TimeGrid, n_frames: int, overlaps: Literal["max", "last"] = "max"
) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Return (clips, n_frames, classes): 1 where an event is active, frame intervals half open.

    Soft labels give numbers between 0 and 1, and `overlaps` says what becomes of several in one frame
    (`LabelSettings.overlaps`).
    """
    soft = events.confidence is not None
    roll: NDArray[Any] = np.zeros(
        (len(events.filenames), n_frames, len(events.labels)), dtype=np.float32 if soft else np.uint8
    )
    for clip, label, onset_s, offset_s, value in _rows(events):
        first, last = grid.span(float(onset_s), float(offset_s))
        frames = roll[clip, first:last, label]
        frames[...] = np.maximum(frames, value) if soft and overlaps == "max" else value
    return roll


def classes_in(events: Events, windows: Windows, least_s: float) -> NDArray[np.bool_] | NDArray[np.float32]:
    """Return (n, classes): whether events of a class cover enough of a window (`LabelSettings.least_s`).

    Of soft labels the greatest that does.
    """
    kind = np.bool_ if events.confidence is None else np.float32
    present: NDArray[Any] = np.zeros((len(windows), len(events.labels)), dtype=kind)
    onset_s = windows.onset_s()
    bounds = np.searchsorted(windows.recording, np.arange(len(events.filenames) + 1))
    for clip, label, onset, offset, value in _rows(events):
        rows = slice(bounds[clip], bounds[clip + 1])
        overlap_s = np.minimum(onset_s[rows] + windows.length_s, offset) - np.maximum(onset_s[rows], onset)
        enough = overlap_s > min(least_s, (offset - onset) / 2) + _DUST
        present[rows, label] = np.maximum(present[rows, label], enough * kind(value))
    return present


def _rows(events: Events) -> Iterator[tuple[Any, Any, Any, Any, Any]]:
    """Yield clip, class, onset and offset (seconds) and soft label of each row; 1 where there is none."""
    return zip(events.clip, events.label, events.onset_s, events.offset_s, events.soft_labels, strict=True)


@dataclass(frozen=True)
class Targets:
    """Targets of windows.

    Attributes
    ----------
    present
        (n, classes) bool, of soft labels float32 in [0, 1]; None where nothing is known.
    events, roll
        Of the recordings, and as (recordings, frames, classes) at the features' frames; None where nobody needs it.
    tiled
        Every frame has its window's classes.
    framed
        Frames are compared with; else a `roll` is there for steps to move events in.
    frame_rate_hz
        Of the roll.
    mask
        (classes,) bool, which classes the set is annotated for; None: all.
    """

    present: NDArray[np.bool_] | NDArray[np.float32] | None = None
    events: Events | None = None
    roll: NDArray[np.uint8] | NDArray[np.float32] | None = None
    tiled: bool = False
    framed: bool = False
    frame_rate_hz: float = 0.0
    mask: NDArray[np.bool_] | None = None

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
    """The labels of a set, under the classes of a run.

    Parameters
    ----------
    data, settings
        The set, and what is to be known of it.
    classes
        Of the run; None: those of the set.
    partly
        The set need not be annotated for all of them.
    """

    def __init__(
        self, data: DataDir, settings: LabelSettings, classes: Vocabulary | None, partly: bool = False
    ) -> None:
        self.data, self.settings, self._partly = data, settings, partly
        self.class_map = load_class_map(settings.map) if settings.map else None
        self.classes = classes or (Vocabulary(tuple(self.class_map)) if self.class_map else data.labels)
        self.mask: NDArray[np.bool_] | None = None
        if settings.target != "none" or classes is None or partly:
            self._categories, annotated = self._of_classes()
            self.mask = np.array(annotated) if partly else None

    def _of_classes(self) -> tuple[dict[str, tuple[str, ...]], list[bool]]:
        """Return the categories of the set that stand for each class, and for which classes it is annotated.

        A map may say of a class that no category stands for it: the set is annotated for it, and never has it.
        """
        data, classes = self.data, self.classes
        named = {c: (c,) for c in classes} if self.class_map is None else self.class_map
        if not (set(named) <= set(classes) if self._partly else set(named) == set(classes)):
            raise UsageError(
                f"labels.map {self.settings.map} gives {listed(named, 12)}, expected the run's {listed(classes, 12)}"
            )
        # A small copy of a data set need not have every category that a map names; one for each class it must have.
        categories = {c: tuple(s for s in named.get(c, ()) if s in data.labels.labels) for c in classes}
        annotated = {c: bool(group) or named.get(c) == () for c, group in categories.items()}
        absent = [c for c, is_known in annotated.items() if not is_known]
        if not any(categories.values()) or (absent and not self._partly):
            hint = "categories of labels.map" if self.class_map else "classes; give labels.map for other classes"
            raise UsageError(f"{data.path}/labels.txt: has nothing for {listed(absent)}, expected {hint}")
        return categories, list(annotated.values())

    @cached_property
    def table(self) -> Events | Tags | None:
        """Events or tags of every clip with the classes of the run; None where nothing is asked for."""
        if self.settings.target == "none":
            return None
        data = self.data
        if self.settings.source is not None:
            path = Path(self.settings.source)
            weak = "event_labels" in columns_of(path)
            labels = data.labels.labels
            table = read_weak(path, labels) if weak else read_strong(path, labels, soft=True)
            table = table.keep_clips(data.clips.filename)
        elif self.settings.target == "frame" or not data.has_weak:
            table = data.strong(soft=True)
        else:
            table = data.weak()
        return self._under_classes(table)

    def _under_classes(self, table: Events | Tags) -> Events | Tags:
        data = self.data
        groups = [[data.labels.index(s) for s in self._categories[c]] for c in self.classes]
        if isinstance(table, Tags):
            present = np.stack([table.present[:, group].any(axis=1) for group in groups], axis=1)
            return Tags(table.filenames, self.classes.labels, present, table.source)
        # A category that stands for several classes has its rows in each.
        rows = [(k, np.flatnonzero(table.label == s)) for k, group in enumerate(groups) for s in group]
        at = np.concatenate([of_category for _, of_category in rows])
        label = np.repeat([k for k, _ in rows], [len(of_category) for _, of_category in rows])
        # In the order of the table or, where the last row counts, of the categories that the map names.
        order = np.argsort(at, kind="stable") if self.settings.overlaps == "max" else np.arange(len(at))
        return replace(table.take(at[order]), labels=self.classes.labels, label=label[order])

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
            return Targets(mask=self.mask)
        table = self.table.keep_clips([self.data.clips.filename[i] for i in clips])
        return self._of(table, windows, n_frames, frontend, moved)

    def of_events(self, events: Events, windows: Windows, n_frames: Ints, frontend: FrontEnd, moved: bool) -> Targets:
        """Return the targets of windows of recordings with these events, labelled as the set is; arguments as `of`."""
        if self.settings.target == "none":
            return Targets(mask=self.mask)
        return self._of(self._under_classes(events), windows, n_frames, frontend, moved)

    def _of(self, table: Events | Tags, windows: Windows, n_frames: Ints, frontend: FrontEnd, moved: bool) -> Targets:
        target = self.settings.target
        if target == "frame" and not (isinstance(table, Events) and frontend.sliceable):
            raise UsageError(
                f"{self.data.path}: labels.target is frame, expected a set with events and a front end that is cut "
                "into windows frame by frame"
            )
        if isinstance(table, Tags):
            tiled = target == "tiled"
            return Targets(table.present[windows.recording], tiled=tiled, framed=tiled, mask=self.mask)
        longest, grid = max(int(n_frames.max(initial=0)), windows.length), frontend.grid
        if windows.length == longest and not self.settings.least_s and table.confidence is None:
            present: NDArray[Any] = tags_of(table).present[windows.recording]
        else:
            present = classes_in(table, windows, self.settings.least_s)
        roll = None
        if target == "frame" or moved:
            n_all = grid.n_frames(longest / windows.grid.frame_rate_hz)
            roll = event_roll(table, grid, n_all, self.settings.overlaps)
        events, rate_hz = table.active(), grid.frame_rate_hz
        return Targets(present, events, roll, target == "tiled", target != "clip", rate_hz, self.mask)
