"""What the C library does with memory that is freed."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

#: Fills 64 MB twenty times, and prints the page faults of that.
CODE = """
import resource, sys
import numpy as np
from sedkit.core.memory import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
np.ones(8_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8_000_000)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word: str, **environment: str) -> tuple[bool, int]:
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    call = [sys.executable, "-c", CODE, word]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=alone | environment)
    kept, n = done.stdout.split()
    return bool(int(kept)), int(n)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library than glibc is left alone")
def test_pages_are_faulted_in_once() -> None:
    (_, default), (kept, n) = faults("default"), faults("keep")
    assert kept
    assert n < default / 10


def test_settings_of_the_user_stay() -> None:
    assert faults("keep", MALLOC_ARENA_MAX="2")[0] is False
