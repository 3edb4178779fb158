"""What a training is made from is content: where it goes on, where it is skipped, where it starts anew."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_data import make_root, write_config
from training_runs import records

from sedkit.cli.main import main
from sedkit.core.files import read_json
from sedkit.models.checkpoint import read_checkpoint
from sedkit.objectives.base import Context
from sedkit.training.experiment import Experiment
from sedkit.training.plan import Plan, make_plan


class Stop(Exception):
    """Ends a training in the middle."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with data, a configuration and nothing else."""
    make_root(tmp_path / "first" / "data")
    write_config(tmp_path / "first" / "c.yaml")
    return tmp_path / "first"


def plan_of(place: Path, *overrides: str) -> Plan:
    return make_plan(place / "c.yaml", list(overrides), place / "data", place / "exp")


def stop_after(place: Path, step: int) -> None:
    """Train until after a step of which there is a checkpoint."""
    (place / "exp").mkdir()
    experiment = Experiment(plan_of(place))
    original = experiment.objective.after_step

    def after_step(context: Context) -> None:
        original(context)
        if context.step + 1 == step:
            raise Stop

    experiment.objective.after_step = after_step  # type: ignore[method-assign]
    with pytest.raises(Stop):
        experiment.run(resume=True)
    assert read_checkpoint(place / "exp/checkpoints/last.pt").step == 8


def goes_on(place: Path) -> bool:
    plan = plan_of(place)
    plan.check_same_root(force=False)
    return Experiment(plan)._last() is not None


def test_features_made_again_keep_an_interrupted_training(place: Path) -> None:
    stop_after(place, 9)
    shutil.rmtree(place / "data")
    make_root(place / "data")
    assert goes_on(place)


def test_data_and_experiment_moved_together_keep_it_too(place: Path, tmp_path: Path) -> None:
    stop_after(place, 9)
    shutil.copytree(place, tmp_path / "copy", copy_function=shutil.copyfile)
    assert goes_on(tmp_path / "copy")
    assert goes_on(place.rename(tmp_path / "moved"))
    # The data alone: it is known by its content.
    (tmp_path / "moved" / "data").rename(tmp_path / "data")
    (tmp_path / "moved" / "data").symlink_to(tmp_path / "data")
    assert goes_on(tmp_path / "moved")


def test_a_training_goes_on_unless_it_is_told_not_to(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stop_after(place, 9)
    shutil.copytree(place / "exp", place / "again")
    assert train(place, "--resume", "false") == 0
    assert "going on" not in capsys.readouterr().err
    anew = read_checkpoint(place / "exp/checkpoints/last.pt")
    shutil.rmtree(place / "exp")
    (place / "again").rename(place / "exp")
    assert train(place) == 0
    assert "going on after step 8 of 12" in capsys.readouterr().err
    went_on = read_checkpoint(place / "exp/checkpoints/last.pt")
    assert all(np.array_equal(anew.networks["network"][n], x) for n, x in went_on.networks["network"].items())


def change_features(place: Path) -> None:
    """Change one byte of the features, the file's size and times as they were."""
    (file,) = (place / "data" / "weak").glob("*.h5")
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=times)


def test_changed_features_start_it_anew(place: Path) -> None:
    stop_after(place, 9)
    change_features(place)
    assert not goes_on(place)


def train(place: Path, *words: str) -> int:
    where = ("--config", str(place / "c.yaml"), "--data", str(place / "data"), "--exp", str(place / "exp"))
    return main(["train", *where, *words])


@pytest.fixture
def trained(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `place`, with an experiment that was made with relative paths, a budget and weights."""
    monkeypatch.chdir(place)
    quick = ("--budget", "quick")
    words = ["train", "--config", "c.yaml", "--data", "data"]
    assert main([*words, "--exp", "other", *quick]) == 0
    from torch import save

    other = read_checkpoint("other/checkpoints/last.pt")
    save(other.networks["network"], "weights.pt")
    assert main([*words, "--exp", "exp", "--weights", "weights.pt", "training.seed=1", *quick]) == 0
    return place


def run_script(place: Path, *words: str) -> str:
    """Call the experiment's run.sh from another folder; return what it says."""
    sedkit = place.parent / "sedkit command"
    sedkit.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sedkit "$@"\n')
    sedkit.chmod(0o755)
    here = str(Path(__file__).resolve().parents[3])
    env = os.environ | {"SEDKIT": str(sedkit), "PYTHONPATH": here}
    call = [str(place / "exp/run.sh"), *words]
    done = subprocess.run(call, env=env, cwd="/", capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_the_script_of_an_experiment_skips_what_is_up_to_date(trained: Path) -> None:
    best = trained / "exp/checkpoints/best.pt"
    written = best.stat().st_mtime_ns
    said = run_script(trained)
    assert said.count("\n") == 1 and "is up to date" in said
    assert best.stat().st_mtime_ns == written
    moved = trained.rename(trained.with_name("mo'ved"))
    assert "is up to date" in run_script(moved)
    change_features(moved)
    assert "is up to date" not in run_script(moved)


def test_the_script_of_an_experiment_repeats_it(trained: Path) -> None:
    before = read_json(trained / "exp/environment.json")
    figures = records(trained / "exp")
    network = read_checkpoint(trained / "exp/checkpoints/best.pt").networks["network"]
    assert "up to date" not in run_script(trained, "--force", "true")
    after = read_json(trained / "exp/environment.json")
    assert after["run"] == before["run"]
    assert after["run"]["inputs"] == after["inputs"] and after["run"]["made_with"]["torch"]
    assert records(trained / "exp") == figures
    assert after["run"]["budget"] == "quick"
    again = read_checkpoint(trained / "exp/checkpoints/best.pt").networks["network"]
    assert all(np.array_equal(again[name], network[name]) for name in network)
    assert "is up to date" in run_script(trained)


def test_other_data_in_another_place_is_refused_and_the_same_is_not(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(place) == 0
    shutil.copytree(place / "data", tmp_path / "same")
    call = ["train", "--config", str(place / "c.yaml"), "--exp", str(place / "exp"), "--data", str(tmp_path / "same")]
    assert main(call) == 0
    assert "is up to date" in capsys.readouterr().err
    (tmp_path / "same/weak/labels.txt").write_text("Alarm\nDog\nCat\n")
    assert main(call) == 1
    said = capsys.readouterr().err
    assert f"was trained on {place / 'data'}, not on {tmp_path / 'same'}" in said
    assert train(place) == 0
    assert "is up to date" in capsys.readouterr().err, "what was refused has changed nothing"
