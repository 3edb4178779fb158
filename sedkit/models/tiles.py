"""Tiles of convolutions 3x3: their transforms there and back in vector code, and the products between.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016, arXiv 1509.09308): F(6x4, 3x3). A tile
of 6x4 outcomes comes of 8x6 values d and a kernel g as A' [(G g G') * (B' d B)] A, with matrices of F(6, 3) before and
of F(4, 3) behind. `*` is value by value, so that all tiles together are 48 products of matrices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sedkit.core.compiled import kernel
from sedkit.core.vectors import Vector, lines
from sedkit.models.compiled import Floats, Values

#: Rows and columns of a tile's outcomes, and of its values; products of a tile.
ROWS, COLUMNS = 6, 4
_DOWN, _ACROSS = ROWS + 2, COLUMNS + 2
POINTS = _DOWN * _ACROSS
#: Channels that are transformed at a time: a tile of them stays in the first-level cache.
_STRETCH = 64
#: Padding, stride and dilation of a convolution 1x1.
_ONE_BY_ONE = [0, 0], [1, 1], [1, 1]
#: G of F(6, 3), by points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, and of F(4, 3), by 0, 1, -1, 2, -2 and infinity.
_G = (
    [
        [1, 0, 0],
        [-2 / 9, -2 / 9, -2 / 9],
        [-2 / 9, 2 / 9, -2 / 9],
        [1 / 90, 1 / 45, 2 / 45],
        [1 / 90, -1 / 45, 2 / 45],
        [32 / 45, 16 / 45, 8 / 45],
        [32 / 45, -16 / 45, 8 / 45],
        [0, 0, 1],
    ],
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
)
#: Of both at once: (48, 9).
KERNELS = torch.kron(*(torch.tensor(g, dtype=torch.float64) for g in _G)).float()
_F = np.float32


def _values_across(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector) -> tuple[Vector, ...]:
    """Return B' of F(4, 3) of six values."""
    u, v = d - 4 * b, e - 4 * c
    s, r = 2 * (d - b), e - c
    return 4 * a - 5 * c + e, v + u, v - u, r + s, r - s, 4 * b - 5 * d + f


def _values_down(
    a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector, g: Vector, h: Vector
) -> tuple[Vector, ...]:
    """Return B' of F(6, 3) of eight values."""
    p, q = c + g - 4.25 * e, b + f - 4.25 * d
    r, s = 0.25 * c - 1.25 * e + g, 0.5 * b - 2.5 * d + 2 * f
    t, u = 4 * c - 5 * e + g, 2 * b - 2.5 * d + 0.5 * f
    first, last = a - g + 5.25 * (e - c), h - b + 5.25 * (d - f)
    return first, p + q, p - q, r + s, r - s, t + u, t - u, last


def _outcomes_across(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector) -> tuple[Vector, ...]:
    """Return A' of F(4, 3) of six products."""
    s, u, r, v = b + c, b - c, d + e, d - e
    return a + s + r, u + 2 * v, s + 4 * r, u + 8 * v + f


def _outcomes_down(
    a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector, g: Vector, h: Vector, *, bias: Vector, low: Vector
) -> tuple[Vector, ...]:
    """Return A' of F(6, 3) of eight products; add a bias, and let nothing fall below `low`."""
    p, q, r, s, t, u = b + c, b - c, d + e, d - e, f + g, f - g
    outcomes = (
        a + p + r + t,
        q + 2 * s + 0.5 * u,
        p + 4 * r + 0.25 * t,
        q + 8 * s + 0.125 * u,
        p + 16 * r + 0.0625 * t,
        q + 32 * s + 0.03125 * u + h,
    )
    return tuple((outcome + bias).at_least(low) for outcome in outcomes)


def _pooled_down(
    a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector, g: Vector, h: Vector, *, bias: Vector, low: Vector
) -> tuple[Vector, ...]:
    """Add up two rows each of these outcomes."""
    rows = _outcomes_down(a, b, c, d, e, f, g, h, bias=bias, low=low)
    return tuple(above + below for above, below in zip(rows[::2], rows[1::2], strict=True))


