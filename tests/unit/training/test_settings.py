"""Sections, budgets, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_data import config, write_config

from sedkit.core.errors import SedkitError, UsageError
from sedkit.training.plan import check_config, make_plan
from sedkit.training.settings import TrainingSettings, apply_budget, data_settings, training_settings


def test_defaults_are_the_published_schedule() -> None:
    s = TrainingSettings()
    assert (s.steps, s.batch_size, s.learning_rate, s.lr_factor, s.lr_every, s.amsgrad) == (
        5000,
        32,
        1e-3,
        0.9,
        200,
        True,
    )
    assert (s.beta1, s.beta2, s.epsilon, s.weight_decay) == (0.9, 0.999, 1e-8, 0.0)


def test_budget_then_overrides() -> None:
    raw = config()
    assert apply_budget(raw, None, [])["training"]["steps"] == 12
    quick = apply_budget(raw, "quick", ["training.batch_size=2"])
    assert (quick["training"]["steps"], quick["training"]["batch_size"], quick["model"]["base_channels"]) == (3, 2, 2)
    assert "budgets" not in quick
    assert apply_budget(raw, "quick", ["training.steps=8"])["training"]["steps"] == 8
    assert raw["training"]["steps"] == 12
    with pytest.raises(UsageError, match="give the key that the budget sets"):
        apply_budget(raw, "quick", ["budgets.quick.training.steps=3"])
    with pytest.raises(UsageError, match="unknown budget 'quik' .did you mean \"quick\""):
        apply_budget(raw, "quik", [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"stepz": 3}, "training: unknown key 'stepz'.*did you mean"),
        ({"steps": "many"}, "training: .*steps"),
        ({"steps": 0}, "steps is 0, expected at least 1"),
        ({"max_minutes": 3.9}, "training: unknown key 'max_minutes'"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, expected above 0"),
        ({"select_by": "f1"}, "training: .*select_by"),
    ],
)
def test_training_section_is_checked(text: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        training_settings(text)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.stepz=3", "training: unknown key 'stepz'"),
        ("data.streams.weak.fold=[train]", "data.streams.weak: unknown key 'fold'"),
        ("frontend.bins=64", "frontend: unknown key 'bins'"),
        ("model.channels=8", "model: unknown key 'channels'"),
        ("model.name=cnn8", "model.name is 'cnn8'"),
        ("objective.name=bce", "objective.name is 'bce'"),
        ("objective.weight=2", "objective: unknown key 'weight'"),
    ],
)
def test_every_section_can_be_checked_before_there_is_data(tmp_path: Path, override: str, message: str) -> None:
    path = write_config(tmp_path / "conf.yaml")
    check_config(path, ["training.steps=3"], "quick")
    with pytest.raises(UsageError, match=message):
        check_config(path, [override], "quick")


def test_data_section_is_checked() -> None:
    with pytest.raises(UsageError, match="streams is empty"):
        data_settings({"streams": {}})
    with pytest.raises(UsageError, match=r"data.streams.weak: unknown key 'fold'.*did you mean \"folds\""):
        data_settings({"streams": {"weak": {"set": "weak", "fold": ["train"]}}})
    with pytest.raises(UsageError, match=r"data.streams.weak: key 'set' is missing"):
        data_settings({"streams": {"weak": {}}})
    with pytest.raises(UsageError, match="data: unknown key 'stream'"):
        data_settings({"streams": {"weak": {"set": "weak"}}, "stream": {}})
    with pytest.raises(UsageError, match="share is 0"):
        data_settings({"streams": {"weak": {"set": "weak", "share": 0.0}}})


def test_a_plan_names_what_is_missing(data_root: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "c.yaml")
    with pytest.raises(SedkitError, match="no such data dir; make it with `sedkit prepare`"):
        make_plan(path, [], tmp_path / "nowhere", tmp_path / "exp")
    with pytest.raises(SedkitError, match="no such features .*logmel-.*; make them with `sedkit extract`"):
        make_plan(path, ["frontend.n_mels=12"], data_root, tmp_path / "exp")
    with pytest.raises(UsageError, match=r"data.select is empty"):
        make_plan(path, ["data.select={}"], data_root, tmp_path / "exp")
    with pytest.raises(UsageError, match="no section 'objective'"):
        make_plan(write_config(tmp_path / "d.yaml", objective=None), [], data_root, tmp_path / "exp")


def test_inputs_leave_out_what_is_only_drawn(data_root: Path, tmp_path: Path) -> None:
    plan = make_plan(write_config(tmp_path / "c.yaml"), [], data_root, tmp_path / "exp")
    assert plan.sets == ("weak", "validation")
    assert set(plan.inputs) == {"weak/clips.tsv", "weak/weak.tsv", "weak/labels.txt", "weak/features"}


def test_all_needs_a_finished_split_run(data_root: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "c.yaml")
    with pytest.raises(SedkitError, match=r"seed0 has no finished training"):
        make_plan(path, [], data_root, tmp_path / "all_seed0", train_on="all")
    split = tmp_path / "seed0"
    (split / "checkpoints").mkdir(parents=True)
    (split / "checkpoints" / "best.pt.done.json").write_text("{}")
    with pytest.raises(SedkitError, match=r"seed0 has no finished post-processing"):
        make_plan(path, [], data_root, tmp_path / "all_seed0", train_on="all")
    with pytest.raises(UsageError, match="give --split-run"):
        make_plan(path, [], data_root, tmp_path / "other", train_on="all")
    (split / "postprocessing.yaml").write_text("{}")
    (split / "summary.json").write_text('{"best_step": 6, "lr_every": 2.5}')
    plan = make_plan(path, [], data_root, tmp_path / "all_seed0", train_on="all")
    assert (plan.training.steps, plan.training.lr_every) == (6, 2.5)
    assert plan.run_info()["trained_on"] == "all"
    both = make_plan(path, [], data_root, tmp_path / "all+validation_seed0", train_on="all+validation")
    assert {name.split("/")[0] for name in both.inputs} == {"weak", "validation"}
