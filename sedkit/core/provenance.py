"""Which code is at work: what a record says of how its figures came about."""

from __future__ import annotations

import functools
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import sedkit


def made_with(*packages: str) -> dict[str, str | None]:
    """Return the versions of sedkit, Python, numpy and other packages, and the commit of sedkit's checkout (or None).

    >>> list(made_with("scipy"))
    ['sedkit', 'python', 'numpy', 'scipy', 'commit']
    """
    out: dict[str, str | None] = {"sedkit": sedkit.__version__, "python": platform.python_version()}
    for name in ("numpy", *packages):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "unknown"
    return out | {"commit": commit()}


@functools.cache
def commit() -> str | None:
    """Return the commit of the checkout that sedkit runs from, None outside one."""
    checkout = Path(sedkit.__file__).resolve().parents[1]
    try:
        out = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return out.stdout.strip() if out.returncode == 0 else None
