"""Results beside official figures: only what is the same is compared."""

from __future__ import annotations

import csv
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from leaderboard_runs import report_of, scored, table
from results_files import results, save

from sedkit.cli.main import main
from sedkit.core.stamp import Step
from sedkit.leaderboard.published import all_figures
from sedkit.leaderboard.results_page import update_rows
from sedkit.leaderboard.runs import load_runs
from sedkit.leaderboard.show import as_csv, as_markdown, as_text
from sedkit.leaderboard.systems import group_runs
from sedkit.leaderboard.table import OTHER_DATA


def test_the_teacher_of_2021_stands_level_with_its_row(tmp_path: Path) -> None:
    report = report_of(save(tmp_path / "teacher.json", results()))
    mine = next(r for r in table(report, "event_f1").rows if r.ours)
    assert mine.text == "42.14"
    assert mine.level_with == ("Baseline 2021 SED (teacher) (42.1)",)
    assert mine.interval == pytest.approx((39.14, 45.14), abs=0.01)
    # Above: pb_sed, 2021 SSep, 2022 and 2023 + strong, both of 2023 with BEATs. The student of 2021 is no other system.
    assert (mine.rank, mine.of, mine.tied) == (7, 11, True)
    student = next(r for r in table(report, "event_f1").rows if r.system == "Baseline 2021 SED (student)")
    assert student.rank is None
    psds1 = table(report, "psds1", "operating_points")
    assert next(r for r in psds1.rows if r.ours).level_with == ("Baseline 2021 SED (teacher) (0.353)",)
    assert not report.apart


def test_a_system_counts_once_in_a_rank(tmp_path: Path) -> None:
    """Student and teacher, published and recomputed figures are one system; "level" is with what counts."""
    below_both = report_of(save(tmp_path / "a.json", results(f1=0.395)))
    mine = next(r for r in table(below_both, "event_f1").rows if r.ours)
    assert (mine.rank, mine.of) == (10, 11), "the student's 39.83 does not come on top of the teacher's 42.1"
    as_student = report_of(save(tmp_path / "b.json", results(f1=0.3983)))
    mine = next(r for r in table(as_student, "event_f1").rows if r.ours)
    assert mine.level_with == ("Baseline 2021 SED (student) (39.83)",)
    assert (mine.rank, mine.tied) == (10, False)
    counted = {f.competitor for f in all_figures() if f.reference == "validation_desed" and f.metric == "event_f1"}
    assert len(counted) == 10


def test_of_an_error_rate_less_is_better(tmp_path: Path) -> None:
    content = results("dcase2018_test_2018-04", 0.2, run={"recipe": "dcase2018_task4", "system": "a"})
    content["event_based"]["macro"]["error_rate"] = 1.6
    report = report_of(save(tmp_path / "r.json", content))
    rows = table(report, "event_er").rows
    assert [(r.text, r.rank) for r in rows] == [("1.54", None), ("1.60", 2), ("1.52", None)], "true tags stand below"
    mine = rows[1]
    assert mine.difference == pytest.approx(0.06)
    assert mine.interval is None, "the interval of the place is that of F1"
    assert table(report, "event_f1").rows[0].rank == 1


def test_runs_of_a_published_figure_are_told_only_where_the_source_tells(tmp_path: Path) -> None:
    rows = list(csv.DictReader(as_csv(report_of(save(tmp_path / "t.json", results()))).splitlines()))
    runs = {(r["system"], r["value"]): r["runs"] for r in rows if r["metric"] == "event_f1"}
    assert runs["Baseline 2023 (synthetic, student)", "40.7"] == ""
    assert runs["Baseline 2021 SED (teacher)", "42.1"] == ""
    assert runs["pb_sed, after the challenge of 2020", "52.85"] == "5"
    assert runs["t", "42.14"] == "1"
    assert {r["runs"] for r in rows if "recomputed from" in r["remarks"] and "pb_sed" not in r["system"]} == {"1"}


def test_psds2_of_the_two_versions_stand_apart(tmp_path: Path) -> None:
    report = report_of(save(tmp_path / "teacher.json", results()))
    here = table(report, "psds2", "operating_points")
    assert "0.553" not in [r.text for r in here.rows]
    assert next(r for r in here.rows if r.ours).level_with == ("Baseline 2021 SED (teacher) (0.5483)",)
    apart = next(
        t
        for t in report.other_variants
        if t.quantity.metric == "psds2" and t.quantity.variant == "operating_points_0.3.0"
    )
    assert next((r.text, r.rank, r.difference) for r in apart.rows) == ("0.553", None, None)
    old = results()
    old["psds2"] = old["psds2"] | {"variant": "operating_points_0.3.0", "value": 0.5527661620723425}
    report = report_of(save(tmp_path / "old.json", old))
    mine = next(r for r in table(report, "psds2", "operating_points_0.3.0").rows if r.ours)
    assert mine.level_with == ("Baseline 2021 SED (teacher) (0.553)",)


