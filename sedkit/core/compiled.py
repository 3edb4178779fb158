"""What several rooms' compiled code shares."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def doubled(rows: Any) -> Any:
    """Return an array with room for as many rows again."""
    return np.concatenate((rows, np.empty_like(rows)))
