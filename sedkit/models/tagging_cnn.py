"""The first pass of a detector in two passes: which classes a clip holds (Pellegrini and Cances, arXiv 1901.03146)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.blocks import Block
from sedkit.models.layers import init_glorot, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import max_over_time, mean_over_time
from sedkit.models.registry import register


@dataclass(frozen=True)
class TaggingOptions:
    """Options of the tagging network.

    Attributes
    ----------
    base_channels
        Channels of the first block; each further block doubles them. 64 is published.
    hidden
        Units of the layer before the classifier.
    time_pooling
        Factor by which the first block shrinks time; 2 is published.
    block_dropout, dropout
        Shares of whole channels left out after each block, and of the hidden layer.
    norm_momentum
        Weight of a batch in the running means of batch norm; 0.01 is published, short runs need more.
    mask_padding
        Leave padded frames out of mean and maximum over time; the published code takes them in.
    """

    base_channels: int = 64
    hidden: int = 1024
    time_pooling: int = 2
    block_dropout: float = 0.2
    dropout: float = 0.5
    norm_momentum: float = 0.01
    mask_padding: bool = True

    def __post_init__(self) -> None:
        for name in ("base_channels", "hidden", "time_pooling"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected at least 1")
        for name in ("block_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected from 0 to below 1")


class TaggingCnn(SedModel):
    """Three blocks, mean and maximum over time side by side, two layers. Each frame is given the clip's probabilities.

    The published network has 64 bins, of which one is left after the blocks; of more, the mean is taken.
    """

    def __init__(self, n_classes: int, n_bins: int, options: TaggingOptions) -> None:
        super().__init__()
        if n_bins < 64:
            raise UsageError(f"the front end gives {n_bins} bins, tagging_cnn needs at least 64")
        self.options, self.time_pooling = options, options.time_pooling
        channels = [1] + [options.base_channels * 2**i for i in range(3)]
        self.blocks = nn.Sequential(
            *(
                Block(
                    channels[i],
                    channels[i + 1],
                    (1 if i else options.time_pooling, 4),
                    nn.Dropout2d(options.block_dropout),
                    momentum=options.norm_momentum,
                )
                for i in range(3)
            )
        )
        self.hidden = nn.Linear(2 * channels[-1], options.hidden)
        self.fc = nn.Linear(options.hidden, n_classes)
        init_glorot(self.hidden)
        init_glorot(self.fc)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        v = self.blocks(x[:, None])
        with no_autocast(x):
            v = v.float().mean(dim=3)
            valid = None
            if n_frames is not None and self.options.mask_padding:
                valid = valid_mask(n_frames, self.time_pooling, v.shape[2])
            pooled = torch.cat([mean_over_time(v, valid, time_axis=2), max_over_time(v, valid, time_axis=2)], dim=1)
            hidden = F.dropout(F.relu(self.hidden(pooled)), self.options.dropout, self.training)
            clipwise = torch.sigmoid(self.fc(hidden))
        return SedOutput(clipwise, clipwise[:, None].expand(-1, v.shape[2], -1))


@register("tagging_cnn", TaggingOptions)
def _build(n_classes: int, n_bins: int, options: TaggingOptions) -> TaggingCnn:
    return TaggingCnn(n_classes, n_bins, options)
