"""MAESTRO Real is annotated in long recordings and scored in clips of them: their scores put together again.

After the organisers' baseline of 2024: clips are named ``<recording>-<start>-<end>``, in hundredths of a second, and
overlap. A clip's score in a segment of one second is the mean over its windows, weighted by their share of the segment;
a recording's is the mean over the clips that reach into the segment; its truth is that of its clips.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.dataio.names import stem
from sedkit.dataio.scores import Scores

SEGMENT_S = 1.0

_PIECE = re.compile(r"(?P<recording>.+)-(?P<start>\d{1,7})-(?P<end>\d{1,7})")


def piece_of(filename: str) -> tuple[str, float, float] | None:
    """Return recording, start and end in seconds of a clip cut from it, None where the name does not say.

    >>> piece_of("cafe_restaurant_00-000100-001100.wav")
    ('cafe_restaurant_00', 1.0, 11.0)
    >>> piece_of("Y-4h1b2c3d4e_30.000_40.000.wav")
    """
    match = _PIECE.fullmatch(stem(filename))
    if match is None or int(match["start"]) >= int(match["end"]):
        return None
    return match["recording"], int(match["start"]) / 100, int(match["end"]) / 100


def are_pieces(filenames: Sequence[str]) -> bool:
    """Tell whether every clip is named as a piece of a recording."""
    return bool(filenames) and all(piece_of(name) is not None for name in filenames)


def join_truth(reference: Events) -> Events:
    """Return the events of the recordings whose clips a table lists, every clip being a piece of one."""
    pieces = {name: piece for name in reference.filenames if (piece := piece_of(name)) is not None}
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for name, onset, offset, label in reference.rows():
        # The baseline takes whole seconds of the start.
        recording, start_s = pieces[name][0], float(int(pieces[name][1]))
        if onset is None or offset is None:
            rows.append((recording, None, None, None))
        else:
            rows.append((recording, start_s + onset, start_s + offset, label))
    return Events.from_rows(rows, reference.labels, reference.source)


def join_scores(scores: Scores, filenames: Sequence[str], labels: Sequence[str]) -> Scores:
    """Return the recordings' scores in segments of one second.

    Parameters
    ----------
    scores
        Of the clips. A class that they lack scores 0, as does a segment that no clip with scores reaches into.
    filenames
        The clips to join, every one a piece of a recording.
    labels
        The classes of the result.

    Returns
    -------
    Scores
        (recordings, segments, classes), with the recordings in order of their first clip.
    """
    pieces = [piece_of(name) or (name, 0.0, 0.0) for name in filenames]
    length_s: dict[str, float] = {}
    for recording, _, end_s in pieces:
        length_s[recording] = max(length_s.get(recording, 0.0), end_s)
    n = {recording: int(np.ceil(seconds / SEGMENT_S)) for recording, seconds in length_s.items()}
    total = {recording: np.zeros((count, len(labels))) for recording, count in n.items()}
    weight = {recording: np.zeros(count) for recording, count in n.items()}
    row = {name: i for i, name in enumerate(scores.filenames)}
    known = [k for k, label in enumerate(labels) if label in scores.labels]
    columns = [scores.labels.index(labels[k]) for k in known]
    for name, (recording, start_s, end_s) in zip(filenames, pieces, strict=True):
        if name not in row:
            continue
        values = scores.framewise[row[name], : scores.n_frames[row[name]]][:, columns]
        means = _segment_means(values.astype(np.float64), scores.edges(row[name]), end_s - start_s)
        first = int(start_s // SEGMENT_S)
        means = means[: n[recording] - first]
        total[recording][first : first + len(means), known] += means
        weight[recording][first : first + len(means)] += 1
    framewise = np.zeros((len(n), max(n.values(), default=1), len(labels)), np.float32)
    for i, recording in enumerate(n):
        framewise[i, : n[recording]] = total[recording] / np.maximum(weight[recording], 1)[:, None]
    return Scores(
        framewise=framewise,
        n_frames=np.array(list(n.values())),
        duration_s=np.array(list(length_s.values())),
        frame_edges_s=np.arange(framewise.shape[1] + 1, dtype=np.float64) * SEGMENT_S,
        filenames=tuple(n),
        labels=tuple(labels),
    )


def _segment_means(values: NDArray[np.float64], edges_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
    """Return the mean scores of a clip's segments, (segments, classes); it may end before the length its name says."""
    integral = np.vstack([np.zeros(values.shape[1]), np.cumsum(values * np.diff(edges_s)[:, None], axis=0)])
    bounds = np.arange(int(np.ceil(length_s / SEGMENT_S)) + 1) * SEGMENT_S
    bounds = bounds[: np.searchsorted(bounds, edges_s[-1], side="left") + 1]
    at = np.minimum(bounds, edges_s[-1])
    area = np.zeros((len(at), values.shape[1]))
    for c in range(values.shape[1]):
        area[:, c] = np.interp(at, edges_s, integral[:, c])
    return np.asarray(np.diff(area, axis=0) / np.diff(at)[:, None], dtype=np.float64)
