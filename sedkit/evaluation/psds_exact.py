"""PSDS from scores, over every threshold at once: no operating points to choose, nothing lost between them.

After [1]_: as the threshold falls, frames join in order of their score; each joins, lengthens or begins one
detection, so only that detection's counts change. The changes of all clips, sorted by score and summed up, are the
counts at every threshold. Lengths are compared to 1e-6 s, as sed_scores_eval does, because frame edges are no round
numbers.

.. [1] J. Ebbers, R. Haeb-Umbach and R. Serizel, "Threshold independent evaluation of sound event detection scores",
ICASSP 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.compiled import compiled, doubled
from sedkit.core.errors import SedkitError
from sedkit.dataio.scores import Scores
from sedkit.evaluation.counts import grouped
from sedkit.evaluation.coverage import Ground, PointCounts
from sedkit.evaluation.parameters import IntersectionParameters, PsdsParameters
from sedkit.evaluation.psd_roc import areas_of, rates_of

#: Thresholds per class that intervals are computed from; the figure itself uses all.
INTERVAL_POINTS = 100


@dataclass(frozen=True)
class Sweep:
    """How counts change as the threshold falls to each score.

    `threshold` is (changes,), the score at which, and `change` (changes, 4): label and clip in which, what (as
    `PointCounts.kind`), and by how many.
    """

    ground: Ground
    threshold: NDArray[np.floating]
    change: NDArray[np.int64]

    def of(self, label: int, n_kinds: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        """Return thresholds, and rows (clip, kind, by how many), of one class and the first kinds."""
        mine = (self.change[:, 0] == label) & (self.change[:, 2] < n_kinds)
        return self.threshold[mine], self.change[mine, 1:]


def sweep(ground: Ground, scores: Scores, parameters: IntersectionParameters) -> Sweep:
    """Follow the detections of every clip and class through all thresholds (`score >= threshold`).

    Clips of the reference without scores have no detection, nor has a class that the scores lack.
    """
    if not ground.labels:
        raise SedkitError("PSDS: the reference holds no event, expected at least one")
    row = {name: i for i, name in enumerate(scores.filenames)}
    column = np.array([scores.labels.index(x) if x in scores.labels else -1 for x in ground.labels], dtype=np.int64)
    of_clip = np.array([row.get(name, -1) for name in ground.filenames], dtype=np.int64)
    edges = [np.round(scores.edges(i), 6) if i >= 0 else np.zeros(1) for i in of_clip]
    # Frames past the clip's end have no length once the edges are cut at it.
    n_frames = np.array([int((np.diff(e) > 0).sum()) for e in edges], dtype=np.int64)
    e_first = np.concatenate([[0], np.cumsum([len(e) for e in edges])]).astype(np.int64)
    every_edge = np.concatenate(edges) if edges else np.zeros(0)
    frames = (np.ascontiguousarray(scores.framewise), of_clip, column, n_frames, every_edge, e_first)
    return Sweep(ground, *_sweep(grouped(ground.events), ground.duration_s, frames, parameters.limits))


@compiled()
def _micro(seconds: float) -> float:
    return np.rint(seconds * 1e6)


@compiled()
def _common(a0: float, a1: float, b0: float, b1: float) -> float:
    return max(min(a1, b1) - max(a0, b0), 0.0)


@compiled()
def _sweep(references: Any, duration: Any, frames: Any, limits: Any) -> Any:
    g_first, g_label, g_on, g_off = references
    framewise, of_clip, column, n_frames, edges, e_first = frames
    dtc, gtc, cttc = limits
    n_classes = len(column)
    most = max(framewise.shape[1], 1)
    active, fresh = np.zeros(most, np.bool_), np.zeros(most, np.bool_)
    # Of a run of active frames: its other end, kept at both ends; whether it is relevant and what it triggers, at
    # its start.
    end_of, start_of = np.zeros(most, np.int64), np.zeros(most, np.int64)
    relevant = np.zeros(most, np.bool_)
    triggers = np.zeros((most, n_classes), np.bool_)
    share, d_kind = np.zeros(n_classes), np.zeros(2 + n_classes, np.int64)
    n_out = 0
    threshold, change = np.empty(1 << 16, framewise.dtype), np.empty((1 << 16, 4), np.int64)
    for clip in range(len(of_clip)):
        if of_clip[clip] < 0:
            continue
        n = n_frames[clip]
        edge = edges[e_first[clip] : e_first[clip + 1]]
        g0, g1 = g_first[clip], g_first[clip + 1]
        cover, answered = np.zeros(g1 - g0), np.zeros(g1 - g0, np.bool_)
        for c in range(n_classes):
            if column[c] < 0:
                continue
            score = framewise[of_clip[clip], :n, column[c]].copy()
            order = np.argsort(score)[::-1]
            active[:n] = False
            cover[:] = 0.0
            answered[:] = False
            i = 0
            while i < n:
                value = score[order[i]]
                j = i
                while j < n and score[order[j]] == value:
                    active[order[j]] = True
                    fresh[order[j]] = True
                    j += 1
                d_kind[:] = 0
                for q in range(i, j):
                    if not fresh[order[q]]:
                        continue
                    a, b = order[q], order[q] + 1
                    fresh[a] = False
                    # Grow to the whole run; older detections that it swallows take their counts with them.
                    while True:
                        if a > 0 and active[a - 1]:
                            if fresh[a - 1]:
                                a -= 1
                                fresh[a] = False
                                continue
                            old0, old1 = start_of[a - 1], a
                            a = old0
                        elif b < n and active[b]:
                            if fresh[b]:
                                fresh[b] = False
                                b += 1
                                continue
                            old0, old1 = b, end_of[b]
                            b = old1
                        else:
                            break
                        if relevant[old0]:
                            for g in range(g0, g1):
                                if g_label[g] == c:
                                    cover[g - g0] -= _common(edge[old0], edge[old1], g_on[g], g_off[g])
                        else:
                            d_kind[1] -= 1
                            for k in range(n_classes):
                                if triggers[old0, k]:
                                    d_kind[2 + k] -= 1
                    end_of[a], start_of[b - 1] = b, a
                    length = edge[b] - edge[a]
                    share[:] = 0.0
                    for g in range(g0, g1):
                        share[g_label[g]] += _common(edge[a], edge[b], g_on[g], g_off[g])
                    relevant[a] = share[c] > 0 and _micro(share[c]) >= _micro(dtc * length)
                    if relevant[a]:
                        for g in range(g0, g1):
                            if g_label[g] == c:
                                cover[g - g0] += _common(edge[a], edge[b], g_on[g], g_off[g])
                    else:
                        d_kind[1] += 1
                        for k in range(n_classes):
                            triggers[a, k] = k != c and share[k] > 0 and _micro(share[k]) >= _micro(cttc * length)
                            if triggers[a, k]:
                                d_kind[2 + k] += 1
                for g in range(g0, g1):
                    if g_label[g] == c:
                        now = cover[g - g0] > 1e-9 and _micro(cover[g - g0]) >= _micro(gtc * (g_off[g] - g_on[g]))
                        d_kind[0] += int(now) - int(answered[g - g0])
                        answered[g - g0] = now
                if duration[clip] <= 0:
                    d_kind[1] = 0
                if n_out + n_classes + 2 > len(threshold):
                    threshold, change = doubled(threshold), doubled(change)
                for kind in range(2 + n_classes):
                    if d_kind[kind]:
                        threshold[n_out], row = value, change[n_out]
                        row[0], row[1], row[2], row[3] = c, clip, kind, d_kind[kind]
                        n_out += 1
                i = j
    return threshold[:n_out].copy(), change[:n_out].copy()


def _steps(
    swept: Sweep, c: int, parameters: PsdsParameters
) -> tuple[NDArray[np.floating], NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that raise a class's curve: thresholds, efpr and tpr, each (steps,), efpr rising."""
    ground, n_kinds = swept.ground, 2 + len(swept.ground.labels) if parameters.alpha_ct else 2
    threshold, change = swept.of(c, n_kinds)
    value = np.unique(threshold)[::-1]
    n = len(value)
    at = n - 1 - np.searchsorted(value[::-1], threshold)
    changes = np.bincount(at * n_kinds + change[:, 1], weights=change[:, 2], minlength=n * n_kinds)
    counts = changes.reshape(n, n_kinds).cumsum(axis=0)
    tpr, efpr = rates_of(counts, ground.n_reference()[:, c].sum(), ground, parameters)
    order = np.lexsort((-tpr, efpr))
    best = np.maximum.accumulate(tpr[order]) if n else tpr
    rises = np.diff(best, prepend=0.0) > 0
    order = order[rises & (efpr[order] < parameters.max_efpr)]
    return value[order], efpr[order], tpr[order]