def test_the_wrong_intersection_is_shown_and_never_ranked(tmp_path: Path) -> None:
    report = report_of(save(tmp_path / "teacher.json", results()))
    rows = table(report, "intersection_f1").rows
    wrong = next(r for r in rows if r.text == "79.5")
    assert wrong.unranked
    assert "wrong, from a repeated DataFrame index" in wrong.notes[1]
    mine = next(r for r in rows if r.ours)
    assert rows.index(wrong) > rows.index(mine)
    assert "not ranked" in as_text(report)
    above = [r for r in rows if not r.ours and not r.unranked and r.value > mine.value and r.text != "66.17"]
    assert mine.rank == len(above) + 1


def test_figures_on_other_data_hide_no_other_of_the_same_system(tmp_path: Path) -> None:
    content = results(None) | {"run": {"recipe": "dcase2021_task4", "system": "a"}}
    report = report_of(save(tmp_path / "r.json", content))
    line = next(x for x in as_text(report).splitlines() if "Baseline 2021 SED (teacher)" in x and "79.5" in x)
    assert "66.17 (note 1) / 79.5 (not ranked, note 2)" in line
    assert "note 2: wrong, from a repeated DataFrame index" in as_text(report)
    row = next(r for r in csv.DictReader(as_csv(report).splitlines()) if r["value"] == "79.5")
    assert row["scorer"] == "psds_eval 0.3.0"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"reference": {"path": "mini.tsv", "sha256": "1", "known_as": None}}, "not an official one"),
        (
            {"reference": {"path": "v.tsv", "sha256": "1", "known_as": "validation_desed/subset"}},
            "only a subset (classes or clips) of validation_desed",
        ),
        ({"estimate": {"clips": 1000, "coverage": 0.856, "partial": True}}, "partial (1000 of 1168 clips)"),
    ],
)
def test_what_is_not_comparable_gets_neither_rank_nor_difference(
    change: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    content = results() | {"run": {"recipe": "dcase2019_task4", "system": "a"}} | change
    report = report_of(save(tmp_path / "r.json", content))
    assert not report.tables
    assert not report.other_variants
    assert reason in report.apart[0].reasons[0]
    tables = [t for group in (report.apart[0].tables, *report.published.values()) for t in group]
    assert all(r.rank is None and r.difference is None and r.ratio is None for t in tables for r in t.rows)
    text = as_text(report)
    assert "not comparable" in text
    assert f"== {OTHER_DATA}: DCASE 2019 Task 4" in text
    assert "difference" not in text
    assert "78.8" in text, "the paper of the recipe's systems"


def test_figures_on_what_the_run_saw_are_not_comparable(tmp_path: Path) -> None:
    """By the sets in `environment.json`; the folder's name and other folds of the set tell nothing."""
    for name, seen, where in (
        ("seed1", ["desed/validation", None], "apart"),
        ("all+validation_seed2", ["desed/weak", "train"], "tables"),
        ("seed3", ["desed/validation", "1"], "tables"),
    ):
        file = scored(tmp_path / name, 1, 0.4) / "results" / "validation.json"
        save(file.parents[1] / "environment.json", {"run": {"saw": {"trained": [seen], "selected": []}}})
        (file.parents[1] / "scores").mkdir()
        scores = file.parents[1] / "scores" / "validation.h5"
        Step("predict", scores, {}, facts={"of": [["desed/validation", "2"]]}).run(lambda out=scores: out.touch())
        report = report_of(file)
        assert bool(report.tables) == (where == "tables"), name
        if where == "apart":
            assert report.apart[0].reasons == ("the system was trained on this set",)


def test_another_release_is_another_reference(tmp_path: Path) -> None:
    content = results("validation_desed") | {"run": {"recipe": "dcase2019_task4", "system": "a"}}
    report = report_of(save(tmp_path / "r.json", content))
    assert "23.7" not in [r.text for t in report.tables for r in t.rows]
    other = [r.text for t in report.published["DCASE 2019 Task 4"] for r in t.rows]
    assert "23.7" in other


def test_parameters_of_a_metric_must_be_the_same(tmp_path: Path) -> None:
    content = results()
    content["event_based"]["parameters"] = {"collar_s": 0.5, "offset_fraction": 0.2}
    report = report_of(save(tmp_path / "r.json", content))
    found = table(report, "event_f1")
    assert [r.ours for r in found.rows] == [True]
    assert "collar_s 0.5" in found.quantity.title
    assert any(t.quantity.metric == "event_f1" for t in report.other_variants)


def test_only_the_figure_that_was_resampled_has_the_interval(tmp_path: Path) -> None:
    """A place of a results file has one interval: in tagging it is that of average precision."""
    path = scored(tmp_path / "seed0", 0, 0.2)
    content = json.loads((path / "results" / "validation.json").read_text())
    macro = {"average_precision": 0.5, "roc_auc": 0.9, "f1": 0.3, "interval": [0.4, 0.6]}
    save(path / "results" / "validation.json", content | {"tagging": {"macro": macro}})
    values = {value.quantity.metric: value.interval for value in load_runs([path])[0].values()}
    assert values["map"] == pytest.approx((40.0, 60.0))
    assert values["roc_auc"] is None
    assert values["tagging_f1"] is None
    # No page or paper of this recipe states the latter two: they are left out of its tables.
    assert "[40.00, 60.00]" in as_text(report_of(path))
    assert "ROC AUC" not in as_text(report_of(path))


def test_a_figure_below_its_interval_is_explained(tmp_path: Path) -> None:
    """The official PSDS of few clips is biased; its interval is about very many, and may lie above."""
    path = scored(tmp_path / "seed0", 0, 0.2)
    file = path / "results" / "validation.json"
    content = json.loads(file.read_text())
    remark = "an official PSDS of few clips may lie below its interval, which is about very many clips"
    for interval, is_below in (([0.36, 0.39], True), ([0.34, 0.39], False)):
        # A second estimate, which earlier results files hold, is passed over.
        save(file, content | {"psds1": content["psds1"] | {"interval": interval, "corrected": 0.375}})
        report = report_of(path)
        text = as_text(report)
        assert (remark in text, "0.375" in text) == (is_below, False)
        rows = [r for r in csv.DictReader(as_csv(report).splitlines()) if r["ours"] == "true"]
        assert {r["metric"]: (r["low"], r["high"]) for r in rows}["psds1"] == tuple(
            f"{bound:.4f}" for bound in interval
        )
        update_rows(tmp_path / "RESULTS.md", group_runs(load_runs([path])), "x")
        page = (tmp_path / "RESULTS.md").read_text()
        assert f"PSDS1, variant operating_points: 0.3535 [{interval[0]:.4f}, 0.3900]<br>" in page
    save(file, content)
    assert remark not in as_text(report_of(path))


def test_headings_name_set_part_and_rule(tmp_path: Path) -> None:
    path = scored(tmp_path / "seed0", 0, 0.2, None)
    (path / "postprocessing.yaml").write_text("tuned_on: {path: tune.tsv}\n")
    content = json.loads((path / "results" / "validation.json").read_text())
    content["estimate"]["path"] = "exp/events/validation.tsv"
    for name in ("validation", "validation.published", "test_dcase2018"):
        save(path / "results" / f"{name}.json", content)
    content["estimate"]["path"] = "exp/events/public.tsv"
    save(path / "results" / "public.json", content | {"reference": content["reference"] | {"path": "p.tsv"}})
    text = as_text(report_of(path))
    headings = [line for line in text.splitlines() if line.startswith("== ") and OTHER_DATA not in line]
    assert headings == [
        "== validation: not comparable",
        "== validation, part test_dcase2018: not comparable",
        "== public: not comparable",
    ]
    assert "1168 clips of gt.tsv: the reference is not an official one" in text
    validation = text.partition(headings[1])[0]
    assert "* cnn9_weak, tuned post-processing" in validation
    assert "* cnn9_weak, published post-processing" in validation
    known = as_text(report_of(scored(tmp_path / "known", 0, 0.2)))
    assert known.startswith("== validation: reference validation_2019\n")


def test_one_baseline_serves_all_tables_and_long_notes_stand_below(tmp_path: Path) -> None:
    content = results()
    content["estimate"] = {"path": "est.tsv", "clips": 1145, "coverage": 1145 / 1168, "partial": None}
    report = report_of(save(tmp_path / "teacher.json", content))
    assert {t.baseline.rpartition(" (")[0] for t in report.tables} == {"Baseline 2023 (synthetic, student)"}
    content["segment_based"] = {"parameters": {"segment_s": 1.0}, "macro": {"f1": 0.7}}
    report = report_of(save(tmp_path / "teacher.json", content))
    assert {t.baseline.rpartition(" (")[0] for t in report.tables} == {"Baseline 2021 SED (teacher)"}
    text = as_text(report)
    assert text.count("the output lists 1145 of 1168 clips") == 1
    wrong = next(line for line in text.splitlines() if " 79.5 " in line)
    assert wrong.endswith("not ranked; note 1")
    assert "(note 1: wrong, from a repeated DataFrame index" in text


def test_unverified_figures_are_marked_and_not_ranked(tmp_path: Path) -> None:
    content = results("public_evaluation", 0.30) | {"run": {"recipe": "dcase2019_task4", "system": "a"}}
    report = report_of(save(tmp_path / "r.json", content))
    rows = table(report, "event_f1").rows
    winner = next(r for r in rows if r.system == "Lin_ICT_task4_3")
    assert not winner.verified
    assert winner.unranked
    assert "unverified" in next(line for line in as_text(report).splitlines() if "Lin_ICT_task4_3" in line)
    mine = next(r for r in rows if r.ours)
    assert (mine.rank, mine.of) == (14, 15), "behind 13 systems of 2020, ahead of the baseline of 2019"
    assert mine.difference == pytest.approx(1.0)


def test_a_difference_has_no_more_decimals_than_its_baseline(tmp_path: Path) -> None:
    content = results() | {"run": {"recipe": "dcase2021_task4", "system": "a"}}
    report = report_of(save(tmp_path / "r.json", content))
    rows = [row for row in csv.DictReader(as_csv(report).splitlines()) if row["ours"] == "true"]
    found = {row["metric"]: row["difference"] for row in rows}
    # To 42.1, 66.17, 0.353 and 0.5483.
    assert found == {"event_f1": "+0.0", "intersection_f1": "+0.00", "psds1": "+0.000", "psds2": "+0.0000"}
    assert "| 42.14 | [39.14, 45.14] | +0.0 |" in as_markdown(report)
    assert next((row["low"], row["high"], row["unit"]) for row in rows) == ("39.14", "45.14", "percent")
    assert rows[2]["unit"] == "fraction"


def test_psds_of_other_operating_points_is_another_figure(tmp_path: Path) -> None:
    few, fifty = results(), results()
    for content, n in ((few, 20), (fifty, 50)):
        for name in ("psds1", "psds2"):
            content[name] = content[name] | {"parameters": content[name]["parameters"] | {"n_operating_points": n}}
    report = report_of(save(tmp_path / "few.json", few), save(tmp_path / "fifty.json", fifty))
    alone, beside = (t for t in report.tables if t.quantity.metric == "psds1")
    if len(alone.rows) > len(beside.rows):
        alone, beside = beside, alone
    assert [(row.system, row.rank) for row in alone.rows] == [("few", None)]
    assert "n_operating_points 20" in alone.quantity.title
    assert next(row.of for row in beside.rows if row.ours) == 13
    assert "n_operating_points" not in beside.quantity.title
    exact = [f for f in all_figures() if f.variants == ("exact",)]
    assert exact
    assert not any("n_operating_points" in f.parameters for f in exact)


def test_vectors_of_2021_through_score_and_benchmark(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the organisers' own output to the printed table: 42.14, .353 level with 2021, .553 apart from .548."""
    vectors = shared / "vectors" / "dcase2021_baseline"
    with tarfile.open(vectors / "teacher_operating_points.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    points = next(tmp_path.rglob("*th_0.01*")).parent
    words = ["--reference", vectors / "gt_validation.tsv", "--estimate", vectors / "teacher_predictions0.5.csv"]
    words += ["--operating-points", points, "--durations", vectors / "durations.tsv", "--json", tmp_path / "t.json"]
    assert main(["score", *map(str, words), "--metrics", "event,intersection,psds1,psds2"]) == 0
    capsys.readouterr()
    assert main(["benchmark", str(tmp_path / "t.json")]) == 0
    text = capsys.readouterr().out
    assert text.startswith("== reference validation_desed\n")
    lines = [line for line in text.splitlines() if line.lstrip()[:1].isdigit()]
    mine = [line for line in lines if "* t " in line]
    assert "42.14" in mine[0]
    assert "level with Baseline 2021 SED (teacher) (42.1)" in mine[0]
    assert "0.3535" in mine[2]
    assert "level with Baseline 2021 SED (teacher) (0.353)" in mine[2]
    assert "0.5483" in mine[3]
    before, _, after = text.partition("other variant or parameters: no differences, no ranks")
    assert "0.553" in after
    assert "0.553" not in before
