"""The examples and tables of docs/models.md and docs/training.md, taken from the pages themselves."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
import types
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import yaml
from fake_data import config, write_config
from fake_mixtures import FRONTEND, MIX, make_sounds

from sedkit.cli.main import main
from sedkit.core.files import write_yaml
from sedkit.datasets.maps import load_classes
from sedkit.features.batch import StreamBatch
from sedkit.models import registry as models
from sedkit.models.checkpoint import read_checkpoint
from sedkit.objectives import registry as objectives
from sedkit.objectives.base import Context, total
from sedkit.objectives.mean_teacher import MeanTeacherOptions
from sedkit.objectives.schedules import resolve_schedule
from sedkit.training.groups import freeze, parameter_groups
from sedkit.training.optimisers import resolve_optimiser
from sedkit.training.selection import FIGURES
from sedkit.training.settings import LabelSettings, StreamSettings, TrainingSettings, data_settings


@pytest.fixture
def examples(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models.model_names()
    objectives.objective_names()
    text = (repository / "docs/models.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in text.split("```python\n")[1:]]
    assert len(blocks) == 2
    for number, registry in enumerate((models._MODELS, objectives._OBJECTIVES)):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
        module = types.ModuleType(f"docs_models_{number}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(blocks[number], module.__dict__)


@pytest.mark.usefixtures("examples")
def test_network_and_loss_of_the_page_do_what_it_says() -> None:
    torch.manual_seed(0)
    network = models.build_model({"name": "loudness", "pooling": 8}, 3, 16)
    assert (network.time_pooling, network.input_frames) == (8, None)
    objective = objectives.build_objective({"name": "slow_copy", "decay": 0.75, "weight": 3.0})
    objective.start(network, lambda: models.build_model({"name": "loudness", "pooling": 8}, 3, 16))
    slow = objective.networks(network)["slow"]
    start = slow.fc.weight.clone()
    with torch.no_grad():
        network.fc.weight += 1.0
    target = (torch.rand(4, 3) < 0.5).float()
    batch = {
        "weak": StreamBatch(torch.randn(4, 32, 16), torch.full((4,), 32), target),
        "unlabelled": StreamBatch(torch.randn(2, 32, 16), torch.full((2,), 32)),
    }
    context = Context(network, batch, 1, 4, torch.Generator())
    terms = objective.loss(context)
    x, n = torch.cat([s.features for s in batch.values()]), torch.full((6,), 32)
    weak = F.binary_cross_entropy(network(x[:4], n[:4]).clipwise, target)
    distance = (network(x, n).clipwise - slow(x, n).clipwise).square().mean()
    assert {name: float(term.mean.detach()) for name, term in terms.items()} == pytest.approx(
        {"distance": float(distance.detach()), "weak": float(weak.detach())}, rel=1e-5
    )
    ramp = float(torch.tensor(-5 * (1 - 0.25 / 0.5) ** 2).exp())
    assert float(total(terms).detach()) == pytest.approx(float((weak + 3.0 * ramp * distance).detach()), rel=1e-5)
    total(terms).backward()
    assert network.fc.weight.grad is not None
    assert slow.fc.weight.grad is None
    objective.after_step(context)
    torch.testing.assert_close(slow.fc.weight, 0.75 * start + 0.25 * network.fc.weight)


@pytest.mark.usefixtures("examples")
def test_network_and_objective_of_the_pages_train_together(data_root: Path, tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "c.yaml",
        model={"name": "loudness", "pooling": 8},
        objective={"name": "slow_copy", "decay": 0.5, "schedule": {"name": "constant"}},
        optimiser={"name": "adam", "learning_rate": 0.1},
    )
    exp = tmp_path / "exp"
    call = ["train", "--config", str(config), "--data", str(data_root), "--exp", str(exp)]
    assert main(call) == 0
    last = read_checkpoint(exp / "checkpoints/last.pt")
    assert set(last.networks) == {"network", "slow"}
    assert not torch.equal(last.networks["network"]["fc.weight"], last.networks["slow"]["fc.weight"])
    row = json.loads((exp / "metrics.jsonl").read_text().splitlines()[-1])
    assert set(row["select"]) == {"network", "slow"}
    assert row["train"]["loss"] == pytest.approx(row["train"]["weak"] + row["train"]["distance"], rel=1e-5)
    best = read_checkpoint(exp / "checkpoints/best.pt")
    assert best.selected in ("network", "slow")
    out = str(exp / "scores.h5")
    assert main(["predict", str(exp), str(data_root / "weak"), "--network", "slow", "--out", out]) == 0
    assert main(["predict", str(exp), str(data_root / "weak"), "--network", "fast", "--out", out]) == 1


def test_tables_name_what_exists(repository: Path) -> None:
    page = (repository / "docs/models.md").read_text(encoding="utf-8")
    sections = {part.split("\n")[0]: part for part in page.split("\n## ")}
    rows = {
        title: [[cell.strip(" `") for cell in line.split("|")[1:]] for line in text.splitlines() if line[:3] == "| `"]
        for title, text in sections.items()
    }
    networks = next(iter(rows.values()))
    assert {row[0] for row in networks} == set(models.model_names())
    for name, _, _, shown, *_ in networks:
        if name != "cnn13_avg":  # large; its size is tested with the networks
            classes, bins = (re.search(rf"\((\d+) {what}\)", shown) for what in ("classes", "bins"))
            with torch.device("meta"):
                network = models.build_model(
                    {"name": name}, int(classes[1] if classes else 10), int(bins[1] if bins else 64)
                )
            assert int(shown.split()[0].replace(",", "")) == sum(p.numel() for p in network.parameters())
    assert set(objectives.objective_names()) <= {row[0] for row in rows["Losses"]}
    for name, _, *_ in rows["Optimisers and schedules"]:
        more = {"piecewise": {"factors": [1.0], "at": []}, "ramp": {"until": 0.1}}.get(name, {})
        assert resolve_schedule({"name": name, **more})["name"] == name


def test_the_patterns_of_the_page_are_those_of_the_network(repository: Path) -> None:
    text = (repository / "docs/training.md").read_text(encoding="utf-8").partition("### Training a network further")[2]
    page = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])
    small = {"patch_width": 8, "width": 8, "hidden": 8, "layers": 2, "heads": 2, "taps": 4, "groups": 2}
    network = models.build_model(page["model"] | small, 3, 16)
    freeze(network, page["training"]["freeze"])
    groups = parameter_groups(resolve_optimiser(page["optimiser"]), network)
    # The classifier; the layer below it; what is left of the first one, which is two below.
    assert sorted({group["lr"] for group in groups}) == pytest.approx([0.5625e-4, 0.75e-4, 1e-3])


def test_the_sections_of_the_page_train(repository: Path, data_root: Path, tmp_path: Path) -> None:
    text = (repository / "docs/training.md").read_text(encoding="utf-8")
    sections: dict = {"frontend": config()["frontend"]}
    blocks = [yaml.safe_load(block.split("```")[0]) for block in text.split("```yaml\n")[2:]]
    (partly,) = (block for block in blocks if "classes" in block.get("data", {}))
    assert load_classes(data_settings(partly["data"]).classes).labels[0] == "Alarm_bell_ringing"
    (further,) = (block for block in blocks if "weights" in block.get("training", {}))
    blocks = [block for block in blocks if block not in (partly, further)]
    (mixed,), (teacher,) = ([block for block in blocks if key in block] for key in ("mix", "networks"))
    for block in blocks:
        # Those that say something else of the data stand for themselves.
        sections |= {} if {"mix", "run", "networks"} & block.keys() else block
    for key, value in (("model", {"base_channels": 2}), ("training", {"steps": 2, "eval_every": 2, "batch_size": 6})):
        sections[key] |= value
    write_yaml(tmp_path / "c.yaml", sections)
    call = ["train", "--config", str(tmp_path / "c.yaml"), "--data", str(data_root), "--exp"]
    assert main([*call, str(tmp_path / "exp")]) == 0
    last = read_checkpoint(tmp_path / "exp/checkpoints/last.pt")
    assert last.run["saw"]["trained"] == [["fake/weak", "train"], ["fake/synthetic", "train"]]
    row = json.loads((tmp_path / "exp/metrics.jsonl").read_text().splitlines()[-1])
    assert set(row["train"]) == {"loss", "clip", "frame"}
    assert main([*call, str(tmp_path / "second"), "--pass", "student", "--budget", "quick", "training.steps=1"]) == 0
    student = read_checkpoint(tmp_path / "second/checkpoints/last.pt")
    assert (student.run["pass"], set(student.config["data"]["streams"])) == ("student", {"strong", "pseudo"})
    # The sounds that nobody labelled are among those that somebody did.
    teacher["data"]["streams"]["unlabelled"]["set"] = "weak"
    write_yaml(tmp_path / "c.yaml", config(training__steps=2, training__eval_every=2, **teacher))
    assert main([*call, str(tmp_path / "teacher")]) == 0
    best = read_checkpoint(tmp_path / "teacher/checkpoints/best.pt")
    assert (best.selected, set(best.networks)) == ("student", {"student", "teacher"})
    # Mixtures, of sounds as small as the tests have them.
    sounds = make_sounds(tmp_path / "sounds", folds=("1", "2", "1-select", "2-select"))
    mixed["mix"] |= {key: value for key, value in MIX.items() if key not in mixed["mix"]} | {
        "scenes": "scenes",
        "mixtures": 5,
    }
    write_yaml(tmp_path / "c.yaml", config(frontend=FRONTEND.as_dict(), training__steps=2, **mixed))
    assert main([*call[:3], "--data", str(sounds), "--exp", str(tmp_path / "mixed")]) == 0
    saw = read_checkpoint(tmp_path / "mixed/checkpoints/last.pt").run["saw"]
    assert saw == {
        "trained": [["verified", "1"], ["scenes", "1"]],
        "selected": [["verified", "1-select"], ["scenes", "1-select"]],
    }


def test_tables_of_the_page_name_every_key(repository: Path) -> None:
    text = (repository / "docs/training.md").read_text(encoding="utf-8")
    names = {
        part.split(" |")[0].strip("| "): set(re.findall(r"^\| (`.*?) \|", part, re.MULTILINE))
        for part in text.split("\n\n")
        if part.startswith("| ")
    }
    tables = {title: {name for row in rows for name in re.findall(r"`(\w+)`", row)} for title, rows in names.items()}
    assert tables["key of a stream"] == {field.name for field in dataclasses.fields(StreamSettings)}
    assert tables["key of `labels`"] == {field.name for field in dataclasses.fields(LabelSettings)}
    assert tables["option"] == {field.name for field in dataclasses.fields(MeanTeacherOptions)}
    assert tables["figure"] == set(FIGURES)
    assert tables["key of `training`"] == {field.name for field in dataclasses.fields(TrainingSettings)}
    for name, said in re.findall(r"^\| `(adam|adamw|sgd|rmsprop)` \| (.*) \|$", text, re.MULTILINE):
        of_adam = {"learning_rate", "beta1", "beta2", "epsilon"} if name == "adamw" else set()
        shown = {key: yaml.safe_load(value) for key, value in re.findall(r"`(\w+)` ([\w.-]+)", said)}
        options = {
            k: v for k, v in resolve_optimiser({"name": name}).items() if k not in ("name", "groups", "layer_decay")
        }
        assert {key: float(value) for key, value in shown.items()} == {
            key: value for key, value in options.items() if key not in of_adam
        }
