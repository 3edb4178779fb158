"""Compiled loops of the decoders (numba, cached on disk). `plain` holds the same functions in numpy for small inputs.

Arrays: `framewise` (clips, frames, classes) float32 or float64; `planes` (clips, classes, frames) of the same type,
minus infinity behind a clip's last valid frame. Thresholds are of that type too, and compare like the float64 ones (see
`decode`).
"""

from __future__ import annotations

import numpy as np

from sedkit.core.compiled import compiled


@compiled()
def _order(a: float, b: float) -> tuple[float, float]:
    """Return the smaller and the larger; as selections, which the compiler turns into vector instructions."""
    return (a if a < b else b), (b if a < b else a)


# Forgetful selection: of any n // 2 + 2 values out of n, the smallest and the largest cannot be the median, so they
# are dropped and the next value comes in, until three are left.


@compiled()
def _median3(a: float, b: float, c: float) -> float:
    a, b = _order(a, b)
    b, c = _order(b, c)
    a, b = _order(a, b)
    return b


@compiled()
def _inner2of4(a: float, b: float, c: float, d: float) -> tuple[float, float]:
    a, b = _order(a, b)
    c, d = _order(c, d)
    a, c = _order(a, c)
    b, d = _order(b, d)
    return b, c


@compiled()
def _inner3of5(a: float, b: float, c: float, d: float, e: float) -> tuple[float, float, float]:
    a, b = _order(a, b)
    c, d = _order(c, d)
    a, c = _order(a, c)
    b, d = _order(b, d)
    a, e = _order(a, e)
    e, d = _order(e, d)
    return b, c, e


@compiled()
def _inner4of6(a: float, b: float, c: float, d: float, e: float, f: float) -> tuple[float, float, float, float]:
    a, b = _order(a, b)
    c, d = _order(c, d)
    e, f = _order(e, f)
    a, c = _order(a, c)
    a, e = _order(a, e)
    b, f = _order(b, f)
    d, f = _order(d, f)
    return b, c, d, e


@compiled()
def _median_row(p: np.ndarray, half: int, n: int, out: np.ndarray) -> None:
    """Median filter of a padded row `p` (n + 2 * half,) into `out` (n,)."""
    if half == 1:
        for t in range(n):
            out[t] = _median3(p[t], p[t + 1], p[t + 2])
    elif half == 2:
        for t in range(n):
            b, c = _inner2of4(p[t], p[t + 1], p[t + 2], p[t + 3])
            out[t] = _median3(b, c, p[t + 4])
    elif half == 3:
        for t in range(n):
            b, c, e = _inner3of5(p[t], p[t + 1], p[t + 2], p[t + 3], p[t + 4])
            b, c = _inner2of4(b, c, e, p[t + 5])
            out[t] = _median3(b, c, p[t + 6])
    elif half == 4:
        for t in range(n):
            b, c, d, e = _inner4of6(p[t], p[t + 1], p[t + 2], p[t + 3], p[t + 4], p[t + 5])
            b, c, e = _inner3of5(b, c, d, e, p[t + 6])
            b, c = _inner2of4(b, c, e, p[t + 7])
            out[t] = _median3(b, c, p[t + 8])
    else:
        # The window kept sorted: one value leaves, one comes in.
        width = 2 * half + 1
        window = np.empty(width, p.dtype)
        for k in range(width):
            at = k
            while at > 0 and window[at - 1] > p[k]:
                window[at] = window[at - 1]
                at -= 1
            window[at] = p[k]
        out[0] = window[half]
        for t in range(1, n):
            old, new = p[t - 1], p[t + width - 1]
            if old == new:
                out[t] = window[half]
                continue
            low, high = 0, width - 1
            while low < high:
                middle = (low + high) // 2
                if window[middle] < old:
                    low = middle + 1
                else:
                    high = middle
            at = low
            if new > old:
                while at + 1 < width and window[at + 1] < new:
                    window[at] = window[at + 1]
                    at += 1
            else:
                while at > 0 and window[at - 1] > new:
                    window[at] = window[at - 1]
                    at -= 1
            window[at] = new
            out[t] = window[half]


@compiled()
def median_planes(framewise: np.ndarray, n_frames: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Run a median filter along time over each clip's valid frames.

    Parameters
    ----------
    framewise, n_frames
        (clips, frames, classes) float32 or float64, and (clips,) int64 valid frames.
    half
        (classes,) int64, half the window: windows are 2 * half + 1 frames long. The clip is continued by reflection
        (the last frame repeated), as scipy.ndimage does.

    Returns
    -------
    planes
        (clips, classes, frames) of the scores' type.
    """
    n_clips, length, n_classes = framewise.shape
    planes = np.empty((n_clips, n_classes, length), framewise.dtype)
    widest = 0
    for c in range(n_classes):
        widest = max(widest, half[c])
    padded = np.empty(length + 2 * widest, framewise.dtype)
    for i in range(n_clips):
        n = n_frames[i]
        for c in range(n_classes):
            row = planes[i, c]
            for t in range(n, length):
                row[t] = -np.inf
            h = half[c]
            if h == 0 or n == 0:
                for t in range(n):
                    row[t] = framewise[i, t, c]
                continue
            for t in range(n):
                padded[h + t] = framewise[i, t, c]
            for k in range(1, h + 1):
                at = (k - 1) % (2 * n)
                at = at if at < n else 2 * n - 1 - at
                padded[h - k] = framewise[i, at, c]
                padded[h + n - 1 + k] = framewise[i, n - 1 - at, c]
            _median_row(padded[: n + 2 * h], h, n, row)
    return planes


@compiled()
def _levels(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Write how many thresholds each score is above into `levels` (clips, classes, frames + 1); count the runs.

    The last frame of a row and everything behind a gate has level 0. Returns (points + 1,) int64: the runs of each
    threshold as differences to those of the one before.
    """
    n_clips, n_classes, length = planes.shape
    opened = np.zeros(thresholds.shape[1] + 1, np.int64)
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
            for k in range(thresholds.shape[1]):
                threshold = thresholds[c, k]
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


@compiled()
def _emit(levels: np.ndarray, at: np.ndarray, intervals: np.ndarray) -> None:
    """Write every run at the place `at` (points,) that its threshold's block has come to; see `runs_above`."""
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


def runs_above(
    planes: np.ndarray, n_frames: np.ndarray, gate: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs above each of many thresholds in one pass per clip and class.

    A run above a threshold lies within a run above every lower one, so following how many thresholds the score is
    above is enough: O(frames + runs). The runs are counted first, so that each can be written where its threshold's
    block has come to.

    Parameters
    ----------
    planes, n_frames
        (clips, classes, frames) of the scores' type, and (clips,) int64 valid frames.
    gate
        (clips, classes) bool; a closed pair has no runs.
    thresholds
        (classes, points) of the scores' type, ascending.

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


@compiled()
def look_up(intervals: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return onsets and offsets, (n,) float64, of intervals (n, 4): clip, class, first and last column of `times_s`."""
    onset_s, offset_s = np.empty(len(intervals)), np.empty(len(intervals))
    for j in range(len(intervals)):
        onset_s[j] = times_s[intervals[j, 0], intervals[j, 2]]
        offset_s[j] = times_s[intervals[j, 0], intervals[j, 3]]
    return onset_s, offset_s
