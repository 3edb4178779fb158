"""Figures of events along the way, of sets that are only drawn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_data import config, write_config

from sedkit.cli.main import main
from sedkit.core.files import write_yaml


def test_they_are_those_that_the_verbs_give(data_root: Path, tmp_path: Path) -> None:
    """Tags are trained on, events are drawn: at the last step those of predict, decode and score."""
    folder = tmp_path / "exp"
    data = {**config()["data"], "draw_figures": ["event_f1", "segment_f1"]}
    path = write_config(tmp_path / "c.yaml", data=data, training__steps=60, training__eval_every=30)
    assert main(["train", "--config", str(path), "--data", str(data_root), "--exp", str(folder)]) == 0
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all("event_f1" not in record["select"]["network"]["weak"] for record in records)
    drawn = records[-1]["draw"]["network"]["validation"]
    scores, events, out = (str(tmp_path / name) for name in ("scores.h5", "events.tsv", "r.json"))
    validation = data_root / "validation"
    words = ["--checkpoint", "last", "--precision", "fp32", "--device", "cpu"]
    assert main(["predict", str(folder), str(validation), "--out", scores, *words]) == 0
    assert main(["decode", scores, "--postprocessing", "0.5", "--out", events]) == 0
    reference = ["--reference", str(validation / "strong.tsv"), "--estimate", events, "--undefined", "zero"]
    assert main(["score", *reference, "--overlaps", "merge", "--metrics", "event,segment", "--json", out]) == 0
    figures = json.loads(Path(out).read_text(encoding="utf-8"))
    for metric in ("event", "segment"):
        assert drawn[f"{metric}_f1"] == pytest.approx(figures[f"{metric}_based"]["macro"]["f1"], abs=1e-9)
    assert drawn["segment_f1"] > 0.1  # something is found


def test_one_that_nobody_computes_is_refused_before_training(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_yaml(tmp_path / "c.yaml", config(data={**config()["data"], "draw_figures": ["event_f"]}))
    words = ["--config", str(tmp_path / "c.yaml"), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main(["train", *words]) == 2
    assert "data.draw_figures: 'event_f' (did you mean \"event_f1\"?)" in capsys.readouterr().err
