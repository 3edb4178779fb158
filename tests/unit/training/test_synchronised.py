"""Batch norms of processes that train together, by everyone's windows: the numbers of one process with all of them.

This file is also what each of the processes runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.registry import build_model
from sedkit.objectives.registry import build_objective
from sedkit.objectives.schedules import build_schedule
from sedkit.training.distributed import ALONE, Ranks
from sedkit.training.loop import Loop

FRAMES, BINS, CLASSES, STEPS = 32, 16, 3, 3
#: Windows of each stream in a batch: of the first process and of the second, which has fewer.
SHARES = {"weak": (3, 1), "synthetic": (3, 2), "unlabelled": (2, 3)}
CRNN = {"name": "crnn", "pooling": [[4, 4], [1, 4]], "channels": [4, 4], "units": 3, "hidden": 0, "gru_dropout": 0}
TEACHER = {"name": "mean_teacher", "teacher_view": "other", "padding": "leave_out", "decay": 0.5}
CASES: dict[str, dict[str, Any]] = {
    "cnn9": {"model": {"name": "cnn9_avg", "base_channels": 2}, "objective": {"name": "weak_strong_bce"}},
    "mean teacher": {"model": CRNN, "objective": TEACHER},
    # A batch norm of vectors along the bins, too, and no ReLU after the norms.
    "frequency dynamic": {
        "model": CRNN | {"kernels": 2, "block": "linear_glu"},
        "objective": {"name": "weak_strong_bce"},
    },
}


def rows_of(ranks: Ranks, first: int) -> slice:
    """Return the rows of a process, of which the first one has `first`; alone it has all."""
    return slice(None) if ranks.size == 1 else slice(first) if ranks.first else slice(first, None)


@dataclass
class Views:
    """A process's windows of a step, or all."""

    step: int
    ranks: Ranks

    def view(self, name: str | None) -> Batch:
        draw = torch.Generator().manual_seed(10 * self.step + len(name or ""))
        batch = {}
        for stream, (first, second) in SHARES.items():
            n = first + second
            # Far from 0, as decibels are.
            x = torch.randn(n, FRAMES, BINS, generator=draw) * 5 - 40
            target = (torch.rand(n, FRAMES, CLASSES, generator=draw) < 0.3).float()
            n_frames = torch.randint(8, FRAMES + 1, (n,), generator=draw)
            windows = StreamBatch(x, n_frames, target.amax(dim=1), target)
            if stream == "weak":
                windows = replace(windows, frame_target=None)
            if stream == "unlabelled":
                windows = replace(windows, clip_target=None, frame_target=None)
            batch[stream] = windows.map(itemgetter(rows_of(self.ranks, first)))
        return batch


class Batches:
    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks

    def iterate(self, first: int, last: int) -> Iterator[Views]:
        yield from (Views(step, self.ranks) for step in range(first, last))


