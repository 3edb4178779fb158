"""MAESTRO Real is annotated in long recordings and scored in excerpts of them: their scores put together again.

After the organisers' baseline of 2024: excerpts (`dataio.excerpts`) overlap. An excerpt's score in a segment of one
second is the mean over its windows, weighted by their share of the segment; a recording's is the mean over the excerpts
that reach into the segment; its truth is that of its excerpts. A recording ends where the table of durations says, also
where its last excerpts hold no event and so have no row in the reference: such seconds have no event, and the excerpts
of the reference alone are scored there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sedkit.core.log import log
from sedkit.dataio.events import Events
from sedkit.dataio.excerpts import Excerpt, excerpt_of
from sedkit.dataio.names import stem
from sedkit.dataio.scores import Scores

SEGMENT_S = 1.0

#: How far a listed duration may be from the length in a name: names are cut to hundredths, tables round to tenths.
_LISTED_S = 0.1
#: How far the end of scores may be: networks give whole windows, the last of which may be padded or dropped.
_SCORED_S = 1.0


def excerpts_of(
    filenames: Sequence[str], durations: Mapping[str, float] | None, scores: Scores | None = None
) -> dict[str, Excerpt]:
    """Return the clips that are excerpts: by their names, and by their lengths where these are known.

    Lengths are the `durations` of clips in seconds; where the scores end says how long a clip without one is.
    """
    listed = {stem(name): seconds for name, seconds in (durations or {}).items()}
    ends = () if scores is None else zip(map(stem, scores.filenames), scores.end_s.tolist(), strict=True)
    scored = dict(ends)

    def lasts(excerpt: Excerpt, clip: str) -> bool:
        if clip in listed:
            return excerpt.lasts(listed[clip], _LISTED_S)
        return clip not in scored or excerpt.lasts(scored[clip], _SCORED_S)

    named = ((name, excerpt_of(name)) for name in filenames)
    return {name: excerpt for name, excerpt in named if excerpt is not None and lasts(excerpt, stem(name))}


def all_excerpts(
    filenames: Sequence[str], durations: Mapping[str, float] | None, scores: Scores | None = None
) -> dict[str, Excerpt]:
    """Return `excerpts_of` where every clip is one; else none, with a warning where some have the name of one."""
    excerpts = excerpts_of(filenames, durations, scores)
    if len(excerpts) == len(filenames):
        return excerpts
    named = [name for name in filenames if excerpt_of(name) is not None]
    other = [name for name in named if name not in excerpts]
    if named:
        log.warning(
            "%s: the partial AUC is that of single clips: %s",
            (other or named)[0],
            f"{len(other)} named as excerpts of a recording are not as long as their names say"
            if other
            else f"{len(named)} of {len(filenames)} are excerpts of recordings, joined only where all are (--clips)",
        )
    return {}


def excerpts_in(recordings: Sequence[str], clips: Sequence[str]) -> dict[str, Excerpt]:
    """Return the clips of an output as excerpts of a reference's recordings; none where any of them is not one."""
    known = set(map(stem, recordings))
    named = {clip: excerpt for clip in clips if (excerpt := excerpt_of(clip)) is not None}
    excerpts = {clip: excerpt for clip, excerpt in named.items() if excerpt.recording in known}
    return excerpts if len(excerpts) == len(clips) and known.isdisjoint(map(stem, clips)) else {}


def cut_into(reference: Events, excerpts: Mapping[str, Excerpt]) -> Events:
    """Return the events of excerpts, cut out of those of their recordings; times are those of the excerpt."""
    row = {stem(name): i for i, name in enumerate(reference.filenames)}
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for clip, excerpt in excerpts.items():
        inside = (reference.clip == row[excerpt.recording]) & (reference.onset_s < excerpt.end_s)
        rows.append((clip, None, None, None))
        for i in np.flatnonzero(inside & (reference.offset_s > excerpt.start_s)).tolist():
            onset_s = max(float(reference.onset_s[i]), excerpt.start_s) - excerpt.start_s
            offset_s = min(float(reference.offset_s[i]), excerpt.end_s) - excerpt.start_s
            rows.append((clip, onset_s, offset_s, reference.labels[reference.label[i]]))
    return Events.from_rows(rows, reference.labels, reference.source)


