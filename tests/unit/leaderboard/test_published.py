"""The official figures as files."""

from __future__ import annotations

import re

import pytest

from sedkit.core.resources import metadata_path
from sedkit.leaderboard.published import (
    METRICS,
    VARIANTS,
    YEARS,
    all_figures,
    collections_for,
    official,
    papers,
)


@pytest.mark.parametrize("year", YEARS)
def test_official_files_are_complete(year: int) -> None:
    found = official(year)
    assert found.year == year
    for figure in found.figures:
        metric = METRICS[figure.metric]
        assert figure.source
        assert figure.scorer
        assert figure.version
        assert figure.set_name
        largest = {"percent": 100, "fraction": 1, "ratio": 3, "kwh": 10, "million": 1e5}[metric.unit]
        assert 0 <= figure.value <= largest
        assert bool(figure.variants) == figure.metric.startswith("psds")
        assert set(figure.variants) <= set(VARIANTS)
        assert figure.verified == ("from memory" not in figure.source), "what was not confirmed says so, and only that"
        if figure.source.startswith("https://github.com"):
            assert re.search(r"@[0-9a-f]{7}\b", figure.source), "the commit that was read"
        if figure.role == "recomputed":
            assert figure.runs
    assert any(f.role == "baseline" for f in found.figures)


def test_official_references_are_known_ones() -> None:
    text = metadata_path("references.yaml").read_text()
    for figure in all_figures():
        assert figure.reference is None or f"name: {figure.reference}\n" in text


def test_rows_of_a_system_name_a_system() -> None:
    systems = {f.system for f in all_figures()}
    for figure in all_figures():
        assert figure.competitor in systems
    published = {f.system: f.text for f in official(2018).figures if f.reference == "dcase2018_test_2018-04"}
    assert set(published) == {"baseline_2018"}, "14.68 % and ER 1.54 were stated with the first release"


def test_recipes_find_their_year_and_papers() -> None:
    titles = [c.title for c in collections_for("dcase2019_task4")]
    assert titles[0] == "DCASE 2019 Task 4"
    assert any("1904.03476" in title for title in titles)
    assert collections_for(None) == ()
    assert collections_for("nothing") == ()
    assert all(paper.recipes for paper in papers())


def text_of(year: int, system: str, metric: str, reference: str | None, **parameters: float) -> list[str]:
    return [
        f.text
        for f in official(year).figures
        if (f.system, f.metric, f.reference) == (system, metric, reference)
        and f.ranked
        and parameters.items() <= f.parameters.items()
    ]


def test_micro_averages_stand_apart_from_macro_averages() -> None:
    assert text_of(2018, "baseline_2018", "event_f1_micro", "dcase2018_evaluation_2018-10") == ["4.81"]
    assert text_of(2018, "baseline_2018", "event_f1_micro", "dcase2018_evaluation_2019-08") == ["4.75"]
    assert text_of(2021, "baseline_2021_student", "event_f1", "validation_desed") == ["39.83"]
    assert text_of(2021, "baseline_2021_student", "event_f1_micro", "validation_desed") == ["40.92"]
    assert text_of(2021, "baseline_2021_student", "segment_f1_micro", "validation_desed") == ["75.47"]
    oracle = {f.metric: f for p in papers() for f in p.figures if f.system == "glu_mil_oracle"}
    assert (oracle["event_f1_micro"].text, oracle["event_er_micro"].text) == ("34.85", "1.36")
    assert not any(f.ranked for f in oracle.values()), "true tags were given"


def test_the_example_of_psds_eval_is_the_baseline_of_2020() -> None:
    example = "baseline_2020_psds_eval"
    assert text_of(2020, example, "psds_2020", "validation_2019", alpha_st=0) == ["0.60744"]
    assert text_of(2020, example, "psds_2020", "validation_2019", alpha_st=1) == ["0.4287"]
    assert text_of(2020, example, "intersection_f1", "validation_2019") == ["59.43"]
    assert {f.competitor for f in official(2020).figures if f.system == example} == {"baseline_2020"}


def test_ten_systems_of_2020_are_known_on_the_public_set() -> None:
    found = [f for f in official(2020).figures if f.reference == "public_evaluation" and f.role == "submission"]
    for metric, best in (("event_f1", "55.6713"), ("segment_f1", "77.8014")):
        texts = [f.text for f in found if f.metric == metric]
        assert len(texts) == 10
        assert texts == sorted(texts, key=float, reverse=True)
        assert texts[0] == best
