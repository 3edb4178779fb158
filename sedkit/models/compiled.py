"""What the compiled layers share: values of either precision, functions of them, pooling, threads, gradients.

Maps of a network lie channels last: a line is all values of one row, (width x channels,), that lie one after another.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray
from torch import Tensor

from sedkit.core.compiled import HONEST, inner

Floats = NDArray[np.float32]
#: Values as they lie in memory: float32, or bfloat16 as the uint16 of its bits, which numba does not know otherwise.
Values = NDArray[Any]
#: Values of a line that are gone through at a time, at least, so that loops are long and what they need lies near.
STRETCH = 256
#: Values from which on another thread is worth its start.
_WORTH_A_THREAD = 2**18
#: What torch's dispatcher knows of this toolkit.
_OPERATORS = torch.library.Library("sedkit", "FRAGMENT")
_F, _U = np.float32, np.uint32


def real(value: Any) -> Any:
    """Return a value as float32."""
    raise TypeError("for compiled code only")


@overload(real, inline="always")
def _real(value: Any) -> Callable[[Any], Any]:
    def bits(value: Any) -> Any:
        return _U(_U(value) << _U(16)).view(_F)

    def same(value: Any) -> Any:
        return value

    return bits if value == types.uint16 else same


def stored(value: Any, like: Any) -> Any:
    """Return a float32 as the kind of value that `like` is; bfloat16 to nearest, ties to even."""
    raise TypeError("for compiled code only")


@overload(stored, inline="always")
def _stored(value: Any, like: Any) -> Callable[[Any, Any], Any]:
    def nearest(value: Any, like: Any) -> Any:
        bits = _F(value).view(_U)
        return np.uint16(_U(bits + _U(0x7FFF) + _U(_U(bits >> _U(16)) & _U(1))) >> _U(16))

    def same(value: Any, like: Any) -> Any:
        return value

    return nearest if like == types.uint16 else same


@njit(inline="always", fastmath=HONEST)
def tanh(x: Any) -> Any:
    """Rational approximation within 4e-7, of which compilers make vector code, unlike of the library's tanh.

    The coefficients are those of the Eigen library (`generic_fast_tanh_float`).
    """
    # Compared so that what is not a number stays that.
    x = _F(-7.9) if x < _F(-7.9) else x
    x = _F(7.9) if x > _F(7.9) else x
    square = x * x
    above = _F(-2.76076847742355e-16)
    above = above * square + _F(2.00018790482477e-13)
    above = above * square + _F(-8.60467152213735e-11)
    above = above * square + _F(5.12229709037114e-08)
    above = above * square + _F(1.48572235717979e-05)
    above = above * square + _F(6.37261928875436e-04)
    above = above * square + _F(4.89352455891786e-03)
    below = _F(1.19825839466702e-06)
    below = below * square + _F(1.18534705686654e-04)
    below = below * square + _F(2.26843463243900e-03)
    below = below * square + _F(4.89352518554385e-03)
    return x * above / below


@njit(inline="always", fastmath=HONEST)
def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)), within 2e-7."""
    half = _F(0.5)
    return half + half * tanh(half * x)


@inner()
def draw(first: Any, line: Floats, left_out: Any, seeds: Any) -> None:
    """Fill in 1 for what stays and 0 for what is left out: places whose 32 random bits are below a limit.

    A counter, which begins at `first`, goes through a hash of 32 bits with low bias (two multiplications between
    shifts; constants by T. Ettinger, listed by C. Wellons, "hash-prospector"), with one half of the seed before each,
    so that the same are drawn again without being stored.
    """
    for k in range(len(line)):
        x = _U(_U(first + _U(k)) ^ seeds[0])
        x = _U(_U(x ^ _U(x >> _U(16))) * _U(0x21F0AAAD))
        x = _U(_U(_U(x ^ _U(x >> _U(15))) ^ seeds[1]) * _U(0x735A2D97))
        line[k] = _F(1) if _U(x ^ _U(x >> _U(15))) >= left_out else _F(0)


@inner()
def pooled(line: Floats, out: Values, columns: int, factor: Any) -> None:
    """Fill in a pooled row: `factor` times the sum of `columns` neighbours each; out (width, channels).

    The line is used up. Loops go over channels alone, by an index that begins at 0: those become vector code.
    """
    width, channels = out.shape
    size = columns * channels
    for w in range(width):
        row, total = out[w], line[w * size : w * size + channels]
        for c in range(1, columns):
            other = line[w * size + c * channels : w * size + (c + 1) * channels]
            for k in range(channels):
                total[k] += other[k]
        for k in range(channels):
            row[k] = stored(total[k] * factor, row[k])