def outcome(case: str, ranks: Ranks, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """Train some steps without dropout; return losses, gradients of the last step, and networks."""
    torch.manual_seed(1)
    network = build_model(CASES[case]["model"], CLASSES, BINS).to(memory_format=torch.channels_last)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    ranks.synchronise_norms(network)
    objective, losses = build_objective(CASES[case]["objective"]), []
    loop = Loop(
        network,
        objective,
        Batches(ranks),
        SimpleNamespace(steps=STEPS, last_step=None, accumulate=1, clip_norm=0.0),  # type: ignore[arg-type]
        dtype,
        lambda _: None,
        lambda: None,
        torch.optim.SGD(network.parameters(), lr=0.1),
        build_schedule({"name": "constant"}),
        seed=0,
        another=lambda: network,
        ranks=ranks,
    )
    for step in range(STEPS):
        losses.append(ranks.mean({"loss": loop.step(Views(step, ranks))["loss"]})["loss"])
    return {
        "losses": torch.tensor(losses),
        "gradients": {name: parameter.grad for name, parameter in network.named_parameters()},
        "networks": {name: one.state_dict() for name, one in objective.networks(network).items()},
    }


def uneven(ranks: Ranks) -> dict[str, Tensor]:
    """Return what a batch norm makes of maps in float64: values, gradients, running statistics."""
    torch.manual_seed(2)
    norm, x = nn.BatchNorm2d(3, momentum=None).double(), (torch.randn(7, 3, 4, 5) + 1000).double()
    outer = torch.randn(7, 3, 4, 5).double()
    x, outer = x[rows_of(ranks, 6)].requires_grad_(), outer[rows_of(ranks, 6)]
    ranks.synchronise_norms(norm)
    for _ in range(2):
        y = norm(x)
    gradients = torch.autograd.grad((y * outer).sum(), [x, norm.weight, norm.bias])
    values = dict(zip(("y", "x", "weight", "bias"), (y.detach(), *gradients), strict=True))
    return values | dict(norm.named_buffers()) | {"evaluated": norm.eval()(x).detach()}


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What the first and the second of two processes say of each case."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-W", "error", __file__, str(folder)]
    started = [
        subprocess.Popen(words, env={**environment, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def assert_close(ours: dict[str, Tensor | None], wanted: dict[str, Tensor | None]) -> None:
    assert ours.keys() == wanted.keys()
    for name, value in wanted.items():
        # Without a gradient: weights that the loss does not reach.
        limit = 0.0 if value is None else 2e-4 * float(value.abs().max()) + 1e-7
        torch.testing.assert_close(ours[name], value, rtol=0, atol=limit, msg=lambda m, name=name: f"{name}: {m}")


def assert_equal(state: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    """Bit for bit: the running statistics, the teacher's too, are the same everywhere."""
    assert [name for name, value in state.items() if not torch.equal(value, other[name])] == []


@pytest.mark.parametrize("case", CASES)
def test_processes_are_one_with_everyones_windows(case: str, processes: list[dict[str, Any]]) -> None:
    wanted, (first, second) = outcome(case, ALONE), (each[case] for each in processes)
    torch.testing.assert_close(first["losses"], wanted["losses"], rtol=1e-5, atol=0)
    assert_close(first["gradients"], wanted["gradients"])
    for name, state in wanted["networks"].items():
        assert_close(first["networks"][name], state)
        assert_equal(first["networks"][name], second["networks"][name])


def test_in_bfloat16_they_are_nearly_so(processes: list[dict[str, Any]]) -> None:
    wanted, (first, second) = outcome("cnn9", ALONE, torch.bfloat16), (each["bfloat16"] for each in processes)
    torch.testing.assert_close(first["losses"], wanted["losses"], rtol=0.01, atol=0)
    assert_equal(first["networks"]["network"], second["networks"]["network"])


def test_a_batch_norm_is_torchs_over_all_rows(processes: list[dict[str, Any]]) -> None:
    wanted, (first, second) = uneven(ALONE), (each["uneven"] for each in processes)
    for name in ("y", "x", "evaluated"):
        torch.testing.assert_close(torch.cat([first[name], second[name]]), wanted[name], rtol=1e-9, atol=1e-9)
    for name in ("weight", "bias"):
        torch.testing.assert_close(first[name] + second[name], wanted[name], rtol=1e-9, atol=1e-9)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(first[name], wanted[name], rtol=1e-9, atol=0)
        assert torch.equal(first[name], second[name])


def main(folder: str) -> None:
    """Do all cases as one of two processes that meet in a folder."""
    ranks = Ranks.of_environment()
    store = torch.distributed.FileStore(f"{folder}/store", ranks.size)
    torch.distributed.init_process_group("gloo", store=store, rank=ranks.rank, world_size=ranks.size)
    said = {case: outcome(case, ranks) for case in CASES}
    said |= {"bfloat16": outcome("cnn9", ranks, torch.bfloat16), "uneven": uneven(ranks)}
    torch.save(said, f"{folder}/{ranks.rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1])
