"""What several rooms' compiled code shares: how it is compiled and kept, and sorting."""

from __future__ import annotations

import hashlib
import inspect
import re
import shutil
import sys
import threading
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numba import config, njit
from numba.extending import register_jitable

#: What compilers may do to be fast where numbers that are not finite have to show in the outcome.
HONEST = {"contract", "reassoc", "arcp", "nsz"}
#: Rows that are sorted by insertion.
_RUN = 64
_HOLDS_COMPILED_CODE = re.compile(r"^(?:from|import) (?:numba|sedkit\.core\.(?:compiled|vectors))\b", re.MULTILINE)
_IMPORTED = re.compile(r"^from (sedkit\.[\w.]+) import", re.MULTILINE)
#: Made of the environment when numba is imported.
_numba: Any = config
_ONE_AT_A_TIME = threading.Lock()


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return a decorator of what is compiled when it is first called, and kept on disk until its code changes.

    Numba by itself looks at the file of a function alone: after a change of functions elsewhere that became part of
    it, the code from before would run.

    Parameters
    ----------
    **options
        As numba's `njit` takes them.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        with _ONE_AT_A_TIME:
            chosen = _numba.CACHE_DIR
            _numba.CACHE_DIR = str(_folder(function.__module__, chosen))
            try:
                return njit(cache=True, nogil=True, **options)(function)
            finally:
                _numba.CACHE_DIR = chosen

    return decorate


#: How loops over values of signals and networks are compiled. A division by zero is infinite: to raise an error it
#: would have to be looked for.
kernel = partial(compiled, fastmath=HONEST, error_model="numpy")
#: The same of functions that are compiled with those that call them, which is quicker than by themselves.
inner = partial(register_jitable, fastmath=HONEST, error_model="numpy")


@cache
def _folder(module: str, chosen: str) -> Path:
    """Return where numba keeps what it compiles of a module: a folder of these very sources."""
    sources = dict[str, str]()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        text = "" if name in sources else inspect.getsource(sys.modules[name])
        if _HOLDS_COMPILED_CODE.search(text):
            sources[name] = text
            waiting += _IMPORTED.findall(text)
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()[:16]
    beside = Path(inspect.getfile(sys.modules[module])).parent / "__pycache__"
    folder = Path(chosen or beside) / f"{module}-{digest}"
    if not chosen and not folder.exists():
        # What was compiled of sources that are no more. Whoever chose a place may share it with other sources.
        for other in beside.glob(f"{module}-*"):
            shutil.rmtree(other, ignore_errors=True)
    return folder


@compiled()
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


@compiled()
def doubled(rows: Any) -> Any:
    """Return an array with room for as many rows again."""
    return np.concatenate((rows, np.empty_like(rows)))
