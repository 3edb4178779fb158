"""A trained network made ready for fast prediction: batch norms folded, bfloat16 where asked for, channels last."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sedkit.models.frequency_dynamic import FrequencyDynamicConv
from sedkit.models.output import SedModel
from sedkit.models.winograd import Conv2d


def fold_batch_norms(network: nn.Module) -> None:
    """Merge each batch norm into the convolution before it, in place: w' = w g / s, b' = beta - mu g / s.

    Modules say which pairs belong together in their class attribute `folding`; the network must be in evaluation mode.
    """
    for module in network.modules():
        for conv_name, norm_name in getattr(module, "folding", ()):
            conv, norm = getattr(module, conv_name, None), getattr(module, norm_name, None)
            if isinstance(norm, nn.BatchNorm2d) and isinstance(conv, nn.Conv2d | FrequencyDynamicConv):
                fused = fuse_conv_bn_eval(conv, norm) if isinstance(conv, nn.Conv2d) else conv.folded(norm)
                setattr(module, conv_name, fused)
                setattr(module, norm_name, nn.Identity())


def for_prediction(network: SedModel, device: torch.device, dtype: torch.dtype, full_output: bool = False) -> SedModel:
    """Return a copy of `network` for prediction alone.

    It computes in `dtype` what autocast computes in it in training; what a network keeps out of autocast (classifier,
    probabilities) stays float32. Masks, reconstruction and attention cost time and memory: `full_output` asks for them.
    """
    fast = copy.deepcopy(network).eval().requires_grad_(False)
    fast.full_output = full_output
    fold_batch_norms(fast)
    fast = fast.to(device=device, memory_format=torch.channels_last)
    for layer in fast.modules():
        if isinstance(layer, Conv2d):
            layer.is_final = True
    fast.autocast = None if dtype == torch.float32 else dtype
    return fast
