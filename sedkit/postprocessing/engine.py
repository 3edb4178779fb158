"""Which of the two sets of array functions to use: compiled (`kernels`) or numpy (`plain`); results are the same."""

from __future__ import annotations

import sys
from types import ModuleType

#: Below so many values numpy is done before the compiled code is loaded, which takes as long as all else that `sedkit
#: decode` does to a small file (0.6 s).
SMALL = 4_000_000


def choose(n: int) -> ModuleType:
    """Return the module that is faster for work on `n` values; code that is loaded already costs nothing."""
    if n <= SMALL and "sedkit.postprocessing.kernels" not in sys.modules:
        from sedkit.postprocessing import plain

        return plain
    from sedkit.postprocessing import kernels

    return kernels
