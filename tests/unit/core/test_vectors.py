"""Formulas over lines in compiled code against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numba import njit
from numba.core.errors import TypingError

from sedkit.core.vectors import WIDTH, Grid, Index, Memory, Sums, Vector, grids, vector_code, width_of


@grids(1, 3)
def formula(grid: Grid, *, more: Vector, low: Vector) -> Grid:
    ((a, b, c),) = grid
    return [[(0.5 * (a - b) + more).at_least(low)], [c - 3 * a]]


@njit
def computed(source, begin, apart, out, to, steps, n, more, low):  # type: ignore[no-untyped-def] # compiled
    formula(source, begin, (0, apart), out, to, (steps, 0), n, (more, low))


@pytest.mark.parametrize("n", [WIDTH, WIDTH + 1, 2 * WIDTH - 1, 5 * WIDTH])
def test_each_place_has_the_formula_and_no_other_is_written(n: int) -> None:
    rng = np.random.default_rng(0)
    source, more, low = (rng.standard_normal(size).astype(np.float32) for size in (5 + 3 * 50, n, n))
    out = np.full(200, -7, np.float32)
    computed(source, 5, 50, out, 11, 60, n, more, low)
    a, b, c = (source[5 + 50 * i : 5 + 50 * i + n].astype(float) for i in range(3))
    expected = np.full(200, -7.0)
    expected[11 : 11 + n] = np.maximum((a - b) / 2 + more, low)
    expected[71 : 71 + n] = c - 3 * a
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


@grids(2, 3)
def turned(grid: Grid) -> Grid:
    return [[2 * value for value in column] for column in zip(*grid, strict=True)]


@njit
def turn(source, out):  # type: ignore[no-untyped-def] # compiled
    turned(source, 0, (40, 10), out, 0, (30, 9), 9, ())


def test_lines_of_a_grid_lie_in_rows_and_columns() -> None:
    source, out = np.random.default_rng(0).standard_normal(80).astype(np.float32), np.zeros(90, np.float32)
    turn(source, out)
    grid = np.stack([[source[40 * i + 10 * j :][:9] for j in range(3)] for i in range(2)])
    outcomes = np.stack([[out[30 * i + 9 * j :][:9] for j in range(2)] for i in range(3)])
    np.testing.assert_array_equal(outcomes, 2 * grid.swapaxes(0, 1))


def test_bfloat16_is_read_and_written_to_nearest_ties_to_even() -> None:
    torch.manual_seed(0)
    source = torch.randn(3 * WIDTH).bfloat16()
    source[:2] = torch.tensor([1.0, 1.0 + 2**-7])
    more, low = torch.full((WIDTH,), 2.0**-8), torch.full((WIDTH,), -9.0)
    source[WIDTH : WIDTH + 2] = 1 - source[:2]
    out = torch.zeros(2 * WIDTH, dtype=torch.bfloat16)
    arrays = [x.view(torch.uint16).numpy() for x in (source, out)]
    computed(arrays[0], 0, WIDTH, arrays[1], 0, WIDTH, WIDTH, more.numpy(), low.numpy())
    a, b, c = source.float().view(3, WIDTH)
    assert torch.equal(out, torch.cat([0.5 * (a - b) + more, c - 3 * a]).bfloat16())


def test_what_is_not_a_number_is_not_below() -> None:
    source, zeros = np.full(3 * WIDTH, np.nan, np.float32), np.zeros(WIDTH, np.float32)
    out = np.zeros(2 * WIDTH, np.float32)
    computed(source, 0, WIDTH, out, 0, WIDTH, WIDTH, zeros, zeros)
    assert np.isnan(out).all()


@vector_code
def products(x: Memory, places: Memory, y: Memory, n: Index, out: Memory) -> None:
    """Add up y[k] times the values of x at places, moved by k, and divide places into halves and rests."""
    sums = Sums([out.zeros(), out.zeros()])
    starts = [places.index(i) for i in range(out.width)]
    with n.below() as k:
        sums.add(0, x.gathered([start + k for start in starts], out) * y.repeated(k))
    with n.below(2) as k:
        sums.add(1, x.gathered([start // 2 + start % 3 + k for start in starts], out))
    for i, total in enumerate(sums):
        out.write((n - n) + i * out.width, total)


@njit
def summed(x, places, y, n, out):  # type: ignore[no-untyped-def] # compiled
    products(x, places, y, n, out)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("source", [np.float32, np.float64])
def test_sums_in_loops_over_what_is_gathered(kind: type, source: type) -> None:
    rng, width = np.random.default_rng(0), width_of(np.dtype(kind).itemsize)
    x, y, places = rng.standard_normal(80).astype(source), rng.standard_normal(7).astype(kind), rng.integers(0, 60, 8)
    out = np.zeros((2, width), kind)
    summed(x, places, y, 7, out.reshape(-1))
    at = places[:width]
    np.testing.assert_allclose(out[0], sum(x[at + k] * y[k] for k in range(7)), rtol=1e-5)
    np.testing.assert_allclose(out[1], sum(x[at // 2 + at % 3 + k] for k in range(0, 7, 2)), rtol=1e-5, atol=1e-6)


def test_what_does_not_lie_together_is_refused() -> None:
    out = np.zeros(16, np.float32)
    with pytest.raises(TypingError, match="products reads.*expected values one after another"):
        summed(np.zeros(32, np.float32)[::2], np.zeros(8, np.int64), out[:7], 7, out)
