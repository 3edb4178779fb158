"""Products of matrices in compiled code against numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from sedkit.models import products as module
from sedkit.models.products import PANEL, STRIP, STRIP_OF_SUMS, add_products, multiply, rows_for, stride_of


def laid_out(rows: np.ndarray) -> np.ndarray:
    """Return (points, rows, channels) as it lies in memory for products."""
    points, n, channels = rows.shape
    memory = rows_for(points, -(-n // STRIP) * STRIP, channels)
    view(memory, n, channels)[...] = rows
    return memory


def view(memory: np.ndarray, n: int, channels: int) -> np.ndarray:
    stride = stride_of(channels)
    return memory[:, : n * stride].reshape(len(memory), n, stride)[..., :channels]


def test_rows_and_points_lie_apart_by_no_power_of_two() -> None:
    for channels in (1, 32, 33, 64, 128, 130, 256, 512, 1024):
        stride, memory = stride_of(channels), rows_for(3, 7, channels)
        assert stride >= -(-channels // PANEL) * PANEL and stride % 16 == 0 and stride % 128
        # An odd number of lines of 64 bytes.
        assert memory.shape[1] >= 7 * stride and memory.shape[1] % 32 == 16


@pytest.mark.parametrize(("n", "n_in", "n_out"), [(1, 40, 70), (6, 33, 32), (17, 130, 33)])
def test_products_of_each_point(n: int, n_in: int, n_out: int) -> None:
    rng = np.random.default_rng(0)
    values, kernels = (rng.standard_normal(shape).astype(np.float32) for shape in ((3, n, n_in), (3, n_in, n_out)))
    panels = -(-n_out // PANEL)
    padded = np.pad(kernels, ((0, 0), (0, 0), (0, panels * PANEL - n_out)))
    packed = np.ascontiguousarray(padded.reshape(3, n_in, panels, PANEL).swapaxes(1, 2))
    products = laid_out(np.full((3, n, n_out), 7, np.float32))
    multiply(n, laid_out(values), packed, products, n_out)
    np.testing.assert_allclose(view(products, n, n_out), values.astype(float) @ kernels, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("n", "n_out", "n_in"), [(1, 40, 70), (6, 33, 32), (17, 31, 130)])
def test_sums_of_products_are_added(n: int, n_out: int, n_in: int) -> None:
    rng = np.random.default_rng(0)
    values, others = (rng.standard_normal((3, n, channels)).astype(np.float32) for channels in (n_out, n_in))
    sums = rows_for(3, n_out + STRIP_OF_SUMS - 1, n_in)
    for _ in range(2):
        add_products(n, laid_out(values), laid_out(others), sums, n_out, n_in)
    expected = 2 * values.astype(float).swapaxes(1, 2) @ others
    np.testing.assert_allclose(view(sums, n_out, n_in), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("width", [8, 16])
def test_registers_of_either_width(width: int, adds: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WIDTH", width)
    monkeypatch.setattr(module, "PANEL", 2 * width)
    code = module._products(3, adds)

    @njit
    def compute(a, b, depth, out):  # type: ignore[no-untyped-def] # compiled
        code(a.reshape(-1), 2, 11, 1, b.reshape(-1), 0, 40, depth, out.reshape(-1), 1, 50)

    rng = np.random.default_rng(0)
    a, b, out = (rng.standard_normal(shape).astype(np.float32) for shape in ((5, 11), (9, 40), (4, 50)))
    expected = out.astype(float)
    expected.reshape(-1)[1 : 1 + 3 * 50].reshape(3, 50)[:, : 2 * width] *= adds
    expected.reshape(-1)[1 : 1 + 3 * 50].reshape(3, 50)[:, : 2 * width] += a[:3, 2:].astype(float) @ b[:, : 2 * width]
    compute(a, b, 9, out)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)
