"""Checkpoints of small networks, one of which says what its windows hold, so that scores are known by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from fake_data import FRAMES, FRONTEND, LABELS
from torch import Tensor

from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.normalise import Normalisation
from sedkit.inference.predictor import Predictor
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.registry import build_model, resolve_model

#: 100 frames of 10 ms a second; the same with windows transformed alone; the published CNN's, smaller.
SLICED = LogMel(sample_rate=8000, n_fft=256, hop_samples=80, n_mels=32, fmin_hz=0.0, fmax_hz=None, clip_s=None)
ALONE = replace(SLICED, hop_samples=64, end_frame=True, edges="window")
TEN = LogMel(sample_rate=8000, n_fft=256, hop_samples=125, n_mels=32, fmax_hz=None)


@dataclass(frozen=True)
class MeanOptions:
    """Options of `Mean`."""

    pooling: int = 1
    input_frames: int | None = None
    bins_are_classes: bool = False


class Mean(SedModel):
    """The mean of its input over each output frame for every class, or each class's own bin where it is largest."""

    def __init__(self, n_classes: int, options: MeanOptions) -> None:
        super().__init__()
        self.n_classes, self.time_pooling, self.input_frames = n_classes, options.pooling, options.input_frames
        self.bins_are_classes = options.bins_are_classes

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        frames = x.shape[1] // self.time_pooling
        pooled = x[:, : frames * self.time_pooling].reshape(x.shape[0], frames, self.time_pooling, -1)
        if self.bins_are_classes:
            framewise = pooled.amax(2)
        else:
            framewise = pooled.mean((2, 3))[..., None].expand(-1, -1, self.n_classes)
        return SedOutput(framewise.amax(1), framewise)


def make_checkpoint(
    model: dict[str, Any],
    frontend: FrontEnd | None = None,
    window: int = FRAMES,
    normalise: dict[str, Any] | None = None,
    labels: tuple[str, ...] = LABELS,
) -> Checkpoint:
    """A checkpoint with running statistics of two passes."""
    frontend = frontend or frontend_from(FRONTEND)
    torch.manual_seed(0)
    network = build_model(model, len(labels), frontend.n_bins)
    network.train()
    for _ in range(2):
        network(torch.randn(4, frontend.window_frames(window), frontend.n_bins))
    normalisation = Normalisation.from_section(normalise, frontend.n_bins)
    return Checkpoint(
        model=resolve_model(model),
        labels=Vocabulary(labels),
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        window=window,
        normalise=normalisation.resolved(),
        fitted=normalisation.state_dict(),
        networks={"network": network.state_dict()},
    )


def predictor(*args: Any, **kwargs: Any) -> Predictor:
    """A network on the CPU in float32, as `make_checkpoint` takes it."""
    return Predictor(make_checkpoint(*args, **kwargs), "cpu", "fp32")


def make_experiment(folder: Path, *args: Any, **kwargs: Any) -> Path:
    """An experiment folder with that checkpoint as best and last."""
    for which in ("best", "last"):
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        write_checkpoint(folder / "checkpoints" / f"{which}.pt", make_checkpoint(*args, **kwargs))
    return folder
