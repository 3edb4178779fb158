"""What `sedkit stage` refuses: recipes and words."""

from __future__ import annotations

import pytest
from stage_case import RECIPE, Place

from sedkit.cli import main as cli


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reported": {"validaton": []}}, "reported has 'validaton', which is not predicted"),
        ({"entered": ["weak"]}, "entered has 'weak', which is not predicted"),
        ({"excerpts": ["in/vaildation"]}, "excerpts has 'in/vaildation', which is not predicted"),
        ({"score_of": {"public": {"metrics": ["pauc"]}}}, "score_of has 'public', which is not reported"),
        ({"predicted": ["in/validation", "validation"]}, "predicted sets: validation is there twice"),
        ({"reported": {"in/validation": ["validation"]}}, "reported sets and folds: validation is there twice"),
        ({"tuned": [RECIPE["tuned"][0]] * 2}, "tuned: tagging.weak is there twice"),
        ({"tuned": [{"set": "weak", "fold": "tune"}]}, "objective"),
        ({"preset": {"a": 1}}, "unknown key 'preset'"),
    ],
)
def test_a_recipe_that_says_nonsense_is_refused(
    place: Place, capsys: pytest.CaptureFixture[str], changes: dict[str, object], message: str
) -> None:
    place.describe(**changes)
    assert cli.main(place.call("tune")) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"sedkit stage: error: {place.recipe}: ") and said.count("\n") == 1
    assert message in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tuen",), '(did you mean "tune"?)'),
        (("tune", "--device", "cpu"), "stage tune takes no device"),
        (("predict", "model.name=x"), "stage predict takes no overrides"),
        (("tune", "--jobs", "2"), "stage tune takes no jobs"),
        (("compare",), "names no system to compare with"),
    ],
)
def test_bad_use(place: Place, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert cli.main(place.call(*words)) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said
