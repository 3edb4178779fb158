"""Clips of a set to scores, a shard at a time, in this process or in many.

A shard is the same clips in every call, in batches of their own: what is said of them does not depend on how many
processes there are, or on which of them takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sedkit.core.errors import SedkitError
from sedkit.core.parallel import run_jobs
from sedkit.dataio.scores import Scores, joined
from sedkit.inference.clips import Clips, Place, open_clips
from sedkit.inference.predict import predict_clips

if TYPE_CHECKING:
    from sedkit.inference.predictor import Predictor

#: Whole batches of the usual size, some seconds of work.
_SHARD_CLIPS = 64


class Work(NamedTuple):
    """What a process has to know to score clips.

    Attributes
    ----------
    checkpoint, network, device, precision
        As `Predictor.open` takes them.
    source, folds, table
        As `Place.of` takes them.
    content
        A hash of what these files hold: what a process has opened by that name may be another one since.
    window_s, hop_s, batch_size
        As `predict_clips` takes them.
    threads
        Of the network; None: as many as torch takes.
    """

    checkpoint: Path
    source: Path
    folds: tuple[str, ...] | None = None
    table: Path | None = None
    content: str = ""
    network: str | None = None
    device: str = "auto"
    precision: str = "auto"
    window_s: float | str | None = None
    hop_s: float | None = None
    batch_size: int = 16
    threads: int | None = None


class Scored(NamedTuple):
    """Scores, what the checkpoint says of its run, and on what they were computed (`cpu bf16`)."""

    scores: Scores
    run: dict[str, Any]
    way: str


def predict_shards(work: Work, n_clips: int, jobs: int = 1) -> Scored:
    """Score the clips of a set.

    Parameters
    ----------
    work
        What is scored, with which network.
    n_clips
        How many clips the set has.
    jobs
        As `run_jobs` takes them; several processes take one thread each.

    Raises
    ------
    SedkitError
        Processes with other processors, on which `auto` means other things, and what `predict_clips` raises.
    """
    shards = [range(first, min(first + _SHARD_CLIPS, n_clips)) for first in range(0, n_clips, _SHARD_CLIPS)]
    if jobs > 1 and len(shards) > 1:
        work = work._replace(threads=1)
    return _together(run_jobs(partial(_score, work), shards, jobs, "predict"))


def _together(shards: Sequence[Scored]) -> Scored:
    ways = sorted({shard.way for shard in shards})
    if len(ways) > 1:
        raise SedkitError(
            f"some clips were scored on {', others on '.join(ways)}, expected one; say --device and --precision"
        )
    return shards[0]._replace(scores=joined([shard.scores for shard in shards]))


def _score(work: Work, rows: range) -> Scored:
    predictor, clips = _opened(work)
    scores = predict_clips(predictor, clips, work.window_s, work.hop_s, work.batch_size, rows)
    return Scored(scores, predictor.run, f"{predictor.device.type} {predictor.precision}")


@lru_cache(maxsize=1)
def _opened(work: Work) -> tuple[Predictor, Clips]:
    """Return network and clips, opened once in a process."""
    from sedkit.inference.predictor import Predictor

    if work.threads is not None:
        import torch

        torch.set_num_threads(work.threads)
    predictor = Predictor.open(work.checkpoint, work.device, work.precision, work.network)
    frontend, embeddings = predictor.frontend, predictor.embeddings
    return predictor, open_clips(
        Place.of(work.source, frontend, work.folds, work.table, embeddings), frontend, embeddings
    )
