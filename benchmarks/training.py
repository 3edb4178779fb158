"""One training step: bfloat16 or tiles, channels last, fused Adam, quick dropout against stock eager float32.

Both sides train copies of one network with the objective of its recipe on the same clips, a step each in turn. Their
losses and gradients are compared without dropout: they agree to the precision that is used, or the result is wrong.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._ceiling import ALONE, convolutions
from benchmarks._measure import Comparisons, Form, Report, in_turn
from sedkit.core.config import read_config
from sedkit.features.batch import Batch, StreamBatch
from sedkit.features.frontends import frontend_from
from sedkit.models.frequency_dynamic import TEMPERATURE, FrequencyDynamicConv
from sedkit.models.gates import Dropout
from sedkit.models.output import SedModel
from sedkit.models.precision import cpu_has_bf16, cpu_name
from sedkit.models.registry import build_model
from sedkit.objectives.registry import build_objective
from sedkit.objectives.schedules import build_schedule
from sedkit.training.batches import shares
from sedkit.training.loop import Loop
from sedkit.training.optimisers import build_optimiser
from sedkit.training.settings import DataSettings, TrainingSettings, data_settings

RUNS, CLASSES = 4, 10
RECIPES = Path(__file__).resolve().parent.parent / "recipes"
# The ratio is asked for where the processor has bf16.
COMPARISONS: Comparisons = {
    "training": ("cnn9_weak", "cnn9_weak, stock", 2.5),
    "training.fp32": ("cnn9_weak, float32", "cnn9_weak, stock", None),
    "training.mean_teacher": ("crnn_mean_teacher", "crnn_mean_teacher, stock", 2.5),
    "training.crnn_2021": ("crnn_2021", "crnn_2021, stock", None),
    "training.fdy_crnn_small": ("fdy_crnn_small", "fdy_crnn_small, stock", None),
    "training.gwrp": ("gwrp", "gwrp, stock", None),
    "training.two_step_ae": ("two_step_ae", "two_step_ae, stock", None),
    "training.glu_mil": ("glu_mil", "glu_mil, stock", None),
    "training.resnet18": ("combined", "combined, stock", None),
}
#: System -> its recipe, and the windows of a step here.
SYSTEMS = {
    "cnn9_weak": ("dcase2019_task4", 8),
    "crnn_mean_teacher": ("dcase2019_task4", 8),
    "crnn_2021": ("dcase2019_task4", 8),
    "fdy_crnn_small": ("dcase2019_task4", 8),
    "gwrp": ("mixtures", 4),
    "two_step_ae": ("mixtures", 4),
    "glu_mil": ("dcase2018_task4", 8),
    "combined": ("esc50_desed", 16),
}
#: Largest difference of a loss, as a part of it, and of a gradient's direction (1 - cosine).
TOLERANCES = {torch.bfloat16: (0.03, 0.1), torch.float32: (1e-4, 1e-3)}


@dataclass
class System:
    """A system of a recipe, as published, with clips of noise."""

    sections: Mapping[str, Any]
    network: SedModel
    batch: Batch

    @classmethod
    def of(cls, name: str, quick: bool) -> System:
        """Build it with the first weights of seed 0."""
        recipe, size = SYSTEMS[name]
        sections = read_config(RECIPES / recipe / "conf" / f"{name}.yaml", (), "quick" if quick else "published")
        data, frontend = data_settings(sections["data"]), frontend_from(sections["frontend"])
        torch.manual_seed(0)
        network = build_model(sections["model"], CLASSES, frontend.n_bins).train()
        window = next(iter(data.streams.values())).window
        seconds = window.length_s if window is not None else frontend.clip_s
        assert seconds is not None
        frames = network.input_frames or frontend.grid.n_frames(seconds)
        return cls(sections, network, _noise(data, len(data.streams) if quick else size, frames, frontend.n_bins))

    def loop(self, network: SedModel, dtype: torch.dtype) -> Loop:
        """Return sedkit's loop over a network, without anything that lies on a disk."""
        optimiser = {**self.sections["optimiser"], "learning_rate": 1e-6}
        return Loop(
            network,
            build_objective(self.sections["objective"]),
            None,  # type: ignore[arg-type] # the batches are given by hand
            TrainingSettings(),
            dtype,
            lambda record: None,
            lambda: None,
            build_optimiser(optimiser, network.parameters()),
            build_schedule({"name": "constant"}),
            seed=0,
            another=lambda: copy.deepcopy(network),
        )

    def ours(self, dtype: torch.dtype, dropout: bool = True) -> Loop:
        """Return the loop as `sedkit train` runs it."""
        network = copy.deepcopy(self.network).to(memory_format=torch.channels_last)
        return self.loop(network if dropout else _without_dropout(network), dtype)

    def stock(self, dropout: bool = True) -> Loop:
        """Return the same in float32, as torch's layers and optimiser are by default."""
        network = copy.deepcopy(self.network)
        _as_torch_has_it(network)
        loop = self.loop(network if dropout else _without_dropout(network), torch.float32)
        adam = loop.optimiser.defaults
        kept = {key: adam[key] for key in ("lr", "betas", "eps", "weight_decay", "amsgrad") if key in adam}
        loop.optimiser = torch.optim.Adam(network.parameters(), **kept)
        return loop

    def step(self, loop: Loop) -> float:
        """Do a step; return its loss."""
        views = SimpleNamespace(view=lambda name: self.batch)
        return float(loop.step(views)["loss"].detach())

    def agrees(self, dtype: torch.dtype) -> tuple[bool, str, float]:
        """Tell whether both sides' first losses and gradients are alike, how much, and the stock's GFLOP for them."""
        sides = [self.ours(dtype, dropout=False), self.stock(dropout=False)]
        losses = []
        for loop in sides:
            # What draws by itself draws alike.
            torch.manual_seed(0)
            with FlopCounterMode(display=False) as counter:
                losses.append(self.step(loop))
        gradients = [
            torch.cat([p.grad.flatten().double() for p in loop.network.parameters() if p.grad is not None])
            for loop in sides
        ]
        turn = 1 - float(torch.nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0))
        apart, most = TOLERANCES[dtype]
        alike = abs(losses[0] - losses[1]) <= apart * abs(losses[1]) and turn <= most
        work = counter.get_total_flops() / 1e9
        return alike, f"losses {losses[0]:.4f} and {losses[1]:.4f}, gradients {turn:.1e} from parallel", work


