"""Scores after post-processing: what the challenge has asked for since 2023, and what exact PSDS is computed from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Tags
from sedkit.dataio.scores import Scores
from sedkit.postprocessing import grids
from sedkit.postprocessing.decode import Limits, filter_scores
from sedkit.postprocessing.gate import open_gate
from sedkit.postprocessing.rules import Postprocessing, Preset

if TYPE_CHECKING:
    from sedkit.postprocessing.sebbs import Boxes


def processed_scores(
    scores: Scores, postprocessing: Postprocessing | Preset, tags: Scores | Tags | None = None
) -> Scores:
    """Return scores whose runs above any threshold are the events that the rules find at that threshold.

    Filtered frame scores, 0 where the clip gate is closed; for `csebbs` the boxes' confidences on a grid per
    clip that has a frame edge at each of their boundaries.

    Raises
    ------
    SedkitError
        A rule whose second threshold, merging or minimum duration no frame score can express.
    """
    rules = postprocessing.over(scores.labels)
    gate = open_gate(scores, rules, tags)
    if rules.decoder == "csebbs":
        from sedkit.postprocessing.sebbs import find_boxes

        return _box_scores(scores, find_boxes(scores, rules, gate))
    limits = Limits.of(rules)
    if not limits.only_threshold:
        raise SedkitError(
            f"{rules.source}: rules with low, merge_gap_s or min_duration_s cannot be written as scores; "
            "leave them out, or write --operating-points-out"
        )
    framewise = np.zeros_like(scores.framewise)
    for group in filter_scores(scores, limits):
        planes = np.where(gate[group.clips][:, :, None] & np.isfinite(group.planes), group.planes, 0.0)
        framewise[group.clips] = planes.transpose(0, 2, 1)
    return replace(scores, framewise=framewise, producer=f"{scores.producer}, post-processed")


def _box_scores(scores: Scores, boxes: Boxes) -> Scores:
    times = grids.times_s(scores)
    n_heard = grids.n_frames_heard(scores, times)
    edges = []
    for i in range(len(scores.filenames)):
        in_clip = boxes.clip == i
        ends = [0.0, times[i, n_heard[i]]] if n_heard[i] else []
        edges.append(np.unique(np.concatenate([ends, boxes.onset_s[in_clip], boxes.offset_s[in_clip]])))
    n_frames = np.array([max(len(row) - 1, 0) for row in edges])
    framewise = np.zeros((len(edges), int(n_frames.max(initial=0)), len(scores.labels)), scores.framewise.dtype)
    for clip, label, onset, offset, confidence in zip(
        boxes.clip, boxes.label, boxes.onset_s, boxes.offset_s, boxes.confidence, strict=True
    ):
        first, last = np.searchsorted(edges[clip], [onset, offset])
        framewise[clip, first:last, label] = confidence
    grids_s = tuple(row if len(row) else np.zeros(1) for row in edges)
    producer = f"{scores.producer}, post-processed"
    return replace(scores, framewise=framewise, n_frames=n_frames, frame_edges_s=grids_s, producer=producer)
