"""What the folder of an experiment says of its run: configuration, environment, run.sh, and which figures count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from sedkit.core.files import read_records, write_json, write_text, write_yaml
from sedkit.models.precision import describe_device
from sedkit.training.run_script import run_script


def write_records(experiment: Any) -> None:
    """Write config.yaml, environment.json and run.sh of an `Experiment`."""
    plan, folder = experiment.plan, experiment.plan.folder
    # Budget and pass are applied; their names stay, for the record of a run from here.
    names = {"budgets": plan.budget, "passes": plan.of_pass}
    write_yaml(folder / "config.yaml", plan.config | {key: {name: {}} for key, name in names.items() if name})
    versions = dict(experiment.run_info["made_with"])
    commit = versions.pop("commit")
    sides = (("streams", experiment.streams), ("select", experiment.select), ("draw", experiment.draw))
    write_json(
        folder / "environment.json",
        {
            "run": experiment.run_info,
            "data": str(plan.data_root.resolve()),
            "place": str(folder.resolve()),
            "inputs": plan.inputs_hash,
            "windows": {side: {name: len(s) for name, s in streams.items()} for side, streams in sides},
            "parameters": sum(p.numel() for p in experiment.network.parameters()),
            "precision": "bf16" if experiment.dtype == torch.bfloat16 else "fp32",
            "commit": commit,
            "versions": versions,
            "hardware": describe_device(experiment.device),
            "budget": plan.budget,
            "split_run": str(plan.split_run.resolve()) if plan.split_run else None,
            "resolved": experiment.config,
        },
    )
    write_text(folder / "run.sh", run_script(plan))
    (folder / "run.sh").chmod(0o755)


def cut_metrics(path: Path, step: int) -> float:
    """Drop the records after `step` (written by a run that ended before its checkpoint); return seconds so far."""
    records = [record for record in read_records(path) if record["step"] <= step]
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
    return float(records[-1]["elapsed_s"]) if records else 0.0