def _pooled_across(a: Vector, b: Vector) -> tuple[Vector, ...]:
    """Return the mean of two sums of two."""
    return (0.25 * (a + b),)


def _gradients_across(a: Vector, b: Vector, c: Vector, d: Vector) -> tuple[Vector, ...]:
    """Return A of F(4, 3) of the gradients of four outcomes."""
    s, u = a + c, b + d
    r, v = a + 4 * c, 2 * b + 8 * d
    return a, s + u, s - u, r + v, r - v, d


def _gradients_down(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector) -> tuple[Vector, ...]:
    """Return A of F(6, 3) of the gradients of six outcomes."""
    p, q = a + c + e, b + d + f
    r, s = a + 4 * c + 16 * e, 2 * b + 8 * d + 32 * f
    t, u = a + 0.25 * c + 0.0625 * e, 0.5 * b + 0.125 * d + 0.03125 * f
    return a, p + q, p - q, r + s, r - s, t + u, t - u, f


_across_values, _down_values = lines(_values_across), lines(_values_down)
_across_gradients, _down_gradients = lines(_gradients_across), lines(_gradients_down)
_across_outcomes, _down_outcomes = lines(_outcomes_across), lines(_outcomes_down)
_across_pooled, _down_pooled = lines(_pooled_across), lines(_pooled_down)


