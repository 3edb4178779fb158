"""What cannot be avoided on this machine: convolutions and transforms alone, in memory that is there already."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks._measure import Form, in_turn
from sedkit.models.precision import cpu_has_bf16

if TYPE_CHECKING:
    from sedkit.features.frontends.logmel import LogMel

#: A layer of the middle of the networks: clips, channels, frames, bins; 3x3 kernels.
SHAPE, QUICK_SHAPE = (8, 256, 160, 16), (2, 64, 40, 16)
#: What `convolutions` says, in words.
ALONE = "a convolution 3x3 of 256 channels alone (in float32, what its tiles multiply, where that is quicker)"
#: Rows and columns of the matrix that others are multiplied with, and the most rows of these.
SIDE, MOST_ROWS = 512, 2048


def convolutions(form: Form) -> dict[str, float]:
    """Return the GFLOP a second of a convolution.

    Keys are `bfloat16` (where the processor has it) and `float32`, both with channels last, and `stock`: float32 as
    torch has it by default. In float32 a convolution by tiles has two ninths of the multiplications; where these alone,
    which are products of matrices, take less time than torch's convolution, that is what cannot be avoided.
    `quickest` is that of all: beside bfloat16 tiles are taken, too.
    """
    import torch
    from torch.nn.functional import conv2d

    from sedkit.models.compiled import in_threads
    from sedkit.models.products import multiply, rows_for
    from sedkit.models.tiles import POINTS, tiles_of
    from sedkit.models.winograd import transformed

    shape = QUICK_SHAPE if form.quick else SHAPE
    x, weight = torch.randn(shape), torch.randn(shape[1], shape[1], 3, 3)
    sides = {"stock": (x, weight)}
    for dtype in (torch.bfloat16, torch.float32) if cpu_has_bf16() else (torch.float32,):
        last = [v.to(dtype=dtype, memory_format=torch.channels_last) for v in (x, weight)]
        sides[str(dtype)[6:]] = (last[0], last[1])
    with torch.inference_mode():
        ways: dict[str, Callable[[], object]] = {k: partial(conv2d, *v, padding=1) for k, v in sides.items()}
        channels, threads, rows = shape[1], torch.get_num_threads(), 96
        tiles, kernels = tiles_of(shape[0], *shape[2:]), transformed(weight).numpy()
        shares = [
            (rows, rows_for(POINTS, rows, channels), kernels, rows_for(POINTS, rows, channels), channels)
            for _ in range(threads)
        ]

        def products() -> None:
            for _ in range(-(-tiles // (rows * threads))):
                in_threads(multiply, shares)

        seconds, _ = in_turn(form, ways | {"tiles": products})
    work = 2 * x.numel() * weight[0].numel() / 1e9
    speed = {name: work / float(np.min(values)) for name, values in seconds.items()}
    speed["float32"] = max(speed["float32"], speed.pop("tiles"))
    return speed | {"quickest": max(speed.values())}


def operations(count: float, dtype: type = np.float64) -> Callable[[], None]:
    """Return so many additions and multiplications at the speed of a large product of matrices."""
    rng, rows = np.random.default_rng(0), math.ceil(count / (2 * SIDE**2))
    values = rng.random((min(rows, MOST_ROWS), SIDE)).astype(dtype)
    weights, out = rng.random((SIDE, SIDE)).astype(dtype), np.empty_like(values)

    def work() -> None:
        for first in range(0, rows, MOST_ROWS):
            n = min(MOST_ROWS, rows - first)
            np.matmul(values[:n], weights, out=out[:n])

    return work


def transforms(frontend: LogMel, frames: int, dtype: type = np.float64) -> Callable[[], None]:
    """Return the operations of the transforms of so many frames, their powers and the sums under a filter bank.

    A transform of n real samples takes 2 n log2(n) of them (split radix, Sorensen et al. 1987), but for lesser terms.
    """
    n, bank = frontend.n_fft, frontend.framing.bank
    each = 2 * n * math.log2(n) + 3 * bank.any(axis=1).sum() + 2 * np.count_nonzero(bank)
    return operations(frames * each, dtype)
