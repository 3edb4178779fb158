"""docs/metrics.md: the figures of its example, and a section for every metric."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path

import pytest

from sedkit.cli.main import main
from sedkit.evaluation.metrics.base import all_metrics


@pytest.fixture(scope="module")
def page() -> str:
    return (Path(__file__).parents[3] / "docs/metrics.md").read_text(encoding="utf-8")


def test_the_example_has_the_figures_that_the_page_says(page: str, tmp_path: Path) -> None:
    for name in ("reference", "estimate"):
        (tmp_path / f"{name}.tsv").write_text(page.split(f"```tsv {name}\n")[1].split("```")[0], encoding="utf-8")
    (tmp_path / "durations.tsv").write_text("filename\tduration\na.wav\t10\nb.wav\t10\n")
    files = {name: str(tmp_path / f"{name}.tsv") for name in ("reference", "estimate", "durations")}
    words = [word for name, path in files.items() for word in (f"--{name}", path)]
    out = tmp_path / "r.json"
    metrics = ("event", "segment", "intersection")
    assert main(["score", *words, "--metrics", ",".join(metrics), "--official", "true", "--json", str(out)]) == 0
    figures = json.loads(out.read_text(encoding="utf-8"))
    for metric in metrics:
        (row,) = re.findall(rf"^\| `{metric}` \| (.*: \S+) \| (.*: \S+) \| (\S+) \| (\S*) ?\|$", page, re.M)
        dog, speech = (Fraction(cell.split(": ")[1]) for cell in row[:2])
        block = figures[f"{metric}_based"]
        assert block["classes"]["Dog"]["f1"] == pytest.approx(float(dog))
        assert block["classes"]["Speech"]["f1"] == pytest.approx(float(speech))
        assert (dog + speech) / 2 == Fraction(row[2])
        assert block["macro"]["f1"] == pytest.approx(float(Fraction(row[2])))
        if row[3]:
            assert block["micro"]["f1"] == pytest.approx(float(Fraction(row[3])))


def test_every_metric_has_a_row(page: str) -> None:
    rows = {name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line[:25])}
    assert set(all_metrics()) <= rows
