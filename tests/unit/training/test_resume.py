"""Training runs that are called again: which are skipped, which go on, which start anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_data import config, make_set, write_config
from fake_recordings import FRONTEND
from training_runs import records, same_state, train

from sedkit.cli.main import main
from sedkit.core.files import write_yaml
from sedkit.models.checkpoint import read_checkpoint
from sedkit.objectives.base import Context
from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan


def test_a_finished_run_is_skipped_and_a_changed_one_is_not(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path / "c.yaml", training__steps=2, training__eval_every=2)
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main(call) == 0
    written = (tmp_path / "exp/checkpoints/best.pt").stat().st_mtime_ns
    assert main(call) == 0
    assert "is up to date" in capsys.readouterr().err
    assert (tmp_path / "exp/checkpoints/best.pt").stat().st_mtime_ns == written
    assert main([*call, "training.seed=1"]) == 0
    assert "starting anew" in capsys.readouterr().err
    assert (tmp_path / "exp/checkpoints/best.pt").stat().st_mtime_ns != written
    # The folder's own record repeats the call.
    again = ["train", "--config", str(tmp_path / "exp/config.yaml"), *call[3:]]
    assert main(again) == 0
    assert "is up to date" in capsys.readouterr().err


def test_a_best_checkpoint_that_was_removed_is_made_again(data_root: Path, tmp_path: Path) -> None:
    best = tmp_path / "exp" / "checkpoints" / "best.pt"
    train(data_root, tmp_path / "exp")
    kept = read_checkpoint(best).networks
    best.unlink()
    train(data_root, tmp_path / "exp")
    assert same_state(read_checkpoint(best).networks, kept)


def test_a_last_checkpoint_that_was_cut_off_is_not_gone_on_with(
    data_root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best, last = (tmp_path / "exp" / "checkpoints" / name for name in ("best.pt", "last.pt"))
    train(data_root, tmp_path / "exp")
    kept = read_checkpoint(best).networks
    last.write_bytes(last.read_bytes()[:-1000])
    with caplog.at_level("WARNING", logger="sedkit"):
        experiment = train(data_root, tmp_path / "exp")
    assert "last.pt" in caplog.text and "starting anew" in caplog.text
    assert not experiment.resumed and same_state(read_checkpoint(best).networks, kept)


def test_another_data_root_is_refused(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path / "c.yaml", training__steps=1, training__eval_every=1)
    other = tmp_path / "other"
    make_set(other, "weak", 10, 9, ("train", "select"))
    call = ["train", "--config", str(path), "--exp", str(tmp_path / "exp"), "--data"]
    assert main([*call, str(data_root)]) == 0
    assert main([*call, str(other)]) == 1
    message = capsys.readouterr().err
    assert str(data_root) in message
    assert str(other) in message
    assert main([*call, str(other), "--force", "true"]) == 0


#: Steps of features that change sound and labels, and another view.
AUGMENTED = {
    "set": "synthetic",
    "labels": {"target": "frame"},
    "augment": {"time_shift": {"most_s": 0.5}, "mixup": {"of": "features", "probability": 0.5}},
    "views": {"teacher": {"amplitude_noise": {"std": 0.01}}},
}


#: Two networks, one of which the optimiser never sees.
TEACHER = {
    "objective": {"name": "mean_teacher", "teacher_view": "teacher", "start": "own"},
    "model": {"name": "crnn", "pooling": [[4, 4], [1, 4]], "channels": [2, 2], "units": 2, "hidden": 0},
}


#: Blocks that are not trained, rates that differ, two batches a step.
TUNED = {
    "optimiser": {"name": "adamw", "groups": {"blocks.1.*": {"factor": 0.1, "weight_decay": 0.0}}},
    "training__freeze": ["blocks.0.*"],
    "training__accumulate": 2,
}


@pytest.mark.parametrize(
    ("stream", "more"), [({"set": "weak"}, {}), (AUGMENTED, {}), (AUGMENTED, TEACHER), (AUGMENTED, TUNED)]
)
def test_a_resumed_run_goes_on_exactly(data_root: Path, tmp_path: Path, stream: dict, more: dict) -> None:
    data = {"streams": {"weak": stream}, "select": {"weak": {"set": "weak", "folds": ["select"]}}}
    changes = {"data": data, "objective": {"name": "weak_strong_bce"}, **more}
    whole = train(data_root, tmp_path / "whole", **changes)
    path = write_config(tmp_path / "c.yaml", **changes)
    stopped = Experiment(make_plan(path, [], data_root, tmp_path / "stopped"))
    (tmp_path / "stopped").mkdir()
    stopped_at = 9

    class Stop(Exception):
        pass

    original = stopped.objective.after_step

    def after_step(context: Context) -> None:
        original(context)
        if context.step + 1 == stopped_at:
            raise Stop

    stopped.objective.after_step = after_step  # type: ignore[method-assign]
    with pytest.raises(Stop):
        stopped.run(resume=True)
    assert read_checkpoint(tmp_path / "stopped/checkpoints/last.pt").step == 8
    again = Experiment(make_plan(path, [], data_root, tmp_path / "stopped"))
    again.run(resume=True)
    for name, network in whole.objective.networks(whole.network).items():
        assert same_state(network.state_dict(), again.objective.networks(again.network)[name].state_dict())
    assert same_state(whole.loop.optimiser.state_dict(), again.loop.optimiser.state_dict())
    assert records(tmp_path / "stopped") == records(tmp_path / "whole")


@pytest.mark.full
def test_sigkill_and_a_new_run_give_the_figures_of_an_uninterrupted_one(data_root: Path, tmp_path: Path) -> None:
    path = write_config(
        tmp_path / "c.yaml",
        training__steps=40,
        training__eval_every=10,
        training__checkpoint_every=3,
        data={"streams": {"weak": AUGMENTED}, "select": {"weak": {"set": "weak", "folds": ["select"]}}},
        objective={"name": "weak_strong_bce"},
    )
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[3])}

    def start(folder: str) -> subprocess.Popen[bytes]:
        call = [sys.executable, "-m", "sedkit", "train", "--config", str(path), "--data", str(data_root)]
        return subprocess.Popen(
            [*call, "--exp", str(tmp_path / folder)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )

    whole = start("whole")
    killed = start("killed")
    metrics = tmp_path / "killed/metrics.jsonl"
    deadline = time.monotonic() + 200
    while not (metrics.is_file() and metrics.read_text().count("\n") >= 2):
        assert killed.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    killed.stderr.close()
    assert not (tmp_path / "killed/summary.json").exists()
    again = start("killed")
    _, message = again.communicate(timeout=200)
    assert again.returncode == 0, message
    assert b"going on after step" in message
    whole.communicate(timeout=200)
    assert whole.returncode == 0
    assert records(tmp_path / "killed") == records(tmp_path / "whole")
    a, b = (read_checkpoint(tmp_path / name / "checkpoints/last.pt") for name in ("whole", "killed"))
    assert same_state(a.networks, b.networks)
    assert same_state(a.training["loop"], b.training["loop"])
    best = [read_checkpoint(tmp_path / name / "checkpoints/best.pt") for name in ("whole", "killed")]
    assert same_state(best[0].networks, best[1].networks)
    assert {p.name for p in (tmp_path / "killed").rglob("*")} == {p.name for p in (tmp_path / "whole").rglob("*")}


def test_a_run_that_ends_early_is_the_beginning_of_the_whole_one(data_root: Path, tmp_path: Path) -> None:
    whole = train(data_root, tmp_path / "whole")
    early = train(data_root, tmp_path / "early", "training.last_step=6")
    assert records(tmp_path / "early") == records(tmp_path / "whole")[:1]
    assert early.loop.progress.step == 6 and whole.loop.progress.step == 12


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """A copy of the data with a configuration whose training reads recordings, and those of a background set."""
    shutil.copytree(root, tmp_path / "data")
    classes = {"Cat": "cat", "Dog": ["dog", "pouring_water"]}
    write_yaml(tmp_path / "map.yaml", {"classes": classes})
    common = {"set": "source/esc50", "window": {"length_s": 1.0}, "labels": {"map": str(tmp_path / "map.yaml")}}
    background = {"background": {"set": "target/synthetic", "snr_db": [0, 9]}}
    streams = {"a": common | {"folds": ["1", "2"], "source": "waveforms", "augment": background}}
    data = {"streams": streams, "select": {"a": common | {"folds": ["3"]}}}
    sections = config(data=data, frontend=FRONTEND.as_dict(), training__steps=2, training__eval_every=2)
    write_yaml(tmp_path / "c.yaml", sections)
    return tmp_path


def test_features_extracted_again_keep_an_interrupted_training(copied: Path) -> None:
    def experiment() -> Experiment:
        stored = ["data.streams.a.source=features", "data.streams.a.augment={}"]
        return Experiment(make_plan(copied / "c.yaml", stored, copied / "data", copied / "exp"))

    (copied / "exp").mkdir()
    experiment().run(resume=True)
    (file,) = (copied / "data/source/esc50").glob("*.h5")
    file.unlink()
    assert main(["extract", str(copied / "data/source/esc50"), "--config", str(copied / "c.yaml"), "--jobs", "1"]) == 0
    assert file.is_file() and experiment()._last() is not None


def test_changed_recordings_behind_waveforms_start_a_run_anew_and_touched_ones_do_not(copied: Path) -> None:
    """Of the stream that cuts waveforms, and of the set whose quiet stretches are mixed in."""
    root, exp = copied / "data", copied / "exp"

    def experiment() -> Experiment:
        return Experiment(make_plan(copied / "c.yaml", [], root, exp))

    exp.mkdir()
    done = experiment()
    done.run(resume=True)
    assert done.run_info["saw"]["trained"] == [["esc50", "1"], ["esc50", "2"], ["synthetic", None]]
    for path in root.rglob("*"):
        os.utime(path, (1, 1))
    assert experiment()._last() is not None
    keys = {experiment().plan.key}
    for name in ("1-0-A.wav", "x.wav"):
        content = (root / "audio" / name).read_bytes()
        (root / "audio" / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        changed = experiment()
        assert changed._last() is None
        keys.add(changed.plan.key)
    with open(copied / "map.yaml", "a") as file:
        file.write("# other bytes\n")
    assert len({*keys, experiment().plan.key}) == 4
