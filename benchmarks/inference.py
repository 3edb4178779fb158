"""Clips a second at prediction: folded batch norms, bfloat16 and channels last against stock eager float32.

All contestants score the same clips with the same weights. The largest difference of a probability is printed; above
0.02 the result is wrong.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.models.folding import for_prediction
from sedkit.models.precision import cpu_has_bf16, cpu_name
from sedkit.models.registry import build_model

RUNS, MODEL, BATCH = 7, "cnn9_avg", 8
FRAMES, BINS, CLASSES = 640, 64, 10
# The ratio is asked for where the processor has bf16.
COMPARISONS: Comparisons = {
    "inference": ("sedkit", "stock eager, float32", 3.0),
    "inference.fp32": ("sedkit, float32", "stock eager, float32", None),
}
#: Largest difference of a probability that bfloat16 may make.
TOLERANCE = 0.02


def run(form: Form) -> Report:
    """Score the same clips in each way."""
    torch.set_num_threads(form.threads)
    batch = 2 if form.quick else BATCH
    torch.manual_seed(0)
    network = build_model({"name": MODEL, "base_channels": 16 if form.quick else 64}, CLASSES, BINS)
    x = torch.randn(batch, FRAMES, BINS)
    network.train()
    with torch.no_grad():
        for _ in range(3):  # batch norms that have seen these features
            network(x)
    network.eval()
    cpu, stock = torch.device("cpu"), COMPARISONS["inference"][1]
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    contestants: dict[str, Callable[[torch.Tensor], object]] = {
        stock: network,
        "sedkit, float32": for_prediction(network, cpu, torch.float32),
        "sedkit": for_prediction(network, cpu, dtype),
    }
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(x)
    with torch.inference_mode():
        seconds, outputs = in_turn(form, {name: lambda f=f: f(x) for name, f in contestants.items()})
    off = {
        key: float((outputs[ours].framewise - outputs[peer].framewise).abs().max())
        for key, (ours, peer, _) in COMPARISONS.items()
    }
    return Report(
        title=f"{MODEL}, batch {batch}, {form.threads} threads, sedkit in {str(dtype)[6:]}; {cpu_name()}",
        seconds=seconds,
        equal={key: value <= TOLERANCE for key, value in off.items()},
        work={"clips": batch, "GFLOP": counter.get_total_flops() / 1e9},
        notes=tuple(f"{key}: probabilities differ by up to {value:.1e}" for key, value in off.items()),
        judged=cpu_has_bf16(),
    )
