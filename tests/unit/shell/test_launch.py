"""recipes/common/launch.sh: independent jobs, in turn and side by side; and how a run ends when one fails."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time

import pytest

TRAIN = ("--stage", "4", "--stop-stage", "4", "--seeds", "0,1,2")
ENERGY = ("--energy", "true", "--device", "cpu")


def test_a_failing_job_is_reported_and_the_others_run(runme, fake, asked):
    done = runme(*TRAIN, **fake, FAKE_FAILURE="seed1")
    assert done.returncode == 1
    assert len(asked("sedkit")) == 3
    assert "1 of 3 jobs failed: cnn9_weak/seed1" in done.stderr
    assert "stage 4 train of dcase2019_task4 failed (status 1)" in done.stderr


def test_later_stages_do_not_run(runme, fake, asked):
    done = runme("--stage", "4", "--stop-stage", "5", **fake, FAKE_FAILURE="train")
    assert done.returncode == 1
    assert [line.split()[0] for line in asked("sedkit")] == ["train"]


def test_runs_one_at_a_time_share_the_process_of_a_stage(runme, fake, asked):
    done = runme("--stage=3", "--stop-stage=7", "--system=cnn5_weak,cnn9_weak", "--seeds=4,1", *ENERGY, **fake)
    assert done.returncode == 0, done.stderr
    calls = [line.split() for line in asked("sedkit")]
    assert [words[0] for words in calls].count("train") == 4
    runs = [f"exp/dcase2019_task4/{system}/seed{seed}" for system in ("cnn5_weak", "cnn9_weak") for seed in (4, 1)]
    stages = {words[1]: words for words in calls if words[0] == "stage"}
    assert list(stages) == ["features", "predict", "tune", "score"] and len(calls) == 8
    for name, words in stages.items():
        first = words.index("--run") + 1
        assert words[2:first] == [
            *("--recipe", "recipes/dcase2019_task4/recipe.yaml"),
            *("--data", "data/dcase2019_task4", "--run"),
        ]
        # Features do not depend on the seed.
        assert words[first : first + 4 if name != "features" else first + 2] == (
            runs if name != "features" else runs[::2]
        )
    assert "--energy true" in " ".join(stages["predict"]) and "--energy" not in stages["tune"]


@pytest.mark.parametrize("recipe", ["dcase2018_task4", "dcase2019_task4", "esc50_desed", "mixtures"])
def test_pages_are_left_out_where_they_are_not_wanted(runme, fake, asked, recipe):
    assert runme(recipe, "--stage=7", "--stop-stage=7", "--page=false", **fake).returncode == 0
    (call,) = asked("sedkit")
    assert call.endswith("--no-page true")


def test_a_stage_that_fails_ends_the_run_with_its_status(runme, fake, asked):
    done = runme("--stage=5", "--stop-stage=7", "--seeds=0,1", **fake, FAKE_FAILURE="stage tune")
    assert done.returncode == 1
    assert "stage 6 tune of dcase2019_task4 failed (status 1)" in done.stderr
    assert [line.split()[1] for line in asked("sedkit")] == ["predict", "tune"]


def test_runs_side_by_side_have_a_process_each(runme, fake, asked):
    done = runme("--stage=5", "--stop-stage=5", "--seeds=0,1,2", "--parallel=2", **fake, FAKE_FAILURE="seed1")
    assert done.returncode == 1
    assert "1 of 3 jobs failed: cnn9_weak/seed1" in done.stderr
    assert sorted(line.split("--run ")[1].split()[0][-5:] for line in asked("sedkit")) == ["seed0", "seed1", "seed2"]


def test_side_by_side_each_with_its_log(runme, fake, asked, tree):
    done = runme(*TRAIN, "--parallel", "2", **fake, FAKE_FAILURE="seed1")
    assert done.returncode == 1
    assert len(asked("sedkit")) == 3
    logs = tree / "exp" / "dcase2019_task4" / "logs"
    assert sorted(p.name for p in logs.iterdir()) == [f"train-cnn9_weak-seed{k}.log" for k in range(3)]
    assert "cnn9_weak/seed0: done" in done.stderr
    assert "cnn9_weak/seed1: FAILED (status 1)" in done.stderr
    assert "sedkit: error: as told" in done.stderr
    assert "1 of 3 jobs failed: cnn9_weak/seed1" in done.stderr


def test_a_job_is_a_call_of_its_own(tree, fake, asked):
    """As a launcher on another machine would call it: nothing but the options that were given."""
    call = ["bash", "recipes/dcase2019_task4/run.sh", "--job", "train_run:cnn5_weak/seed3", "--exp-dir", "an exp"]
    call += ["--", "training.name=a b"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SEDKIT_")} | fake
    done = subprocess.run(call, cwd=tree, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    (line,) = asked("sedkit")
    assert line.startswith("train --config recipes/dcase2019_task4/conf/cnn5_weak.yaml")
    assert "--exp an exp/dcase2019_task4/cnn5_weak/seed3 " in line
    assert line.endswith("training.name=a b training.seed=3")
    assert "== stage" not in done.stderr
    assert not (tree / "an exp").exists(), "the record is kept by who launched it"


@pytest.mark.parametrize("parallel", ["1", "2"])
def test_jobs_have_the_options_of_the_call_that_launched_them(runme, tree, fake, asked, parallel):
    odd = ("training.name=a b  c", "training.name=*.sh", "training.name='\"$HOME`x`\\", "training.name=")
    words = ("--system=cnn5_weak,cnn9_weak", "--seeds=4,1", "--data-dir=a data", "--exp-dir=an exp", "--device=cpu")
    words += ("--stage=4", "--stop-stage=4", "--budget=published", "--force", f"--parallel={parallel}")
    shown = runme(*words, "--dry-run", "--", *odd)
    done = runme(*words, "--", *odd, **fake)
    assert done.returncode == 0, done.stderr
    calls = [shlex.split(line)[1:] for line in shown.stdout.splitlines()]
    assert len(calls) == 4
    # The first four checked the overrides of both systems.
    assert sorted(asked("sedkit")[2:]) == sorted(" ".join(call) for call in calls)


JOBS = {
    "no job of that name": (
        "trian_run:cnn9_weak/seed0",
        "(did you mean train_run?); it has: features_run, train_run, predict_run, tune_run, score_run",
    ),
    "a helper that is no job": ("open_run:cnn9_weak/seed0", "no job 'open_run'"),
    "a command that is no job": ("printf:%s", "no job 'printf'"),
    "another system": ("train_run:cnn99/seed0", "train_run has no item 'cnn99/seed0'"),
    "no seed": ("train_run:cnn9_weak", "train_run has no item 'cnn9_weak'"),
    "a run of other options": ("train_run:cnn9_weak/all_seed0", "with these options it has: cnn9_weak/seed0"),
    "another seed": ("features_run:cnn9_weak/seed1x", "did you mean cnn9_weak/seed0?"),
    "no item": ("train_run", "--job takes FUNCTION:ITEM"),
    "nothing": ("", "--job takes FUNCTION:ITEM"),
    "several words": ("train_run:a b", "--job takes FUNCTION:ITEM"),
    "code": ("train_run:$(touch made)", "--job takes FUNCTION:ITEM"),
}


@pytest.mark.parametrize("case", JOBS)
def test_a_job_that_is_none_is_bad_use(runme, tree, fake, asked, listing, case):
    job, message = JOBS[case]
    before = listing(tree)
    done = runme(f"--job={job}", **fake)
    assert done.returncode == 2
    assert done.stderr.startswith("runme.sh: error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
    assert asked("sedkit") == [] and listing(tree) == before


def test_what_there_is_names_every_system(runme, tree):
    done = runme("--job=tune_run:cnn99/seed0")
    files = (tree / "recipes/dcase2019_task4/conf").glob("*_*.yaml")
    systems = sorted(path.stem for path in files if not path.stem.startswith("base_"))
    assert all(f"{name}/seed0" in done.stderr or f"{name}@student/seed0" in done.stderr for name in systems)


def test_a_job_fails_with_the_status_of_its_command(runme, fake):
    done = runme("--job=train_run:cnn9_weak/seed0", **fake, FAKE_FAILURE="train")
    assert done.returncode == 1
    assert "sedkit: error: as told" in done.stderr


def test_a_signal_ends_every_job(fake, asked, tree):
    process = subprocess.Popen(
        [str(tree / "runme.sh"), *TRAIN, "--parallel", "3"],
        env=os.environ | fake | {"FAKE_SLOW": "train"},
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while len(asked("sedkit")) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    # communicate() also waits until no job holds the pipe any more.
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - begun < 10


def test_the_run_is_recorded(runme, fake, tree):
    done = runme(*TRAIN, "--budget=quick", "--", "training.name=a b", **fake)
    assert done.returncode == 0, done.stderr
    text = (tree / "exp" / "dcase2019_task4" / "runs.log").read_text()
    assert (
        "./runme.sh dcase2019_task4 --stage 4 --stop-stage 4 --seeds 0,1,2 --budget=quick -- 'training.name=a b'"
        in text
    )
    assert "budget quick, expected: " in text
    assert "stage 4 train: " in text


def test_overrides_are_checked_for_every_system_before_the_first_stage(runme, fake, asked):
    words = ("--system=cnn9_weak,cnn5_weak", "--stop-stage=1", "--", "training.lerning_rate=1", "frontend.n_mels=32")
    done = runme(*words, **fake, FAKE_FAILURE="cnn5_weak.yaml")
    assert done.returncode == 1
    assert "== stage" not in done.stderr
    first, second = asked("sedkit")
    assert "conf/cnn9_weak.yaml" in first and "conf/cnn5_weak.yaml" in second
    assert all("--check-config true training.lerning_rate=1 frontend.n_mels=32" in line for line in (first, second))


def test_a_published_budget_is_checked_with_its_weights_before_the_first_stage(runme, fake, asked, tmp_path):
    weights = tmp_path / "mine.pth"
    weights.write_bytes(b"")
    words = ("--budget=published", f"--weights={weights}", "--stop-stage=1")
    assert runme(*words, **fake, FAKE_FAILURE="check-config").returncode == 1
    (call,) = asked("sedkit")
    assert f"--budget published --weights {weights} --check-config true" in call


def prepared(tree, name: str, fold: str, clips: int) -> None:
    """Write what the shell reads of a data dir."""
    folder = tree / "data" / "dcase2019_task4" / name
    folder.mkdir(parents=True)
    rows = "".join(f"clip_{i}.wav\t/somewhere/clip_{i}.wav\t10.000\t{fold}\n" for i in range(clips))
    (folder / "clips.tsv").write_text("filename\taudio\tduration\tfold\n" + rows)
    (folder / "strong.tsv").touch()


def test_the_submission_holds_the_first_seed_of_four_systems(runme, fake, asked, tree):
    for name in ("validation", "evaluation"):
        prepared(tree, name, "x", 1)
    done = runme("--stage=8", "--stop-stage=8", "--system=all", "--seeds=3,1", "--label=A_B_task4_1", **fake)
    assert done.returncode == 0, done.stderr
    # The first call checked what is said of the submission.
    words = asked("sedkit")[1].split()
    given = words[words.index("--experiment") + 1 : words.index("--set")]
    assert len(given) == 4
    assert all(path.endswith("/seed3") for path in given)
    assert words[words.index("--set") + 1] == "evaluation"
    assert "left out are" in done.stderr


def test_without_a_prepared_set_the_submission_says_so(runme, fake, asked):
    done = runme("--stage=8", "--stop-stage=8", **fake)
    assert done.returncode == 1
    assert "stage 1 makes them" in done.stderr
    assert asked("sedkit") == []
