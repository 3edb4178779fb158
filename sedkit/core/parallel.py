"""Many cores: one front for joblib, and progress bars that keep silent when nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sedkit.core.errors import UsageError

Item = TypeVar("Item")
Result = TypeVar("Result")


def cpu_jobs() -> int:
    """Return how many cores this process may use."""
    return max(1, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def progress(
    iterable: Iterable[Item] | None = None, total: int | None = None, description: str = "", unit: str = "it"
) -> Any:
    """Return a tqdm bar on stderr; it draws nothing unless stderr is a terminal, and in this process alone."""
    import multiprocessing

    from tqdm import tqdm

    # Bars of several processes in one line nobody can read.
    silent = not sys.stderr.isatty() or multiprocessing.current_process().name != "MainProcess"
    return tqdm(iterable, total=total, desc=description, unit=unit, disable=silent, delay=1.0, file=sys.stderr)


def run_jobs(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1, description: str = ""
) -> list[Result]:
    """Apply `function` to each item and return the results in order.

    Parameters
    ----------
    function
        With `jobs` above 1 it must be picklable (a module-level function or a `functools.partial` of one).
    jobs
        Processes; 1 stays in this one. joblib's parallel_config (a Dask cluster, say) is honoured.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: expected at least 1")
    if jobs == 1 or len(items) < 2:
        results: Iterable[Result] = (function(item) for item in items)
    else:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=min(jobs, len(items)), return_as="generator")(delayed(function)(x) for x in items)
    return list(progress(results, total=len(items), description=description))
