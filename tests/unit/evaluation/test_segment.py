from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import as_json, rates
from sedkit.evaluation.inputs import align
from sedkit.evaluation.judges import differences, official_segment
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.evaluation.parameters import SegmentParameters


def figures(reference: Events, estimate: Events, segment_s: float = 1.0) -> dict:
    counts = count_segments(*align(reference, estimate), SegmentParameters(segment_s))
    return as_json(counts, rates(counts))


@given(seed=st.integers(0, 2**32 - 1))
def test_equals_sed_eval_on_random_tables(table, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        reference = table(rng, 3, int(rng.integers(1, 5)), "abc")
        estimate = table(rng, 4, int(rng.integers(0, 6)), "abcd")
        if not reference.n_events + estimate.n_events:
            continue
        segment_s = float(rng.choice([0.25, 0.5, 1.0]))
        theirs = official_segment(reference, estimate, SegmentParameters(segment_s))
        assert not differences(figures(reference, estimate, segment_s), theirs, "segment")


def test_a_negative_onset_counts_from_the_end_as_a_slice_does() -> None:
    reference = Events.from_rows([("f", 0.0, 4.0, "a")])
    estimate = Events.from_rows([("f", -0.5, 2.0, "a"), ("f", 1.0, 3.0, "a")])
    assert not differences(figures(reference, estimate), official_segment(reference, estimate), "segment")


@pytest.mark.parametrize(("undefined", "macro"), [("official", 1.0), ("zero", 0.5)])
def test_a_class_never_predicted_is_left_out_unless_zero_is_asked_for(undefined, macro) -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("f", 0.0, 1.0, "b")])
    counts = count_segments(*align(reference, Events.from_rows([("f", 0.0, 1.0, "a")])))
    assert rates(counts, undefined).macro["f1"] == macro


def test_milliseconds_taken_for_seconds_end_with_a_message() -> None:
    wrong = Events.from_rows([("f", 0.0, 1e9, "a")])
    with pytest.raises(SedkitError, match="expected seconds"):
        count_segments(wrong, wrong)
