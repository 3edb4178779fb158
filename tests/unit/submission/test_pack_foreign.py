"""Packing what other toolkits made: events, operating points, scores, CodeCarbon's tables."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from submission_packages import CLIP_LIST, events, meta
from submission_systems import experiment, found, results, run, scores, unprocessed, written

from sedkit.core.errors import UsageError
from sedkit.dataio.store import write_scores
from sedkit.evaluation.maestro import MAESTRO_EVALUATED
from sedkit.submission.check.examine import examine_package
from sedkit.submission.formats import get_format
from sedkit.submission.formats._format import MAESTRO_CLASSES
from sedkit.submission.pack.inputs import split_entry
from sedkit.submission.pack.meta import meta_text

#: Areas of the evaluated classes, 0.75 in the mean.
EVALUATED = {label: 0.7 + 0.01 * i for i, label in enumerate(MAESTRO_EVALUATED)}


def test_events_and_meta_made_elsewhere(
    tmp_path: Path, clips: Path, complete: tuple[object, ...], elsewhere: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    entry = elsewhere("dcase2019")
    assert run("pack", "--format", "dcase2019", "--system", entry, *complete) == 0
    assert found(out / "Okafor_UNI_task4.zip", "dcase2019", clips) == ""
    assert run("pack", "--format", "dcase2024", "--system", entry, *complete) == 2


def test_operating_points_made_elsewhere(
    tmp_path: Path, clips: Path, complete: tuple[object, ...], elsewhere: Callable[..., str]
) -> None:
    form = get_format("dcase2021")
    (tmp_path / "points").mkdir()
    for threshold in form.points.thresholds:
        (tmp_path / "points" / f"predictions_th_{threshold:g}.tsv").write_text(events(form, 3, 1 - 0.9 * threshold))
    out = tmp_path / "out"
    entry = f"{elsewhere(form.name)}:{tmp_path / 'points'}"
    assert run("pack", "--format", "dcase2021", "--system", entry, *complete) == 0
    assert found(out / "Okafor_UNI_task4_SED.zip", "dcase2021", clips) == ""
    assert run("pack", "--format", "dcase2019", "--system", entry, *complete) == 2
    assert run("pack", "--format", "dcase2021", "--system", entry + ":more", *complete) == 2
    # The meta file states PSDS1 .353 of an output that is the reference itself.
    zipped = out / "Okafor_UNI_task4_SED.zip"
    said = [
        f.message
        for f in examine_package(zipped, form, CLIP_LIST, [tmp_path / "e.tsv"]).findings
        if f.kind == "results_differ"
    ]
    assert any("PSDS1 0.353 (recomputed 1.0000)" in message for message in said)
    kinds = [f.kind for f in examine_package(zipped, form, None, [tmp_path / "e.tsv"]).findings]
    assert "results_not_recomputed" in kinds, "no durations, no PSDS"


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".txt"])
def test_tables_of_operating_points_keep_their_names(ending: str, tmp_path: Path, bare: tuple[object, ...]) -> None:
    form = get_format("dcase2021")
    (tmp_path / "e.tsv").write_text(events(form, 3))
    (tmp_path / "points").mkdir()
    names = [f"th_{threshold:g}{ending}" for threshold in (1e-05, 0.5)]
    for name in names:
        (tmp_path / "points" / name).write_text(events(form, 3))
    (tmp_path / "points" / "README.md").write_text("of another tool")
    words = (*bare, "--label", "Okafor_UNI_task4_SED_1")
    run("pack", "--format", "dcase2021", "--system", f"{tmp_path / 'e.tsv'}::{tmp_path / 'points'}", *words)
    (folder,) = (tmp_path / "out").glob("*/*.output_PSDS")
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    found = examine_package(folder.parent, form, CLIP_LIST).findings
    assert [f.message for f in found if f.kind.startswith("point_")] == []


@pytest.mark.parametrize(
    ("names", "label", "message"),
    [
        (["README.md"], "Dog", "points: holds no table"),
        (["th_0.1.tsv", "events.csv"], "Dog", "events.csv: file name does not end in a threshold"),
        (["a_0.1.tsv", "b_0.10.tsv"], "Dog", "b_0.10.tsv: threshold 0.1 is that of a_0.1.tsv too"),
        (["th_0.1.txt"], "Dogg", "th_0.1.txt:2: unknown label"),
    ],
)
def test_bad_operating_points_are_one_line(
    names: list[str], label: str, message: str, tmp_path: Path, authors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "e.tsv").write_text(events(get_format("dcase2021"), 3))
    (tmp_path / "points").mkdir()
    for name in names:
        (tmp_path / "points" / name).write_text(f"filename\tonset\toffset\tevent_label\na.wav\t0.0\t1.0\t{label}\n")
    entry = f"{tmp_path / 'e.tsv'}::{tmp_path / 'points'}"
    assert run("pack", "--format", "dcase2021", "--system", entry, "--authors", authors, "--out", tmp_path / "o") == 1
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_events_of_other_clips_are_refused(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    (tmp_path / "e.tsv").write_text("filename\tonset\toffset\tevent_label\nother.wav\t0.0\t1.0\tDog\n")
    words = ("--system", tmp_path / "e.tsv", *bare, "--files", clips)
    assert run("pack", "--format", "dcase2019", *words) == 1
    assert "1 clips are not in the evaluation list (other.wav)" in capsys.readouterr().err


def test_foreign_scores_of_27_classes(tmp_path: Path, clips: Path, complete: tuple[object, ...]) -> None:
    form = get_format("dcase2024")
    labels = list(form.labels)
    random.Random(0).shuffle(labels)
    files = []
    for i in range(3):
        files.append(tmp_path / f"scores{i}.h5")
        write_scores(files[-1], scores(i, tuple(labels)))
    described = meta(form, "Someone_ELSE_task4_4")
    described["system"]["complexity"]["energy_baseline"] = {"training": 0.5, "devtest_inference": 0.25}
    (tmp_path / "m.yaml").write_text(meta_text(described))
    out = tmp_path / "out"
    words = ("--meta", tmp_path / "m.yaml", *complete)
    assert run("pack", "--format", "dcase2024", "--scores", *files, *words) == 0
    kinds = found(out / "Okafor_UNI_task4.zip", "dcase2024", clips)
    assert kinds == "unprocessed_missing, energy_files"
    more = ("--unprocessed", *unprocessed(files))
    assert run("pack", "--format", "dcase2024", "--scores", *files, *more, *words) == 0
    assert found(out / "Okafor_UNI_task4.zip", "dcase2024", clips) == "energy_files"
    assert run("pack", "--format", "dcase2024", "--scores", *files, *more[:2], *words) == 2
    head = (out / "Okafor_UNI_task4_1/Okafor_UNI_task4_1_run1.output/clip_00.tsv").read_text().splitlines()[0]
    assert head.split("\t") == ["onset", "offset", *form.labels]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--format", "dcase2019"], "nothing to pack"),
        (["--format", "dcase2919", "--experiment", "x"], "unknown format"),
        (["--format", "dcase2019", "--system", "a", "--scores", "b"], "--system stands alone"),
        (["--format", "dcase2019", "--experiment", "x", "--meta", "m"], "--meta belongs to --scores"),
        (["--format", "dcase2019", "--system", "x", "--set", "nonsense"], "--set nonsense chooses a set of --exp"),
        (["--format", "dcase2019", "--scores", "x", "--set", "public"], "--set public chooses a set of --experiment"),
        (["--format", "dcase2024", "--scores", "x", "--postprocessing", "no.yaml"], "takes scores as they are"),
        (["--format", "dcase2023b", "--scores", "x", "--unprocessed", "x"], "takes no scores before post-processing"),
        (["--format", "dcase2023b", "--scores", "x", "y"], "takes one a system"),
        (["--format", "dcase2019", "--experiment", "x", "--add", "true"], "--add true needs --label"),
        (["--format", "dcase2019", "--experiment", "x", "./x"], "--experiment ./x is given twice"),
    ],
)
def test_bad_use(words: list[str], message: str, authors: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pack", *words, "--authors", authors, "--out", "unused") == 2
    assert message in capsys.readouterr().err


def test_results_of_both_development_sets(
    tmp_path: Path, foreign: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    desed = results(f1=0.4) | {"psds1": {"variant": "exact", "value": 0.4912, "classes": {"Dog": 0.5}}}
    maestro = {
        "reference": {"known_as": None},
        "segment_auc": {"value": 0.9, "classes": dict.fromkeys(MAESTRO_CLASSES, 0.99) | EVALUATED},
        "psds1": {"variant": "exact", "value": 0.1, "classes": {"car": 0.1}},
        "event_based": {"macro": {"f1": 0.1}, "classes": {"car": {"f1": 0.1}}},
    }
    for name, content in (("desed", desed), ("maestro", maestro), ("empty", {"reference": {}})):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    _, file = foreign("dcase2024", "--results", tmp_path / "desed.json", tmp_path / "maestro.json")
    assert yaml.safe_load(file.read_text())["results"]["devtest"] == {
        "desed": {"PSDS1": 0.4912},
        "maestro": {"mPAUC": 0.75},
    }
    capsys.readouterr()
    # An evaluated class without an area: the official mean cannot be told.
    for classes in ({**EVALUATED, "car": None}, {k: v for k, v in EVALUATED.items() if k != "car"}):
        maestro["segment_auc"]["classes"] = classes
        (tmp_path / "maestro.json").write_text(json.dumps(maestro))
        assert foreign("dcase2024", "--results", tmp_path / "maestro.json")[0] == 1
        assert "no mPAUC: it is the mean of 11 classes, without (or with an un" in capsys.readouterr().err
        (tmp_path / "both.json").write_text(json.dumps(desed | {"segment_auc": maestro["segment_auc"]}))
        _, file = foreign("dcase2024", "--results", tmp_path / "both.json")
        assert yaml.safe_load(file.read_text())["results"]["devtest"]["desed"] == {"PSDS1": 0.4912}
        assert "undefined) area here: car\n" in capsys.readouterr().err
    assert foreign("dcase2024", "--results", tmp_path / "desed.json", tmp_path / "desed.json")[0] == 1
    assert "expected it once" in capsys.readouterr().err
    assert foreign("dcase2024", "--results", tmp_path / "empty.json")[0] == 1
    assert "no PSDS or partial ROC area in it, which dcase2024 asks for" in capsys.readouterr().err
    (tmp_path / "list.json").write_text("[1]")
    assert foreign("dcase2024", "--results", tmp_path / "list.json")[0] == 1
    assert "is no results file" in capsys.readouterr().err


def test_without_a_meta_file_a_template_is_written_that_reads_back(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], complete: tuple[object, ...]
) -> None:
    form = get_format("dcase2019")
    (tmp_path / "e.tsv").write_text(events(form, 3))
    assert run("pack", "--format", "dcase2019", "--system", tmp_path / "e.tsv", *complete) == 1
    assert "e: no META.yaml: the meta file is a template" in capsys.readouterr().err
    file = next((tmp_path / "out").glob("*/*.meta.yaml"))
    template = yaml.safe_load(file.read_text())
    asked = [item.path for item in form.fields if "*" not in item.path]
    for path in asked:
        place = template
        for key in path.split("."):
            place = place[key]
    assert set(template["results"]["development_dataset"]["class_wise"]) == set(form.labels)
    template["submission"] |= {"name": "Another", "abbreviation": "ANO"}
    template["system"]["description"] |= {"input_sampling_rate": 16, "acoustic_features": "MFCC"}
    template["system"]["complexity"]["total_parameters"] = 5
    scored = template["results"]["development_dataset"]
    scored["overall"]["F-score"] = 20.0
    for block in scored["class_wise"].values():
        block["F-score"] = 20.0
    file.write_text(meta_text(template))
    assert run("pack", "--format", "dcase2019", "--system", f"{tmp_path / 'e.tsv'}:{file}", *complete) == 0
    assert yaml.safe_load(file.read_text()) == template
    assert found(tmp_path / "out" / "Okafor_UNI_task4.zip", "dcase2019", clips) == ""


def test_paths_with_colons(tmp_path: Path) -> None:
    odd, plain = tmp_path / "run:1", tmp_path / "plain"
    for folder in (odd, plain):
        (folder / "points").mkdir(parents=True)
        for name in ("e.tsv", "m.yaml"):
            (folder / name).write_text("")
    for home in (odd, plain):
        table, meta_file, points = (str(home / name) for name in ("e.tsv", "m.yaml", "points"))
        assert split_entry(table) == (table, None, None)
        assert split_entry(f"{table}:{meta_file}") == (table, meta_file, None)
        assert split_entry(f"{table}:{meta_file}:{points}") == (table, meta_file, points)
        assert split_entry(f"{table}::{points}") == (table, None, points)
    assert split_entry("no.tsv:no.yaml") == ("no.tsv", "no.yaml", None)
    with pytest.raises(UsageError, match="expected EVENTS"):
        split_entry(f"{plain / 'e.tsv'}:a:b:c")


def test_what_a_meta_file_says_beside_the_format_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...], elsewhere: Callable[..., str]
) -> None:
    described = meta(get_format("dcase2019"), "Someone_ELSE_task4_4")
    described["system"]["description"]["acoustic_feature"] = "MFCC"
    entry = elsewhere("dcase2019", described)
    run("pack", "--format", "dcase2019", "--system", entry, *bare)
    said = capsys.readouterr().err
    assert "m.yaml: not taken over, not asked for by dcase2019: system.description.acoustic_feature (did" in said
    described["system"]["description"].pop("acoustic_feature")
    described["results"]["development_dataset"]["class_wise"] = ["Dog"]
    for content, message in ((described, "class_wise is ['Dog'], expected a mapping"), ({}, ""), ([1], "is [1], exp")):
        (tmp_path / "m.yaml").write_text(yaml.safe_dump(content))
        assert run("pack", "--format", "dcase2019", "--system", entry, *bare) == 1
        assert message in capsys.readouterr().err
    write_scores(tmp_path / "s.h5", scores(0))
    given = ("--scores", tmp_path / "s.h5", "--postprocessing", "0.5", "--meta", tmp_path / "m.yaml")
    assert run("pack", "--format", "dcase2019", *given, *bare) == 1
    assert "is [1], expected a mapping" in capsys.readouterr().err


def test_runs_are_trainings_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], bare: tuple[object, ...]
) -> None:
    form = get_format("dcase2024")
    for name in ("a.h5", "copy.h5"):
        write_scores(tmp_path / name, scores(0, form.labels))
    words = ("pack", "--format", "dcase2024", *bare, "--scores")
    for second, message in (("a.h5", "a.h5 is given twice"), ("copy.h5", "copy.h5 holds the same scores as")):
        assert run(*words, tmp_path / "a.h5", tmp_path / second) == 2
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1
    exps = [experiment(tmp_path / f"seed{i}") for i in range(2)]
    words = ("pack", "--format", "dcase2023", *bare, "--experiment")
    assert run(*words, *exps) == 2
    assert "holds the same scores as" in capsys.readouterr().err


def test_results_that_a_format_does_not_ask_for(
    tmp_path: Path, authors: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = get_format("dcase2023b")
    write_scores(tmp_path / "s.h5", scores(0, form.labels))
    (tmp_path / "r.json").write_text(json.dumps(results(f1=0.4)))
    words = ("--scores", tmp_path / "s.h5", "--results", tmp_path / "r.json", "--authors", authors)
    assert run("pack", "--format", "dcase2023b", *words, "--out", tmp_path / "out") == 1
    assert "dcase2023b asks for no development results" in capsys.readouterr().err


def test_the_blocks_of_a_system_with_separation_are_taken_over(
    tmp_path: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    complete: tuple[object, ...],
    elsewhere: Callable[..., str],
) -> None:
    form = get_format("dcase2020")
    described = meta(form, "Someone_ELSE_task4_SS_SED_4")
    for name in ("system", "results"):
        described[f"sed_{name}"] = described.pop(name)
    blocks = {
        "ss_system": {"ensemble_method_subsystem_count": None, "source_code": "https://uni.edu/ss"},
        "ss_results": {"FUSS": {"SI-SDRi": 11.1}},
    }
    label = ("--label", "Okafor_UNI_task4_SS_SED_1", "--system", elsewhere("dcase2020", described | blocks))
    assert run("pack", "--format", "dcase2020", *label, *complete) == 0
    assert "not taken over" not in capsys.readouterr().err
    packed = written(tmp_path / "out")
    assert {name: packed[name] for name in blocks} == blocks
    assert packed["system"] == described["sed_system"]
    assert "separation" not in found(tmp_path / "out", "dcase2020", clips)
