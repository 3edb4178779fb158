"""A new recipe on a data set that is there: a short run.sh, a recipe.yaml and a system that names its base."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.shell.conftest import copy_repository

RUN = """#!/usr/bin/env bash
# Events in domestic recordings from synthetic soundscapes, reported on validation alone.
# shellcheck source=recipes/common/lib.sh
source "$(dirname -- "${BASH_SOURCE[0]}")/../common/lib.sh"

RECIPE_HELP="Soundscapes alone: the smallest CNN on synthetic labels (DESED)"
DEFAULT_SYSTEM=small
declare -A EXPECTED_TIME=([quick]="a minute on 2 cores" [published]="an hour on a GPU")

main "$@"
"""

SETS = """data_sets: {desed: .}
trained: [synthetic]
tuned:
  - {set: synthetic, fold: tune, objective: segment}
predicted: [validation]
reported: {validation: []}
entered: [validation]
format: dcase2019
score: {metrics: [segment, event], baselines: true}
"""

SYSTEM = """base: ../../dcase2019_task4/conf/base.yaml
recipe: soundscapes
system: small
data:
  streams:
    weak: null
    synthetic: {set: synthetic, folds: [train], labels: {target: frame}}
  select:
    weak: null
    synthetic: {set: synthetic, folds: [select], labels: {target: frame}}
model: {name: cnn5_avg, clipwise: frame_max}
objective: {name: frame_bce}
"""


@pytest.fixture(scope="module")
def checkout(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout with the new recipe in it."""
    root = copy_repository(repository, tmp_path_factory.mktemp("checkout") / "sedkit")
    for part in ("sedkit", "metadata"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository / part, root / part, dirs_exist_ok=True, ignore=ignored)
    folder = root / "recipes" / "soundscapes"
    (folder / "conf").mkdir(parents=True)
    (folder / "run.sh").write_text(RUN)
    (folder / "recipe.yaml").write_text(SETS)
    (folder / "conf" / "small.yaml").write_text(SYSTEM)
    return root


def runme(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"SEDKIT_VENV": "none", "SEDKIT_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    call = [str(checkout / "runme.sh"), "soundscapes", "--miniature-size=10", "--device=cpu", *words]
    return subprocess.run(call, cwd=checkout, env=env, capture_output=True, text=True, timeout=230)


def test_it_is_short() -> None:
    assert RUN.count("\n") <= 40
    assert SETS.count("\n") + SYSTEM.count("\n") <= 40


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
