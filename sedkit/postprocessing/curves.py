"""What rules do to the curve of a class, besides the median filter: rescaling, moving average, slope, what ties events.

Second thresholds, gaps and short events are given as curves too: what lies above a threshold afterwards are the events
that the rule makes of what lay above it before. That works for every threshold at once, because a lower threshold never
makes less active (for gaps and short events these are the closing and the opening of mathematical morphology).
"""

from __future__ import annotations

import numpy as np

#: Keeps the range of a constant curve away from 0: such a curve becomes 0 throughout.
_EPSILON = 1e-7

#: Some units in the last place of a quotient.
_ROUNDING = 1e-15


def rescaled(x: np.ndarray, trim: int) -> np.ndarray:
    """Return curves (clips, frames, classes), each of which is stretched to the range from 0 to 1.

    `trim` frames at each end have no say in the range, and may come out beyond it; all have where no frame is left.
    """
    frames = x.shape[1]
    inner = x[:, trim : frames - trim] if frames > 2 * trim else x
    least = inner.min(axis=1, keepdims=True)
    return (x - least) / (inner.max(axis=1, keepdims=True) - least + _EPSILON)


def averaged(x: np.ndarray, half: int) -> np.ndarray:
    """Return the moving average over 2 * half + 1 frames of (clips, frames, classes).

    Beyond its ends a curve goes on as its reflection in its last point, x[-k] = 2 x[0] - x[k].
    """
    wide = np.pad(x, ((0, 0), (half, half), (0, 0)), mode="reflect", reflect_type="odd")
    return np.lib.stride_tricks.sliding_window_view(wide, 2 * half + 1, axis=1).mean(axis=-1)


def shaped(framewise: np.ndarray, n_frames: np.ndarray, trim: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Rescale and average the curves of clips, (clips, frames, classes), `n_frames` (clips,) long.

    `trim` and `half` are (classes,), as in `rescaled` and `averaged`; -1 and 0 leave a class as it is.
    """
    if (trim < 0).all() and not half.any():
        return framewise
    out = framewise.copy()
    settings = np.stack([trim, half], axis=1)
    for n in np.unique(n_frames[n_frames > 0]):
        for setting in np.unique(settings, axis=0):
            at = np.ix_(n_frames == n, np.arange(len(framewise[0])) < n, (settings == setting).all(axis=1))
            x = framewise[at].astype(np.float64)
            if setting[0] >= 0:
                x = rescaled(x, int(setting[0]))
            out[at] = averaged(x, int(setting[1]))
    return out


def reached(planes: np.ndarray, threshold: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return curves in which an event reaches as far as the scores stay at or above a second threshold.

    `planes` are (clips, classes, frames), `threshold` and `low` the (classes,) two thresholds of each rule. At another
    threshold above 0 `low` keeps its proportion to it; where it is not above 0 itself, it stays as it is. Curves come
    back as float64, since float32 has no room for the thresholds at which a frame is reached; at `threshold` itself
    exact.
    """
    y = np.ascontiguousarray(np.moveaxis(planes, 2, 0), dtype=np.float64)
    scales = low > 0
    # Below which threshold a frame is in the event that its neighbour is in: `at or above`, rounding aside.
    scaled = y * np.where(scales, threshold / np.where(scales, low, 1.0) * (1 + _ROUNDING), 1.0)
    least = np.where(scales, np.nextafter(threshold, np.inf), np.inf)
    reach = np.where(y >= low, np.maximum(scaled, least), np.minimum(scaled, threshold))
    for frames, limits in ((y, reach), (y[::-1], reach[::-1])):
        for before, now, limit in zip(frames[:-1], frames[1:], limits[1:], strict=True):
            np.maximum(now, np.minimum(before, limit), out=now)
    return np.moveaxis(y, 0, 2)


def bridged(planes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return curves (clips, classes, frames) whose runs have no gaps of at most so many `frames` (classes,)."""
    return _swept(planes, np.minimum(frames, planes.shape[2]) + 1, np.maximum, np.minimum)


def kept(planes: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Return curves (clips, classes, frames) without runs of fewer than so many `frames` (classes,)."""
    return _swept(planes, np.minimum(frames, planes.shape[2] + 1), np.minimum, np.maximum)


def _swept(planes: np.ndarray, lengths: np.ndarray, first: np.ufunc, then: np.ufunc) -> np.ndarray:
    """Return `then` over all windows that a frame lies in of `first` over each window, of (classes,) `lengths`."""
    if (lengths <= 1).all():
        return planes
    out = planes.copy()
    for length in np.unique(lengths[lengths > 1]):
        classes = np.flatnonzero(lengths == length)
        # Beyond its ends a clip is silent.
        edges = ((0, 0), (0, 0), (int(length) - 1,) * 2)
        x = np.pad(planes[:, classes], edges, constant_values=-np.inf)
        out[:, classes] = _over_windows(_over_windows(x, int(length), first), int(length), then)
    return out


def _over_windows(x: np.ndarray, length: int, function: np.ufunc) -> np.ndarray:
    """Return the maximum or minimum over every window of frames, from those over windows half as long."""
    width = 1
    while width < length:
        step = min(width, length - width)
        x = function(x[..., :-step], x[..., step:])
        width += step
    return x


def slopes(planes: np.ndarray, n_frames: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return what a curve rises from `half` (classes,) frames before each frame to as many after it.

    `planes` are (clips, classes, frames); beyond its ends a curve stays as it is there, and behind the `n_frames`
    (clips,) that a clip has is minus infinity.
    """
    at = np.arange(planes.shape[2])
    last = np.maximum(n_frames - 1, 0)[:, None, None]
    before = np.clip(at - half[:, None], 0, None)[None]
    after = np.minimum(at + half[:, None], last)
    heard = at < n_frames[:, None, None]
    x = np.where(heard, planes, 0)
    rise = np.take_along_axis(x, after, axis=2) - np.take_along_axis(x, np.minimum(before, last), axis=2)
    return np.where(heard, rise, -np.inf).astype(planes.dtype)


def switched(planes: np.ndarray, on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Return 1 from where a slope is above `on` to before where it is below `off`, else 0 ((classes,) limits)."""
    active, state = np.zeros_like(planes), np.zeros(planes.shape[:2], bool)
    for t in range(planes.shape[2]):
        state = (planes[:, :, t] > on) | (state & ~(planes[:, :, t] < off))
        active[:, :, t] = state
    return np.where(np.isfinite(planes), active, planes)
