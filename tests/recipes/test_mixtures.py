"""The recipe of mixtures from nothing to a table, on a miniature and with networks of a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from sklearn.metrics import average_precision_score

from sedkit.cli.main import main
from sedkit.dataio.store import read_scores
from tests.recipes._judge import every_class_throughout, judged, macro
from tests.recipes._runs import Place

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHORT = (
    "mix.mixtures=12",
    "training.steps=4",
    "training.eval_every=4",
    "training.batch_size=4",
    "model.base_channels=2",
    "training.precision=fp32",
)
RUNS = [f"snr{level}_fold{fold}_seed0" for level in (0, 10) for fold in (1, 2)]
ALL = ("--system=gwrp", "--snr=0,10", "--folds=1,2", "--page=false", "--jobs=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("mixtures"), "mixtures")


@pytest.fixture(scope="module")
def finished(place: Place) -> Path:
    """One system at two levels, on two folds, and the folder of all."""
    done = place.runme(*ALL, reduced=SHORT)
    (place.root / "printed.txt").write_text(done.stdout)
    return place.root


@pytest.mark.parametrize("run", RUNS)
def test_no_run_saw_what_it_is_scored_on(finished: Path, run: str) -> None:
    experiment, fold = finished / "exp/mixtures/gwrp" / run, run.split("_fold")[1][0]
    level = run.partition("_")[0]
    scored = read_scores(experiment / "scores" / f"{level}.h5").filenames
    tuned = read_scores(experiment / "scores" / f"{level}.tune.h5").filenames
    plan = yaml.safe_load((finished / "data/mixtures/plan.yaml").read_text())["mixtures"]
    sources = {
        one["mixture_name"]: {event["event_audio_name"] for event in one["events"]} | {one["scene_group"]}
        for one in plan
    }
    of_fold = {one["mixture_name"] for one in plan if one["fold"].partition("-")[0] == fold}
    assert set(scored) == of_fold
    assert {one["fold"] for one in plan if one["mixture_name"] in tuned} == {f"{k}-select" for k in "1234" if k != fold}
    facts = json.loads((experiment / "checkpoints/best.pt.done.json").read_text())["facts"]
    seen = {name for _, name in facts["saw"]["trained"]}
    assert seen == {k for k in "1234" if k != fold}
    heard = set().union(*(sources[one["mixture_name"]] for one in plan if one["fold"] in seen))
    for name in (*scored, *tuned):
        assert not sources[name] & heard


def test_levels_are_those_asked_for(finished: Path) -> None:
    """Levels of the stems' files, as the plan's events lie in them: the published definition is of whole recordings."""
    plan = yaml.safe_load((finished / "data/mixtures/plan.yaml").read_text())
    for level in (0, 10):
        levels = pd.read_csv(finished / f"data/mixtures/snr{level}/levels.tsv", sep="\t")
        assert len(levels) == sum(len(one["events"]) for one in plan["mixtures"])
    for one in plan["mixtures"][:6]:
        stems = [finished / f"data/mixtures/snr{level}.stems" / Path(one["mixture_name"]).stem for level in (0, 10)]
        scene, louder = (soundfile.read(folder / "scene.wav")[0] for folder in stems)
        label = one["events"][0]["event_label"]
        quiet, loud = (soundfile.read(folder / f"{label}.wav")[0] for folder in stems)
        ratio = [10 * np.log10(np.mean(x**2) / np.mean(s**2)) for x, s in ((quiet, scene), (loud, louder))]
        assert ratio[1] - ratio[0] == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("rules", ["", ".published"])
def test_figures_are_the_judges(finished: Path, rules: str) -> None:
    experiment, data = finished / "exp/mixtures/gwrp/snr0_fold1_seed0", finished / "data/mixtures/snr0"
    results = json.loads((experiment / "results" / f"snr0{rules}.json").read_text())
    assert {"tagging", "event_based", "frame_based", "baselines"} <= results.keys()
    assert ({"segmentation", "separation"} <= results.keys()) is (not rules)
    clips = pd.read_csv(data / "clips.tsv", sep="\t", dtype={"fold": str})
    clips = clips[clips["fold"].isin(["1", "1-select"])]
    strong = pd.read_csv(data / "strong.tsv", sep="\t")
    scores = read_scores(experiment / "scores/snr0.h5")
    row, precision = {name: i for i, name in enumerate(scores.filenames)}, []
    for label in sorted(set(strong["event_label"])):
        sounding = set(strong.loc[strong["event_label"] == label, "filename"])
        truth = [name in sounding for name in clips["filename"]]
        at = scores.labels.index(label)
        if any(truth):
            precision.append(
                average_precision_score(truth, [scores.clipwise[row[name], at] for name in clips["filename"]])
            )
    assert results["tagging"]["macro"]["average_precision"] == pytest.approx(np.mean(precision))
    apart = finished / f"judged{rules}"
    apart.mkdir()
    clips.to_csv(apart / "clips.tsv", sep="\t", index=False)
    strong.to_csv(apart / "strong.tsv", sep="\t", index=False)
    labels = sorted(set(strong.loc[strong["filename"].isin(clips["filename"]), "event_label"]))
    events = pd.read_csv(experiment / "events" / f"snr0{rules}.tsv", sep="\t")
    figures = results["event_based"]["classes"]
    for figure, name in (("f1", "f_measure"), ("error_rate", "error_rate")):
        of_system = judged(apart, labels, events, name)["event_based"]
        assert [figures[label][figure] for label in labels] == pytest.approx(of_system, abs=1e-9)
    of_all = every_class_throughout(apart, labels)["event_based"]
    assert results["baselines"]["all_positive"]["event_based"]["macro"]["f1"] == pytest.approx(macro(of_all), abs=1e-9)


def test_the_table_has_levels_controls_and_published_figures(finished: Path) -> None:
    table = (finished / "printed.txt").read_text()
    rows = [line for line in table.splitlines() if line.lstrip().startswith("*")]
    for level in (0, 10):
        for what in (f"gwrp, {level} dB, tuned", f"gwrp, {level} dB, published", f"ideal ratio masks, {level} dB"):
            (row,) = (line for line in rows if what in line)
            assert "folds 1, 2" in row
    assert "comparable: Kong et al. 2018" in table
    assert (finished / "exp/mixtures/RESULTS.md").read_text().count("| ideal binary masks, 0 dB |") == 1


def test_a_second_call_finds_everything_done(place: Place, finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.done.json")}
    # Of one of the four runs: what the others share is looked at, too.
    place.runme(*ALL, "--snr=0", "--folds=1", "--stop-stage=7", reduced=SHORT)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.done.json")} == before


def test_one_stage_alone(place: Place, finished: Path) -> None:
    table = finished / "exp/mixtures/RESULTS.md"
    before = table.read_text()
    table.unlink()
    done = place.runme(*ALL, "--stage=9", reduced=SHORT)
    log = done.stdout + done.stderr
    assert {line.split()[2] for line in log.splitlines() if line.startswith("== stage")} == {"9"}
    assert table.read_text().replace(" --stage=9", "") == before


def test_sounds_are_taken_out_of_a_recording(finished: Path) -> None:
    experiment, out = finished / "exp/mixtures/gwrp/snr0_fold1_seed0", finished / "separated"
    rng = np.random.default_rng(0)
    soundfile.write(finished / "mine.wav", rng.normal(0, 0.1, 3 * 44100), 44100)
    call = ["separate", str(experiment), str(finished / "mine.wav"), "--out", str(out), "--classes", "Bark,Meow"]
    assert main([*call, "--device", "cpu"]) == 0
    for label in ("Bark", "Meow"):
        assert soundfile.info(out / "mine" / f"{label}.wav").duration == pytest.approx(3.0, abs=1e-3)
