"""`sedkit stage`: which calls a recipe's stage makes of recipe.yaml and the disk, and that it makes them here."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from stage_case import Place

from sedkit.cli import main as cli
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import write_scores

Stage = Callable[..., list[list[str]]]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The calls that a stage makes of other verbs, which do nothing; one with `fails` in it has status 3."""
    made: list[list[str]] = []
    run = cli.main

    def main(words: list[str]) -> int:
        if words[0] == "stage":
            return run(words)
        made.append(words)
        return 3 if any("fails" in word for word in words) else 130 if any("stop" in word for word in words) else 0

    monkeypatch.setattr(cli, "main", main)
    return made


RUN = "exp/recipe/one/seed0"


def test_predict_scores_what_is_tuned_on_and_what_is_predicted(calls: Stage) -> None:
    after = ["--device", "cpu", "--force", "true"]
    assert [line[3:] for line in calls("predict", "--device", "cpu", "--energy", "true", "--force", "true")] == [
        ["data/weak", "--fold", "tune", "--out", f"{RUN}/scores/weak.tune.h5", *after],
        ["data/in/weaker", "--fold", "tune", "--out", f"{RUN}/scores/weaker.tune.h5", *after],
        ["data/in/validation", "--energy", "true", "--out", f"{RUN}/scores/validation.h5", *after],
        ["data/public", "--energy", "true", "--out", f"{RUN}/scores/public.h5", *after],
    ]
    assert all(line[:3] == ["sedkit", "predict", RUN] for line in calls("predict"))


def test_each_objective_starts_with_the_rules_of_the_one_before(calls: Stage) -> None:
    tagging, labels = f"{RUN}/postprocessing.tagging.weak.yaml", ["--labels", "a recipe/labels.txt"]
    assert [line[2:] for line in calls("tune")] == [
        [
            *(f"{RUN}/scores/weak.tune.h5", "--reference", "data/weak/weak.tsv"),
            *(*labels, "--objective", "tagging", "--groups", "data/weak/clips.tsv", "--out", tagging),
        ],
        [
            *(f"{RUN}/scores/weaker.tune.h5", "--reference", "data/in/weaker/strong.tsv"),
            *(*labels, "--objective", "event", "--groups", "data/in/weaker/clips.tsv"),
            *("--start", tagging, "--out", f"{RUN}/postprocessing.yaml"),
        ],
    ]


def test_an_optional_set_is_tuned_on_last_where_it_is_there(place: Place, made: list[list[str]]) -> None:
    real = {"set": "real", "fold": "tune", "objective": "event", "optional": True}
    place.describe(tuned=[{"set": "weak", "fold": "tune", "objective": "event"}, real], predicted=["weak"], reported={})
    place.set("weak", folds="tune")

    def calls() -> list[list[str]]:
        made.clear()
        for stage in ("predict", "tune"):
            assert cli.main(place.call(stage)) == 0
        return [[Path(word).name for word in words if word.endswith((".h5", ".yaml"))] for words in made]

    weak = ["weak.tune.h5", "weak.h5"]
    assert calls() == [*([name] for name in weak), ["weak.tune.h5", "postprocessing.yaml"]]
    table = place.set("real") / "clips.tsv"
    # Of a few clips none may be in that fold.
    assert calls() == [*([name] for name in weak), ["weak.tune.h5", "postprocessing.yaml"]]
    table.write_text(table.read_text().replace("train", "tune"))
    assert calls() == [
        *([name] for name in ("weak.tune.h5", "real.tune.h5", "weak.h5")),
        ["weak.tune.h5", "postprocessing.event.weak.yaml"],
        ["real.tune.h5", "postprocessing.event.weak.yaml", "postprocessing.yaml"],
    ]


