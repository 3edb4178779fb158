"""What the tests of faults count, which `python -m tests.full.reliability` writes into docs/reliability.md."""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
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


PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
_HEAD = """# Faults that were tried

Written by `./tests/run.sh --full` at commit {commit}, Python {python}, from what its tests of faults counted. The plain
`./tests/run.sh` runs a sample of them.

## Processes that are killed

Calls of every stage are killed (SIGKILL), half of them at any moment of their work, half while they write a file; a
kill counts where the process was still at work. The same call is then made again: it ends without an error, its outputs
equal those of a call that nobody disturbed, and nothing half-written stays (`tests/full/test_kills.py`).

| {stages} | in a write | all | seed |
|{rules}--:|--:|--:|
| {counts} |

## Inputs that are nearly right

Each is read or refused in one line; an error of any other kind, or more than 20 s, fails the test
(`tests/full/test_fuzz.py`). "Header": the first row, the keys or the kind of file is as it should be.

| parser | inputs | header | read | refused | branches taken | seed |
|---|--:|--:|--:|--:|--:|--:|
{rows}
"""


def page(records: list[dict[str, Any]], commit: str) -> str:
    """Return what stands in docs/reliability.md."""
    kills = next((one for one in records if one["kind"] == "kills"), {})
    stages = [key for key in kills if key not in ("kind", "name", "kills", "in a write", "seed")]
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
        counts=" | ".join(str(kills.get(key, 0)) for key in [*stages, "in a write", "kills", "seed"]),
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
