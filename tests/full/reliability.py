"""What the tests of faults count, which `python -m tests.full.reliability` writes into docs/reliability.md."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: A file that gets a line of JSON a record, named by tests/run.sh.
RECORDS = "SEDKIT_RELIABILITY"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def record(kind: str, name: str, counts: Mapping[str, Any]) -> None:
    """Keep what was counted, where anyone asks for it."""
    path = os.environ.get(RECORDS)
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, "name": name, **counts}) + "\n")


def record_fault(name: str, file: str) -> None:
    """Keep that a fault was tried in a test's file (`__file__`), and stood."""
    record("fault", name, {"test": str(Path(file).resolve().relative_to(PAGE.parents[1]))})


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


_HEAD = """# Faults that were tried

Written by `./tests/run.sh --full` at commit {commit}, Python {python}, from what its tests of faults counted. The plain
`./tests/run.sh` runs a sample of them.

## Processes that are killed

Calls of every stage are killed (SIGKILL) at any moment of their work, or while they write a file; a kill counts where
the process was still at work. "In a write": a file or folder was being written aside, and had not taken its place; of
those, which were a checkpoint or an HDF5 file. The same call is then made again: it ends without an error, its outputs
equal those of a call that nobody disturbed, and nothing half-written stays (`tests/full/test_kills.py`).

| {stages} | in a write | in a checkpoint or HDF5 file | all | seed |
|{rules}--:|--:|--:|--:|
| {counts} |

## Other faults

Each ends in one line and status 1, or is no fault to the call; made again, it gives what it gives undisturbed.

| fault | times | test |
|---|--:|---|
{faults}

Every `./tests/run.sh` has downloads from a server that breaks off, lies about lengths and ranges and serves other bytes
(`tests/unit/datasets/test_download*.py`), archives and packages that reach out of their folder or would fill the disk
(`tests/unit/datasets/test_archives.py`, `tests/unit/submission/test_archive.py`, `test_limits.py`), YAML whose aliases
have no end (`tests/unit/core/test_files.py`), and names that are HTML (`tests/unit/report/test_page.py`).

## Inputs that are nearly right

Drawn by hypothesis near what is right, and each again with some bytes spoilt. Each is read or refused in one line; an
error of any other kind, or more than 20 s, fails the test (`tests/full/test_fuzz.py`). "Header": the first row, the
keys or the kind of file is as it should be.

| parser | inputs | header | read | refused | branches taken | seed |
|---|--:|--:|--:|--:|--:|--:|
{rows}
"""


def page(records: list[dict[str, Any]], commit: str) -> str:
    """Return what stands in docs/reliability.md."""
    kills = next((one for one in records if one["kind"] == "kills"), {})
    others = ("in a write", "in a checkpoint or HDF5 file", "kills", "seed")
    stages = [key for key in kills if key not in ("kind", "name", *others)]
    faults = Counter((one["name"], one["test"]) for one in records if one["kind"] == "fault")
    inputs = [one for one in records if one["kind"] == "inputs"]
    columns = ("inputs", "header", "read", "refused")
    sums = {key: sum(one.get(key, 0) for one in inputs) for key in columns}
    lines = [
        f"| {one['name']} | "
        + " | ".join(str(one.get(key, 0)) for key in columns)
        + f" | {one['branches']} | {one['seed']} |"
        for one in inputs
    ]
    lines.append("| all | " + " | ".join(str(sums[key]) for key in columns) + " | | |")
    return _HEAD.format(
        commit=commit,
        python=platform.python_version(),
        stages=" | ".join(stages),
        rules="--:|" * len(stages),
        counts=" | ".join(str(kills.get(key, 0)) for key in [*stages, *others]),
        faults="\n".join(f"| {name} | {n} | `{test}` |" for (name, test), n in faults.items()),
        rows="\n".join(lines),
    )


def main() -> None:
    """Write the page from the records."""
    records = [json.loads(line) for line in Path(os.environ[RECORDS]).read_text(encoding="utf-8").splitlines()]
    call = ["git", "-C", str(PAGE.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(call, capture_output=True, text=True).stdout.strip() or "unknown"
    PAGE.write_text(page(records, commit), encoding="utf-8")


if __name__ == "__main__":
    main()
