"""What this processor's convolutions can do: no network of convolutions is faster than that."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch.nn.functional import conv2d

from benchmarks._measure import Form, in_turn

#: A layer of the middle of the networks: clips, channels, frames, bins; 3x3 kernels.
SHAPE, QUICK_SHAPE = (8, 256, 160, 16), (2, 64, 40, 16)


def convolutions(form: Form, dtype: torch.dtype) -> dict[str, float]:
    """Return the GFLOP a second of a convolution with channels last in a type, and of torch's default in float32.

    Keys are `ours` and `stock`.
    """
    shape = QUICK_SHAPE if form.quick else SHAPE
    x, weight = torch.randn(shape), torch.randn(shape[1], shape[1], 3, 3)
    last = [v.to(dtype=dtype, memory_format=torch.channels_last) for v in (x, weight)]
    with torch.inference_mode():
        seconds, _ = in_turn(
            form, {"ours": partial(conv2d, *last, padding=1), "stock": partial(conv2d, x, weight, padding=1)}
        )
    work = 2 * x.numel() * weight[0].numel() / 1e9
    return {name: work / float(np.min(values)) for name, values in seconds.items()}
