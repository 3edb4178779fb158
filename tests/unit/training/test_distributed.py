"""Processes that train one network together: the same numbers as one process with everyone's windows, and restarts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_data import write_config
from torch import Tensor, nn
from training_runs import records, same_state

from sedkit.core.errors import UsageError
from sedkit.core.files import read_json
from sedkit.features.batch import Batch
from sedkit.models.checkpoint import read_checkpoint
from sedkit.objectives.base import Context, Term
from sedkit.training.distributed import ALONE, Ranks
from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan

#: Padded frames are left out, so that the processes' counts differ; nothing is drawn, so that they can be compared. The
#: decoder of the network gets no gradient.
PLAIN: dict[str, Any] = {
    "data": {
        "streams": {"weak": {"set": "weak"}, "synthetic": {"set": "synthetic", "labels": {"target": "frame"}}},
        "select": {"weak": {"set": "weak", "folds": ["select"]}},
    },
    "model": {"name": "two_step_attention", "base_channels": 2},
    "objective": {"name": "weak_strong_bce", "padding": "leave_out"},
    # Adam blows the rounding of gradients that are zero up to whole steps.
    "optimiser": {"name": "adam", "epsilon": 0.01},
    "training__batch_size": 8,
    "training__accumulate": 2,
    "training__steps": 4,
    "training__eval_every": 2,
}
TEACHER: dict[str, Any] = {
    "networks": ["student", "teacher"],
    "data": {
        "streams": {
            "weak": {"set": "weak", "views": {"teacher": {"amplitude_noise": {"std": 0.001}}}},
            "synthetic": {
                "set": "synthetic",
                "labels": {"target": "frame"},
                "augment": {"mixup": {"of": "features", "probability": 0.5}},
            },
        },
        "select": {"weak": {"set": "weak", "folds": ["select"]}},
    },
    "model": {"name": "crnn", "pooling": [[4, 4], [1, 4]], "channels": [2, 2], "units": 2, "hidden": 0},
    "objective": {"name": "mean_teacher", "teacher_view": "teacher"},
    "training__batch_size": 8,
    "training__steps": 60,
    "training__eval_every": 60,
    "training__checkpoint_every": 10,
    "training__sync_batch_norm": True,
}


def call(root: Path, folder: Path, **changes: Any) -> list[str]:
    path = write_config(folder.parent / f"{folder.name}.yaml", **changes)
    return ["-m", "sedkit", "train", "--config", str(path), "--data", str(root), "--exp", str(folder)]


def train(root: Path, folder: Path, **changes: Any) -> str:
    """Train in two processes, each with what torchrun says to it; return what they say."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared["OMP_NUM_THREADS"] = "1"
    words = [sys.executable, *call(root, folder, **changes)]
    processes = [
        subprocess.Popen(words, env={**shared, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    return "".join(said)


def halves(batch: Batch) -> list[Batch]:
    """Cut the windows of each stream into the first and the second half."""
    cut: list[Batch] = [{}, {}]
    for name, windows in batch.items():
        n = len(windows) // 2
        for half, rows in zip(cut, (slice(0, n), slice(n, None)), strict=True):
            half[name] = windows.map(lambda x, rows=rows: x[rows])  # type: ignore[misc]
    return cut


def one_process(experiment: Experiment) -> tuple[dict[str, Tensor], list[float]]:
    """Train as two processes should, in one: batch norms see half a batch at a time, means are over all of a step.

    Returns the weights, and the loss of each step.
    """
    losses = []
    network, optimiser = experiment.network, experiment.optimiser
    (rate,) = (group["lr"] for group in optimiser.param_groups)
    for step in range(experiment.settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * experiment.schedule(step / experiment.settings.steps)
        terms: list[dict[str, Term]] = []
        for place in range(experiment.settings.accumulate):
            kept: list[Tensor] = []
            batch = experiment.loop.batches.read(step * experiment.settings.accumulate + place)  # type: ignore[attr-defined]
            for half in halves(batch):
                normalised = {name: windows.map(lambda x: x.clone()) for name, windows in half.items()}
                for windows in normalised.values():
                    windows.features = experiment.normalise(windows.features, windows.n_frames)
                terms.append(experiment.objective.loss(Context(network, normalised, step, 1, torch.Generator())))
                # The running statistics are those of the first process.
                kept = kept or [buffer.clone() for buffer in network.buffers()]
            for buffer, first in zip(network.buffers(), kept, strict=True):
                buffer.data.copy_(first)
        loss = sum(
            term.weight * sum(one[name].sum for one in terms) / sum(one[name].count for one in terms)
            for name, term in terms[0].items()
        )
        losses.append(float(loss.detach()))  # type: ignore[union-attr]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        optimiser.step()
    return network.state_dict(), losses


def test_two_processes_are_one_with_everyones_windows(data_root: Path, tmp_path: Path) -> None:
    said = train(data_root, tmp_path / "two", **PLAIN)
    assert said.count("train: fake_weak, seed 0 on") == 1
    two = read_checkpoint(tmp_path / "two/checkpoints/last.pt")
    path = write_config(tmp_path / "one.yaml", **PLAIN)
    alone = Experiment(make_plan(path, ["training.last_step=1"], data_root, tmp_path / "one"))
    first_weights = {name: value.clone() for name, value in alone.network.state_dict().items()}
    (tmp_path / "one").mkdir()
    alone.run(resume=False)
    alone.network.load_state_dict(first_weights)
    alone.optimiser.state.clear()
    wanted, losses = one_process(alone)
    for name, value in two.network().state_dict().items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-4, atol=1e-5, msg=lambda m, name=name: f"{name}: {m}")
    # The losses that are written down are everyone's, too.
    rows = records(tmp_path / "two")
    assert [row["step"] for row in rows] == [2, 4]
    assert [row["train"]["loss"] for row in rows] == pytest.approx([sum(losses[:2]) / 2, sum(losses[2:]) / 2], rel=1e-5)
    assert read_json(tmp_path / "two/summary.json")["steps"] == 4
    # Called again, there is nothing to do, in either process.
    assert train(data_root, tmp_path / "two", **PLAIN).count("is up to date") == 1


@pytest.mark.full
def test_a_killed_process_ends_all_and_the_next_call_goes_on(data_root: Path, tmp_path: Path) -> None:
    train(data_root, tmp_path / "whole", **TEACHER)
    launch = [sys.executable, "-m", "sedkit.cli._torchrun", "--standalone", "--nproc-per-node=2"]
    words = [*launch, *call(data_root, tmp_path / "killed", **TEACHER)]
    last = tmp_path / "killed/checkpoints/last.pt"
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        while not last.is_file() and running.poll() is None:
            time.sleep(0.01)
        second = [pid for pid in children(running.pid) if environment(pid).get("RANK") == "1"]
        os.kill(second[0], signal.SIGKILL)
        said = running.communicate(timeout=60)[1]
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    # What the others say of it, and the one that started them: no traceback, and no advice of torch's.
    assert running.returncode == 1 and "Traceback" not in said and "reducer" not in said
    assert "process 1 was ended by SIGKILL" in said or "process 0 waits for another one that has ended" in said
    assert read_checkpoint(last).step < 60
    assert "going on after step" in train(data_root, tmp_path / "killed", **TEACHER)
    whole, again = (read_checkpoint(tmp_path / name / "checkpoints/last.pt") for name in ("whole", "killed"))
    assert same_state(whole.networks, again.networks)
    assert records(tmp_path / "whole") == records(tmp_path / "killed")


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def test_what_cannot_be_shared_alike_is_refused(data_root: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "c.yaml", training__batch_size=5)
    experiment = Experiment(make_plan(path, [], data_root, tmp_path / "exp"), Ranks(1, 2))
    with pytest.raises(UsageError, match="batch_size 5 gives the stream weak 5 windows a step, which 2 processes"):
        experiment.run(resume=True)
    assert not (tmp_path / "exp").exists()
    assert Ranks(1, 2).share({"a": 4, "b": 2}) == {"a": 2, "b": 1}


@pytest.mark.parametrize("words", [("2", "2", "0"), ("x", "2", "0"), ("0", "0", "0"), ("0", "2", "-1")])
def test_an_environment_that_is_not_torchruns_is_refused(
    words: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, word in zip(("RANK", "WORLD_SIZE", "LOCAL_RANK"), words, strict=True):
        monkeypatch.setenv(name, word)
    with pytest.raises(UsageError, match="as torchrun sets them"):
        Ranks.of_environment()


def test_without_torchrun_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert Ranks.of_environment() == ALONE


def test_draws_of_processes_and_steps_never_meet() -> None:
    draws = [Ranks(rank, 3).draw(step) for rank in range(3) for step in range(5)]
    assert sorted(draws) == list(range(15))
    assert [ALONE.draw(step) for step in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(("ranks", "plain"), [(ALONE, True), (Ranks(1, 2), False)])
def test_batch_norms_of_every_network_are_synchronised(
    ranks: Ranks, plain: bool, data_root: Path, tmp_path: Path
) -> None:
    path = write_config(tmp_path / "c.yaml", training__sync_batch_norm=True)
    experiment = Experiment(make_plan(path, [], data_root, tmp_path / "exp"), ranks)
    # An objective may ask for another network.
    for network in (experiment.network, experiment._new_network()):
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms and all((type(norm) is nn.BatchNorm2d) == plain for norm in norms)
