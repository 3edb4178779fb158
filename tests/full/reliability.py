"""What the tests of faults count, which `python -m tests.full.reliability` writes into docs/reliability.md."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: A file that gets a line of JSON a record, named by tests/run.sh.
RECORDS = "SEDKIT_RELIABILITY"


def record(kind: str, name: str, counts: Mapping[str, Any]) -> None:
    """Keep what was counted, where anyone asks for it."""
    path = os.environ.get(RECORDS)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "name": name, **counts}) + "\n")


class Branches:
    """Branches of modules that were gone through; printed as taken/all, "" where nobody counts."""

    def __init__(self) -> None:
        self.text = ""

    def __str__(self) -> str:
        return self.text


@contextmanager
def branches(modules: tuple[str, ...]) -> Iterator[Branches]:
    """Count the branches of modules that a block goes through, where the records are kept and coverage is installed."""
    counted = Branches()
    if not os.environ.get(RECORDS):
        yield counted
        return
    import coverage

    files = [str(Path(str(importlib.import_module(module).__file__))) for module in modules]
    counter = coverage.Coverage(branch=True, include=files, data_file=None, config_file=False)
    counter.start()
    try:
        yield counted
    finally:
        counter.stop()
        taken = every = 0
        for file in files:
            numbers = counter._analyze(file).numbers
            taken += numbers.n_executed_branches
            every += numbers.n_branches
        counted.text = f"{taken} of {every}"
