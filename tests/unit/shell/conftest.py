"""A copy of the repository without an environment, on which runme.sh can be called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]

#: What a copy needs for runme.sh to get as far as making an environment.
PARTS = (
    *("runme.sh", "recipes", "setup.cfg", "pyproject.toml", "constraints.txt"),
    *("metadata/run_axes.tsv", "submissions/authors.example.yaml"),
)


def copy_repository(repository: Path, target: Path) -> Path:
    """Copy what runme.sh reads; no .venv, no data, no experiments."""
    for part in PARTS:
        source, place = repository / part, target / part
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, place)
        else:
            shutil.copy2(source, place)
    return target


@pytest.fixture
def listing() -> Callable[[Path], list[str]]:
    """A function: every path below a folder."""
    return lambda folder: sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


@pytest.fixture
def tree(repository: Path, tmp_path: Path) -> Path:
    """A copy of the repository, in a folder whose name has a space."""
    return copy_repository(repository, tmp_path / "a copy")


@pytest.fixture
def runme(tree: Path) -> Run:
    """Call the copy's runme.sh from another folder."""
    elsewhere = tree.parent / "elsewhere"
    elsewhere.mkdir(exist_ok=True)

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("SEDKIT_")} | environment
        return subprocess.run(
            [str(tree / "runme.sh"), *words], cwd=elsewhere, env=env, capture_output=True, text=True, timeout=60
        )

    return run


#: Stands in for python3.11: makes environments that hold itself, and writes down what it is told to install or run.
FAKE_PYTHON = """#!/bin/bash
case "$1 $2" in
    "-c import sys, venv"*) exit 0 ;;
    "-c import sys; print"*) echo "${FAKE_VERSION:-3.11}"; exit 0 ;;
    "-c ") exit 0 ;;
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; printf 'command = x -m venv %s\\n' "$3" >"$3/pyvenv.cfg" ;;
    "-m pip") echo "${@:3}" >>"$FAKE_LOG.pip"; sleep "${FAKE_PIP_SECONDS:-0}"; exit "${FAKE_PIP_STATUS:-0}" ;;
    "-m sedkit")
        shift 2
        printf '%s\\n' "$*" >>"$FAKE_LOG.sedkit"
        [[ -z ${FAKE_SLOW-} || "$*" != *$FAKE_SLOW* ]] || sleep 30
        [[ -z ${FAKE_FAILURE-} || "$*" != *$FAKE_FAILURE* ]] || { echo "sedkit: error: as told" >&2; exit 1; }
        ;;
esac
"""


@pytest.fixture
def fake(tree: Path) -> dict[str, str]:
    """Environment variables for a stand-in for Python; `log(name)` of the file FAKE_LOG.<name> is what it was asked."""
    script = tree.parent / "fake python"
    script.write_text(FAKE_PYTHON)
    script.chmod(0o755)
    return {"SEDKIT_VENV": "", "SEDKIT_PYTHON": str(script), "FAKE_LOG": str(tree.parent / "log")}


@pytest.fixture
def asked(tree: Path) -> Callable[[str], list[str]]:
    """A function: the lines that the stand-in wrote down, of `pip` or `sedkit`."""

    def lines(name: str) -> list[str]:
        path = tree.parent / f"log.{name}"
        return path.read_text().splitlines() if path.exists() else []

    return lines
