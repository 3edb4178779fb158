"""The published wrong figure of the recipe esc50_desed, the windows behind it, and its controls."""

from __future__ import annotations

import json
import lzma
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from sedkit.dataio.tables import read_strong

SCRIPT = Path(__file__).resolve().parents[2] / "recipes/esc50_desed/first_column.py"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    return runpy.run_path(str(SCRIPT))


def call(*words: object) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(SCRIPT.parents[2])}
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], env=env, capture_output=True, text=True)


def write(path: Path, rows: list[tuple[str, float | str, float | str, str]]) -> Path:
    """A table of events; an empty class lists the clip alone."""
    lines = ["\t".join(map(str, row)) for row in rows]
    path.write_text("\n".join(["filename\tonset\toffset\tevent_label", *lines]) + "\n")
    return path


@pytest.fixture
def strong(tmp_path: Path) -> Path:
    """Events whose windows are, by hand: a at 0 and 1 s (cat), a at 0.5 s and a at 4 s (both, by the inverted rule)."""
    return write(
        tmp_path / "strong.tsv",
        [
            ("b.wav", 0.0, 0.5, "Dog"),  # the last event once sorted: dropped
            ("a.wav", 0.0, 1.5, "Cat"),  # two windows; the next event begins within a second: no second class (wrong)
            ("a.wav", 0.5, 0.9, "Dog"),  # one window; the next one begins later: both get both (wrong)
            ("a.wav", 4.0, 4.2, "Cat"),
            ("a.wav", 0.1, 9.0, "Speech"),  # no class of ours
        ],
    )


def public(shared: Path, tmp_path: Path) -> Path:
    table = tmp_path / "public.tsv"
    table.write_bytes(lzma.decompress((shared / "vectors/metadata_true/public.tsv.xz").read_bytes()))
    return table


def test_windows_keep_the_inverted_rule_and_drop_the_last_event(strong: Path, script: dict[str, Any]) -> None:
    windows = script["published_windows"](read_strong(strong))
    assert [(w.filename, w.onset_s, w.offset_s, sorted(w.labels)) for w in windows] == [
        ("a.wav", 0.0, 1.0, ["Cat"]),
        ("a.wav", 1.0, 2.0, ["Cat"]),
        ("a.wav", 0.5, 1.5, ["Cat", "Dog"]),
        ("a.wav", 4.0, 5.0, ["Cat", "Dog"]),
    ]
    assert [w.name for w in windows][:3] == ["a_0_1000.wav", "a_1000_2000.wav", "a_500_1500.wav"]


def test_windows_of_the_public_set_give_the_published_counts(
    shared: Path, tmp_path: Path, script: dict[str, Any]
) -> None:
    events = read_strong(public(shared, tmp_path))
    ours = events.keep_labels(script["LABELS"])
    assert (ours.n_events, len(set(ours.clip.tolist()))) == (1082, 402)
    windows = script["published_windows"](events)
    assert len(windows) == 3057
    assert round(100 * np.mean([len(w.labels) > 1 for w in windows]), 1) == 1.8
    assert all(w.labels for w in windows)


def test_the_table_has_each_window_once_and_is_not_written_twice(tmp_path: Path) -> None:
    strong = write(
        tmp_path / "strong.tsv",
        [("a.wav", 0.25, 0.9, "Cat"), ("a.wav", 0.25, 1.5, "Dog"), ("c.wav", 0.0, 1.0, "Dog")],
    )
    out = tmp_path / "windows.tsv"
    assert call("windows", strong, "--out", out).returncode == 0
    assert out.read_text() == "filename\tonset\toffset\na.wav\t0.250\t1.250\na.wav\t1.250\t2.250\n"
    again = call("windows", strong, "--out", out)
    assert again.returncode == 0 and "up to date" in again.stderr
    assert "up to date" not in call("windows", strong, "--out", out, "--force", "true").stderr


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_it_is_scikit_learns_macro_f1_of_two_different_columns(pairs) -> None:
    first_column_f1 = runpy.run_path(str(SCRIPT))["first_column_f1"]
    predicted, wanted = np.array(pairs, dtype=bool).T
    assert first_column_f1(predicted, wanted) == pytest.approx(
        f1_score(wanted, predicted, average="macro", zero_division=0), abs=1e-12
    )


def test_dogs_are_held_against_cats_and_the_controls_stand_beside(strong: Path, tmp_path: Path) -> None:
    estimate = write(
        tmp_path / "events.tsv",
        [("a_0_1000.wav", 0.0, 1.0, "Dog"), ("a_500_1500.wav", "", "", ""), ("a_4000_5000.wav", 0.0, 0.5, "Cat")],
    )
    done = call("figures", strong, "--estimate", estimate, estimate, "--json", tmp_path / "1.json", tmp_path / "2.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "1.json").read_text())
    # Cats are in all four windows, a predicted dog in one. Absence: 0 of 3 + 0, presence: 1 of 1 + 4.
    assert result["value"] == pytest.approx((0 + 2 * 1 / 5) / 2)
    # No event: absence 0 of 4, presence 0 of 4. Every class: presence 4 of 4 + 4, and no absence on either side.
    assert result["controls"] == pytest.approx({"all_negative": 0.0, "all_positive": 1.0})
    assert (result["predicted_class"], result["reference_class"]) == ("Dog", "Cat")
    assert (result["n_windows"], result["n_reference"], result["n_estimate"]) == (4, 4, 1)
    assert result["estimate"]["path"] == str(estimate)
    assert done.stdout.count("20.0 (4 windows, predicted Dog against Cat); all negative 0.0") == 2
    assert json.loads((tmp_path / "2.json").read_text()) == result


def test_an_output_without_events_scores_almost_the_published_figure(
    shared: Path, tmp_path: Path, script: dict[str, Any]
) -> None:
    table = public(shared, tmp_path)
    windows = script["published_windows"](read_strong(table))
    perfect = write(tmp_path / "perfect.tsv", [(w.name, 0.0, 1.0, label) for w in windows for label in w.labels])
    done = call("figures", table, "--estimate", perfect, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out.json").read_text())
    assert round(result["controls"]["all_negative"], 3) == 0.468
    # A perfect output is not rewarded: its dog column is held against cats.
    assert result["value"] < 0.5


def test_what_cannot_be_compared_is_refused_in_a_line(strong: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "events.tsv", [("b.wav", 0.0, 1.0, "Dog")])
    empty = write(tmp_path / "empty.tsv", [])
    for words, message, status in (
        (("figures", strong, "--estimate", other), "events.tsv: 1 clips are no windows of", 1),
        (("figures", empty, "--estimate", other), "empty.tsv: has no window", 1),
        (("figures", strong, "--estimate", other, "--json", "a", "b"), "2 files for --json, 1 outputs", 2),
        (("figures", strong), "--estimate", 2),
        (("figure", strong), "invalid choice: 'figure'", 2),
        (("windows", strong, "--outt", "x"), "--out", 2),
    ):
        done = call(*words)
        assert (done.returncode, len(done.stderr.splitlines())) == (status, 1), done.stderr
        assert done.stderr.startswith("first_column.py: error: ") and message in done.stderr
