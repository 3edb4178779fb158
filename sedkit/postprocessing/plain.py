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


def runs_above(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs above each of many thresholds; see `kernels.runs_above` (`planes` marks the valid frames)."""
    _, n_classes, length = planes.shape
    intervals = [np.zeros((0, 4), np.int32)]
    for threshold in thresholds.T:
        active = (planes > threshold[:, None]) & gate[:, :, None]
        edges = np.diff(np.pad(active.reshape(-1, length), ((0, 0), (1, 1))).astype(np.int8), axis=1)
        row, first = np.nonzero(edges == 1)
        last = np.nonzero(edges == -1)[1]
        intervals.append(np.stack([row // n_classes, row % n_classes, first, last], axis=1).astype(np.int32))
    return np.cumsum([len(x) for x in intervals]), np.concatenate(intervals)


def look_up(intervals: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the onsets and offsets of events; see `kernels.look_up`."""
    clip, _, first, last = intervals.T
    return times_s[clip, first], times_s[clip, last]
