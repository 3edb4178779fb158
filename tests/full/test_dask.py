"""Data work on a Dask cluster of this machine: a scheduler and two workers, one of which is killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.full.reliability import record_fault
from tests.full.victims import differences

CLIPS = 420


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """The scheduler's address, and the workers."""
    pytest.importorskip("distributed", reason="needs distributed: pip install -e '.[dask]'")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    port = address.rpartition(":")[2]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    call = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", port]
    processes = [subprocess.Popen([*call, "--no-dashboard"], **quiet)]  # type: ignore[call-overload]
    for name in ("one", "two"):
        call = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
        more = ["--no-dashboard", "--local-directory", str(tmp_path / name)]
        processes.append(subprocess.Popen([*call, *more], **quiet))  # type: ignore[call-overload]
    try:
        yield address, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_an_extraction_survives_a_killed_worker(
    repository: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    address, workers = cluster
    environment = {**os.environ, "PYTHONPATH": str(repository), "OMP_NUM_THREADS": "1"}

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sedkit", *words], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
        )

    def sedkit(*words: str) -> None:
        process = start(*words)
        said = process.communicate(timeout=300)[1]
        assert process.returncode == 0, said

    sedkit("miniature", "desed", "desed", "--size", str(CLIPS))
    sedkit("prepare", "desed", "desed", "data")
    config = str(repository / "recipes/dcase2019_task4/conf/base.yaml")
    extract = ("extract", "data/weak", "--config", config)
    # The workers come up meanwhile.
    sedkit(*extract, "--out", "one.h5", "--jobs", "1")
    end = time.monotonic() + 60
    running = start(*extract, "--out", "two.h5", "--jobs", f"dask:{address}")
    parts = tmp_path / "two.h5.parts"
    while len(list(parts.glob("*.npy"))) < 4:
        assert running.poll() is None and time.monotonic() < end, running.communicate()[1]
        time.sleep(0.01)
    workers[0].send_signal(signal.SIGKILL)
    done_before = len(list(parts.glob("*.npy")))
    said = running.communicate(timeout=300)[1]
    assert running.returncode == 0, said
    assert "2 workers of tcp://" in said and done_before < CLIPS / 16 - 2
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "two.h5") as two:
        for name in ("features", "n_frames", "filename"):
            assert np.array_equal(one[name][:], two[name][:]), name
    record_fault("a worker of a Dask cluster that is killed", __file__)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_scores_and_events_of_a_recipe_survive_a_killed_worker(
    repository: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    from distributed import Client

    address, workers = cluster
    environment = {**os.environ, "SEDKIT_VENV": "none", "SEDKIT_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    small = ("training.steps=6", "training.eval_every=3", "model.base_channels=8")

    def start(*words: str, exp: str = "exp") -> subprocess.Popen[str]:
        given = ["./runme.sh", "--system", "cnn5_weak", "--miniature-size", "260", "--page", "false"]
        given += ["--data-dir", str(tmp_path / "data"), "--exp-dir", str(tmp_path / exp), *words, "--", *small]
        return subprocess.Popen(given, cwd=repository, env=environment, stderr=subprocess.PIPE, text=True)

    def end(process: subprocess.Popen[str]) -> str:
        said = process.communicate(timeout=900)[1]
        assert process.returncode == 0, said
        return said

    end(start("--stop-stage", "4"))
    shutil.copytree(tmp_path / "exp", tmp_path / "other", copy_function=shutil.copy2)
    end(start("--stage", "5", "--stop-stage", "7", "--jobs", "1"))
    running = start("--stage", "5", "--stop-stage", "7", "--jobs", f"dask:{address}", exp="other")
    with Client(address) as client:
        pids = client.run(os.getpid)
        until = time.monotonic() + 120
        while not (busy := [worker for worker, tasks in client.processing().items() if tasks]):
            assert running.poll() is None and time.monotonic() < until, running.communicate()[1]
            time.sleep(0.01)
        os.kill(pids[busy[0]], signal.SIGKILL)
    said = end(running)
    assert "2 workers of tcp://" in said
    assert [worker.poll() for worker in workers].count(None) == 1
    run = "dcase2019_task4/cnn5_weak/seed0"
    outputs = tuple(f"{run}/{name}" for name in ("scores", "events"))
    assert len(list((tmp_path / "other" / run / "events").glob("*.tsv"))) > 2
    assert differences(tmp_path / "exp", tmp_path / "other", outputs) == []
    record_fault("a worker of a Dask cluster that is killed", __file__)
