"""What compiled code shares."""

from __future__ import annotations

import numpy as np
import pytest

from sedkit.core.compiled import doubled, sort_rows


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 128, 129, 1000])
@pytest.mark.parametrize("distinct", [3, 10**6])
@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_rows_are_sorted_and_equal_ones_stay_in_order(n: int, distinct: int, dtype: type) -> None:
    rng = np.random.default_rng(n)
    values = rng.integers(0, distinct, 2 * n + 1).astype(dtype)
    rows = rng.permutation(2 * n + 1)[:n]
    wanted = rows[np.argsort(values[rows], kind="stable")]
    sort_rows(rows, values)
    np.testing.assert_array_equal(rows, wanted)


def test_room_for_as_many_rows_again() -> None:
    rows = np.arange(6).reshape(3, 2)
    more = doubled(rows)
    assert more.shape == (6, 2)
    np.testing.assert_array_equal(more[:3], rows)
