"""Events at many thresholds, and the folder of tables that PSDS is computed from."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import atomic_folder
from sedkit.dataio.event_formats import decimal_text
from sedkit.dataio.events import Events
from sedkit.postprocessing import engine

HEADER = b"filename\tonset\toffset\tevent_label\n"


@dataclass(frozen=True)
class DecodedPoints:
    """The events of every threshold, integer-coded, one block per threshold.

    Attributes
    ----------
    thresholds
        (points,) float64, ascending.
    bounds
        (points + 1,) int64: point k owns the events bounds[k] to bounds[k + 1].
    intervals
        (n_events, 4) int32: clip, class, and the columns of `times_s` at which the event begins and ends; within a
        point ordered by clip and class.
    times_s
        (clips, times) float64, seconds.
    """

    thresholds: np.ndarray
    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    bounds: np.ndarray
    intervals: np.ndarray
    times_s: np.ndarray

    def __len__(self) -> int:
        return len(self.thresholds)

    def __iter__(self) -> Iterator[Events]:
        return (self.events(k) for k in range(len(self)))

    def seconds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the onsets and the offsets of all events, (n_events,) float64."""
        return engine.choose(len(self.intervals)).look_up(self.intervals, self.times_s)

    def events(self, point: int) -> Events:
        """Return the events of one operating point."""
        rows = self.intervals[self.bounds[point] : self.bounds[point + 1]]
        source = f"events at threshold {_name(self.thresholds[point])}"
        return events_at(rows, self.times_s, self.filenames, self.labels, source)

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write one table per point, `predictions_th_<threshold>.tsv`, replacing the folder.

        As in the challenge's own folders, a clip without events at a point has no row in its table.
        """
        names = np.array([f"{name}\t".encode() for name in self.filenames], dtype=object)
        ends = np.array([f"{label}\n".encode() for label in self.labels], dtype=object)
        distinct, code = np.unique(self.times_s, return_inverse=True)
        code = code.reshape(self.times_s.shape)
        times = np.array([f"{decimal_text(x)}\t".encode() for x in distinct.tolist()], dtype=object)
        with atomic_folder(folder) as aside:
            for k, threshold in enumerate(self.thresholds):
                clip, label, first, last = self.intervals[self.bounds[k] : self.bounds[k + 1]].T
                cells = np.empty((len(clip), 4), dtype=object)
                cells[:, 0] = names[clip]
                cells[:, 1] = times[code[clip, first]]
                cells[:, 2] = times[code[clip, last]]
                cells[:, 3] = ends[label]
                path = Path(aside) / f"predictions_th_{_name(threshold)}.tsv"
                path.write_bytes(HEADER + b"".join(cells.ravel().tolist()))


def events_at(
    intervals: np.ndarray, times_s: np.ndarray, filenames: tuple[str, ...], labels: tuple[str, ...], source: str
) -> Events:
    """Return events given as in `DecodedPoints.intervals` and `times_s`."""
    onset_s, offset_s = engine.choose(len(intervals)).look_up(intervals, times_s)
    return Events(
        filenames=filenames,
        labels=labels,
        clip=intervals[:, 0].astype(np.int64),
        label=intervals[:, 1].astype(np.int64),
        onset_s=onset_s,
        offset_s=offset_s,
        line=np.arange(2, 2 + len(intervals), dtype=np.int64),
        source=source,
    )


def _name(threshold: float) -> str:
    """Return a threshold as it stands in a file name."""
    return decimal_text(float(threshold), 2)


def even_thresholds(n: int = 50) -> np.ndarray:
    """Return `n` evenly spaced thresholds; 50 are the challenge's 0.01, 0.03, ..., 0.99.

    >>> even_thresholds(4)
    array([0.125, 0.375, 0.625, 0.875])
    """
    return np.array([(2 * k + 1) / (2 * n) for k in range(n)])


def parse_thresholds(text: str) -> np.ndarray:
    """Read the option --operating-points: a whole number of evenly spaced thresholds, or a list.

    >>> parse_thresholds("0.2,0.5")
    array([0.2, 0.5])
    """
    try:
        if text.isdigit():
            return ascending(even_thresholds(int(text)))
        return ascending([float(x) for x in text.split(",")])
    except (ValueError, SedkitError):
        raise UsageError(
            f"--operating-points {text!r}: expected how many thresholds (50), or a list of different ones (0.1,0.5,0.9)"
        ) from None


def ascending(thresholds: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return thresholds sorted, float64; repeated ones and what is no number are errors."""
    out = np.sort(np.asarray(thresholds, dtype=np.float64).ravel())
    if not len(out) or not np.isfinite(out).all() or (np.diff(out) == 0).any():
        raise SedkitError(f"thresholds {list(thresholds)!r}: expected at least one, all finite and different")
    return out
