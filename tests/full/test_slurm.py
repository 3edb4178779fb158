"""A recipe's trainings on a real Slurm: an array of which one is put back into the queue, and one over two nodes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.full.reliability import record_fault
from tests.full.slurm import Cluster, require
from tests.full.victims import differences

SEEDS = (0, 1, 2)
SMALL = ("--", "training.steps=40", "training.checkpoint_every=2", "model.base_channels=8")
ENVIRONMENT = {"SEDKIT_VENV": "none", "SEDKIT_PYTHON": sys.executable, "SEDKIT_SLURM_POLL_S": "0.5"}
#: What a training leaves, below exp/dcase2019_task4.
OUTPUTS = ("cnn5_weak/seed0/checkpoints", "cnn5_weak/seed0/metrics.jsonl")


@pytest.fixture(scope="module")
def features(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data up to the features; nothing is trained."""
    require()
    folder = tmp_path_factory.mktemp("slurm")
    end(start(repository, folder, "none", "--stop-stage", "3"))
    return folder


def start(repository: Path, folder: Path, exp: str, *words: str, **environment: str) -> subprocess.Popen[str]:
    call = ["./runme.sh", "--system", "cnn5_weak", "--miniature-size", "30", "--device", "cpu"]
    call += ["--data-dir", str(folder / "data"), "--exp-dir", str(folder / exp), *words, *SMALL]
    # As many threads in each process: the last digits depend on them.
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment, **ENVIRONMENT}
    return subprocess.Popen(call, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> str:
    said = process.communicate(timeout=900)[1]
    assert process.returncode == 0, said
    return said


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_an_array_of_trainings_survives_a_requeue(repository: Path, features: Path, tmp_path: Path) -> None:
    run = partial(start, repository, features)
    exp = features / "array/dcase2019_task4"
    with Cluster(tmp_path / "slurm") as cluster:
        words = ("--seeds", ",".join(map(str, SEEDS)), "--stage", "4", "--stop-stage", "7", "--launcher", "slurm")
        running = run("array", *words, **cluster.environment)
        last = exp / "cnn5_weak/seed0/checkpoints/last.pt"
        latest = time.monotonic() + 300
        while not last.is_file():
            assert running.poll() is None and time.monotonic() < latest
            time.sleep(0.05)
        tasks = cluster.ask("squeue", "--noheader", "--format=%i %T").split("\n")
        (first,) = (task.split()[0] for task in tasks if task.split(" ")[0].endswith("_0"))
        cluster.ask("scontrol", "requeue", first)
        said = end(running)
    assert "3 jobs of train_run are array" in said and "3 jobs of score_run are array" in said
    log = (exp / "logs/train-cnn5_weak-seed0.log").read_text()
    assert log.count("+ sedkit train") == 2 and "going on after step" in log
    for seed in SEEDS:
        run_folder = exp / f"cnn5_weak/seed{seed}"
        assert (run_folder / "checkpoints/best.pt.done.json").is_file()
        assert (run_folder / "results/validation.json").is_file()
    # As if nobody had disturbed it, and as on this machine without Slurm.
    end(run("local", "--stage", "4", "--stop-stage", "4"))
    assert differences(features / "local/dcase2019_task4", exp, OUTPUTS) == []
    record_fault("a training of a Slurm array that is put back into the queue", __file__)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_a_training_over_two_nodes_is_that_of_two_processes(repository: Path, features: Path, tmp_path: Path) -> None:
    run = partial(start, repository, features)
    training = ("--stage", "4", "--stop-stage", "4")
    with Cluster(tmp_path / "slurm") as cluster:
        end(run("nodes", *training, "--launcher", "slurm", "--sbatch=--nodes=2", **cluster.environment))
    log = (features / "nodes/dcase2019_task4/logs/train-cnn5_weak-seed0.log").read_text()
    assert "+ srun --ntasks=2" in log and log.count("train: cnn5_weak, seed 0 on") == 1
    end(run("processes", *training, "--launcher", "torchrun", "--processes", "2"))
    assert differences(*(features / exp / "dcase2019_task4" for exp in ("nodes", "processes")), OUTPUTS) == []
