"""A configuration as what differs from another: what comes out by hand, and which file a message names."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sedkit.core.config import read_config
from sedkit.core.deltas import merge, read_layers
from sedkit.core.errors import UsageError
from sedkit.core.naming import naming_file

BASE = """
recipe: r
frontend: {name: logmel, n_mels: 64, fmax_hz: 14000.0}
data:
  streams:
    weak: {set: weak, folds: [train, more], window: {hop_s: 0.1, others: true}}
  draw: [validation]
training: {steps: 5000, seed: 0, weights: null}
budgets:
  quick: {training.steps: 400, training.eval_every: 16}
  published: {training.steps: 5000}
passes:
  second: {data: {streams: {weak: {share: 2.0}}}}
"""

#: A delta, the place that it changes, and what then stands there.
MERGED = {
    "nothing but the base": ("system: s", "recipe", "r"),
    "a key of its own": ("system: s", "system", "s"),
    "one key of a section": ("training: {steps: 3}", "training", {"steps": 3, "seed": 0, "weights": None}),
    "one key deep down": (
        "data: {streams: {weak: {window: {hop_s: 0.5}}}}",
        "data.streams.weak",
        {"set": "weak", "folds": ["train", "more"], "window": {"hop_s": 0.5, "others": True}},
    ),
    "a list is replaced, not added to": (
        "data: {streams: {weak: {folds: [train]}}}",
        "data.streams.weak.folds",
        ["train"],
    ),
    "an empty list": ("data: {draw: []}", "data.draw", []),
    "null is a value": ("frontend: {fmax_hz: null}", "frontend", {"name": "logmel", "n_mels": 64, "fmax_hz": None}),
    "a value over null": ("training: {weights: w.pt}", "training.weights", "w.pt"),
    "null in place of a value that the base lacks": ("training: {x: null}", "training.x", None),
    "a stream more": (
        "data: {streams: {other: {set: o}}}",
        "data.streams",
        {
            "weak": {"set": "weak", "folds": ["train", "more"], "window": {"hop_s": 0.1, "others": True}},
            "other": {"set": "o"},
        },
    ),
    "a stream in place of another": (
        "data: {streams: {weak: null, other: {set: o}}}",
        "data.streams",
        {"other": {"set": "o"}},
    ),
    "an option that is a mapping taken out": (
        "data: {streams: {weak: {window: null}}}",
        "data.streams.weak",
        {"set": "weak", "folds": ["train", "more"]},
    ),
    "a section taken out": ("budgets: null", "", {"recipe", "frontend", "data", "training", "passes"}),
    "nothing of the base below a key": ("frontend: {base: null, name: cqt}", "frontend", {"name": "cqt"}),
    "nothing of the base where it has nothing": ("model: {base: null, name: m}", "model", {"name": "m"}),
    "a mapping that only the delta has": (
        "model: {name: m, deep: {a: {base: null, b: 1}}}",
        "model.deep",
        {"a": {"b": 1}},
    ),
    "an empty mapping changes nothing": ("training: {}", "training", {"steps": 5000, "seed": 0, "weights": None}),
    "a key of a budget": (
        "budgets: {quick: {training.steps: 7}}",
        "budgets.quick",
        {"training.steps": 7, "training.eval_every": 16},
    ),
    "a budget taken out": (
        "budgets: {published: null}",
        "budgets",
        {"quick": {"training.steps": 400, "training.eval_every": 16}},
    ),
}


def write(folder: Path, delta: str, base: str = BASE) -> Path:
    (folder / "base.yaml").write_text(base)
    (folder / "mine.yaml").write_text(f"base: base.yaml\n{delta}\n")
    return folder / "mine.yaml"


@pytest.mark.parametrize("case", MERGED)
def test_what_a_delta_and_its_base_say_together(tmp_path: Path, case: str) -> None:
    delta, key, expected = MERGED[case]
    merged = merge(read_layers(write(tmp_path, delta)))
    assert "base" not in merged
    place = merged
    for step in key.split(".") if key else ():
        place = place[step]
    assert (set(place) if isinstance(expected, set) else place) == expected


def test_what_a_delta_does_not_name_is_the_bases(tmp_path: Path) -> None:
    merged = merge(read_layers(write(tmp_path, "system: s")))
    assert merged == yaml.safe_load(BASE) | {"system": "s"}


def test_the_base_lies_as_seen_from_the_file_and_overrides_come_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "conf").mkdir()
    (tmp_path / "common" / "all.yaml").write_text(BASE)
    (tmp_path / "conf" / "a.yaml").write_text("base: ../common/all.yaml\ntraining: {steps: 3}\n")
    monkeypatch.chdir(tmp_path / "common")
    overrides = ["training.steps=4", "data.streams.weak.window.hop_s=0.2"]
    merged = read_config("../conf/a.yaml", overrides)
    assert merged["training"] == {"steps": 4, "seed": 0, "weights": None}
    assert merged["data"]["streams"]["weak"]["window"] == {"hop_s": 0.2, "others": True}


#: A delta, its base, and what is said; {here} and {base} are the two files.
REFUSED = {
    "a base of a base": (
        "system: s",
        f"base: first.yaml\n{BASE}",
        "{base}: has the base first.yaml, but is the base of {here}",
    ),
    "unknown section of the delta": (
        "trianing: {steps: 3}",
        BASE,
        "{here}: unknown section 'trianing' (did you mean \"training\"?)",
    ),
    "unknown section of the base": (
        "system: s",
        "modell: {}",
        "{base}: unknown section 'modell' (did you mean \"model\"?)",
    ),
    "a base of no mapping": ("system: s", "[1, 2]", "{base}: got list, expected a mapping of sections"),
    "a plain value over a section": ("training: 5", BASE, "{here}: training is 5, but a mapping in base.yaml"),
    "a list over streams": ("data: {streams: []}", BASE, "{here}: data.streams is [], but a mapping in base.yaml"),
    "a mapping over a value": (
        "training: {steps: {a: 1}}",
        BASE,
        "{here}: training.steps is a mapping, but 5000 in base.yaml",
    ),
    "a stream that is not there taken out": (
        "data: {streams: {weka: null}}",
        BASE,
        "{here}: data.streams.weka is null, but base.yaml has no 'weka' (did you mean \"weak\"?) to take out",
    ),
    "another base further down": (
        "model: {base: other.yaml}",
        BASE,
        "{here}: model.base is 'other.yaml', expected null (take nothing of base.yaml here)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_merged_is_said_of_the_file_in_one_line(tmp_path: Path, case: str) -> None:
    delta, base, message = REFUSED[case]
    path = write(tmp_path, delta, base)
    (tmp_path / "first.yaml").write_text("recipe: r\n")
    with pytest.raises(UsageError) as caught:
        read_config(path)
    said = str(caught.value)
    assert said.startswith(message.format(here=path, base=tmp_path / "base.yaml")) and "\n" not in said


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.yaml", "base none.yaml: no such file"),
        (".", "base .: no such file"),
        ("[a.yaml]", "base is ['a.yaml'], expected the name of a YAML file"),
        ("null", "base is None, expected the name of a YAML file"),
        ("''", "base is '', expected the name of a YAML file"),
        ("mine.yaml", "has the base mine.yaml, but is the base of"),
    ],
)
def test_a_base_that_is_none_is_bad_use(tmp_path: Path, name: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"base: {name}\nsystem: s\n")
    with pytest.raises(UsageError) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_a_base_is_no_override(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown section 'base'"):
        read_config(write(tmp_path, "system: s"), ["base=other.yaml"])


#: A message as a section gives it, and the file before it: the delta sets training.steps and has a stream of its own.
NAMED = {
    "of the delta": (
        "training: steps is 0, expected at least 1",
        "mine.yaml: training: steps is 0, expected at least 1",
    ),
    "of the base": (
        "training: seed is -1, expected at least 0",
        "base.yaml: training: seed is -1, expected at least 0",
    ),
    "unknown in the base": (
        "frontend: unknown key 'n_mels'; has x",
        "base.yaml: frontend: unknown key 'n_mels'; has x",
    ),
    "of a stream of the base": (
        "data.streams.weak: unknown key 'set'",
        "base.yaml: data.streams.weak: unknown key 'set'",
    ),
    "missing in a stream of the delta": (
        "data.streams.mine: key 'set' is missing",
        "mine.yaml: data.streams.mine: key 'set'",
    ),
    "a name": ("frontend.name is 'logmel', expected", "base.yaml: frontend.name is 'logmel', expected"),
    "of the budget": ("training: eval_every is -1", "base.yaml: budgets.quick: training: eval_every is -1"),
    "of the pass": ("data.streams.weak: key 'share': x", "base.yaml: passes.second: data.streams.weak: key 'share'"),
    "of the base in a pass": ("training: seed is -1", "base.yaml: training: seed is -1"),
    "of an override": ("training: batch_size is 0", "training: batch_size is 0"),
    "in neither": ("model.name is None", "mine.yaml: model.name is None"),
    "no key": ("--train-on all: no", "--train-on all: no"),
    "no section": ("weak.tsv: no", "weak.tsv: no"),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_wrong_key_is_told_of_the_file_in_which_it_stands(tmp_path: Path, case: str) -> None:
    message, expected = NAMED[case]
    path = write(tmp_path, "training: {steps: 0}\ndata: {streams: {mine: {share: 1.0}}}")
    budget, of_pass = ("quick" if "budget" in case else None), ("second" if "pass" in case else None)
    overrides = ["training.batch_size=0"]
    with pytest.raises(UsageError) as caught, naming_file(path, overrides, budget, of_pass):
        raise UsageError(message)
    assert str(caught.value).replace(f"{tmp_path}/", "").startswith(expected)


def test_a_file_called_as_a_section_is_named_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text("modell: {}\n")
    Path("training.yaml").write_text("base: model.yaml\n")
    for path in ("training.yaml", "model.yaml"):
        with pytest.raises(UsageError, match=r"^model.yaml: unknown section 'modell'"), naming_file(path):
            read_config(path)


def test_a_pass_over_a_pass_keeps_what_it_takes_nothing_of(tmp_path: Path) -> None:
    """`base: null` inside a pass is told of the configuration that the pass is applied to, whichever file it is in."""
    (tmp_path / "base.yaml").write_text(
        "model: {name: a, width: 1}\nobjective: {name: b, depth: 2}\n"
        "passes:\n  first: {model: {base: null, name: c}, objective: {depth: 3}}\n"
    )
    for name, text, model, objective in (
        ("untouched", "", {"name": "c"}, {"name": "b", "depth": 3}),
        ("added", "  first: {objective: {base: null, name: d}}", {"name": "c"}, {"name": "d"}),
        ("merged", "  first: {model: {height: 4}}", {"name": "c", "height": 4}, {"name": "b", "depth": 3}),
        ("anew", "  first: {base: null, model: {width: 5}}", {"name": "a", "width": 5}, {"name": "b", "depth": 2}),
    ):
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"base: base.yaml\nsystem: s\n{'passes:' if text else ''}\n{text}\n")
        config = read_config(path, of_pass="first")
        assert (config["model"], config["objective"]) == (model, objective), name
