"""Blocks that several networks share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.models.batch_norm import conv_norm_relu
from sedkit.models.winograd import Conv2d


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


def init_keras(layer: nn.Module) -> None:
    """Begin as Keras does: Glorot's weights (of a GRU: of the three gates' matrix together), no biases.

    Keras' GRU has one bias a gate and torch's two: the second is kept at 0.
    """
    if isinstance(layer, nn.GRU):
        for name, weight in layer.named_parameters():
            if name.startswith("bias"):
                nn.init.zeros_(weight)
            if name.startswith("weight_hh"):
                nn.init.orthogonal_(weight)
            if name.startswith("weight_ih"):
                bound = math.sqrt(6.0 / sum(weight.shape))
                nn.init.uniform_(weight, -bound, bound)
            if name.startswith("bias_hh"):
                weight.requires_grad_(False)
    elif isinstance(layer, nn.Conv2d | nn.Linear):
        init_glorot(layer)


def init_dcase2019(layer: nn.Module) -> None:
    """Begin as the official baseline of DCASE 2019 task 4 does.

    Convolutions as Glorot times sqrt 2, scales of batch norms from N(1, 0.02), linear layers (convolutions 1x1 are
    that) from N(0, 0.01), their biases 0; matrices of a GRU orthogonal, its biases as torch draws them.
    """
    if isinstance(layer, nn.GRU):
        for name, weight in layer.named_parameters():
            if name.startswith("weight"):
                nn.init.orthogonal_(weight)
    elif isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        elif isinstance(layer, nn.Linear) or layer.kernel_size == (1, 1):
            nn.init.normal_(layer.weight, 0.0, 0.01)
        else:
            nn.init.xavier_uniform_(layer.weight, math.sqrt(2.0))
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


#: Called with each convolution, batch norm, GRU and linear layer as it is made.
INITIALISATIONS: dict[str, Callable[[nn.Module], None]] = {
    "keras": init_keras,
    "dcase2019": init_dcase2019,
    "torch": lambda layer: None,
}


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
        self.conv1 = Conv2d(n_in, n_out, kernel, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        init_he_uniform(self.conv1)
        if n_convolutions == 2:
            self.conv2 = Conv2d(n_out, n_out, kernel, padding=kernel // 2, bias=False)
            self.bn2 = nn.BatchNorm2d(n_out)
            init_he_uniform(self.conv2)
        self.n_convolutions = n_convolutions

    def forward(self, x: Tensor) -> Tensor:
        pooling = self.pooling if isinstance(self.pooling, tuple) else (self.pooling, self.pooling)
        averaged = pooling if self.pooling_type == "avg" else (1, 1)
        if self.n_convolutions == 2:
            x = conv_norm_relu(self.conv2, self.bn2, conv_norm_relu(self.conv1, self.bn1, x), averaged)
        else:
            x = conv_norm_relu(self.conv1, self.bn1, x, averaged)
        return x if averaged == pooling else F.max_pool2d(x, pooling)
