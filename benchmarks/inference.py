"""Clips a second at prediction: folded batch norms, channels last, bfloat16 or tiles against stock eager float32.

All contestants score the same clips with the same weights; onnxruntime runs the graph that `sedkit export` writes. The
largest difference of a probability is printed; above 0.02 (1e-4 where both sides are float32) the result is wrong.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._ceiling import ALONE, convolutions
from benchmarks._checkpoint import FRONTEND, WINDOW, make_checkpoint
from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.memory import keep_freed_memory
from sedkit.core.parallel import cpu_jobs
from sedkit.inference.export import TOLERANCE as EXPORTED
from sedkit.inference.export import export_network
from sedkit.models.checkpoint import read_checkpoint
from sedkit.models.folding import for_prediction
from sedkit.models.precision import cpu_has_bf16, cpu_name

RUNS, MODEL, BATCH = 7, "cnn9_avg", 8
COMPARISONS: Comparisons = {
    "inference": ("sedkit", "stock eager, float32", 3.0),
    "inference.fp32": ("sedkit, float32", "stock eager, float32", None),
    "inference.onnxruntime": ("sedkit, float32", "onnxruntime, float32", 1.0),
    "inference.two_threads": ("sedkit, 2 threads", "stock eager, float32, 2 threads", None),
    "inference.onnxruntime_two_threads": ("sedkit, float32, 2 threads", "onnxruntime, float32, 2 threads", None),
}
#: Largest difference of a probability.
TOLERANCES = {torch.bfloat16: 0.02, torch.float32: EXPORTED}

Contestant = Callable[[torch.Tensor], Any]


def onnx_session(checkpoint: Path, threads: int) -> Contestant | None:
    """Return the exported network in onnxruntime; None where a package is missing."""
    if not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")):
        return None
    import onnxruntime

    graph = checkpoint.with_suffix(".onnx")
    if not graph.exists():
        export_network(checkpoint, graph, checkpoint.with_suffix(".json"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])

    def framewise(x: torch.Tensor) -> torch.Tensor:
        given = {"features": x.numpy(), "n_frames": np.full(len(x), x.shape[1], dtype=np.int64)}
        return torch.from_numpy(session.run(["framewise"], given)[0])

    return framewise


def contestants(checkpoint: Path, dtype: torch.dtype, threads: int) -> dict[str, Contestant]:
    """Return each way to frame probabilities, by its name in the comparisons without threads; equal ones once."""
    network = read_checkpoint(checkpoint).network().eval()
    cpu = torch.device("cpu")
    ways = {
        "stock eager, float32": network,
        "sedkit, float32": for_prediction(network, cpu, torch.float32),
    }
    if dtype != torch.float32:
        ways["sedkit"] = for_prediction(network, cpu, dtype)

    def framewise(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = network(x).framewise
        return out

    out: dict[str, Contestant] = {name: partial(framewise, way) for name, way in ways.items()}
    if (session := onnx_session(checkpoint, threads)) is not None:
        out["onnxruntime, float32"] = session
    return out


def run(form: Form) -> Report:
    """Score the same clips in each way, in a process that keeps freed memory as `sedkit predict` does."""
    keep_freed_memory()
    batch = 2 if form.quick else BATCH
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    torch.manual_seed(0)
    x = torch.randn(batch, WINDOW, FRONTEND.n_bins)
    seconds: dict[str, np.ndarray] = {}
    outputs: dict[str, torch.Tensor] = {}
    limits: dict[str, str] = {}
    notes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = Path(folder) / "cnn9.pt"
        make_checkpoint(checkpoint, {"name": MODEL, "base_channels": 16 if form.quick else 64}, mean=0, std=1)
        with FlopCounterMode(display=False) as counter, torch.inference_mode():
            read_checkpoint(checkpoint).network().eval()(x)
        work = counter.get_total_flops() / 1e9
        for threads in (1, 2) if form.threads == 1 and cpu_jobs() > 1 else (form.threads,):
            torch.set_num_threads(threads)
            more = "" if threads == form.threads else f", {threads} threads"
            ways = contestants(checkpoint, dtype, threads)
            timed = Form(form.quick, form.runs, threads)
            with torch.inference_mode():
                times, made = in_turn(timed, {name + more: partial(way, x) for name, way in ways.items()})
            for values in (times, made):
                values.setdefault(f"sedkit{more}", values[f"sedkit, float32{more}"])
            ceiling = convolutions(timed)
            for ours, of in ((f"sedkit{more}", "quickest"), (f"sedkit, float32{more}", "float32")):
                limit = f"{ours}, as fast as a convolution"
                times[limit] = np.full(form.runs, work / ceiling[of])
                limits |= {key: limit for key, (name, _, _) in COMPARISONS.items() if name == ours}
            seconds |= times
            outputs |= made
            notes.append(
                f"{ALONE}, {threads} threads, GFLOP a second: "
                + ", ".join(f"{value:.0f} in {name}" for name, value in ceiling.items())
            )
    torch.set_num_threads(form.threads)
    off = {
        key: float((outputs[ours] - outputs[peer]).abs().max())
        for key, (ours, peer, _) in COMPARISONS.items()
        if ours in outputs and peer in outputs
    }
    notes += [f"{key}: probabilities differ by up to {value:.1e}" for key, value in off.items()]
    notes += [f"{key}: not measured, a package or a core is missing" for key in COMPARISONS if key not in off]
    return Report(
        title=f"{MODEL}, batch {batch}, {form.threads} threads where nothing else is said, sedkit in "
        f"{str(dtype)[6:]}; {cpu_name()}",
        seconds=seconds,
        equal={
            key: value <= TOLERANCES[torch.float32 if "float32" in COMPARISONS[key][0] else dtype]
            for key, value in off.items()
        },
        work={"clips": batch, "GFLOP": work},
        notes=tuple(notes),
        limits={key: limit for key, limit in limits.items() if key in off},
    )
