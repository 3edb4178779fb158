"""Bounding boxes against the paper's example and a step filter computed by numerical integration."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_decoder import as_set, make_scores

from sedkit.postprocessing import BoxRule, Postprocessing, decode, decode_thresholds
from sedkit.postprocessing.sebbs import _breakpoints, _step_filter, find_boxes


def boxes_of(x, rule, rate_hz=1.0, **kwargs):
    scores = make_scores(x, rate_hz=rate_hz, **kwargs)
    return find_boxes(scores, Postprocessing.uniform(scores.labels, rule, "csebbs"))


def hump(n):
    return (1 - np.cos(np.linspace(0, 2 * np.pi, n))) / 2


def test_the_papers_example():
    y = np.zeros(500)
    y[15:285] += 0.98 * hump(270)
    y[315:485] += 0.2 * hump(170)
    boxes = boxes_of(y, BoxRule(0.5, step_s=1.0, merge_abs=1.0, merge_rel=2.0), rate_hz=50.0)
    np.testing.assert_allclose(boxes.onset_s, [1.66, 7.16], atol=1e-9)
    np.testing.assert_allclose(boxes.offset_s, [4.34, 8.84], atol=1e-9)


@pytest.mark.parametrize("length", [3, 8, 30])
def test_a_rectangle_is_found_exactly_whether_shorter_or_longer_than_the_step(length):
    x = np.zeros(80)
    x[20 : 20 + length] = 0.8
    boxes = boxes_of(x, BoxRule(0.5, step_s=10.0, merge_abs=0.1))
    assert (boxes.onset_s.tolist(), boxes.offset_s.tolist()) == ([20.0], [20.0 + length])
    np.testing.assert_allclose(boxes.confidence, 0.8, rtol=1e-6)


def test_an_event_over_the_whole_clip_reaches_from_end_to_end():
    boxes = boxes_of(np.full(30, 0.7), BoxRule(0.5, step_s=4.0, merge_abs=0.1))
    assert (boxes.onset_s.tolist(), boxes.offset_s.tolist()) == ([0.0], [30.0])


def test_nothing_comes_of_silence_and_of_a_closed_gate():
    rule = BoxRule(0.5, step_s=4.0, merge_abs=0.1)
    assert len(boxes_of(np.zeros(30), rule).clip) == 0
    scores = make_scores(np.full((1, 30, 2), 0.7))
    gate = np.array([[False, True]])
    assert find_boxes(scores, Postprocessing.uniform(scores.labels, rule, "csebbs"), gate).label.tolist() == [1]


def dip(depth):
    x = np.zeros(60)
    x[10:25] = 0.9
    x[25:35] = 0.9 - depth
    x[35:50] = 0.9
    return x


@pytest.mark.parametrize(
    ("depth", "rule", "merged"),
    [
        (0.19, BoxRule(0.5, step_s=6.0, merge_abs=0.2), True),
        (0.21, BoxRule(0.5, step_s=6.0, merge_abs=0.2), False),
        (0.40, BoxRule(0.5, step_s=6.0, merge_rel=2.0), True),
        (0.50, BoxRule(0.5, step_s=6.0, merge_rel=2.0), False),
        (0.40, BoxRule(0.5, step_s=6.0, merge_abs=0.3, merge_rel=2.0), False),
    ],
)
def test_merging_goes_by_the_fall_between_two_boxes(depth, rule, merged):
    boxes = boxes_of(dip(depth), rule)
    if merged:
        assert (boxes.onset_s.tolist(), boxes.offset_s.tolist()) == ([10.0], [50.0])
        np.testing.assert_allclose(boxes.confidence, (30 * 0.9 + 10 * (0.9 - depth)) / 40, rtol=1e-6)
    else:
        assert (boxes.onset_s.tolist(), boxes.offset_s.tolist()) == ([10.0, 35.0], [25.0, 50.0])


def test_the_least_fall_merges_first():
    # Left to right and right to left would differ: the second pair, merged first, would rise above the first.
    x = np.concatenate([np.zeros(10), np.full(12, 0.5), np.full(8, 0.45), np.full(12, 0.55), np.full(8, 0.5),
                        np.full(12, 0.64), np.zeros(10)])  # fmt: skip
    rule = BoxRule(0.1, step_s=4.0, merge_abs=0.18)
    forward, backward = boxes_of(x, rule), boxes_of(x[::-1], rule)
    assert len(forward.clip) == 1
    np.testing.assert_allclose(72 - backward.offset_s[::-1], forward.onset_s)


@given(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), min_size=1, max_size=12), st.sampled_from([0.7, 1.0, 3.0, 30.0]))
def test_the_step_filter_is_the_difference_of_two_means(x, step_s):
    edges, scores = np.arange(len(x) + 1) * 0.5, np.array(x)
    at = _breakpoints(edges, step_s / 2)
    delta = _step_filter(at, step_s / 2, edges, scores)
    n = 4000
    for t, value in zip(at, delta, strict=True):
        offsets = (np.arange(n) + 0.5) / n * step_s / 2
        mean = [np.where((s >= 0) & (s < edges[-1]), scores[np.clip((s / 0.5).astype(int), 0, len(x) - 1)], 0).mean()
                for s in (t + offsets, t - offsets)]  # fmt: skip
        assert abs(mean[0] - mean[1] - value) < 5e-3


def test_thresholds_choose_boxes_and_never_move_them():
    rng = np.random.default_rng(0)
    scores = make_scores(rng.random((4, 80, 2)), n_frames=[80, 80, 40, 0], rate_hz=20.0)
    rules = Postprocessing.uniform(scores.labels, BoxRule(0.55, step_s=0.48, merge_abs=0.3), "csebbs")
    boxes = find_boxes(scores, rules)
    assert (boxes.onset_s < boxes.offset_s).all()
    points = decode_thresholds(scores, [0.4, 0.55, 0.6], postprocessing=rules)
    for threshold, events in zip(points.thresholds, points, strict=True):
        above = {name: column[boxes.confidence > threshold] for name, column in vars(boxes).items()}
        assert as_set(events) == as_set(replace(boxes, **above))
    assert as_set(decode(scores, rules)) == as_set(points.events(1))
    assert points.events(0).n_events > points.events(2).n_events > 0


def test_boxes_of_a_class_do_not_overlap_and_have_the_mean_score():
    rng = np.random.default_rng(1)
    scores = make_scores(rng.random((1, 200, 1)), rate_hz=10.0)
    rules = Postprocessing.uniform(scores.labels, BoxRule(0.5, step_s=0.64, merge_abs=0.2), "csebbs")
    boxes = find_boxes(scores, rules)
    assert len(boxes.clip) > 5
    assert (boxes.offset_s[:-1] <= boxes.onset_s[1:]).all()
    fine = np.repeat(scores.framewise[0, :, 0], 1000)
    for onset, offset, confidence in zip(boxes.onset_s, boxes.offset_s, boxes.confidence, strict=True):
        assert abs(fine[round(onset * 10_000) : round(offset * 10_000)].mean() - confidence) < 1e-3
