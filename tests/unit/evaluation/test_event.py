from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import as_json, rates
from sedkit.evaluation.inputs import align
from sedkit.evaluation.judges import differences, official_event
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.parameters import EventParameters


def figures(reference: Events, estimate: Events, **options) -> dict:
    counts = count_events(*align(reference, estimate), EventParameters(**options))
    return as_json(counts, rates(counts))


@given(seed=st.integers(0, 2**32 - 1))
def test_equals_sed_eval_on_random_tables(table, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(10):
        step = float(rng.choice([0.05, 0.1, 0.2]))
        reference = table(rng, 3, int(rng.integers(1, 6)), "abc", step)
        estimate = table(rng, 4, int(rng.integers(0, 7)), "abcd", step)
        if not reference.n_events + estimate.n_events:
            continue
        options = {"collar_s": float(rng.choice([0.1, 0.2, 0.5])), "offset_fraction": float(rng.choice([0.2, 0.5]))}
        theirs = official_event(reference, estimate, EventParameters(**options))
        assert not differences(figures(reference, estimate, **options), theirs, "event")


def test_crowded_clips_take_the_maximum_matching_and_the_same_substitutions() -> None:
    # Many near-equal events of two classes: every clip leaves a choice, and the choice decides the substitutions.
    for seed in range(40):
        rng = np.random.default_rng(seed)
        reference, estimate = (
            Events.from_rows(
                [(f"{c}", t, t + 1, str(rng.choice(["a", "b"]))) for c in "xy" for t in rng.integers(0, 8, 9) * 0.1]
            )
            for _ in range(2)
        )
        assert not differences(figures(reference, estimate), official_event(reference, estimate), "event")


def test_a_matching_that_greedy_pairing_would_miss() -> None:
    reference = Events.from_rows([("f", 0.0, 2.0, "a"), ("f", 0.2, 2.0, "a")])
    estimate = Events.from_rows([("f", 0.1, 2.0, "a"), ("f", -0.2, 2.0, "a")])
    assert figures(reference, estimate)["macro"]["n_true_positives"] == 2


def test_comparisons_are_exact_float64() -> None:
    # Both differ by 0.2 s in decimals: 0.8 - 0.6 is 0.20000000000000007 in float64, 1.2 - 1.0 is 0.19999999999999996.
    outside = figures(Events.from_rows([("f", 0.6, 3.0, "a")]), Events.from_rows([("f", 0.8, 3.0, "a")]))
    inside = figures(Events.from_rows([("f", 1.0, 3.0, "a")]), Events.from_rows([("f", 1.2, 3.0, "a")]))
    assert (outside["macro"]["f1"], inside["macro"]["f1"]) == (0.0, 1.0)


@pytest.mark.parametrize(("undefined", "macro"), [("official", 1.0), ("zero", 0.5)])
def test_a_class_outside_the_reference_is_left_out_of_macro_unless_zero_is_asked_for(undefined, macro) -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a")])
    estimate = Events.from_rows([("f", 0.0, 1.0, "a"), ("f", 2.0, 3.0, "b")])
    counts = count_events(*align(reference, estimate))
    assert rates(counts, undefined).macro["f1"] == macro
    assert rates(counts, undefined).micro["f1"] == pytest.approx(2 / 3)


def test_a_class_never_predicted_scores_zero() -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("f", 0.0, 1.0, "b")])
    assert figures(reference, Events.from_rows([("f", 0.0, 1.0, "a")]))["macro"]["f1"] == 0.5


def test_clips_without_events_carry_false_positives() -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("empty", None, None, None)])
    estimate = Events.from_rows([("f", 0.0, 1.0, "a"), ("empty", 0.0, 1.0, "a"), ("elsewhere", 0.0, 1.0, "a")])
    assert figures(reference, estimate)["micro"]["n_estimate"] == 2
