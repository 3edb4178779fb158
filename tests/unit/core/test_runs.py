"""Folders of runs: the shell reads the same table, so what it says is checked against names written by hand."""

import subprocess
from pathlib import Path

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.resources import metadata_path
from sedkit.core.runs import run_axes, run_name, run_of, training_of


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        ({"system": "crnn", "seed": 0}, "crnn/seed0"),
        ({"system": "crnn", "trained_on": "split", "seed": 1}, "crnn/seed1"),
        ({"system": "crnn", "trained_on": "all+validation", "seed": 1, "fold": None}, "crnn/all+validation_seed1"),
        ({"seed": 4, "fold": "2", "snr_db": 0.5, "pass": "self", "system": "a"}, "a.self/snr0.5_fold2_seed4"),
        ({"network": "teacher", "seed": 0, "system": "crnn"}, "crnn@teacher/seed0"),
    ],
)
def test_a_run_is_named_by_its_axes(axes, name):
    assert run_name(axes) == name


@pytest.mark.parametrize(
    ("folder", "axes"),
    [
        ("crnn/seed0", {"system": "crnn", "seed": "0"}),
        ("crnn/all_seed1", {"system": "crnn", "trained_on": "all", "seed": "1"}),
        ("crnn/fold2_all+my_set_seed1", {"system": "crnn", "fold": "2", "trained_on": "all+my_set", "seed": "1"}),
        ("a.self/snr0.5_fold2_seed4", {"system": "a", "pass": "self", "snr_db": "0.5", "fold": "2", "seed": "4"}),
        ("crnn@teacher/fold2_seed1", {"system": "crnn", "network": "teacher", "fold": "2", "seed": "1"}),
        ("a.self@b/seed4", {"system": "a", "pass": "self", "network": "b", "seed": "4"}),
        ("a/snr-6_seed4", {"system": "a", "snr_db": "-6", "seed": "4"}),
        ("a/mine_seed4", {"system": "a"}),
        ("a/seed4_old", {"system": "a"}),
    ],
)
def test_a_folder_tells_its_axes(folder, axes):
    assert run_axes(Path("exp/recipe") / folder) == axes
    assert len(axes) == 1 or run_name(axes) == folder


def test_an_unknown_axis_is_refused():
    with pytest.raises(UsageError, match="axis 'sead' of a run .did you mean \"seed\""):
        run_name({"system": "crnn", "sead": 1})


def test_the_table_has_no_empty_cell_which_the_shell_would_skip():
    loop = "while IFS=$'\\t' read -r level axis prefix unsaid option; do echo \"$axis=$unsaid\"; done"
    read = subprocess.run(
        ["bash", "-c", loop], input=metadata_path("run_axes.tsv").read_text(), capture_output=True, text=True
    )
    rows = [line.split("\t") for line in metadata_path("run_axes.tsv").read_text().splitlines()]
    assert read.stdout.splitlines() == [f"{axis}={unsaid}" for _, axis, _, unsaid, _ in rows]


def test_the_run_of_a_network_lies_beside_its_training(tmp_path):
    training, run = tmp_path / "r/crnn.second/fold2_seed1", tmp_path / "r/crnn.second@teacher/fold2_seed1"
    assert training_of(run) == (training, "teacher") and run_of(training, "teacher") == run
    assert training_of(training) == (training, None) and run_of(training, None) == training
    # A folder that somebody gave such a name, and trained in, is its own.
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("")
    assert training_of(run) == (run, None)
