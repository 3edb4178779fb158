"""A model's scores of a set of clips, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.names import renamed


@dataclass(frozen=True)
class Member:
    """A system in an ensemble.

    Attributes
    ----------
    producer : as of `Scores`.
    share : its weight in the mean; those of all members sum to 1.
    members : its own, where it is an ensemble itself.
    """

    producer: str
    share: float
    members: tuple[Member, ...] = ()


@dataclass
class Scores:
    """A model's scores of a set of clips, on the model's own time grid.

    Attributes
    ----------
    framewise : (clips, frames, classes) float32, or float64 where they come as that; frames beyond a clip's `n_frames`
        mean nothing.
    n_frames : (clips,) int64
    duration_s : (clips,) float64
    frame_edges_s : (frames + 1,) float64 for all clips, or a tuple of one (n_frames[i] + 1,) array per clip.
    filenames, labels : tuples of str.
    clipwise : (clips, classes) float32 or float64, or None.
    producer : who made them: a checkpoint's hash or free text.
    members : of an ensemble's scores, what they are the mean of.
    processed : whether post-processing has been done to them.
    """

    framewise: NDArray[np.floating]
    n_frames: NDArray[np.int64]
    duration_s: NDArray[np.float64]
    frame_edges_s: NDArray[np.float64] | tuple[NDArray[np.float64], ...]
    filenames: tuple[str, ...]
    labels: tuple[str, ...]
    clipwise: NDArray[np.floating] | None = None
    producer: str = ""
    members: tuple[Member, ...] = ()
    processed: bool = False

    def __post_init__(self) -> None:
        self.framewise = _floats(self.framewise)
        self.n_frames = np.asarray(self.n_frames, dtype=np.int64)
        self.duration_s = np.asarray(self.duration_s, dtype=np.float64)
        self.filenames, self.labels = tuple(self.filenames), tuple(self.labels)
        if self.clipwise is not None:
            self.clipwise = _floats(self.clipwise)
        if isinstance(self.frame_edges_s, tuple):
            self.frame_edges_s = tuple(np.asarray(edges, dtype=np.float64) for edges in self.frame_edges_s)
        else:
            self.frame_edges_s = np.asarray(self.frame_edges_s, dtype=np.float64)
        _check_scores(self)

    def edges(self, i: int) -> NDArray[np.float64]:
        """Times in seconds, (n_frames[i] + 1,), between which the frames of clip `i` lie, cut at its duration."""
        edges = self.frame_edges_s
        edges = edges[i] if isinstance(edges, tuple) else edges[: self.n_frames[i] + 1]
        return np.fmin(edges, self.duration_s[i])

    @property
    def frame_s(self) -> float:
        """Seconds of a frame; where frames differ, of the first one."""
        edges = self.frame_edges_s
        grids = edges if isinstance(edges, tuple) else (edges,)
        return next((float(grid[1] - grid[0]) for grid in grids if len(grid) > 1), 1.0)

    @property
    def end_s(self) -> NDArray[np.float64]:
        """(clips,) seconds at which the last frame of each clip ends."""
        return np.array([self.edges(i)[-1] for i in range(len(self.filenames))], dtype=np.float64)

    def places(self, filenames: Iterable[str], labels: Iterable[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of these clips and the columns of these classes, -1 where there are no scores."""
        row, column = ({name: i for i, name in enumerate(names)} for names in (self.filenames, self.labels))
        rows, columns = [row.get(name, -1) for name in filenames], [column.get(name, -1) for name in labels]
        return np.array(rows, dtype=np.int64), np.array(columns, dtype=np.int64)

    def of_clip(self, i: int, columns: NDArray[np.int64]) -> NDArray[np.floating]:
        """Return the frame scores of clip `i`, (n_frames[i], columns); those of a column -1 are 0."""
        values = np.take(self.framewise[i, : self.n_frames[i]], columns, axis=1)
        values[:, columns < 0] = 0.0
        return values

    def named_as(self, filenames: Iterable[str]) -> Scores:
        """Return the scores with clips called as in a list of others' names (see `names.renamed`)."""
        return replace(self, filenames=renamed(self.filenames, filenames, self.producer or "scores"))

    def keep_clips(self, filenames: Iterable[str]) -> Scores:
        """Return the scores of these clips, in this order. Raises SedkitError where one has no scores."""
        wanted = tuple(filenames)
        at = {name: i for i, name in enumerate(self.filenames)}
        absent = [name for name in wanted if name not in at]
        if absent:
            raise SedkitError(
                f"scores ({self.producer or 'unnamed'}) lack {len(absent)} of {len(wanted)} clips ({listed(absent, 3)})"
            )
        rows = np.array([at[name] for name in wanted], dtype=np.intp)
        edges = self.frame_edges_s
        return replace(
            self,
            framewise=self.framewise[rows],
            n_frames=self.n_frames[rows],
            duration_s=self.duration_s[rows],
            frame_edges_s=tuple(edges[i] for i in rows) if isinstance(edges, tuple) else edges,
            filenames=wanted,
            clipwise=None if self.clipwise is None else self.clipwise[rows],
        )

    def keep_labels(self, labels: Iterable[str]) -> Scores:
        """Return the scores of exactly these of its classes, in this order."""
        wanted = tuple(labels)
        columns = [self.labels.index(label) for label in wanted]
        clipwise = None if self.clipwise is None else self.clipwise[:, columns]
        return replace(self, framewise=self.framewise[:, :, columns], labels=wanted, clipwise=clipwise)


