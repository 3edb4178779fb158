"""Systems whose trainings keep several networks: one training, a run for each of them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest


@pytest.fixture
def several(tree: Path) -> Path:
    """A system that names its networks, and one that takes them from its base and one that does without."""
    conf = tree / "recipes/dcase2019_task4/conf"
    (conf / "both.yaml").write_text("base: base.yaml\nsystem: both\nnetworks: [student, teacher]  # two\n")
    (conf / "kept.yaml").write_text("networks: [student, teacher]\n")
    (conf / "heir.yaml").write_text("base: kept.yaml\nsystem: heir\n")
    (conf / "none.yaml").write_text("base: kept.yaml\nsystem: none\nnetworks: null\n")
    return tree


def runs(text: str, verb: str, option: str) -> list[str]:
    """The runs that calls name after an option, below the recipe's experiments."""
    out = []
    for line in map(shlex.split, text.splitlines()):
        if verb in line[1:3]:
            words = line[line.index(option) + 1 :]
            out += [word.removeprefix("exp/dcase2019_task4/") for word in words if "/seed" in word]
    return out


def test_they_are_trained_once_and_scored_packed_and_compared_each(runme, several):
    done = runme("--dry-run", "--system", "both,cnn9_weak", "--seeds", "0,1")
    assert done.returncode == 0, done.stderr
    trained = [f"{system}/seed{seed}" for system in ("both", "cnn9_weak") for seed in (0, 1)]
    assert runs(done.stdout, "train", "--exp") == trained
    assert runs(done.stdout, "features", "--run") == ["both/seed0", "cnn9_weak/seed0"]
    scored = ["both@student/seed0", "both@teacher/seed0", "both@student/seed1", "both@teacher/seed1", *trained[2:]]
    for stage in ("predict", "tune", "score"):
        assert runs(done.stdout, stage, "--run") == scored
    assert runs(done.stdout, "pack", "--experiment") == [*scored[:2], "cnn9_weak/seed0"]
    assert runs(done.stdout, "benchmark", "benchmark") == scored


def test_a_base_may_name_them_and_a_system_do_without(runme, several):
    done = runme("--dry-run", "--stage", "5", "--stop-stage", "5", "--system", "heir,none")
    assert runs(done.stdout, "predict", "--run") == ["heir@student/seed0", "heir@teacher/seed0", "none/seed0"]


def test_some_of_them_can_be_chosen(runme, several):
    words = ("--dry-run", "--stage", "4", "--stop-stage", "5", "--system", "both,none", "--network", "teacher")
    done = runme(*words)
    assert runs(done.stdout, "train", "--exp") == ["both/seed0", "none/seed0"]
    assert runs(done.stdout, "predict", "--run") == ["both@teacher/seed0", "none/seed0"]


def test_a_job_of_one_of_them(runme, several):
    done = runme("--dry-run", "--job", "predict_run:both@teacher/seed3")
    assert runs(done.stdout, "predict", "--run") == ["both@teacher/seed3"], done.stderr
    done = runme("--dry-run", "--job", "predict_run:both/seed0")
    assert done.returncode == 2
    assert "no item 'both/seed0'; with these options it has: both@student/seed0, both@teacher/seed0" in done.stderr


@pytest.mark.parametrize(
    ("system", "network", "message"),
    [
        ("both", "techer", "--network 'techer': both has none of these; it has: student, teacher"),
        ("both", "student,techer", "--network 'techer': no such network of both"),
        ("cnn9_weak", "teacher", "--network 'teacher': no such network of cnn9_weak"),
    ],
)
def test_a_network_that_no_system_has_is_bad_use(runme, several, system, network, message):
    done = runme("--dry-run", "--system", system, "--network", network)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"runme.sh: error: {message}\n"
