"""docs/reliability.md is made of what the tests of faults count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.full import reliability


def test_records_become_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(reliability.RECORDS, str(tmp_path / "records.jsonl"))
    reliability.record("kills", "all stages", {"kills": 5, "train": 3, "in a write": 1, "score": 2, "seed": 7})
    for _ in range(2):
        reliability.record_fault("a full disk", reliability.__file__)
    for name, read in (("weak table", 30), ("yaml", 4)):
        counts = {"inputs": 50, "header": 40, "read": read, "refused": 50 - read, "branches": "9 of 10", "seed": 7}
        reliability.record("inputs", name, counts)
    records = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    lines = reliability.page(records, "abc1234").splitlines()
    assert "| train | score | in a write | in a checkpoint or HDF5 file | all | seed |" in lines
    assert "|--:|--:|--:|--:|--:|--:|" in lines
    assert "| 3 | 2 | 1 | 0 | 5 | 7 |" in lines
    assert "| a full disk | 2 | `tests/full/reliability.py` |" in lines
    assert "| weak table | 50 | 40 | 30 | 20 | 9 of 10 | 7 |" in lines
    assert "| all | 100 | 80 | 34 | 66 | | |" in lines
    assert any("at commit abc1234" in line for line in lines)


def test_nothing_is_kept_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(reliability.RECORDS, raising=False)
    monkeypatch.chdir(tmp_path)
    reliability.record("inputs", "yaml", {"inputs": 1})
    assert list(tmp_path.iterdir()) == []