def tiles_of(batch: int, height: int, width: int) -> int:
    """Return how many tiles maps have."""
    return batch * -(-height // ROWS) * -(-width // COLUMNS)


@kernel()
def _copy(maps: Values, b: int, h: int, w: int, c: int, tile: Values, down: int, across: int, n: int) -> None:
    """Fill in n channels from c on of the tile at (h, w), (down, across, n), with 0 beyond the edges of the maps."""
    _, height, width, _ = maps.shape
    for r in range(down):
        for s in range(across):
            out = tile[(r * across + s) * n : (r * across + s + 1) * n]
            if 0 <= h + r < height and 0 <= w + s < width:
                row = maps[b, h + r, w + s, c : c + n]
                for k in range(n):
                    out[k] = row[k]
            else:
                out[:] = 0


@kernel()
def transform_maps(first: int, behind: int, begin: int, maps: Values, into: Floats, of_gradients: bool) -> None:
    """Fill in B' d B, or A d A' where d are gradients of outcomes, of a range of tiles: (tiles, 48, channels).

    The range is of a block that begins at tile `begin`. Tiles of values begin a row and a column before their outcomes.
    """
    _, height, width, channels = maps.shape
    rows, columns = -(-height // ROWS), -(-width // COLUMNS)
    down, across, before = (ROWS, COLUMNS, 0) if of_gradients else (_DOWN, _ACROSS, 1)
    n, flat, out = min(channels, _STRETCH), maps.reshape(-1), into.reshape(-1)
    copy, half = np.empty(POINTS * n, maps.dtype), np.empty(POINTS * n, _F)
    for i in range(first, behind):
        tile = begin + i
        b, h, w = tile // (rows * columns), tile // columns % rows * ROWS - before, tile % columns * COLUMNS - before
        inside = h >= 0 and w >= 0 and h + down <= height and w + across <= width
        for stretch in range(0, channels, n):
            c = min(stretch, channels - n)
            if inside:
                source, at, row, place = flat, ((b * height + h) * width + w) * channels + c, width * channels, channels
            else:
                _copy(maps, b, h, w, c, copy, down, across, n)
                source, at, row, place = copy, 0, across * n, n
            for r in range(down):
                if of_gradients:
                    _across_gradients(source, at + r * row, place, half, r * _ACROSS * n, n, n, ())
                else:
                    _across_values(source, at + r * row, place, half, r * _ACROSS * n, n, n, ())
            for s in range(_ACROSS):
                to = (i * POINTS + s) * channels + c
                if of_gradients:
                    _down_gradients(half, s * n, _ACROSS * n, out, to, _ACROSS * channels, n, ())
                else:
                    _down_values(half, s * n, _ACROSS * n, out, to, _ACROSS * channels, n, ())


@kernel()
def transform_products(
    first: int, behind: int, begin: int, products: Floats, bias: Floats, low: Floats, size: Any, y: Values
) -> None:
    """Fill in max(low, A' m A + bias) of a range of tiles of maps of a size, or means of 2x2 where y has half of it."""
    (height, width), (_, y_height, y_width, channels) = size, y.shape
    rows, columns = -(-height // ROWS), -(-width // COLUMNS)
    n, flat, source = min(channels, _STRETCH), y.reshape(-1), products.reshape(-1)
    half, sums = np.empty(_DOWN * COLUMNS * n, _F), np.empty(ROWS // 2 * COLUMNS * n, _F)
    column = np.empty(ROWS * n, y.dtype)
    for i in range(first, behind):
        tile = begin + i
        b, h, w = tile // (rows * columns), tile // columns % rows * ROWS, tile % columns * COLUMNS
        for stretch in range(0, channels, n):
            c = min(stretch, channels - n)
            figures = bias[c : c + n], low[c : c + n]
            for r in range(_DOWN):
                at = (i * POINTS + r * _ACROSS) * channels + c
                _across_outcomes(source, at, channels, half, r * COLUMNS * n, n, n, ())
            if y_height < height:
                for s in range(COLUMNS):
                    _down_pooled(half, s * n, COLUMNS * n, sums, s * (ROWS // 2) * n, n, n, figures)
                for r in range(min(ROWS // 2, y_height - h // 2)):
                    for s in range(min(COLUMNS // 2, y_width - w // 2)):
                        at = ((b * y_height + h // 2 + r) * y_width + w // 2 + s) * channels + c
                        _across_pooled(sums, (s * ROWS + r) * n, ROWS // 2 * n, flat, at, 0, n, ())
                continue
            for s in range(min(COLUMNS, width - w)):
                at = ((b * height + h) * width + w + s) * channels + c
                if h + ROWS <= height:
                    _down_outcomes(half, s * n, COLUMNS * n, flat, at, width * channels, n, figures)
                    continue
                _down_outcomes(half, s * n, COLUMNS * n, column, 0, n, n, figures)
                for r in range(height - h):
                    row, out = column[r * n : (r + 1) * n], flat[at + r * width * channels :]
                    for k in range(n):
                        out[k] = row[k]


def packed(kernels: Tensor, rows: int) -> Tensor:
    """Return kernels (48, n_out, n_in) laid out for products with so many rows.

    To oneDNN, which torch has on most processors, the products are a convolution 1x1 in 48 groups. Batched ones of
    other libraries reach 75 to 95 % of its speed. Another number of rows may make it lay kernels out anew at each call.
    """
    n, n_out, n_in = kernels.shape
    if not torch.backends.mkldnn.is_available():
        return kernels.transpose(1, 2)
    reorder = torch.ops.mkldnn._reorder_convolution_weight
    laid_out: Tensor = reorder(kernels.reshape(n * n_out, n_in, 1, 1), *_ONE_BY_ONE, n, [1, n * n_in, 1, rows])
    return laid_out


def multiplied(values: Tensor, kernels: Tensor, n_out: int) -> Tensor:
    """Return the products of values (rows, 48, n_in) with each point's packed kernels, (rows, 48, n_out)."""
    if not kernels.is_mkldnn:
        return torch.bmm(values.transpose(0, 1), kernels).transpose(0, 1).contiguous()
    rows = values.view(1, 1, len(values), -1).permute(0, 3, 1, 2)
    convolve = torch.ops.mkldnn._convolution_pointwise
    products: Tensor = convolve(rows, kernels, None, *_ONE_BY_ONE, POINTS, "none", [], "")
    return products.permute(0, 2, 3, 1).reshape(len(values), POINTS, n_out)
