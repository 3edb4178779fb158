"""Convolutions 3x3 with a quarter of the multiplications, on a CPU in float32.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016, arXiv 1509.09308): F(4x4, 3x3). A tile
of 4x4 outcomes comes of 6x6 values d and a kernel g as A' [(G g G') * (B' d B)] A, in which `*` is value by value, so
that all tiles together are 36 products of matrices. The gradients are those of the same steps. What is transformed is
added up in another order than a convolution does: outcomes differ by some 1e-5 of their spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from sedkit.models.compiled import HONEST, Floats, as_lines, kernel, lowest, on_cpu, operator, over_lines, with_gradient

#: Outcomes and values along a side of a tile, and products of a tile.
OUT, SIDE = 4, 6
POINTS = SIDE * SIDE
#: Channels that are transformed at a time: 6x6 of them stay in the first-level cache.
_STRETCH = 64
#: Tiles that are transformed, multiplied and transformed back at a time, so that what is between stays in caches.
_BLOCK = 128
#: Fewest channels, pairs of channels, tiles of a map, and times fewer multiplications that are worth the transforms.
_CHANNELS, _PAIRS, _FEWEST, _GAIN = 32, 32 * 64, 4, 2.0
#: G of section 4.3, by points 0, 1, -1, 2, -2 and infinity.
_KERNEL = torch.tensor(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    dtype=torch.float64,
)
#: Of both axes at once: (36, 9).
_KERNELS = torch.kron(_KERNEL, _KERNEL).float()
_F, _N = np.float32, np.uint64


@njit(inline="always", fastmath=HONEST)
def _values(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Return B' of six values."""
    u, v = d - _F(4) * b, e - _F(4) * c
    s, r = _F(2) * (d - b), e - c
    return _F(4) * a - _F(5) * c + e, v + u, v - u, r + s, r - s, _F(4) * b - _F(5) * d + f


