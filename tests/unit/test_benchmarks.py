"""`python -m benchmarks`: what it prints is not tested here, only its command line and the JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import __main__ as benchmarks
from benchmarks._measure import Form, Report, compared, in_turn
from sedkit.core.errors import UsageError
from sedkit.features.sources import StoredFeatures


@pytest.mark.slow
def test_two_benchmarks_in_a_call_and_one_json(repository: Path, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "speed.json"
    call = [sys.executable, "-m", "benchmarks", "decoding", "training", "--quick", "--json", str(out)]
    done = subprocess.run(call, cwd=repository, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert list(found) == [key for name in ("decoding", "training") for key in benchmarks.known()[name][1]]
    assert {"decoding", "training"} < set(found)
    for row in found.values():
        assert list(row) == ["ours", "peer", "ratio", "spread", "equal"]
        assert row["equal"] is True
        assert min(row["ours"], row["peer"], row["ratio"]) > 0 and row["spread"] >= 0
    assert [path.name for path in out.parent.iterdir()] == ["speed.json"]


def test_a_result_that_differs_is_status_1_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    features = StoredFeatures.features
    monkeypatch.setattr(StoredFeatures, "features", lambda self, windows: features(self, windows) + 1)
    assert benchmarks.main(["storage", "--quick", "--json", str(tmp_path / "speed.json")]) == 1
    assert json.loads((tmp_path / "speed.json").read_text())["storage"]["equal"] is False


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["storage", "featuers"], "unknown benchmark 'featuers' .did you mean \"features\""),
        (["storage", "--quik"], 'unknown option --quik .did you mean "--quick"'),
        ([], "no benchmark is named, expected some of curves, decoding"),
        (["storage", "--runs", "0"], "expected a whole number from 2"),
        (["storage", "--json", "."], "is a folder, expected a place for a file"),
    ],
)
def test_bad_use(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        benchmarks.main(words)


def test_the_first_comparison_has_the_benchmarks_name() -> None:
    for name, (title, comparisons) in benchmarks.known().items():
        assert title.endswith(".") and next(iter(comparisons)) == name
        assert all(key.startswith(f"{name}.") for key in list(comparisons)[1:])


def test_ratios_are_taken_within_a_run() -> None:
    seconds = {"a": np.array([1.0, 2.0, 4.0]), "b": np.array([2.0, 8.0, 4.0])}
    (row,) = compared(Report("work", seconds, {"x": True}), {"x": ("a", "b", None)}).values()
    # Ratios 2, 4 and 1: median 2, quartiles 1.5 and 3.
    assert row == {"ours": 2.0, "peer": 4.0, "ratio": 2.0, "spread": 0.75, "equal": True}


def test_contestants_work_in_turn_after_a_run_that_warms_up() -> None:
    done: list[tuple[int, str]] = []
    at = [0]
    seconds, results = in_turn(
        Form(quick=True, runs=2),
        {name: lambda name=name: done.append((at[0], name)) or name for name in "ab"},
        before=lambda run: at.__setitem__(0, run),
    )
    assert done == [(run, name) for run in range(3) for name in "ab"]
    assert results == {"a": "a", "b": "b"}
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_loudness_of_the_recommendations_sine_is_that_of_the_recommendation() -> None:
    from benchmarks.peers.scaper_soundscape import loudness

    # ITU-R BS.1770-4: a sine of 997 Hz at full scale in one channel reads -3.01 LKFS; a gate leaves silence out.
    for rate in (44100, 48000):
        sine = np.sin(2 * np.pi * 997 * np.arange(5 * rate) / rate)
        assert loudness(sine, rate) == pytest.approx(-3.01, abs=0.01)
        assert loudness(np.concatenate([sine, np.zeros(5 * rate)]), rate) == pytest.approx(-3.01, abs=0.2)
        assert loudness(0.1 * sine, rate) == pytest.approx(-23.01, abs=0.01)
