"""From scores to events.

Per clip and class: what `processed` does to the scores, then the runs above the threshold where the clip gate is open.
Frame intervals are half open; times are the frames' edges, cut at the clip's duration. Comparisons are those of the
scores (float32 or float64) with float64 thresholds: greater than `threshold` and `clip_threshold`, at or above `low`.

One threshold a class is the case of one operating point: the scores are processed once however many there are, as for
windows of odd length median(x > t) = median(x) > t, and likewise for gaps and short events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sedkit.dataio.events import Events, Tags
from sedkit.postprocessing import engine, grids
from sedkit.postprocessing.gate import open_gate
from sedkit.postprocessing.operating_points import DecodedPoints, ascending, events_at
from sedkit.postprocessing.presets import Preset
from sedkit.postprocessing.processed import Curves, filtered_curves, switched, tidied
from sedkit.postprocessing.rules import FrameRule, Postprocessing

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


def decode(scores: Scores, postprocessing: Postprocessing | Preset, tags: Scores | Tags | None = None) -> Events:
    """Turn scores into events.

    Parameters
    ----------
    scores
        Frame scores (clips, frames, classes), with clip scores where a rule has a clip threshold.
    postprocessing
        The rules, or a preset such as `PUBLISHED`.
    tags
        What opens the clip gate in place of the scores' own clip scores: other scores (their clip scores are held
        against the rules' clip thresholds) or a weak table (a class that it names is open).

    Returns
    -------
    events
        Every clip of the scores is listed, with or without events; ordered by clip, class and time.

    Raises
    ------
    SedkitError
        Other classes than the rules', clip scores that are missing, clips without tags, scores that are no numbers.

    Examples
    --------
    >>> from sedkit.dataio.store import Scores
    >>> scores = Scores(
    ...     framewise=np.array([[[0.0], [0.15], [0.3], [0.15], [0.05], [0.3], [0.0]]], dtype=np.float32),
    ...     clipwise=None, n_frames=np.array([7]), duration_s=np.array([7.0]), frame_edges_s=np.arange(8.0),
    ...     filenames=("a.wav",), labels=("Cat",), producer="by hand",
    ... )
    >>> rule = FrameRule(threshold=0.2, low=0.1)
    >>> list(decode(scores, Postprocessing.uniform(["Cat"], rule)).rows())
    [('a.wav', 1.0, 4.0, 'Cat'), ('a.wav', 5.0, 6.0, 'Cat')]
    """
    rules = postprocessing.over(scores.labels)
    _, intervals, times_s = _decoded(scores, rules, rules.column("threshold")[:, None], tags)
    return events_at(intervals, times_s, scores.filenames, scores.labels, "decoded events")


def decode_thresholds(
    scores: Scores,
    thresholds: Sequence[float] | np.ndarray,
    postprocessing: Postprocessing | Preset | None = None,
    tags: Scores | Tags | None = None,
) -> DecodedPoints:
    """Turn scores into the events of many thresholds at once, one block per threshold, ascending.

    Parameters
    ----------
    scores, tags
        As in `decode`.
    thresholds
        Thresholds that all classes share.
    postprocessing
        The rules: everything in them holds at every point but the threshold itself; `low` keeps its proportion to it,
        the clip gate stays as it is. None: thresholds alone.
    """
    at = ascending(thresholds)
    rules = (postprocessing or Postprocessing.uniform(scores.labels, FrameRule(0.5))).over(scores.labels)
    bounds, intervals, times_s = _decoded(scores, rules, np.tile(at, (len(scores.labels), 1)), tags)
    return DecodedPoints(at, scores.filenames, scores.labels, bounds, intervals, times_s)


def _decoded(
    scores: Scores, rules: Postprocessing, thresholds: np.ndarray, tags: Scores | Tags | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return bounds, intervals and times_s of `DecodedPoints` at (classes, points) thresholds."""
    gate = open_gate(scores, rules, tags)
    if rules.decoder == "csebbs":
        from sedkit.postprocessing.sebbs import find_boxes

        return find_boxes(scores, rules, gate).above(thresholds, len(scores.filenames))
    groups = filtered_curves(scores, rules)
    if rules.decoder != "derivative":
        bounds, intervals = _find_intervals([tidied(group, rules) for group in groups], gate, thresholds)
    else:
        half = np.full((len(rules.labels), 1), 0.5)
        every = [
            _find_intervals([switched(group, rules, at) for group in groups], gate, half)[1] for at in thresholds.T
        ]
        bounds, intervals = np.cumsum([0, *map(len, every)]), np.concatenate(every)
    return bounds, intervals, grids.times_s(scores)


def _find_intervals(
    groups: Sequence[Curves], gate: np.ndarray, thresholds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Find the runs of the curves of all clips above (classes, points) ascending thresholds.

    A pair that is closed in `gate`, (clips, classes), has none. Return bounds and intervals as in `DecodedPoints`, by
    point, clip, class and time.
    """
    blocks, points = [np.zeros((0, 4), np.int32)], [np.zeros(0, np.int64)]
    for group in groups:
        functions = engine.choose(group.planes.size * thresholds.shape[1])
        limits = _at_most(thresholds, group.planes.dtype)
        bounds, intervals = functions.runs_above(group.planes, group.n_frames, gate[group.clips], limits)
        if len(groups) == 1:
            return bounds, intervals
        intervals[:, 0] = group.clips[intervals[:, 0]]
        blocks.append(intervals)
        points.append(np.repeat(np.arange(thresholds.shape[1]), np.diff(bounds)))
    every, point = np.concatenate(blocks), np.concatenate(points)
    bounds = np.concatenate([[0], np.cumsum(np.bincount(point, minlength=thresholds.shape[1]))])
    return bounds, every[np.lexsort((every[:, 2], every[:, 1], every[:, 0], point))]


def _at_most(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the greatest numbers of a type <= x: a number of that type is > x exactly where it is > that one."""
    y = x.astype(dtype)
    return np.where(y > x, np.nextafter(y, y.dtype.type(-np.inf)), y).astype(dtype)
