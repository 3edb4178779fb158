"""Intersection-based figures, and the counts under every PSDS.

The definition is psds_eval 0.5.3's, after [1]_. A detection is relevant when the shares of it that reference events
of its class cover add up to `dtc` or more (detection tolerance). A reference event is found when relevant
detections cover `gtc` of it. A detection that is not relevant is a false positive, and a cross trigger of every
other class whose events cover `cttc` of it. A false positive must lie in a clip with a duration and begin before
its end.

.. [1] C. Bilen et al., "A framework for the robust evaluation of sound event detection", ICASSP 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.compiled import compiled, doubled
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import Grouped, grouped, per_clip_and_class
from sedkit.evaluation.inputs import occurring
from sedkit.evaluation.overlaps import checked_order
from sedkit.evaluation.parameters import IntersectionParameters


@dataclass(frozen=True)
class Ground:
    """A reference made ready for intersection.

    Attributes
    ----------
    events
        Of positive length, by clip and onset, in the clips of the reference, then those with a duration only. Every
        class has one.
    duration_s
        (clips,) 0 for a clip without a duration: nothing in it is a false positive. Infinite where none were given.
    """

    events: Events
    duration_s: NDArray[np.float64]

    @property
    def filenames(self) -> tuple[str, ...]:
        """Clips."""
        return self.events.filenames

    @property
    def labels(self) -> tuple[str, ...]:
        """Classes."""
        return self.events.labels

    def n_reference(self) -> NDArray[np.int64]:
        """(clips, classes) number of events."""
        return per_clip_and_class(self.events)

    def reference_s(self) -> NDArray[np.float64]:
        """(clips, classes) summed length of events in seconds."""
        out = np.zeros((len(self.filenames), len(self.labels)))
        np.add.at(out, (self.events.clip, self.events.label), self.events.offset_s - self.events.onset_s)
        return out


@dataclass(frozen=True)
class PointCounts:
    """Sparse counts of one or more operating points, one row (n,) for each cell and clip that counts.

    Attributes
    ----------
    ground
        The reference.
    n_points
        Operating points.
    cell
        point * classes + class.
    kind
        0: reference events that are found; 1: false positives; 2 + k: cross triggers of class k.
    clip
        Index into the reference's clips.
    value
        How many.
    """

    ground: Ground
    n_points: int
    cell: NDArray[np.int64]
    kind: NDArray[np.int64]
    clip: NDArray[np.int64]
    value: NDArray[np.float64]

    def dense(self) -> NDArray[np.float64]:
        """Return counts summed over clips, (points, classes, kinds)."""
        k = len(self.ground.labels)
        shape = (self.n_points, k, 2 + k)
        total = np.bincount(self.cell * (2 + k) + self.kind, weights=self.value, minlength=int(np.prod(shape)))
        return np.asarray(total.reshape(shape), dtype=np.float64)


def prepare(reference: Events, durations: Mapping[str, float] | None, refuse_overlaps: bool = True) -> Ground:
    """Make a reference ready; raises SedkitError where two events of one class overlap in a clip, unless allowed."""
    reference = reference.take(checked_order(reference, refuse_overlaps))
    positive = reference.take(reference.offset_s > reference.onset_s)
    filenames = tuple(dict.fromkeys((*reference.filenames, *(durations or ()))))
    if durations is None:
        length = np.full(len(filenames), np.inf)
    else:
        length = np.array([durations.get(name, 0.0) for name in filenames], dtype=np.float64)
    # The reference's clips come first: the order stays.
    return Ground(positive.keep_clips(filenames).keep_labels(occurring(positive)), length)


def join_points(ground: Ground, points: Sequence[Events], refuse_overlaps: bool = True) -> Grouped:
    """Bring operating points onto the reference's clips and classes; refuses what `checked_order` refuses.

    Classes and clips that the reference lacks are passed over. The groups are the clips of each point after those of
    the points before it.
    """
    clip_code = {name: i for i, name in enumerate(ground.filenames)}
    label_code = {name: i for i, name in enumerate(ground.labels)}
    n_clips = len(ground.filenames)
    columns: list[tuple[NDArray[Any], ...]] = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))]
    for p, table in enumerate(points):
        rows = checked_order(table, refuse_overlaps)
        clip_map = np.fromiter(map(clip_code.get, table.filenames, repeat(-1)), np.int64, len(table.filenames))
        label_map = np.fromiter(map(label_code.get, table.labels, repeat(-1)), np.int64, len(table.labels))
        clip, label = clip_map[table.clip[rows]], label_map[table.label[rows]]
        onset, offset = table.onset_s[rows], table.offset_s[rows]
        keep: Any = (clip >= 0) & (label >= 0) & (offset > onset)
        if (np.diff(clip[keep]) < 0).any():
            keep = np.flatnonzero(keep)
            keep = keep[np.argsort(clip[keep], kind="stable")]
        columns.append((p * n_clips + clip[keep], label[keep], onset[keep], offset[keep]))
    group, labels, onsets, offsets = (np.concatenate(column) for column in zip(*columns, strict=True))
    first = np.concatenate([[0], np.cumsum(np.bincount(group, minlength=len(points) * n_clips))]).astype(np.int64)
    return first, labels, onsets, offsets


def count_detections(ground: Ground, detections: Grouped, parameters: IntersectionParameters) -> PointCounts:
    """Count true positives, false positives and cross triggers of joined detections by some criteria."""
    events, labels = grouped(ground.events), ground.labels
    rows = _count_detections(events, ground.duration_s, detections, len(labels), parameters.limits)
    cell, kind, clip = np.ascontiguousarray(rows.T)
    n_points = (len(detections[0]) - 1) // max(len(ground.filenames), 1)
    return PointCounts(ground, n_points, cell, kind, clip, np.ones(len(rows)))


@compiled()
def _add(sums: Any, lost: Any, at: int, value: float) -> None:
    # Compensated summation, as pandas' grouped sum does it: a sum may lie exactly on a threshold.
    y = value - lost[at]
    t = sums[at] + y
    lost[at] = t - sums[at] - y
    sums[at] = t


@compiled()
def _count_detections(references: Any, duration: Any, detections: Any, n_classes: int, limits: Any) -> Any:
    """Return a row (cell, kind, clip) for each count."""
    (g_first, g_label, g_on, g_off), (d_first, d_label, d_on, d_off) = references, detections
    dtc, gtc, cttc = limits
    n_clips, n_ref = len(g_first) - 1, len(g_label)
    n_points = (len(d_first) - 1) // n_clips if n_clips else 0
    rows, n = np.empty((len(d_label) + n_ref + 16, 3), np.int64), 0
    share, share_lost = np.zeros(n_classes), np.zeros(n_classes)
    touched = np.zeros(n_classes, np.bool_)
    covered, covered_lost = np.zeros(n_ref), np.zeros(n_ref)
    answered = np.zeros(n_ref, np.bool_)
    for p in range(n_points):
        for clip in range(n_clips):
            d0, d1 = d_first[p * n_clips + clip], d_first[p * n_clips + clip + 1]
            if d0 == d1:
                continue
            g0, g1 = g_first[clip], g_first[clip + 1]
            covered[g0:g1] = 0.0
            covered_lost[g0:g1] = 0.0
            answered[g0:g1] = False
            while n + (d1 - d0) * n_classes + g1 - g0 > len(rows):
                rows = doubled(rows)
            for d in range(d0, d1):
                label = d_label[d]
                length = d_off[d] - d_on[d]
                share[:] = 0.0
                share_lost[:] = 0.0
                touched[:] = False
                for g in range(g0, g1):
                    if d_on[d] < g_off[g] and g_on[g] < d_off[d]:
                        both = min(d_off[d], g_off[g]) - max(d_on[d], g_on[g])
                        _add(share, share_lost, g_label[g], both / length)
                        touched[g_label[g]] = True
                if touched[label] and share[label] >= dtc:
                    for g in range(g0, g1):
                        if g_label[g] == label and d_on[d] < g_off[g] and g_on[g] < d_off[d]:
                            both = min(d_off[d], g_off[g]) - max(d_on[d], g_on[g])
                            _add(covered, covered_lost, g, both / (g_off[g] - g_on[g]))
                            answered[g] = True
                    continue
                cell = p * n_classes + label
                if duration[clip] > 0 and d_on[d] < duration[clip] and d_off[d] > 0:
                    rows[n, 0], rows[n, 1], rows[n, 2] = cell, 1, clip
                    n += 1
                for other in range(n_classes):
                    if touched[other] and other != label and share[other] >= cttc:
                        rows[n, 0], rows[n, 1], rows[n, 2] = cell, 2 + other, clip
                        n += 1
            for g in range(g0, g1):
                if answered[g] and covered[g] >= gtc:
                    rows[n, 0], rows[n, 1], rows[n, 2] = p * n_classes + g_label[g], 0, clip
                    n += 1
    return rows[:n]
