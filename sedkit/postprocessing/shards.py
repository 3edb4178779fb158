"""Scores to events a shard of clips at a time, in many processes: what is found in a clip depends on no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from sedkit.core.parallel import run_jobs
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.scores import Scores, joined
from sedkit.dataio.tables import joined as joined_tables
from sedkit.postprocessing.decode import decode, decode_thresholds
from sedkit.postprocessing.operating_points import DecodedPoints
from sedkit.postprocessing.presets import Preset
from sedkit.postprocessing.processed import processed_scores
from sedkit.postprocessing.rules import Postprocessing

#: Decoding takes a thousandth of what scoring a clip does: what is sent must be worth it.
_SHARD_CLIPS = 256

Decoded = TypeVar("Decoded")
Rules = Postprocessing | Preset
Gate = Scores | Tags | None


def decode_shards(scores: Scores, postprocessing: Rules, tags: Gate = None, jobs: int = 1) -> Events:
    """Do as `decode`, in so many processes (`run_jobs`)."""
    tables = _in_shards(decode, scores, postprocessing, tags, jobs)
    return tables[0] if len(tables) == 1 else joined_tables(tables, scores.labels, tables[0].source)


def decode_thresholds_shards(
    scores: Scores, thresholds: np.ndarray, postprocessing: Rules, tags: Gate = None, jobs: int = 1
) -> DecodedPoints:
    """Do as `decode_thresholds`, in so many processes (`run_jobs`)."""
    return _joined_points(
        _in_shards(partial(decode_thresholds, thresholds=thresholds), scores, postprocessing, tags, jobs)
    )


def processed_scores_shards(scores: Scores, postprocessing: Rules, tags: Gate = None, jobs: int = 1) -> Scores:
    """Do as `processed_scores`, in so many processes (`run_jobs`)."""
    return joined(_in_shards(processed_scores, scores, postprocessing, tags, jobs))


def _in_shards(
    function: Callable[..., Decoded], scores: Scores, postprocessing: Rules, tags: Gate, jobs: int
) -> list[Decoded]:
    """Return what a function makes of each shard, in the order of the clips."""
    # Of grids that differ from clip to clip, rates that are nearly the same are taken for one over all clips.
    if jobs == 1 or isinstance(scores.frame_edges_s, tuple):
        return [function(scores, postprocessing=postprocessing, tags=tags)]
    if tags is not None:
        tags = tags.named_as(scores.filenames).keep_clips(scores.filenames)
    shards = []
    for first in range(0, max(1, len(scores.filenames)), _SHARD_CLIPS):
        names = scores.filenames[first : first + _SHARD_CLIPS]
        shards.append((scores.keep_clips(names), None if tags is None else tags.keep_clips(names)))
    return run_jobs(partial(_apply, function, postprocessing), shards, jobs, "decode")


def _apply(function: Callable[..., Decoded], postprocessing: Rules, shard: tuple[Scores, Gate]) -> Decoded:
    scores, tags = shard
    return function(scores, postprocessing=postprocessing, tags=tags)


def _joined_points(shards: Sequence[DecodedPoints]) -> DecodedPoints:
    """Return the operating points of several sets of clips as one."""
    counts = np.array([np.diff(shard.bounds) for shard in shards])
    intervals = np.concatenate([shard.intervals for shard in shards])
    clips = [len(shard.filenames) for shard in shards]
    intervals[:, 0] += np.repeat(np.cumsum(clips) - clips, counts.sum(axis=1))
    point = np.concatenate([np.repeat(np.arange(len(count)), count) for count in counts])
    width = max(shard.times_s.shape[1] for shard in shards)
    times_s = [np.pad(shard.times_s, ((0, 0), (0, width - shard.times_s.shape[1]))) for shard in shards]
    return DecodedPoints(
        shards[0].thresholds,
        tuple(name for shard in shards for name in shard.filenames),
        shards[0].labels,
        np.cumsum([0, *counts.sum(axis=0)]),
        intervals[np.argsort(point, kind="stable")],
        np.concatenate(times_s),
    )
