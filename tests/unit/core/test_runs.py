"""Folders of runs: the shell reads the same table, so what it says is checked against names written by hand."""

import subprocess

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.resources import metadata_path
from sedkit.core.runs import run_name


@pytest.mark.parametrize(
    ("axes", "name"),
    [
        ({"system": "crnn", "seed": 0}, "crnn/seed0"),
        ({"system": "crnn", "trained_on": "split", "seed": 1}, "crnn/seed1"),
        ({"system": "crnn", "trained_on": "all+validation", "seed": 1, "fold": None}, "crnn/all+validation_seed1"),
        ({"seed": 4, "fold": "2", "snr_db": 0.5, "pass": "self", "system": "a"}, "a.self/snr0.5_fold2_seed4"),
    ],
)
def test_a_run_is_named_by_its_axes(axes, name):
    assert run_name(axes) == name


def test_an_unknown_axis_is_refused():
    with pytest.raises(UsageError, match="axis 'sead' of a run .did you mean \"seed\""):
        run_name({"system": "crnn", "sead": 1})


def test_the_table_has_no_empty_cell_which_the_shell_would_skip():
    loop = "while IFS=$'\\t' read -r level axis prefix unsaid; do echo \"$axis=$unsaid\"; done"
    read = subprocess.run(
        ["bash", "-c", loop], input=metadata_path("run_axes.tsv").read_text(), capture_output=True, text=True
    )
    rows = [line.split("\t") for line in metadata_path("run_axes.tsv").read_text().splitlines()]
    assert read.stdout.splitlines() == [f"{axis}={unsaid}" for _, axis, _, unsaid in rows]
