"""Clips of long recordings, put together again for the partial ROC area of 2024."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.partial_auc import SegmentAucParameters, cut_segments, partial_auc
from sedkit.evaluation.recordings import excerpts_of, join_scores, join_truth, recording_lengths
from sedkit.evaluation.resample import Resamples


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
    excerpts = excerpts_of(names, None, scores)
    length_s = recording_lengths(excerpts, None)
    joined = join_scores(scores, excerpts, ("bus", "car"), length_s)
    assert joined.filenames == ("a", "b")
    assert joined.duration_s.tolist() == [3.0, 1.0]
    # Alone .5; then .5 with .75 * 1 + .25 * .2; then .2 alone.
    assert joined.framewise[0, :, 1] == pytest.approx([0.5, (0.5 + 0.8) / 2, 0.2])
    # A clip or a class without scores scores 0.
    assert not joined.framewise[1].any() and not joined.framewise[:, :, 0].any()
    rows = [(names[0], 0.0, 1.5, "car"), (names[1], 0.5, 2.0, "car"), (names[2], None, None, None)]
    assert list(join_truth(Events.from_rows(rows), excerpts).rows()) == [
        ("a", 0.0, 1.5, "car"),
        ("a", 1.5, 3.0, "car"),
        ("b", None, None, None),
    ]


def test_a_name_alone_makes_no_excerpt() -> None:
    name = "a-000100-001100.wav"
    assert set(excerpts_of((name, "Yabc_0.000_10.000.wav"), None)) == {name}
    # Rising numbers in a name are no times: the official names have six digits.
    for other in ("kitchen-3-12.wav", "a-100-1100.wav", "a-0000100-0001100.wav", "a-001100-000100.wav"):
        assert not excerpts_of((other,), None)
    # Names are cut to hundredths and tables rounded to tenths: 10.0 s in the name.
    for seconds, is_one in ((10.0, True), (9.9, True), (10.1, True), (9.8, False), (4.0, False)):
        assert bool(excerpts_of((name,), {name: seconds})) == is_one
        assert bool(excerpts_of((name,), {"a-000100-001100": seconds})) == is_one
    # Scores come in whole windows: their end tells less.
    for seconds, is_one in ((10.4, True), (9.2, True), (4.0, False)):
        assert bool(excerpts_of((name,), None, silent((name,), seconds))) == is_one
    # What is 0.09 s long by its name is not taken for one of 0.2 s.
    assert not excerpts_of(("a-000003-000012.wav",), None, silent(("a-000003-000012.wav",), 0.2))


def test_a_recording_ends_where_the_table_of_durations_says() -> None:
    excerpts = excerpts_of(("a-000000-001000.wav", "b-000000-001000.wav"), None)
    assert recording_lengths(excerpts, None) == {"a": 10.0, "b": 10.0}
    # The organisers' table lists recordings; a data dir's lists excerpts.
    assert recording_lengths(excerpts, {"a.wav": 31.4, "c.wav": 9.0}) == {"a": 31.4, "b": 10.0}
    listed = {"a-000000-001000.wav": 10.0, "a-001000-001750.wav": 7.5, "c-000000-001000.wav": 10.0}
    assert recording_lengths(excerpts, listed) == {"a": 17.5, "b": 10.0}
    # A row that only looks like an excerpt says nothing.
    assert recording_lengths(excerpts, {"a-001000-099999.wav": 10.0}) == {"a": 10.0, "b": 10.0}


def silent(names: tuple[str, ...], seconds: float) -> Scores:
    """Clips of one window that scores 0."""
    n = len(names)
    return Scores(np.zeros((n, 1, 1)), np.ones(n), np.full(n, seconds), np.array([0.0, seconds]), names, ("car",))


def as_the_organisers(
    scores: Scores, rows: list[tuple[str, float, float, str]], labels: str, length_s: dict[str, float]
) -> dict[str, float]:
    """Compute the partial areas as the test of the organisers' baseline of 2024 does, clip by clip and frame by frame.

    The clips of the reference are scored; the mean over windows by their share of a second is added where the clip
    lies, and divided by the number of clips there; events go to whole seconds of the clip's start; a segment is active
    where an event reaches into it; recordings last as long as the table of durations says.
    """
    clips = list(dict.fromkeys(row[0] for row in rows))
    out = {}
    for label in labels:
        score, target = [], []
        for recording in dict.fromkeys(clip.rsplit("-", 2)[0] for clip in clips):
            n = math.ceil(length_s[recording])
            total, times, active = [0.0] * n, [0] * n, [False] * n
            for clip in (c for c in clips if c.rsplit("-", 2)[0] == recording):
                begin, end = (float(x) / 100 for x in clip.removesuffix(".wav").rsplit("-", 2)[1:])
                at = scores.filenames.index(clip)
                edges, frames = scores.edges(at), scores.framewise[at, :, scores.labels.index(label)]
                for s in range(math.ceil(end - begin)):
                    share = [max(0.0, min(b, s + 1) - max(a, s)) for a, b in itertools.pairwise(edges)]
                    total[int(begin) + s] += sum(w * x for w, x in zip(share, frames, strict=False)) / sum(share)
                    times[int(begin) + s] += 1
                for _, onset, offset, _ in (row for row in rows if row[0] == clip and row[3] == label):
                    for s in range(n):
                        active[s] |= s < int(begin) + offset and s + 1 > int(begin) + onset
            score += [x / max(k, 1) for x, k in zip(total, times, strict=True)]
            target += active
        fpr, tpr, _ = roc_curve(target, np.round(score, 9), drop_intermediate=False)
        # Steps: the curve stays at a rate until the next point.
        area = sum(t * (min(b, 0.1) - min(a, 0.1)) for t, a, b in zip(tpr[:-1], fpr[:-1], fpr[1:], strict=True))
        out[label] = area / 0.1
    return out


@pytest.mark.parametrize("table", ["recordings", "excerpts", None])
@pytest.mark.parametrize("seed", range(3))
def test_the_partial_area_is_that_of_the_organisers_where_recordings_end_in_silence(
    seed: int, table: str | None
) -> None:
    truth, good, _ = pieces(seed)
    assert truth.events is not None
    # The reference has no row of the last clips, as the official one has none of clips without an event.
    last = {"a-001500-002500.wav", "a-002000-003000.wav", "c-002000-003000.wav"}
    listed = tuple(name for name in truth.events.filenames if name not in last)
    events = truth.events.keep_clips(listed)
    rows = [row for row in events.rows() if row[1] is not None]
    length_s = dict.fromkeys("abcd", 30.0)
    if table is None:
        length_s |= {"a": 20.0, "c": 25.0}
    seconds = {
        "recordings": {f"{k}.wav": s for k, s in length_s.items()},
        "excerpts": dict.fromkeys(good.filenames, 10),
    }
    block = evaluate(Truth(events, tags_of(events), seconds.get(table)), Output(scores=good), ["pauc"])["segment_auc"]
    wanted = as_the_organisers(good, [*rows, *((name, 0, 0, "") for name in listed)], "uv", length_s)
    assert block["variant"] == "recordings"
    assert block["classes"] == pytest.approx(wanted, abs=1e-12)
    assert block["value"] == pytest.approx(sum(wanted.values()) / 2, abs=1e-12)


def test_clips_named_by_chance_like_excerpts_are_scored_one_by_one(caplog: pytest.LogCaptureFixture) -> None:
    # Two clips of 4 s; in each second one score. Class car: active in second 1 of the first clip.
    six_digits = ("kitchen-000003-000012.wav", "kitchen-000010-000042.wav")
    for names, warned in ((six_digits, True), (("kitchen-3-12.wav", "kitchen-10-42.wav"), False)):
        events = Events.from_rows([(names[0], 1.0, 2.0, "car"), (names[1], None, None, None)])
        framewise = np.array([[0.1, 0.8, 0.2, 0.9], [0.3, 0.4, 0.5, 0.6]])[..., None]
        scores = Scores(framewise, np.full(2, 4), np.full(2, 4.0), np.arange(5.0), names, ("car",))
        for seconds in (dict.fromkeys(names, 4.0), None):
            caplog.clear()
            truth = Truth(events, tags_of(events), seconds)
            block = evaluate(truth, Output(scores=scores), ["pauc"])["segment_auc"]
            assert block["variant"] == "clips"
            assert ("not as long as their names say" in caplog.text) == warned
            if seconds:
                # One of 7 others scores higher: a false positive rate of 1/7 before the event is found, past 0.1.
                assert block["value"] == 0.0
    # Of two sets together, clips are scored one by one, which is said.
    mixed = Events.from_rows([("a-000000-000400.wav", 1.0, 2.0, "car"), ("b.wav", None, None, None)])
    scores.filenames = mixed.filenames
    caplog.clear()
    assert evaluate(Truth(mixed, tags_of(mixed)), Output(scores=scores), ["pauc"])["segment_auc"]["variant"] == "clips"
    assert "1 of 2 are excerpts of recordings, joined only where all are (--clips)" in caplog.text


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
    resamples = Resamples.of(truth, 200)
    figures = evaluate(truth, Output(scores=good), ["pauc"], resamples=resamples, against=("bad", Output(scores=bad)))
    block = figures["segment_auc"]
    assert truth.events is not None
    excerpts, seconds = excerpts_of(good.filenames, None), dict.fromkeys("abcd", 30.0)
    joined, events = join_scores(good, excerpts, good.labels, seconds), join_truth(truth.events, excerpts)
    parameters = SegmentAucParameters()
    assert block["variant"] == "recordings"
    assert block["resampled"] == {"over": "recordings", "units": 4}
    assert block["value"] == pytest.approx(
        partial_auc(cut_segments(events, joined, seconds, parameters), parameters)[0]
    )
    low, high = block["interval"]
    assert low <= block["value"] <= high
    assert block["against"]["value"]["interval"][0] > 0
    # Clips of one recording are drawn together, and recordings of one group.
    groups = {name: "street" if name[0] in "abc" else "park" for name in good.filenames}
    grouped = Resamples.of(truth, 200, groups)
    wide = evaluate(truth, Output(scores=good), ["pauc"], resamples=grouped)["segment_auc"]
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
