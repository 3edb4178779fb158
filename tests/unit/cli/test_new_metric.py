"""The example of docs/scoring.md: a metric that one new file brings."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from score_case import DUR, EST, POINTS, Case

from sedkit.evaluation import metrics
from sedkit.evaluation.metrics import base

NAME = "sedkit.evaluation.metrics.presence"


@pytest.fixture
def _example(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    base.all_metrics()
    folder = tmp_path / "new"
    folder.mkdir()
    text = (repository / "docs/scoring.md").read_text(encoding="utf-8")
    (folder / "presence.py").write_text(text.split("```python\n")[1].split("```")[0], encoding="utf-8")
    monkeypatch.setattr(metrics, "__path__", [*metrics.__path__, str(folder)])
    monkeypatch.setattr(base._METRICS, "_entries", dict(base._METRICS._entries))
    yield
    sys.modules.pop(NAME)
    del metrics.presence  # type: ignore[attr-defined]


@pytest.mark.usefixtures("_example")
def test_the_metric_of_the_page_is_scored(case: Case) -> None:
    """By hand: Dog in a, b on both sides; Cat in a, d of the reference and in c, d of the estimate."""
    figures = case.results(*EST, "--metrics", "presence")
    assert list(figures)[2] == "presence"
    block = figures["presence"]
    assert block["parameters"] == {"longer_s": 0.0}
    assert (block["classes"]["Dog"]["f1"], block["classes"]["Cat"]["f1"]) == (1.0, 0.5)
    assert (block["macro"]["f1"], block["micro"]["f1"], block["micro"]["n_true_positives"]) == (0.75, 0.75, 3)
    # Only the Cat of a lasts longer than 1.5 s, and the estimate has none there: no precision.
    block = case.results(*EST, "--metrics", "presence", "--longer", "1.5")["presence"]
    assert (block["macro"]["f1"], block["left_out_of_macro"]) == (1.0, ["Cat"])
    assert case.call(*EST, "--metrics", "presence", "--longer", "x")[0] == 2


@pytest.mark.usefixtures("_example")
def test_it_has_all_that_the_others_have(case: Case) -> None:
    figures = case.results(*POINTS, *DUR, "--threshold", "all", "--baselines", "true", "--bootstrap", "100")
    assert list(figures)[2:8] == [
        *("event_based", "segment_based", "intersection_based", "psds1", "psds2", "presence"),
    ]
    # At 0.1 as above; at 0.5 Dog alone is found (1, and Cat undefined), which leaves 1 as the mean.
    assert (figures["presence"]["threshold"], figures["presence"]["macro"]["f1"]) == (0.5, 1.0)
    # Every class in every clip: half of them right.
    assert figures["baselines"]["all_positive"]["presence"]["macro"]["precision"] == 0.5
    low, high = figures["presence"]["macro"]["interval"]
    assert 0 <= low <= high <= 1
    against = case.results(*EST, "--metrics", "presence", "--against", "@est.tsv")["presence"]["against"]["macro"]
    assert (against["difference"], against["interval"]) == (0.0, [0.0, 0.0])
    status, out, _ = case.call(*EST, "--metrics", "presence")
    assert (status, "presence in clips macro    F1 0.7500" in out) == (0, True)
    status, _, err = case.call(*POINTS, "--metrics", "presence")
    assert (status, "--metrics presence needs --estimate" in err) == (2, True)
