"""Blocks of the networks for weak labels and of the official baselines: convolution, batch norm, gate, pooling."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.models.batch_norm import batch_norm
from sedkit.models.frequency_dynamic import FrequencyDynamicConv
from sedkit.models.gates import gated
from sedkit.models.layers import INITIALISATIONS
from sedkit.models.winograd import Conv2d

Activation = Literal["relu", "glu", "linear_glu", "context_gating"]


class Block(nn.Module):
    """Convolution 3x3, batch norm, activation, dropout before or after pooling.

    Activations of a value v of C channels: `relu`; `glu`, first half of 2 C channels times the sigmoid of the second
    (Dauphin et al., arXiv 1612.08083), whose convolution has no bias; `linear_glu`, (W v + b) sigmoid(v), the GLU of
    the official baselines since 2019; `context_gating`, v sigmoid(W v + b) (Miech et al., arXiv 1706.06905).

    Parameters
    ----------
    n_in, n_out
        Channels.
    pooling
        Factors by which frames and bins shrink.
    dropout
        What leaves out values.
    activation
        See above.
    pooling_type
        `max` or `avg`.
    dropout_first
        Dropout before pooling.
    n_kernels
        More than 1: as many basis kernels of a frequency-dynamic convolution, without bias.
    init
        One of `sedkit.models.layers.INITIALISATIONS`.
    momentum, eps
        Of the batch norm: weight of a batch in its running means, what is added to the variance.

    Shapes: (batch, n_in, frames, bins) -> (batch, n_out, frames // pooling[0], bins // pooling[1]).
    """

    folding: ClassVar = (("conv", "norm"),)

    def __init__(
        self,
        n_in: int,
        n_out: int,
        pooling: tuple[int, int],
        dropout: nn.Module,
        *,
        activation: Activation = "relu",
        pooling_type: Literal["max", "avg"] = "max",
        dropout_first: bool = False,
        n_kernels: int = 1,
        init: str = "keras",
        momentum: float,
        eps: float = 1e-3,
    ) -> None:
        super().__init__()
        self.activation, self.pooling, self.dropout, self.dropout_first = activation, pooling, dropout, dropout_first
        self.pool = F.max_pool2d if pooling_type == "max" else F.avg_pool2d
        begin = INITIALISATIONS[init]
        wide = 2 * n_out if activation == "glu" else n_out
        if n_kernels > 1:
            self.conv: nn.Module = FrequencyDynamicConv(n_in, wide, n_kernels)
        else:
            self.conv = Conv2d(n_in, wide, 3, padding=1, bias=activation != "glu")
            begin(self.conv)
        self.norm = nn.BatchNorm2d(wide, eps=eps, momentum=momentum)
        begin(self.norm)
        # Over channels; as a convolution it needs no copy of another layout, and is faster on a CPU.
        gated = activation in ("linear_glu", "context_gating")
        self.linear = nn.Conv2d(n_out, n_out, 1) if gated else None
        if self.linear is not None:
            begin(self.linear)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if isinstance(self.conv, FrequencyDynamicConv):
            # Bins before frames, as its outcome lies: all that follows would copy it twice.
            return self._pooled(x.transpose(2, 3), self.pooling[::-1]).transpose(2, 3)
        return self._pooled(x, self.pooling)

    def _pooled(self, x: Tensor, pooling: tuple[int, int]) -> Tensor:
        averaged = pooling if self.pool is F.avg_pool2d else (1, 1)
        if self.activation == "relu":
            averaged = (1, 1) if self.dropout_first else averaged
            x = batch_norm(self.norm, x, pooling=averaged)
            x = self.dropout(x) if self.dropout_first else x
        else:
            x = batch_norm(self.norm, x, relu=False)
            x = gated(*self._gate(x), self.dropout if self.dropout_first else None, averaged)
        x = x if averaged == pooling else self.pool(x, pooling)
        out: Tensor = x if self.dropout_first else self.dropout(x)
        return out

    def _gate(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return values and what, through a sigmoid, they are multiplied by; None: their second half."""
        if self.linear is None:
            return x, None
        through = self.linear(x)
        return (through, x) if self.activation == "linear_glu" else (x, through)
