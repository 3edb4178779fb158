"""Sections, budgets, passes and plans, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_data import config, plan, write_config

from sedkit.cli.main import main
from sedkit.core.config import read_config, typed
from sedkit.core.errors import UsageError
from sedkit.core.files import read_json
from sedkit.core.naming import naming_file
from sedkit.models.checkpoint import read_checkpoint
from sedkit.training.checking import check_config
from sedkit.training.optimisers import resolve_optimiser
from sedkit.training.plan import make_plan
from sedkit.training.settings import TrainingSettings, data_settings


def test_defaults_are_the_published_ones() -> None:
    s = TrainingSettings()
    assert (s.steps, s.batch_size, s.last_step, s.clip_norm, s.train_on) == (5000, 32, None, 0.0, "split")
    adam = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0, "amsgrad": True}
    groups = {"groups": {}, "layer_decay": 1.0}
    assert resolve_optimiser({"name": "adam"}) == {"name": "adam", **adam, **groups}


def test_pass_then_budget_then_overrides(tmp_path: Path) -> None:
    second = {"training": {"steps": 7, "seed": 5}, "data": {"streams": {"weak": None, "other": {"set": "synthetic"}}}}
    path = write_config(tmp_path / "c.yaml", passes={"second": second})

    def read(**options: Any) -> dict[str, Any]:
        return read_config(path, **options)

    plain = read()
    assert not {"budgets", "passes"} & set(plain) and plain["training"]["steps"] == 12
    changed = read(of_pass="second")
    assert changed["data"]["streams"] == {"other": {"set": "synthetic"}}
    assert changed["data"]["select"] == plain["data"]["select"]
    assert (changed["training"]["steps"], changed["training"]["batch_size"]) == (7, 4)
    assert read(of_pass="second", budget="quick")["training"]["steps"] == 3
    assert read(of_pass="second", budget="quick")["training"]["seed"] == 5
    assert read(of_pass="second", budget="quick", overrides=["training.steps=8"])["training"]["steps"] == 8


def test_a_pass_may_have_budgets_of_its_own(tmp_path: Path) -> None:
    quick = {"base": None, "training.batch_size": 2}
    passes = {"second": {"budgets": {"quick": quick}}, "third": {"budgets": {"quick": {"training.seed": 9}}}}
    path = write_config(tmp_path / "c.yaml", passes=passes)
    second, third = (read_config(path, budget="quick", of_pass=name)["training"] for name in passes)
    assert (second["steps"], second["batch_size"]) == (12, 2)
    assert (third["steps"], third["seed"]) == (3, 9)
    with (
        pytest.raises(UsageError, match=r"c.yaml: passes.second.budgets.quick: training: batch_size is 0$"),
        naming_file(path, (), "quick", "second"),
    ):
        raise UsageError("training: batch_size is 0")


def test_a_stream_may_take_what_a_pass_of_the_same_run_made(tmp_path: Path) -> None:
    pseudo = {"set": "unlabelled", "labels": {"source": "{first}/tags/unlabelled.tsv"}}
    shared = {"set": "unlabelled", "labels": {"source": "{both}/tags/unlabelled.tsv"}}
    data = {"streams": {"pseudo": pseudo, "shared": shared}}
    path = write_config(tmp_path / "c.yaml", data=data, passes={"first": {}, "both": {"system": "cnn"}})
    streams = read_config(path, folder=Path("exp/r/crnn/fold2_seed3"))["data"]["streams"]
    assert streams["pseudo"]["labels"]["source"] == "exp/r/crnn.first/fold2_seed3/tags/unlabelled.tsv"
    assert streams["shared"]["labels"]["source"] == "exp/r/cnn.both/fold2_seed3/tags/unlabelled.tsv"
    assert read_config(path)["data"]["streams"]["pseudo"] == pseudo
    late = write_config(tmp_path / "d.yaml", data=data, passes={"first": {}})
    with pytest.raises(UsageError, match=r"data: .both. has no value"):
        read_config(late, folder=Path("exp/r/crnn/seed3"))
    with pytest.raises(UsageError, match=r"passes is 3, expected a mapping"):
        read_config(write_config(tmp_path / "e.yaml", passes=3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overrides": ["budgets.quick.training.steps=3"]}, "give the key that it sets"),
        ({"overrides": ["passes.a.training.steps=3"]}, "give the key that it sets"),
        ({"budget": "quik"}, "unknown budget 'quik' .did you mean \"quick\""),
        ({"of_pass": "b"}, "unknown pass 'b'.* it has a"),
        ({"of_pass": "a"}, "passes.a: unknown section 'trianing'.*did you mean \"training\""),
        ({"of_pass": "nested"}, "passes.nested: unknown section 'passes'"),
        ({"of_pass": "number"}, "c.yaml: pass number is 3, expected a mapping"),
    ],
)
def test_budgets_and_passes_are_checked(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    passes = {"a": {"trianing": {"steps": 3}}, "nested": {"passes": {}}, "number": 3}
    with pytest.raises(UsageError, match=message):
        read_config(write_config(tmp_path / "c.yaml", passes=passes), **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ({"stepz": 3}, "training: unknown key 'stepz'.*did you mean"),
        ({"steps": "many"}, "training: .*steps"),
        ({"steps": 0}, "steps is 0, expected at least 1"),
        ({"learning_rate": 1e-3}, "training: unknown key 'learning_rate'"),
        ({"last_step": 5001}, "last_step is 5001, expected 1 to steps = 5000"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0, expected at least 0"),
        ({"train_on": "most"}, "training: .*train_on"),
    ],
)
def test_training_section_is_checked(text: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        typed(text, TrainingSettings, "training")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.stepz=3", "training: unknown key 'stepz'"),
        ("data.streams.weak.fold=[train]", "data.streams.weak: unknown key 'fold'"),
        ("data.streams.weak.folds=train", r"weak: key 'folds': Expected list\[str\] or null. Got value: train"),
        ("data.streams.weak.window={length_s: 0}", "window.length_s is 0.0, expected above 0"),
        ("data.streams.weak.window={hop_s: 1}", "data.streams.weak.window: key 'length_s' is missing"),
        ("data.streams.weak.window=1.0", "data.streams.weak.window: got 1.0, expected a mapping"),
        ("data.streams.weak.labels.targt=clip", 'data.streams.weak.labels: unknown key .* .did you mean "target"'),
        ("data.streams.weak.labels.target=frames", "data.streams.weak.labels: .*target"),
        ("data.streams.weak.labels.least_s=-1", "labels.least_s is -1.0, expected at least 0"),
        ("data.streams.weak.augment={nois: {}}", "data.streams.weak.augment.*nois.*did you mean"),
        ("data.streams.weak.views={teacher: {noise: {snr: 3}}}", "data.streams.weak.views.teacher.*snr"),
        ("frontend.bins=64", "frontend: unknown key 'bins'"),
        ("frontend.edges=window", "data.streams.weak.source is features, but the front end transforms every window"),
        ("normalise.zscor={}", "normalise.*zscor.*did you mean"),
        ("model.channels=8", "model: unknown key 'channels'"),
        ("model.name=cnn8", "model.name is 'cnn8'"),
        ("objective.name=bce", "objective.name is 'bce'"),
        ("objective.weight=2", "objective: unknown key 'weight'"),
        ("optimiser.name=adm", "optimiser.name is 'adm' .did you mean"),
        ("schedule=3", "schedule is 3, expected a mapping"),
        ("schedule.every=2", "schedule: every is 2.0, expected a share of the run"),
        ("selection.name=first", "selection: .*name"),
        ("selection.figures={week: clip_map}", "selection.figures: data.select has no 'week'"),
        ("selection.figures={weak: clip_mpa}", "selection.figures: 'clip_mpa' .did you mean \"clip_map\""),
    ],
)
def test_every_section_can_be_checked_before_there_is_data(tmp_path: Path, override: str, message: str) -> None:
    path = write_config(tmp_path / "conf.yaml")
    check_config(path, ["training.steps=3"], "quick")
    with pytest.raises(UsageError, match=message):
        check_config(path, [override], "quick")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"streams": {}}, "streams is empty"),
        ({"streams": [1]}, r"data.streams: got \[1\], expected a mapping"),
        ({"streams": {"weak": {"set": "weak", "fold": []}}}, r"weak: unknown key 'fold'.*did you mean \"folds\""),
        ({"streams": {"weak": {}}}, "data.streams.weak: key 'set' is missing"),
        ({"streams": {"weak": {"set": "weak"}}, "stream": {}}, "data: unknown key 'stream'"),
        ({"streams": {"weak": {"set": "weak", "share": 0.0}}}, "share is 0"),
    ],
)
def test_data_section_is_checked(section: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        data_settings(section)


def test_a_pass_is_part_of_the_run_and_recorded(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes: dict[str, Any] = {"training__steps": 2, "training__eval_every": 2}
    path = write_config(tmp_path / "c.yaml", **changes, passes={"same": {}, "second": {"training": {"seed": 5}}})

    def key(of_pass: str | None, folder: str = "exp") -> str:
        return make_plan(path, [], data_root, tmp_path / folder, of_pass=of_pass).key

    assert len({key(None), key("same"), key("second")}) == 3
    exp = tmp_path / "exp"
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(exp)]
    assert main([*call, "--pass", "second"]) == 0
    best = read_checkpoint(exp / "checkpoints/best.pt")
    assert (best.run["pass"], best.run["seed"]) == ("second", 5)
    assert read_json(exp / "environment.json")["run"]["pass"] == "second"
    assert "--pass second" in (exp / "run.sh").read_text()
    capsys.readouterr()
    assert main([*call, "--pass", "second"]) == 0
    assert "is up to date" in capsys.readouterr().err
    # The record of the run stands for itself.
    call[2] = str(exp / "config.yaml")
    assert main([*call, "--pass", "second"]) == 0
    assert "is up to date" in capsys.readouterr().err


def test_a_configuration_is_read_as_it_stands(tmp_path: Path) -> None:
    assert read_config(write_config(tmp_path / "c.yaml")) == {k: v for k, v in config().items() if k != "budgets"}


@pytest.mark.parametrize("key", ["augment={gain: {level_db: [0, 6]}}", "views.teacher={amplitude_noise: {std: 0.1}}"])
def test_what_is_selected_on_is_not_changed(key: str, data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.select\.weak: what is selected on is not changed"):
        plan(data_root, tmp_path, f"data.select.weak.{key}")
