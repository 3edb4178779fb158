"""Results that nothing official may stand beside, and files that are no results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from leaderboard_runs import report_of, scored
from results_files import PSDS1, results, save

from sedkit.cli.main import main
from sedkit.core.files import write_text
from sedkit.evaluation.results_file import COVERED
from sedkit.leaderboard.results_page import result_row
from sedkit.leaderboard.runs import load_runs
from sedkit.leaderboard.show import as_text
from sedkit.leaderboard.systems import group_runs
from sedkit.leaderboard.table import Comparison, benchmark

SEGMENTS = {"parameters": {"segment_s": 1.0}, "macro": {"f1": 0.7}, "micro": {"f1": 0.75}}


def compared(report: Comparison) -> set[str]:
    assert all(any(row.ours for row in table.rows) for table in report.tables)
    return {table.quantity.metric for table in report.tables}


def apart(report: Comparison) -> dict[str, tuple[str, ...]]:
    rows = [(table.quantity.metric, part.reasons, table.rows) for part in report.apart for table in part.tables]
    assert all(row.rank is None and row.difference is None for _, _, found in rows for row in found)
    return {metric: reasons for metric, reasons, _ in rows}


@pytest.mark.parametrize(
    ("coverage", "partial", "refused"),
    [
        (548 / 1168, None, True),
        (COVERED - 0.001, None, True),
        (COVERED, None, False),
        (1145 / 1168, None, False),
        (1.0, False, False),
        (0.99, True, True),
        (None, None, False),
    ],
)
def test_an_output_of_few_clips_is_not_compared(
    coverage: float | None, partial: bool | None, refused: bool, tmp_path: Path
) -> None:
    estimate = {"path": "e.tsv", "clips": 548, "coverage": coverage, "partial": partial}
    report = report_of(save(tmp_path / "r.json", results() | {"estimate": estimate}))
    assert bool(report.apart) == refused
    assert bool(report.tables) != refused
    if coverage == 548 / 1168:
        assert "the output lists 548 of 1168 clips: too few to tell clips without events" in as_text(report)


def test_other_conventions_are_not_compared(tmp_path: Path) -> None:
    whole = results() | {"segment_based": SEGMENTS, "run": {"recipe": "dcase2021_task4", "system": "a"}}
    everything = {"event_f1", "segment_f1", "segment_f1_micro", "intersection_f1", "psds1", "psds2"}
    for same in ({}, {"undefined": "official", "overlaps": "refuse"}, {"undefined": None, "overlaps": None}):
        report = report_of(save(tmp_path / "r.json", whole | same))
        assert (compared(report), report.apart) == (everything, ())
    zero = report_of(save(tmp_path / "r.json", whole | {"undefined": "zero", "overlaps": "refuse"}))
    assert compared(zero) == {"psds1", "psds2", "segment_f1_micro"}, "PSDS and sums over classes have no 0/0"
    assert set(apart(zero)) == everything - compared(zero)
    assert "--undefined zero" in apart(zero)["event_f1"][0]
    merged = report_of(save(tmp_path / "r.json", whole | {"undefined": "official", "overlaps": "merge"}))
    assert compared(merged) == {"event_f1", "segment_f1", "segment_f1_micro"}, "sed_eval takes overlaps as they are"
    assert set(apart(merged)) == everything - compared(merged)
    assert "--overlaps merge" in apart(merged)["psds2"][0]
    both = report_of(save(tmp_path / "r.json", whole | {"undefined": "zero", "overlaps": "merge"}))
    assert len(apart(both)["intersection_f1"]) == 2


def test_the_best_of_many_thresholds_is_not_compared(tmp_path: Path) -> None:
    content = results()
    points = [{"threshold": t, "macro": {"f1": 0.4}} for t in (0.1, 0.5, 0.9)]
    content["event_based"] = content["event_based"] | {"threshold": 0.5, "points": points}
    path = save(tmp_path / "r.json", content)
    report = report_of(path)
    assert compared(report) == {"intersection_f1", "psds1", "psds2"}
    assert apart(report) == {"event_f1": ("threshold chosen on this set (the best of 3)",)}
    (group,) = group_runs(load_runs([path]))
    assert "42.14 [39.14, 45.14] (threshold chosen on this set (the best of 3))" in result_row(group, "x")[3]
    content["event_based"].pop("points")
    assert "event_f1" in compared(report_of(save(tmp_path / "fixed.json", content))), "one threshold, given beforehand"
    # On a set of one's own the reason is told beside that of the set.
    content["event_based"]["points"] = points
    content["reference"]["known_as"] = None
    own = report_of(save(tmp_path / "own.json", content))
    (part,) = own.apart
    assert part.reasons[1:] == ("event F1: threshold chosen on this set (the best of 3)",)


def test_seeds_of_other_conventions_are_not_averaged(tmp_path: Path) -> None:
    paths = [scored(tmp_path / f"seed{n}", n, 0.2 + n / 100) for n in (0, 1)]
    content = json.loads((paths[1] / "results" / "validation.json").read_text())
    save(paths[1] / "results" / "validation.json", content | {"undefined": "zero"})
    report = benchmark(group_runs(load_runs(paths)))
    official = next(
        row for table in report.tables if table.quantity.metric == "event_f1" for row in table.rows if row.ours
    )
    assert (official.text, official.runs) == ("20.00", 1)
    assert apart(report).keys() == {"event_f1", "intersection_f1"}


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ({"clips": 100, "known_as": "validation_desed/subset"}, "only 100 of the 1168 clips of validation_desed were"),
        (
            {"clips": 1168, "known_as": "validation_desed/subset"},
            "only a subset of the classes of validation_desed was",
        ),
        ({"clips": 600, "known_as": "public_evaluation/subset"}, "only 600 of the 692 clips of public_evaluation were"),
        ({"known_as": "validation_2019/subset"}, "only a subset (classes or clips) of validation_2019 was scored"),
    ],
)
def test_a_subset_says_of_what(reference: dict[str, Any], reason: str, tmp_path: Path) -> None:
    content = results() | {"reference": {"path": "v.tsv", "sha256": "1"} | reference}
    (part,) = report_of(save(tmp_path / "r.json", content)).apart
    assert part.reasons[0].startswith(reason)


def test_clips_and_classes_left_out_by_score_are_told_apart(shared: Path, tmp_path: Path) -> None:
    vectors = shared / "vectors" / "dcase2021_baseline"
    words = ["score", "--reference", str(vectors / "gt_validation.tsv"), "--metrics", "event"]
    words += ["--estimate", str(vectors / "teacher_predictions0.5.csv"), "--json", str(tmp_path / "r.json")]
    write_text(tmp_path / "labels.txt", "Dog\nSpeech\n")
    durations = (vectors / "durations.tsv").read_text().splitlines()
    write_text(tmp_path / "clips.tsv", "\n".join(durations[:101]) + "\n")
    for option, file, reason in (
        ("--labels", "labels.txt", "only a subset of the classes of validation_desed was scored"),
        ("--clips", "clips.tsv", "only 100 of the 1168 clips of validation_desed were scored"),
    ):
        assert main([*words, option, str(tmp_path / file)]) == 0
        (part,) = report_of(tmp_path / "r.json").apart
        assert part.reasons[0] == reason


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in results().items() if key not in keys}


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ([1], "reference"),
        ({"reference": 3}, "reference is 3, expected a mapping"),
        ({"reference": None}, "reference is None"),
        (results(run=[1]), "run is [1], expected a mapping"),
        (results(run="crnn"), "run is 'crnn'"),
        (results(run={"system": ["a"]}), "run.system is ['a']"),
        (results(estimate=[]), "estimate is []"),
        (results(versions="0.1"), "versions is '0.1'"),
        (results(estimate={"coverage": "all"}), "estimate.coverage is 'all'"),
        (results(estimate={"partial": "no"}), "estimate.partial is 'no'"),
        (results(estimate={"path": 3}), "estimate.path is 3"),
        (results() | {"reference": {"known_as": ["validation_desed"]}}, "reference.known_as is ['validation_desed']"),
        (results(undefined=["zero"]), "undefined is ['zero']"),
        (results(event_based=0.42), "event_based is 0.42, expected a mapping"),
        (results(event_based=[]), "event_based is []"),
        (results(event_based={"macro": 0.42}), "event_based.macro is 0.42, expected a mapping"),
        (results(event_based={"macro": {"f1": "NaN"}}), "event_based.macro.f1 is 'NaN', expected a finite number"),
        (results(event_based={"macro": {"f1": float("nan")}}), "event_based.macro.f1 is nan"),
        (results(event_based={"macro": {"f1": True}}), "event_based.macro.f1 is True"),
        (results(event_based={"parameters": 3}), "event_based.parameters is 3"),
        (results(event_based={"parameters": {"collar_s": "0.2"}}), "event_based.parameters.collar_s is '0.2'"),
        (results(event_based={"points": 3}), "event_based.points is 3"),
        (results(event_based={"macro": {"f1": 0.4, "interval": "wide"}}), "event_based.macro.interval is 'wide'"),
        (results(event_based={"macro": {"f1": 0.4, "interval": [0.3]}}), "event_based.macro.interval is [0.3]"),
        (results(psds1={"parameters": PSDS1, "value": 0.3}), "psds1.variant is None"),
        (results(psds1={"variant": ["exact"], "value": 0.3}), "psds1.variant is ['exact']"),
        (results(psds1={"variant": "exact", "value": {}}), "psds1.value is {}"),
    ],
)
def test_a_file_that_is_no_results_file_ends_in_one_line(
    content: Any, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path / "odd.json", content)
    assert main(["benchmark", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sedkit benchmark: error: {path}")
    assert key in line


def test_an_experiment_with_an_odd_run_ends_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = scored(tmp_path / "seed0", 0, 0.2)
    save(path / "environment.json", {"run": [1]})
    assert main(["benchmark", str(path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sedkit benchmark: error: {path / 'environment.json'}: run is [1], expected a mapping")


def test_what_is_absent_or_null_is_no_fault(tmp_path: Path) -> None:
    for content in (
        without("estimate"),
        results(run=None, versions=None, estimate=None, segment_based=None),
        results(event_based={"macro": {"f1": None}}),
        results(event_based={"macro": None}),
        {"reference": {"known_as": None}},
    ):
        assert report_of(save(tmp_path / "r.json", content)) is not None
