"""ResNet-18 (He et al. 2016), parameter names as in torchvision, so that ImageNet weights can be given as a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.batch_norm import batch_norm, conv_norm_relu
from sedkit.models.layers import no_autocast
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.registry import register
from sedkit.models.winograd import Conv2d


@dataclass(frozen=True)
class ResNetOptions:
    """Options of ResNet-18.

    Attributes
    ----------
    input_frames
        Feature frames of a window; the network gives one frame a window.
    stem_channels
        1 for a spectrogram; 3 repeats it, as a network of photographs expects.
    base_channels
        Channels of the stem and the first stage; each further stage doubles them. 64 is published.
    """

    input_frames: int = 100
    stem_channels: Literal[1, 3] = 1
    base_channels: int = 64

    def __post_init__(self) -> None:
        for name in ("input_frames", "base_channels"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least 1")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; (batch, n_in, h, w) -> (batch, n_out, h / stride, w / stride)."""

    folding: ClassVar = (("conv1", "bn1"), ("conv2", "bn2"))

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(n_out)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = Conv2d(n_out, n_out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(n_out)
        self.downsample: nn.Module | None = None
        if stride != 1 or n_in != n_out:
            self.downsample = Shortcut(n_in, n_out, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = conv_norm_relu(self.conv1, self.bn1, x)
        return self.relu(self.bn2(self.conv2(x)) + shortcut)


class Shortcut(nn.Sequential):
    """1x1 convolution and batch norm of every `stride`th row and column, where a block changes its size."""

    folding: ClassVar = (("0", "1"),)

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__(nn.Conv2d(n_in, n_out, 1, bias=False), nn.BatchNorm2d(n_out))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        # Picked here: the gradient of the weights of a 1x1 convolution with a stride writes past its memory where a
        # processor without AVX-512 has fewer than 8 channels (uxlfoundation/oneDNN issue 6035).
        out: Tensor = super().forward(x[:, :, :: self.stride, :: self.stride])
        return out


class ResNet18(SedModel):
    """One probability a class and window of `input_frames` frames."""

    folding = (("conv1", "bn1"),)

    def __init__(self, n_classes: int, options: ResNetOptions) -> None:
        super().__init__()
        self.input_frames = self.time_pooling = options.input_frames
        width = options.base_channels
        self.conv1 = nn.Conv2d(options.stem_channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        widths = (width, width, 2 * width, 4 * width, 8 * width)
        for i in range(1, 5):
            first = BasicBlock(widths[i - 1], widths[i], stride=1 if i == 1 else 2)
            self.add_module(f"layer{i}", nn.Sequential(first, BasicBlock(widths[i], widths[i], 1)))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(widths[-1], n_classes)
        self.layer_order = [("conv1.", "bn1."), *((f"layer{i}.",) for i in range(1, 5)), ("fc.",)]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        if x.shape[1] != self.input_frames:
            raise SedkitError(f"ResNet-18 takes windows of {self.input_frames} frames, got {x.shape[1]} frames")
        # (batch, channels, bins, frames): frequency stands where a photograph has its rows.
        x = x[:, None].transpose(2, 3).expand(-1, self.conv1.in_channels, -1, -1)
        x = self.maxpool(batch_norm(self.bn1, self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = self.avgpool(x).flatten(1).float()
        with no_autocast(x):
            clipwise = torch.sigmoid(self.fc(x))
        return SedOutput(clipwise, clipwise[:, None])

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Average the stem over the colours where this network has one channel; drop a classifier of other classes."""
        state = dict(state)
        stem = state.get("conv1.weight")
        if stem is not None and stem.ndim == 4 and stem.shape[1] == 3 and self.conv1.in_channels == 1:
            state["conv1.weight"] = stem.mean(dim=1, keepdim=True)
        if "fc.weight" in state and state["fc.weight"].shape != self.fc.weight.shape:
            del state["fc.weight"]
            state.pop("fc.bias", None)
        return state


@register("resnet18", ResNetOptions)
def _build(n_classes: int, n_bins: int, options: ResNetOptions) -> ResNet18:
    return ResNet18(n_classes, options)
