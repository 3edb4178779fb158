"""`sedkit stage` where rules are tuned from several ones, and events are decoded at many thresholds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from stage_case import Place

Stage = Callable[..., list[list[str]]]
RUN, RULES = "exp/recipe/one/seed0", "exp/recipe/one/seed0/postprocessing"


def after(line: list[str], option: str) -> str:
    return line[line.index(option) + 1]


@pytest.fixture
def boxes(place: Place) -> Place:
    place.describe(tuned_from={"boxes": "csebbs"}, operating_points=20, score={"metrics": ["segment", "psds1"]})
    return place


def test_each_variant_is_tuned_through_all_objectives(boxes: Place, calls: Stage) -> None:
    lines = calls("tune")
    starts = [after(line, "--start") if "--start" in line else None for line in lines]
    outs = [after(line, "--out") for line in lines]
    assert starts == [None, f"{RULES}.tagging.weak.yaml", "csebbs", f"{RULES}.boxes.tagging.weak.yaml"]
    assert outs == [*(f"{RULES}{x}.yaml" for x in (".tagging.weak", "", ".boxes.tagging.weak", ".boxes"))]
    assert [after(line, "--objective") for line in lines] == ["tagging", "event"] * 2


def test_a_run_on_everything_takes_every_rule_of_the_split_run(boxes: Place, calls: Stage) -> None:
    lines = calls("tune", runs=("one/all_seed0",))
    names = ("postprocessing.yaml", "postprocessing.boxes.yaml")
    everything = "exp/recipe/one/all_seed0"
    assert [line[2:] for line in lines] == [[f"{RUN}/{name}", f"{everything}/{name}"] for name in names]


def test_a_variant_is_decoded_and_scored_beside_the_run_s_own_rules(boxes: Place, calls: Stage) -> None:
    lines = calls("score")
    decoded = {after(line, "--out"): after(line, "--postprocessing") for line in lines if line[1] == "decode"}
    assert decoded == {
        f"{RUN}/events/validation.tsv": f"{RULES}.yaml",
        f"{RUN}/events/validation.boxes.tsv": f"{RULES}.boxes.yaml",
        f"{RUN}/events/public.tsv": f"{RULES}.yaml",
        f"{RUN}/events/public.boxes.tsv": f"{RULES}.boxes.yaml",
        f"{RUN}/events/validation.plain.tsv": "0.5",
    }
    written = [after(line, "--json") for line in lines if "--json" in line]
    results = ("validation.plain", "validation.boxes", "validation", "test_a", "test_b")
    assert written == [f"{RUN}/results/{name}.json" for name in results]


def test_reported_sets_are_decoded_at_thresholds_that_are_scored(boxes: Place, calls: Stage) -> None:
    lines = calls("score")
    points = {after(x, "--out"): after(x, "--operating-points-out") for x in lines if "--operating-points-out" in x}
    names = ("validation", "validation.boxes", "validation.plain")
    assert points == {f"{RUN}/events/{name}.tsv": f"{RUN}/points/{name}" for name in names}
    assert {after(line, "--operating-points") for line in lines if line[1] == "decode" and "validation" in line[2]} == {
        "20"
    }
    for line in lines:
        if line[1] == "score":
            assert after(line, "--operating-points") == points[after(line, "--estimate")]


def test_a_recipe_says_how_large_its_pages_are_or_does_without(place: Place, calls: Stage) -> None:
    place.describe(report_clips=3)
    assert calls("score")[-1][-2:] == ["--clips", "3"]
    assert calls("score", "--no-page", "true") == calls("score")[:-1]
    place.describe(report_clips=0)
    assert all(line[1] != "report" for line in calls("score"))


def test_a_cluster_reaches_what_scores_and_decodes(calls: Stage) -> None:
    where = ["--jobs", "dask:tcp://host:8786"]
    assert all(line[-2:] == where for line in calls("predict", *where))
    scored = calls("score", *where)
    assert {line[1] for line in scored} == {"decode", "score", "report"}
    assert all((where[0] in line) == (line[1] == "decode") for line in scored)
    assert not any("--jobs" in line for line in calls("predict") + calls("score"))
