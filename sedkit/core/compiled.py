"""What several rooms' compiled code shares."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

#: What compilers may do to be fast where numbers that are not finite have to show in the outcome.
HONEST = {"contract", "reassoc", "arcp", "nsz"}
#: How loops over values are compiled. A division by zero is infinite: to raise an error it would have to be looked for.
kernel = partial(njit, cache=True, nogil=True, fastmath=HONEST, error_model="numpy")
#: The same of functions that are compiled with those that call them, which is quicker than by themselves.
inner = partial(register_jitable, fastmath=HONEST, error_model="numpy")
#: Rows that are sorted by insertion.
_RUN = 64


@njit(cache=True, nogil=True)
def sort_rows(rows: Any, values: Any) -> None:
    """Sort rows (n,) in place by `values[row]`, ascending, equal ones as they were: short runs, then these merged.

    Numba's own `argsort` takes two seconds to compile for each type of values.
    """
    n = len(rows)
    for first in range(0, n, _RUN):
        for i in range(first + 1, min(first + _RUN, n)):
            row, j = rows[i], i
            while j > first and values[rows[j - 1]] > values[row]:
                rows[j] = rows[j - 1]
                j -= 1
            rows[j] = row
    merged, width = np.empty_like(rows[: n if n > _RUN else 0]), _RUN
    while width < n:
        for first in range(0, n, 2 * width):
            i, middle, last = first, min(first + width, n), min(first + 2 * width, n)
            j = middle
            for k in range(first, last):
                if j == last or (i < middle and values[rows[i]] <= values[rows[j]]):
                    merged[k] = rows[i]
                    i += 1
                else:
                    merged[k] = rows[j]
                    j += 1
        for k in range(n):
            rows[k] = merged[k]
        width *= 2


@njit(cache=True, nogil=True)
def doubled(rows: Any) -> Any:
    """Return an array with room for as many rows again."""
    return np.concatenate((rows, np.empty_like(rows)))