def recording_lengths(excerpts: Mapping[str, Excerpt], durations: Mapping[str, float] | None) -> dict[str, float]:
    """Return where each recording of the excerpts ends, in seconds.

    That is its own duration where the table lists recordings, as the organisers' does; else the end of its last
    excerpt, in the table or among those given.
    """
    length_s: dict[str, float] = {}
    for excerpt in excerpts.values():
        length_s[excerpt.recording] = max(length_s.get(excerpt.recording, 0.0), excerpt.end_s)
    for excerpt in excerpts_of(tuple(durations or ()), durations).values():
        if excerpt.recording in length_s:
            length_s[excerpt.recording] = max(length_s[excerpt.recording], excerpt.end_s)
    whole = {stem(name): seconds for name, seconds in (durations or {}).items()}
    return {recording: whole.get(recording, seconds) for recording, seconds in length_s.items()}


def join_truth(reference: Events, excerpts: Mapping[str, Excerpt]) -> Events:
    """Return the events of the recordings, every clip of the table being an excerpt of one."""
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for name, onset, offset, label in reference.rows():
        # The baseline takes whole seconds of the start.
        recording, start_s = excerpts[name].recording, float(int(excerpts[name].start_s))
        if onset is None or offset is None:
            rows.append((recording, None, None, None))
        else:
            rows.append((recording, start_s + onset, start_s + offset, label))
    return Events.from_rows(rows, reference.labels, reference.source)


def join_scores(
    scores: Scores, excerpts: Mapping[str, Excerpt], labels: Sequence[str], length_s: Mapping[str, float]
) -> Scores:
    """Return the recordings' scores in segments of one second, (recordings, segments, classes).

    Parameters
    ----------
    scores
        Of the clips. A class that they lack scores 0, as does a segment that no excerpt with scores reaches into.
    excerpts, labels
        The clips to join, and the classes of the result.
    length_s
        The recordings' lengths in seconds, in the order of the result.
    """
    n = {recording: int(np.ceil(seconds / SEGMENT_S)) for recording, seconds in length_s.items()}
    shape = (len(n), max(n.values(), default=1))
    total, weight = np.zeros((*shape, len(labels))), np.zeros((*shape, 1))
    index = {recording: i for i, recording in enumerate(n)}
    rows, columns = scores.places(excerpts, labels)
    for excerpt, row in zip(excerpts.values(), rows, strict=True):
        if row >= 0:
            values = scores.of_clip(row, columns).astype(np.float64)
            means = _segment_means(values, scores.edges(row), excerpt.end_s - excerpt.start_s)
            first, whole = int(excerpt.start_s // SEGMENT_S), index[excerpt.recording]
            means = means[: max(n[excerpt.recording] - first, 0)]
            total[whole, first : first + len(means)] += means
            weight[whole, first : first + len(means)] += 1
    framewise = total / np.maximum(weight, 1)
    return Scores(
        framewise=framewise,
        n_frames=np.array(list(n.values())),
        duration_s=np.array(list(length_s.values())),
        frame_edges_s=np.arange(framewise.shape[1] + 1, dtype=np.float64) * SEGMENT_S,
        filenames=tuple(n),
        labels=tuple(labels),
    )


def _segment_means(values: NDArray[np.float64], edges_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
    """Return the mean scores of an excerpt's segments, (segments, classes); its scores may end before its name's end.

    Each mean is added up by itself, as the baseline does it: equal scores stay equal, and tie.
    """
    n = int(np.ceil(round(min(length_s, float(edges_s[-1])), 6) / SEGMENT_S))
    means = np.zeros((n, values.shape[1]))
    for s in range(n):
        begin, end = s * SEGMENT_S, (s + 1) * SEGMENT_S
        a = max(int(np.searchsorted(edges_s, begin, side="right")) - 1, 0)
        b = min(int(np.searchsorted(edges_s, end, side="left")), len(values))
        share = np.minimum(edges_s[a + 1 : b + 1], end) - np.maximum(edges_s[a:b], begin)
        means[s] = (share[:, None] * values[a:b]).sum(axis=0) / share.sum()
    return means
