from __future__ import annotations

import importlib

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events, tags_of
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import OperatingPoints, Options, Output, Truth

METRICS = ("event", "segment", "intersection", "psds1", "psds2")


@pytest.fixture
def case(table, durations) -> tuple[Truth, Output]:
    rng = np.random.default_rng(11)
    reference = table(rng, 8, 4, "abc", overlaps=False)
    estimate, other = (table(rng, 8, 4, "abc", overlaps=False) for _ in range(2))
    truth = Truth(reference, tags_of(reference), durations(reference, 100.0))
    return truth, Output(estimate, OperatingPoints("points", (0.3, 0.7), (other, estimate)))


def test_the_judges_agree(case) -> None:
    results = evaluate(*case, METRICS, judged=case)
    assert results["event_based"]["official"]["tool"] == "sed_eval"
    assert results["psds2"]["official"]["value"] == pytest.approx(results["psds2"]["value"], abs=1e-9)
    assert {"sed_eval", "psds_eval"} <= set(results["versions"])
    assert evaluate(*case, METRICS, Options(undefined="zero"), judged=case)["undefined"] == "zero"


@pytest.mark.parametrize("metric", METRICS)
def test_a_difference_ends_the_call_loudly(case, monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    truth, output = case
    wrong = {"event": "count_events", "segment": "count_segments", "intersection": "count_intersections"}
    place = f"metrics.{metric}" if metric in wrong else "psd_roc"
    module = importlib.import_module(f"sedkit.evaluation.{place}")
    if metric in wrong:
        right = getattr(module, wrong[metric])

        def broken(*args, **kwargs):
            counts = right(*args, **kwargs)
            counts.n_true_positives[0] += 1
            return counts

        monkeypatch.setattr(module, wrong[metric], broken)
    else:
        value = module.psds_value
        monkeypatch.setattr(module, "psds_value", lambda *a: (value(*a)[0] + 1e-4, value(*a)[1]))
    with pytest.raises(SedkitError, match="official tools disagree"):
        evaluate(truth, output, (metric,), judged=(truth, output))


def test_what_has_no_judge_is_not_compared(case) -> None:
    truth, output = case
    old = evaluate(
        truth, output, ("psds2",), Options({"psds_variant": "operating_points_0.3.0"}), judged=(truth, output)
    )
    assert old["psds2"]["official"] is None
    one = Events.from_rows([("f", 0.0, 1.0, "a")])
    alone = Truth(one, tags_of(one), {"f": 1000.0})
    output = Output(one, OperatingPoints("p", (0.5,), (one,)))
    results = evaluate(alone, output, ("psds1",), judged=(alone, output))
    assert (results["psds1"]["value"], results["psds1"]["official"]) == (1.0, None)
