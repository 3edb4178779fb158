"""Configurations: unknown keys are refused with a hint, types are checked, overrides change single keys."""

import dataclasses

import pytest

from sedkit.core.config import apply_overrides, read_config, typed
from sedkit.core.errors import UsageError


@dataclasses.dataclass
class Section:
    steps: int
    rate: float = 1e-3
    names: list[str] = dataclasses.field(default_factory=list)
    note: str | None = None

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}, expected at least 1")


def test_values_are_typed_and_defaults_fill_the_rest():
    assert typed({"steps": 3, "rate": 2, "names": ["a"]}, Section, "x") == Section(3, 2.0, ["a"], None)


def test_a_section_knows_nothing_of_others_of_its_kind():
    first = typed({"steps": 3, "rate": 2}, Section, "x")
    first.names.append("a")
    with pytest.raises(UsageError):
        typed({"steps": "many", "note": "b"}, Section, "x")
    assert typed({"steps": 4}, Section, "x") == Section(4)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"stepz": 3}, "conf: unknown key 'stepz' .did you mean \"steps\"."),
        ({}, "conf: key 'steps' is missing"),
        ({"steps": "many"}, "conf: key 'steps': Expected a int. Got value: many"),
        ({"steps": 1.5}, "Expected a int"),
        ({"steps": 0}, "steps is 0, expected at least 1"),
        (3, "expected a mapping"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(raw, message):
    with pytest.raises(UsageError, match=message) as caught:
        typed(raw, Section, "conf")
    assert "\n" not in str(caught.value)


@dataclasses.dataclass
class Base:
    rate: float = 1.0


@dataclasses.dataclass
class Derived(Base):
    steps: int = 1


@pytest.mark.parametrize("cls", [Base, Derived])
def test_a_section_that_others_derive_from_is_named_by_its_keys(cls):
    with pytest.raises(UsageError, match="^conf: key 'rate': Expected a float. Got value: much$"):
        typed({"rate": "much"}, cls, "conf")


def test_overrides_are_yaml_values_and_leave_the_original_alone():
    raw = {"training": {"steps": 3}}
    changed = apply_overrides(raw, ["training.steps=5", "training.rates=[1, 2]", "model.name=a=b"])
    assert changed == {"training": {"steps": 5, "rates": [1, 2]}, "model": {"name": "a=b"}}
    assert raw == {"training": {"steps": 3}}


@pytest.mark.parametrize("text", ["training.steps", "=3", "trainin.steps=3", "training..x=3", "training.x=[1"])
def test_bad_overrides_are_bad_use(text):
    with pytest.raises(UsageError):
        apply_overrides({}, [text])


def test_unknown_sections_are_refused(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("trianing: {steps: 3}\n")
    with pytest.raises(UsageError, match='did you mean "training"'):
        read_config(path)


MIXED = """
run: {fold: "1", snr_db: 0}
data:
  held_out: "{fold}"
  streams: {mix: {set: "snr{snr_db}", folds: [train]}}
mix: {events: "{kept}"}
"""


@pytest.mark.parametrize(
    ("overrides", "name", "fold"),
    [([], "snr0", "1"), (["run.snr_db=-6", "run.fold=3"], "snr-6", "3"), (["run.snr_db=2.50"], "snr2.5", "1")],
)
def test_a_run_says_what_stands_for_its_axes_in_the_section_data(tmp_path, overrides, name, fold):
    path = tmp_path / "one.yaml"
    path.write_text(MIXED)
    config = read_config(path, overrides)
    assert config["data"] == {"held_out": fold, "streams": {"mix": {"set": name, "folds": ["train"]}}}
    assert config["mix"] == {"events": "{kept}"}


def test_an_axis_that_the_run_has_not_is_named(tmp_path):
    path = tmp_path / "one.yaml"
    path.write_text(MIXED.replace('fold: "1", ', ""))
    with pytest.raises(UsageError, match=r"^data: \{fold\} has no value, the section run has snr_db$"):
        read_config(path)


@pytest.mark.parametrize("section", ["passes", "budgets"])
@pytest.mark.parametrize("wrong", ["3.0e-155", "[a]", "quick"])
def test_what_is_chosen_by_name_is_a_mapping(section, wrong, tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(f"recipe: r\n{section}: {wrong}\n")
    with pytest.raises(UsageError, match=rf"a\.yaml: {section} is .*, expected a mapping of names to sections"):
        read_config(path, (), "quick")
