"""Training runs on the fake data, and what is compared of two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from fake_data import write_config

from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan


def train(root: Path, folder: Path, *overrides: str, resume: bool = True, **changes: Any) -> Experiment:
    path = write_config(folder.parent / f"{folder.name}.yaml", **changes)
    folder.mkdir(exist_ok=True)
    experiment = Experiment(make_plan(path, list(overrides), root, folder))
    experiment.run(resume)
    return experiment


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "elapsed_s"} for line in lines]


def same_state(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_state, a, b))
    return a == b
