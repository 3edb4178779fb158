"""The convolutional networks of the cross-task baseline of DCASE 2019 Task 4 (Kong et al., arXiv 1904.03476)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.layers import ConvBlock, init_he_uniform, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import attention_over_time, max_over_time, reduce_frequency
from sedkit.models.registry import register


@dataclass(frozen=True)
class CnnOptions:
    """Options of the CNNs.

    Attributes
    ----------
    clipwise
        `feature_max`: classifier of the features' maximum over time (published for clip-level losses); `frame_max`:
        maximum of the frame probabilities (published for frame-level losses).
    base_channels
        Channels of the first block; each further block doubles them. 64 is published.
    mask_padding
        Leave padded frames out of the maximum over time; the published code takes them in.
    """

    clipwise: Literal["feature_max", "frame_max"] = "feature_max"
    base_channels: int = 64
    mask_padding: bool = True


@dataclass(frozen=True)
class AttentionOptions:
    """Options of the CNN with an attention head (see `CnnOptions`)."""

    base_channels: int = 64
    mask_padding: bool = True


@dataclass(frozen=True)
class _Body:
    """Geometry of a body: one entry of `pooling` a block."""

    kernel: int
    convolutions: int
    pooling: tuple[int, ...]
    pooling_type: str
    frequency: str


_BODIES = {
    "cnn5_avg": _Body(5, 1, (2, 2, 2, 1), "avg", "mean"),
    "cnn9_avg": _Body(3, 2, (2, 2, 2, 1), "avg", "max"),
    "cnn9_max": _Body(3, 2, (2, 2, 2, 1), "max", "max"),
    "cnn13_avg": _Body(3, 2, (2, 2, 2, 2, 2, 1), "avg", "max"),
}


def _block_name(match: re.Match[str]) -> str:
    return f"blocks.{int(match.group(1)) - 1}."


class _CnnBody(SedModel):
    """Blocks of convolutions, then one vector a frame."""

    def __init__(self, body: _Body, n_bins: int, base_channels: int, mask_padding: bool) -> None:
        super().__init__()
        if base_channels < 1:
            raise UsageError(f"model.base_channels is {base_channels}, expected at least 1")
        self.time_pooling = math.prod(body.pooling)
        if n_bins < self.time_pooling:
            raise UsageError(
                f"the front end gives {n_bins} bins, the network pools by {self.time_pooling}: use more bins"
            )
        self.body_type = body
        self.mask_padding = mask_padding
        channels = [1] + [base_channels * 2**i for i in range(len(body.pooling))]
        self.blocks = nn.Sequential(
            *(
                ConvBlock(n_in, n_out, body.kernel, body.convolutions, pooling, body.pooling_type)
                for n_in, n_out, pooling in zip(channels[:-1], channels[1:], body.pooling, strict=True)
            )
        )
        self.n_features = channels[-1]

    def features(self, x: Tensor, n_frames: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Return (batch, channels, frames / pooling) float32 and which of the frames count."""
        v = reduce_frequency(self.blocks(x[:, None]), self.body_type.frequency).float()
        if n_frames is None or not self.mask_padding:
            return v, None
        return v, valid_mask(n_frames, self.time_pooling, v.shape[2])

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the blocks of networks that call them `conv_block1.conv1` and so on; drop what is not in the blocks."""
        if not any(name.startswith("conv_block1.") for name in state):
            return state
        renamed = {re.sub(r"^conv_block(\d+)\.", _block_name, name): value for name, value in state.items()}
        return {name: value for name, value in renamed.items() if name.startswith("blocks.")}


class Cnn(_CnnBody):
    """A body and one linear classifier, applied to each frame and to the clip.

    Framewise probabilities are sigmoid(W v(t) + b); the published code repeats each of them `time_pooling` times.
    """

    def __init__(self, body: _Body, n_classes: int, n_bins: int, options: CnnOptions) -> None:
        super().__init__(body, n_bins, options.base_channels, options.mask_padding)
        self.clipwise = options.clipwise
        self.fc = nn.Linear(self.n_features, n_classes)
        init_he_uniform(self.fc)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        v, valid = self.features(x, n_frames)
        with no_autocast(x):
            framewise = torch.sigmoid(self.fc(v.transpose(1, 2)))
            if self.clipwise == "feature_max":
                clipwise = torch.sigmoid(self.fc(max_over_time(v, valid, time_axis=2)))
            else:
                clipwise = max_over_time(framewise, valid, time_axis=1)
        return SedOutput(clipwise, framewise)


class AttentionCnn(_CnnBody):
    """The 9-layer body with an attention head: clip = sum over time of softmax(attention) times frame probability."""

    def __init__(self, body: _Body, n_classes: int, n_bins: int, options: AttentionOptions) -> None:
        super().__init__(body, n_bins, options.base_channels, options.mask_padding)
        self.fc = nn.Linear(self.n_features, n_classes)
        self.attention = nn.Linear(self.n_features, n_classes)
        init_he_uniform(self.fc)
        init_he_uniform(self.attention)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        v, valid = self.features(x, n_frames)
        with no_autocast(x):
            v = v.transpose(1, 2)
            framewise = torch.sigmoid(self.fc(v))
            clipwise, weights = attention_over_time(framewise, self.attention(v), valid)
        return SedOutput(clipwise, framewise, attention={"time": weights})


for _name, _body in _BODIES.items():
    register(_name, CnnOptions)(partial(Cnn, _body))
register("cnn9_att", AttentionOptions)(partial(AttentionCnn, _BODIES["cnn9_avg"]))
