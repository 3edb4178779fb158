"""A new recipe on a data set that is there: a short run.sh, a recipe.yaml and a system that names its base."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.shell.conftest import copy_repository

PAGE = Path(__file__).resolve().parents[2] / "docs" / "recipes.md"
#: The files that the page shows, by their path in the recipe's folder.
FILES = dict(
    re.findall(
        r"`recipes/soundscapes/([\w./]+)`[^`]*:\n\n```\w+\n(.*?)```\n", PAGE.read_text(encoding="utf-8"), re.DOTALL
    )
)


@pytest.fixture(scope="module")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the new recipe in it."""
    root = copy_repository(repository, tmp_path_factory.mktemp("checkout") / "sedkit")
    for part in ("sedkit", "metadata"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / part, root / part, dirs_exist_ok=True, ignore=ignored)
    folder = root / "recipes" / "soundscapes"
    (folder / "conf").mkdir(parents=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return root


def runme(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"SEDKIT_VENV": "none", "SEDKIT_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    call = [str(checkout / "runme.sh"), "soundscapes", "--miniature-size=10", "--device=cpu", *words]
    return subprocess.run(call, cwd=checkout, env=env, capture_output=True, text=True, timeout=230)


def test_it_is_short() -> None:
    lines = {name: text.count("\n") for name, text in FILES.items()}
    assert sorted(lines) == ["conf/small.yaml", "recipe.yaml", "run.sh"]
    assert lines["run.sh"] <= 40
    assert lines["recipe.yaml"] + lines["conf/small.yaml"] <= 40


def test_every_stage_knows_what_to_do(checkout: Path) -> None:
    done = runme(checkout, "--dry-run", "--seeds=0,1")
    assert done.returncode == 0, done.stderr
    calls = [shlex.split(line) for line in done.stdout.splitlines()]
    verbs = [words[2] if words[1] == "stage" else words[1] for words in calls]
    assert verbs == [
        *("miniature", "prepare", "features", "train", "train", "predict", "tune", "score"),
        *("pack", "check", "benchmark"),
    ]
    assert "soundscapes  " in runme(checkout, "--list").stdout


@pytest.mark.slow
def test_it_prepares_data_and_features(checkout: Path) -> None:
    done = runme(checkout, "--stop-stage=3")
    assert done.returncode == 0, done.stderr[-3000:]
    data = checkout / "data" / "soundscapes"
    assert (data / "weak" / "clips.tsv").is_file() and not list((data / "weak").glob("*.h5"))
    for name in ("synthetic", "validation"):
        assert len(list((data / name).glob("logmel-*.h5"))) == 1
    again = runme(checkout, "--stop-stage=3")
    # The miniature, the data dirs and two features files.
    assert again.stderr.count("is up to date") == 4
