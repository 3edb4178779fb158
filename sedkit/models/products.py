"""Products of matrices inside compiled code, of so few rows that a library's call would take as long as its work."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numpy as np

from sedkit.core.compiled import inner, kernel
from sedkit.core.vectors import Index, Memory, Sums, vector_code
from sedkit.models.compiled import Floats

#: float32 that a register holds.
_WIDTH = 16 if llvm.get_host_cpu_features().get("avx512f") else 8
#: Columns that are computed together: two registers.
PANEL = 2 * _WIDTH
#: float32 of a line of caches.
_LINE = 16
#: Rows that are computed together, of maps and of sums: with these, all sums stay in registers.
STRIP, STRIP_OF_SUMS = 6, 4


def _products(rows: int, adds: bool) -> Any:
    """Return vector code of rows x `PANEL` sums over `depth` products of a and b, which it writes or adds to `out`.

    Row i and depth k of a lie at `a_at + i * a_row + k * a_depth`, row k of b at `b_at + k * b_row`, row i of the
    outcome at `at + i * row`.
    """

    def code(
        a: Memory,
        a_at: Index,
        a_row: Index,
        a_depth: Index,
        b: Memory,
        b_at: Index,
        b_row: Index,
        depth: Index,
        out: Memory,
        at: Index,
        row: Index,
    ) -> None:
        a, b, out = (memory.by(_WIDTH) for memory in (a, b, out))
        places = [at + row * i + j for i in range(rows) for j in range(0, PANEL, _WIDTH)]
        sums = Sums([out.read(place) if adds else out.zeros() for place in places])
        with depth.below() as k:
            columns = [b.read(b_at + b_row * k + j) for j in range(0, PANEL, _WIDTH)]
            for i in range(rows):
                value = a.repeated(a_at + a_row * i + a_depth * k)
                for j, column in enumerate(columns):
                    sums.add(i * len(columns) + j, value * column)
        for place, total in zip(places, sums, strict=True):
            out.write(place, total)

    return vector_code(code)


_fill, _add = _products(STRIP, False), _products(STRIP_OF_SUMS, True)


@inner()
def stride_of(channels: int) -> int:
    """Return how far rows of so many channels lie apart: with room for whole registers, and not by half a kilobyte.

    Rows that lie a power of two apart share few places of the first-level cache.
    """
    stride = -(-channels // PANEL) * PANEL
    return stride if stride % 128 else stride + _LINE


@kernel()
def rows_for(points: int, rows: int, channels: int) -> Floats:
    """Return memory for rows of each point: (points, rows x stride and what keeps points apart in caches)."""
    lines = -(-rows * stride_of(channels) // _LINE)
    return np.zeros((points, (lines | 1) * _LINE), np.float32)


@kernel()
def multiply(n: int, values: Floats, kernels: Floats, products: Floats, n_out: int) -> None:
    """Fill in the products of n rows of each point's values with its kernels.

    Values and products lie as in `rows_for`, kernels are (points, panels, n_in, PANEL). Up to `STRIP` - 1 rows more
    are computed.
    """
    points, panels, n_in, _ = kernels.shape
    stride, apart, size, out_size = stride_of(n_in), stride_of(n_out), values.shape[1], products.shape[1]
    a, b, out = values.reshape(-1), kernels.reshape(-1), products.reshape(-1)
    for point in range(points):
        for panel in range(panels):
            of_kernels = (point * panels + panel) * n_in * PANEL
            for i in range(0, n, STRIP):
                at = point * out_size + i * apart + panel * PANEL
                _fill(a, point * size + i * stride, stride, 1, b, of_kernels, PANEL, n_in, out, at, apart)


@kernel()
def add_products(n: int, values: Floats, others: Floats, sums: Floats, n_out: int, n_in: int) -> None:
    """Add each point's sum over n rows of values (n_out) times others (n_in) to sums (points, n_out, n_in).

    Each of the three lies as in `rows_for`, sums with room for `STRIP_OF_SUMS` - 1 rows more.
    """
    a_stride, b_stride = stride_of(n_out), stride_of(n_in)
    a_size, b_size, size = values.shape[1], others.shape[1], sums.shape[1]
    a, b, out = values.reshape(-1), others.reshape(-1), sums.reshape(-1)
    for point in range(len(sums)):
        of_a, of_b = point * a_size, point * b_size
        for column in range(0, n_in, PANEL):
            for i in range(0, n_out, STRIP_OF_SUMS):
                at = point * size + i * b_stride + column
                _add(a, of_a + i, 1, a_stride, b, of_b + column, b_stride, n, out, at, b_stride)