class _Gru(nn.GRU):
    """Torch's own, with the outcome alone."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        out: Tensor = super().forward(x)[0]
        return out


class _FrequencyDynamic(nn.Module):
    """The convolution as published: the outcomes of all kernels are mixed (arXiv 2203.15296)."""

    def __init__(self, layer: FrequencyDynamicConv) -> None:
        super().__init__()
        self.weight, self.mixture, self.n_kernels = layer.weight, layer.mixture, layer.n_kernels

    def forward(self, x: Tensor) -> Tensor:
        shares = torch.softmax(self.mixture(x.mean(dim=2)) / TEMPERATURE, dim=1)
        y = torch.nn.functional.conv2d(x, self.weight, padding=1).unflatten(1, (self.n_kernels, -1))
        return (shares[:, :, None, None, :] * y).sum(dim=1)


def _as_torch_has_it(network: nn.Module) -> None:
    """Replace the layers of a network that are quicker than torch's by torch's."""
    for module in list(network.modules()):
        for name, layer in module.named_children():
            if isinstance(layer, Dropout):
                setattr(module, name, nn.Dropout(layer.p))
            elif isinstance(layer, FrequencyDynamicConv):
                setattr(module, name, _FrequencyDynamic(layer))
            elif isinstance(layer, nn.GRU):
                stock = _Gru(
                    layer.input_size, layer.hidden_size, layer.num_layers, batch_first=True, bidirectional=True
                )
                stock.load_state_dict(layer.state_dict())
                for ours, theirs in zip(layer.parameters(), stock.parameters(), strict=True):
                    theirs.requires_grad_(ours.requires_grad)
                setattr(module, name, stock)


def _without_dropout(network: SedModel) -> SedModel:
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return network


def _noise(data: DataSettings, size: int, frames: int, bins: int) -> Batch:
    """Return clips of noise with the targets that each stream has."""

    def stream(clips: int, target: str) -> StreamBatch:
        clip = (torch.rand(clips, CLASSES) < 0.2).float() if target == "clip" else None
        frame = (torch.rand(clips, frames, CLASSES) < 0.2).float() if target in ("frame", "tiled") else None
        return StreamBatch(torch.randn(clips, frames, bins), torch.full((clips,), frames), clip, frame)

    counts = shares(data.streams, size)
    return {name: stream(counts[name], settings.labels.target) for name, settings in data.streams.items()}


def run(form: Form) -> Report:
    """Train in each way."""
    torch.set_num_threads(form.threads)
    dtype = torch.bfloat16 if cpu_has_bf16() else torch.float32
    seconds: dict[str, np.ndarray] = {}
    equal: dict[str, bool] = {}
    limits: dict[str, str] = {}
    ceiling = convolutions(form)
    notes = [f"{ALONE}, GFLOP a second: "]
    notes[0] += ", ".join(f"{value:.0f} in {name}" for name, value in ceiling.items())
    for key, (name, peer, _) in COMPARISONS.items():
        if name not in SYSTEMS:
            # A further way with the same peer.
            continue
        system = System.of(name, form.quick)
        contestants = {name: system.ours(dtype), peer: system.stock()}
        further = {k: ours for k, (ours, other, _) in COMPARISONS.items() if other == peer and k != key}
        if dtype != torch.float32:
            contestants |= {ours: system.ours(torch.float32) for ours in further.values()}
        times, _ = in_turn(form, {k: partial(system.step, loop) for k, loop in contestants.items()})
        seconds |= dict.fromkeys(further.values(), times[name]) | times
        equal[key], said, work = system.agrees(dtype)
        equal |= {k: equal[key] if dtype == torch.float32 else system.agrees(torch.float32)[0] for k in further}
        for k, ours, of in ((key, name, "quickest"), *((k, ours, "float32") for k, ours in further.items())):
            limits[k] = f"{ours}, as fast as a convolution"
            seconds[limits[k]] = np.full(form.runs, work / ceiling[of])
        batch = sum(len(stream) for stream in system.batch.values())
        first = next(iter(system.batch.values())).features
        assert first is not None
        notes.append(
            f"{name}: {batch} windows of {tuple(first.shape[1:])}, {work:.3g} GFLOP in convolutions and products (a "
            f"teacher's, too; GRUs not counted), {work / float(np.median(seconds[name])):.0f} a second; {said}"
        )
    return Report(
        title=f"steps, {form.threads} threads, sedkit in {str(dtype)[6:]}; {cpu_name()}",
        seconds=seconds,
        equal=equal,
        notes=tuple(notes),
        judged=cpu_has_bf16(),
        limits=limits,
    )
