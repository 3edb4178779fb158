from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.judges import official_psds
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.evaluation.psd_roc import psds_of_points


@settings(max_examples=settings().max_examples // 2)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_psds_eval_on_random_tables(table, durations, seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = table(rng, 15, 5, "abc", overlaps=False)
    if len(set(reference.label.tolist())) < 2:
        return
    points = [table(rng, 16, most, "abcd", overlaps=False) for most in (2, 4, 7)]
    # Clips of minutes keep the false positive rates below the end of the curve.
    seconds = durations(reference, float(rng.choice([100.0, 500.0])))
    parameters = PsdsParameters(
        dtc=float(rng.choice([0.1, 0.5, 0.7])),
        gtc=float(rng.choice([0.1, 0.5, 0.7])),
        cttc=0.3,
        alpha_ct=float(rng.choice([0.0, 0.5, 1.0])),
        alpha_st=float(rng.choice([0.0, 0.5, 1.0])),
    )
    ours, _ = psds_of_points(reference, points, seconds, parameters)
    assert ours == pytest.approx(official_psds(reference, points, seconds, parameters), abs=1e-9)


def test_perfect_detections_score_one_and_none_scores_zero() -> None:
    reference = Events.from_rows([("f", 0.0, 2.0, "a"), ("f", 1.0, 3.0, "b")])
    seconds = {"f": 10.0}
    for parameters in (PSDS1, PSDS2):
        assert psds_of_points(reference, [reference], seconds, parameters) == (1.0, {"a": 1.0, "b": 1.0})
        assert psds_of_points(reference, [reference.take(slice(0, 0))], seconds, parameters)[0] == 0.0


def test_the_old_average_of_cross_triggers_counts_the_class_itself() -> None:
    reference = Events.from_rows([("f", 0.0, 200.0, "a"), ("f", 300.0, 500.0, "b")])
    estimate = Events.from_rows([("f", 0.0, 200.0, "a"), ("f", 300.0, 400.0, "a"), ("f", 300.0, 500.0, "b")])
    seconds = {"f": 36000.0}
    new = psds_of_points(reference, [estimate], seconds, replace(PSDS2, alpha_st=0.0))[0]
    old = psds_of_points(reference, [estimate], seconds, replace(PSDS2, alpha_st=0.0, cross_triggers="0.3.0"))[0]
    # One cross trigger of a on b: 18 per hour of b; one false positive in ten hours: 0.1 per hour.
    assert new == pytest.approx(1 - (0.1 + 0.5 * 18 / 1) / 100 / 2)
    assert old == pytest.approx(1 - (0.1 + 0.5 * 18 / 2) / 100 / 2)


@pytest.mark.parametrize(
    ("reference", "seconds", "message"),
    [
        (Events.from_rows([("f", None, None, None)]), {"f": 1.0}, "holds no event"),
        (Events.from_rows([("f", 0.0, 1.0, "a")]), {}, "no durations"),
    ],
)
def test_inputs_without_which_psds_is_not_defined(reference, seconds, message) -> None:
    with pytest.raises(SedkitError, match=message):
        psds_of_points(reference, [], seconds, PSDS1)
