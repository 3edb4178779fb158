"""The decoder again, one frame at a time in plain Python: slow, independent, the oracle of the tests."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median

import numpy as np

from sedkit.dataio.scores import Scores

#: The classes of the fixture `files`.
LABELS = ["Cat", "Dog"]


def make_scores(framewise, clipwise=None, n_frames=None, rate_hz=1.0, duration_s=None, edges=None, labels=None):
    x = np.asarray(framewise, dtype=np.float32)
    if x.ndim == 1:
        x = x[None, :, None]
    clips, frames, classes = x.shape
    n_frames = np.full(clips, frames) if n_frames is None else np.asarray(n_frames)
    return Scores(
        framewise=x,
        clipwise=clipwise,
        n_frames=n_frames,
        duration_s=n_frames / rate_hz if duration_s is None else np.asarray(duration_s, dtype=float),
        frame_edges_s=np.arange(frames + 1) / rate_hz if edges is None else edges,
        filenames=tuple(f"{i}.wav" for i in range(clips)),
        labels=tuple(labels or [f"class{c}" for c in range(classes)]),
        producer="test",
    )


def reflected(x, t):
    """Frame `t` of a row continued by reflection, the last frame repeated."""
    n = len(x)
    t %= 2 * n
    return x[t] if t < n else x[2 * n - 1 - t]


def smoothed(x, half):
    return [median(reflected(x, t + k) for k in range(-half, half + 1)) for t in range(len(x))] if x else []


def slow_row(x, threshold, low=None, half=0, merge=0, shortest=0):
    """Half-open intervals of one clip and class."""
    x = smoothed([float(v) for v in x], half)
    active = [v > threshold for v in x]
    if low is not None:
        for order in (range(1, len(x)), range(len(x) - 2, -1, -1)):
            for t in order:
                before = t - 1 if order.step == 1 else t + 1
                active[t] = active[t] or (active[before] and x[t] >= low)
    frames = [t for t, on in enumerate(active) if on]
    if not frames:
        return []
    out = []
    begin = frames[0]
    for a, b in pairwise([*frames, math.inf]):
        # Frames a and b are active and nothing between them: a gap of b - a - 1 frames.
        if b - a - 1 > max(merge, 0):
            if a + 1 - begin >= shortest:
                out.append((begin, a + 1))
            begin = b
    return out


def frames_of(rule, published, rate_hz):
    """Return half window, merge and shortest of a rule on a grid."""
    window = rule.median_s * rate_hz
    half = max(0, min(range(2000), key=lambda h: (round(abs(2 * h + 1 - window), 5), -h)))
    merge = max(k for k in range(2000) if k / rate_hz <= rule.merge_gap_s + 1e-9)
    if not published:
        return half, merge, min(k for k in range(2000) if k / rate_hz >= rule.min_duration_s - 1e-9)
    if rule.low is not None:
        merge = max(merge, 1)
    return half, merge, min(k for k in range(2000) if k / rate_hz > rule.min_duration_s + 1e-9)


def slow_decode(scores, rules, rate_hz, gate=None):
    """Return the set of (clip, class, onset_s, offset_s) of scores on a regular grid."""
    out = set()
    for i in range(len(scores.filenames)):
        edges = scores.edges(i)
        heard = int((edges[:-1] < scores.duration_s[i]).sum())
        for c, rule in enumerate(rules.rules):
            if rule.clip_threshold is not None and not float(scores.clipwise[i, c]) > rule.clip_threshold:
                continue
            if gate is not None and not gate[i, c]:
                continue
            half, merge, shortest = frames_of(rule, rules.decoder == "published", rate_hz)
            row = scores.framewise[i, :heard, c]
            for first, last in slow_row(row, rule.threshold, rule.low, half, merge, shortest):
                out.add((i, c, float(edges[first]), float(edges[last])))
    return out


def as_set(events):
    return set(
        zip(events.clip.tolist(), events.label.tolist(), events.onset_s.tolist(), events.offset_s.tolist(), strict=True)
    )
