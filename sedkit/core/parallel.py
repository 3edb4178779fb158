"""Many cores: one front for joblib, and progress bars that keep silent when nobody watches."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from typing import Any, TypeVar

import sedkit
from sedkit.core.errors import SedkitError, UsageError, first_line
from sedkit.core.log import log

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
    return tqdm(
        iterable,
        total=total,
        desc=description,
        unit=unit,
        disable=silent,
        delay=1.0,
        # A bar within another one goes when it is full.
        leave=None,
        file=sys.stderr,
    )


#: Before the address of a cluster's scheduler.
DASK = "dask:"
#: How long a scheduler may take to answer.
_ANSWER_S = 15.0


@cache
def use_cluster(address: str) -> int:
    """Let `run_jobs` send its jobs to a Dask cluster, for the rest of the process.

    Parameters
    ----------
    address
        Of the scheduler, `tcp://HOST:PORT`. Its workers see the same folders under the same names.

    Returns
    -------
    How many jobs the workers do at a time.

    Raises
    ------
    UsageError
        Dask is not installed.
    SedkitError
        Nobody answers, there is no worker, or one has another sedkit or does not see the working folder.
    """
    try:
        from dask.distributed import Client
    except ImportError as error:
        needs = f"--jobs {DASK}{address} needs Dask ({error})"
        raise UsageError(f"{needs}; `pip install -e '.[dask]'` in the clone") from None
    from joblib import parallel_config

    try:
        client = Client(address, timeout=_ANSWER_S, set_as_default=True)
        workers: dict[str, tuple[str, bool]] = client.run(partial(_look_around, os.getcwd()))
    except (OSError, ValueError, ImportError) as error:
        raise SedkitError(f"--jobs {DASK}{address}: {first_line(error) or 'no scheduler answers'}") from None
    for worker, (version, sees) in workers.items():
        if version != sedkit.__version__:
            raise SedkitError(f"{worker}: has sedkit {version}, expected {sedkit.__version__} as here")
        if not sees:
            raise SedkitError(f"{worker}: sees no folder {os.getcwd()}, expected that of this call")
    threads = sum(client.nthreads().values())
    if not threads:
        raise SedkitError(f"--jobs {DASK}{address}: the scheduler has no worker")
    parallel_config(backend="dask")
    log.info("%d workers of %s do %d jobs at a time", len(workers), address, threads)
    return threads


def _look_around(folder: str) -> tuple[str, bool]:
    """Return a worker's version of sedkit, and whether it sees a folder, where it then works."""
    sees = os.path.isdir(folder)
    if sees:
        os.chdir(folder)
    return sedkit.__version__, sees


def run_jobs(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1, description: str = ""
) -> list[Result]:
    """Apply `function` to each item and return the results in order.

    Parameters
    ----------
    function
        With `jobs` above 1 it must be picklable (a module-level function or a `functools.partial` of one).
    jobs
        Processes, or threads of the workers where `use_cluster` was called; 1 stays in this process.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: expected at least 1")
    if jobs == 1 or len(items) < 2:
        results: Iterable[Result] = (function(item) for item in items)
    else:
        from joblib import Parallel, delayed

        results = Parallel(n_jobs=min(jobs, len(items)), return_as="generator")(delayed(function)(x) for x in items)
    return list(progress(results, total=len(items), description=description))
