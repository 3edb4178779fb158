"""What is done to the curve of a class before the median filter and after it: rescaling, moving average, slope."""

from __future__ import annotations

import numpy as np

#: Keeps the range of a constant curve away from 0: such a curve becomes 0 throughout.
_EPSILON = 1e-7


def rescaled(x: np.ndarray, trim: int) -> np.ndarray:
    """Return curves stretched to the range from 0 to 1.

    Parameters
    ----------
    x
        (clips, frames, classes); each clip and class is stretched on its own.
    trim
        Frames at each end that have no say in the range, and may come out beyond it; all have where no frame is left.
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
    """Rescale and average the curves of clips.

    Parameters
    ----------
    framewise
        (clips, frames, classes) scores.
    n_frames
        (clips,) frames that a clip has.
    trim
        (classes,) see `rescaled`; -1 leaves a class as it is.
    half
        (classes,) see `averaged`; 0 leaves a class as it is.
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


def slopes(planes: np.ndarray, n_frames: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Return what a curve rises from `half` frames before each frame to as many after it.

    Parameters
    ----------
    planes
        (clips, classes, frames); beyond its ends a curve stays as it is there.
    n_frames
        (clips,) frames that a clip has; behind them is minus infinity.
    half
        (classes,) frames.
    """
    at = np.arange(planes.shape[2])
    last = np.maximum(n_frames - 1, 0)[:, None, None]
    before = np.clip(at - half[:, None], 0, None)[None]
    after = np.minimum(at + half[:, None], last)
    rise = np.take_along_axis(planes, after, axis=2) - np.take_along_axis(planes, np.minimum(before, last), axis=2)
    return np.where(at < n_frames[:, None, None], rise, -np.inf).astype(planes.dtype)


def switched(planes: np.ndarray, on: np.ndarray, off: np.ndarray) -> np.ndarray:
    """Return 1 from where a slope is above `on` to before where it is below `off`, else 0 ((classes,) limits)."""
    active, state = np.zeros_like(planes), np.zeros(planes.shape[:2], bool)
    for t in range(planes.shape[2]):
        state = (planes[:, :, t] > on) | (state & ~(planes[:, :, t] < off))
        active[:, :, t] = state
    return np.where(np.isfinite(planes), active, planes)
