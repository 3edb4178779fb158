"""Tiles of convolutions 3x3: their transforms there and back in vector code; `products.py` has what is between.

Lavin and Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016, arXiv 1509.09308): F(6x4, 3x3). A tile
of 6x4 outcomes comes of 8x6 values d and a kernel g as A' [(G g G') * (B' d B)] A, with matrices of F(6, 3) before and
of F(4, 3) behind. `*` is value by value, so that all tiles together are 48 products of matrices.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sedkit.core.compiled import inner, kernel
from sedkit.core.vectors import Grid, Vector, grids
from sedkit.models.compiled import Floats, Values
from sedkit.models.products import stride_of

#: Rows and columns of a tile's outcomes, and of its values; products of a tile.
ROWS, COLUMNS = 6, 4
_DOWN, _ACROSS = ROWS + 2, COLUMNS + 2
POINTS = _DOWN * _ACROSS


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


def _kernels_across(a: Vector, b: Vector, c: Vector) -> tuple[Vector, ...]:
    """Return G of F(4, 3), by points 0, 1, -1, 2, -2 and infinity, of three taps."""
    p, q = 1 / 6 * (a + c), 1 / 6 * b
    r, s = 1 / 24 * a + 1 / 6 * c, 1 / 12 * b
    return 1 / 4 * a, -1 * (p + q), q - p, r + s, r - s, c


def _kernels_down(a: Vector, b: Vector, c: Vector) -> tuple[Vector, ...]:
    """Return G of F(6, 3), by points 0, 1, -1, 2, -2, 1/2, -1/2 and infinity, of three taps."""
    p, q = 2 / 9 * (a + c), 2 / 9 * b
    r, s = 1 / 90 * a + 2 / 45 * c, 1 / 45 * b
    t, u = 32 / 45 * a + 8 / 45 * c, 16 / 45 * b
    return a, -1 * (p + q), q - p, r + s, r - s, t + u, t - u, c


def _taps_across(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector) -> tuple[Vector, ...]:
    """Return G' of F(4, 3) of six sums."""
    p, r = 1 / 6 * (b + c), d + e
    return 1 / 4 * a - p + 1 / 24 * r, 1 / 6 * (c - b) + 1 / 12 * (d - e), 1 / 6 * r - p + f


def _taps_down(
    a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector, g: Vector, h: Vector
) -> tuple[Vector, ...]:
    """Return G' of F(6, 3) of eight sums."""
    p, r, t = 2 / 9 * (b + c), d + e, f + g
    return (
        a - p + 1 / 90 * r + 32 / 45 * t,
        2 / 9 * (c - b) + 1 / 45 * (d - e) + 16 / 45 * (f - g),
        2 / 45 * r - p + 8 / 45 * t + h,
    )


def _outcomes_across(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector) -> tuple[Vector, ...]:
    """Return A' of F(4, 3) of six products."""
    s, u, r, v = b + c, b - c, d + e, d - e
    return a + s + r, u + 2 * v, s + 4 * r, u + 8 * v + f


def _outcomes_down(
    a: Vector, b: Vector, c: Vector, d: Vector, e: Vector, f: Vector, g: Vector, h: Vector
) -> tuple[Vector, ...]:
    """Return A' of F(6, 3) of eight products."""
    p, q, r, s, t, u = b + c, b - c, d + e, d - e, f + g, f - g
    return (
        a + p + r + t,
        q + 2 * s + 0.5 * u,
        p + 4 * r + 0.25 * t,
        q + 8 * s + 0.125 * u,
        p + 16 * r + 0.0625 * t,
        q + 32 * s + 0.03125 * u + h,
    )


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


