"""Packing experiments, and finding nothing wrong with what was packed."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from submission_packages import CLIPS, PEOPLE, pdf
from submission_systems import LABELS, experiment, found, measured, results, run, scores, written

from sedkit.core.files import write_yaml
from sedkit.postprocessing import FrameRule, Postprocessing, processed_scores
from sedkit.submission.check import check_package
from sedkit.submission.formats import get_format


def test_an_experiment_becomes_a_package_without_finding(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], complete: tuple[object, ...]
) -> None:
    exp, out = experiment(tmp_path / "exp"), tmp_path / "out"
    words = ("--experiment", exp, *complete)
    assert run("pack", "--format", "dcase2019", *words) == 0
    label = "Okafor_UNI_task4_1"
    assert capsys.readouterr().out.split() == [str(out / label), str(out / "Okafor_UNI_task4.zip")]
    assert run("check", out / "Okafor_UNI_task4.zip", "--format", "dcase2019", "--files", clips) == 0
    assert capsys.readouterr().out == "no finding\n"
    with zipfile.ZipFile(out / "Okafor_UNI_task4.zip") as archive:
        assert archive.namelist() == [
            "Okafor_UNI_task4.technical_report.pdf",
            f"{label}/{label}.meta.yaml",
            f"{label}/{label}.output.csv",
        ]
    # What was packed, without the zip, is a package, too.
    (out / "Okafor_UNI_task4.zip").unlink()
    assert found(out, "dcase2019", clips) == ""


def test_the_meta_file_says_what_the_experiment_knows(tmp_path: Path, authors: Path, bare: tuple[object, ...]) -> None:
    exp = experiment(tmp_path / "exp")
    write_yaml(authors, {"authors": PEOPLE, "systems": {"cnn9_weak": {"abbreviation": "CNN9"}}})
    run("pack", "--format", "dcase2022", "--experiment", exp, *bare)
    text = (tmp_path / "out/Okafor_UNI_task4_1/Okafor_UNI_task4_1.meta.yaml").read_text()
    written = yaml.safe_load(text)
    assert "&id" not in text
    assert written["submission"]["abbreviation"] == "CNN9"
    assert [a["lastname"] for a in written["submission"]["authors"]] == ["Okafor", "Berg"]
    description = written["system"]["description"]
    assert description["input_sampling_rate"] == 44.1
    assert description["acoustic_features"] == "log-mel amplitude"
    assert description["machine_learning_method"] == "cnn9_avg"
    assert description["segmentation_method"] == "double threshold"
    assert description["post-processing"] == "median filtering (2500 ms)"
    assert description["ensemble_method_subsystem_count"] is None
    assert written["system"]["complexity"]["energy"] == {
        "training": 1.25,
        "devtest_inference": None,
        "evaluation_inference": None,
    }
    overall = written["results"]["development_dataset"]["overall"]
    assert overall == {"F-score": 40.0, "PSDS1": 0.3535, "PSDS2": 0.5483}
    assert written["results"]["development_dataset"]["class_wise"]["Blender"] == {"F-score": 36.5}


def test_the_same_input_makes_the_same_bytes(tmp_path: Path, authors: Path, report: Path) -> None:
    exp = experiment(tmp_path / "exp")
    for name in ("one", "two"):
        words = ("--experiment", exp, "--authors", authors, "--report", report, "--out", tmp_path / name)
        assert run("pack", "--format", "dcase2021", *words) == 0
    one = {p.relative_to(tmp_path / "one"): p.read_bytes() for p in (tmp_path / "one").rglob("*") if p.is_file()}
    two = {p.relative_to(tmp_path / "two"): p.read_bytes() for p in (tmp_path / "two").rglob("*") if p.is_file()}
    assert one == two
    assert len(one) == 3 - 1 + 1 + 50 + 1


def test_operating_points_and_overlaps(tmp_path: Path, complete: tuple[object, ...]) -> None:
    exp, out = experiment(tmp_path / "exp"), tmp_path / "out"
    words = ("--experiment", exp, *complete)
    assert run("pack", "--format", "dcase2021", *words) == 0
    folder = out / "Okafor_UNI_task4_SED_1/Okafor_UNI_task4_SED_1.output_PSDS"
    assert len(list(folder.iterdir())) == 50
    assert check_package(out / "Okafor_UNI_task4_SED.zip", get_format("dcase2021")) == []


def test_example_authors_or_no_report_make_no_zip(
    tmp_path: Path, authors: Path, report: Path, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exp, out = experiment(tmp_path / "exp"), tmp_path / "out"
    example = repository / "submissions" / "authors.example.yaml"
    words = ("pack", "--format", "dcase2019", "--experiment", exp, "--out", out)
    assert run(*words, "--authors", example, "--report", report) == 0
    said = capsys.readouterr().err
    assert "no zip: the author file holds example authors" in said
    assert "no technical report" not in said, "it was given"
    assert sorted(p.name for p in out.iterdir()) == ["Doe_INST_task4.technical_report.pdf", "Doe_INST_task4_1"]
    assert (out / "Doe_INST_task4.technical_report.pdf").read_bytes() == report.read_bytes()
    assert run(*words, "--authors", authors) == 0
    assert "no technical report was given" in capsys.readouterr().err
    assert not list(out.glob("*.zip"))
    assert run(*words, "--authors", authors, "--report", report) == 0
    assert (out / "Okafor_UNI_task4.zip").is_file()
    # Packed again without a report: the old zip would be of other files.
    assert run(*words, "--authors", authors) == 0
    assert not list(out.glob("*.zip"))


def test_a_package_that_would_be_refused_gets_no_zip(
    tmp_path: Path, report: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    exp, out = experiment(tmp_path / "exp"), tmp_path / "out"
    (exp / "results" / "validation.json").unlink()
    words = ("--experiment", exp, *bare, "--report", report)
    assert run("pack", "--format", "dcase2019", *words) == 1
    shown = capsys.readouterr()
    assert "meta_field_missing" in shown.err
    assert "no zip: the package would be refused" in shown.err
    assert not list(out.glob("*.zip"))
    assert (out / "Okafor_UNI_task4_1").is_dir()


def test_a_placeholder_report_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    (tmp_path / "r.pdf").write_bytes(pdf("lorem ipsum"))
    exp = experiment(tmp_path / "exp")
    words = ("--experiment", exp, *bare, "--report", tmp_path / "r.pdf")
    assert run("pack", "--format", "dcase2019", *words) == 1
    assert "lorem ipsum" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_several_experiments_and_labels(tmp_path: Path, clips: Path, complete: tuple[object, ...]) -> None:
    exps = [experiment(tmp_path / f"exp{i}", system=f"s{i}", seed=i) for i in range(3)]
    out = tmp_path / "out"
    label = ("--label", "Berg_LAB_task4_2")
    assert run("pack", "--format", "dcase2019", "--experiment", *exps, *label, *complete) == 0
    assert sorted(p.name for p in out.iterdir() if p.is_dir()) == [f"Berg_LAB_task4_{i}" for i in (2, 3, 4)]
    # The authors' names stand in the other order: worth a note, nothing more.
    assert found(out / "Berg_LAB_task4.zip", "dcase2019", clips) == "label_author, label_author, label_author"
    assert run("pack", "--format", "dcase2019", "--experiment", *exps, "--label", "Berg_LAB_task4_3", *complete) == 2
    assert run("pack", "--format", "dcase2019", "--experiment", *exps, "--label", "Berg", *complete) == 2


def test_sets_are_chosen_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]) -> None:
    exp = experiment(tmp_path / "exp", set_name="validation")
    words = ("pack", "--format", "dcase2019", "--experiment", exp, *bare)
    table = tmp_path / "out/Okafor_UNI_task4_1/Okafor_UNI_task4_1.output.csv"
    for i, name in enumerate(("validation", "public", "evaluation")):
        (exp / "events" / f"{name}.tsv").write_text(f"filename\tonset\toffset\tevent_label\na{i}.wav\t0.0\t1.0\tDog\n")
        assert run(*words) == 0
        assert f"a{i}.wav" in table.read_text()
    assert run(*words, "--set", "validation") == 0
    assert "a0.wav" in table.read_text()
    assert run(*words, "--set", "test") == 2
    assert "evaluation, public, validation" in capsys.readouterr().err


def test_a_name_with_marks_makes_a_label_without_finding(
    tmp_path: Path, report: Path, clips: Path, capsys: pytest.CaptureFixture[str], elsewhere: Callable[..., str]
) -> None:
    entry = elsewhere("dcase2019")
    words = ("pack", "--format", "dcase2019", "--system", entry, "--report", report, "--out", tmp_path / "out")
    write_yaml(tmp_path / "authors.yaml", {"authors": [PEOPLE[0] | {"lastname": "Müller-Weiß"}]})
    assert run(*words, "--authors", tmp_path / "authors.yaml") == 0
    assert found(tmp_path / "out" / "Muller-Weiss_UNI_task4.zip", "dcase2019", clips) == ""
    for person in ({"lastname": "王"}, {"affiliation": {"institute": "A University"}}):
        write_yaml(tmp_path / "authors.yaml", {"authors": [PEOPLE[0] | person]})
        capsys.readouterr()
        assert run(*words, "--authors", tmp_path / "authors.yaml") == 1
        said = capsys.readouterr().err
        assert said.startswith(f"sedkit pack: error: {tmp_path / 'authors.yaml'}: ") and "give --label" in said


def test_runs_of_a_system(tmp_path: Path, clips: Path, complete: tuple[object, ...]) -> None:
    exps = [experiment(tmp_path / f"seed{i}", seed=i) for i in range(3)]
    out = tmp_path / "out"
    assert run("pack", "--format", "dcase2023", "--experiment", *exps, *complete) == 0
    label = "Okafor_UNI_task4a_1"
    names = sorted(p.name for p in (out / label).iterdir() if p.is_dir())
    runs = [f"{label}_run{i}{kind}.output" for i in (1, 2, 3) for kind in ("", "_unprocessed")]
    assert names == sorted(runs)
    # No energy was measured at inference, and no table of CodeCarbon is there: said, not invented.
    assert found(out / "Okafor_UNI_task4a.zip", "dcase2023", clips) == "energy_absent, energy_files"
    raw = (out / label / f"{label}_run1_unprocessed.output" / "clip_01.tsv").read_text()
    processed = (out / label / f"{label}_run1.output" / "clip_01.tsv").read_text()
    assert raw != processed
    assert run("pack", "--format", "dcase2023", "--experiment", *exps, exps[0], *complete) == 2


def test_processed_scores_of_short_clips_are_their_own() -> None:
    from dataclasses import replace

    whole = scores(0)
    n = np.array([20 - i % 3 * 6 for i in range(len(CLIPS))])
    framewise = np.where(np.arange(20)[None, :, None] < n[:, None, None], whole.framewise, np.float32(0))
    short = replace(whole, framewise=framewise, n_frames=n, duration_s=n / 2)
    rules = Postprocessing.uniform(LABELS, FrameRule(threshold=0.5, median_s=1.5, clip_threshold=0.5))
    found = processed_scores(short, rules).framewise
    assert found.dtype == np.float32
    for i, frames in enumerate(n):
        for c in range(len(LABELS)):
            column = framewise[i, :frames, c]
            medians = [np.median(column[max(0, t - 1) : t + 2]) for t in range(1, frames - 1)]
            heard = short.clipwise[i, c] >= 0.5
            assert found[i, 1 : frames - 1, c] == pytest.approx(np.array(medians) * heard)
        assert not found[i, frames:].any()


def test_ten_classes_are_no_submission_of_2024(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    exp = experiment(tmp_path / "exp")
    words = ("--experiment", exp, *bare)
    assert run("pack", "--format", "dcase2024", *words) == 1
    assert "takes all of its 27 classes" in capsys.readouterr().err


@pytest.mark.parametrize("year", ["dcase2022", "dcase2023"])
def test_energy_is_that_of_the_submitted_set(
    year: str, tmp_path: Path, clips: Path, complete: tuple[object, ...]
) -> None:
    exp, out = experiment(tmp_path / "exp", set_name="evaluation"), tmp_path / "out"
    words = ("pack", "--format", year, "--experiment", exp, *complete)
    measured(exp, "training", "validation", "public")
    run(*words)
    file = next(out.glob("*/*.meta.yaml"))
    assert yaml.safe_load(file.read_text())["system"]["complexity"]["energy"] == {
        "training": 0.1,
        "devtest_inference": 0.2,
        "evaluation_inference": None,
    }, "what the prediction of another set took is not stated"
    assert "energy_absent" in found(out, year, clips)
    measured(exp, "training", "validation", "evaluation")
    run(*words)
    assert yaml.safe_load(file.read_text())["system"]["complexity"]["energy"]["evaluation_inference"] == 0.3
    assert sorted(p.name for p in (file.parent / "codecarbon").iterdir()) == [
        "evaluation.csv",
        "training.csv",
        "validation.csv",
    ]
    assert "energy" not in found(out, year, clips)


def test_a_run_that_saw_validation_takes_the_figures_of_its_split_run(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], complete: tuple[object, ...]
) -> None:
    split, exp = experiment(tmp_path / "seed0"), experiment(tmp_path / "all+validation_seed0")
    environment = {
        "run": {"system": "cnn9_weak", "saw": {"trained": [["desed/validation", None]]}},
        "parameters": 4691274,
    }
    (exp / "environment.json").write_text(json.dumps(environment | {"split_run": str(split)}))
    (exp / "results" / "validation.json").write_text(json.dumps(results(f1=0.9)))
    words = ("pack", "--format", "dcase2019", "--experiment", exp, *complete)
    assert run(*words) == 0
    assert f"are those of its split run {split}" in capsys.readouterr().err
    file = next((tmp_path / "out").glob("*/*.meta.yaml"))
    overall = yaml.safe_load(file.read_text())["results"]["development_dataset"]["overall"]
    assert overall["F-score"] == 40.0, "0.9 was found on clips that it was trained on"
    # Both were moved together.
    (exp / "environment.json").write_text(json.dumps(environment | {"split_run": "/elsewhere/seed0"}))
    assert run(*words) == 0
    capsys.readouterr()
    # Without figures nothing is stated, and the reason is said.
    (split / "results" / "validation.json").unlink()
    assert run(*words) == 1
    said = capsys.readouterr().err
    assert f"no results/validation.json in the split run {split} (this one was trained on validation)" in said
    assert "no zip: the package would be refused" in said
    assert yaml.safe_load(file.read_text())["results"]["development_dataset"]["overall"]["F-score"] is None
    (exp / "environment.json").write_text(json.dumps(environment))
    assert run(*words) == 1
    assert "its split run is gone" in capsys.readouterr().err


def test_an_experiment_without_the_figures_that_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    """The recipes score no PSDS: the field stays null, and `--results` fills it in."""
    exps = [experiment(tmp_path / f"exp{i}", system=f"s{i}", seed=i) for i in range(2)]
    content = {key: value for key, value in results(f1=0.4).items() if not key.startswith("psds")}
    (exps[0] / "results" / "validation.json").write_text(json.dumps(content))
    (tmp_path / "psds.json").write_text(json.dumps(results()))
    words = ("pack", "--format", "dcase2023", *bare, "--experiment")
    run(*words, exps[0])
    overall = written(tmp_path / "out")["results"]["development_dataset"]["overall"]
    assert overall == {"PSDS1": None, "PSDS2": None}
    said = capsys.readouterr().err
    assert said.count("no development results: no PSDS in it, which dcase2023a asks for") == 1
    assert "error" not in said
    run(*words, exps[0], "--results", tmp_path / "psds.json")
    overall = written(tmp_path / "out")["results"]["development_dataset"]["overall"]
    assert overall == {"PSDS1": 0.3535, "PSDS2": 0.5483}
    assert "no development results" not in capsys.readouterr().err
    assert run(*words, *exps, "--results", tmp_path / "psds.json") == 2
    assert "--results is that of one system, got 2" in capsys.readouterr().err


def test_development_results_go_by_a_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    """Where rules were tuned on the development set, its figures are those of other rules, beside the tuned ones."""
    exp = experiment(tmp_path / "exp")
    (exp / "results" / "validation.json").rename(exp / "results" / "test.published.json")
    words = ("pack", "--format", "dcase2019", *bare)
    run(*words, "--experiment", exp)
    assert written(tmp_path / "out")["results"]["development_dataset"]["overall"]["F-score"] is None
    assert "no results/validation.json in it" in capsys.readouterr().err
    run(*words, "--experiment", exp, "--development", "test.published")
    stated = written(tmp_path / "out")["results"]["development_dataset"]["overall"]["F-score"]
    content = json.loads((exp / "results" / "test.published.json").read_text())
    assert stated == round(100 * content["event_based"]["macro"]["f1"], 2)
    assert "no development results" not in capsys.readouterr().err
    # Of several sets, each is looked for.
    run(*words, "--experiment", exp, "--development", "none,test.published")
    assert written(tmp_path / "out")["results"]["development_dataset"]["overall"]["F-score"] == stated
    assert "no results/none.json in it" in capsys.readouterr().err
    assert run(*words, "--system", "x.tsv", "--development", "test") == 2
    assert "--development test names results of --experiment" in capsys.readouterr().err
