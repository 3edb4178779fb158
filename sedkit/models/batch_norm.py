"""Batch norm, ReLU and average pooling of a training step in one, on a CPU.

There torch goes over the maps five times ahead and five times back, which is what a network of convolutions spends its
time on where the processor multiplies bfloat16: once for the statistics and once for the rest are enough.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from sedkit.core.compiled import kernel
from sedkit.models.compiled import (
    Floats,
    Lines,
    Values,
    averaged,
    lowest,
    on_cpu,
    over_lines,
    pooled,
    real,
    spread,
    stored,
    with_gradient,
)
from sedkit.models.winograd import Conv2d

_F = np.float32


@kernel(fastmath=True)
def _moments(first: int, behind: int, x: Values, origin: Floats, block: int) -> NDArray[np.float64]:
    """Return the sums of x - origin and of its square by place in a stretch: (2, stretch)."""
    size = len(origin)
    some, squares, sums = np.empty(size, _F), np.empty(size, _F), np.zeros((2, size))
    for begin in range(first, behind, block):
        some[:] = 0
        squares[:] = 0
        for n in range(begin, min(begin + block, behind)):
            for w in range(0, x.shape[2], size):
                row = x[n // x.shape[1], n % x.shape[1], w : w + size]
                for k in range(len(row)):
                    value = real(row[k]) - origin[k]
                    some[k] += value
                    squares[k] += value * value
        for k in range(size):
            sums[0, k] += some[k]
            sums[1, k] += squares[k]
    return sums


@kernel(fastmath=True)
def _ahead(
    first: int, behind: int, x: Values, y: Values, scale: Floats, shift: Floats, low: Any, rows: int, columns: int
) -> None:
    """Fill in lines of the pooled max(low, scale x + shift)."""
    height, channels = y.shape[1], y.shape[3]
    size = len(scale)
    pools = size // (columns * channels)
    total, factor = np.empty(size, _F), _F(1 / (rows * columns))
    for n in range(first, behind):
        b, i = n // height, n % height
        for w in range(0, y.shape[2], pools):
            out, begin = y[b, i, w : w + pools], w * columns * channels
            if rows * columns == 1:
                row, only = x[b, i, begin : begin + size], out[0]
                for k in range(size):
                    only[k] = stored(max(real(row[k]) * scale[k] + shift[k], low), only[k])
                continue
            total[:] = 0
            for h in range(i * rows, (i + 1) * rows):
                row = x[b, h, begin : begin + size]
                for k in range(len(row)):
                    total[k] += max(real(row[k]) * scale[k] + shift[k], low)
            pooled(total, out, columns, factor)


@kernel(fastmath=True)
def _gradients(
    first: int,
    behind: int,
    x: Values,
    grad: Values,
    mean: Floats,
    scale: Floats,
    shift: Floats,
    low: Any,
    rows: int,
    columns: int,
    block: int,
) -> NDArray[np.float64]:
    """Return the sums of the gradient before ReLU, and of its product with x - mean, by place in a stretch."""
    height, size = x.shape[1], len(scale)
    outer, some, products = np.empty(size, _F), np.empty(size, _F), np.empty(size, _F)
    sums = np.zeros((2, size))
    for begin in range(first, behind, block):
        some[:] = 0
        products[:] = 0
        for n in range(begin, min(begin + block, behind)):
            b, h = n // height, n % height
            for w in range(0, x.shape[2], size):
                spread(grad[b], h, w, outer, rows, columns)
                row = x[b, h, w : w + size]
                for k in range(len(row)):
                    here = real(row[k])
                    value = outer[k] if here * scale[k] + shift[k] > low else _F(0)
                    some[k] += value
                    products[k] += value * (here - mean[k])
        for k in range(size):
            sums[0, k] += some[k]
            sums[1, k] += products[k]
    return sums


@kernel(fastmath=True)
def _back(
    first: int,
    behind: int,
    x: Values,
    grad: Values,
    inner: Values,
    scale: Floats,
    shift: Floats,
    of_x: Floats,
    rest: Floats,
    low: Any,
    rows: int,
    columns: int,
) -> None:
    """Fill in the gradient of x, which is linear in that before ReLU, by `scale`, and in x."""
    height, size = x.shape[1], len(scale)
    outer = np.empty(size, _F)
    for n in range(first, behind):
        b, h = n // height, n % height
        for w in range(0, x.shape[2], size):
            spread(grad[b], h, w, outer, rows, columns)
            row, out = x[b, h, w : w + size], inner[b, h, w : w + size]
            for k in range(len(row)):
                here = real(row[k])
                value = outer[k] if here * scale[k] + shift[k] > low else _F(0)
                out[k] = stored(value * scale[k] + here * of_x[k] + rest[k], out[k])


def _means(sums: list[NDArray[np.float64]], channels: int, n: int) -> Tensor:
    """Return threads' sums (figures, stretch) as means of n values (figures, channels), float64."""
    return torch.from_numpy(np.sum(sums, axis=0).reshape(len(sums[0]), -1, channels).sum(1) / n)


