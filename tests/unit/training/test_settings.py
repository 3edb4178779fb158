"""Sections, budgets, passes and plans, and what they refuse."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from fake_data import config, write_config

from sedkit.cli.main import main
from sedkit.core.config import read_config, typed
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import read_json, write_json
from sedkit.core.naming import naming_file
from sedkit.core.stamp import Step
from sedkit.models.checkpoint import read_checkpoint
from sedkit.training.batches import shares
from sedkit.training.checking import check_config
from sedkit.training.inputs import inputs_of
from sedkit.training.optimisers import resolve_optimiser
from sedkit.training.plan import Plan, make_plan
from sedkit.training.settings import TrainingSettings, data_settings


def plan(root: Path, folder: Path, *overrides: str, **changes: Any) -> Plan:
    return make_plan(write_config(folder / "c.yaml", **changes), list(overrides), root, folder / "exp")


def test_defaults_are_the_published_ones() -> None:
    s = TrainingSettings()
    assert (s.steps, s.batch_size, s.last_step, s.clip_norm, s.train_on) == (5000, 32, None, 0.0, "split")
    adam = {"learning_rate": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "weight_decay": 0.0, "amsgrad": True}
    assert resolve_optimiser({"name": "adam"}) == {"name": "adam", **adam}


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


def test_a_plan_names_what_is_missing(data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="no such data dir; make it with `sedkit prepare`"):
        plan(tmp_path / "nowhere", tmp_path).check()
    with pytest.raises(SedkitError, match="no such features .*logmel-.*; make them with `sedkit extract`"):
        plan(data_root, tmp_path, "frontend.n_mels=12").check()
    with pytest.raises(UsageError, match=r"data.select is empty"):
        plan(data_root, tmp_path, "data.select={}").check()
    with pytest.raises(SedkitError, match=r"none.pt: no such file \(training.weights\)"):
        inputs_of(plan(data_root, tmp_path, "training.weights=none.pt"))
    for section in ("objective", "optimiser"):
        with pytest.raises(UsageError, match=f"no section '{section}'"):
            plan(data_root, tmp_path, **{section: None})


def test_inputs_leave_out_what_is_only_drawn(data_root: Path, tmp_path: Path) -> None:
    made = plan(data_root, tmp_path)
    assert made.sets.drawn == ("validation",)
    assert set(inputs_of(made)) == {"weak/clips.tsv", "weak/weak.tsv", "weak/labels.txt", "weak/features"}


@pytest.fixture(scope="module")
def renamed(data_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fake data with every folder called otherwise; `set.json` says which set it is."""
    root = tmp_path_factory.mktemp("renamed")
    for name, other in (("weak", "validation"), ("synthetic", "tune"), ("validation", "train")):
        shutil.copytree(data_root / name, root / other)
    write_json(root / "tune/set.json", read_json(root / "tune/set.json") | {"role": "entered"})
    return root


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.streams.weak={set: train}"], "data.streams.weak: fake/validation is reported"),
        (["data.streams.weak={set: tune}"], "data.streams.weak: fake/synthetic is entered"),
        (["data.select.weak={set: train}"], "data.select.weak: fake/validation is reported"),
        (["data.streams.weak.folds=[train,tune]"], "data.streams.weak.folds: tune is held out"),
        (["data.streams.weak.folds=[select]"], "data.streams.weak.folds: select is held out"),
        (["data.streams.weak.source=waveforms", "data.streams.weak.augment.background={set: train, snr_db: [0, 9]}"],
         "data.streams.weak: fake/validation is reported"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("capsys")
def test_what_is_reported_or_held_out_is_not_trained_on_whatever_its_folder_is_called(
    renamed: Path, tmp_path: Path, overrides: list[str], message: str
) -> None:
    path = ["data.streams.weak.set=validation", "data.select.weak.set=validation", "data.draw=[]", *overrides]
    with pytest.raises(UsageError, match=message):
        plan(renamed, tmp_path, *path).check()


def test_reported_sets_are_refused_in_one_line(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path / "c.yaml")
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main([*call, "data.streams.weak={set: validation}"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "fake/validation is reported: nothing is trained or selected on it" in said
    assert not (tmp_path / "exp").exists()


def test_folds_default_to_train(data_root: Path, tmp_path: Path) -> None:
    made = plan(data_root, tmp_path)
    assert made.saw() == {"trained": [["fake/weak", "train"]], "selected": [["fake/weak", "select"]]}
    # Of a set without folds, all; of one without that fold, none is taken for granted.
    root = tmp_path / "data"
    shutil.copytree(data_root, root)
    table = (root / "weak/clips.tsv").read_text()
    (root / "weak/clips.tsv").write_text(table.replace("\ttrain\n", "\t1\n"))
    with pytest.raises(UsageError, match="data.streams.weak.folds: weak has .*expected some of them to be named"):
        plan(root, tmp_path).check()
    (root / "weak/clips.tsv").write_text("".join(line.rpartition("\t")[0] + "\n" for line in table.splitlines()))
    made = plan(root, tmp_path, "data.select={other: {set: synthetic, folds: [tune]}}")
    assert made.saw() == {"trained": [["fake/weak", None]], "selected": [["fake/synthetic", "tune"]]}


@pytest.mark.parametrize("folds", [None, ["train"], ["train", "select"]])
def test_what_a_run_saw_counts_backgrounds(data_root: Path, tmp_path: Path, folds: list[str] | None) -> None:
    background = "{set: synthetic, snr_db: [0, 9], folds: %s}" % ("null" if folds is None else f"[{', '.join(folds)}]")
    made = plan(
        data_root,
        tmp_path,
        "data.streams.weak.source=waveforms",
        f"data.streams.weak.augment={{background: {background}}}",
    )
    assert made.saw()["trained"] == [["fake/weak", "train"], *(["fake/synthetic", fold] for fold in folds or ["train"])]
    if folds and "select" in folds:
        with pytest.raises(UsageError, match="data.streams.weak.augment, synthetic: select is held out of training"):
            made.check()
    else:
        made.check()


def test_all_needs_a_finished_split_run(data_root: Path, tmp_path: Path) -> None:
    path = write_config(tmp_path / "c.yaml")

    def follow(name: str, train_on: str = "all") -> Plan:
        return make_plan(path, [], data_root, tmp_path / name, train_on=train_on)

    with pytest.raises(SedkitError, match=r"seed0 has no finished training"):
        follow("all_seed0")
    split = tmp_path / "seed0"
    write_json(split / "checkpoints" / "best.pt.done.json", {})
    with pytest.raises(SedkitError, match=r"seed0 has no finished post-processing"):
        follow("all_seed0")
    with pytest.raises(UsageError, match="give --split-run"):
        follow("other")
    (split / "postprocessing.yaml").write_text("{}")
    write_json(split / "summary.json", {"best_step": 6, "steps": 9})
    made = follow("all_seed0")
    assert (made.training.steps, made.training.last_step) == (9, 6)
    assert made.run_info()["trained_on"] == "all"
    assert made.saw() == {"trained": [["fake/weak", None]], "selected": []}
    both = follow("all+validation_seed0", "all+validation")
    assert {name.split("/")[0] for name in inputs_of(both)} == {"weak", "validation"}
    assert both.saw()["trained"] == [["fake/weak", None], ["fake/validation", None]]
    assert both.sets.drawn == ()


def test_validation_is_a_stream_of_its_own_where_one_names_it(data_root: Path, tmp_path: Path) -> None:
    strong = {"set": "validation", "labels": {"target": "frame"}, "train_on": "all+validation", "share": 2}
    path = write_config(tmp_path / "c.yaml", data__streams={"weak": {"set": "weak"}, "strong": strong})
    split = make_plan(path, [], data_root, tmp_path / "seed0")
    split.check()
    assert list(split.sets.trained) == ["weak"]
    config = read_config(path, ["training.train_on=all+validation"])
    both = Plan(config, data_root, tmp_path / "all+validation_seed0")
    both.check()
    assert {name: both.sets.of(stream, "data.streams.x") for name, stream in both.sets.trained.items()} == {
        "weak": ["weak"],
        "strong": ["validation"],
    }
    assert shares(both.sets.trained, 9) == {"weak": 3, "strong": 6}
    assert both.saw()["trained"] == [["fake/weak", None], ["fake/validation", None]]


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


def test_what_was_seen_behind_pseudo_labels_and_weights_counts(data_root: Path, tmp_path: Path) -> None:
    seen = {"trained": [["fake/weak", "train"], ["fake/validation", None]], "selected": [["fake/weak", "select"]]}
    pseudo, tags = tmp_path / "pseudo.tsv", tmp_path / "tags.tsv"
    shutil.copy(data_root / "weak/weak.tsv", pseudo)
    facts = {"saw": seen, "tuned": [["fake/weak", "tune"]]}
    Step("tag", tags, {}, facts=facts).run(lambda: shutil.copy(pseudo, tags))
    assert plan(data_root, tmp_path, f"data.streams.weak.labels.source={tmp_path}/tags.tsv").saw() == {
        "trained": [["fake/weak", "train"], ["fake/validation", None]],
        "selected": [["fake/weak", "select"], ["fake/weak", "tune"]],
    }
    Step("train", tmp_path / "w.pt", {}, facts={"saw": seen}).run(lambda: (tmp_path / "w.pt").write_bytes(b"x"))
    assert ["fake/validation", None] in plan(data_root, tmp_path, f"training.weights={tmp_path}/w.pt").saw()["trained"]
    # Nothing is known of what others made.
    unknown = plan(data_root, tmp_path, f"data.streams.weak.labels.source={tmp_path}/pseudo.tsv").saw()
    assert unknown["trained"] == [["fake/weak", "train"]]


@pytest.mark.parametrize("key", ["augment={gain: {level_db: [0, 6]}}", "views.teacher={amplitude_noise: {std: 0.1}}"])
def test_what_is_selected_on_is_not_changed(key: str, data_root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"data\.select\.weak: what is selected on is not changed"):
        plan(data_root, tmp_path, f"data.select.weak.{key}")