@njit(inline="always", fastmath=HONEST)
def _outcomes(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Return A' of six products."""
    s, u, r, v = b + c, b - c, d + e, d - e
    return a + s + r, u + _F(2) * v, s + _F(4) * r, u + _F(8) * v + f


@njit(inline="always", fastmath=HONEST)
def _gradients(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Return A of the gradients of four outcomes."""
    s, u = a + c, b + d
    r, v = a + _F(4) * c, _F(2) * b + _F(8) * d
    return a, s + u, s - u, r + v, r - v, d


# Lines of six, or four, are given by where the first begins and how far apart they lie. Places without a sign need no
# look at whether they count from the end, which would keep compilers from making vector code.


@kernel()
def _lines_of_values(source: Floats, begin: Any, apart: Any, out: Floats, to: Any, steps: Any, n: Any) -> None:
    i0, i, o0, o = _N(begin), _N(apart), _N(to), _N(steps)
    i1, o1 = i0 + i, o0 + o
    i2, o2 = i1 + i, o1 + o
    i3, o3 = i2 + i, o2 + o
    i4, o4 = i3 + i, o3 + o
    i5, o5 = i4 + i, o4 + o
    for k in range(_N(n)):
        v = _values(source[i0 + k], source[i1 + k], source[i2 + k], source[i3 + k], source[i4 + k], source[i5 + k])
        out[o0 + k], out[o1 + k], out[o2 + k], out[o3 + k], out[o4 + k], out[o5 + k] = v


@kernel()
def _lines_of_outcomes(source: Floats, begin: Any, apart: Any, out: Floats, to: Any, steps: Any, n: Any) -> None:
    i0, i, o0, o = _N(begin), _N(apart), _N(to), _N(steps)
    i1, o1 = i0 + i, o0 + o
    i2, o2 = i1 + i, o1 + o
    i3, o3 = i2 + i, o2 + o
    i4, i5 = i3 + i, i3 + i + i
    for k in range(_N(n)):
        v = _outcomes(source[i0 + k], source[i1 + k], source[i2 + k], source[i3 + k], source[i4 + k], source[i5 + k])
        out[o0 + k], out[o1 + k], out[o2 + k], out[o3 + k] = v


@kernel()
def _lines_of_results(
    source: Floats, begin: Any, apart: Any, bias: Floats, low: Any, out: Floats, to: Any, steps: Any, n: Any
) -> None:
    """Do the same, add a bias to each of n channels, and let nothing fall below `low`."""
    i0, i, o0, o = _N(begin), _N(apart), _N(to), _N(steps)
    i1, o1 = i0 + i, o0 + o
    i2, o2 = i1 + i, o1 + o
    i3, o3 = i2 + i, o2 + o
    i4, i5 = i3 + i, i3 + i + i
    for k in range(_N(n)):
        v = _outcomes(source[i0 + k], source[i1 + k], source[i2 + k], source[i3 + k], source[i4 + k], source[i5 + k])
        more = bias[k]
        out[o0 + k], out[o1 + k] = max(v[0] + more, low), max(v[1] + more, low)
        out[o2 + k], out[o3 + k] = max(v[2] + more, low), max(v[3] + more, low)


@kernel()
def _lines_of_gradients(source: Floats, begin: Any, apart: Any, out: Floats, to: Any, steps: Any, n: Any) -> None:
    i0, i, o0, o = _N(begin), _N(apart), _N(to), _N(steps)
    i1, o1 = i0 + i, o0 + o
    i2, o2 = i1 + i, o1 + o
    i3, o3 = i2 + i, o2 + o
    o4, o5 = o3 + o, o3 + o + o
    for k in range(_N(n)):
        v = _gradients(source[i0 + k], source[i1 + k], source[i2 + k], source[i3 + k])
        out[o0 + k], out[o1 + k], out[o2 + k], out[o3 + k], out[o4 + k], out[o5 + k] = v


@kernel()
def _rows(maps: Floats, b: int, h: int, w: int, c: int, side: int, edge: Floats, size: int) -> Any:
    """Return where `side` places from (h, w) on lie, and how far apart, and whether that is in the maps.

    Where some are beyond the edges, all are copied, with 0 there.
    """
    _, height, width, channels = maps.shape
    if 0 <= h < height and w >= 0 and w + side <= width:
        return ((b * height + h) * width + w) * channels + c, channels, True
    for s in range(side):
        if 0 <= h < height and 0 <= w + s < width:
            row, out = maps[b, h, w + s, c : c + size], edge[s * size : (s + 1) * size]
            for k in range(size):
                out[k] = row[k]
        else:
            edge[s * size : (s + 1) * size] = 0
    return 0, size, False


@kernel()
def _transform_maps(first: int, behind: int, begin: int, maps: Floats, into: Floats, of_gradients: bool) -> None:
    """Fill in B' d B, or A d A' where d are gradients of outcomes, of a range of tiles: (36, tiles, channels).

    The range is of a block that begins at tile `begin`. Tiles of values begin a row and a column before their outcomes.
    """
    _, height, width, channels = maps.shape
    rows, columns = -(-height // OUT), -(-width // OUT)
    side, before = (OUT, 0) if of_gradients else (SIDE, 1)
    size, flat, out = min(channels, _STRETCH), maps.reshape(-1), into.reshape(-1)
    edge, half, plane = np.empty(SIDE * size, _F), np.empty(POINTS * size, _F), into.shape[1] * channels
    for i in range(first, behind):
        tile = begin + i
        b, h, w = tile // (rows * columns), tile // columns % rows * OUT - before, tile % columns * OUT - before
        for c in range(0, channels, size):
            n = min(size, channels - c)
            for r in range(side):
                at, apart, inside = _rows(maps, b, h + r, w, c, side, edge, n)
                source = flat if inside else edge
                if of_gradients:
                    _lines_of_gradients(source, at, apart, half, r * SIDE * n, n, n)
                else:
                    _lines_of_values(source, at, apart, half, r * SIDE * n, n, n)
            for s in range(SIDE):
                to = s * plane + i * channels + c
                if of_gradients:
                    _lines_of_gradients(half, s * n, SIDE * n, out, to, SIDE * plane, n)
                else:
                    _lines_of_values(half, s * n, SIDE * n, out, to, SIDE * plane, n)


@kernel()
def _transform_products(
    first: int, behind: int, begin: int, products: Floats, y: Floats, bias: Floats, low: Any
) -> None:
    """Fill in max(low, A' m A + bias) of a range of tiles."""
    _, height, width, channels = y.shape
    rows, columns = -(-height // OUT), -(-width // OUT)
    size, flat, source = min(channels, _STRETCH), y.reshape(-1), products.reshape(-1)
    half, line, plane = np.empty(SIDE * OUT * size, _F), np.empty(OUT * size, _F), products.shape[1] * channels
    for i in range(first, behind):
        tile = begin + i
        b, h, w = tile // (rows * columns), tile // columns % rows * OUT, tile % columns * OUT
        for c in range(0, channels, size):
            n = min(size, channels - c)
            more = bias[c : c + n]
            for r in range(SIDE):
                _lines_of_outcomes(source, r * SIDE * plane + i * channels + c, plane, half, r * OUT * n, n, n)
            for s in range(min(OUT, width - w)):
                if h + OUT <= height:
                    at = ((b * height + h) * width + w + s) * channels + c
                    _lines_of_results(half, s * n, OUT * n, more, low, flat, at, width * channels, n)
                    continue
                _lines_of_results(half, s * n, OUT * n, more, low, line, 0, n, n)
                for r in range(height - h):
                    row, out = line[r * n : (r + 1) * n], y[b, h + r, w + s, c : c + n]
                    for k in range(n):
                        out[k] = row[k]


def transformed(weight: Tensor) -> Tensor:
    """Return G g G' of kernels; (n_out, n_in, 3, 3) -> (36, n_in, n_out)."""
    taps = weight.permute(2, 3, 1, 0)
    return (_KERNELS @ taps.reshape(9, -1)).view(POINTS, *taps.shape[2:])


def tiles_of(x: Tensor) -> int:
    """Return how many tiles maps (batch, channels, height, width) have."""
    return len(x) * -(-x.shape[2] // OUT) * -(-x.shape[3] // OUT)


@operator("winograd(Tensor x, Tensor kernels, Tensor? bias, bool relu) -> Tensor")
def convolved(x: Tensor, kernels: Tensor, bias: Tensor | None, relu: bool) -> Tensor:
    """Convolve maps, zeros around them, with kernels as `transformed` gives them; add a bias; take ReLU if asked to.

    Shapes: x (batch, n_in, height, width), channels last, kernels (36, n_in, n_out), bias (n_out,) -> (batch, n_out,
    height, width).
    """
    _, n_in, n_out = kernels.shape
    y = torch.empty((len(x), n_out, *x.shape[2:]), memory_format=torch.channels_last)
    tiles = tiles_of(x)
    values, products = torch.empty(POINTS, _BLOCK, n_in), torch.empty(POINTS, _BLOCK, n_out)
    more = torch.zeros(n_out) if bias is None else bias
    for begin in range(0, tiles, _BLOCK):
        n = min(_BLOCK, tiles - begin)
        over_lines(_transform_maps, n, POINTS * n_in, begin, as_lines(x), values.numpy(), False)
        torch.bmm(values[:, :n], kernels, out=products[:, :n])
        sides = (products.numpy(), as_lines(y), more.numpy(), lowest(relu))
        over_lines(_transform_products, n, POINTS * n_out, begin, *sides)
    return y


@operator("winograd_weights(Tensor x, Tensor grad) -> Tensor")
def _of_weights(x: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient of the kernels, (n_out, n_in, 3, 3), of that of the outcomes of x."""
    n_in, n_out = x.shape[1], grad.shape[1]
    tiles = tiles_of(x)
    values, outer = torch.empty(POINTS, _BLOCK, n_in), torch.empty(POINTS, _BLOCK, n_out)
    sums = torch.zeros(POINTS, n_in, n_out)
    for begin in range(0, tiles, _BLOCK):
        n = min(_BLOCK, tiles - begin)
        over_lines(_transform_maps, n, POINTS * n_in, begin, as_lines(x), values.numpy(), False)
        over_lines(_transform_maps, n, POINTS * n_out, begin, as_lines(grad), outer.numpy(), True)
        sums.baddbmm_(values[:, :n].transpose(1, 2), outer[:, :n])
    taps = _KERNELS.T @ sums.view(POINTS, -1)
    return taps.view(3, 3, n_in, n_out).permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)


@register_flop_formula(convolved)
def _operations(x: tuple[int, ...], kernels: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Return the floating point operations of the convolution itself, for shapes."""
    return 18 * x[0] * x[2] * x[3] * kernels[1] * kernels[2]


@register_flop_formula(_of_weights)
def _operations_of_weights(x: tuple[int, ...], grad: tuple[int, ...], *_: Any, **__: Any) -> int:
    return 18 * x[0] * x[2] * x[3] * x[1] * grad[1]


def _ahead(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve maps (batch, n_in, height, width) with kernels (n_out, n_in, 3, 3), zeros around them."""
    y: Tensor = convolved(x, transformed(weight), None, False)
    return y


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    grad = grad.contiguous(memory_format=torch.channels_last)
    # As ahead, whatever is around the call back.
    with torch.autocast("cpu", enabled=False):
        back = _ahead(grad, weight.flip(2, 3).transpose(0, 1)) if ctx.needs_input_grad[0] else None
        return back, _of_weights(x, grad) if ctx.needs_input_grad[1] else None


_convolution = with_gradient(_ahead, lambda ctx, inputs, _: ctx.save_for_backward(*inputs), _gradient)


class Conv2d(nn.Conv2d):
    """Torch's convolution; one of 3x3 with zeros around goes by tiles where that is quicker.

    That is on a CPU, channels last, in float32, for enough channels and maps that fill the tiles.
    """

    #: Whether the weights stay as they are, so that their kernels are kept from their first use on.
    is_final: bool = False
    _kept: Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is of a kind that tiles are for."""
        return (
            (self.kernel_size, self.stride, self.padding, self.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
            and self.groups == 1
            and self.padding_mode == "zeros"
            and min(self.in_channels, self.out_channels) >= _CHANNELS
            and self.in_channels * self.out_channels >= _PAIRS
        )

    def by_tiles(self, x: Tensor) -> bool:
        """Tell whether maps x go by tiles."""
        height, width = x.shape[-2:]
        tiles = -(-height // OUT) * -(-width // OUT)
        return (
            self.is_plain
            and tiles >= _FEWEST
            and 9 * height * width >= _GAIN * POINTS * tiles
            and x.dtype == self.weight.dtype == torch.float32
            and on_cpu(x)
            and not torch.is_autocast_enabled("cpu")
        )

    def _kernels(self) -> Tensor:
        if not self.is_final:
            return transformed(self.weight)
        if self._kept is None:
            with torch.inference_mode(False):
                self._kept = transformed(self.weight.detach())
        return self._kept

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._kept = None
        super()._load_from_state_dict(*args, **kwargs)

    def forward(self, x: Tensor, relu: bool = False) -> Tensor:
        """Convolve; with `relu`, leave out what is below 0."""
        sides = [v for v in (x, self.weight, self.bias) if v is not None]
        if not self.by_tiles(x):
            y = super().forward(x)
        elif torch.is_grad_enabled() and any(v.requires_grad for v in sides):
            y = _convolution(x, self.weight)
            y = y if self.bias is None else y.add_(self.bias[:, None, None])
        else:
            whole: Tensor = convolved(x, self._kernels(), self.bias, relu)
            return whole
        return F.relu_(y) if relu else y
