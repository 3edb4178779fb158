"""The first command: from a clone of this repository to scores, installation included, and where its time goes.

`git clone` into a temporary folder and `./runme.sh` there, with no setting of this environment. It agrees where the
call ends well and leaves results. The short form uses the active environment and ends after the first stages.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks._measure import Comparisons, Form, Report
from sedkit.core.errors import SedkitError

RUNS = 1
BY_NAME: bool = True
COMPARISONS: Comparisons = {"first": ("git clone and ./runme.sh", "240 s, asked for", 1.0)}
#: Seconds on two quiet cores.
ASKED_S = 240.0
REPOSITORY = Path(__file__).resolve().parent.parent
#: What a user's shell does not have.
OURS = ("SEDKIT_", "PYTHON", "OMP_", "MKL_", "OPENBLAS_", "NUMBA_")
#: A stage's begin, as `./runme.sh` says it.
STAGE = re.compile(r"== stage (\d \w+): (?!done|not used)")
ENVIRONMENT = "environment"


def settings(quick: bool) -> dict[str, str]:
    """Return the environment of a user's shell; in the short form, the active one of Python."""
    if quick:
        return {**os.environ, "SEDKIT_VENV": "none"}
    venv = os.environ.get("VIRTUAL_ENV", "")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS) and k != "VIRTUAL_ENV"}
    path = [place for place in kept.get("PATH", "").split(os.pathsep) if not venv or not place.startswith(venv)]
    return kept | {"PATH": os.pathsep.join(path)}


def first_command(quick: bool) -> tuple[dict[str, float], str]:
    """Clone and run; return the seconds of each part, and the commit."""
    with tempfile.TemporaryDirectory() as name:
        clone, parts = Path(name) / "sedkit", {}
        begin = time.perf_counter()
        subprocess.run(["git", "clone", "--quiet", REPOSITORY, clone], check=True)
        now = time.perf_counter()
        parts["clone"], current, since = now - begin, ENVIRONMENT, now
        words = ["bash", clone / "runme.sh", *(["--stop-stage", "1"] if quick else [])]
        with subprocess.Popen(
            words, cwd=clone, env=settings(quick), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            last = ""
            assert process.stderr is not None
            for line in process.stderr:
                last = line.strip() or last
                if match := STAGE.match(line):
                    now = time.perf_counter()
                    parts[current], current, since = now - since, match[1], now
        parts[current] = time.perf_counter() - since
        if process.returncode:
            raise SedkitError(f"./runme.sh in a clone ended with status {process.returncode}: {last}")
        if not quick and not list(clone.glob("exp/*/*/seed*/results/*.json")):
            raise SedkitError("./runme.sh in a clone left no results in exp/")
        call = ["git", "-C", clone, "rev-parse", "--short=12", "HEAD"]
        commit = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    return parts, commit


def run(form: Form) -> Report:
    """Do it, as often as is asked for."""
    done = [first_command(form.quick) for _ in range(form.runs)]
    ours, asked, _ = COMPARISONS["first"]
    parts = {name: np.array([times.get(name, np.nan) for times, _ in done]) for name in done[0][0]}
    return Report(
        title="from a clone to scores, clock on the wall",
        seconds={ours: np.sum(list(parts.values()), axis=0), asked: np.full(form.runs, ASKED_S), **parts},
        equal={"first": True},
        notes=(f"commit {done[0][1]}: what is not committed is not in a clone",),
    )
