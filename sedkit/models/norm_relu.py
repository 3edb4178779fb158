"""Batch norm and ReLU of a training step in one, on a CPU.

There torch goes over the maps five times ahead and five times back, which is what a network of convolutions spends its
time on where the processor multiplies bfloat16: once for the statistics and once for the rest are enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor, nn

from sedkit.models.threads import in_threads

Floats = NDArray[np.float32]
#: Values as they lie in memory: float32, or bfloat16 as the uint16 of its bits, which numba does not know otherwise.
Values = NDArray[Any]
_F, _U = np.float32, np.uint32
#: Rows that are added up in float32 before they go into float64.
_ROWS = 128
#: Values from which on another thread is worth its start.
_WORTH_A_THREAD = 2**18


def _real(value: Any) -> Any:
    """Return a value as float32."""
    raise TypeError("for compiled code only")


@overload(_real, inline="always")
def _real_of(value: Any) -> Callable[[Any], Any]:
    def bits(value: Any) -> Any:
        return _U(_U(value) << _U(16)).view(_F)

    def same(value: Any) -> Any:
        return value

    return bits if value == types.uint16 else same


def _stored(value: Any, like: Any) -> Any:
    """Return a float32 as the kind of value that `like` is; bfloat16 to nearest, ties to even."""
    raise TypeError("for compiled code only")


@overload(_stored, inline="always")
def _stored_of(value: Any, like: Any) -> Callable[[Any, Any], Any]:
    def nearest(value: Any, like: Any) -> Any:
        bits = _F(value).view(_U)
        return np.uint16(_U(bits + _U(0x7FFF) + _U(_U(bits >> _U(16)) & _U(1))) >> _U(16))

    def same(value: Any, like: Any) -> Any:
        return value

    return nearest if like == types.uint16 else same


@njit(cache=True, nogil=True, fastmath=True)
def _moments(x: Values, origin: Floats) -> NDArray[np.float64]:
    """Return the sums of x - origin and of its square by channel: (2, channels)."""
    n_rows, channels = x.shape
    some, squares, sums = np.empty(channels, _F), np.empty(channels, _F), np.zeros((2, channels))
    for begin in range(0, n_rows, _ROWS):
        some[:] = 0
        squares[:] = 0
        for r in range(begin, min(begin + _ROWS, n_rows)):
            row = x[r]
            for k in range(channels):
                value = _real(row[k]) - origin[k]
                some[k] += value
                squares[k] += value * value
        for k in range(channels):
            sums[0, k] += some[k]
            sums[1, k] += squares[k]
    return sums


@njit(cache=True, nogil=True, fastmath=True)
def _ahead(x: Values, y: Values, scale: Floats, shift: Floats) -> None:
    """Fill in y = max(0, scale x + shift)."""
    n_rows, channels = x.shape
    for r in range(n_rows):
        row, out = x[r], y[r]
        for k in range(channels):
            out[k] = _stored(max(_real(row[k]) * scale[k] + shift[k], _F(0)), out[k])


@njit(cache=True, nogil=True, fastmath=True)
def _gradients(x: Values, y: Values, grad: Values, mean: Floats) -> NDArray[np.float64]:
    """Return the sums of the gradient before ReLU, and of its product with x - mean, by channel: (2, channels)."""
    n_rows, channels = x.shape
    some, products, sums = np.empty(channels, _F), np.empty(channels, _F), np.zeros((2, channels))
    for begin in range(0, n_rows, _ROWS):
        some[:] = 0
        products[:] = 0
        for r in range(begin, min(begin + _ROWS, n_rows)):
            row, out, outer = x[r], y[r], grad[r]
            for k in range(channels):
                value = _real(outer[k]) if out[k] != 0 else _F(0)
                some[k] += value
                products[k] += value * (_real(row[k]) - mean[k])
        for k in range(channels):
            sums[0, k] += some[k]
            sums[1, k] += products[k]
    return sums


@njit(cache=True, nogil=True, fastmath=True)
def _back(x: Values, y: Values, grad: Values, inner: Values, of_grad: Floats, of_x: Floats, rest: Floats) -> None:
    """Fill in the gradient of x, which is linear in that before ReLU and in x."""
    n_rows, channels = x.shape
    for r in range(n_rows):
        row, out, outer, here = x[r], y[r], grad[r], inner[r]
        for k in range(channels):
            value = _real(outer[k]) if out[k] != 0 else _F(0)
            here[k] = _stored(value * of_grad[k] + _real(row[k]) * of_x[k] + rest[k], here[k])


def _over(work: Callable[..., Any], rows: Sequence[Values], *others: Any) -> list[Any]:
    """Let torch's number of threads work, each on its share of the rows; return what they return."""
    blocks = -(-len(rows[0]) // _ROWS)
    n = min(torch.get_num_threads(), 1 + rows[0].size // _WORTH_A_THREAD, blocks)
    # Whole blocks each, which add up to the same float32 whoever does it.
    edges = [_ROWS * (blocks * i // n) for i in range(n)] + [len(rows[0])]
    return in_threads(work, [(*(array[a:b] for array in rows), *others) for a, b in pairwise(edges)])


def _rows(x: Tensor) -> Values:
    """Return (batch, channels, height, width), channels last, as (values, channels) of the same memory."""
    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
    return (flat.view(torch.uint16) if x.dtype == torch.bfloat16 else flat).numpy()


@torch.library.custom_op("sedkit::norm_relu", mutates_args=())
def _norm_relu(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return max(0, weight (x - mean) / sqrt(variance + eps) + bias), and the batch's mean and variance.

    Ioffe and Szegedy, arXiv 1502.03167, algorithm 1: the variance is that of all values of a channel, divided by their
    number.

    Shapes: x and the first result (batch, channels, height, width), channels last; the others (channels,).
    """
    rows = _rows(x)
    # From a value of their own on, sums keep the digits of a small spread.
    origin = x[0, :, 0, 0].float()
    sums = torch.from_numpy(sum(_over(_moments, [rows], origin.numpy()))) / len(rows)
    mean, variance = (origin + sums[0]).float(), (sums[1] - sums[0] ** 2).clamp_(min=0).float()
    scale = weight * torch.rsqrt(variance + eps)
    shift = bias - mean * scale
    y = torch.empty_like(x)
    if bool(shift.isfinite().all()):
        _over(_ahead, [rows, _rows(y)], scale.numpy(), shift.numpy())
    else:
        # Compiled code for finite numbers would hide the others.
        y.fill_(torch.nan)
    return y, mean, variance


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, _, ctx.eps = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, weight, *output)


def _gradient(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
    if grad is None:
        return None, None, None, None
    x, weight, y, mean, variance = ctx.saved_tensors
    rows = [_rows(x), _rows(y), _rows(grad.contiguous(memory_format=torch.channels_last))]
    of_bias, product = torch.from_numpy(sum(_over(_gradients, rows, mean.numpy()))).float()
    inverse = torch.rsqrt(variance + ctx.eps)
    of_weight = product * inverse
    # d x = weight inverse (d - mean of d - (x - mean) inverse^2 mean of d (x - mean)), with d the gradient before ReLU.
    of_grad = weight * inverse
    of_x = -of_grad * inverse * of_weight / len(rows[0])
    rest = -of_grad * of_bias / len(rows[0]) - of_x * mean
    inner = torch.empty_like(x)
    if bool(rest.isfinite().all()):
        _over(_back, [*rows, _rows(inner)], of_grad.numpy(), of_x.numpy(), rest.numpy())
    else:
        inner.fill_(torch.nan)
    return inner, of_weight, of_bias, None


_norm_relu.register_autograd(_gradient, setup_context=_keep)


def norm_relu(norm: nn.Module, x: Tensor) -> Tensor:
    """Return `torch.relu(norm(x))`, about twice as fast where a batch norm trains on a CPU with channels last.

    Parameters
    ----------
    norm
        Batch norm, or what stands in its place.
    x
        (batch, channels, height, width); it may be overwritten.

    Returns
    -------
    Like x. Where the quicker way is taken, running mean and variance are as torch makes them.
    """
    quick = (
        type(norm) is nn.BatchNorm2d
        and norm.training
        and norm.track_running_stats
        and norm.momentum is not None
        and x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.bfloat16)
        and x.is_contiguous(memory_format=torch.channels_last)
        and x.numel() > x.shape[1]
    )
    if not quick:
        return F.relu_(norm(x))
    y, mean, variance = _norm_relu(x, norm.weight, norm.bias, norm.eps)
    n = x.numel() // x.shape[1]
    with torch.no_grad():
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (n / (n - 1)), norm.momentum)
    return y
