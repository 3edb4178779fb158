"""Calls of sedkit in processes that are killed at work, and what is left compared with what an unharmed one leaves."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

import sedkit.core.files as files
from sedkit.cli.main import main

#: Names of files that say when and where something was made, not what.
ABOUT = (".done.json", "environment.json", "run.sh", "runs.log")
#: Keys that are the clock's.
CLOCK = {"elapsed_s"}


class Call(NamedTuple):
    """A call of sedkit.

    Attributes
    ----------
    stage
        Of a recipe.
    words
        Of the command line, for a folder in which everything lies.
    outputs
        Files and folders that it makes there.
    """

    stage: str
    words: tuple[str, ...]
    outputs: tuple[str, ...]


class Ended(NamedTuple):
    """How a process ended: its status (-9: killed), seconds, and how often it wrote a file."""

    status: int
    seconds: float
    writes: int


def run(call: Call, folder: Path, kill_at: float | None = None, kill_in: tuple[int, float] | None = None) -> Ended:
    """Run a call in a fork of this process, which has everything imported.

    Parameters
    ----------
    kill_at
        Kill it after so many seconds.
    kill_in
        Kill it so many seconds after it begins its nth write of a file, from 0.
    """
    reading, writing = os.pipe()
    begin = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _work(call, folder, writing)
    os.close(writing)
    writes, due = 0, None if kill_at is None else begin + kill_at
    try:
        while True:
            left = None if due is None else max(0.0, due - time.monotonic())
            ready, _, _ = select.select([reading], [], [], left)
            if not ready:
                os.kill(pid, signal.SIGKILL)
                break
            said = os.read(reading, 4096)
            if not said:
                break
            before, writes = writes, writes + len(said)
            if kill_in is not None and before <= kill_in[0] < writes:
                due = time.monotonic() + kill_in[1]
        _, how = os.waitpid(pid, 0)
    finally:
        os.close(reading)
    return Ended(os.waitstatus_to_exitcode(how), time.monotonic() - begin, writes)


def _work(call: Call, folder: Path, writing: int) -> None:
    """Be the process: tell of each write of a file, do the call, end."""
    try:
        os.setsid()
        os.chdir(folder)
        quiet = os.open(os.devnull, os.O_WRONLY)
        errors = os.open("errors.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(quiet, 1)
        os.dup2(errors, 2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (the process ends with it)
        torch.set_num_threads(1)
        _tell("aside_of", writing)
        status = main(list(call.words))
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc(file=open("errors.log", "a"))  # noqa: SIM115 (the process ends with it)
        status = 99
    os._exit(status)


def _tell(name: str, writing: int) -> None:
    """Let a function of `core.files` say through a pipe that it is called, from wherever it was imported."""
    told = getattr(files, name)

    def telling(*words: Any, **named: Any) -> Any:
        os.write(writing, b".")
        return told(*words, **named)

    for place, module in list(sys.modules.items()):
        if place.startswith("sedkit.") and getattr(module, name, None) is told:
            setattr(module, name, telling)


def differences(a: Path, b: Path, outputs: tuple[str, ...]) -> list[str]:
    """Return which files of the outputs differ between two folders, or are in one alone."""
    different = []
    for output in outputs:
        left, right = (_below(folder / output) for folder in (a, b))
        different += [f"{output}/{name}: in one alone" for name in sorted(left.keys() ^ right.keys())]
        different += [
            f"{output}/{name}" for name in sorted(left.keys() & right.keys()) if not _same(left[name], right[name])
        ]
    return different


def leftovers(folder: Path) -> list[str]:
    """Return what no finished call leaves: files aside, shards, locks."""
    paths = (path.relative_to(folder) for path in folder.rglob("*"))
    return sorted(str(p) for p in paths if any(word in p.name for word in (".part", ".parts", ".lock", ".old")))


def _below(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {"": path}
    below = (p for p in path.rglob("*") if p.is_file() and not p.name.endswith(ABOUT))
    return {str(p.relative_to(path)): p for p in below}


def _same(a: Path, b: Path) -> bool:
    if a.suffix == ".h5":
        with h5py.File(a) as x, h5py.File(b) as y:
            return x.keys() == y.keys() and all(np.array_equal(x[k][()], y[k][()]) for k in x)
    if a.suffix == ".pt":
        return _equal(*(torch.load(path, weights_only=True) for path in (a, b)))
    if a.suffix in (".json", ".jsonl"):
        return _read(a) == _read(b)
    return a.read_bytes() == b.read_bytes()


def _read(path: Path) -> Any:
    lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
    return [_without_clock(json.loads(line)) for line in lines]


def _without_clock(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_clock(v) for k, v in value.items() if k not in CLOCK}
    return [_without_clock(v) for v in value] if isinstance(value, list) else value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)


def copy_links(source: Path, target: Path, without: tuple[str, ...]) -> None:
    """Copy a folder by hard links, without outputs and their stamps."""
    shutil.copytree(source, target, copy_function=os.link)
    for output in without:
        path = target / output
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.done.json").unlink(missing_ok=True)