def _normed(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, relu: bool, rows: int, columns: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return max(0, weight (x - mean) / sqrt(variance + eps) + bias), pooled, and the batch's mean and variance.

    Ioffe and Szegedy, arXiv 1502.03167, algorithm 1: the variance is that of all values of a channel, divided by their
    number. Without `relu` there is no maximum; `rows` x `columns` values are averaged.

    Shapes: x (batch, channels, height, width), the first result (batch, channels, height // rows, width // columns),
    channels last; the others (channels,).
    """
    lines, n = Lines(x, rows, columns), x.numel() // x.shape[1]
    # From a value of their own on, sums keep the digits of a small spread.
    origin = x[0, :, 0, 0].float()
    sums = over_lines(_moments, lines.n, lines.size, lines.values, lines.along(origin), lines.block, block=lines.block)
    some, squares = _means(sums, lines.channels, n)
    mean, variance = (origin + some).float(), (squares - some**2).clamp_(min=0).float()
    scale = weight * torch.rsqrt(variance + eps)
    shift = bias - mean * scale
    y = torch.empty(
        (*x.shape[:2], x.shape[2] // rows, x.shape[3] // columns), dtype=x.dtype, memory_format=torch.channels_last
    )
    if bool(shift.isfinite().all()):
        how = (lines.along(scale), lines.along(shift), lowest(relu), rows, columns)
        out = lines.pooled(y)
        over_lines(_ahead, out.shape[0] * out.shape[1], lines.size * rows, lines.values, out, *how)
    else:
        # Compiled code for finite numbers would hide the others.
        y.fill_(torch.nan)
    return y, mean, variance


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, bias, ctx.eps, ctx.relu, ctx.rows, ctx.columns = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, bias, *output[1:])


def _gradient(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, ...]:
    if grad is None:
        return (None,) * 7
    x, weight, bias, mean, variance = ctx.saved_tensors
    lines, n = Lines(x, ctx.rows, ctx.columns), x.numel() // x.shape[1]
    outer = lines.pooled(grad.contiguous(memory_format=torch.channels_last))
    inverse = torch.rsqrt(variance + ctx.eps)
    scale = weight * inverse
    form = (lowest(ctx.relu), ctx.rows, ctx.columns)
    ahead = (lines.along(scale), lines.along(bias - mean * scale))
    how = (lines.values, outer, lines.along(mean), *ahead, *form, lines.block)
    of_bias, product = _means(
        over_lines(_gradients, lines.n, lines.size, *how, block=lines.block), lines.channels, n
    ).float()
    # d x = weight inverse (d - mean of d - (x - mean) inverse^2 mean of d (x - mean)), with d the gradient before ReLU.
    of_x = -scale * inverse**2 * product
    rest = -scale * of_bias - of_x * mean
    inner = torch.empty_like(x)
    if bool(rest.isfinite().all()):
        here = Lines(inner, ctx.rows, ctx.columns).values
        rest_of = (lines.along(of_x), lines.along(rest))
        over_lines(_back, lines.n, lines.size, lines.values, outer, here, *ahead, *rest_of, *form)
    else:
        inner.fill_(torch.nan)
    return inner, product * inverse * n, of_bias * n, None, None, None, None


_batch_norm = with_gradient(_normed, _keep, _gradient)


def batch_norm(norm: nn.Module, x: Tensor, *, relu: bool = True, pooling: tuple[int, int] = (1, 1)) -> Tensor:
    """Return `avg_pool2d(relu(norm(x)), pooling)`, about twice as fast where a batch norm trains on a CPU.

    Parameters
    ----------
    norm
        Batch norm, or what stands in its place.
    x
        (batch, channels, height, width), channels last for the quicker way; it may be overwritten.
    relu
        Leave out what is below 0.
    pooling
        Factors by which height and width shrink.

    Returns
    -------
    (batch, channels, height // pooling[0], width // pooling[1]), of the type of x. Where the quicker way is taken,
    running mean and variance are as torch makes them.
    """
    quick = (
        type(norm) is nn.BatchNorm2d
        and norm.training
        and norm.track_running_stats
        and norm.momentum is not None
        and norm.affine
        and norm.weight.dtype == torch.float32
        and on_cpu(x, pooling=pooling)
        and x.numel() > x.shape[1]
    )
    if not quick:
        y = norm(x)
        return averaged(F.relu_(y) if relu else y, pooling)
    y, mean, variance = _batch_norm(x, norm.weight, norm.bias, norm.eps, relu, *pooling)
    n = x.numel() // x.shape[1]
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)
    return y


def conv_norm_relu(conv: nn.Module, norm: nn.Module, x: Tensor, pooling: tuple[int, int] = (1, 1)) -> Tensor:
    """Return `batch_norm(norm, conv(x), pooling=pooling)`; without another pass where a norm is folded into `conv`."""
    if isinstance(norm, nn.Identity) and isinstance(conv, Conv2d):
        y: Tensor = conv(x, relu=True, pooling=pooling)
        return y
    return batch_norm(norm, conv(x), pooling=pooling)
