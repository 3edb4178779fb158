"""Calls of sedkit in processes that are killed at work, and what is left compared with what an unharmed one leaves."""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
import torch

import sedkit
import sedkit.core.files as files
from sedkit.cli.main import main

#: What calls import when they come to need it, besides all of sedkit: most of their time, if each fork did.
_HEAVY = (*("encodings.ascii", "jsonargparse", "librosa", "pypdf", "scipy.optimize", "scipy.signal", "torch._dynamo"),)


def import_everything() -> None:
    """Import what calls will need, so that forks of this process have it."""
    for name in (*(module.name for module in pkgutil.walk_packages(sedkit.__path__, "sedkit.")), *_HEAVY):
        if not name.endswith("__main__"):
            importlib.import_module(name)


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


#: What a process says of itself through a pipe: it begins to write a file or a folder aside, and has written it; the
#: same of checkpoints and HDF5 files.
WRITE, WRITTEN, STORE, STORED = b"(", b")", b"[", b"]"
_STORES = (".h5", ".pt")
#: A user who may do nothing.
NOBODY = 65534


class Moment(NamedTuple):
    """When something befalls a process: seconds after it begins or, with a mark, after it says that the nth time."""

    after_s: float
    mark: bytes = b""
    n: int = 0


class Ended(NamedTuple):
    """How a process ended.

    Attributes
    ----------
    status
        -9: killed.
    seconds
        How long it took.
    writes, stores
        Seconds of each write of a file or folder, and of those of checkpoints and HDF5 files; None: it never ended.
    """

    status: int
    seconds: float
    writes: tuple[float | None, ...]
    stores: tuple[float | None, ...]


class Victim:
    """A call of sedkit in a fork of this process, which has everything imported.

    Parameters
    ----------
    user
        Number of the user who calls; None: this one.
    """

    def __init__(self, call: Call, folder: Path, user: int | None = None) -> None:
        self.reading, writing = os.pipe()
        self.begin, self.said = time.monotonic(), list[tuple[bytes, float]]()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reading)
            _work(call, folder, writing, user)
        os.close(writing)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def watch(self, at: Moment | None = None, befalls: Callable[[], object] | None = None) -> Ended:
        """Wait for its end; at a moment something befalls it, by default it is killed."""
        due = self.begin + at.after_s if at is not None and not at.mark else None
        try:
            while True:
                left = None if due is None else max(0.0, due - time.monotonic())
                if not select.select([self.reading], [], [], left)[0]:
                    (befalls or self.kill)()
                    due = None
                    continue
                said = os.read(self.reading, 4096)
                if not said:
                    break
                for mark in (said[i : i + 1] for i in range(len(said))):
                    self.said.append((mark, time.monotonic()))
                    if at is not None and mark == at.mark and sum(mark == m for m, _ in self.said) == at.n + 1:
                        due = time.monotonic() + at.after_s
            _, how = os.waitpid(self.pid, 0)
        finally:
            os.close(self.reading)
        seconds = time.monotonic() - self.begin
        spans = self._spans(WRITE, WRITTEN), self._spans(STORE, STORED)
        return Ended(os.waitstatus_to_exitcode(how), seconds, *spans)

    def _spans(self, opening: bytes, closing: bytes) -> tuple[float | None, ...]:
        spans: list[float | None] = []
        open_since: list[tuple[int, float]] = []
        for mark, at in self.said:
            if mark == opening:
                open_since.append((len(spans), at))
                spans.append(None)
            elif mark == closing:
                place, since = open_since.pop()
                spans[place] = at - since
        return tuple(spans)


def run(
    call: Call,
    folder: Path,
    at: Moment | None = None,
    befalls: Callable[[], object] | None = None,
    user: int | None = None,
) -> Ended:
    """Make a call in a folder, where something may befall it (`Victim.watch`)."""
    return Victim(call, folder, user).watch(at, befalls)


def log_of(folder: Path) -> Path:
    """Return the file, beside a folder, of what calls there have said."""
    return folder.with_name(f"{folder.name}.log")


def _work(call: Call, folder: Path, writing: int, user: int | None) -> None:
    """Be the process: tell of each write of a file, do the call, end."""
    try:
        os.setsid()
        quiet = os.open(os.devnull, os.O_WRONLY)
        errors = os.open(log_of(folder), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.chdir(folder)
        os.dup2(quiet, 1)
        os.dup2(errors, 2)
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 (the process ends with it)
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        torch.set_num_threads(1)
        _tell(writing)
        status = main(list(call.words))
        sys.stderr.flush()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        status = 99
    os._exit(status)


def _tell(writing: int) -> None:
    """Let what `core.files` writes with say through a pipe what it does, from wherever it was imported."""
    for name in ("atomic_path", "atomic_folder"):
        told, telling = getattr(files, name), _telling(getattr(files, name), writing)
        for place, module in list(sys.modules.items()):
            if place.startswith("sedkit.") and getattr(module, name, None) is told:
                setattr(module, name, telling)


def _telling(told: Callable[[Path], AbstractContextManager[Path]], writing: int) -> Any:
    @contextmanager
    def telling(path: Path) -> Iterator[Path]:
        store = Path(path).suffix in _STORES
        with told(path) as aside:
            os.write(writing, WRITE + STORE if store else WRITE)
            yield aside
            # It takes its place after that.
            os.write(writing, STORED + WRITTEN if store else WRITTEN)

    return telling


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
    """Put a copy of a folder, by hard links and without outputs and their stamps, in the place of another one."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=os.link)
    for output in without:
        path = target / output
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        path.with_name(f"{path.name}.done.json").unlink(missing_ok=True)
