"""Bad use of runme.sh: one line, status 2, nothing run, nothing made."""

from __future__ import annotations

import pytest

BAD = {
    "unknown option": (["--bogus"], "unknown option '--bogus'"),
    "misspelt option": (["--staeg", "3"], "did you mean --stage?"),
    "unknown option with a value": (["--bogus=3"], "unknown option '--bogus'"),
    "short option": (["-s", "3"], "unknown option '-s'"),
    "not a number": (["--stage", "abc"], "--stage takes a whole number from 0 to 9, got 'abc'"),
    "an empty number": (["--stage", ""], "got ''"),
    "a fraction": (["--stage", "1.5"], "got '1.5'"),
    "a negative number": (["--stage", "-1"], "got '-1'"),
    "arithmetic": (["--stage", "1+1"], "got '1+1'"),
    "a variable's name": (["--stage", "stop_stage"], "got 'stop_stage'"),
    "out of range": (["--stage", "12"], "from 0 to 9, got '12'"),
    "far out of range": (["--stop-stage", "99999999999999999999"], "from 0 to 9"),
    "first after last": (["--stage", "5", "--stop-stage", "3"], "--stage 5 comes after --stop-stage 3"),
    "no value": (["--stage"], "--stage needs a value"),
    "an option as a value": (["--label", "--force"], "--label needs a value, got the option --force"),
    "the end of options as a value": (["--label", "--", "a=b"], "--label needs a value"),
    "stray word": (["--stage", "3", "stray"], "stray word 'stray'"),
    "stray word with a line break": (["--stage", "3", "a\nb"], "stray word"),
    "unknown recipe": (["dcase2019_tsk4"], "did you mean dcase2019_task4?"),
    "recipe outside recipes": (["../recipes/dcase2019_task4"], "there is no recipe"),
    "not a recipe": (["common"], "there is no recipe 'common'"),
    "empty recipe": ([""], "there is no recipe"),
    "unknown system": (["--system", "cnn99"], "has no system 'cnn99'"),
    "the base of the systems": (
        ["--system", "base"],
        "dcase2019_task4 has no system 'base'; it has: atst_frame, cnn13_weak",
    ),
    "one unknown system": (["--system", "cnn9_weak,nope"], "has no system 'nope'"),
    "system by glob": (["--system", "*"], "has no system '*'"),
    "system twice": (["--system", "cnn9_weak,cnn9_weak"], "names cnn9_weak twice"),
    "trailing comma": (["--system", "cnn9_weak,"], "got 'cnn9_weak,'"),
    "no system": (["--system", ""], "--system takes"),
    "unknown device": (["--device", "tpu"], "--device takes one of auto, cpu, cuda, got 'tpu'"),
    "unknown budget": (["--budget", "qick"], "did you mean quick?"),
    "unknown training part": (["--train-on", "everything"], "--train-on takes one of split, all, all+validation"),
    "unknown launcher": (["--launcher", "slrm"], "--launcher takes one of local, torchrun, slurm, got 'slrm' (did you"),
    "processes of one": (["--processes", "2"], "--processes 2 goes with --launcher torchrun or slurm"),
    "words for nobody": (["--sbatch", "--time=1"], "--sbatch goes with --launcher slurm, got --launcher local"),
    "energy of several": (["--launcher", "torchrun", "--energy", "true"], "--energy true goes with one process"),
    "missing root": (["--dataset-root", "no/such folder"], "--dataset-root 'no/such folder' is not a folder"),
    "empty root": (["--dataset-root", ""], "--dataset-root '' is not a folder"),
    "a file as a folder": (["--data-dir", "/dev/null"], "exists and is not a folder"),
    "seeds": (["--seeds", "0,x"], "--seeds takes whole numbers"),
    "a seed below 0": (["--seeds", "-1"], "--seeds takes whole numbers from 0 to 999999999, got -1"),
    "a run's axis as an override": (["--", "run.fold=3"], "say it with the recipe's own options, such as --folds"),
    "a seed twice": (["--seeds", "1,01"], "--seeds names 1 twice"),
    "processes that are none": (
        ["--jobs", "two"],
        "--jobs takes a whole number from 0 to 4096 or dask:tcp://HOST:PORT",
    ),
    "a cluster without a port": (["--jobs", "dask:tcp://host"], "or dask:tcp://HOST:PORT, got 'dask:tcp://host'"),
    "energy of a cluster": (
        ["--jobs", "dask:tcp://h:1", "--energy", "true"],
        "goes with --jobs N, got --jobs dask:tcp://h:1",
    ),
    "one cluster said twice": (
        ["--jobs", "2", "--parallel", "dask:tcp://h:1"],
        "--parallel dask:tcp://h:1 is --jobs dask:tcp://h:1: give one of the two",
    ),
    "no jobs side by side": (["--parallel", "0"], "from 1 to 4096"),
    "boolean": (["--force", "yes"], "--force takes true or false, got 'yes'"),
    "label with a slash": (["--label", "../x"], "--label takes letters"),
    "missing authors": (["--authors", "nobody.yaml"], "is not a file"),
    "override without a value": (["--", "training.steps"], "after -- comes key=value, got 'training.steps'"),
    "option after the overrides": (["--", "--force"], "after -- comes key=value"),
    "seed as an override": (["--", "training.seed=3"], "say --seeds"),
    "device as an override": (["--", "training.device=cpu"], "say --device cpu"),
    "training part as an override": (["--", "training.train_on=all"], "say --train-on all"),
    "a budget as an override": (["--", "budgets.quick.training.steps=3"], "give the key that it sets"),
    "size of the miniature": (["--miniature-size", "huge"], "takes small, large or a number of clips"),
    "too small a miniature": (["--miniature-size", "5"], "takes small, large or a number of clips"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_line_status_2_and_nothing_made(runme, tree, case, listing):
    words, message = BAD[case]
    before = listing(tree.parent)
    done = runme(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("runme.sh: error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    after = listing(tree.parent)
    assert [p for p in after if p not in before] in ([], ["elsewhere"])


def test_values_are_never_run(runme, tree):
    for value in ("$(touch made)", "`touch made`", "'; touch made; '", "a[$(touch made)]"):
        for option in ("--stage", "--label", "--system", "--seeds", "--dataset-root"):
            assert runme(option, value).returncode == 2
        assert runme("--dry-run", "--stop-stage", "0", "--", f"training.name={value}").returncode == 0
    assert not list(tree.parent.rglob("made"))
