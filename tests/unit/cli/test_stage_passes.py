"""`sedkit stage` on systems of several passes: what a pass tags, and what its tags gate and teach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from stage_case import Place

from sedkit.cli import main as cli

Stage = Callable[..., list[list[str]]]

RECIPE = {
    "tuned": [
        {"set": "weak", "fold": "tune", "objective": "tagging", "labels": "weak.tsv"},
        {"set": "test", "objective": "event"},
    ],
    "tagged": ["unlabelled", "test"],
    "predicted": ["test", "eval"],
    "reported": {"test": [], "eval": []},
    "presets": {"published": "mil"},
    "oracle": {"oracle": "published"},
    "score": {"metrics": ["event"]},
}
PASS, GATED = (f"exp/recipe/{name}/seed0" for name in ("cnn.tagging", "gated"))


@pytest.fixture
def passes(place: Place) -> Place:
    """A recipe with a system that a pass gates, which belongs to `cnn`, and one with rules of its own."""
    place.describe(**RECIPE)
    place.system("gated", passes={"tagging": {"system": "cnn"}}, decoding={"gate": "tagging"})
    place.system("alone", decoding={"presets": {"published": "baseline2018", "half": 0.5}})
    return place


def test_a_pass_tags_what_the_recipe_says(passes: Place, calls: Stage) -> None:
    run = ("cnn.tagging/seed0",)
    assert [line[3:] for line in calls("predict", runs=run)] == [
        ["data/weak", "--fold", "tune", "--out", f"{PASS}/scores/weak.tune.h5"],
        ["data/unlabelled", "--out", f"{PASS}/scores/unlabelled.h5"],
        ["data/test", "--out", f"{PASS}/scores/test.h5"],
    ]
    (tuned,) = calls("tune", runs=run)
    assert tuned[2] == f"{PASS}/scores/weak.tune.h5" and tuned[-1] == f"{PASS}/postprocessing.yaml"
    assert tuned[tuned.index("--objective") + 1] == "tagging"
    assert calls("tag", runs=run) == [
        [
            *("sedkit", "tag", f"{PASS}/scores/{name}.h5", "--postprocessing", f"{PASS}/postprocessing.yaml"),
            *("--out", f"{PASS}/tags/{name}.tsv"),
        ]
        for name in ("unlabelled", "test")
    ]


def test_a_pass_of_a_run_on_everything_tags_by_the_rules_of_the_split_run(passes: Place, calls: Stage) -> None:
    folder = "exp/recipe/cnn.tagging"
    (copied,) = calls("tune", runs=("cnn.tagging/all_seed0",))
    assert copied == ["cp", "--", f"{folder}/seed0/postprocessing.yaml", f"{folder}/all_seed0/postprocessing.yaml"]
    assert {line[4] for line in calls("tag", runs=("cnn.tagging/all_seed0",))} == {copied[-1]}


def test_tags_of_a_pass_gate_what_is_decoded_and_tuned(passes: Place, calls: Stage) -> None:
    run = ("gated/seed0",)
    predicted = [line[3:] for line in calls("predict", runs=run)]
    assert predicted == [[f"data/{name}", "--out", f"{GATED}/scores/{name}.h5"] for name in ("test", "eval")]
    (tuned,) = calls("tune", runs=run)
    assert tuned[2:] == [
        *(f"{GATED}/scores/test.h5", "--reference", "data/test/strong.tsv", "--objective", "event"),
        *("--groups", "data/test/clips.tsv", "--tags", f"{PASS}/tags/test.tsv"),
        *("--out", f"{GATED}/postprocessing.yaml"),
    ]
    lines = calls("score", runs=run)
    assert [line[2:] for line in lines if line[1] == "decode"] == [
        [f"{GATED}/scores/{name}.h5", "--postprocessing", rules, "--tags", tags, "--out", f"{GATED}/events/{out}.tsv"]
        for name, rules, tags, out in (
            ("eval", f"{GATED}/postprocessing.yaml", f"{PASS}/tags/eval.tsv", "eval"),
            ("test", "mil", f"{PASS}/tags/test.tsv", "test.published"),
            ("test", "mil", "data/test/strong.tsv", "test.oracle"),
            ("eval", "mil", f"{PASS}/tags/eval.tsv", "eval.published"),
            ("eval", "mil", "data/eval/strong.tsv", "eval.oracle"),
        )
    ]
    # No figures of a whole set that the rules were tuned on.
    written = [line[line.index("--json") + 1] for line in lines if "--json" in line]
    assert written == [
        f"{GATED}/results/{x}.json" for x in ("test.published", "test.oracle", "eval.published", "eval.oracle", "eval")
    ]


def test_a_system_without_a_gate_tunes_its_own_and_may_have_presets(passes: Place, calls: Stage) -> None:
    run = ("alone/seed0",)
    tagging, event = calls("tune", runs=run)
    assert event[-4:] == ["--start", tagging[-1], "--out", "exp/recipe/alone/seed0/postprocessing.yaml"]
    assert not any("--tags" in line for line in (tagging, event))
    decoded = [(line[4], line[-1].rpartition("/")[2]) for line in calls("score", runs=run) if line[1] == "decode"]
    assert decoded[1:4] == [
        ("baseline2018", "test.published.tsv"),
        ("0.5", "test.half.tsv"),
        ("baseline2018", "test.oracle.tsv"),
    ]


def test_tables_of_another_toolkit_stand_for_a_pass(passes: Place, calls: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "a place" / "theirs"
    folder.mkdir()
    passes.system("foreign", decoding={"gate": str(folder)})
    (tuned,) = calls("tune", runs=("foreign/seed0",))
    assert tuned[tuned.index("--tags") + 1] == "theirs/test.tsv"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("taging", "decoding.gate is 'taging' (did you mean \"tagging\"?), expected one of the passes (tagging) or"),
        ("no/such", "decoding.gate is 'no/such', expected one of the passes (tagging) or a folder of tables of tags"),
    ],
)
def test_a_gate_that_is_none_is_bad_use(
    passes: Place, capsys: pytest.CaptureFixture[str], gate: str, message: str
) -> None:
    passes.system("wrong", passes={"tagging": {}}, decoding={"gate": gate})
    assert cli.main(passes.call("score", "--dry-run", "true", runs=("wrong/seed0",))) == 2
    said = capsys.readouterr().err
    assert message in said and "conf/wrong.yaml" in said
    passes.system("wrong", decoding={"gates": gate})
    assert cli.main(passes.call("score", "--dry-run", "true", runs=("wrong/seed0",))) == 2
    assert "conf/wrong.yaml: decoding: unknown key 'gates' (did you mean \"gate\"?)" in capsys.readouterr().err


def test_an_oracle_of_no_preset_is_bad_use(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.describe(**{**RECIPE, "oracle": {"oracle": "publishd"}})
    assert cli.main(place.call("score", "--dry-run", "true")) == 2
    assert "oracle has 'publishd', which is no preset (did you mean \"published\"?)" in capsys.readouterr().err


def test_the_run_of_a_network_has_everything_but_the_training_of_its_own(passes: Place, calls: Stage) -> None:
    run, folder = ("gated@teacher/fold2_all_seed0",), "exp/recipe/gated@teacher"
    predicted = calls("predict", runs=run)
    assert {line[2] for line in predicted} == {f"{folder}/fold2_all_seed0"}
    assert predicted[0][-1] == f"{folder}/fold2_all_seed0/scores/test.h5"
    # Its rules are those of the split run of the same network; the gate is its training's.
    assert calls("tune", runs=run) == [
        ["cp", "--", f"{folder}/fold2_seed0/postprocessing.yaml", f"{folder}/fold2_all_seed0/postprocessing.yaml"]
    ]
    gates = {line[line.index("--tags") + 1] for line in calls("score", runs=run) if "test.published.tsv" in line[-1]}
    assert gates == {"exp/recipe/cnn.tagging/fold2_all_seed0/tags/test.tsv"}


def test_a_network_can_be_what_others_are_compared_with(passes: Place, calls: Stage) -> None:
    passes.describe(**RECIPE, compared="alone@student")
    assert calls("compare", runs=("alone@student/seed0",)) == []
    for run in ("alone@teacher", "gated"):
        against = {line[line.index("--against") + 1] for line in calls("compare", runs=(f"{run}/seed0",))}
        assert against and all(path.startswith("exp/recipe/alone@student/seed0/events/") for path in against)
