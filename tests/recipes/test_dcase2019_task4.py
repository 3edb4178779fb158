"""The recipe from nothing to a checked submission, on its miniature; its golden numbers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sedkit.core.files import read_json
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.tables import read_strong
from tests.golden import renew
from tests.recipes._runs import REDUCED, Place, environment, prepared

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SCORED = ("validation", "evaluation", "public")
RESULTS = (
    "validation",
    "validation.csebbs",
    "validation.published",
    "public",
    "public.csebbs",
    "public.published",
    "test_dcase2018",
    "eval_dcase2018",
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return prepared(tmp_path_factory)


@pytest.fixture(scope="module")
def printed(place: Place) -> subprocess.CompletedProcess[str]:
    """All stages; what they printed."""
    return place.runme()


@pytest.fixture(scope="module")
def finished(place: Place, printed: subprocess.CompletedProcess[str]) -> Place:
    assert printed.returncode == 0
    return place


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return read_json(renew.PATH)


def without_times(file: Path) -> list[dict[str, Any]]:
    lines = file.read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "elapsed_s"} for line in lines]


def content(folder: Path, *patterns: str) -> dict[str, bytes]:
    """Content of the files of a folder."""
    found = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


# ---- golden numbers: data and features ------------------------------------------------------------------------------


def test_golden_tables_frames_and_networks(place: Place, golden: dict[str, Any]) -> None:
    for name, found in (
        ("tables", renew.tables(place.data)),
        ("frames", renew.frames(place.data)),
        ("networks", renew.networks()),
    ):
        assert renew.changes(golden[name], found) == []


def test_golden_features(place: Place, golden: dict[str, Any]) -> None:
    found = renew.features(place.data)
    kept, now = (np.array(x["signal"]["cells_db"]) for x in (golden["features"], found))
    loud = kept > golden["features"]["signal"]["maximum_db"] - renew.LOUD_DB
    assert 50 < loud.sum() < loud.size - 50
    np.testing.assert_allclose(now[loud], kept[loud], rtol=0, atol=renew.LOUD_TOLERANCE_DB)
    np.testing.assert_allclose(now, kept, rtol=0, atol=renew.TOLERANCE_DB)
    assert found["sets"].keys() == golden["features"]["sets"].keys()
    for name, bands in golden["features"]["sets"].items():
        for figure, values in bands.items():
            assert found["sets"][name][figure] == pytest.approx(values, abs=renew.TOLERANCE_DB), (name, figure)


# ---- the miniature, end to end --------------------------------------------------------------------------------------


def test_every_stage_leaves_what_the_house_says(finished: Place) -> None:
    features = [f"{name}/logmel-*.h5" for name in ("weak", "synthetic", "validation", "evaluation", "public")]
    for pattern in (*features, *(f"{p}.done.json" for p in features), "unlabelled/clips.tsv", "prepare.json.done.json"):
        assert len(list(finished.data.glob(pattern))) == 1, pattern
    assert not list(finished.root.rglob("*.parts")) and not list(finished.root.rglob("*.part"))
    decoded = [f"{name}{rules}" for name in ("validation", "public") for rules in ("", ".csebbs", ".published")]
    made = {str(p.relative_to(finished.experiment)) for p in finished.experiment.rglob("*") if p.name[0] != "."}
    assert {p for p in made if not p.endswith(".done.json")} == {
        *("config.yaml", "environment.json", "metrics.jsonl", "summary.json", "run.sh"),
        *("checkpoints", "checkpoints/best.pt", "checkpoints/last.pt"),
        *("scores", "scores/weak.tune.h5", "scores/synthetic.tune.h5", *(f"scores/{name}.h5" for name in SCORED)),
        *(f"postprocessing{name}.yaml" for name in ("", ".tagging.weak", ".csebbs", ".csebbs.tagging.weak")),
        *("events", *(f"events/{name}{variant}.tsv" for name in SCORED for variant in ("", ".csebbs"))),
        *("events/validation.published.tsv", "events/public.published.tsv"),
        *("points", *(f"points/{name}" for name in decoded)),
        *(f"points/{name}/predictions_th_{k / 100:g}.tsv" for name in decoded for k in range(1, 100, 2)),
        *("results", *(f"results/{name}.json" for name in RESULTS)),
        *("report", "report/index.html"),
    }
    log = (finished.exp / "runs.log").read_text()
    assert "runme.sh dcase2019_task4" in log and "budget quick" in log and "stage 9 benchmark" in log
    assert "cnn9_weak" in (finished.exp / "RESULTS.md").read_text()


def test_figures_stand_beside_baselines(finished: Place) -> None:
    clips = {"validation": 60, "public": 20, "test_dcase2018": 15, "eval_dcase2018": 45}
    for name in RESULTS:
        results = read_json(finished.experiment / "results" / f"{name}.json")
        assert results["reference"]["clips"] == clips[name.partition(".")[0]]
        assert (results["estimate"]["coverage"], results["estimate"]["partial"]) == (1.0, False)
        assert results["run"]["system"] == "cnn9_weak" and results["run"]["seed"] == 0
        for block in ("event_based", "segment_based", "tagging"):
            assert set(results[block]["classes"]) == set(DESED_CLASSES.labels)
            low, high = results[block]["macro"]["interval"]
            assert low <= high
        positive, negative = (results["baselines"][f"all_{kind}"] for kind in ("positive", "negative"))
        assert 0 < positive["segment_based"]["micro"]["f1"] < 1
        assert positive["event_based"]["macro"]["f1"] < 0.5
        assert negative["event_based"]["micro"]["n_estimate"] == 0
        prevalence = positive["tagging"]["macro"]["average_precision"]
        assert prevalence == pytest.approx(negative["tagging"]["macro"]["average_precision"])
        assert 0.1 < prevalence < 0.25
    positive = results["baselines"]["all_positive"]["tagging"]["macro"]["average_precision"]
    assert results["tagging"]["macro"]["average_precision"] > positive + 0.2


def test_what_is_printed(printed: subprocess.CompletedProcess[str]) -> None:
    assert "all positive:" in printed.stdout
    assert "not comparable" in printed.stdout
    assert "CNN9, weak labels, clipwise loss" in printed.stdout


def test_the_submission_reads_back(finished: Place) -> None:
    (folder,) = (path for path in finished.submissions.iterdir() if path.is_dir())
    (table,) = folder.glob("*.output.csv")
    assert table.name == f"{folder.name}.output.csv"
    submitted = read_strong(table, DESED_CLASSES.labels)
    decoded = read_strong(finished.experiment / "events" / "evaluation.tsv", DESED_CLASSES.labels)
    assert submitted.n_events == decoded.n_events > 0
    assert set(submitted.filenames) <= set(DataDir(finished.data / "evaluation").clips.filename)
    np.testing.assert_allclose(np.sort(submitted.onset_s), np.sort(decoded.onset_s), atol=5e-4)
    (meta,) = folder.glob("*.meta.yaml")
    assert yaml.safe_load(meta.read_text())["submission"]["label"] == folder.name


def test_a_second_run_does_nothing_twice(finished: Place) -> None:
    before = {p: p.stat().st_mtime_ns for p in finished.root.rglob("*") if p.is_file() and p.name[0] != "."}
    shown = content(finished.experiment, "results/*.json")
    again = finished.runme()
    after = {p: p.stat().st_mtime_ns for p in finished.root.rglob("*") if p.is_file() and p.name[0] != "."}
    assert after.keys() == before.keys()
    # The submission is written each time anew: seconds, and the same.
    told = {finished.exp / "runs.log", finished.exp / "RESULTS.md"}
    anew = {p for p, time_ns in after.items() if time_ns != before[p]}
    assert {p for p in anew if not p.is_relative_to(finished.submissions)} <= told
    assert content(finished.experiment, "results/*.json") == shown
    # The miniature, the data dirs, 5 features files, a training, 5 predictions, 4 tunings, 8 tables of events,
    # 6 folders of operating points, 8 files of figures, a page.
    assert again.stderr.count("is up to date") == 40
    assert "train: step" not in again.stderr


def test_stages_6_to_8_need_only_what_is_on_disk(finished: Place, tmp_path: Path) -> None:
    other = Place(tmp_path)
    (tmp_path / "data").symlink_to(finished.root / "data")
    for part in ("config.yaml", "environment.json", "metrics.jsonl", "summary.json", "checkpoints", "scores"):
        source, target = finished.experiment / part, other.experiment / part
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)
    made = other.runme("--stage=6", "--stop-stage=8")
    assert "sedkit train" not in made.stderr and "sedkit predict" not in made.stderr
    for folder, patterns in (
        ("experiment", ("postprocessing*.yaml", "events/*.tsv")),
        ("submissions", ("*/*.output.csv",)),
    ):
        first = content(getattr(finished, folder), *patterns)
        assert len(first) >= 1
        # The head of the rules names the scores that they were tuned on.
        expected = {k: v.replace(str(finished.exp).encode(), str(other.exp).encode()) for k, v in first.items()}
        assert content(getattr(other, folder), *patterns) == expected
    for name in RESULTS:
        a, b = (read_json(p.experiment / "results" / f"{name}.json") for p in (finished, other))
        for block in ("event_based", "segment_based", "tagging", "baselines", "bootstrap"):
            assert a[block] == b[block], (name, block)


@pytest.mark.full
def test_a_killed_training_gives_the_same_network(finished: Place, tmp_path: Path) -> None:
    import torch

    from sedkit.models.checkpoint import read_checkpoint

    other = Place(tmp_path)
    (tmp_path / "data").symlink_to(finished.root / "data")
    stage = ("--stage=4", "--stop-stage=4")
    with open(tmp_path / "log", "w") as log:
        call = [*other.command(*stage), "--", *REDUCED]
        running = subprocess.Popen(call, env=environment(), stdout=log, stderr=log, start_new_session=True)
    metrics, deadline = other.experiment / "metrics.jsonl", time.monotonic() + 200
    while not (metrics.is_file() and metrics.read_text().count("\n")):
        assert running.poll() is None, (tmp_path / "log").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(running.pid, signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (other.experiment / "summary.json").exists()
    assert "going on after step" in other.runme(*stage).stderr
    assert without_times(metrics) == without_times(finished.experiment / "metrics.jsonl")
    for name in ("best.pt", "last.pt"):
        a, b = (read_checkpoint(p.experiment / "checkpoints" / name).networks["network"] for p in (finished, other))
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ---- golden numbers: training ---------------------------------------------------------------------------------------


def test_golden_training(finished: Place, golden: dict[str, Any]) -> None:
    assert golden["trained"]["overrides"] == list(REDUCED), "python -m tests.golden.renew"
    found = renew.trained(finished.experiment)
    bands = golden["trained"]["figures"]
    assert found.keys() == bands.keys()
    for name, value in found.items():
        assert bands[name]["low"] <= value <= bands[name]["high"], (name, value, bands[name])


def test_golden_numbers_were_renewed_by_the_script(golden: dict[str, Any]) -> None:
    figures = golden["trained"]["figures"]
    assert tuple(golden["trained"]["seeds"]) == renew.SEEDS
    for name, kept in figures.items():
        assert len(kept["values"]) == len(renew.SEEDS)
        again = renew.band(kept["values"])
        assert all(kept[key] == pytest.approx(again[key], abs=5e-6) for key in ("mean", "sd", "low", "high")), name
