"""Embeddings of a pretrained network beside what a network's own layers make of the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError


@dataclass(frozen=True)
class FusionOptions:
    """How a network takes an embedding.

    Attributes
    ----------
    embedding
        Its name in the section `embeddings`.
    bins
        Of a row of it.
    rows
        How its rows become the network's frames: the `mean` of those that a frame overlaps, as PyTorch's adaptive
        average pooling has it, or the `nearest`; published as pool1d and interpolate.
    step_dropout, step_frames
        In training, each clip has a stretch of its frames set to 0 in the network's own values, and another one in the
        embedding's: up to `step_frames` of them and up to this share of the clip; 0 leaves all.
    """

    embedding: str
    bins: int = 768
    rows: Literal["mean", "nearest"] = "mean"
    step_dropout: float = 0.0
    step_frames: int = 16

    def __post_init__(self) -> None:
        if self.bins < 1 or self.step_frames < 1:
            raise UsageError(
                f"model.fusion: bins is {self.bins} and step_frames {self.step_frames}, expected at least 1 of both"
            )
        if not 0 <= self.step_dropout <= 1:
            raise UsageError(f"model.fusion.step_dropout is {self.step_dropout}, expected a share from 0 to 1")


class Fusion(nn.Module):
    """Values of frames and an embedding's rows, brought together by one layer (DCASE 2023 and 2024 task 4 baselines).

    Shapes: (batch, frames, `n_values`), (batch, rows, bins) -> (batch, frames, `n_values`).
    """

    def __init__(self, n_values: int, options: FusionOptions, dropout: nn.Module) -> None:
        super().__init__()
        self.options, self.dropout = options, dropout
        self.linear = nn.Linear(n_values + options.bins, n_values)

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        frames = x.shape[1]
        rows = embedding.float().transpose(1, 2)
        if self.options.rows == "mean":
            rows = F.adaptive_avg_pool1d(rows, frames)
        else:
            rows = F.interpolate(rows, frames, mode="nearest-exact")
        beside = rows.transpose(1, 2)
        if self.training and self.options.step_dropout:
            x, beside = (self._without_steps(values) for values in (x, beside))
        out: Tensor = self.linear(self.dropout(torch.cat([x, beside], dim=2)))
        return out

    def _without_steps(self, x: Tensor) -> Tensor:
        """Set a stretch of each clip's frames to 0; its length is drawn evenly, then where it lies."""
        clips, frames, _ = x.shape
        most = min(self.options.step_frames, self.options.step_dropout * frames)
        drawn = torch.rand(2, clips, 1, device=x.device)
        length = drawn[0] * most
        first = drawn[1] * (frames - length)
        place = torch.arange(frames, device=x.device)
        stretch = (place >= first.long()) & (place < first.long() + length.long())
        return x.masked_fill(stretch[:, :, None], 0.0)
