"""Decoding against the published vectors and a slow decoder in plain Python."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from slow_decoder import as_set, make_scores, slow_decode, slow_row

from sedkit.core.errors import SedkitError
from sedkit.core.files import read_json
from sedkit.dataio.events import Tags
from sedkit.dataio.store import read_scores
from sedkit.dataio.tables import read_strong
from sedkit.evaluation.counts import rates
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.postprocessing import (
    PUBLISHED,
    FrameRule,
    Postprocessing,
    decode,
    decode_thresholds,
    engine,
    kernels,
    plain,
)

RUNS_A = [0, 0.15, 0.3, 0.15, 0.05, 0.3, 0]
RUNS_B = [0.3, 0.3, 0.15, 0.15, 0.05, 0.05, 0.05, 0.3, 0.3, 0.3]


def spans(scores, rule, decoder="threshold"):
    events = decode(scores, Postprocessing.uniform(scores.labels, rule, decoder))
    return list(zip(events.onset_s.tolist(), events.offset_s.tolist(), strict=True))


@pytest.mark.parametrize(
    ("x", "n_smooth", "n_salt", "expected"),
    [
        (RUNS_A, 0, 0, [(1, 6)]),
        (RUNS_A, 0, 5, []),
        (RUNS_B, 0, 0, [(0, 4), (7, 10)]),
        (RUNS_B, 2, 0, [(0, 4), (7, 10)]),
        (RUNS_B, 3, 0, [(0, 10)]),
        (RUNS_B, 2, 3, [(0, 4)]),
    ],
)
def test_published_decoder_gives_the_known_answers(x, n_smooth, n_salt, expected):
    rule = FrameRule(threshold=0.2, low=0.1, merge_gap_s=n_smooth, min_duration_s=n_salt)
    assert spans(make_scores(x), rule, "published") == expected


def test_own_decoder_keeps_apart_what_one_inactive_frame_parts():
    assert spans(make_scores(RUNS_A), FrameRule(threshold=0.2, low=0.1)) == [(1, 4), (5, 6)]


def test_published_without_second_threshold_does_not_bridge_and_is_half_open():
    rule = FrameRule(threshold=0.2)
    assert spans(make_scores([0.3, 0, 0.3, 0.3]), rule, "published") == [(0, 1), (2, 4)]
    one_salt = FrameRule(threshold=0.2, min_duration_s=1)
    assert spans(make_scores([0.3, 0, 0.3, 0.3]), one_salt, "published") == [(2, 4)]


def test_minimum_duration_is_a_minimum_and_published_salt_is_not():
    x = [0.9] * 16 + [0.0] * 48
    rule = FrameRule(threshold=0.5, min_duration_s=0.25)
    assert spans(make_scores(x, rate_hz=64), rule) == [(0, 0.25)]
    assert spans(make_scores(x, rate_hz=64), rule, "published") == []


def test_seconds_mean_the_same_on_every_grid():
    fine = np.zeros(640)
    fine[64:128] = fine[144:208] = 0.95  # a gap of 16 frames at 64 Hz
    fine[400:408] = 0.95  # 8 frames: salt
    coarse = fine.reshape(-1, 8).max(axis=1)
    for x, rate_hz in ((fine, 64), (coarse, 8)):
        scores = make_scores(x, clipwise=np.array([[0.95]]), rate_hz=rate_hz)
        events = decode(scores, PUBLISHED)
        assert list(events.rows()) == [("0.wav", 1.0, 3.25, "class0")]


def test_clip_gate_is_strict_and_events_end_with_the_clip():
    x = np.full((2, 4, 1), 0.95, dtype=np.float32)
    scores = make_scores(x, clipwise=np.array([[0.75], [0.76]], dtype=np.float32), duration_s=[3.3, 3.3])
    rules = Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5, clip_threshold=0.75))
    assert list(decode(scores, rules).rows()) == [("0.wav", None, None, None), ("1.wav", 0.0, 3.3, "class0")]


def test_a_float32_score_is_held_against_the_float64_threshold():
    # float32(0.3) is a little above 0.3, float32(0.9) a little below 0.9.
    assert spans(make_scores([0.3, 0.0]), FrameRule(threshold=0.3)) == [(0, 1)]
    assert spans(make_scores([0.9, 0.0]), FrameRule(threshold=0.9)) == []
    assert spans(make_scores([0.95, 0.9]), FrameRule(threshold=0.92, low=0.9)) == [(0, 1)]


def test_frames_after_the_end_of_a_clip_are_not_heard():
    scores = make_scores([0.9, 0.0, 0.9, 0.9], duration_s=[2.0])
    assert spans(scores, FrameRule(threshold=0.5)) == [(0, 1)]
    points = decode_thresholds(scores, [0.5])
    assert as_set(points.events(0)) == {(0, 0, 0.0, 1.0)}


def test_a_clip_without_frames_is_listed_without_events():
    scores = make_scores(np.full((2, 5, 2), 0.9), n_frames=[0, 5], duration_s=[0.0, 5.0])
    first, *_ = decode(scores, Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5))).rows()
    assert first == ("0.wav", None, None, None)


def test_grids_that_differ_between_clips():
    edges = (np.arange(5) / 10, np.arange(5) / 20)
    scores = make_scores(np.array([[[0.9]] * 4, [[0.9], [0.9], [0.0], [0.9]]]), duration_s=[0.35, 0.2], edges=edges)
    rule = FrameRule(threshold=0.5, merge_gap_s=0.05)
    events = decode(scores, Postprocessing.uniform(scores.labels, rule))
    assert as_set(events) == {(0, 0, 0.0, 0.35), (1, 0, 0.0, 0.2)}
    points = decode_thresholds(scores, [0.5, 0.95])
    assert as_set(points.events(0)) == {(0, 0, 0.0, 0.35), (1, 0, 0.0, 0.1), (1, 0, 0.15, 0.2)}
    assert points.events(1).n_events == 0


def test_tags_open_the_gate():
    scores = make_scores(np.full((2, 4, 2), 0.9))
    rules = Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5))
    tags = Tags(("1.wav", "0.wav"), ("class1",), np.array([[True], [False]]))
    assert as_set(decode(scores, rules, tags)) == {(1, 1, 0.0, 4.0)}
    with pytest.raises(SedkitError, match="1 clips are not listed"):
        decode(scores, rules, Tags(("1.wav",), ("class1",), np.array([[True]])))
    with pytest.raises(SedkitError, match="tags of classes that the scores lack: other"):
        decode(scores, rules, Tags(scores.filenames, ("other",), np.zeros((2, 1), bool)))


def test_tags_given_as_scores_are_held_against_the_clip_thresholds():
    scores = make_scores(np.full((2, 4, 2), 0.9), labels=["a", "b"])
    tags = make_scores(np.zeros((2, 1, 2)), clipwise=np.array([[0.1, 0.8], [0.3, 0.2]]), labels=["b", "a"])
    gated = Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5, clip_threshold=0.25))
    assert as_set(decode(scores, gated, tags)) == {(0, 0, 0.0, 4.0), (1, 1, 0.0, 4.0)}
    with pytest.raises(SedkitError, match="no clip_threshold"):
        decode(scores, Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5)), tags)
    with pytest.raises(SedkitError, match="hold no clip scores"):
        decode(scores, gated)
    with pytest.raises(SedkitError, match="lack 1 of 2 clips"):
        decode(scores, gated, tags.keep_clips(["0.wav"]))


def test_rules_for_other_classes_are_refused():
    rules = Postprocessing.uniform(["class0", "Cat"], FrameRule(threshold=0.5))
    with pytest.raises(SedkitError, match=r"no rule for: none; no scores for: Cat"):
        decode(make_scores([0.1]), rules)


# ------------------------------------------------------------------------------------------------ properties

levels = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1.0])


@st.composite
def some_scores(draw):
    clips, frames, classes = draw(st.integers(1, 3)), draw(st.integers(1, 24)), draw(st.integers(1, 3))
    rate_hz = draw(st.sampled_from([1.0, 8.0, 64.0, 1 / 0.064, 44100 / (8 * 511)]))
    values = draw(st.lists(levels, min_size=clips * frames * classes, max_size=clips * frames * classes))
    clipwise = draw(st.lists(levels, min_size=clips * classes, max_size=clips * classes))
    n_frames = draw(st.lists(st.integers(0, frames), min_size=clips, max_size=clips))
    cut = draw(st.sampled_from([0.0, 0.3, 1.0, 2.5]))
    scores = make_scores(
        np.reshape(values, (clips, frames, classes)),
        clipwise=np.reshape(clipwise, (clips, classes)),
        n_frames=n_frames,
        rate_hz=rate_hz,
        duration_s=[max(n - cut, 0.0) / rate_hz for n in n_frames],
    )
    return scores, rate_hz


@st.composite
def some_rules(draw, labels, rate_hz):
    rules = []
    for _ in labels:
        threshold = draw(levels)
        low = draw(st.one_of(st.none(), levels.map(lambda x, most=threshold: min(x, most))))
        rules.append(
            FrameRule(
                threshold=threshold,
                low=low,
                clip_threshold=draw(st.one_of(st.none(), levels)),
                median_s=draw(st.integers(0, 12)) / rate_hz,
                merge_gap_s=draw(st.integers(0, 4)) / rate_hz,
                min_duration_s=draw(st.integers(0, 4)) / rate_hz,
            )
        )
    return Postprocessing(tuple(labels), tuple(rules), draw(st.sampled_from(["threshold", "published"])))


@given(st.data())
def test_decoder_equals_the_slow_one(data):
    scores, rate_hz = data.draw(some_scores())
    rules = data.draw(some_rules(scores.labels, rate_hz))
    assert as_set(decode(scores, rules)) == slow_decode(scores, rules, rate_hz)


@given(st.data())
def test_many_thresholds_equal_one_after_the_other(data):
    scores, rate_hz = data.draw(some_scores())
    thresholds = sorted(data.draw(st.sets(st.one_of(levels, st.floats(0, 1)), min_size=1, max_size=6)))
    windows = [data.draw(st.integers(0, 9)) / rate_hz for _ in scores.labels]
    start = Postprocessing(scores.labels, tuple(FrameRule(0.5, median_s=w) for w in windows))
    points = decode_thresholds(scores, thresholds, start)
    assert points.thresholds.tolist() == thresholds
    for threshold, events in zip(thresholds, points, strict=True):
        rules = tuple(FrameRule(threshold=threshold, median_s=w) for w in windows)
        assert as_set(events) == as_set(decode(scores, Postprocessing(scores.labels, rules)))
        assert np.all(np.diff(events.clip) >= 0)


@given(st.data())
def test_many_thresholds_of_whole_rules_keep_all_but_the_threshold(data):
    scores, rate_hz = data.draw(some_scores())
    rules = data.draw(some_rules(scores.labels, rate_hz))
    points = decode_thresholds(scores, [0.25, 0.6], postprocessing=rules)
    for threshold, events in zip((0.25, 0.6), points, strict=True):
        there = rules.with_rules(
            [
                dataclasses.replace(
                    rule,
                    threshold=threshold,
                    low=None
                    if rule.low is None
                    else min(threshold * rule.low / rule.threshold if rule.threshold else 0.0, threshold),
                )
                for rule in rules.rules
            ]
        )
        assert as_set(events) == slow_decode(scores, there, rate_hz)


@given(st.data())
def test_compiled_and_plain_functions_are_the_same(data):
    scores, _ = data.draw(some_scores())
    clips, _, classes = scores.framewise.shape
    half = np.array([data.draw(st.integers(0, 7)) for _ in range(classes)])
    planes = kernels.median_planes(scores.framewise, scores.n_frames, half)
    np.testing.assert_array_equal(planes, plain.median_planes(scores.framewise, scores.n_frames, half))
    gate = np.array(data.draw(st.lists(st.booleans(), min_size=clips * classes, max_size=clips * classes)))
    gate = gate.reshape(clips, classes)
    thresholds = np.array([data.draw(st.permutations([[0.1, 0.2, 0.6], [0.0, 0.5, 0.9]]))[0] for _ in range(classes)])
    arguments = (planes, scores.n_frames, gate, thresholds.astype(np.float32))
    for ours, theirs in zip(kernels.runs_above(*arguments), plain.runs_above(*arguments), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_median_filter_equals_scipy():
    rng = np.random.default_rng(0)
    x = rng.random((3, 90, 12), dtype=np.float32)
    x[0] = np.round(x[0], 1)  # ties
    half = np.arange(12) * 2 % 13
    planes = kernels.median_planes(x, np.full(3, 90), half)
    for c, h in enumerate(half):
        expected = ndimage.median_filter(x[:, :, c], size=(1, 2 * h + 1), mode="reflect")
        np.testing.assert_array_equal(planes[:, c], expected)


@given(st.lists(levels, min_size=1, max_size=30), st.integers(0, 6), levels)
def test_filtering_scores_is_filtering_decisions(x, half, threshold):
    filtered = plain.median_planes(np.array(x, np.float32)[None, :, None], np.array([len(x)]), np.array([half]))[0, 0]
    decisions = (np.array(x, np.float32) > np.float32(threshold)).astype(np.float32)
    voted = plain.median_planes(decisions[None, :, None], np.array([len(x)]), np.array([half]))[0, 0]
    np.testing.assert_array_equal(filtered > np.float32(threshold), voted > 0.5)


@pytest.mark.parametrize("functions", [plain, kernels])
def test_either_engine_decodes_the_same_events(monkeypatch, functions):
    monkeypatch.setattr(engine, "choose", lambda n: functions)
    rng = np.random.default_rng(1)
    x = ndimage.gaussian_filter1d(rng.standard_normal((6, 200, 3)), 3, axis=1)
    scores = make_scores(1 / (1 + np.exp(-6 * x)), rate_hz=50.0)
    rule = FrameRule(threshold=0.6, low=0.4, median_s=0.1, merge_gap_s=0.1, min_duration_s=0.2)
    rules = Postprocessing.uniform(scores.labels, rule)
    events = as_set(decode(scores, rules))
    assert len(events) > 30
    assert events == slow_decode(scores, rules, 50.0)
    filtered = Postprocessing.uniform(scores.labels, FrameRule(0.5, median_s=0.14))
    for threshold, events in zip((0.3, 0.7), decode_thresholds(scores, [0.3, 0.7], filtered), strict=True):
        plain_rules = Postprocessing.uniform(scores.labels, FrameRule(threshold=threshold, median_s=0.14))
        assert as_set(events) == slow_decode(scores, plain_rules, 50.0)


def test_small_inputs_do_not_wait_for_compiled_code(monkeypatch):
    monkeypatch.delitem(sys.modules, "sedkit.postprocessing.kernels")
    assert engine.choose(1000) is plain
    assert engine.choose(10**9).__name__ == "sedkit.postprocessing.kernels"


def test_slow_decoder_on_a_case_by_hand():
    assert slow_row([0.1, 0.6, 0.3, 0.3, 0.0, 0.7], 0.5, low=0.3) == [(1, 4), (5, 6)]
    assert slow_row([0.1, 0.6, 0.3, 0.3, 0.0, 0.7], 0.5, low=0.3, merge=1) == [(1, 6)]
    assert slow_row([0.1, 0.6, 0.3, 0.3, 0.0, 0.7], 0.5, low=0.3, shortest=2) == [(1, 4)]
    assert slow_row([0.9, 0.0, 0.9, 0.9], 0.5, half=1) == [(0, 4)]


def test_scores_of_the_2023_baseline_give_the_figures_of_its_own_tool(shared):
    folder = shared / "vectors" / "dcase2023_scores"
    expected = read_json(folder / "expected.json")
    scores = read_scores(folder / "baseline2_run1_scores")
    truth = read_strong(folder / "ground_truth.tsv", scores.labels).keep_clips(scores.filenames)
    events = decode(scores, Postprocessing.uniform(scores.labels, FrameRule(threshold=0.5)))
    for counts, name in ((count_events, "collar_f_0.5"), (count_segments, "segment_f_0.5")):
        figures = rates(counts(truth, events), "zero")
        assert float(figures.macro["f1"]) == pytest.approx(expected[name]["macro_average"], abs=1e-9)
        assert float(figures.micro["f1"]) == pytest.approx(expected[name]["micro_average"], abs=1e-9)
