"""Whole trainings in bfloat16 against the same in float32: how long they take, and where the selection loss ends.

The results agree where the mean of the final losses over the seeds lies within one standard deviation of float32's.
Where the processor does not multiply bfloat16, rounded values are multiplied and summed in float32, as such processors
do: the losses are those of bfloat16, the seconds are not.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks._measure import Comparisons, Form, Report
from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.models.precision import cpu_has_bf16, cpu_name

#: Seeds.
RUNS = 5
BY_NAME: bool = True
COMPARISONS: Comparisons = {
    "curves": ("cnn9_weak", "cnn9_weak, float32", None),
    "curves.mean_teacher": ("crnn_mean_teacher", "crnn_mean_teacher, float32", None),
}
#: Steps of each system's quick budget: enough that the loss has fallen, on the generated miniature.
STEPS = {"cnn9_weak": 200, "crnn_mean_teacher": 300}
REPOSITORY = Path(__file__).resolve().parent.parent
RECIPE = "dcase2019_task4"
_ATEN = torch.ops.aten
#: What processors that know bfloat16 compute of it with sums in float32.
PRODUCTS = (
    *(_ATEN.convolution, _ATEN.convolution_backward, _ATEN.mm, _ATEN.addmm, _ATEN.bmm, _ATEN.baddbmm),
    # What the others are called where no gradient is asked for.
    *(_ATEN.conv2d, _ATEN.linear, _ATEN.matmul),
)


class Emulated(TorchDispatchMode):
    """Products of bfloat16, each computed in float32 and rounded at its end."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        if func.overloadpacket not in PRODUCTS or all(x.dtype != torch.bfloat16 for x in given):
            return func(*args, **kwargs)
        args, kwargs = tree_map_only(torch.Tensor, torch.Tensor.float, (args, dict(kwargs)))
        return tree_map_only(torch.Tensor, torch.Tensor.bfloat16, func(*args, **kwargs))


def bfloat16() -> AbstractContextManager[Any]:
    """Return a context in which this processor multiplies bfloat16, itself or emulated."""
    return nullcontext() if cpu_has_bf16() else Emulated()


def make_data(folder: Path) -> None:
    """Make the miniature and the features of both systems."""
    call = [
        "bash",
        REPOSITORY / "runme.sh",
        RECIPE,
        "--system",
        ",".join(STEPS),
        "--budget",
        "quick",
        "--stop-stage",
        "3",
    ]
    call += ["--data-dir", folder / "data", "--exp-dir", folder / "exp"]
    done = subprocess.run(call, env={**os.environ, "SEDKIT_VENV": "none"}, capture_output=True, text=True)
    if done.returncode:
        raise SedkitError(f"the data could not be made: {done.stderr.strip().splitlines()[-1]}")


def train(folder: Path, system: str, precision: str, seed: int, steps: int) -> float:
    """Train one run; return its final selection loss, over all streams."""
    experiment = folder / "exp" / f"{system}.{precision}" / f"seed{seed}"
    config = REPOSITORY / "recipes" / RECIPE / "conf" / f"{system}.yaml"
    call = ["train", "--config", config, "--data", folder / "data" / RECIPE, "--exp", experiment, "--budget", "quick"]
    settings = {"seed": seed, "precision": precision, "steps": steps, "eval_every": steps, "checkpoint_every": steps}
    with bfloat16():
        status = main([*map(str, call), "--device", "cpu", *(f"training.{k}={v}" for k, v in settings.items())])
    if status:
        raise SedkitError(f"{experiment}: the training failed")
    last = json.loads((experiment / "metrics.jsonl").read_text().splitlines()[-1])
    network = next(iter(last["select"].values()))
    return float(sum(figures["loss"] for figures in network.values()))


def run(form: Form) -> Report:
    """Train every seed in both precisions in turn."""
    clock = time.process_time if form.threads == 1 else time.perf_counter
    seconds: dict[str, list[float]] = {}
    losses: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        make_data(Path(name))
        for ours, peer, _ in COMPARISONS.values():
            for seed in range(form.runs):
                for contestant, precision in ((ours, "bf16"), (peer, "fp32")):
                    begin = clock()
                    loss = train(Path(name), ours, precision, seed, 4 if form.quick else STEPS[ours])
                    seconds.setdefault(contestant, []).append(clock() - begin)
                    losses.setdefault(contestant, []).append(loss)
    equal, notes = {}, []
    for key, (ours, peer, _) in COMPARISONS.items():
        apart, sd = abs(np.mean(losses[ours]) - np.mean(losses[peer])), np.std(losses[peer], ddof=1)
        equal[key] = bool(apart <= sd)
        means = " and ".join(f"{np.mean(losses[k]):.4f} ± {np.std(losses[k], ddof=1):.4f}" for k in (ours, peer))
        notes.append(f"{ours}: final selection losses {means}, {apart / sd:.2f} standard deviations of float32 apart")
    return Report(
        title=f"trainings of {STEPS} steps, {form.runs} seeds, {form.threads} threads; {cpu_name()}"
        f"{'' if cpu_has_bf16() else ', bfloat16 emulated'}",
        seconds={name: np.array(values) for name, values in seconds.items()},
        equal=equal,
        notes=tuple(notes),
    )
