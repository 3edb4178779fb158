"""Blocks that several networks share."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def init_he_uniform(layer: nn.Module) -> None:
    """Draw weights from U(-a, a), a = sqrt(6 / fan_in) (He et al. 2015, eq. 10, uniform form); biases become 0."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    bound = math.sqrt(6.0 / weight[0].numel())
    nn.init.uniform_(weight, -bound, bound)
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def init_glorot(layer: nn.Module) -> None:
    """Draw weights from U(-a, a), a = sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010, eq. 16); biases become 0."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    nn.init.xavier_uniform_(weight)
    if isinstance(layer.bias, Tensor):
        nn.init.zeros_(layer.bias)


def no_autocast(x: Tensor) -> torch.autocast:
    """Return a context in which float32 stays float32: probabilities are made at full precision."""
    return torch.autocast(x.device.type, enabled=False)


class ConvBlock(nn.Module):
    """[convolution without bias, batch norm, ReLU] once or twice, then pooling of time and frequency.

    Parameters
    ----------
    n_in, n_out
        Channels.
    kernel
        Side of the kernel; padding keeps the size.
    n_convolutions
        1 or 2.
    pooling
        Factor by which frames and bins shrink (1: none), or one for frames and one for bins.
    pooling_type
        `avg` or `max`.

    Shapes: (batch, n_in, frames, bins) -> (batch, n_out, frames // pooling, bins // pooling).
    """

    folding: ClassVar = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int,
        n_convolutions: int,
        pooling: int | tuple[int, int],
        pooling_type: str,
    ) -> None:
        super().__init__()
        self.pooling, self.pooling_type = pooling, pooling_type
        self.conv1 = nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        init_he_uniform(self.conv1)
        if n_convolutions == 2:
            self.conv2 = nn.Conv2d(n_out, n_out, kernel, padding=kernel // 2, bias=False)
            self.bn2 = nn.BatchNorm2d(n_out)
            init_he_uniform(self.conv2)
        self.n_convolutions = n_convolutions

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu_(self.bn1(self.conv1(x)))
        if self.n_convolutions == 2:
            x = F.relu_(self.bn2(self.conv2(x)))
        if self.pooling in (1, (1, 1)):
            return x
        return F.avg_pool2d(x, self.pooling) if self.pooling_type == "avg" else F.max_pool2d(x, self.pooling)
