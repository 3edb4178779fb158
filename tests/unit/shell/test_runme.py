"""What runme.sh does with a command line that is right."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from sedkit.core.config import read_passes
from sedkit.core.runs import run_name


def commands(text: str) -> list[list[str]]:
    """Take a dry run's output apart."""
    return [shlex.split(line) for line in text.splitlines()]


def verb(words: list[str]) -> str:
    """The verb of a call; of a stage's, which one."""
    return words[2] if words[1] == "stage" else words[1]


STAGES = ["features", "train", "predict", "tune", "score"]


def test_help_names_every_option_and_stage(runme, tree, listing):
    before = listing(tree)
    done = runme("--help")
    assert done.returncode == 0
    for option in (
        "stage stop-stage system network seeds dataset-root data-dir exp-dir submission-dir label budget train-on "
        "device jobs miniature-size weights authors report page lenient force dry-run launcher processes sbatch "
        "parallel list list-stages help"
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
    verbs = [verb(words) for words in commands(done.stdout) if words[0] == "sedkit"]
    assert verbs == ["miniature", "prepare", *STAGES, "pack", "check", "benchmark"]
    assert "stage 2 mix: not used" in done.stderr
    assert listing(tree) == before


def test_stages_are_cut_out(runme):
    done = runme("--dry-run", "--stage", "6", "--stop-stage", "8")
    assert [verb(words) for words in commands(done.stdout)] == ["tune", "score", "pack", "check"]


@pytest.mark.parametrize("option", ["jobs", "parallel"])
def test_a_cluster_extracts_scores_and_decodes(runme, asked, fake, option):
    done = runme("--stage=5", "--stop-stage=7", f"--{option}=dask:tcp://host:8786", **fake)
    assert done.returncode == 0, done.stderr
    calls = [line.split() for line in asked("sedkit")]
    assert [("dask:tcp://host:8786" in words) for words in calls] == [True, False, True]
    extraction = runme("--stage=3", "--stop-stage=3", f"--{option}=dask:tcp://host:8786", "--dry-run")
    assert "--jobs dask:tcp://host:8786" in extraction.stdout


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


def test_a_miniature_with_options_of_its_own_lies_apart(runme, tree, tmp_path):
    run = tree / "recipes/dcase2019_task4/run.sh"
    run.write_text(
        run.read_text().replace('main "$@"', 'prepare_options() { miniature_words=(--layout 2024); }\nmain "$@"')
    )
    miniature, prepare = commands(runme("--dry-run", "--stop-stage=1", "--miniature-size=10").stdout)
    root = "data/miniature/desed-2024"
    assert miniature[1:7] == ["miniature", "desed", root, "--layout", "2024", "--size"]
    assert prepare[1:4] == ["prepare", "desed", root]
    given = tmp_path / "elsewhere/given"
    (given / "desed").mkdir(parents=True)
    (prepare,) = commands(runme("--dry-run", "--stage=1", "--stop-stage=1", "--dataset-root=given").stdout)
    assert prepare[1:4] == ["prepare", "desed", str(given / "desed")]


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


def test_all_systems_with_five_seeds_are_few_processes(runme):
    """75 trainings, and few calls beside: once 1,672 in all."""
    done = runme("esc50_desed", "--dry-run", "--system=all", "--seeds=0,1,2,3,4")
    assert done.returncode == 0, done.stderr
    verbs = [verb(words) for words in commands(done.stdout)]
    assert verbs.count("train") == 75
    assert len(verbs) < 75 + 20
    assert all(verbs.count(name) == 1 for name in ("features", "predict", "tune", "score", "compare", "benchmark"))


def test_train_on_all_stands_apart_and_takes_the_split_run(runme):
    done = runme("--dry-run", "--train-on", "all", "--stage", "4", "--stop-stage", "6")
    text = done.stdout
    assert "--exp exp/dcase2019_task4/cnn9_weak/all_seed0" in text
    assert "--split-run exp/dcase2019_task4/cnn9_weak/seed0" in text
    assert "--run exp/dcase2019_task4/cnn9_weak/all_seed0" in text


def test_levels_and_folds_are_axes_of_runs(runme):
    done = runme("mixtures", "--dry-run", "--snr", "0,-10", "--folds=1,3", "--seeds", "0,1", "--system", "gmp,two_step")
    assert done.returncode == 0, done.stderr
    lines = commands(done.stdout)
    trained = [words for words in lines if verb(words) == "train"]
    experiments = [words[words.index("--exp") + 1].removeprefix("exp/mixtures/") for words in trained]
    assert len(set(experiments)) == len(experiments) == 16
    assert experiments[:3] == ["gmp/snr0_fold1_seed0", "gmp/snr0_fold1_seed1", "gmp/snr0_fold3_seed0"]
    assert trained[-1][-3:] == ["run.snr_db=-10", "run.fold=3", "training.seed=1"]
    (features,) = [words for words in lines if verb(words) == "features"]
    assert [word for word in features if "seed1" in word] == []
    assert sum("_seed0" in word for word in features) == 8
    mixes = [words[2:] for words in lines if verb(words) == "mix"]
    assert [words[:1] for words in mixes] == [["plan"], ["render"], ["render"]]
    assert mixes[2][-3:-2] == ["-10"] and "data/mixtures/snr-10" in mixes[2]
    assert "stage 8 submit: not used by mixtures" in done.stderr
    assert "snr 0, -10; folds 1, 3;" in done.stderr


def test_a_job_names_its_run(runme):
    job = ("mixtures", "--dry-run", "--job", "train_run:gwrp/snr-10_fold2_seed3")
    (words,) = commands(runme(*job).stdout)
    assert words[words.index("--exp") + 1] == "exp/mixtures/gwrp/snr-10_fold2_seed3"
    assert words[-3:] == ["run.snr_db=-10", "run.fold=2", "training.seed=3"]
    done = runme(*job, "--folds", "1")
    assert done.returncode == 2
    assert "with these options it has: gwrp/snr-10_fold1_seed3" in done.stderr


def test_shell_and_python_call_runs_alike(tree):
    axes = [
        {"system": "crnn", "seed": "3"},
        {"system": "crnn", "pass": "second", "seed": "0"},
        {"system": "crnn", "snr_db": "-6", "fold": "2", "trained_on": "all+validation", "seed": "10"},
        {"system": "crnn", "trained_on": "split", "seed": "1"},
    ]
    for one in axes:
        words = [f"{name}={value}" for name, value in reversed(one.items())]
        call = ["bash", "-c", 'source recipes/common/lib.sh; run_name "$@"', "-", *words]
        assert subprocess.check_output(call, cwd=tree, text=True) == run_name(one)


def test_a_recipe_without_its_sets_is_said(runme, tree):
    (tree / "recipes/dcase2019_task4/recipe.yaml").write_text("data_sets:\n  desed: .\n")
    done = runme("--dry-run")
    assert done.returncode == 2
    assert "recipes/dcase2019_task4/recipe.yaml has no line 'data_sets: {NAME: FOLDER}'" in done.stderr


def test_no_python_for_an_environment_is_one_line(runme, tree, listing):
    before = listing(tree)
    done = runme("--stop-stage", "0", SEDKIT_PYTHON="/no/such/python")
    assert done.returncode == 1
    assert "SEDKIT_PYTHON=/no/such/python is not a Python 3.11 to 3.13" in done.stderr
    assert [p for p in listing(tree) if p not in before and not p.startswith(".venv")] == []


def test_passes_come_first_and_systems_may_share_them(runme, tree):
    done = runme(
        "dcase2018_task4", "--dry-run", "--stage=4", "--stop-stage=4", "--system=mil,baseline2018", "--seeds=0,2"
    )
    assert done.returncode == 0, done.stderr
    folder = "exp/dcase2018_task4"
    runs = [f"{name}.tagging/seed{seed}" for name in ("at_cnn", "baseline2018") for seed in (0, 2)]
    lines = commands(done.stdout)
    order = [verb(words) for words in lines]
    assert order == ["train"] * 4 + ["predict", "tune", "tag"] + ["train"] * 4
    passes = [(words[words.index("--exp") + 1], words[words.index("--config") + 1]) for words in lines[:4]]
    at_runs = [
        (f"{folder}/{run}", f"recipes/dcase2018_task4/conf/{'mil' if 'cnn' in run else 'baseline2018'}.yaml")
        for run in runs
    ]
    # In the order of the axes: seeds of a system one after the other.
    assert sorted(passes) == sorted(at_runs)
    assert all(words[4:6] == ["--pass", "tagging"] for words in lines[:4])
    for words in lines[4:7]:
        assert sorted(words[words.index("--run") + 1 :][:4]) == sorted(f"{folder}/{run}" for run in runs)
    assert not any("--pass" in words for words in lines[7:])
    # Weights to start from are the system's.
    start = ("--stage=4", "--stop-stage=4", "--weights=setup.cfg", "--system=mil")
    (tree.parent / "elsewhere" / "setup.cfg").touch()
    started = commands(runme("dcase2018_task4", "--dry-run", *start).stdout)
    assert ["--weights" in words for words in started if verb(words) == "train"] == [False, True]
    # A job of a pass names its run as any other.
    (words,) = commands(runme("dcase2018_task4", "--dry-run", "--job", "train_run:at_cnn.tagging/seed5").stdout)
    assert words[words.index("--exp") + 1] == f"{folder}/at_cnn.tagging/seed5" and words[-1] == "training.seed=5"
    everything = runme("dcase2018_task4", "--dry-run", "--train-on=all", "--stage=4", "--stop-stage=4", "--system=mil")
    assert f"--exp {folder}/at_cnn.tagging/all_seed0" in everything.stdout
    assert f"--split-run {folder}/at_cnn.tagging/seed0" in everything.stdout


def test_shell_and_python_read_the_same_passes(tree):
    """Of every system there is, and of systems that change what their base says in every way there is."""
    conf = tree / "recipes/dcase2018_task4/conf"
    first = "  first:\n    system: shared # of all\n    model: {name: x}\n"
    base = f"passes:\n  # A comment.\n{first}\n  second: {{}}\ndata: {{}}\n"
    (conf / "below.yaml").write_text(base)
    for name, text in {
        "same": "",
        "none": "passes: null\n",
        "fewer": "passes:\n  first: null\n",
        "more": "passes:\n  third:\n    system: shared\n  second:\n    model: {name: y}\n",
        "mine": "passes:\n  first:\n    base: null\n    model: {name: z}\n",
        "other": "passes:\n  first:\n    system: another\nmodel:\n  system: no\n",
    }.items():
        (conf / f"{name}.yaml").write_text(f"base: below.yaml\nsystem: {name}\n{text}")
    systems = [path for path in sorted(tree.glob("recipes/*/conf/*.yaml")) if path.stem not in ("base", "below")]
    assert len(systems) > 25
    call = ["bash", "-c", 'source recipes/common/lib.sh; recipe_dir=$1; passes_of "$2"', "-"]
    seen = set()
    for path in systems:
        shell = subprocess.check_output([*call, str(path.parent.parent), path.stem], cwd=tree, text=True).split()
        python = [
            f"{name}:{(delta or {}).get('system', path.stem)}"
            for name, delta in read_passes(path).items()
            if delta is not None
        ]
        assert shell == python, path
        seen |= set(shell)
    assert {"tagging:at_cnn", "tagging:baseline2018", "first:mine", "first:another", "third:shared"} <= seen


def test_what_is_said_of_the_submission_is_checked_first(runme, fake, asked):
    done = runme("--label=Doe_INST_task4_1", "--stop-stage=8", "--seeds=0", **fake, FAKE_FAILURE="pack")
    assert done.returncode == 1
    (call,) = asked("sedkit")
    assert call.startswith(
        "pack --format dcase2019 --authors submissions/authors.example.yaml --label Doe_INST_task4_1"
    )
    assert call.endswith("--check-config true")


def test_it_is_not_where_there_is_none(runme, fake, asked):
    assert runme("--label=Doe_INST_task4_1", "--stage=5", "--stop-stage=5", **fake).returncode == 0
    assert [line.split()[0] for line in asked("sedkit")] == ["stage"]