def test_score_decodes_everything_and_scores_what_is_reported_in_whole_and_in_parts(calls: Stage) -> None:
    lines = calls("score")
    decoded = [(line[2], *line[4:7:2]) for line in lines if line[1] == "decode"]
    rules = f"{RUN}/postprocessing.yaml"
    assert decoded == [
        (f"{RUN}/scores/validation.h5", rules, f"{RUN}/events/validation.tsv"),
        (f"{RUN}/scores/public.h5", rules, f"{RUN}/events/public.tsv"),
        (f"{RUN}/scores/validation.h5", "0.5", f"{RUN}/events/validation.plain.tsv"),
    ]
    clips = "data/in/validation/clips.tsv"
    common = ["--durations", clips, "--scores", f"{RUN}/scores/validation.h5"]
    common += ["--metrics", "segment", "--labels", "a recipe/labels.txt"]
    written = [*common, "--bootstrap", "100", "--groups", clips, "--json"]
    scored = [line[4:] for line in lines if line[1:4] == ["score", "--reference", "data/in/validation/strong.tsv"]]
    tuned, plain = (["--estimate", f"{RUN}/events/{name}.tsv"] for name in ("validation", "validation.plain"))
    assert scored == [
        [*plain, *written, f"{RUN}/results/validation.plain.json"],
        [*tuned, *written, f"{RUN}/results/validation.json"],
        [*tuned, *common],
        [*tuned, *written, f"{RUN}/results/test_a.json", "--clips", clips, "--fold", "test_a"],
        [*tuned, *written, f"{RUN}/results/test_b.json", "--clips", clips, "--fold", "test_b"],
    ]
    # Then the page, of the reported sets.
    assert lines[8:] == [["sedkit", "report", RUN, "--data", "data/in/validation", "--clips", "24"]]


