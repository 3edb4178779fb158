"""A system as what differs from a base: the run, its record and its stamp are those of the whole configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fake_data import config

from sedkit.cli.main import main
from sedkit.core.config import read_config
from sedkit.core.files import read_yaml, write_yaml
from sedkit.training.plan import make_plan


def write_delta(folder: Path) -> Path:
    """Write a base and a system that trains with other steps and frame targets on another set."""
    folder.mkdir(parents=True, exist_ok=True)
    base = config(training__steps=5)
    del base["system"]
    write_yaml(folder / "base.yaml", base)
    (folder / "mine.yaml").write_text("""base: base.yaml
system: mine
training: {steps: 2, eval_every: 2}
data: {select: {weak: {labels: {target: clip}}}, draw: []}
budgets: {quick: {training.batch_size: 2}}
""")
    return folder / "mine.yaml"


def whole(folder: Path) -> Path:
    """Write the same by hand, in one file."""
    folder.mkdir(parents=True, exist_ok=True)
    out = config(training__steps=2, training__eval_every=2, system="mine")
    out["data"]["draw"] = []
    out["data"]["select"]["weak"]["labels"] = {"target": "clip"}
    out["budgets"]["quick"] = {"training.steps": 3, "training.batch_size": 2}
    write_yaml(folder / "whole.yaml", out)
    return folder / "whole.yaml"


@pytest.mark.parametrize("budget", [None, "quick", "published"])
def test_a_delta_is_the_same_run_as_its_whole(data_root: Path, tmp_path: Path, budget: str | None) -> None:
    plans = [
        make_plan(path, ["training.seed=3"], data_root, tmp_path / "exp", budget=budget)
        for path in (write_delta(tmp_path / "a"), whole(tmp_path / "b"))
    ]
    assert plans[0].config == plans[1].config
    assert plans[0].key == plans[1].key
    assert plans[0].step(False).config == plans[1].step(False).config


def test_the_record_of_a_run_needs_no_base(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    delta, exp = write_delta(tmp_path / "conf"), tmp_path / "exp"
    rest = ["--data", str(data_root), "--exp", str(exp)]
    assert main(["train", "--config", str(delta), *rest]) == 0
    record = read_yaml(exp / "config.yaml")
    assert record == read_config(whole(tmp_path / "by_hand"))
    for path in (delta, tmp_path / "conf" / "base.yaml"):
        path.unlink()
    capsys.readouterr()
    for same in (exp / "config.yaml", tmp_path / "by_hand" / "whole.yaml"):
        assert main(["train", "--config", str(same), *rest]) == 0
        assert "is up to date" in capsys.readouterr().err


#: A key that is added to the delta or to the base, options, and what is said; {folder} holds both files.
WRONG = {
    "in the delta": ("mine", {"training": {"stepz": 3}}, [], "{folder}/mine.yaml: training: unknown key 'stepz'"),
    "in the base": ("base", {"training": {"stepz": 3}}, [], "{folder}/base.yaml: training: unknown key 'stepz'"),
    "a value of the base": ("base", {"training": {"seed": -1}}, [], "{folder}/base.yaml: training: seed is -1"),
    "a type in the base": ("base", {"training": {"seed": "x"}}, [], "{folder}/base.yaml: training: key 'seed'"),
    "a stream of the base": (
        "base",
        {"data": {"streams": {"weak": {"fold": ["train"]}}}},
        [],
        "{folder}/base.yaml: data.streams.weak: unknown key 'fold'",
    ),
    "a model of the delta": ("mine", {"model": {"name": "cnn8"}}, [], "{folder}/mine.yaml: model.name is 'cnn8'"),
    "an option of the base's model": ("base", {"model": {"x": 1}}, [], "{folder}/base.yaml: model: unknown key 'x'"),
    "the base's objective": ("base", {"objective": {"name": "mse"}}, [], "{folder}/base.yaml: objective.name is 'mse'"),
    "the base's front end": ("base", {"frontend": {"name": "cqt"}}, [], "{folder}/base.yaml: frontend.name is 'cqt'"),
    "a budget of the base": (
        "base",
        {"budgets": {"quick": {"training.steps": 0}}},
        ["--budget", "quick"],
        "{folder}/base.yaml: budgets.quick: training: steps is 0",
    ),
    "a pass of the base": (
        "base",
        {"passes": {"second": {"optimiser": {"learning_rate": -1.0}}}},
        ["--pass", "second"],
        "{folder}/base.yaml: passes.second: optimiser: learning_rate is -1.0",
    ),
    "an override": ("mine", {}, ["training.seed=-1"], "training: seed is -1"),
}


def _add(into: dict, more: dict) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            _add(into.setdefault(key, {}), value)
        else:
            into[key] = value


@pytest.mark.parametrize("check", ["true", "false"])
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_key_is_told_of_its_file(
    data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str, check: str
) -> None:
    file, more, options, message = WRONG[case]
    path = write_delta(tmp_path / "conf")
    content = yaml.safe_load((path.parent / f"{file}.yaml").read_text())
    _add(content, more)
    write_yaml(path.parent / f"{file}.yaml", content)
    call = ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main([*call, "--check-config", check, *options]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith(f"sedkit train: error: {message.format(folder=path.parent)}")
    assert not list(tmp_path.rglob("*.pt"))


def test_extract_names_the_base_too(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_delta(tmp_path)
    (tmp_path / "base.yaml").write_text("frontend: {name: logmel, bins: 3}\n")
    assert main(["extract", str(data_root / "weak"), "--config", str(path)]) == 2
    assert f"error: {tmp_path}/base.yaml: frontend: unknown key 'bins'" in capsys.readouterr().err


def test_a_missing_base_is_one_line(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_delta(tmp_path)
    (tmp_path / "base.yaml").unlink()
    for call in (
        ["train", "--config", str(path), "--data", str(data_root), "--exp", str(tmp_path / "exp")],
        ["extract", str(data_root / "weak"), "--config", str(path)],
    ):
        assert main(call) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1 and f"{path}: base base.yaml: no such file" in said


def test_the_example_of_the_page(repository: Path, tmp_path: Path) -> None:
    text = (repository / "docs/training.md").read_text(encoding="utf-8")
    example = text.split("## A system as what differs from another")[1].split("```yaml\n")[1].split("```")[0]
    conf = repository / "recipes/dcase2019_task4/conf"
    (tmp_path / "base.yaml").write_text((conf / "base.yaml").read_text())
    (tmp_path / "cnn9_both.yaml").write_text(example)
    both = read_config(tmp_path / "cnn9_both.yaml")
    weak = read_config(conf / "cnn9_weak.yaml")
    assert both["data"]["streams"] == {
        "weak": {"set": "weak", "labels": {"target": "clip"}, "folds": ["train"]},
        "synthetic": {"set": "synthetic", "labels": {"target": "frame"}},
    }
    assert both["objective"] == {"name": "weak_strong_bce"}
    assert both["model"] == weak["model"] | {"base_channels": 48}
    assert all(both[name] == weak[name] for name in ("recipe", "frontend", "training", "schedule", "selection"))
    for budget in ("quick", "published"):
        call = ["--config", str(tmp_path / "cnn9_both.yaml"), "--data", "d", "--exp", "e", "--budget", budget]
        assert main(["train", *call, "--check-config", "true"]) == 0
