"""Change-detection-based sound event bounding boxes (cSEBBs).

From J. Ebbers et al., "Sound event bounding boxes", Interspeech 2024 (arXiv 2406.04212). A box is an onset, an offset,
a class and a confidence. Its boundaries come from where the scores change, so a threshold on the confidence decides
which boxes are events and never moves a boundary.

1. The scores of a class are a piecewise constant function of time, 0 outside the clip. The step filter of length L is
   Delta(t) = mean over [t, t + L/2] minus mean over [t - L/2, t]; it is piecewise linear, with breakpoints at frame
   edges and at frame edges +- L/2.
2. A local maximum of Delta opens a box, the next local minimum closes it. Where an extremum is flat, the box is the
   shortest: the last time of a maximum, the first of a minimum.
3. Boxes merge over the gap between them as long as the score falls little enough below the maximum of either, the
   least fall first.
4. The confidence is the mean score of the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.compiled import compiled, doubled
from sedkit.postprocessing import grids
from sedkit.postprocessing.rules import Postprocessing

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

#: Differences of Delta below this are rounding, not change.
_FLAT = 1e-9


@dataclass(frozen=True)
class Boxes:
    """Boxes (n,) in order of clip, class and time; `onset_s`, `offset_s` and `confidence` are float64."""

    clip: np.ndarray
    label: np.ndarray
    onset_s: np.ndarray
    offset_s: np.ndarray
    confidence: np.ndarray

    def above(self, thresholds: np.ndarray, n_clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return bounds, intervals and times_s of `DecodedPoints`: boxes above (classes, points) thresholds."""
        slot = np.arange(len(self.clip)) - np.searchsorted(self.clip, self.clip)
        times_s = np.zeros((n_clips, 2 * (int(slot.max(initial=0)) + 1)))
        times_s[self.clip, 2 * slot] = self.onset_s
        times_s[self.clip, 2 * slot + 1] = self.offset_s
        every = np.stack([self.clip, self.label, 2 * slot, 2 * slot + 1], axis=1).astype(np.int32)
        picks = [np.flatnonzero(self.confidence > threshold[self.label]) for threshold in thresholds.T]
        return np.cumsum([0, *map(len, picks)]), every[np.concatenate(picks)], times_s


def find_boxes(scores: Scores, rules: Postprocessing, gate: np.ndarray | None = None) -> Boxes:
    """Find the boxes of clips and classes, whatever their confidence; `gate` (clips, classes) opens pairs, None all."""
    times = grids.times_s(scores)
    n_frames = grids.n_frames_heard(scores, times)
    if gate is None:
        gate = np.ones((len(scores.filenames), len(scores.labels)), bool)
    rows, n = _all_boxes(
        np.ascontiguousarray(scores.framewise),
        times,
        n_frames,
        gate,
        rules.column("step_s"),
        np.nan_to_num(rules.column("merge_abs"), nan=np.inf),
        np.nan_to_num(rules.column("merge_rel"), nan=np.inf),
    )
    clip, label, onset_s, offset_s, confidence = rows[:n].T.copy()
    return Boxes(clip.astype(np.int64), label.astype(np.int64), onset_s, offset_s, confidence)