def joined(scores: Sequence[Scores]) -> Scores:
    """Return scores of several sets of clips as one.

    Parameters
    ----------
    scores
        Of the same classes, all on one grid (that of the longest clip holds for all) or each clip on one of its own.

    Raises
    ------
    SedkitError
        There are none.
    """
    if not scores:
        raise SedkitError("no recording to score")
    longest = max(scores, key=lambda one: one.framewise.shape[1])
    shape = (sum(len(one.filenames) for one in scores), *longest.framewise.shape[1:])
    framewise = np.zeros(shape, np.result_type(*(one.framewise.dtype for one in scores)))
    first = 0
    for one in scores:
        framewise[first : first + len(one.filenames), : one.framewise.shape[1]] = one.framewise
        first += len(one.filenames)
    clipwise = [one.clipwise for one in scores if one.clipwise is not None]
    edges = longest.frame_edges_s
    return replace(
        longest,
        framewise=framewise,
        n_frames=np.concatenate([one.n_frames for one in scores]),
        duration_s=np.concatenate([one.duration_s for one in scores]),
        frame_edges_s=tuple(e for one in scores for e in one.frame_edges_s) if isinstance(edges, tuple) else edges,
        filenames=tuple(name for one in scores for name in one.filenames),
        clipwise=np.concatenate(clipwise) if len(clipwise) == len(scores) else None,
    )


def _floats(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Leave float64 as it is: scores that others computed are compared as they stand, however close they are."""
    return values if getattr(values, "dtype", None) == np.float64 else np.asarray(values, dtype=np.float32)


def _check_scores(scores: Scores) -> None:
    clips, classes = len(scores.filenames), len(scores.labels)
    if scores.framewise.ndim != 3 or scores.framewise.shape[::2] != (clips, classes):
        raise SedkitError(
            f"framewise scores of shape {scores.framewise.shape}, expected (clips, frames, classes) with {clips} clips "
            f"and {classes} classes"
        )
    if len(set(scores.filenames)) < clips or len(set(scores.labels)) < classes:
        raise SedkitError("a clip or a class stands twice in the scores, expected each once")
    frames = scores.framewise.shape[1]
    for name, value in (("n_frames", scores.n_frames), ("duration_s", scores.duration_s)):
        if value.shape != (clips,):
            raise SedkitError(f"{name} of shape {value.shape}, expected ({clips},)")
    if clips and (scores.n_frames.min() < 0 or scores.n_frames.max() > frames):
        raise SedkitError(f"n_frames from {scores.n_frames.min()} to {scores.n_frames.max()}, expected 0 to {frames}")
    if scores.clipwise is not None and scores.clipwise.shape != (clips, classes):
        raise SedkitError(f"clipwise scores of shape {scores.clipwise.shape}, expected ({clips}, {classes})")
    edges = scores.frame_edges_s
    if isinstance(edges, tuple):
        wrong = (
            [i for i, grid in enumerate(edges) if grid.shape != (scores.n_frames[i] + 1,)]
            if len(edges) == clips
            else [0]
        )
        if wrong:
            raise SedkitError(
                f"frame edges of clip {wrong[0]} do not fit its n_frames, expected n_frames + 1 edges per clip"
            )
        grids = edges
    elif edges.shape != (frames + 1,):
        raise SedkitError(f"frame_edges_s of shape {edges.shape}, expected ({frames + 1},) for {frames} frames")
    else:
        grids = (edges,)
    for i, grid in enumerate(grids):
        if not (np.diff(grid) > 0).all() or not np.isfinite(grid).all():
            raise SedkitError(f"frame edges of grid {i} do not rise, expected seconds in rising order")
    if not np.isfinite(scores.framewise).all() and not all(
        np.isfinite(clip[:n]).all() for clip, n in zip(scores.framewise, scores.n_frames, strict=True)
    ):
        raise SedkitError("framewise scores hold NaN or infinity, expected finite numbers")
    if scores.clipwise is not None and not np.isfinite(scores.clipwise).all():
        raise SedkitError("clipwise scores hold NaN or infinity, expected finite numbers")
