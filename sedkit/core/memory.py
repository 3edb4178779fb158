"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import functools
import os

# malloc.h of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


@functools.cache
def keep_freed_memory() -> bool:
    """Let glibc keep freed memory for the next array, for the rest of the process; return whether it does.

    By default it maps pages for each large array and gives them back with it, and every page of the next one is faulted
    in again, which takes a fifth of the processor time of training a small network. Other C libraries, and
    processes with settings of their own (`MALLOC_...`), are left alone.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
