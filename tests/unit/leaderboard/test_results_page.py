"""Rows of a results page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from leaderboard_runs import scored
from results_files import results, save

from sedkit.leaderboard.results_page import BEGIN, END, update_rows
from sedkit.leaderboard.runs import load_runs
from sedkit.leaderboard.systems import group_runs


def test_rows_of_a_results_page_are_renewed_one_by_one(tmp_path: Path) -> None:
    page = tmp_path / "RESULTS.md"
    page.write_text("# Results\n\nWords before.\n")
    one = scored(tmp_path / "a", 0, 0.20)
    other = scored(tmp_path / "b", 0, 0.30, system="cnn5_weak")
    update_rows(page, group_runs(load_runs([one])), "a | b")
    update_rows(page, group_runs(load_runs([other])), "second")
    page.write_text(page.read_text() + "\nWords after.\n")
    update_rows(page, group_runs(load_runs([scored(tmp_path / "c", 0, 0.25)])), "third | x")
    text = page.read_text()
    assert text.startswith("# Results\n\nWords before.\n")
    assert text.endswith("\nWords after.\n")
    assert text.count(BEGIN) == text.count(END) == 1
    rows = [line for line in text.splitlines() if line.startswith("| cnn")]
    assert [row.split(" | ")[0] for row in rows] == ["| cnn5_weak", "| cnn9_weak"]
    assert "30.00" in rows[0]
    assert "25.00" in rows[1]
    assert "20.00" not in text
    before = text
    update_rows(page, group_runs(load_runs([tmp_path / "c"])), "third | x")
    assert page.read_text() == before
    longer = scored(tmp_path / "d", 0, 0.35)
    save(longer / "environment.json", {"parameters": 4691274, "budget": "published"})
    update_rows(page, group_runs(load_runs([longer])), "fourth")
    assert sum(line.startswith("| cnn9_weak") for line in page.read_text().splitlines()) == 2, "another budget"


def test_rows_of_results_without_an_experiment_tell_what_is_known(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    save(Path("theirs/out.json"), results() | {"versions": {"sedkit": "0.1.0"}})
    save(Path("ours/out.json"), results(None, run={"system": "crnn", "seed": 3, "budget": "quick"}))
    page = tmp_path / "RESULTS.md"
    update_rows(page, group_runs(load_runs(["theirs/out.json", "ours/out.json"])), "sedkit benchmark …")
    text = page.read_text()
    assert "unknown" not in text
    ours, theirs = (
        [cell.strip() for cell in line.split(" | ")] for line in text.splitlines() if "sedkit benchmark …" in line
    )
    assert theirs[:3] == ["| out", "file theirs/out.json", "validation_desed"]
    assert theirs[4:] == ["-", "-", "-", "scored with sedkit 0.1.0", "`sedkit benchmark …` |"]
    assert ours[:3] == ["| crnn", "file ours/out.json", "not official: gt.tsv"]
    assert ours[4:8] == ["seed 3", "-", "quick", "-"]
    assert "`-`: the results do not tell" in text
    before = text
    update_rows(page, group_runs(load_runs(["theirs/out.json"])), "sedkit benchmark …")
    assert page.read_text() == before
    whole = tmp_path / "whole.md"
    update_rows(whole, group_runs(load_runs([scored(tmp_path / "exp", 0, 0.2)])), "x")
    assert "do not tell" not in whole.read_text()
