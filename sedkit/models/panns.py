"""PANNs, taggers of AudioSet's 527 classes (Kong et al., arXiv 1912.10211), under the authors' key names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.gates import Dropout
from sedkit.models.layers import ConvBlock, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import max_over_time, mean_over_time
from sedkit.models.registry import register
from sedkit.models.weights import below_prefix, without_other_classes

#: Tables of the transform that the published files hold: front ends compute them.
_TABLES = ("spectrogram_extractor.", "logmel_extractor.")


@dataclass(frozen=True)
class PannsOptions:
    """Options of the PANNs.

    Attributes
    ----------
    base_channels
        Channels of the first block; each further block doubles them. 64 is published.
    mask_padding
        Padded frames count for nothing in the clip's probability; the published code takes them in.
    """

    base_channels: int = 64
    mask_padding: bool = True

    def __post_init__(self) -> None:
        if self.base_channels < 1:
            raise UsageError(f"base_channels is {self.base_channels}, expected at least 1")


class Pooled(NamedTuple):
    """One entry of `pooling` a block, and how frames become the clip: `clip`, `max` or `attention`."""

    pooling: tuple[int, ...]
    decision: str


class AttBlock(nn.Module):
    """Attention over time of sigmoid scores; keys `att`, `cla`, and `bn_att`, which the authors keep and do not use."""

    def __init__(self, n_features: int, n_classes: int) -> None:
        super().__init__()
        self.att = nn.Conv1d(n_features, n_classes, 1)
        self.cla = nn.Conv1d(n_features, n_classes, 1)
        self.bn_att = nn.BatchNorm1d(n_classes)

    def forward(self, x: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, features, frames) to clip (batch, classes), frames and weights (batch, frames, classes)."""
        logits, framewise = self.att(x).clamp(-10, 10).transpose(1, 2), torch.sigmoid(self.cla(x)).transpose(1, 2)
        if valid is not None:
            logits = logits.masked_fill(~valid[:, :, None], torch.finfo(logits.dtype).min)
        weights = torch.softmax(logits, dim=1)
        # A float32 softmax may sum to a hair above 1, which a cross-entropy refuses.
        return (weights * framewise).sum(dim=1).clamp(0, 1), framewise, weights


class Panns(SedModel):
    """Blocks of two convolutions on a log-mel spectrogram, the mean over its bins, one layer, and a classifier.

    `clip` (Cnn10, Cnn14) classifies maximum plus mean over time: each frame has its clip's probabilities. `max` and
    `attention` (the decision-level networks) classify each frame, smoothed over its neighbours; the published code
    repeats the frames `time_pooling` times.
    """

    def __init__(self, body: Pooled, n_classes: int, n_bins: int, options: PannsOptions) -> None:
        super().__init__()
        self.decision, self.mask_padding = body.decision, options.mask_padding
        self.time_pooling = 2 ** sum(factor == 2 for factor in body.pooling)
        if n_bins < self.time_pooling:
            raise UsageError(
                f"the front end gives {n_bins} bins, the network pools by {self.time_pooling}: use more bins"
            )
        self.bn0 = nn.BatchNorm2d(n_bins)
        self.n_blocks = len(body.pooling)
        n_in = 1
        for place, factor in enumerate(body.pooling):
            n_out = options.base_channels * 2**place
            self.add_module(f"conv_block{place + 1}", ConvBlock(n_in, n_out, 3, 2, factor, "avg"))
            n_in = n_out
        self.n_features = n_in
        blocks = [(f"conv_block{place + 1}.",) for place in range(self.n_blocks)]
        self.layer_order = [("bn0.", *blocks[0]), *blocks[1:], ("fc1.",), ("fc_audioset.", "att_block.")]
        self.block_dropout, self.dropout = Dropout(0.2), Dropout(0.5)
        self.fc1 = nn.Linear(n_in, n_in)
        if self.decision == "attention":
            self.att_block = AttBlock(n_in, n_classes)
        else:
            self.fc_audioset = nn.Linear(n_in, n_classes)

    def frames(self, x: Tensor) -> Tensor:
        """Return the frames before the last layers, the mean over the bins: (batch, channels, frames / pooling)."""
        # Each bin is normalised on its own: they stand where a photograph has its colours.
        x = self.bn0(x[:, None].transpose(1, 3)).transpose(1, 3)
        for place in range(self.n_blocks):
            x = self.block_dropout(self.get_submodule(f"conv_block{place + 1}")(x))
        return x.mean(dim=3).float()

    def embedding(self, frames: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return what `clip` classifies, (batch, channels), of what `frames` gives."""
        pooled = max_over_time(frames, valid, time_axis=2) + mean_over_time(frames, valid, time_axis=2)
        return F.relu(self.fc1(self.dropout(pooled)))

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        x = self.frames(x)
        masked = n_frames is not None and self.mask_padding
        valid = valid_mask(n_frames, self.time_pooling, x.shape[2]) if masked else None
        with no_autocast(x):
            if self.decision == "clip":
                clipwise = torch.sigmoid(self.fc_audioset(self.embedding(x, valid)))
                return SedOutput(clipwise, clipwise[:, None].expand(-1, x.shape[2], -1))
            x = F.max_pool1d(x, 3, 1, 1) + F.avg_pool1d(x, 3, 1, 1)
            x = self.dropout(F.relu(self.fc1(self.dropout(x).transpose(1, 2))))
            if self.decision == "attention":
                clipwise, framewise, weights = self.att_block(x.transpose(1, 2), valid)
                return SedOutput(clipwise, framewise, attention={"time": weights})
            framewise = torch.sigmoid(self.fc_audioset(x))
            return SedOutput(max_over_time(framewise, valid, time_axis=1), framewise)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the network below any prefix, without tables of the transform and a classifier of other classes."""
        state = below_prefix(state, "bn0.weight")
        state = {name: value for name, value in state.items() if not name.startswith(_TABLES)}
        return without_other_classes(self, state, ("fc_audioset.", "att_block."))


_CNN10, _CNN14 = (2,) * 4, (2,) * 5 + (1,)
for _name, _body in {
    "cnn10": Pooled(_CNN10, "clip"),
    "cnn14": Pooled(_CNN14, "clip"),
    "cnn14_decision_level_max": Pooled(_CNN14, "max"),
    "cnn14_decision_level_att": Pooled(_CNN14, "attention"),
}.items():
    register(_name, PannsOptions)(partial(Panns, _body))
