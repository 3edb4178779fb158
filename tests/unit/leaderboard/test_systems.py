"""Runs that differ in seed or fold alone are one system; whatever else differs makes another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from leaderboard_runs import report_of, scored, table
from results_files import save

from sedkit.core.errors import UsageError
from sedkit.leaderboard.runs import load_runs
from sedkit.leaderboard.systems import group_runs


def test_seeds_give_a_mean_and_a_sample_deviation(tmp_path: Path) -> None:
    paths = [scored(tmp_path / f"seed{i}", i, f1) for i, f1 in enumerate((0.20, 0.22, 0.27))]
    report = report_of(*paths)
    mine = next(r for r in table(report, "event_f1").rows if r.ours)
    assert mine.text == "23.00"
    assert mine.spread == "3.61"
    assert mine.interval is None, "an interval is about clips: runs are never pooled"
    assert mine.runs == 3
    assert mine.difference == pytest.approx(23.0 - 23.7)
    assert mine.ratio == pytest.approx(4691274 / 214356)
    assert mine.notes == ("seeds 0, 1, 2",)
    single = report_of(paths[0])
    assert next(r for r in table(single, "event_f1").rows if r.ours).interval is not None


def test_a_run_counts_once(tmp_path: Path) -> None:
    path = scored(tmp_path / "seed0", 0, 0.2)
    with pytest.raises(UsageError, match="give each run once"):
        report_of(path, path / "results" / "validation.json")


def test_passes_of_one_seed_are_two_systems(tmp_path: Path) -> None:
    """`train --pass` makes a run beside the first one's of the same system and seed: not a repetition of it."""
    runs = load_runs(
        [scored(tmp_path / str(p), 0, 0.3, **{"pass": p}) / "results" / "validation.json" for p in (None, "self")]
    )
    assert [group.name for group in group_runs(runs)] == ["cnn9_weak", "cnn9_weak, pass self"]


def test_signal_to_noise_ratios_are_systems_of_their_own(tmp_path: Path) -> None:
    paths = [scored(tmp_path / f"snr{s}", 0, 0.2, None, snr_db=s) for s in (0, 10)]
    report = report_of(*paths)
    rows = next(t for t in report.apart[0].tables if t.quantity.metric == "event_f1").rows
    assert [r.system for r in rows] == ["cnn9_weak, 0 dB", "cnn9_weak, 10 dB"]


def test_other_rules_are_rows_of_their_own(tmp_path: Path) -> None:
    path = scored(tmp_path / "seed0", 0, 0.2)
    content = json.loads((path / "results" / "validation.json").read_text())
    save(path / "results" / "validation.published.json", content)
    rows = [r.system for r in table(report_of(path), "event_f1").rows if r.ours]
    assert sorted(rows) == ["cnn9_weak", "cnn9_weak, published post-processing"]


def test_folds_are_averaged(tmp_path: Path) -> None:
    paths = [scored(tmp_path / f"fold{k}", 0, 0.2 + k / 100, None, fold=k) for k in (1, 2, 3, 4)]
    report = report_of(*paths)
    assert len(report.apart) == 1
    row = next(t for t in report.apart[0].tables if t.quantity.metric == "event_f1").rows[0]
    assert row.text == "22.50"
    assert row.notes == ("seed 0", "folds 1, 2, 3, 4")
