"""Compiled code of layers on as many threads as torch takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any


@cache
def _threads(n: int, process: int) -> ThreadPoolExecutor:
    # Threads do not outlive a fork, so that each process has its own.
    return ThreadPoolExecutor(n, thread_name_prefix="layers")


def in_threads(work: Callable[..., Any], shares: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Call `work`, which lets go of the interpreter, with each share's arguments at once; return what it returns."""
    calls = list(shares)
    if len(calls) == 1:
        return [work(*calls[0])]
    return list(_threads(len(calls), os.getpid()).map(lambda call: work(*call), calls))
