"""Tuning: the rule of choice, what is chosen on made-up sets, and what is refused."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_decoder import make_scores

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.evaluation.counts import rates
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.evaluation.parameters import PSDS1
from sedkit.evaluation.psd_roc import psds_of_points
from sedkit.postprocessing import BoxRule, FrameRule, Postprocessing, decode, decode_thresholds
from sedkit.postprocessing.operating_points import even_thresholds
from sedkit.postprocessing.tune import describe, tune
from sedkit.postprocessing.tuning.choose import PRIOR_POSITIVES, choose, folds_of, macro_f1, shrunk
from sedkit.postprocessing.tuning.clip_thresholds import tagging_counts

LABELS = ("Blender", "Cat", "Speech")


def f1(n_reference, n_true, n_estimate):
    return 2 * n_true / (n_reference + n_estimate)


# ------------------------------------------------------------------------------------------------ the rule of choice


@given(st.integers(0, 10_000))
def test_without_prior_it_is_each_classes_own_best(seed):
    rng = np.random.default_rng(seed)
    n_reference = rng.integers(1, 9, 3).astype(float)
    n_estimate = rng.integers(0, 9, (3, 2, 4)).astype(float)
    n_true = np.minimum(n_estimate, n_reference[:, None, None]) * rng.integers(0, 2, (3, 2, 4))
    setting, threshold = choose(n_reference, n_true, n_estimate, prior=0.0)
    for c in range(3):
        own = f1(n_reference[c], n_true[c], n_estimate[c])
        assert own[setting[c], threshold[c]] == own.max()
        assert setting[c] == np.flatnonzero((own == own.max()).any(axis=1))[0]


def test_among_equals_the_middle_of_the_longest_run_is_taken():
    n_true = np.array([[[1, 1, 0, 1, 1, 1, 1, 1, 0]]], float)
    _, threshold = choose(np.array([1.0]), n_true, np.ones_like(n_true))
    assert threshold.tolist() == [5]


def test_few_positives_lean_towards_all_classes_and_many_do_not():
    # Class 0 would take threshold 0, all others threshold 2.
    def counts(positives):
        own = np.array([1.0, 0.6, 0.2]) * positives
        rest = np.array([0.2, 0.6, 1.0]) * 1000
        n_true = np.stack([own, rest])[:, None, :]
        return np.array([positives, 1000.0]), n_true, np.stack([np.full(3, positives), np.full(3, 1000.0)])[:, None, :]

    assert choose(*counts(PRIOR_POSITIVES / 2))[1].tolist() == [2, 2]
    assert choose(*counts(PRIOR_POSITIVES * 10))[1].tolist() == [0, 2]


def test_a_class_without_positives_gets_the_optimum_of_all():
    n_reference = np.array([0.0, 40.0, 60.0])
    n_true = np.array([[0, 0, 0], [30, 40, 10], [30, 50, 60]], float)[:, None, :]
    n_estimate = np.array([[99, 0, 0], [60, 45, 10], [80, 60, 70]], float)[:, None, :]
    pooled = f1(100, n_true.sum(0), n_estimate.sum(0))[0]
    assert choose(n_reference, n_true, n_estimate)[1][0] == np.argmax(pooled) == 1
    with pytest.raises(SedkitError, match="no positive of any class"):
        choose(np.zeros(3), n_true, n_estimate)


def test_areas_are_drawn_to_their_mean_by_few_positives():
    areas = np.array([[0.9, 0.45], [0.1, 0.2]])
    relative = np.array([[1.0, 0.5], [0.5, 1.0]])
    np.testing.assert_allclose(shrunk(areas, np.array([1e9, 0.0])), [relative[0]] * 2, atol=1e-6)
    np.testing.assert_allclose(shrunk(areas, np.array([5.0, 5.0]), prior=5.0)[0], (relative[0] + 0.75) / 2)
    np.testing.assert_allclose(shrunk(areas, np.array([5.0, 5.0]), prior=0.0), relative)
    np.testing.assert_allclose(shrunk(np.zeros((2, 2)), np.array([5.0, 5.0])), 0.0)


def test_parts_are_balanced_and_go_by_the_seed():
    names = [f"{i}.wav" for i in range(23)]
    assert sorted(np.bincount(folds_of(names, {}, 1))) == [4, 4, 5, 5, 5]
    assert (folds_of(names, {}, 1) == folds_of(names, {}, 1)).all()
    assert (folds_of(names, {}, 1) != folds_of(names, {}, 2)).any()
    np.testing.assert_array_equal(folds_of(names, {}, 1), np.random.default_rng(1).permutation(23) % 5)


@given(st.lists(st.sampled_from(["", "a", "b", "c", "d"]), min_size=1, max_size=30), st.integers(0, 99))
def test_no_group_is_split_over_parts(groups, seed):
    names = [f"{i}.wav" for i in range(len(groups))]
    fold = folds_of(names, dict(zip(names, groups, strict=True)), seed)
    assert set(fold) <= set(range(5))
    sizes = [1] * groups.count("") + [groups.count(group) for group in "abcd"]
    for group in "abcd":
        assert len({p for p, g in zip(fold, groups, strict=True) if g == group}) <= 1
    counts = np.bincount(fold, minlength=5)
    assert counts.max() - counts.min() <= max(sizes)


# ------------------------------------------------------------------------------------------------ clip thresholds


def clip_set(seed=0, clips=300, positives=(100, 80, 60), shift=(0.0, -2.0, 2.0), spread=0.7):
    """Return scores whose classes are apart by 4 units, each class moved by its own shift, and their tags."""
    rng = np.random.default_rng(seed)
    present = np.zeros((clips, 3), bool)
    for c, n in enumerate(positives):
        present[rng.permutation(clips)[:n], c] = True
    logits = np.where(present, 2.0, -2.0) + np.array(shift) + spread * rng.standard_normal((clips, 3))
    clipwise = 1 / (1 + np.exp(-logits))
    scores = make_scores(np.zeros((clips, 1, 3)), clipwise=clipwise, labels=LABELS)
    return scores, Tags(scores.filenames, LABELS, present, "weak.tsv")


def test_clip_thresholds_follow_the_classes_calibration():
    scores, tags = clip_set()
    rules = tune(scores, tags, "tagging")
    logits = [np.log(rule.clip_threshold / (1 - rule.clip_threshold)) for rule in rules.rules]
    np.testing.assert_allclose(logits, [0.0, -2.0, 2.0], atol=0.9)
    decided = scores.clipwise > np.array([rule.clip_threshold for rule in rules.rules])
    f = [f1(tags.present[:, c].sum(), (decided & tags.present)[:, c].sum(), decided[:, c].sum()) for c in range(3)]
    assert rules.value == pytest.approx(np.mean(f), abs=1e-12)
    assert 0.9 < rules.cross_validated <= rules.value
    assert {rule.threshold for rule in rules.rules} == {0.5}


def test_between_two_groups_of_scores_the_threshold_lies_midway():
    clipwise = np.array([[0.2], [0.3], [0.8], [0.9]] * 10)
    scores = make_scores(np.zeros((40, 1, 1)), clipwise=clipwise, labels=["Cat"])
    tags = Tags(scores.filenames, ("Cat",), clipwise > 0.5)
    rules = tune(scores, tags, "tagging")
    assert rules.rules[0].clip_threshold == pytest.approx(0.55, abs=1e-3)
    assert rules.value == rules.cross_validated == 1.0


def test_one_lucky_positive_does_not_set_the_threshold():
    scores, tags = clip_set(positives=(100, 80, 1), shift=(0.0, 0.0, 0.0))
    clipwise = scores.clipwise.copy()
    clipwise[tags.present[:, 2], 2] = 0.9999  # above every negative: on its own it asks for a threshold near 1
    top = clipwise[~tags.present[:, 2], 2].max()
    rules = tune(replace(scores, clipwise=clipwise), tags, "tagging")
    assert rules.rules[2].clip_threshold < 0.9
    alone = tune(
        make_scores(np.zeros((300, 1, 1)), clipwise=clipwise[:, 2:], labels=["Speech"]),
        Tags(scores.filenames, ("Speech",), tags.present[:, 2:]),
        "tagging",
    )
    assert alone.rules[0].clip_threshold > top


def test_a_class_that_is_missing_is_told(caplog):
    scores, tags = clip_set(positives=(100, 80, 0), shift=(0.0, 0.0, 0.0))
    with caplog.at_level(logging.WARNING, "sedkit"):
        rules = tune(scores, tags, "tagging")
    assert "weak.tsv: no positive of Speech: it gets the optimum of all classes together" in caplog.text
    logit = np.log(rules.rules[2].clip_threshold / (1 - rules.rules[2].clip_threshold))
    assert abs(logit) < 1.5


@given(st.integers(0, 1000))
def test_tagging_counts_are_those_of_comparing(seed):
    rng = np.random.default_rng(seed)
    clipwise, present = rng.integers(0, 5, (12, 2)) / 4, rng.random((12, 2)) < 0.4
    candidates, fold = np.array([-0.1, 0.125, 0.25, 0.6]), folds_of([str(i) for i in range(12)], {}, seed)
    counts = tagging_counts(clipwise, present, candidates, fold)
    for f in range(5):
        for k, threshold in enumerate(candidates):
            decided = clipwise[fold == f] > threshold
            assert counts.n_estimate[f, :, 0, k].tolist() == decided.sum(0).tolist()
            assert counts.n_true[f, :, 0, k].tolist() == (decided & present[fold == f]).sum(0).tolist()


def test_events_serve_tagging_as_well():
    scores, tags = clip_set()
    rows = [(name, None, None, None) for name in scores.filenames]
    rows += [
        (name, 0.0, 1.0, LABELS[c])
        for name, there in zip(scores.filenames, tags.present, strict=True)
        for c in np.flatnonzero(there)
    ]
    events = Events.from_rows(rows, LABELS)
    assert (tags_of(events).present == tags.present).all()
    assert tune(scores, events, "tagging").rules == tune(scores, tags, "tagging").rules


# ------------------------------------------------------------------------------------------------ frame rules


def event_set(seed=0, clips=40, rate_hz=8.0, noise=(2.8, 0.8, 0.8)):
    """Return noisy frame scores of long (Blender) and short (Cat, Speech) events, and the events."""
    rng = np.random.default_rng(seed)
    frames = round(10 * rate_hz)
    rows, logits = [], np.full((clips, frames, 3), -2.0)
    for i in range(clips):
        name = f"{i}.wav"
        rows.append((name, None, None, None))
        for c, length in enumerate((4.0, 0.5, 0.75)):
            if rng.random() < 0.6:
                first = int(rng.integers(0, frames - round(length * rate_hz)))
                last = first + round(length * rate_hz)
                logits[i, first:last, c] = (1.0, 2.0, 0.0)[c]
                rows.append((name, first / rate_hz, last / rate_hz, LABELS[c]))
    logits += rng.standard_normal(logits.shape) * np.array(noise)
    framewise = 1 / (1 + np.exp(-logits))
    scores = make_scores(framewise, clipwise=framewise.max(axis=1), rate_hz=rate_hz, labels=LABELS)
    return scores, Events.from_rows(rows, LABELS, source="strong.tsv")


@pytest.mark.parametrize(("objective", "count"), [("event", count_events), ("segment", count_segments)])
def test_tuned_rules_beat_the_default_and_report_the_official_figure(objective, count):
    scores, events = event_set()
    default = Postprocessing.uniform(LABELS, FrameRule(0.5))
    rules = tune(scores, events, objective)
    official = rates(count(events, decode(scores, rules))).macro["f1"]
    assert rules.value == pytest.approx(float(official), abs=1e-12)
    assert rules.value > float(rates(count(events, decode(scores, default))).macro["f1"]) + 0.1
    assert rules.cross_validated < rules.value + 0.02
    assert rules.rule("Blender").median_s > rules.rule("Cat").median_s
    assert rules.objective == objective
    assert set(rules.grid) == {"threshold", "low_share", "median_s", "merge_gap_s", "min_duration_s"}


def test_the_gate_of_the_start_is_kept_and_in_force():
    scores, events = event_set()
    blind = replace(scores, clipwise=np.zeros_like(scores.clipwise))
    blind.clipwise[:, 1] = 1.0
    start = Postprocessing.uniform(LABELS, FrameRule(0.9, clip_threshold=0.7))
    rules = tune(blind, events, "event", start)
    assert [rule.clip_threshold for rule in rules.rules] == [0.7] * 3
    counts = count_events(events, decode(blind, rules))
    assert counts.n_estimate.sum(axis=0)[[0, 2]].tolist() == [0, 0]
    sums = (counts.n_reference.sum(0), counts.n_true_positives.sum(0), counts.n_estimate.sum(0))
    assert rules.value == pytest.approx(macro_f1(*sums))


def test_the_seed_moves_nothing_but_the_parts():
    scores, events = event_set(clips=25)
    first, again, other = (tune(scores, events, "segment", seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.rules == other.rules
    assert first.cross_validated != other.cross_validated


def test_further_clips_of_the_reference_are_passed_over():
    scores, events = event_set(clips=25)
    more = Events.from_rows([*events.rows(), ("other.wav", 0.0, 9.0, "Cat")], LABELS)
    assert tune(scores, more, "segment").rules == tune(scores, events, "segment").rules


def test_psds_chooses_windows_by_class_and_reports_psds():
    scores, events = event_set(clips=30, noise=(2.0, 0.5, 0.5))
    start = Postprocessing.uniform(LABELS, FrameRule(0.3, clip_threshold=0.1))
    rules = tune(scores, events, "psds1", start)
    assert rules.rule("Blender").median_s > rules.rule("Cat").median_s
    assert {(rule.threshold, rule.clip_threshold) for rule in rules.rules} == {(0.3, 0.1)}
    durations = dict(zip(scores.filenames, scores.duration_s, strict=True))

    def psds1(those):
        points = list(decode_thresholds(scores, even_thresholds(), postprocessing=those))
        return psds_of_points(events, points, durations, PSDS1)[0]

    assert rules.value == pytest.approx(psds1(rules), abs=1e-12)
    assert rules.value > psds1(start) + 0.05
    assert abs(rules.cross_validated - rules.value) < 0.2


def test_psds_joins_overlapping_events_of_the_reference():
    scores, events = event_set(clips=20)
    rows = [row for row in events.rows() if row[3] != "Cat"]
    rows = [(name, None, None, None) for name in scores.filenames] + rows
    doubled = Events.from_rows([*rows, ("0.wav", 1.0, 3.0, "Cat"), ("0.wav", 2.0, 4.0, "Cat")], LABELS)
    joined = Events.from_rows([*rows, ("0.wav", 1.0, 4.0, "Cat")], LABELS)
    assert tune(scores, doubled, "psds2").value == tune(scores, joined, "psds2").value


@pytest.mark.parametrize("objective", ["event", "psds1"])
def test_boxes_are_tuned_where_the_start_is_of_boxes(objective):
    scores, events = event_set(clips=20)
    start = Postprocessing.uniform(LABELS, BoxRule(0.5, merge_abs=0.2, clip_threshold=0.3), "csebbs")
    rules = tune(scores, events, objective, start)
    assert rules.decoder == "csebbs"
    assert all(isinstance(rule, BoxRule) and rule.clip_threshold == 0.3 for rule in rules.rules)
    if objective == "event":
        before = rates(count_events(events, decode(scores, start))).macro["f1"]
        assert rules.value == pytest.approx(float(rates(count_events(events, decode(scores, rules))).macro["f1"]))
        assert rules.value > float(before)
    assert "step_s" in describe(rules)


# ------------------------------------------------------------------------------------------------ what is refused


def test_what_cannot_be_tuned_is_refused():
    scores, events = event_set(clips=10)
    tags = tags_of(events)
    with pytest.raises(UsageError, match="serves the objective tagging only, event needs events"):
        tune(scores, tags, "event")
    with pytest.raises(UsageError, match='did you mean "event"'):
        tune(scores, events, "events")
    with pytest.raises(SedkitError, match="does not list 1 of the 10 scored clips"):
        tune(scores, events.keep_clips(events.filenames[1:]), "event")
    with pytest.raises(SedkitError, match="holds classes that the scores lack: Dog"):
        tune(scores, events.keep_labels((*LABELS, "Dog")), "event")
    with pytest.raises(SedkitError, match="no event in the 10 scored clips"):
        tune(scores, events.take(np.zeros(0, int)), "segment")
    with pytest.raises(SedkitError, match="hold no clip scores"):
        tune(replace(scores, clipwise=None), tags, "tagging")
