"""From scores to events.

Per clip and class: the clip gate, rescaling, a moving average and a median filter over the frame scores, runs above the
threshold, their extension to the second threshold, merging over short gaps, dropping of short events. Frame intervals
are half open; times are the frames' edges, cut at the clip's duration. Comparisons are those of the scores (float32 or
float64) with float64 thresholds: greater than `threshold` and `clip_threshold`, at or above `low`.

For many thresholds the filter runs once: for windows of odd length median(x > t) = median(x) > t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sedkit.dataio.events import Events, Tags
from sedkit.postprocessing import engine, grids
from sedkit.postprocessing.gate import open_gate
from sedkit.postprocessing.operating_points import OperatingPoints, ascending, events_at
from sedkit.postprocessing.rule import FrameRule
from sedkit.postprocessing.rules import Postprocessing, Preset
from sedkit.postprocessing.shape import shaped, slopes, switched

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
    gate = open_gate(scores, rules, tags)
    if rules.decoder == "csebbs":
        from sedkit.postprocessing.sebbs import find_boxes

        boxes = find_boxes(scores, rules, gate)
        intervals, times = boxes.intervals(len(scores.filenames))
        intervals = intervals[boxes.confidence > np.array([rule.threshold for rule in rules.rules])[boxes.label]]
    else:
        limits = Limits.of(rules)
        intervals = find_intervals(filter_scores(scores, limits), gate, limits)
        times = grids.times_s(scores)
    return events_at(intervals, times, scores.filenames, scores.labels, "decoded events")


def decode_thresholds(
    scores: Scores,
    thresholds: Sequence[float] | np.ndarray,
    postprocessing: Postprocessing | Preset | None = None,
    tags: Scores | Tags | None = None,
) -> OperatingPoints:
    """Turn scores into the events of many thresholds at once.

    Parameters
    ----------
    scores, tags
        As in `decode`.
    thresholds
        Thresholds that all classes share.
    postprocessing
        The rules: everything in them holds at every point but the threshold itself; `low` keeps its proportion to it,
        the clip gate stays as it is. None: thresholds alone.

    Returns
    -------
    points
        One block of events per threshold, ascending.
    """
    at = ascending(thresholds)
    rules = (postprocessing or Preset("thresholds", "threshold", FrameRule(threshold=0.5), "")).over(scores.labels)
    gate = open_gate(scores, rules, tags)
    if rules.decoder == "csebbs":
        from sedkit.postprocessing.sebbs import find_boxes

        bounds, intervals, times = find_boxes(scores, rules, gate).at(thresholds=at, n_clips=len(scores.filenames))
    else:
        bounds, intervals = _intervals_at(scores, at, rules, gate)
        times = grids.times_s(scores)
    return OperatingPoints(at, scores.filenames, scores.labels, bounds, intervals, times)


# ------------------------------------------------------------------------------------------------ the steps


@dataclass(frozen=True)
class Limits:
    """The numbers of frame rules as arrays (classes,), and what the decoder makes of them."""

    threshold: np.ndarray
    low: np.ndarray
    rescale_trim_s: np.ndarray
    mean_s: np.ndarray
    median_s: np.ndarray
    slope_s: np.ndarray
    merge_gap_s: np.ndarray
    min_duration_s: np.ndarray
    decoder: str = "threshold"

    @classmethod
    def of(cls, rules: Postprocessing) -> Limits:
        """Return the limits of rules for the decoders of frames."""
        frame_rules = [rule for rule in rules.rules if isinstance(rule, FrameRule)]
        names = ("threshold", "mean_s", "median_s", "merge_gap_s", "min_duration_s")
        numbers = {name: np.array([getattr(rule, name) for rule in frame_rules]) for name in names}
        numbers["slope_s"] = np.array([getattr(rule, "slope_s", 0.0) for rule in frame_rules])
        trims = (rule.rescale_trim_s for rule in frame_rules)
        numbers["rescale_trim_s"] = np.array([np.nan if trim is None else trim for trim in trims])
        without = -numbers["threshold"] if rules.decoder == "derivative" else np.full(len(frame_rules), np.inf)
        lows = (rule.low for rule in frame_rules)
        low = np.array([other if low is None else low for low, other in zip(lows, without, strict=True)])
        return cls(low=low, decoder=rules.decoder, **numbers)

    def at(self, threshold: float) -> Limits:
        """Return the limits with one threshold for all classes, `low` in its old proportion to it."""
        with np.errstate(divide="ignore", invalid="ignore"):
            low = np.where(self.threshold > 0, threshold * self.low / self.threshold, np.minimum(self.low, threshold))
        low = np.where(np.isinf(self.low), np.inf, low)
        return replace(self, threshold=np.full_like(self.threshold, threshold), low=low)

    def frames(self, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the widest gap that is bridged and the shortest event that is kept, frames (classes,)."""
        merge = grids.at_most_frames(self.merge_gap_s, rate_hz)
        if self.decoder != "published":
            return merge, grids.at_least_frames(self.min_duration_s, rate_hz)
        # As published: with a second threshold one inactive frame never parts events, and salt goes by "not longer".
        merge = np.where(np.isinf(self.low), merge, np.maximum(merge, 1))
        return merge, grids.at_most_frames(self.min_duration_s, rate_hz) + 1

    @property
    def only_threshold(self) -> bool:
        """Whether runs above the threshold are events as they are."""
        return bool(np.isinf(self.low).all() and not self.merge_gap_s.any() and not self.min_duration_s.any())


