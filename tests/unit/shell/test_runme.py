"""What runme.sh does with a command line that is right."""

from __future__ import annotations

import re
import shlex

import pytest


def commands(text: str) -> list[list[str]]:
    """Take a dry run's output apart."""
    return [shlex.split(line) for line in text.splitlines()]


def test_help_names_every_option_and_stage(runme, tree, listing):
    before = listing(tree)
    done = runme("--help")
    assert done.returncode == 0
    for option in (
        "stage stop-stage system seeds dataset-root data-dir exp-dir submission-dir label budget train-on device jobs "
        "lenient force dry-run launcher parallel list list-stages help"
    ).split():
        assert f"--{option} " in done.stdout
    assert done.stderr == ""
    assert listing(tree) == before


def test_lists(runme):
    assert re.search(r"^dcase2019_task4 +\S", runme("--list").stdout, re.M)
    stages = runme("dcase2019_task4", "--list-stages").stdout.splitlines()
    assert [line.split()[:2] for line in stages] == [
        [str(n), name]
        for n, name in enumerate("data prepare mix features train predict tune score submit benchmark".split())
    ]
    assert "not used" in stages[2]


def test_a_dry_run_prints_the_commands_and_makes_nothing(runme, tree, listing):
    before = listing(tree)
    done = runme("--dry-run", "true")
    assert done.returncode == 0, done.stderr
    verbs = [words[1] for words in commands(done.stdout) if words[0] == "sedkit"]
    order = [
        "miniature",
        "prepare",
        "extract",
        "train",
        "predict",
        "tune",
        "decode",
        "score",
        "pack",
        "check",
        "benchmark",
    ]
    assert list(dict.fromkeys(verbs)) == order
    assert "stage 2 mix: not used" in done.stderr
    assert listing(tree) == before


def test_stages_are_cut_out(runme):
    done = runme("--dry-run", "--stage", "6", "--stop-stage", "8")
    assert {words[1] for words in commands(done.stdout)} == {"tune", "decode", "score", "pack", "check"}


def test_systems_and_seeds_are_independent_jobs(runme):
    done = runme(
        "--dry-run", "--stage=4", "--stop-stage=4", "--system=cnn9_weak,cnn9_synthetic_framewise", "--seeds", "0,7"
    )
    made = [(words[words.index("--exp") + 1], words[-1]) for words in commands(done.stdout)]
    assert made == [
        ("exp/dcase2019_task4/cnn9_weak/seed0", "training.seed=0"),
        ("exp/dcase2019_task4/cnn9_weak/seed7", "training.seed=7"),
        ("exp/dcase2019_task4/cnn9_synthetic_framewise/seed0", "training.seed=0"),
        ("exp/dcase2019_task4/cnn9_synthetic_framewise/seed7", "training.seed=7"),
    ]


def test_values_with_anything_in_them_arrive(runme, tree, tmp_path):
    odd = [
        "training.name=a b  c",
        "training.name=*.sh",
        "training.name='\"$HOME`x`\\",
        "training.name=-- -x",
        "training.name=",
        "training.name=ä=b",
    ]
    done = runme("--dry-run", "--stage", "4", "--stop-stage", "4", "--", *odd)
    (words,) = commands(done.stdout)
    assert words[-len(odd) - 1 : -1] == odd

    root = tmp_path / "elsewhere" / "-my * data"
    root.mkdir(parents=True)
    done = runme("--dry-run", "--stop-stage", "1", "--dataset-root", "-my * data", "--data-dir=--x y")
    assert done.returncode == 0, done.stderr
    for words in commands(done.stdout):
        assert words[3] == str(root)
        assert words[4] == str(tmp_path / "elsewhere" / "--x y" / "dcase2019_task4")


def test_a_root_with_one_folder_per_data_set(runme, tmp_path):
    (tmp_path / "elsewhere" / "all" / "desed").mkdir(parents=True)
    done = runme("--dry-run", "--stage=1", "--stop-stage=1", "--dataset-root=all")
    assert commands(done.stdout)[0][3] == str(tmp_path / "elsewhere" / "all" / "desed")


def test_the_budget_is_chosen_and_said(runme, tmp_path):
    assert "budget quick, expected: " in runme("--dry-run", "--stop-stage=0").stderr
    assert "budget published, expected: " in runme("--dry-run", "--stop-stage=0", "--budget=published").stderr
    # A data set and a GPU: the published schedule; without the GPU it would take days.
    (tmp_path / "elsewhere" / "root").mkdir()
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\nexit $NO_GPU\n")
    tool.chmod(0o755)
    path = f"{tool.parent}:/usr/local/bin:/usr/bin:/bin"
    words = ("--dry-run", "--stop-stage=0", "--dataset-root=root")
    assert "budget published" in runme(*words, PATH=path, NO_GPU="0").stderr
    assert "budget quick" in runme(*words, PATH=path, NO_GPU="9").stderr
    assert "budget quick" in runme(*words, "--device=cpu", PATH=path, NO_GPU="0").stderr


@pytest.mark.parametrize("recipe", ["dcase2019_task4", "esc50_desed"])
def test_an_output_of_every_class_throughout_ends_with_its_clips(runme, recipe):
    """Without durations it would end at the last reference event, and be absent from clips without events."""
    calls = [c for c in commands(runme(recipe, "--dry-run", "--stage=7", "--stop-stage=7").stdout) if "score" in c]
    beside = [c for c in calls if "--baselines" in c]
    assert beside
    for words in beside:
        given = {name: words[words.index(name) + 1] for name in ("--reference", "--durations")}
        assert given["--durations"] == given["--reference"].replace("strong.tsv", "clips.tsv")


def test_train_on_all_stands_apart_and_takes_the_split_run(runme):
    done = runme("--dry-run", "--train-on", "all", "--stage", "4", "--stop-stage", "6")
    text = done.stdout
    assert "--exp exp/dcase2019_task4/cnn9_weak/all_seed0" in text
    assert "--split-run exp/dcase2019_task4/cnn9_weak/seed0" in text
    assert "sedkit tune" not in text


def test_no_python_for_an_environment_is_one_line(runme, tree, listing):
    before = listing(tree)
    done = runme("--stop-stage", "0", SEDKIT_PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "SEDKIT_PYTHON=/no/such/python is not a Python 3.11 to 3.13" in done.stderr
    assert [p for p in listing(tree) if p not in before and not p.startswith(".venv")] == []
