"""Whether one system is better than another, over folds and seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from results_files import results, save
from scipy.stats import ttest_rel

from sedkit.cli.main import main
from sedkit.core.errors import UsageError
from sedkit.leaderboard.contrasts import Contrast, contrasts, parse_contrast
from sedkit.leaderboard.runs import ScoredRun, load_runs

#: System, level, fold, seed -> event F1.
FIGURES = {
    ("a", 0, 1, 0): 0.30,
    ("a", 0, 1, 1): 0.34,
    ("a", 0, 2, 0): 0.29,
    ("b", 0, 1, 0): 0.20,
    ("b", 0, 1, 1): 0.21,
    ("b", 0, 2, 0): 0.22,
    ("b", 0, 2, 1): 0.90,
    ("a", 10, 1, 0): 0.5,
    ("b", 10, 1, 0): 0.6,
}


@pytest.fixture
def runs(tmp_path: Path) -> list[ScoredRun]:
    paths = []
    for (system, snr_db, fold, seed), f1 in FIGURES.items():
        run = {"recipe": "mixtures", "system": system, "snr_db": float(snr_db), "fold": str(fold), "seed": seed}
        content = results(None, f1, run=run)
        paths.append(save(tmp_path / f"{system}{snr_db}{fold}{seed}.json", content))
    return load_runs(paths)


def test_pairs_are_those_that_both_have(runs: list[ScoredRun]) -> None:
    at_0, at_10 = [one for one in contrasts(["a-b"], runs) if one.metric == "event_f1"]
    first, second = [0.30, 0.34, 0.29], [0.20, 0.21, 0.22]
    assert at_0.where == "0 dB"
    assert at_0.differences == pytest.approx([10.0, 13.0, 7.0])
    judge = ttest_rel(first, second).confidence_interval(0.95)
    assert at_0.interval == pytest.approx((100 * judge.low, 100 * judge.high))
    assert at_0.verdict == "holds"
    assert (at_10.where, at_10.differences) == ("10 dB", pytest.approx([-10.0]))
    assert (at_10.interval, at_10.verdict) == (None, "not decided"), "one pair decides nothing"


def test_networks_of_a_training_are_compared(tmp_path: Path) -> None:
    paths = []
    for network, figures in (("teacher", [0.5, 0.4]), ("student", [0.3, 0.1])):
        for seed, f1 in enumerate(figures):
            run = {"recipe": "mixtures", "system": "a", "network": network, "snr_db": 0.0, "seed": seed}
            paths.append(save(tmp_path / f"{network}{seed}.json", results(None, f1, run=run)))
    told = contrasts(["a@teacher-a@student", "a@teacher@0-a@student@0"], load_runs(paths))
    assert [one.differences for one in told if one.metric == "event_f1"] == [pytest.approx([20.0, 30.0])] * 2


def test_the_other_way_round_it_is_reversed_and_for_errors_less_is_better(runs: list[ScoredRun]) -> None:
    (reversed_, *_) = [one for one in contrasts(["b-a"], runs) if one.metric == "event_f1"]
    assert reversed_.verdict == "reversed"
    errors = Contrast("a-b", "0 dB", "event_er", (0.1, 0.13, 0.07))
    assert errors.mean > 0 and errors.verdict == "reversed"


def test_levels_are_compared(runs: list[ScoredRun]) -> None:
    (one,) = [one for one in contrasts(["a@0-b@0-a@10+b@10"], runs) if one.metric == "event_f1"]
    assert one.differences == pytest.approx([20.0])
    assert one.where == ""


@pytest.mark.parametrize("text", ["a", "a+b", "a-b-c", "a - b", "a-b@", "-", "a@0db-b"])
def test_what_is_no_contrast_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected systems with signs that cancel"):
        parse_contrast(text)


def test_a_system_without_results_is_said(runs: list[ScoredRun], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "sedkit")
    assert contrasts(["aa-b"], runs) == []
    assert "contrast aa-b: there are no results of 'aa'" in caplog.text


def test_the_table_has_a_row(runs: list[ScoredRun], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.json"
    assert main(["benchmark", *(str(run.path) for run in runs), "--contrast", "a-b", "--json", str(out)]) == 0
    text = capsys.readouterr().out
    assert "== paired differences over folds and seeds" in text
    assert any(line.split()[:4] == ["a-b", "0", "dB", "event"] and "holds" in line for line in text.splitlines())
    assert json.loads(out.read_text())["contrasts"][0]["verdict"] == "holds"
