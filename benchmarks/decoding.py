"""Events at 50 thresholds from the frame scores of a validation set: `decode_thresholds` against the usual loop.

1168 clips x 10 classes x 500 frames, median filter of 7 frames. The loops run on the first clips only and are
extrapolated by the number of clips, which spares them the growing cost of concatenation. Events are compared one by
one. Measured elsewhere on the original code of the DESED baseline: 50 s for such a set.
"""

from __future__ import annotations

from types import ModuleType
from unittest import mock

import numpy as np
import scipy.ndimage

from benchmarks._measure import Comparisons, Form, Report, in_turn
from benchmarks.peers import decoding_loop
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.scores import Scores
from sedkit.postprocessing import DecodedPoints, FrameRule, Postprocessing, decode_thresholds, engine, kernels, plain
from sedkit.postprocessing.operating_points import even_thresholds

RUNS = 7
FRAMES, FRAME_S, WINDOW = 500, 0.02, 7
COMPARISONS: Comparisons = {
    "decoding": ("sedkit", "the described loop (scipy, dcase_util, pandas)", 500.0),
    "decoding.without_pandas": ("sedkit", "the loop without pandas, counting only", None),
    "decoding.small": (
        "sedkit's engine for small inputs (numpy)",
        "the described loop (scipy, dcase_util, pandas)",
        None,
    ),
}
#: Bytes alone: what finds the events, number by number, has no limit that is known.
LEAST = "scores read once, events written once"

Row = tuple[float, str, str, float, float]


def make_scores(clips: int) -> Scores:
    """Return smooth random scores that make about 4 million events: more than a trained network's do."""
    rng = np.random.default_rng(0)
    walk = rng.standard_normal((clips, FRAMES, len(DESED_CLASSES)), dtype=np.float32)
    walk = scipy.ndimage.gaussian_filter1d(walk, 4, axis=1) * 4
    return Scores(
        framewise=1 / (1 + np.exp(-walk)),
        n_frames=np.full(clips, FRAMES),
        duration_s=np.full(clips, FRAMES * FRAME_S),
        frame_edges_s=np.arange(FRAMES + 1) * FRAME_S,
        filenames=tuple(f"{i}.wav" for i in range(clips)),
        labels=DESED_CLASSES.labels,
        producer="random",
    )


def with_seconds(scores: Scores, thresholds: np.ndarray) -> tuple[DecodedPoints, np.ndarray, np.ndarray]:
    """Decode, and look up every event's onset and offset in seconds."""
    rules = Postprocessing.uniform(scores.labels, FrameRule(0.5, median_s=WINDOW * FRAME_S))
    points = decode_thresholds(scores, thresholds, rules)
    return points, *points.seconds()


def rows_of(points: DecodedPoints, clips: int) -> set[Row]:
    """Return the events of the first clips."""
    out: set[Row] = set()
    for threshold, events in zip(points.thresholds.tolist(), points, strict=True):
        for row in events.keep_clips(points.filenames[:clips]).rows():
            if row[3] is not None:
                out.add((threshold, row[0], row[3], row[1], row[2]))
    return out


def run(form: Form) -> Report:
    """Decode the same scores in each way."""
    clips, few = (40, 2) if form.quick else (1168, 8)
    scores, thresholds = make_scores(clips), even_thresholds(50)
    start = scores.framewise[:few], scores.filenames[:few], scores.labels
    duration_s = float(scores.duration_s[0])

    def ours(functions: ModuleType) -> DecodedPoints:
        # The choice by size is what users get; here each engine is measured on its own.
        with mock.patch.object(engine, "choose", return_value=functions):
            return with_seconds(scores, thresholds)[0]

    described, counting = COMPARISONS["decoding"][1], COMPARISONS["decoding.without_pandas"][1]
    small = COMPARISONS["decoding.small"][0]
    intervals = ours(kernels).intervals
    inputs, outputs = np.empty_like(scores.framewise), np.empty_like(intervals)

    def copy() -> None:
        np.copyto(inputs, scores.framewise)
        np.copyto(outputs, intervals)

    seconds, results = in_turn(
        form,
        {
            "sedkit": lambda: ours(kernels),
            LEAST: copy,
            described: lambda: decoding_loop.decode(*start, thresholds, WINDOW, FRAME_S, duration_s),
            counting: lambda: decoding_loop.decode_without_pandas(start[0], thresholds, WINDOW),
            small: lambda: ours(plain),
        },
    )
    for name in (described, counting):
        seconds[name] *= clips / few
    points = results["sedkit"]
    theirs = {
        (float(threshold), row.filename, row.event_label, float(row.onset), float(row.offset))
        for threshold, table in results[described].items()
        for row in table.itertuples()
    }
    same = theirs == rows_of(points, few)
    return Report(
        title=f"{clips} clips x {len(scores.labels)} classes x {FRAMES} frames x {len(thresholds)} thresholds, "
        f"median of {WINDOW}: {len(points.intervals)} events",
        seconds=seconds,
        equal={
            "decoding": same,
            "decoding.without_pandas": results[counting] == len(theirs),
            "decoding.small": same and np.array_equal(points.intervals, results[small].intervals),
        },
        work={"clips": clips},
        notes=(f"loops extrapolated from {few} clips; their {len(theirs)} events compared one by one",),
        limits=dict.fromkeys(("decoding", "decoding.without_pandas", "decoding.small"), LEAST),
    )
