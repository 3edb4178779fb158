"""What is compared: experiments of which nothing but results is left, and the tables of a comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from results_files import results, save

from sedkit.core.files import write_yaml
from sedkit.leaderboard.runs import load_runs
from sedkit.leaderboard.systems import group_runs
from sedkit.leaderboard.table import Comparison, Table, benchmark


def scored(path: Path, seed: int, f1: float, known_as: str | None = "validation_2019", **run: Any) -> Path:
    """An experiment of which nothing but its results is left."""
    described = {"recipe": "dcase2019_task4", "system": "cnn9_weak", "seed": seed, "trained_on": "split"} | run
    save(path / "results" / "validation.json", results(known_as, f1, run=described))
    save(path / "environment.json", {"parameters": 4691274, "commit": "0123456789abcdef", "budget": "quick"})
    write_yaml(path / "config.yaml", {"recipe": "dcase2019_task4", "system": "cnn9_weak"})
    return path


def report_of(*paths: Path) -> Comparison:
    return benchmark(group_runs(load_runs(paths)))


def table(report: Comparison, metric: str, variant: str | None = None) -> Table:
    return next(t for t in report.tables if (t.quantity.metric, t.quantity.variant) == (metric, variant))
