"""Clips of long recordings, put together again for the partial ROC area of 2024."""

from __future__ import annotations

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.bootstrap import Resamples
from sedkit.evaluation.evaluate import Interval, evaluate
from sedkit.evaluation.measures import Output, Truth
from sedkit.evaluation.recordings import are_pieces, join_scores, join_truth
from sedkit.evaluation.segment_auc import SegmentAucParameters, cut_segments, partial_auc


def test_scores_and_truth_are_joined_by_the_second() -> None:
    names = ("a-000000-000200.wav", "a-000100-000300.wav", "b-000000-000100.wav")
    scores = Scores(
        framewise=np.array([[[0.0], [1.0], [0.5], [0.5]], [[1.0], [0.2], [9.0], [9.0]]], np.float32),
        n_frames=np.array([4, 2]),
        duration_s=np.array([2.0, 2.1]),
        frame_edges_s=(np.array([0.0, 0.5, 1.0, 1.5, 2.0]), np.array([0.0, 0.75, 2.1])),
        filenames=names[:2],
        labels=("car",),
    )
    joined = join_scores(scores, names, ("bus", "car"))
    assert joined.filenames == ("a", "b")
    assert joined.duration_s.tolist() == [3.0, 1.0]
    # Alone .5; then .5 with .75 * 1 + .25 * .2; then .2 alone.
    assert joined.framewise[0, :, 1] == pytest.approx([0.5, (0.5 + 0.8) / 2, 0.2])
    # A clip or a class without scores scores 0.
    assert not joined.framewise[1].any() and not joined.framewise[:, :, 0].any()
    rows = [(names[0], 0.0, 1.5, "car"), (names[1], 0.5, 2.0, "car"), (names[2], None, None, None)]
    assert list(join_truth(Events.from_rows(rows)).rows()) == [
        ("a", 0.0, 1.5, "car"),
        ("a", 1.5, 3.0, "car"),
        ("b", None, None, None),
    ]
    assert are_pieces(names)
    assert not are_pieces((*names, "Yabc_0.000_10.000.wav"))
    assert not are_pieces(())


def pieces(seed: int) -> tuple[Truth, Scores, Scores]:
    """Overlapping 10-s clips of four recordings of 30 s, with two outputs of unequal quality."""
    rng = np.random.default_rng(seed)
    rows, names, good = [], [], []
    for recording in "abcd":
        active = rng.random((30, 2)) < 0.3
        for start in range(0, 21, 5):
            names.append(f"{recording}-{100 * start:06d}-{100 * (start + 10):06d}.wav")
            here = active[start : start + 10]
            rows += [(names[-1], float(s), s + 1.0, "uv"[k]) for s, k in zip(*np.nonzero(here), strict=True)]
            good.append(np.repeat(here, 2, axis=0))
    outputs = [
        Scores(
            framewise=(np.array(good) + noise * rng.standard_normal((len(names), 20, 2))).astype(np.float32),
            n_frames=np.full(len(names), 20),
            duration_s=np.full(len(names), 10.0),
            frame_edges_s=np.arange(21) * 0.5,
            filenames=tuple(names),
            labels=("u", "v"),
        )
        for noise in (0.5, 2.0)
    ]
    events = Events.from_rows(rows, labels=("u", "v")).keep_clips(names)
    return Truth(events, tags_of(events)), *outputs


def test_the_partial_area_of_pieces_is_that_of_their_recordings() -> None:
    truth, good, bad = pieces(0)
    interval = Interval(200, None, 0)
    found = evaluate(truth, Output(scores=good), ["pauc"], interval_of=interval, against=("bad", Output(scores=bad)))
    block = found["segment_auc"]
    assert truth.events is not None
    joined, events = join_scores(good, good.filenames, good.labels), join_truth(truth.events)
    parameters = SegmentAucParameters()
    seconds = dict.fromkeys("abcd", 30.0)
    assert block["variant"] == "recordings"
    assert block["resampled"] == {"over": "recordings", "units": 4}
    assert block["value"] == pytest.approx(
        partial_auc(cut_segments(events, joined, seconds, parameters), parameters)[0]
    )
    low, high = block["interval"]
    assert low <= block["value"] <= high
    assert block["against"]["value"]["interval"][0] > 0
    # Clips of one recording are drawn together, and recordings of one group.
    grouped = Interval(200, {name: "street" if name[0] in "abc" else "park" for name in good.filenames}, 0)
    wide = evaluate(truth, Output(scores=good), ["pauc"], interval_of=grouped)["segment_auc"]
    assert wide["value"] == block["value"]
    assert wide["interval"] != block["interval"]


def test_the_pieces_of_a_recording_are_in_one_group() -> None:
    names = ("a-000000-000100", "a-000100-000200", "b-000000-000100")
    recording = dict(zip(names, "aab", strict=True))
    drawn = Resamples(names, {names[0]: "g", names[2]: "g"}, 100).of_recordings(recording)
    assert drawn is None
    drawn = Resamples(names, {names[0]: "g"}, 100).of_recordings(recording)
    assert drawn is not None
    assert drawn.described() == {"over": "groups", "units": 2}
    with pytest.raises(SedkitError, match="clips of a are in 'g' and in 'h', expected one"):
        Resamples(names, {names[0]: "g", names[1]: "h"}, 100).of_recordings(recording)


def test_the_partial_area_of_other_clips_is_theirs() -> None:
    truth, good, _ = pieces(1)
    assert truth.events is not None
    names = tuple(f"clip{i}.wav" for i in range(len(good.filenames)))
    rows = [(names[truth.events.filenames.index(n)], a, b, k) for n, a, b, k in truth.events.rows()]
    events = Events.from_rows(rows, labels=("u", "v"))
    good.filenames = names
    seconds = dict.fromkeys(names, 10.0)
    block = evaluate(Truth(events, tags_of(events), seconds), Output(scores=good), ["pauc"])["segment_auc"]
    parameters = SegmentAucParameters()
    assert block["variant"] == "clips"
    assert block["value"] == pytest.approx(partial_auc(cut_segments(events, good, seconds, parameters), parameters)[0])
