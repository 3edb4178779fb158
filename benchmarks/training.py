"""One training step: bfloat16, channels last and fused Adam against the same network in stock eager float32.

All contestants train copies of one network on the same clips, a step each in turn. Their losses are compared: they
agree to the precision of bfloat16, or the result is wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.features.batch import StreamBatch
from sedkit.models.output import SedModel
from sedkit.models.precision import cpu_has_bf16, cpu_name
from sedkit.models.registry import build_model
from sedkit.objectives.registry import build_objective
from sedkit.objectives.schedules import build_schedule
from sedkit.training.loop import Loop
from sedkit.training.optimisers import build_optimiser
from sedkit.training.settings import TrainingSettings

RUNS, MODEL, BATCH = 7, "cnn9_avg", 8
FRAMES, BINS, CLASSES = 640, 64, 10
# The ratio is asked for where the processor has bf16.
COMPARISONS: Comparisons = {
    "training": ("sedkit", "stock eager, float32", 2.5),
    "training.fp32": ("sedkit, float32", "stock eager, float32", None),
}
#: Largest difference of a loss, as a part of it, that bfloat16 may make.
TOLERANCE = 0.03


def stock_step(network: SedModel, learning_rate: float) -> Callable[[StreamBatch], float]:
    """Return a step as a plain PyTorch script writes it."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, amsgrad=True)

    def step(batch: StreamBatch) -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy(network(batch.features).clipwise, batch.clip_target)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def own_step(network: SedModel, dtype: torch.dtype, learning_rate: float) -> Callable[[StreamBatch], float]:
    """Return a step of sedkit's loop."""
    network = network.to(memory_format=torch.channels_last)
    loop = Loop(
        network,
        build_objective({"name": "clip_bce"}),
        None,  # type: ignore[arg-type] # the batches are given by hand
        TrainingSettings(),
        dtype,
        lambda record: None,
        lambda: None,
        build_optimiser({"name": "adam", "learning_rate": learning_rate}, network.parameters()),
        build_schedule({"name": "constant"}),
        seed=0,
    )
    return lambda batch: float(loop.step(SimpleNamespace(batch={"weak": batch}, view=None))["loss"].detach())


def run(form: Form) -> Report:
    """Train in each way."""
    torch.set_num_threads(form.threads)
    size = 2 if form.quick else BATCH
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    torch.manual_seed(0)
    network = build_model({"name": MODEL, "base_channels": 16 if form.quick else 64}, CLASSES, BINS).train()
    features = torch.randn(size, FRAMES, BINS)
    target = (torch.rand(size, CLASSES) < 0.2).float()
    batch = StreamBatch(features, torch.full((size,), FRAMES), target, None)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        copy.deepcopy(network).eval()(features[:1])

    # A tiny rate: the networks stay alike, so that their losses can be compared.
    steps = {
        COMPARISONS["training"][1]: stock_step(copy.deepcopy(network), 1e-6),
        "sedkit, float32": own_step(copy.deepcopy(network), torch.float32, 1e-6),
        "sedkit": own_step(copy.deepcopy(network), dtype, 1e-6),
    }
    seconds, losses = in_turn(form, {name: lambda step=step: step(batch) for name, step in steps.items()})
    return Report(
        title=f"{MODEL}, batch {size}, {form.threads} threads, sedkit in {str(dtype)[6:]}; {cpu_name()}",
        seconds=seconds,
        equal={
            key: bool(np.isclose(losses[ours], losses[peer], rtol=TOLERANCE, atol=0))
            for key, (ours, peer, _) in COMPARISONS.items()
        },
        work={"GFLOP": 3 * size * counter.get_total_flops() / 1e9},
        notes=("losses of the last step: " + ", ".join(f"{name} {loss:.4f}" for name, loss in losses.items()),),
        judged=cpu_has_bf16(),
    )
