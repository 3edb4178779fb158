"""The comparison as text, Markdown, CSV and JSON, and the command that writes them."""

from __future__ import annotations

import csv
import itertools
import json
import re
from pathlib import Path

import pytest
from leaderboard_runs import report_of, scored
from results_files import results, save

from sedkit.cli.main import main
from sedkit.leaderboard.show import as_csv, as_json, as_markdown


def test_all_forms_hold_the_same_figures(tmp_path: Path) -> None:
    report = report_of(save(tmp_path / "teacher.json", results()))
    rows = list(csv.DictReader(as_csv(report).splitlines()))
    assert len(rows) == sum(len(t.rows) for t in (*report.tables, *report.other_variants))
    mine = [r for r in rows if r["ours"] == "true"]
    assert [r["value"] for r in mine] == ["42.14", "66.17", "0.3535", "0.5483"]
    plain = json.loads(json.dumps(as_json(report)))
    assert [t["metric"] for t in plain["compared"]] == [t.quantity.metric for t in report.tables]
    markdown = as_markdown(report)
    assert "| 7= of 11 | **teacher** | 42.14 |" in markdown
    assert "Rank among 11 systems, this one and each published one by its best figure" in markdown
    lines = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in markdown.splitlines()]
    tables = [list(rows) for filled, rows in itertools.groupby(lines, key=bool) if filled]
    assert len(tables) == len(report.tables) + 1, "and one of other variants"
    for header, rule, *body in tables:
        assert {len(row) for row in (header, rule, *body)} == {len(header)}
        assert set(rule) <= {"---", "---:"}
    assert sum(len(body) for _, _, *body in tables[:-1]) == sum(len(t.rows) for t in report.tables)


def test_markdown_names_the_source_of_every_published_figure(tmp_path: Path) -> None:
    content = results() | {"run": {"recipe": "dcase2021_task4", "system": "a | b\nc"}}
    report = report_of(save(tmp_path / "r.json", content))
    markdown = as_markdown(report)
    assert "**a \\| b c**" in markdown
    text, _, below = markdown.partition("\n## Sources\n\n")
    listed = dict(re.fullmatch(r"- \[(\d+)\] (.+)", line).groups() for line in below.splitlines())
    assert list(listed) == [str(n) for n in range(1, len(listed) + 1)]
    tables = (*report.tables, *report.other_variants, *(t for found in report.published.values() for t in found))
    for row in (row for t in tables for row in t.rows if not row.ours):
        line = next(entry for entry in listed.values() if entry.startswith(row.source))
        assert row.scorer in line
    published = next(line for line in text.splitlines() if "Baseline 2022 AST late fusion (teacher) | 37.16" in line)
    number = re.search(r"\[(\d+)\] \|$", published)[1]
    assert "dcase2022_task4_baseline" in listed[number]
    mine = next(line for line in text.splitlines() if "| 42.14 |" in line)
    assert mine.endswith("|  |"), "ours has no source"


def test_the_command_writes_what_it_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scored(tmp_path / "seed0", 0, 0.237)
    out = {name: tmp_path / f"b.{name}" for name in ("markdown", "csv", "json")}
    options = [word for name, file in out.items() for word in (f"--{name}", str(file))]
    page = tmp_path / "RESULTS.md"
    assert main(["benchmark", str(path), *options, "--rows", str(page), "--command", "./runme.sh --seeds 0"]) == 0
    assert "level with Baseline 2019 (mean-teacher CRNN) (23.7)" in capsys.readouterr().out
    assert all(file.is_file() for file in out.values())
    text = page.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| cnn9_weak"))
    for part in (
        "validation_2019",
        "23.70 [20.70, 26.70]",
        "seed 0",
        "4,691,274",
        "quick",
        "0123456789ab",
        "./runme.sh",
    ):
        assert part in row
    assert main(["benchmark", str(path), "--command", "x"]) == 2
    assert main(["benchmark", str(save(tmp_path / "alone.json", results())), "--set", "public"]) == 2
    assert main(["benchmark", str(tmp_path)]) == 1
    assert main(["benchmark", str(path), "--set", "public"]) == 2
    assert main(["benchmark", str(save(tmp_path / "x.json", {"a": 1}))]) == 1
