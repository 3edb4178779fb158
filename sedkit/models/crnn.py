"""Convolutions, a recurrent layer, one probability a frame: detection from weak labels, and the 2018 baseline.

T. Pellegrini and L. Cances, "Cosine-similarity penalty to discriminate sound classes in weakly-supervised sound event
detection", IJCNN 2019 (arXiv 1901.03146); the baseline of DCASE 2018 task 4 is the same network with other options.
Both were written in Keras. What torch does otherwise: its GRU applies the reset gate after the recurrent product, and
has no dropout of the recurrent state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.layers import init_glorot, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import attention_over_time, max_over_time, mean_over_time
from sedkit.models.registry import register


@dataclass(frozen=True)
class CrnnOptions:
    """Options of the network.

    Attributes
    ----------
    block
        `relu`, or `glu`: twice the channels, of which one half is multiplied with the sigmoid of the other.
    clipwise
        Clip probability: `frame_max`, `frame_mean` or `attention` of the frame probabilities.
    channels, units, hidden
        Of each convolution's outcome, of each direction of the GRU, of the layer before the classifier (0: none).
    conv_dropout, gru_dropout, dropout
        Shares left out after each block; of the GRU's input, the same channels in all frames; of the GRU's outcome and
        of the hidden layer's.
    bin_pooling
        Factors by which the blocks shrink the bins, a block each.
    time_pooling
        Factor by which the first block shrinks time; 1 is published.
    norm_momentum
        Weight of a batch in the running means of batch norm; 0.01 is published, short runs need more.
    mask_padding
        Leave padded frames out of the clip's probability; the published code takes them in.
    """

    block: Literal["relu", "glu"] = "relu"
    clipwise: Literal["frame_max", "frame_mean", "attention"] = "frame_max"
    channels: int = 64
    units: int = 64
    hidden: int = 64
    conv_dropout: float = 0.1
    gru_dropout: float = 0.1
    dropout: float = 0.1
    bin_pooling: tuple[int, ...] = (4, 4, 4)
    time_pooling: int = 1
    norm_momentum: float = 0.01
    mask_padding: bool = True

    def __post_init__(self) -> None:
        for name, low in (("channels", 1), ("units", 1), ("hidden", 0), ("time_pooling", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected at least {low}")
        if not self.bin_pooling or min(self.bin_pooling) < 1:
            raise UsageError(f"model.bin_pooling is {list(self.bin_pooling)}, expected a factor of at least 1 a block")
        for name in ("conv_dropout", "gru_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected from 0 to below 1")


class Block(nn.Module):
    """Convolution 3x3, batch norm, ReLU or gate, max pooling, dropout.

    The gate: of 2 C channels the first C are multiplied with the sigmoid of the others. Its convolution has no bias.

    Shapes: (batch, n_in, frames, bins) -> (batch, n_out, frames // pooling[0], bins // pooling[1]).
    """

    folding: ClassVar = (("conv", "norm"),)

    def __init__(
        self, n_in: int, n_out: int, gated: bool, pooling: tuple[int, int], dropout: nn.Module, momentum: float
    ) -> None:
        super().__init__()
        wide = 2 * n_out if gated else n_out
        self.gated, self.pooling = gated, pooling
        self.conv = nn.Conv2d(n_in, wide, 3, padding=1, bias=not gated)
        self.norm = nn.BatchNorm2d(wide, eps=1e-3, momentum=momentum)
        self.dropout = dropout
        init_glorot(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        if self.gated:
            # As F.glu, which takes twice the time on a CPU.
            value, gate = x.chunk(2, dim=1)
            x = value * torch.sigmoid(gate)
        else:
            x = F.relu_(x)
        pooled: Tensor = self.dropout(F.max_pool2d(x, self.pooling))
        return pooled


class Crnn(SedModel):
    """Blocks that keep time, a GRU in both directions, a classifier that all frames share.

    `attention` has `time` (batch, frames, classes) where the clip's probability is made by it.
    """

    def __init__(self, n_classes: int, n_bins: int, options: CrnnOptions) -> None:
        super().__init__()
        self.options, self.time_pooling = options, options.time_pooling
        shrunk = n_bins // math.prod(options.bin_pooling)
        if not shrunk:
            raise UsageError(
                f"the front end gives {n_bins} bins, model.bin_pooling {list(options.bin_pooling)} needs at least "
                f"{math.prod(options.bin_pooling)}"
            )
        self.blocks = nn.Sequential(
            *(
                Block(
                    options.channels if i else 1,
                    options.channels,
                    options.block == "glu",
                    (1 if i else options.time_pooling, bins),
                    nn.Dropout(options.conv_dropout),
                    options.norm_momentum,
                )
                for i, bins in enumerate(options.bin_pooling)
            )
        )
        self.gru = _gru(options.channels * shrunk, options.units)
        n_features = options.hidden or 2 * options.units
        self.hidden = nn.Linear(2 * options.units, options.hidden) if options.hidden else None
        self.fc = nn.Linear(n_features, n_classes)
        self.attention = nn.Linear(n_features, n_classes) if options.clipwise == "attention" else None
        for layer in (self.hidden, self.fc, self.attention):
            if layer is not None:
                init_glorot(layer)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        v = self.blocks(x[:, None])
        with no_autocast(x):
            # (batch, channels x bins, frames): whole channels are dropped, in all frames.
            v = F.dropout1d(v.float().transpose(2, 3).flatten(1, 2), self.options.gru_dropout, self.training)
            v, _ = self.gru(v.transpose(1, 2))
            v = self._dropped(v)
            if self.hidden is not None:
                v = self._dropped(F.relu(self.hidden(v)))
            framewise = torch.sigmoid(self.fc(v))
            valid = None
            if n_frames is not None and self.options.mask_padding:
                valid = valid_mask(n_frames, self.time_pooling, framewise.shape[1])
            if self.attention is not None:
                clipwise, weights = attention_over_time(framewise, self.attention(v), valid)
                return SedOutput(clipwise, framewise, attention={"time": weights})
            pool = max_over_time if self.options.clipwise == "frame_max" else mean_over_time
            return SedOutput(pool(framewise, valid, time_axis=1), framewise)

    def _dropped(self, v: Tensor) -> Tensor:
        return F.dropout(v, self.options.dropout, self.training)


def _gru(n_in: int, units: int) -> nn.GRU:
    """Return a GRU in both directions as Keras begins with it, with the one bias a gate that Keras has."""
    gru = nn.GRU(n_in, units, batch_first=True, bidirectional=True)
    for name, weight in gru.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(weight)
        if name.startswith("weight_hh"):
            nn.init.orthogonal_(weight)
        if name.startswith("weight_ih"):
            # Glorot of the three gates' matrix together.
            bound = math.sqrt(6.0 / (n_in + 3 * units))
            nn.init.uniform_(weight, -bound, bound)
        if name.startswith("bias_hh"):
            weight.requires_grad_(False)
    return gru


@register("crnn", CrnnOptions)
def _build(n_classes: int, n_bins: int, options: CrnnOptions) -> Crnn:
    return Crnn(n_classes, n_bins, options)