@compiled()
def _area_until(at: np.ndarray, shift: float, edges: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Return the area under the scores up to each `at` + `shift` (ascending), given the area up to each edge."""
    out = np.empty(len(at))
    n = len(edges) - 1
    frame = 0
    for k in range(len(at)):
        t = at[k] + shift
        while frame < n - 1 and edges[frame + 1] < t:
            frame += 1
        share = (t - edges[frame]) / (edges[frame + 1] - edges[frame])
        out[k] = area[frame] + min(max(share, 0.0), 1.0) * (area[frame + 1] - area[frame])
    return out


@compiled()
def _breakpoints(edges: np.ndarray, half: float) -> np.ndarray:
    """Return the breakpoints of Delta within the clip, seconds, ascending."""
    n = len(edges)
    at, k = np.empty(3 * n), 0
    before = here = after = 0
    while before < n or here < n or after < n:
        point = min(
            edges[before] - half if before < n else np.inf,
            edges[here] if here < n else np.inf,
            edges[after] + half if after < n else np.inf,
        )
        # Breakpoints nearer than rounding are one.
        if edges[0] <= point <= edges[-1] and (k == 0 or point - at[k - 1] > _FLAT):
            at[k] = point
            k += 1
        before += before < n and edges[before] - half == point
        here += here < n and edges[here] == point
        after += after < n and edges[after] + half == point
    return at[:k]


@compiled()
def _step_filter(at: np.ndarray, half: float, edges: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return Delta of step length 2 * `half` at breakpoints."""
    area = np.zeros(len(edges))
    for t in range(len(scores)):
        area[t + 1] = area[t] + scores[t] * (edges[t + 1] - edges[t])
    delta, here = _area_until(at, half, edges, area), _area_until(at, 0.0, edges, area)
    before = _area_until(at, -half, edges, area)
    for k in range(len(at)):
        delta[k] = (delta[k] - 2 * here[k] + before[k]) / half
    return delta


@compiled()
def _changes(delta: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the positions of alternating local maxima and minima of `delta`, and how many pairs there are."""
    n = len(delta)
    maxima, minima = np.empty(n, np.int64), np.empty(n, np.int64)
    k = 0
    rising = True
    peak, at = delta[0], 0
    for t in range(1, n):
        value = delta[t]
        if rising:
            if value >= peak - _FLAT:
                peak, at = max(peak, value), t
            else:
                maxima[k] = at
                rising, peak, at = False, value, t
        elif value < peak - _FLAT:
            peak, at = value, t
        elif value > peak + _FLAT:
            minima[k] = at
            k += 1
            rising, peak, at = True, value, t
    if not rising:
        minima[k] = at
        k += 1
    return maxima, minima, k


@compiled()
def _segment(edges: np.ndarray, scores: np.ndarray, begin: float, end: float) -> tuple[float, float, float]:
    """Return integral, minimum and maximum of the scores over [begin, end]; of the frame at hand where it is empty."""
    n = len(scores)
    t, behind = 0, n  # the last frame that begins by then
    while behind - t > 1:
        middle = (t + behind) // 2
        if edges[middle] <= begin + _FLAT:
            t = middle
        else:
            behind = middle
    area, low, high = 0.0, scores[t], scores[t]
    while t < n and edges[t] < end - _FLAT:
        low, high = min(low, scores[t]), max(high, scores[t])
        area += scores[t] * (min(edges[t + 1], end) - max(edges[t], begin))
        t += 1
    return area, low, high


@compiled()
def _boxes(
    at: np.ndarray, delta: np.ndarray, edges: np.ndarray, scores: np.ndarray, merge_abs: float, merge_rel: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return onsets, offsets (seconds) and confidences of one clip and class."""
    maxima, minima, k = _changes(delta)
    onset, offset = np.empty(k), np.empty(k)
    top, floor = np.empty(k), np.empty(k)
    for j in range(k):
        onset[j], offset[j] = at[maxima[j]], at[minima[j]]
        top[j] = _segment(edges, scores, onset[j], offset[j])[2]
    for j in range(k - 1):
        floor[j] = _segment(edges, scores, offset[j], onset[j + 1])[1]
    while k > 1:
        # The fall over each gap in units of the thresholds; the least one merges first, below 1.
        best, least = -1, 1.0
        for j in range(k - 1):
            height = max(top[j], top[j + 1])
            fall = max((height - floor[j]) / merge_abs, (height + 1e-3) / (floor[j] + 1e-3) / merge_rel)
            if fall < least:
                best, least = j, fall
        if best < 0:
            break
        offset[best] = offset[best + 1]
        top[best] = _segment(edges, scores, onset[best], offset[best])[2]
        for j in range(best + 1, k - 1):
            onset[j], offset[j], top[j], floor[j - 1] = onset[j + 1], offset[j + 1], top[j + 1], floor[j]
        k -= 1
    confidence = np.empty(k)
    for j in range(k):
        confidence[j] = _segment(edges, scores, onset[j], offset[j])[0] / (offset[j] - onset[j])
    return onset[:k], offset[:k], confidence


@compiled()
def _all_boxes(
    framewise: np.ndarray,
    times: np.ndarray,
    n_frames: np.ndarray,
    gate: np.ndarray,
    step_s: np.ndarray,
    merge_abs: np.ndarray,
    merge_rel: np.ndarray,
) -> tuple[np.ndarray, int]:
    """Return clip, class, onset, offset, confidence (.., 5) float64, and how many rows are used."""
    n_clips, _, n_classes = framewise.shape
    rows = np.empty((1024, 5))
    k = 0
    for i in range(n_clips):
        n = n_frames[i]
        if n == 0:
            continue
        edges = times[i, : n + 1]
        at = _breakpoints(edges, step_s[0] / 2)
        for c in range(n_classes):
            if c > 0 and step_s[c] != step_s[c - 1]:
                at = _breakpoints(edges, step_s[c] / 2)
            if not gate[i, c]:
                continue
            scores = framewise[i, :n, c].astype(np.float64)
            delta = _step_filter(at, step_s[c] / 2, edges, scores)
            onset, offset, confidence = _boxes(at, delta, edges, scores, merge_abs[c], merge_rel[c])
            while k + len(onset) > len(rows):
                rows = doubled(rows)
            for j in range(len(onset)):
                row = rows[k]
                row[0], row[1], row[2], row[3], row[4] = i, c, onset[j], offset[j], confidence[j]
                k += 1
    return rows, k
