"""What tests of faults share."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.full.calls import World


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """A folder in which every call was made to its end; in memory, where that is a folder."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as name:
        yield World(Path(name))


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[Path]:
    """Mount something at a folder, which is made where it is not there; skip the test where nobody may."""
    made = not folder.exists()
    folder.mkdir(exist_ok=True)
    try:
        if subprocess.run(["mount", *words, str(folder)], capture_output=True).returncode:
            pytest.skip("a disk of its own needs the right to mount one")
        try:
            yield folder
        finally:
            subprocess.run(["umount", str(folder)], check=True)
    finally:
        if made:
            folder.rmdir()


@pytest.fixture
def small(world: World) -> Iterator[Path]:
    """A folder of the world that is a disk of its own, of 16 MiB."""
    with mounted(world.unharmed / "small", "-t", "tmpfs", "-o", "size=16m", "sedkit") as folder:
        yield folder
