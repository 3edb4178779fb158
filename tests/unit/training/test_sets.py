"""Which sets, folds and features a run reads, which it must not, and what it saw."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_data import plan, write_config

from sedkit.cli.main import main
from sedkit.core.config import read_config
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import read_json, write_json
from sedkit.core.stamp import Step
from sedkit.training.batches import shares
from sedkit.training.inputs import inputs_of
from sedkit.training.plan import Plan, make_plan


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
