"""Calls of recipes, on their miniatures and with small networks of few steps."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sedkit.core.files import lock
from tests.recipes._forks import ONE_THREAD, python

ROOT = Path(__file__).resolve().parents[2]
RECIPE = "dcase2019_task4"
CONF = ROOT / "recipes" / RECIPE / "conf" / "cnn9_weak.yaml"
#: Of the first recipe: fp32, a rate that a short run can do something with; seconds, and the same figures on any
#: machine.
REDUCED = (
    "model.base_channels=8",
    "training.steps=50",
    "training.eval_every=25",
    "training.checkpoint_every=10",
    "training.batch_size=8",
    "optimiser.learning_rate=0.003",
    "schedule={name: constant}",
    "training.precision=fp32",
)


@dataclass(frozen=True)
class Place:
    """Where calls of a recipe keep their folders."""

    root: Path
    recipe: str = RECIPE

    @property
    def data(self) -> Path:
        """Folder of the data dirs."""
        return self.root / "data" / self.recipe

    @property
    def exp(self) -> Path:
        """Folder of the experiments."""
        return self.root / "exp" / self.recipe

    @property
    def experiment(self) -> Path:
        """The default system's first experiment."""
        return self.exp / "cnn9_weak" / "seed0"

    @property
    def submissions(self) -> Path:
        """Folder of the submissions."""
        return self.root / "submission" / self.recipe

    def command(self, *words: str) -> list[str]:
        """Return a call of the recipe; what is in `words` wins."""
        folders = [f"--{part}-dir={self.root / part}" for part in ("data", "exp", "submission")]
        return [str(ROOT / "runme.sh"), self.recipe, *folders, "--device=cpu", "--jobs=2", *words]

    def runme(self, *words: str, reduced: tuple[str, ...] = REDUCED) -> subprocess.CompletedProcess[str]:
        """Call the recipe; one that fails fails the test."""
        call = [*self.command(*words), "--", *reduced]
        with subprocess.Popen(
            call,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as running:
            try:
                out, err = running.communicate()
            except BaseException:
                # A test that is stopped leaves no training behind.
                os.killpg(running.pid, signal.SIGKILL)
                raise
        assert running.returncode == 0, err[-3000:]
        return subprocess.CompletedProcess(call, running.returncode, out, err)


def environment() -> dict[str, str]:
    """Return the environment of a call: this Python with everything imported, one thread."""
    return os.environ | ONE_THREAD | {"SEDKIT_VENV": "none", "SEDKIT_PYTHON": str(python())}


def prepared(factory: pytest.TempPathFactory) -> Place:
    """Return a place whose stages 0 to 3 are done, made once whatever the number of test processes."""
    base = factory.getbasetemp()
    # Under pytest-xdist each process has its own folder in the one of the whole run.
    place = Place((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / RECIPE)
    with lock(place.root.with_suffix(".lock")):
        if not place.root.is_dir():
            place.runme("--stop-stage=3")
    return place
