"""A training that keeps a student and a teacher: what is kept of both, and how each comes to figures of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_data import config, write_config
from training_runs import records, same_state, train

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import read_json, sha256_file, write_yaml
from sedkit.core.stamp import facts_of
from sedkit.dataio.store import read_scores
from sedkit.leaderboard.runs import load_runs
from sedkit.models.checkpoint import read_checkpoint
from sedkit.training.plan import make_plan

STRONG = {"set": "synthetic", "labels": {"target": "frame"}}
SECTIONS: dict[str, Any] = {
    "networks": ["student", "teacher"],
    "data": {
        "streams": {
            "weak": {"set": "weak", "views": {"teacher": {"amplitude_noise": {"std": 0.001}}}},
            "synthetic": STRONG,
            "unlabelled": {"set": "synthetic", "labels": {"target": "none"}, "share": 2},
        },
        "select": {"weak": {"set": "weak", "folds": ["select"]}, "synthetic": STRONG | {"folds": ["select"]}},
        "draw": ["validation"],
    },
    "model": {"name": "cnn9_avg", "base_channels": 2, "clipwise": "frame_max"},
    "objective": {"name": "mean_teacher", "teacher_view": "teacher", "schedule": {"name": "ramp", "until": 0.5}},
    "selection": {"network": "student", "figures": {"weak": "clip_map", "synthetic": "loss"}},
}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory, data_root: Path) -> Path:
    folder = tmp_path_factory.mktemp("exp") / "fake" / "mt" / "seed0"
    folder.parent.mkdir(parents=True)
    train(data_root, folder, "training.batch_size=8", system="mt", **SECTIONS)
    return folder


def test_both_networks_are_validated_and_kept(training: Path) -> None:
    rows = records(training)
    assert [set(row["select"]) for row in rows] == [{"student", "teacher"}] * 2
    for row in rows:
        assert set(row["train"]) == {"loss", "clip", "frame", "clip_consistency", "frame_consistency"}
        assert set(row["select"]["teacher"]["synthetic"]) == {"loss", "clip_map", "frame_map"}
        assert row["select"]["student"] != row["select"]["teacher"]
    # Whose figures decide is one thing, who scores another.
    figures = [
        row["select"]["student"]["weak"]["clip_map"] - row["select"]["student"]["synthetic"]["loss"] for row in rows
    ]
    best = read_checkpoint(training / "checkpoints/best.pt")
    assert best.step == rows[int(np.argmax(figures))]["step"]
    assert read_json(training / "summary.json")["best"] == pytest.approx(max(figures))
    assert (best.selected, set(best.networks)) == ("teacher", {"student", "teacher"})
    assert same_state(best.network().state_dict(), best.network("teacher").state_dict())
    assert not torch.equal(*(next(best.network(name).parameters()) for name in best.networks))


def test_each_network_is_a_run_of_its_own(training: Path, data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exp, digest = training.parent.parent, sha256_file(training / "checkpoints/best.pt")
    given, scores = data_root / "validation", {}
    for name in ("student", "teacher"):
        run = exp / f"mt@{name}" / "seed0"
        out = run / "scores/validation.h5"
        assert main(["predict", str(run), str(given), "--out", str(out), "--device", "cpu"]) == 0
        scores[name] = read_scores(out)
        assert scores[name].producer == f"sha256:{digest}@{name}"
        assert facts_of(out)["run"]["network"] == name
        events, figures = run / "events/validation.tsv", run / "results/validation.json"
        assert main(["decode", str(out), "--postprocessing", "0.5", "--out", str(events)]) == 0
        call = ["score", "--reference", str(given / "strong.tsv"), "--estimate", str(events), "--metrics", "segment"]
        assert main([*call, "--durations", str(given / "clips.tsv"), "--json", str(figures)]) == 0
        assert read_json(figures)["run"]["network"] == name
    assert not np.array_equal(scores["student"].framewise, scores["teacher"].framewise)
    # The training's own folder is scored by the one that is selected, and another can be asked for.
    for name, words in (("teacher", []), ("student", ["--network", "student"])):
        out = exp / f"{name}.h5"
        assert main(["predict", str(training), str(given), "--out", str(out), "--device", "cpu", *words]) == 0
        np.testing.assert_array_equal(read_scores(out).framewise, scores[name].framewise)
    runs = load_runs([exp / f"mt@{name}" / "seed0" for name in ("student", "teacher")])
    assert [run.system for run in runs] == ["mt@student", "mt@teacher"]
    assert len({run.key for run in runs}) == 2 and len({run.parameters for run in runs}) == 1
    capsys.readouterr()
    assert main(["benchmark", *(str(run.path) for run in runs)]) == 0
    table = capsys.readouterr().out
    assert "mt@student" in table and "mt@teacher" in table


@pytest.mark.parametrize(
    ("run", "words", "status", "message"),
    [
        ("mt@teacher/seed0", ["--network", "student"], 2, "is the run of teacher; give {exp}/mt@student/seed0"),
        ("mt@techer/seed0", [], 1, "no network 'techer' (did you mean \"teacher\"?)"),
        ("mt/seed0", ["--network", "pupil"], 1, "no network 'pupil' in {exp}/mt/seed0/checkpoints/best.pt, it has"),
        ("mt@teacher/seed1", [], 1, "{exp}/mt/seed1/checkpoints/best.pt: no such checkpoint"),
    ],
)
def test_a_network_that_is_not_there_is_one_line(
    training: Path,
    data_root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    run: str,
    words: list[str],
    status: int,
    message: str,
) -> None:
    exp = training.parent.parent
    call = ["predict", str(exp / run), str(data_root / "validation"), "--out", str(tmp_path / "x.h5"), *words]
    assert main(call) == status
    said = capsys.readouterr().err.strip()
    assert message.format(exp=exp) in said and "\n" not in said


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"networks": ["student", "techer"]}, "networks: the objective keeps no network 'techer'"),
        ({"networks": "student"}, "networks: got 'student', expected a list of names"),
        ({"selection": {"network": "network"}}, "selection.network: the objective keeps no network 'network'"),
    ],
)
def test_names_of_networks_are_checked_before_anything_is_trained(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    path = write_config(tmp_path / "c.yaml", objective={"name": "mean_teacher"}, **changes)
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main([*call, "--check-config", "true"]) == 2
    assert f"{path}: {message}" in capsys.readouterr().err
    with pytest.raises(UsageError, match=message):
        train(data_root, tmp_path / "exp", objective={"name": "mean_teacher"}, **changes)


def test_a_run_on_all_clips_follows_a_split_run_whose_networks_are_tuned(data_root: Path, tmp_path: Path) -> None:
    training = tmp_path / "mt" / "seed0"
    training.mkdir(parents=True)
    write_yaml(tmp_path / "c.yaml", config(**SECTIONS))
    (training / "checkpoints").mkdir()
    (training / "checkpoints/best.pt.done.json").write_text("{}")
    (training / "summary.json").write_text('{"steps": 12, "best_step": 6}')

    def plan() -> Any:
        return make_plan(tmp_path / "c.yaml", [], data_root, tmp_path / "mt/all_seed0", train_on="all")

    with pytest.raises(SedkitError, match="has no finished post-processing"):
        plan()
    (tmp_path / "mt@teacher/seed0").mkdir(parents=True)
    (tmp_path / "mt@teacher/seed0/postprocessing.yaml").write_text("{}")
    assert plan().training.last_step == 6


def test_a_pass_of_such_a_system_is_one_run(data_root: Path, tmp_path: Path) -> None:
    """Its objective may keep one network alone."""
    first = {"objective": {"base": None, "name": "clip_bce"}}
    path = write_config(tmp_path / "c.yaml", **SECTIONS, passes={"first": first})
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main([*call, "--check-config", "true", "--pass", "first", "selection.network=null"]) == 0
    assert main([*call, "--check-config", "true"]) == 0
