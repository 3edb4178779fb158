"""The functions of `kernels` in plain numpy: for inputs so small that loading compiled code would take longer."""

from __future__ import annotations

import numpy as np


def median_planes(framewise: np.ndarray, n_frames: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Run a median filter along time; see `kernels.median_planes`."""
    planes = np.full((framewise.shape[0], framewise.shape[2], framewise.shape[1]), -np.inf, dtype=framewise.dtype)
    for n in np.unique(n_frames):
        if n == 0:
            continue
        clips = np.flatnonzero(n_frames == n)
        for h in np.unique(half):
            classes = np.flatnonzero(half == h)
            at = np.arange(-h, n + h) % (2 * n)
            at = np.where(at < n, at, 2 * n - 1 - at)
            rows = framewise[np.ix_(clips, np.arange(n), classes)].transpose(0, 2, 1)
            windows = np.lib.stride_tricks.sliding_window_view(rows[..., at], 2 * h + 1, axis=-1)
            planes[np.ix_(clips, classes, np.arange(n))] = np.partition(windows, h, axis=-1)[..., h]
    return planes


def _runs(active: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (row, first, last) of the runs of True in (rows, frames), ordered by row and time."""
    edges = np.diff(np.pad(active, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, first = np.nonzero(edges == 1)
    last = np.nonzero(edges == -1)[1]
    return row, first, last


def regions(
    planes: np.ndarray,
    n_frames: np.ndarray,
    gate: np.ndarray,
    threshold: np.ndarray,
    low: np.ndarray,
    merge: np.ndarray,
    shortest: np.ndarray,
) -> np.ndarray:
    """Find the half-open frame intervals of events; see `kernels.regions` (`planes` marks the valid frames)."""
    _, n_classes, length = planes.shape
    high = planes > threshold[:, None]
    high &= gate[:, :, None]
    wide = high | ((planes >= low[:, None]) & gate[:, :, None])
    high, wide = high.reshape(-1, length), wide.reshape(-1, length)
    row, first, last = _runs(wide)
    # A run of the second threshold counts where it holds a frame above the first one.
    active = np.concatenate([np.zeros((len(high), 1), np.int64), np.cumsum(high, axis=1)], axis=1)
    keep = active[row, last] > active[row, first]
    row, first, last = row[keep], first[keep], last[keep]
    if len(row):
        label = row % n_classes
        new = np.ones(len(row), bool)
        new[1:] = (row[1:] != row[:-1]) | (first[1:] - last[:-1] > merge[label[1:]])
        start = np.flatnonzero(new)
        row, first, last = row[start], first[start], last[np.append(start[1:], len(new)) - 1]
        keep = last - first >= shortest[row % n_classes]
        row, first, last = row[keep], first[keep], last[keep]
    return np.stack([row // n_classes, row % n_classes, first, last], axis=1).astype(np.int32)


def regions_at(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs above each of many thresholds; see `kernels.regions_at`."""
    _, n_classes, length = planes.shape
    intervals = [np.zeros((0, 4), np.int32)]
    for threshold in thresholds:
        row, first, last = _runs(((planes > threshold) & gate[:, :, None]).reshape(-1, length))
        intervals.append(np.stack([row // n_classes, row % n_classes, first, last], axis=1).astype(np.int32))
    bounds = np.cumsum([len(x) for x in intervals])
    return bounds, np.concatenate(intervals)


def look_up(intervals: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the onsets and offsets of events; see `kernels.look_up`."""
    clip, _, first, last = intervals.T
    return times_s[clip, first], times_s[clip, last]
