"""What is packed and compared: experiments as training leaves them, results, scores, calls of the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from results_files import results, save
from submission_packages import CLIPS, events

from sedkit.cli.main import main
from sedkit.core.files import read_yaml, write_yaml
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores
from sedkit.postprocessing import FrameRule, Postprocessing
from sedkit.submission.formats import get_format

LABELS = get_format("dcase2019").labels


def scores(seed: int, labels: tuple[str, ...] = LABELS, clips: tuple[str, ...] = CLIPS) -> Scores:
    rng = np.random.default_rng(seed)
    framewise = np.repeat(rng.random((len(clips), 10, len(labels))), 2, axis=1).astype(np.float32)
    n = np.full(len(clips), 20)
    edges = np.arange(21) / 2
    return Scores(framewise, n, np.full(len(clips), 10.0), edges, clips, labels, framewise.max(axis=1))


def experiment(path: Path, system: str = "cnn9_weak", seed: int = 0, set_name: str = "public") -> Path:
    for folder in ("events", "scores", "results", "energy"):
        (path / folder).mkdir(parents=True)
    config = {
        "recipe": "dcase2019_task4",
        "system": system,
        "frontend": {"name": "logmel", "sample_rate": 44100, "spectrum": "magnitude", "log": "db"},
        "model": {"name": "cnn9_avg"},
    }
    write_yaml(path / "config.yaml", config)
    environment = {"parameters": 4691274, "commit": "a" * 40, "run": {"system": system, "seed": seed}}
    (path / "environment.json").write_text(json.dumps(environment))
    (path / "events" / f"{set_name}.tsv").write_text(events(get_format("dcase2019"), seed))
    write_scores(path / "scores" / f"{set_name}.h5", scores(seed))
    rules = Postprocessing.uniform(LABELS, FrameRule(threshold=0.5, low=0.3, median_s=2.5))
    rules.write(path / "postprocessing.yaml")
    save(path / "results" / "validation.json", results(f1=0.4))
    (path / "energy" / "training.json").write_text(json.dumps({"kwh": 1.25}))
    return path


def measured(exp: Path, *names: str) -> None:
    """Leave what `--energy true` leaves."""
    for i, name in enumerate(names, start=1):
        (exp / "energy" / f"{name}.json").write_text(json.dumps({"kwh": 0.1 * i}))
        (exp / "energy" / f"{name}.codecarbon.csv").write_text(f"duration,energy_consumed\n1,{0.1 * i}\n")


def written(out: Path) -> dict[str, Any]:
    """The only meta file below a folder."""
    (file,) = out.glob("*/*.meta.yaml")
    return read_yaml(file)


def run(*words: object) -> int:
    return main([str(word) for word in words])


def found(path: Path, name: str, clips: Path) -> str:
    out = clips.parent / "findings.json"
    run("check", path, "--format", name, "--files", clips, "--json", out)
    written = json.loads(out.read_text())
    assert written["format"]["name"].startswith(name)
    assert written["format"]["unverified"]
    return ", ".join(f["kind"] for f in written["findings"])


def codecarbon(folder: Path, stage: str, *kwh: float, run_id: str = "a{i}") -> Path:
    """A table as CodeCarbon 2 writes it, one row a measurement."""
    path = folder / f"emissions_{stage}.csv"
    rows = [
        f"2024-05-27T11:31:35,codecarbon,{run_id.format(i=i)},299.78,0.0165,{x},FRA,CPU @ 2.20GHz"
        for i, x in enumerate(kwh)
    ]
    head = "timestamp,project_name,run_id,duration,emissions,energy_consumed,country_iso_code,cpu_model"
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def unprocessed(files: list[Path]) -> list[Path]:
    """Scores of the same clips and classes that are none of these."""
    made = [(path.with_name(f"raw_{path.name}"), read_scores(path)) for path in files]
    for path, of_run in made:
        write_scores(path, replace(of_run, framewise=0.5 * of_run.framewise))
    return [path for path, _ in made]
