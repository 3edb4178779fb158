"""Networks that segment time and frequency, learnt from clip labels: one probability a class, frame and bin.

The VGG of Kong et al. (arXiv 1804.04715) with its ways from bins to the clip, and the atrous network with attention
that Deshmukh et al. (arXiv 2008.07085) compare with. Frame probabilities are means over the bins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.batch_norm import batch_norm
from sedkit.models.layers import ConvBlock, init_he_uniform, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import ranked_mean
from sedkit.models.registry import register


@dataclass(frozen=True)
class SegmentationOptions:
    """Options that the networks share.

    Attributes
    ----------
    base_channels
        Channels of the first block, of which the others are multiples. 32 is published, for the atrous network 64.
    time_pooling, bin_pooling
        Frames and bins that are averaged after the first block. 1 is published; more is for small machines.
    mask_padding
        Leave padded frames out of the clip's probability; the published code has clips of one length.
    prior
        Probability that the network begins with, by its biases: 0.5 is published. Short runs spend their steps on the
        way down to how rare the classes are.
    """

    base_channels: int = 32
    time_pooling: int = 1
    bin_pooling: int = 1
    mask_padding: bool = True
    prior: float = 0.5

    def __post_init__(self) -> None:
        for name in ("base_channels", "time_pooling", "bin_pooling"):
            if getattr(self, name) < 1:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected at least 1")
        if not 0 < self.prior < 1:
            raise UsageError(f"model.prior is {self.prior}, expected a probability between 0 and 1")

    @property
    def pooling(self) -> tuple[int, int]:
        """Frames and bins that become one."""
        return self.time_pooling, self.bin_pooling

    def init_bias(self, layer: nn.Conv2d | nn.Linear) -> None:
        """Set the bias of the layer before a sigmoid to the logit of `prior`."""
        assert layer.bias is not None
        nn.init.constant_(layer.bias, math.log(self.prior / (1 - self.prior)))

    def check_bins(self, n_bins: int) -> None:
        """Raise UsageError where the bins of the features are not a multiple of `bin_pooling`."""
        if n_bins % self.bin_pooling:
            raise UsageError(f"model.bin_pooling is {self.bin_pooling}, expected a divisor of the {n_bins} bins")


@dataclass(frozen=True)
class RankOptions(SegmentationOptions):
    """Options of global weighted rank pooling (see `SegmentationOptions`).

    Attributes
    ----------
    r
        Weight of each bin of the features relative to the next larger one: 0 is the maximum, 1 the mean, 0.9998 is
        published. Where bins are averaged, each stands for as many: they are pooled as if they were repeated.
    """

    r: float = 0.9998

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.r <= 1:
            raise UsageError(f"model.r is {self.r}, expected 0 to 1")


@dataclass(frozen=True)
class AtrousOptions(SegmentationOptions):
    """Options of the atrous network (see `SegmentationOptions`).

    Attributes
    ----------
    head
        `sigmoid`: attention's mean of sigmoids. `log_softmax`: sigmoid of its mean of log-softmaxes over the classes,
        as published; no probability is above 0.5.
    """

    base_channels: int = 64
    head: Literal["sigmoid", "log_softmax"] = "sigmoid"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head == "log_softmax" and self.prior != 0.5:
            raise UsageError(
                f"model.prior is {self.prior}, expected 0.5 with model.head log_softmax, where one bias "
                "of all classes changes nothing"
            )


def vgg(widths: Sequence[int], pooling: tuple[int, int] = (1, 1), smooth: bool = False) -> nn.Sequential:
    """Return blocks of two 3x3 convolutions; `pooling` follows the first block, a 3x3 mean each with `smooth`.

    Shapes: (batch, widths[0], frames, bins) -> (batch, widths[-1], frames // pooling[0], bins // pooling[1]).
    """
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(pairwise(widths)):
        layers.append(ConvBlock(n_in, n_out, 3, 2, (1, 1) if i else pooling, "avg"))
        if smooth:
            layers.append(nn.AvgPool2d(3, stride=1, padding=1))
    return nn.Sequential(*layers)


class AtrousBlock(nn.Module):
    """5x5 convolution whose taps lie `dilation` apart, batch norm, ReLU; frames and bins keep their number."""

    folding: ClassVar = (("conv", "norm"),)

    def __init__(self, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(n_in, n_out, 5, padding=2 * dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(n_out)
        init_he_uniform(self.conv)

    def forward(self, x: Tensor) -> Tensor:
        return batch_norm(self.norm, self.conv(x))


def atrous(base_channels: int, pooling: tuple[int, int]) -> nn.Sequential:
    """Return blocks of dilation 1, 2 and 4, their channels doubling; `pooling` follows the first."""
    widths = (1, base_channels, 2 * base_channels, 4 * base_channels)
    first, *others = (AtrousBlock(widths[i], widths[i + 1], 2**i) for i in range(3))
    return nn.Sequential(first, *([] if pooling == (1, 1) else [nn.AvgPool2d(pooling)]), *others)


def stretched(x: Tensor, pooling: tuple[int, int], frames: int) -> Tensor:
    """Repeat (batch, channels, frames, bins) by the factors of a pooling; the last frame fills up to `frames`."""
    if pooling == (1, 1):
        return x
    x = x.repeat_interleave(pooling[0], dim=2).repeat_interleave(pooling[1], dim=3)
    # Padding by replication has no deterministic gradient on CUDA.
    tail = x[:, :, -1:].expand(-1, -1, frames - x.shape[2], -1)
    return torch.cat([x, tail], dim=2)


class Pooled(NamedTuple):
    """What a head makes of features.

    Attributes
    ----------
    masks
        (batch, classes, frames, bins) probabilities.
    clipwise
        (batch, classes).
    weights
        As `masks`, summing to 1 over each clip's frames and bins; None where the head has none.
    """

    masks: Tensor
    clipwise: Tensor
    weights: Tensor | None = None


class RankHead(nn.Module):
    """A classifier of every bin, and global weighted rank pooling of its probabilities."""

    def __init__(self, n_in: int, n_classes: int, r: float) -> None:
        super().__init__()
        self.classifier = nn.Conv2d(n_in, n_classes, 1)
        self.r = r
        init_he_uniform(self.classifier)

    def forward(self, v: Tensor, valid: Tensor | None) -> Pooled:
        masks = torch.sigmoid(self.classifier(v))
        n_valid = None if valid is None else valid.sum(dim=1) * masks.shape[3]
        return Pooled(masks, ranked_mean(masks.flatten(2), self.r, n_valid))


class AttentionHead(nn.Module):
    """A classifier of every bin and a class's attention to it, which begins as the same to all.

    Parameters
    ----------
    n_in, n_classes
        Channels in and out.
    values
        What the attention averages: `sigmoid`, or `log_softmax` over the classes, of whose mean the sigmoid is taken.
    weights
        `softmax` over frames and bins; `clamped` has sigmoids between 0.1 and 0.9, over their sum.
    """

    def __init__(
        self,
        n_in: int,
        n_classes: int,
        values: Literal["sigmoid", "log_softmax"],
        weights: Literal["softmax", "clamped"],
    ) -> None:
        super().__init__()
        self.classifier, self.attention = nn.Conv2d(n_in, n_classes, 1), nn.Conv2d(n_in, n_classes, 1)
        self.values, self.weights = values, weights
        init_he_uniform(self.classifier)
        for parameter in self.attention.parameters():
            nn.init.zeros_(parameter)

    def forward(self, v: Tensor, valid: Tensor | None) -> Pooled:
        logits, classes = self.attention(v), self.classifier(v)
        padded = None if valid is None else ~valid[:, None, :, None]
        if self.weights == "softmax":
            if padded is not None:
                logits = logits.masked_fill(padded, torch.finfo(logits.dtype).min)
            weights = logits.flatten(2).softmax(dim=2).view_as(logits)
        else:
            weights = torch.sigmoid(logits).clamp(0.1, 0.9)
            if padded is not None:
                weights = weights.masked_fill(padded, 0.0)
            weights = weights / weights.sum(dim=(2, 3), keepdim=True)
        if self.values == "log_softmax":
            scores = classes.log_softmax(dim=1)
            return Pooled(torch.sigmoid(scores), torch.sigmoid((weights * scores).sum(dim=(2, 3))), weights)
        masks = torch.sigmoid(classes)
        return Pooled(masks, (weights * masks).sum(dim=(2, 3)).clamp(0.0, 1.0), weights)


class Segmentation(SedModel):
    """A body that keeps time and frequency, and a head that makes masks and the clip's probabilities.

    Masks have the frames and bins of the features; `attention["bins"]` has the resolution of the body.
    """

    def __init__(self, body: nn.Module, head: nn.Module, options: SegmentationOptions) -> None:
        super().__init__()
        self.body, self.head = body, head
        options.init_bias(head.classifier)
        self.time_pooling, self.pooling, self.mask_padding = options.time_pooling, options.pooling, options.mask_padding

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        v = self.body(x[:, None]).float()
        valid = None
        if n_frames is not None and self.mask_padding:
            valid = valid_mask(n_frames, self.time_pooling, v.shape[2])
        with no_autocast(x):
            masks, clipwise, weights = self.head(v, valid)
            framewise = masks.mean(dim=3).transpose(1, 2)
            if not self.full_output:
                return SedOutput(clipwise, framewise)
            attention = None if weights is None else {"bins": weights}
            return SedOutput(clipwise, framewise, stretched(masks, self.pooling, x.shape[1]), attention=attention)


def _vgg(n_bins: int, options: SegmentationOptions) -> tuple[nn.Sequential, int]:
    """Return the body of Kong et al. and its channels."""
    options.check_bins(n_bins)
    base = options.base_channels
    return vgg((1, base, 2 * base, 4 * base, 4 * base), options.pooling), 4 * base


def _build_ranked(r: float, n_classes: int, n_bins: int, options: SegmentationOptions) -> Segmentation:
    body, channels = _vgg(n_bins, options)
    # Of n equal values each, sum_j r^j v_(j) / sum_j r^j is the same as of one each with r^n.
    return Segmentation(body, RankHead(channels, n_classes, r ** math.prod(options.pooling)), options)


for _name, _r in (("segmentation_gmp", 0.0), ("segmentation_gap", 1.0)):
    register(_name, SegmentationOptions)(partial(_build_ranked, _r))


@register("segmentation_gwrp", RankOptions)
def _build_gwrp(n_classes: int, n_bins: int, options: RankOptions) -> Segmentation:
    return _build_ranked(options.r, n_classes, n_bins, options)


@register("segmentation_attention", SegmentationOptions)
def _build_attention(n_classes: int, n_bins: int, options: SegmentationOptions) -> Segmentation:
    body, channels = _vgg(n_bins, options)
    return Segmentation(body, AttentionHead(channels, n_classes, "sigmoid", "softmax"), options)


@register("atrous_attention", AtrousOptions)
def _build_atrous(n_classes: int, n_bins: int, options: AtrousOptions) -> Segmentation:
    options.check_bins(n_bins)
    head = AttentionHead(4 * options.base_channels, n_classes, options.head, "clamped")
    return Segmentation(atrous(options.base_channels, options.pooling), head, options)