@inner()
def spread(grad: Values, h: int, begin: int, outer: Floats, rows: int, columns: int) -> None:
    """Fill in the gradient of a stretch of row h, from value `begin` on, of that of maps pooled by rows x columns.

    Pooled maps (height, width, channels); what was left over has 0. A stretch begins with what was pooled together.
    """
    height, width, channels = grad.shape
    if h // rows >= height:
        outer[:] = 0
        return
    factor, size = _F(1 / (rows * columns)), columns * channels
    first = begin // size
    last = min(width, first + len(outer) // size)
    for w in range(first, last):
        row, total = grad[h // rows, w], outer[(w - first) * size : (w - first + 1) * size]
        for c in range(columns):
            place = total[c * channels : (c + 1) * channels]
            for k in range(channels):
                place[k] = real(row[k]) * factor
    outer[(last - first) * size :] = 0


def bits(x: Tensor) -> Values:
    """Return the same memory as an array."""
    return (x.view(torch.uint16) if x.dtype == torch.bfloat16 else x).numpy()


def as_lines(x: Tensor) -> Values:
    """Return (batch, channels, height, width), channels last, as (batch, height, width, channels) of that memory."""
    return bits(x.permute(0, 2, 3, 1))


class Lines:
    """Maps (batch, channels, height, width), channels last, for kernels that pool by rows x columns.

    Attributes
    ----------
    values
        (batch, height, values of a line). Where nothing is pooled, lines are short ones that go on over rows and maps.
    positions
        Places of a line that are gone through at a time, one stretch, of `channels` values each.
    n, size
        Lines, and values of each.
    block
        Lines of about 128 places, which are added up in float32 before they go into float64.
    """

    def __init__(self, x: Tensor, rows: int, columns: int) -> None:
        maps = as_lines(x)
        batch, height, width, self.channels = maps.shape
        self.is_pooled = rows * columns > 1
        if self.is_pooled:
            self.positions = columns * max(1, STRETCH // (columns * self.channels))
            self.values = maps.reshape(batch, height, -1)
        else:
            self.positions = math.gcd(batch * height * width, max(1, STRETCH // self.channels))
            self.values = maps.reshape(1, -1, self.positions * self.channels)
        self.n, self.size = self.values.shape[0] * self.values.shape[1], self.values.shape[2]
        self.block = max(1, 128 * self.channels // self.size)

    def pooled(self, y: Tensor) -> Values:
        """Return pooled maps (batch, height, width, channels) as they belong to the lines."""
        return as_lines(y) if self.is_pooled else as_lines(y).reshape(1, self.n, 1, -1)

    def along(self, figures: Tensor) -> Floats:
        """Return figures (channels,) of each place in a stretch."""
        return np.tile(figures.numpy(), self.positions)


@cache
def _workers(n: int, process: int) -> ThreadPoolExecutor:
    """Return threads of this process, as none outlives a fork."""
    return ThreadPoolExecutor(n, thread_name_prefix="layers")


def in_threads(work: Callable[..., Any], shares: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Call `work`, which is compiled and lets go of the interpreter, with each share's arguments at once.

    The first share is this thread's. Returns what the calls return.
    """
    first, *others = shares
    if not others:
        return [work(*first)]
    workers = _workers(torch.get_num_threads() - 1, os.getpid())
    shared = [workers.submit(work, *share) for share in others]
    return [work(*first), *(share.result() for share in shared)]


def over_lines(work: Callable[..., Any], n_lines: int, size: int, *others: Any, block: int = 1) -> list[Any]:
    """Let torch's number of threads work, each on a range of lines; return what they return.

    Parameters
    ----------
    work
        Called with the first line, the one behind the last, and `others`.
    n_lines, size
        Lines, and values of a line.
    block
        Lines that stay together, so that they add up to the same float32 whoever does it.
    """
    blocks = -(-n_lines // block)
    n = max(1, min(torch.get_num_threads(), 1 + n_lines * size // _WORTH_A_THREAD, blocks))
    edges = [block * (blocks * i // n) for i in range(n)] + [n_lines]
    return in_threads(work, [(first, behind, *others) for first, behind in pairwise(edges)])


def operator(schema: str) -> Callable[[Callable[..., Any]], Any]:
    """Make an operator of a function of tensors on a CPU, so that its floating point operations can be counted.

    One by `torch.library.custom_op` would import torch's compiler at its first call, which takes longer than most.
    """

    def define(work: Callable[..., Any]) -> Any:
        name = _OPERATORS.define(schema)
        _OPERATORS.impl(name, work, "CPU")
        return getattr(torch.ops.sedkit, name)

    return define


def with_gradient(
    work: Callable[..., Any], keep: Callable[..., None], gradient: Callable[..., Any]
) -> Callable[..., Any]:
    """Return `work` as a function that has a gradient, which itself has none: to ask for that is an error.

    `keep(context, arguments, outcome)` keeps what `gradient(context, *gradients of the outcome)` needs, which returns
    the gradients of all arguments.
    """

    class Differentiable(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = work(*inputs)
            keep(ctx, inputs, output)
            return output

        @staticmethod
        def backward(ctx: Any, *grads: Tensor | None) -> Any:
            if torch.is_grad_enabled():
                raise RuntimeError("create_graph: compiled layers have no gradient of their gradient")
            return gradient(ctx, *grads)

    apply: Callable[..., Any] = Differentiable.apply
    return apply


def lowest(relu: bool) -> Any:
    """Return what nothing falls below. The least number, not infinity, which compilers may take to be impossible."""
    return _F(0) if relu else np.finfo(_F).min


def averaged(x: Tensor, pooling: tuple[int, int]) -> Tensor:
    """Return `avg_pool2d(x, pooling)`."""
    return x if pooling == (1, 1) else F.avg_pool2d(x, pooling)


def is_recorded() -> bool:
    """Tell whether torch records a graph (trace, compile, export), which is to have the operations that torch knows."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def on_cpu(*maps: Tensor, pooling: tuple[int, int] = (1, 1)) -> bool:
    """Tell whether compiled code can go over maps: on a CPU, channels last, of one shape and a precision that it knows.

    They have to be as large as what is pooled, and no graph is being recorded.
    """
    return (
        not is_recorded()
        and all(x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last) for x in maps)
        and {x.dtype for x in maps} in ({torch.float32}, {torch.bfloat16})
        and len({x.shape for x in maps}) == 1
        and math.prod(maps[0].shape) > 0
        and maps[0].shape[2] >= pooling[0]
        and maps[0].shape[3] >= pooling[1]
    )
