"""What a process took."""

from __future__ import annotations

import re
from pathlib import Path


def peak_mib() -> float:
    """Return the most memory (MiB) that this process has had; unlike ru_maxrss, without that of what started it."""
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    match = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert match is not None
    return int(match[1]) / 1024