@dataclass(frozen=True)
class Filtered:
    """Filtered scores, or their slopes, of the clips that share a frame rate: `planes` (clips, classes, frames)."""

    clips: np.ndarray
    planes: np.ndarray
    n_frames: np.ndarray
    rate_hz: float


def filter_scores(scores: Scores, limits: Limits) -> list[Filtered]:
    """Do to each clip what each class's rule does before it compares: clips are grouped by frame rate."""
    rates = grids.frame_rates_hz(scores)
    n_frames = grids.n_frames_heard(scores, grids.times_s(scores))
    framewise = np.ascontiguousarray(scores.framewise)
    out = []
    for rate in np.unique(rates):
        clips = np.flatnonzero(rates == rate)
        half = grids.half_window(limits.median_s, rate)
        frames = framewise if len(clips) == len(rates) else framewise[clips]
        trim = np.where(
            np.isnan(limits.rescale_trim_s), -1, grids.at_most_frames(np.nan_to_num(limits.rescale_trim_s), rate)
        )
        frames = shaped(frames, n_frames[clips], trim, grids.half_window(limits.mean_s, rate))
        functions = engine.choose(frames.size * (1 + 2 * int(half.max(initial=0))))
        planes = functions.median_planes(frames, n_frames[clips], half)
        if limits.decoder == "derivative":
            planes = slopes(planes, n_frames[clips], grids.half_window(limits.slope_s, rate))
        out.append(Filtered(clips, planes, n_frames[clips], float(rate)))
    return out


def find_intervals(filtered: Sequence[Filtered], gate: np.ndarray, limits: Limits) -> np.ndarray:
    """Return clip, label, first and last frame (exclusive) of the events, (n, 4) int32, by clip, class and time."""
    blocks = [np.zeros((0, 4), np.int32)]
    for group in filtered:
        merge, shortest = limits.frames(group.rate_hz)
        functions = engine.choose(group.planes.size)
        high = _at_most(limits.threshold, group.planes.dtype)
        low = -_at_most(-limits.low, group.planes.dtype)
        planes = group.planes
        if limits.decoder == "derivative":
            planes = switched(planes, high, low)
            high, low = np.full_like(high, 0.5), np.full_like(low, np.inf)
        intervals = functions.regions(planes, group.n_frames, gate[group.clips], high, low, merge, shortest)
        intervals[:, 0] = group.clips[intervals[:, 0]]
        blocks.append(intervals)
    if len(filtered) == 1:
        return blocks[1]
    every = np.concatenate(blocks)
    return every[np.lexsort((every[:, 2], every[:, 1], every[:, 0]))]


def _intervals_at(
    scores: Scores, thresholds: np.ndarray, rules: Postprocessing, gate: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of the points, and the events as `find_intervals` does, point after point."""
    limits = Limits.of(rules)
    filtered = filter_scores(scores, limits)
    if len(filtered) == 1 and limits.only_threshold:
        (group,) = filtered
        functions = engine.choose(group.planes.size * len(thresholds))
        return functions.regions_at(group.planes, group.n_frames, gate, _at_most(thresholds, group.planes.dtype))
    points = [find_intervals(filtered, gate, limits.at(threshold)) for threshold in thresholds]
    return np.cumsum([0, *(len(point) for point in points)]), np.concatenate(points)


def _at_most(x: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the greatest numbers of a type <= x: a number of that type is > x exactly where it is > that one."""
    y = x.astype(dtype)
    return np.where(y > x, np.nextafter(y, y.dtype.type(-np.inf)), y).astype(dtype)
