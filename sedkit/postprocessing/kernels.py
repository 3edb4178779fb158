"""Compiled loops of the decoders (numba, cached on disk). `plain` holds the same functions in numpy for small inputs.

Arrays: `framewise` (clips, frames, classes) float32 or float64; `planes` (clips, classes, frames) of the same type,
minus infinity behind a clip's last valid frame. Thresholds are of that type too, and compare like the float64 ones (see
`decode`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from sedkit.core.compiled import doubled
from sedkit.postprocessing.medians import median_planes

__all__ = ["look_up", "median_planes", "regions", "regions_at"]


@njit(cache=True, nogil=True)
def _row_regions(x: np.ndarray, high: float, low: float, merge: int, shortest: int, intervals: np.ndarray) -> int:
    """Write the events of a row `x` (n,) into columns 2 and 3 of `intervals` ((n + 1) // 2 at most); count them."""
    n, k = len(x), 0
    begin, end = -1, -1
    t = 0
    while t < n:
        if not x[t] > high:
            t += 1
            continue
        b = t
        while b > 0 and x[b - 1] >= low:
            b -= 1
        t += 1
        while t < n and (x[t] > high or x[t] >= low):
            t += 1
        if begin >= 0 and b - end <= merge:
            end = t
            continue
        if begin >= 0 and end - begin >= shortest:
            intervals[k, 2], intervals[k, 3] = begin, end
            k += 1
        begin, end = b, t
    if begin >= 0 and end - begin >= shortest:
        intervals[k, 2], intervals[k, 3] = begin, end
        k += 1
    return k


@njit(cache=True, nogil=True)
def _all_regions(
    planes: np.ndarray,
    n_frames: np.ndarray,
    gate: np.ndarray,
    threshold: np.ndarray,
    low: np.ndarray,
    merge: np.ndarray,
    shortest: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Do what `regions` says; return an array of which the first rows are used, and how many."""
    n_clips, n_classes, length = planes.shape
    most = (length + 1) // 2
    intervals = np.empty((max(1024, 2 * most), 4), np.int32)
    k = 0
    for i in range(n_clips):
        for c in range(n_classes):
            if not gate[i, c]:
                continue
            if k + most > len(intervals):
                intervals = doubled(intervals)
            row = planes[i, c, : n_frames[i]]
            n = _row_regions(row, threshold[c], low[c], merge[c], shortest[c], intervals[k:])
            for j in range(k, k + n):
                intervals[j, 0], intervals[j, 1] = i, c
            k += n
    return intervals, k


def regions(
    planes: np.ndarray,
    n_frames: np.ndarray,
    gate: np.ndarray,
    threshold: np.ndarray,
    low: np.ndarray,
    merge: np.ndarray,
    shortest: np.ndarray,
) -> np.ndarray:
    """Find the half-open frame intervals of events.

    Parameters
    ----------
    planes
        (clips, classes, frames) of the scores' type.
    n_frames
        (clips,) int64, valid frames.
    gate
        (clips, classes) bool; a closed pair has no events.
    threshold, low
        (classes,) of the scores' type; active frames are > threshold, and intervals reach as far as frames are >= low
        (infinity: no second threshold).
    merge
        (classes,) int64; intervals with a gap of at most so many frames become one.
    shortest
        (classes,) int64; intervals of fewer frames are dropped.

    Returns
    -------
    intervals
        (n, 4) int32: clip, class, first and last frame (exclusive), ordered by clip, class and time.
    """
    intervals, n = _all_regions(planes, n_frames, gate, threshold, low, merge, shortest)
    return intervals[:n].copy()


@njit(cache=True, nogil=True)
def _levels(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Write how many thresholds each score is above into `levels` (clips, classes, frames + 1); count the runs.

    The last frame of a row and everything behind a gate has level 0. Returns (points + 1,) int64: the runs of each
    threshold as differences to those of the one before.
    """
    n_clips, n_classes, length = planes.shape
    opened = np.zeros(len(thresholds) + 1, np.int64)
    row = np.empty(length, np.int32)
    for i in range(n_clips):
        n = n_frames[i]
        for c in range(n_classes):
            level = levels[i, c]
            if not gate[i, c]:
                for t in range(length + 1):
                    level[t] = 0
                continue
            x = planes[i, c]
            for t in range(n):
                row[t] = 0
            # All thresholds against all frames: as vector instructions this is faster than any search.
            for k in range(len(thresholds)):
                threshold = thresholds[k]
                for t in range(n):
                    row[t] += 1 if x[t] > threshold else 0
            before = 0
            for t in range(n):
                now = row[t]
                level[t] = now
                if now > before:
                    opened[before] += 1
                    opened[now] -= 1
                before = now
            for t in range(n, length + 1):
                level[t] = 0
    return opened


@njit(cache=True, nogil=True)
def _emit(levels: np.ndarray, at: np.ndarray, intervals: np.ndarray) -> None:
    """Write every run at the place `at` (points,) that its threshold's block has come to; see `regions_at`."""
    n_clips, n_classes, length = levels.shape
    start = np.empty(len(at), np.int32)
    for i in range(n_clips):
        for c in range(n_classes):
            level = levels[i, c]
            before = 0
            for t in range(length):
                now = level[t]
                if now > before:
                    for k in range(before, now):
                        start[k] = t
                else:
                    for k in range(now, before):
                        j = at[k]
                        at[k] = j + 1
                        intervals[j, 0] = i
                        intervals[j, 1] = c
                        intervals[j, 2] = start[k]
                        intervals[j, 3] = t
                before = now


def regions_at(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs above each of many thresholds in one pass per clip and class.

    A run above a threshold lies within a run above every lower one, so following how many thresholds the score is
    above is enough: O(frames + runs). The runs are counted first, so that each can be written where its threshold's
    block has come to.

    Parameters
    ----------
    planes, n_frames, gate
        As in `regions`.
    thresholds
        (points,) of the scores' type, ascending.

    Returns
    -------
    bounds
        (points + 1,) int64: point k owns the rows bounds[k] to bounds[k + 1].
    intervals
        (n, 4) int32: clip, class, first and last frame (exclusive); within a point ordered by clip, class and time.
    """
    n_clips, n_classes, length = planes.shape
    levels = np.empty((n_clips, n_classes, length + 1), np.int16)
    opened = _levels(planes, n_frames, gate, thresholds, levels)
    bounds = np.concatenate([[0], np.cumsum(np.cumsum(opened)[:-1])])
    # Made by numpy rather than inside the compiled code: numpy asks the system for large pages.
    intervals = np.empty((int(bounds[-1]), 4), np.int32)
    _emit(levels, bounds[:-1].copy(), intervals)
    return bounds, intervals


@njit(cache=True, nogil=True)
def look_up(intervals: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the onsets and offsets, (n,) float64 seconds, of events.

    Parameters
    ----------
    intervals
        (n, 4) int32: clip, class, first and last column.
    times_s
        (clips, columns) float64.
    """
    onset_s, offset_s = np.empty(len(intervals)), np.empty(len(intervals))
    for j in range(len(intervals)):
        onset_s[j] = times_s[intervals[j, 0], intervals[j, 2]]
        offset_s[j] = times_s[intervals[j, 0], intervals[j, 3]]
    return onset_s, offset_s
