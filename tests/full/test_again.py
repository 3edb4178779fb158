"""A result says what it was made with and of, and its experiment makes it again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sedkit.models.checkpoint import read_checkpoint
from tests.full.calls import CALLS, EXP, World, said
from tests.full.reliability import record_fault
from tests.full.victims import differences, run


@pytest.mark.full
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_an_experiment_gives_its_figures_again(world: World, repository: Path, tmp_path: Path) -> None:
    *_, last = CALLS
    assert last.stage == "detect"
    trial = world.before(last)
    exp = trial / EXP
    results = json.loads((exp / "results/validation.json").read_text())
    environment = json.loads((exp / "environment.json").read_text())
    head = subprocess.run(["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True)
    commit = head.stdout.strip() or None
    assert results["versions"]["commit"] == results["run"]["made_with"]["commit"] == environment["commit"] == commit
    assert (
        results["run"]["inputs"] == environment["inputs"] == read_checkpoint(exp / "checkpoints/best.pt").run["inputs"]
    )
    assert len(results["reference"]["sha256"]) == len(results["estimate"]["sha256"]) == 64

    command = tmp_path / "sedkit"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sedkit "$@"\n')
    command.chmod(0o755)
    env = os.environ | {"SEDKIT": str(command), "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}
    for folder in (exp / "checkpoints", exp / "scores", exp / "events", exp / "results"):
        for path in folder.rglob("*"):
            path.unlink()
    done = subprocess.run([str(exp / "run.sh"), "--force", "true"], env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for call in CALLS:
        if call.stage in ("predict", "decode", "score"):
            assert run(call, trial).status == 0, said(trial)
    assert (
        differences(world.unharmed, trial, tuple(f"{EXP}/{name}" for name in ("checkpoints", "events", "results")))
        == []
    )
    record_fault("an experiment made again by its run.sh", __file__)