def _both(grid: Grid, across: Callable[..., tuple[Vector, ...]], down: Callable[..., tuple[Vector, ...]]) -> Grid:
    """Return a formula of each row, and another of each column of these."""
    columns = [down(*column) for column in zip(*(across(*row) for row in grid), strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


@grids(_DOWN, _ACROSS)
def _values(tile: Grid) -> Grid:
    """Return B' d B."""
    return _both(tile, _values_across, _values_down)


@grids(ROWS, COLUMNS)
def _gradients(tile: Grid) -> Grid:
    """Return A d A'."""
    return _both(tile, _gradients_across, _gradients_down)


def _all_outcomes(tile: Grid, bias: Vector, low: Vector) -> Grid:
    """Return max(low, A' m A + bias)."""
    return [[(value + bias).at_least(low) for value in row] for row in _both(tile, _outcomes_across, _outcomes_down)]


@grids(_DOWN, _ACROSS)
def _outcomes(tile: Grid, *, bias: Vector, low: Vector) -> Grid:
    return _all_outcomes(tile, bias, low)


@grids(_DOWN, _ACROSS)
def _pooled(tile: Grid, *, bias: Vector, low: Vector) -> Grid:
    """Return the means of outcomes, two by two."""
    rows = _all_outcomes(tile, bias, low)
    sums = [[a + b for a, b in zip(*pair, strict=True)] for pair in zip(rows[::2], rows[1::2], strict=True)]
    return [[0.25 * (a + b) for a, b in zip(row[::2], row[1::2], strict=True)] for row in sums]


@grids(3, 3)
def _points(taps: Grid) -> Grid:
    """Return G g G'."""
    return _both(taps, _kernels_across, _kernels_down)


@grids(_DOWN, _ACROSS)
def _taps(sums: Grid) -> Grid:
    """Return G' s G."""
    return _both(sums, _taps_across, _taps_down)


@inner()
def tiles_of(batch: int, height: int, width: int) -> int:
    """Return how many tiles maps have."""
    return batch * -(-height // ROWS) * -(-width // COLUMNS)


@inner()
def _copy(maps: Values, b: int, h: int, w: int, tile: Values, down: int, across: int) -> None:
    """Fill in the tile at (h, w), (down, across, channels), with 0 beyond the edges of the maps."""
    _, height, width, channels = maps.shape
    for r in range(down):
        for s in range(across):
            out = tile[(r * across + s) * channels : (r * across + s + 1) * channels]
            if 0 <= h + r < height and 0 <= w + s < width:
                row = maps[b, h + r, w + s]
                for k in range(channels):
                    out[k] = row[k]
            else:
                out[:] = 0


@inner()
def transform_maps(n: int, begin: int, maps: Values, into: Floats, of_gradients: bool) -> None:
    """Fill in B' d B, or A d A' where d are gradients of outcomes, of n tiles from `begin` on, as in `rows_for`.

    Tiles of values begin a row and a column before their outcomes.
    """
    (_, height, width, channels), size = maps.shape, into.shape[1]
    rows, columns = -(-height // ROWS), -(-width // COLUMNS)
    down, across, before = (ROWS, COLUMNS, 0) if of_gradients else (_DOWN, _ACROSS, 1)
    flat, out, copy = maps.reshape(-1), into.reshape(-1), np.empty(POINTS * channels, maps.dtype)
    stride, steps = stride_of(channels), (_ACROSS * size, size)
    for i in range(n):
        tile = begin + i
        b, h, w = tile // (rows * columns), tile // columns % rows * ROWS - before, tile % columns * COLUMNS - before
        if h >= 0 and w >= 0 and h + down <= height and w + across <= width:
            source, at, apart = flat, ((b * height + h) * width + w) * channels, (width * channels, channels)
        else:
            _copy(maps, b, h, w, copy, down, across)
            source, at, apart = copy, 0, (across * channels, channels)
        if of_gradients:
            _gradients(source, at, apart, out, i * stride, steps, channels, ())
        else:
            _values(source, at, apart, out, i * stride, steps, channels, ())


@inner()
def transform_products(
    n: int, begin: int, products: Floats, bias: Floats, low: Floats, height: int, width: int, y: Values
) -> None:
    """Fill in max(low, A' m A + bias) of n tiles from `begin` on, or means of 2x2 where y is half of height x width."""
    (_, y_height, y_width, channels), size = y.shape, products.shape[1]
    rows, columns = -(-height // ROWS), -(-width // COLUMNS)
    pools = 2 if y_height < height else 1
    down, across = ROWS // pools, COLUMNS // pools
    source, flat, tile = products.reshape(-1), y.reshape(-1), np.empty(ROWS * COLUMNS * channels, y.dtype)
    stride, apart, figures = stride_of(channels), (_ACROSS * size, size), (bias, low)
    for i in range(n):
        b, h, w = (begin + i) // (rows * columns), (begin + i) // columns % rows * down, (begin + i) % columns * across
        at, is_whole = ((b * y_height + h) * y_width + w) * channels, h + down <= y_height and w + across <= y_width
        out, to, steps = (
            (flat, at, (y_width * channels, channels)) if is_whole else (tile, 0, (across * channels, channels))
        )
        if pools == 2:
            _pooled(source, i * stride, apart, out, to, steps, channels, figures)
        else:
            _outcomes(source, i * stride, apart, out, to, steps, channels, figures)
        if is_whole:
            continue
        for r in range(min(down, y_height - h)):
            for s in range(min(across, y_width - w)):
                row, inside = y[b, h + r, w + s], tile[(r * across + s) * channels : (r * across + s + 1) * channels]
                for k in range(channels):
                    row[k] = inside[k]


@kernel()
def transform_kernels(first: int, behind: int, taps: Floats, into: Floats) -> None:
    """Fill in G g G' of a range of channels of kernels (9, n_in, panels x PANEL): (48, panels, n_in, PANEL)."""
    _, panels, n_in, columns = into.shape
    source, out, step = taps.reshape(-1), into.reshape(-1), panels * n_in * columns
    for i in range(first, behind):
        for panel in range(panels):
            at, to = (i * panels + panel) * columns, (panel * n_in + i) * columns
            _points(source, at, (3 * step, step), out, to, (_ACROSS * step, step), columns, ())


@kernel()
def transform_sums(first: int, behind: int, sums: Floats, into: Floats) -> None:
    """Fill in G' s G of a range of rows of sums, as in `rows_for`: gradients of kernels (n_out, 9, n_in)."""
    n_in, size = into.shape[2], sums.shape[1]
    stride, source, out, apart = stride_of(n_in), sums.reshape(-1), into.reshape(-1), (_ACROSS * size, size)
    for i in range(first, behind):
        _taps(source, i * stride, apart, out, i * 9 * n_in, (3 * n_in, n_in), n_in, ())
