"""Packing the networks of one training: each is a system, told apart by name, producer and outputs."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from submission_systems import experiment, run

from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.files import read_yaml
from sedkit.dataio.store import read_scores, write_scores
from sedkit.postprocessing.fuse import fuse
from sedkit.submission.pack.producer import read_producer

NETWORKS = ("student", "teacher")


@pytest.fixture
def networks(tmp_path: Path) -> list[Path]:
    """Runs of a student and a teacher beside the training that keeps both."""
    training = experiment(tmp_path / "mt" / "seed0", "mt", set_name="evaluation")
    (training / "checkpoints").mkdir()
    (training / "checkpoints" / "last.pt").write_bytes(b"both")
    digest, runs = hashlib.sha256(b"both").hexdigest(), []
    for seed, name in enumerate(NETWORKS):
        folder = experiment(tmp_path / f"mt@{name}" / "seed0", "mt", seed, "evaluation")
        for file in ("config.yaml", "environment.json", "energy/training.json"):
            (folder / file).unlink()
        file = folder / "scores" / "evaluation.h5"
        write_scores(file, replace(read_scores(file), producer=f"sha256:{digest}@{name}"))
        runs.append(folder)
    for folder in ("scores", "events", "results"):
        shutil.rmtree(training / folder)
    return runs


def test_each_is_a_system_of_its_own(networks: list[Path], tmp_path: Path, authors: Path) -> None:
    call = ("pack", "--format", "dcase2019", "--experiment", *networks, "--authors", authors)
    assert run(*call, "--out", tmp_path / "out") == 0
    metas = [read_yaml(file)["submission"] for file in sorted((tmp_path / "out").glob("*/*.meta.yaml"))]
    assert [meta["name"] for meta in metas] == ["mt@student", "mt@teacher"]
    assert [meta["abbreviation"] for meta in metas] == ["mt@student", "mt@teacher"]
    assert len({meta["label"] for meta in metas}) == 2
    members = [ExperimentFolder.open(path) for path in networks]
    assert [member.energy_kwh("training") for member in members] == [1.25, 1.25]
    assert [member.parameters for member in members] == [4691274] * 2


def test_an_ensemble_of_both_knows_its_members(networks: list[Path], tmp_path: Path) -> None:
    parts = [read_scores(folder / "scores" / "evaluation.h5") for folder in networks]
    made = read_producer(fuse(parts, (0.25, 0.75)).producer)
    members = [ExperimentFolder.open(path) for path in networks]
    assert made.known and made.weights_of(members) == [0.25, 0.75]
    assert made.weights_of(members[::-1]) == [0.75, 0.25]
    assert read_producer(parts[1].producer).weights_of(members) == [None, 1.0]


def test_an_experiment_without_its_training_is_said(
    networks: list[Path], tmp_path: Path, authors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tmp_path / "mt")
    call = ("pack", "--format", "dcase2019", "--experiment", networks[0], "--authors", authors)
    assert run(*call, "--out", tmp_path / "out") == 1
    assert f"{tmp_path / 'mt' / 'seed0'}: is no experiment (no such folder)" in capsys.readouterr().err


def test_development_results_are_those_of_the_same_network_of_the_split_run(networks: list[Path]) -> None:
    everything = networks[0].parents[1] / "mt" / "all_seed0"
    shutil.copytree(everything.with_name("seed0"), everything)
    split = str(everything.with_name("seed0"))
    (everything / "environment.json").write_text(json.dumps({"split_run": split}))
    of_all = ExperimentFolder(networks[1].with_name("all_seed0")).split_run
    assert of_all is not None and of_all.path == networks[1]
