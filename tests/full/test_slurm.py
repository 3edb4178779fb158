"""A recipe's trainings as an array of a real Slurm, one of which is put back into the queue."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.full.reliability import record_fault
from tests.full.slurm import Cluster, require

SEEDS = (0, 1, 2)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_an_array_of_trainings_survives_a_requeue(repository: Path, tmp_path: Path) -> None:
    require()
    words = ["./runme.sh", "--system", "cnn5_weak", "--seeds", ",".join(map(str, SEEDS)), "--miniature-size", "30"]
    words += ["--data-dir", str(tmp_path / "data"), "--exp-dir", str(tmp_path / "exp")]
    small = ["--", "training.steps=40", "training.checkpoint_every=2", "model.base_channels=8"]
    exp = tmp_path / "exp/dcase2019_task4"
    with Cluster(tmp_path / "slurm") as cluster:
        environment = {**cluster.environment, "SEDKIT_VENV": "none", "SEDKIT_PYTHON": sys.executable}
        environment["SEDKIT_SLURM_POLL_S"] = "0.5"

        start = partial(subprocess.Popen, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)
        with start([*words, "--stop-stage", "3", *small]) as data:
            assert data.communicate(timeout=300)[1] and data.returncode == 0
        running = start([*words, "--stage", "4", "--stop-stage", "7", "--launcher", "slurm", *small])
        last = exp / "cnn5_weak/seed0/checkpoints/last.pt"
        end = time.monotonic() + 300
        while not last.is_file():
            assert running.poll() is None and time.monotonic() < end
            time.sleep(0.05)
        tasks = cluster.ask("squeue", "--noheader", "--format=%i %T").split("\n")
        (first,) = (task.split()[0] for task in tasks if task.split(" ")[0].endswith("_0"))
        cluster.ask("scontrol", "requeue", first)
        said = running.communicate(timeout=900)[1]
    assert running.returncode == 0, said
    assert "3 jobs of train_run are array" in said and "3 jobs of score_run are array" in said
    log = (exp / "logs/train-cnn5_weak-seed0.log").read_text()
    assert log.count("+ sedkit train") == 2 and "going on after step" in log
    for seed in SEEDS:
        run_folder = exp / f"cnn5_weak/seed{seed}"
        assert (run_folder / "checkpoints/best.pt.done.json").is_file()
        assert (run_folder / "results/validation.json").is_file()
    record_fault("a training of a Slurm array that is put back into the queue", __file__)
