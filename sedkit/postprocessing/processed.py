"""Scores after post-processing: the curves that events are the runs of, whatever the threshold.

Every rule but the decoder `derivative` is first done to the scores, then compared: what is written as post-processed
scores (asked for by the challenge since 2023, read by exact PSDS) is what `decode` compares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Tags
from sedkit.dataio.scores import Scores
from sedkit.postprocessing import curves, engine, grids
from sedkit.postprocessing.gate import open_gate
from sedkit.postprocessing.presets import Preset
from sedkit.postprocessing.rules import Postprocessing

if TYPE_CHECKING:
    from sedkit.postprocessing.sebbs import Boxes


#: So many scores are worked on at a time: what is made of them on the way stays in the processor's cache.
_IN_CACHE = 50_000


@dataclass(frozen=True)
class Curves:
    """The curves of the clips that share a frame rate.

    `planes` are (n, classes, frames), minus infinity behind a clip's last frame; `clips` (n,) says which of the scores'
    clips they are of, `n_frames` (n,) how many frames begin before these end.
    """

    clips: np.ndarray
    planes: np.ndarray
    n_frames: np.ndarray
    rate_hz: float


def processed_scores(
    scores: Scores, postprocessing: Postprocessing | Preset, tags: Scores | Tags | None = None
) -> Scores:
    """Return scores whose runs above any threshold are the events that the rules find at that threshold.

    Parameters are as in `decode`. Scores are 0 where the clip gate is closed. For `csebbs` they are the boxes'
    confidences, on a grid per clip that has a frame edge at each of their boundaries. They are float64 for boxes and
    where a rule has a second threshold: float32 has no room for what these compute.

    Raises
    ------
    SedkitError
        Rules of the decoder `derivative`, and what `decode` raises.
    """
    rules = postprocessing.over(scores.labels)
    if rules.decoder == "derivative":
        raise SedkitError(
            f"{rules.source}: no scores hold the events of the decoder derivative (at a lower threshold they end "
            "earlier); expected rules of another decoder, or events in place of scores"
        )
    gate = open_gate(scores, rules, tags)
    if rules.decoder == "csebbs":
        from sedkit.postprocessing.sebbs import find_boxes

        return _box_scores(scores, find_boxes(scores, rules, gate))
    groups = [tidied(group, rules) for group in filtered_curves(scores, rules)]
    framewise = np.zeros(scores.framewise.shape, np.result_type(scores.framewise, *(group.planes for group in groups)))
    for group in groups:
        planes = np.where(gate[group.clips][:, :, None] & np.isfinite(group.planes), group.planes, 0.0)
        framewise[group.clips] = planes.transpose(0, 2, 1)
    return replace(scores, framewise=framewise, processed=True)


def filtered_curves(scores: Scores, rules: Postprocessing) -> list[Curves]:
    """Do what frame rules do before they compare: rescaling, moving average, median filter, for `derivative` slopes."""
    rates = grids.frame_rates_hz(scores)
    n_frames = grids.n_frames_heard(scores, grids.times_s(scores))
    framewise = np.ascontiguousarray(scores.framewise)
    trim_s = rules.column("rescale_trim_s")
    out = []
    for rate in np.unique(rates):
        clips = np.flatnonzero(rates == rate)
        heard = n_frames[clips]
        trim = np.where(np.isnan(trim_s), -1, grids.at_most_frames(np.nan_to_num(trim_s), rate))
        frames = framewise if len(clips) == len(rates) else framewise[clips]
        frames = curves.shaped(frames, heard, trim, grids.half_window(rules.column("mean_s"), rate))
        half = grids.half_window(rules.column("median_s"), rate)
        functions = engine.choose(frames.size * (1 + 2 * int(half.max(initial=0))))
        planes = functions.median_planes(frames, heard, half)
        if rules.decoder == "derivative":
            planes = curves.slopes(planes, heard, grids.half_window(rules.column("slope_s"), rate))
        out.append(Curves(clips, planes, heard, float(rate)))
    return out


def tidied(group: Curves, rules: Postprocessing) -> Curves:
    """Do what frame rules do to events: second thresholds, gaps, short events."""
    low = rules.column("low")
    reaching = np.flatnonzero(~np.isnan(low) & (rules.decoder != "derivative"))
    gap = grids.at_most_frames(rules.column("merge_gap_s"), group.rate_hz)
    if rules.decoder == "published":
        # As published: with a second threshold one inactive frame never parts events, and salt goes by "not longer".
        gap[reaching] = np.maximum(gap[reaching], 1)
        shortest = grids.at_most_frames(rules.column("min_duration_s"), group.rate_hz) + 1
    else:
        shortest = grids.at_least_frames(rules.column("min_duration_s"), group.rate_hz)
    if not (len(reaching) or gap.any() or (shortest > 1).any()):
        return group
    planes = group.planes.astype(np.float64 if len(reaching) else group.planes.dtype)
    clips = max(1, _IN_CACHE // max(1, planes[0].size)) if len(planes) else 1
    for first in range(0, len(planes), clips):
        block = planes[first : first + clips]
        if len(reaching):
            block[:, reaching] = curves.reached(block[:, reaching], rules.column("threshold")[reaching], low[reaching])
        block[:] = curves.kept(curves.bridged(block, gap), shortest)
    return replace(group, planes=planes)


def switched(group: Curves, rules: Postprocessing, thresholds: np.ndarray) -> Curves:
    """Return 1 in the events that rules of the decoder `derivative` find in slopes at one threshold a class, else 0.

    At a threshold that is not the rule's own, its second one keeps its proportion to it.
    """
    stated, low = rules.column("threshold"), rules.column("low")
    low = np.where(np.isnan(low), -stated, low)
    scaled = np.divide(thresholds * low, stated, out=np.minimum(low, thresholds), where=stated > 0)
    off = np.where(thresholds == stated, low, scaled)
    return tidied(replace(group, planes=curves.switched(group.planes, thresholds, off)), rules)


def _box_scores(scores: Scores, boxes: Boxes) -> Scores:
    times = grids.times_s(scores)
    n_heard = grids.n_frames_heard(scores, times)
    edges = []
    for i in range(len(scores.filenames)):
        in_clip = boxes.clip == i
        ends = [0.0, times[i, n_heard[i]]] if n_heard[i] else []
        edges.append(np.unique(np.concatenate([ends, boxes.onset_s[in_clip], boxes.offset_s[in_clip]])))
    n_frames = np.array([max(len(row) - 1, 0) for row in edges])
    framewise = np.zeros((len(edges), int(n_frames.max(initial=0)), len(scores.labels)))
    for clip, label, onset, offset, confidence in zip(
        boxes.clip, boxes.label, boxes.onset_s, boxes.offset_s, boxes.confidence, strict=True
    ):
        first, last = np.searchsorted(edges[clip], [onset, offset])
        framewise[clip, first:last, label] = confidence
    grids_s = tuple(row if len(row) else np.zeros(1) for row in edges)
    return replace(scores, framewise=framewise, n_frames=n_frames, frame_edges_s=grids_s, processed=True)
