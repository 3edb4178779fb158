"""`sedkit stage` of sets that are scored in excerpts of their recordings, and otherwise than the others."""

from __future__ import annotations

from collections.abc import Callable

from stage_case import Place

Stage = Callable[..., list[list[str]]]
RUN = "exp/recipe/one/seed0"


def test_a_set_is_scored_in_excerpts_of_its_recordings_and_in_its_own_way(calls: Stage, place: Place) -> None:
    of = {"metrics": ["pauc"], "labels": "maestro_evaluated", "bootstrap": None}
    place.describe(reported={"in/validation": [], "public": []}, excerpts=["public"], score_of={"public": of})
    predicted = {line[3]: line[4:] for line in calls("predict")}
    table = ["--windows", "data/public/excerpts.tsv"]
    assert predicted["data/public"] == [*table, "--out", f"{RUN}/scores/public.h5"]
    assert predicted["data/in/validation"] == ["--out", f"{RUN}/scores/validation.h5"]
    lines = calls("score")
    events, scores = ["--estimate", f"{RUN}/events/public.tsv"], ["--scores", f"{RUN}/scores/public.h5"]
    common = ["--durations", "data/public/clips.tsv", *scores, "--metrics", "pauc", "--labels", "maestro_evaluated"]
    scored = [line[4:] for line in lines if line[1:4] == ["score", "--reference", "data/public/strong.tsv"]]
    assert scored[1:] == [[*events, *common, "--json", f"{RUN}/results/public.json"], [*events, *common]]
    others = [line for line in lines if line[3] == "data/in/validation/strong.tsv" and "--json" in line]
    assert others and all("100" in line and "segment" in line for line in others)
    # A page shows clips.
    assert lines[-1] == ["sedkit", "report", RUN, "--data", "data/in/validation", "--clips", "24"]