def psds_of_sweep(swept: Sweep, parameters: PsdsParameters) -> tuple[float, dict[str, float]]:
    """Return PSDS and the area under each class's own curve, over every threshold."""
    labels = swept.ground.labels
    _, x, y = zip(*(_steps(swept, c, parameters) for c in range(len(labels))), strict=True)
    cls = np.repeat(np.arange(len(labels)), [len(of_class) for of_class in x])
    return areas_of(np.concatenate(x), cls, np.concatenate(y), labels, parameters)


def points_of_sweep(swept: Sweep, parameters: PsdsParameters, n_points: int = INTERVAL_POINTS) -> PointCounts:
    """Return counts at `n_points` thresholds per class, spread evenly over the steps of its curve.

    A resample of the clips moves every curve a little; these points follow it closely, where all of them would be
    too many to resample.
    """
    ground = swept.ground
    k, n_clips = len(ground.labels), len(ground.filenames)
    counts: list[tuple[NDArray[np.int64], ...]] = []
    for c in range(k):
        steps, _, _ = _steps(swept, c, parameters)
        pick = np.unique(np.linspace(0, len(steps) - 1, min(n_points, len(steps))).round().astype(int))
        grid = np.sort(steps[pick])[::-1] if len(steps) else np.full(1, np.inf)
        threshold, change = swept.of(c, 2 + k)
        at = np.searchsorted(-grid, -threshold)
        inside = at < n_points
        clip, kind, by = change[inside].T
        changes = np.bincount(
            (clip * (2 + k) + kind) * n_points + at[inside], weights=by, minlength=n_clips * (2 + k) * n_points
        )
        # What comes before or at each point, (clips, kinds, points).
        dense = changes.reshape(n_clips, 2 + k, n_points).cumsum(axis=2).round()
        clip, kind, point = np.nonzero(dense)
        counts.append((point * k + c, kind, clip, dense[clip, kind, point]))
    return PointCounts(ground, n_points, *map(np.concatenate, zip(*counts, strict=True)))
