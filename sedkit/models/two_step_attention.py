"""Two-step attention, bins to frames and frames to clip, with an auto-encoder (Deshmukh et al., arXiv 2008.07085)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.layers import init_he_uniform, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import attention_over_time
from sedkit.models.registry import register
from sedkit.models.segmentation import SegmentationOptions, stretched, vgg


@dataclass(frozen=True)
class TwoStepOptions(SegmentationOptions):
    """Options of two-step attention (see `SegmentationOptions`).

    Attributes
    ----------
    decoder
        `linear` ends in a 3x3 convolution. `published` ends in ReLU and a 3x3 mean, which reach nothing below the mean
        of normalised features. `none` has no reconstruction.
    input_frames
        None: the second step mixes the classes of a frame, clips have any length. A number (311 is published): it mixes
        that many frames of a class, as published; it learns where in a clip events lie.
    framewise
        Frame probabilities: the first step's outcome, or the second step's, before attention.
    """

    decoder: Literal["linear", "published", "none"] = "linear"
    input_frames: int | None = None
    framewise: Literal["step_one", "step_two"] = "step_one"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.input_frames is not None and self.input_frames < self.time_pooling:
            raise UsageError(
                f"model.input_frames is {self.input_frames}, expected at least time_pooling, {self.time_pooling}"
            )


class Decoder(nn.Module):
    """Features of the encoder back to the encoder's input.

    Shapes: (batch, 8 * base_channels, frames, bins) -> (batch, frames, bins) of the input.
    """

    def __init__(self, options: TwoStepOptions) -> None:
        super().__init__()
        base = options.base_channels
        self.pooling = options.pooling
        self.blocks = vgg((8 * base, 4 * base, 2 * base, base), smooth=True)
        if options.decoder == "published":
            self.last: nn.Module = vgg((base, 1), smooth=True)
        else:
            self.last = nn.Conv2d(base, 1, 3, padding=1)
            init_he_uniform(self.last)

    def forward(self, v: Tensor, frames: int) -> Tensor:
        y: Tensor = self.last(stretched(self.blocks(v), self.pooling, frames))
        return y[:, 0].float()


class TwoStepAttention(SedModel):
    """First step: frame = sum over bins of softmax times sigmoid; second step: clip = the same over frames.

    `attention` has `frequency` (batch, classes, frames, bins) and `time` (batch, frames, classes), at the resolution of
    the encoder. The published network gives no masks; here a bin's mask is what it adds to its frame's probability,
    relative to the frame's largest attention.
    """

    def __init__(self, n_classes: int, n_bins: int, options: TwoStepOptions) -> None:
        super().__init__()
        options.check_bins(n_bins)
        base, bins = options.base_channels, n_bins // options.bin_pooling
        self.time_pooling, self.pooling, self.mask_padding = options.time_pooling, options.pooling, options.mask_padding
        self.input_frames, self.framewise = options.input_frames, options.framewise
        self.encoder = vgg((1, base, 2 * base, 4 * base, 8 * base), options.pooling, smooth=True)
        self.classifier = nn.Conv2d(8 * base, n_classes, 1)
        init_he_uniform(self.classifier)
        self.frequency_values, self.frequency_attention = nn.Linear(bins, bins), nn.Linear(bins, bins)
        mixed = n_classes if options.input_frames is None else options.input_frames // options.time_pooling
        self.time_values, self.time_attention = nn.Linear(mixed, mixed), nn.Linear(mixed, mixed)
        if options.prior != 0.5:
            # Published: biases as torch draws them, whose sigmoids are near 0.5.
            options.init_bias(self.frequency_values)
            options.init_bias(self.time_values)
        self.decoder = None if options.decoder == "none" else Decoder(options)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        if self.input_frames not in (None, x.shape[1]):
            raise SedkitError(
                f"two-step attention takes windows of {self.input_frames} frames, got {x.shape[1]} frames; "
                "set model.input_frames to that, or to null for any"
            )
        v = self.encoder(x[:, None])
        valid = None
        if n_frames is not None and self.mask_padding:
            valid = valid_mask(n_frames, self.time_pooling, v.shape[2])
        with no_autocast(x):
            classes = self.classifier(v.float())
            weights = torch.softmax(self.frequency_attention(classes), dim=3)
            parts = weights * torch.sigmoid(self.frequency_values(classes))
            frames = parts.sum(dim=3).clamp(0.0, 1.0)
            if valid is not None:
                # Layers along time would carry what padded frames hold into real ones.
                frames = frames * valid[:, None]
            by_frame = frames.transpose(1, 2)
            if self.input_frames is None:
                values, logits = self.time_values(by_frame), self.time_attention(by_frame)
            else:
                values = self.time_values(frames).transpose(1, 2)
                logits = self.time_attention(frames).transpose(1, 2)
            values = torch.sigmoid(values)
            clipwise, time = attention_over_time(values, logits, valid)
            framewise = by_frame if self.framewise == "step_one" else values
            if not self.full_output:
                return SedOutput(clipwise, framewise)
            masks = stretched(parts / weights.amax(dim=3, keepdim=True), self.pooling, x.shape[1])
        reconstruction = None if self.decoder is None else self.decoder(v, x.shape[1])
        return SedOutput(clipwise, framewise, masks, reconstruction, {"frequency": weights, "time": time})


@register("two_step_attention", TwoStepOptions)
def _build(n_classes: int, n_bins: int, options: TwoStepOptions) -> TwoStepAttention:
    return TwoStepAttention(n_classes, n_bins, options)