def test_an_output_of_every_class_throughout_ends_with_its_clips(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without durations it would end at the last reference event, and be absent from clips without events."""
    for name in ("dcase2019_task4", "esc50_desed"):
        recipe = str(repository / "recipes" / name / "recipe.yaml")
        given = ["stage", "score", "--recipe", recipe, "--data", "d", "--run", f"e/{name}/a/seed0", "--dry-run", "true"]
        assert cli.main(given) == 0
        lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
        beside = [line for line in lines if "--baselines" in line]
        assert beside
        for line in beside:
            reference, durations = (line[line.index(option) + 1] for option in ("--reference", "--durations"))
            assert durations == reference.replace("strong.tsv", "clips.tsv")


def test_windows_of_reported_sets_are_clips_of_their_own(calls: Stage, place: Place) -> None:
    place.describe(windows="pieces.tsv")
    predicted = [line[3:] for line in calls("predict") if "--windows" in line]
    out = f"{RUN}/scores/validation.pieces.h5"
    assert predicted == [["data/in/validation", "--windows", "data/in/validation/pieces.tsv", "--out", out]]
    decoded = [line[2:] for line in calls("score") if line[1] == "decode" and line[2] == out]
    assert decoded == [[out, "--postprocessing", "0.5", "--out", f"{RUN}/events/validation.pieces.plain.tsv"]]


def test_systems_with_one_front_end_extract_once_what_they_read(
    place: Place, made: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    heard = {"more": {"set": "unlabelled"}, "mixed": {"set": "mix", "source": "waveforms"}}
    first = {"data": {"streams": {"more": None, "mixed": None, "first": {"set": "snr{snr_db}"}}}}
    for name, frontend, sections in (
        ("one", {"name": "logmel"}, {}),
        ("two", {"name": "logmel"}, {"data": {"streams": heard}, "passes": {"tagging": first}}),
        # Another front end in this budget alone.
        ("wide", {"name": "logmel"}, {"budgets": {"quick": {"frontend.n_mels": 128}}}),
        ("alone", {"name": "logmel", "edges": "window"}, {}),
    ):
        place.system(name, frontend=frontend, **{"budgets": {"quick": None}, **sections})
    for name in ("weak", "in/weaker", "public", "unlabelled", "mix", "snr-5"):
        place.set(name)
    runs = tuple(f"{name}/snr-5_seed0" for name in ("one", "two", "wide", "alone"))
    assert cli.main(place.call("features", "--budget", "quick", "--jobs", "3", "frontend.fmin_hz=20", runs=runs)) == 0
    conf = place.recipe.parent / "conf"
    extracted = {
        "one": ("weak", "in/weaker", "public"),
        # What its pass learns from, too; recordings are no features.
        "two": ("unlabelled", "snr-5"),
        "wide": ("weak", "in/weaker", "public"),
    }
    assert made == [
        [
            "extract",
            str(place.data / name),
            "--config",
            str(conf / f"{system}.yaml"),
            "--budget",
            "quick",
            "--jobs",
            "3",
            "frontend.fmin_hz=20",
        ]
        for system, names in extracted.items()
        for name in names
    ]
    assert "alone: features of each window on its own" in capsys.readouterr().err


def test_sets_that_were_not_prepared_and_folds_that_no_clip_has_are_left_out(
    place: Place, made: list[list[str]]
) -> None:
    """The clip is called as a fold is, which the column `fold` alone has a say in."""
    place.set("in/validation", folds="test_a")
    assert cli.main(place.call("score")) == 0
    results = [Path(words[words.index("--json") + 1]).stem for words in made if "--json" in words]
    assert results == ["validation.plain", "validation", "test_a"]
    assert not any("public" in word for words in made for word in words)


def test_a_predicted_set_without_events_has_no_figures(place: Place, made: list[list[str]]) -> None:
    place.set("in/validation", table="weak.tsv")
    assert cli.main(place.call("score")) == 0
    assert [words[0] for words in made] == ["decode"]


def test_what_was_trained_on_has_no_figures_and_the_rules_of_the_split_run(
    place: Place, made: list[list[str]], calls: Stage
) -> None:
    place.set("in/validation")
    assert cli.main(place.call("score", runs=("one/all+validation_seed0",))) == 0
    assert [words[0] for words in made] == ["decode"]
    made.clear()
    assert cli.main(place.call("predict", runs=("one/snr-6_all_seed3",))) == 0
    assert [Path(words[-1]).name for words in made] == ["validation.h5"]
    split = place.exp / "one/snr-6_seed3"
    split.mkdir(parents=True)
    (split / "postprocessing.yaml").write_text("decoder: threshold\n")
    for _ in range(2):
        assert cli.main(place.call("tune", runs=("one/snr-6_all_seed3",))) == 0
    copied = place.exp / "one/snr-6_all_seed3/postprocessing.yaml"
    assert copied.read_text() == "decoder: threshold\n"
    here = "exp/recipe/one"
    assert calls("tune", runs=("one/all_seed1",)) == [
        ["cp", "--", f"{here}/seed1/postprocessing.yaml", f"{here}/all_seed1/postprocessing.yaml"]
    ]


def test_rules_that_are_not_there_end_in_a_line(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(place.call("tune", runs=("one/all_seed1",))) == 1
    *_, said = capsys.readouterr().err.splitlines()
    assert said.startswith("cp: error: ") and "one/seed1/postprocessing.yaml" in said


def test_a_system_is_held_against_the_run_of_the_same_name(place: Place, made: list[list[str]]) -> None:
    place.describe(compared="two", score={"metrics": ["segment"], "baselines": True, "bootstrap": 100})
    place.set("in/validation")
    other = place.exp / "two/seed1/events/validation.plain.tsv"
    other.parent.mkdir(parents=True)
    other.touch()
    assert cli.main(place.call("compare", runs=("one/seed0", "one/seed1", "two/seed1"))) == 0
    (words,) = made
    run = place.exp / "one/seed1"
    given = dict(zip(words[1::2], words[2::2], strict=True))
    clips = str(place.data / "in/validation/clips.tsv")
    assert given == {
        "--reference": str(place.data / "in/validation/strong.tsv"),
        "--estimate": str(run / "events/validation.plain.tsv"),
        "--against": str(other),
        "--durations": clips,
        "--groups": clips,
        "--metrics": "segment",
        "--bootstrap": "100",
        "--json": str(run / "comparison/validation.plain.json"),
    }


def test_a_failing_call_ends_its_run_and_no_other(
    place: Place, made: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    place.set("in/validation")
    assert cli.main(place.call("predict", runs=("one/seed0", "fails/seed0", "two/seed0"))) == 3
    assert [Path(words[1]).parent.name for words in made] == ["one"] * 3 + ["fails"] + ["two"] * 3
    assert f"1 of 3 runs failed: {place.exp}/fails/seed0" in capsys.readouterr().err


def test_an_interrupted_call_ends_everything(place: Place, made: list[list[str]]) -> None:
    assert cli.main(place.call("predict", runs=("stop/seed0", "two/seed0"))) == 130
    assert len(made) == 1


def test_calls_are_made_here_and_skipped_while_up_to_date(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Scores of one clip that are above one half in its first second alone, decoded and scored: F1 of 1 by hand."""
    place.describe(score={"metrics": ["segment"], "labels": "labels.txt"})
    validation = place.set("in/validation", folds="test_b")
    for folder in (place.recipe.parent, validation):
        (folder / "labels.txt").write_text("Cat\n")
    framewise = np.array([[[0.9], [0.1]]], dtype=np.float32)
    scores = Scores(framewise, np.array([2]), np.array([2.0]), np.arange(3.0), ("test_b",), ("Cat",))
    run = place.exp / "one/seed0"
    (run / "scores").mkdir(parents=True)
    write_scores(run / "scores/validation.h5", scores)
    (run / "postprocessing.yaml").write_text("decoder: threshold\nclasses:\n  Cat: {threshold: 0.5}\n")
    assert cli.main(place.call("score")) == 0, capsys.readouterr().err
    printed = capsys.readouterr()
    for name in ("validation", "validation.plain", "test_b"):
        figures = json.loads((run / "results" / f"{name}.json").read_text())
        assert figures["segment_based"]["macro"]["f1"] == 1.0
    assert "segment" in printed.out
    said = [line for line in printed.err.splitlines() if line.startswith("+ ")]
    assert len(said) == 7 and all(shlex.split(line)[1] == "sedkit" for line in said)
    assert (run / "report" / "index.html").is_file()
    assert cli.main(place.call("score")) == 0
    # Two tables of events, three files of figures, a page.
    assert capsys.readouterr().err.count("is up to date") == 6


MIXED = {
    "tuned": [{"set": "snr{snr_db}", "fold": "select", "objective": "event"}],
    "predicted": ["snr{snr_db}"],
    "reported": {"snr{snr_db}": []},
    "presets": {"published": "tfseg"},
    "score": {"metrics": ["tagging", "frame"]},
    "masks": ["separation"],
}


def mixtures(place: Place, *folds: str) -> tuple[str, str]:
    """A set of mixtures at -5 dB; a run of fold 2."""
    place.describe(**MIXED)
    folder = place.set("snr-5")
    rows = [f"{i}\t/a/{i}.wav\t2.000\t{fold}\t{i}\n" for i, fold in enumerate(folds)]
    (folder / "clips.tsv").write_text("filename\taudio\tduration\tfold\tgroup\n" + "".join(rows))
    return ("one/snr-5_fold2_seed0",)


def test_a_run_of_a_cross_validation_is_tuned_on_other_folds_and_reported_on_its_own(
    place: Place, made: list[list[str]]
) -> None:
    runs = mixtures(place, "1", "1-select", "2", "2-select", "3", "3-select", "12")
    for stage in ("predict", "tune", "score"):
        assert cli.main(place.call(stage, runs=runs)) == 0
    data, run = place.data / "snr-5", place.exp / runs[0]
    scored = [words[3:5] for words in made if words[0] == "predict"]
    assert scored == [["--fold", "1-select,3-select"], ["--fold", "2,2-select"]]
    assert [words[1] for words in made if words[0] == "tune"] == [f"{run}/scores/snr-5.tune.h5"]
    figures = [words for words in made if words[0] == "score"]
    assert len(figures) == 3
    for words in figures:
        assert words[words.index("--reference") + 1] == f"{data}/strong.tsv"
        assert words[words.index("--clips") : words.index("--clips") + 4] == [
            *("--clips", f"{data}/clips.tsv"),
            *("--fold", "2,2-select"),
        ]
    # Masks are looked at once a run, where the figures are kept under the set's name.
    (masked,) = [words for words in figures if "--experiment" in words]
    assert masked[masked.index("--json") + 1] == f"{run}/results/snr-5.json"
    assert masked[masked.index("--mixtures") + 1] == str(data) and masked.count("--metrics") == 1
    assert masked[masked.index("--metrics") + 1] == "tagging,frame,separation"


def test_without_clips_to_tune_on_the_preset_stands(
    place: Place, made: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = mixtures(place, "1", "2", "3")
    for stage in ("predict", "tune", "score"):
        assert cli.main(place.call(stage, runs=runs)) == 0
    assert [words[3:5] for words in made if words[0] == "predict"] == [["--fold", "2"]]
    assert "no clips to tune on; tfseg stands" in capsys.readouterr().err
    rules = [words[words.index("--postprocessing") + 1] for words in made if words[0] == "decode"]
    assert rules == ["tfseg", "tfseg"] and not [words for words in made if words[0] == "tune"]


def test_a_set_that_a_run_does_not_name_is_said(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    mixtures(place, "1")
    assert cli.main(place.call("predict", runs=("one/seed0",))) == 2
    assert "recipe.yaml: {snr_db} has no value, the run's name has system, seed" in capsys.readouterr().err
