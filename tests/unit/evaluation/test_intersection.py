from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import as_json, rates
from sedkit.evaluation.coverage import count_detections, join_points, prepare
from sedkit.evaluation.judges import differences, official_intersection, psds_judge
from sedkit.evaluation.judges import table as official_table
from sedkit.evaluation.metrics.intersection import count_intersections
from sedkit.evaluation.overlaps import merge_overlaps
from sedkit.evaluation.parameters import IntersectionParameters


@given(seed=st.integers(0, 2**32 - 1))
def test_equals_psds_eval_on_random_tables(table, durations, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = table(rng, 20, 5, "abc", overlaps=False)
    estimate = table(rng, 24, 8, "abcd", overlaps=False)
    if not reference.n_events:
        return
    # Thresholds that sums of shares hit exactly, and files that the durations lack.
    parameters = IntersectionParameters(*(float(rng.choice([0.1, 0.25, 0.5, 2 / 3, 0.7, 1.0])) for _ in range(3)))
    seconds = durations(reference, float(rng.choice([1.0, 2.5, 10.0])))
    seconds = {name: s for name, s in seconds.items() if rng.random() < 0.9} | {"other.wav": 3.0}
    counts = count_intersections(reference, estimate, parameters, seconds)
    theirs = official_intersection(reference, estimate, parameters, seconds)
    assert not differences(as_json(counts, rates(counts)), theirs, "intersection")


@settings(max_examples=settings().max_examples // 2)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_count_of_psds_eval_on_thousands_of_random_clips(table, durations, seed: int) -> None:
    # Clips do not know of each other: one call of the judge counts 200 small tables.
    rng = np.random.default_rng(seed)
    reference, estimate = (
        table(rng, 200, most, labels, float(rng.choice([0.05, 0.1])), overlaps=False)
        for most, labels in ((6, "abc"), (8, "abcd"))
    )
    dtc, gtc, cttc = (float(rng.choice([0.1, 0.25, 0.3, 0.5, 2 / 3, 0.7, 1.0])) for _ in range(3))
    seconds = durations(reference, float(rng.choice([1.0, 2.5, 10.0])))
    judge = psds_judge(reference, seconds, dtc, gtc, cttc)
    judge.add_operating_point(official_table(estimate))
    theirs = np.asarray(judge.operating_points["counts"][0])
    ground = prepare(reference, seconds)
    ours = count_detections(ground, join_points(ground, [estimate]), IntersectionParameters(dtc, gtc, cttc))
    assert ours.ground.labels == tuple(judge.class_names[:-1])
    np.testing.assert_array_equal(ours.dense()[0, :, 0], np.diag(theirs)[:-1])
    np.testing.assert_array_equal(ours.dense()[0, :, 1], theirs[:-1, -1])
    np.testing.assert_array_equal(ours.dense()[0, :, 2:], theirs[:-1, :-1] * (1 - np.eye(3)))
    assert theirs[:-1, -1].sum() > 50


def test_without_durations_every_detection_in_the_reference_can_be_false() -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("g", None, None, None)])
    estimate = Events.from_rows([("g", 50.0, 51.0, "a"), ("elsewhere", 0.0, 1.0, "a")])
    counts = count_intersections(reference, estimate)
    assert counts.stacked().sum(axis=0).tolist() == [1, 1, 0, 1]
    assert count_intersections(reference, estimate, None, {"f": 10.0, "g": 10.0}).n_false_positives.sum() == 0


def test_nothing_is_false_in_a_clip_without_a_duration() -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("g", 0.0, 1.0, "a")])
    estimate = Events.from_rows([("f", 0.0, 1.0, "a"), ("g", -1.0, 0.1, "a")])
    seconds = {"f": 10.0}
    counts = count_intersections(reference, estimate, None, seconds)
    assert counts.n_false_positives.sum() == 0
    assert not differences(
        as_json(counts, rates(counts)), official_intersection(reference, estimate, None, seconds), "intersection"
    )


def test_overlaps_are_refused_naming_file_and_row_and_merged_on_request() -> None:
    rows = [
        ("f", 0.0, 2.0, "a"),
        ("f", 1.0, 3.0, "a"),
        ("f", 3.0, 4.0, "a"),
        ("f", 1.0, 3.0, "b"),
        ("g", 0.0, 1.0, "a"),
    ]
    events = Events.from_rows(rows, source="ref.tsv")
    with pytest.raises(SedkitError, match=r"ref.tsv:3: a at 1 s overlaps .* --overlaps merge"):
        prepare(events, None)
    merged, n = merge_overlaps(events)
    assert n == 1
    assert [(merged.onset_s[i], merged.offset_s[i], merged.labels[merged.label[i]]) for i in range(4)] == [
        (0.0, 3.0, "a"),
        (3.0, 4.0, "a"),
        (1.0, 3.0, "b"),
        (0.0, 1.0, "a"),
    ]
    prepare(merged, None)


def test_equal_rows_are_no_overlap() -> None:
    prepare(Events.from_rows([("f", 0.0, 2.0, "a"), ("f", 0.0, 2.0, "a")]), None)


def test_an_event_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(SedkitError, match="expected onset first"):
        prepare(Events.from_rows([("f", 2.0, 1.0, "a")]), None)


def test_refuses_exactly_what_psds_eval_refuses(table, durations) -> None:
    import psds_eval

    agreed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        reference = table(rng, 2, 3, "a")
        if not reference.n_events:
            continue
        seconds = durations(reference)
        try:
            official_intersection(reference, reference, None, seconds)
            refused = False
        except psds_eval.psds.PSDSEvalError:
            refused = True
        if refused:
            with pytest.raises(SedkitError, match="overlaps"):
                count_intersections(reference, reference, None, seconds)
        else:
            count_intersections(reference, reference, None, seconds)
        agreed += refused
    assert 5 < agreed < 55


@pytest.mark.parametrize(("undefined", "macro"), [("official", 1.0), ("zero", 0.5)])
def test_a_class_without_a_true_positive_is_left_out_unless_zero_is_asked_for(undefined, macro) -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("f", 0.0, 1.0, "b")])
    counts = count_intersections(reference, Events.from_rows([("f", 0.0, 1.0, "a")]))
    assert rates(counts, undefined).macro["f1"] == macro
