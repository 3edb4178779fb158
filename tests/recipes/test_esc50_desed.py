"""The recipe from nothing to a submission, on miniatures of a few clips and with networks of a few steps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from sedkit.dataio.store import read_scores
from tests.recipes._judge import every_class_throughout, macro
from tests.recipes._runs import environment

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

FIVE = ["Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner"]

STEPS = ("training.steps=4", "training.eval_every=4", "training.batch_size=4", "model.base_channels=4")
Runme = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def runme(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Runme:
    """Call the recipe with its folders in a temporary place."""
    place = tmp_path_factory.mktemp("esc50_desed")

    def run(*words: str, **other: str) -> subprocess.CompletedProcess[str]:
        folders = [f"--{part}-dir={place / part}" for part in ("data", "exp", "submission")]
        env = environment() | other
        small = ("--miniature-size=10", "--page=false", "--jobs=1", "--device=cpu")
        command = [str(repository / "runme.sh"), "esc50_desed", *folders, *small, *words]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=800)

    run.place = place  # type: ignore[attr-defined]
    return run


@pytest.fixture(scope="module")
def finished(runme: Runme) -> Path:
    """The recipe run end to end: the published system and the one set right."""
    done = runme("--system=faithful,fixed", "--", *STEPS)
    assert done.returncode == 0, done.stderr[-3000:]
    return runme.place  # type: ignore[attr-defined]


def test_each_system_has_figures_over_the_five_classes(finished: Path) -> None:
    for system in ("faithful", "fixed"):
        results = finished / "exp" / "esc50_desed" / system / "seed0" / "results"
        for name in ("validation", "validation.published", "public", "public.published"):
            figures = json.loads((results / f"{name}.json").read_text())
            assert list(figures["segment_based"]["classes"]) == FIVE
            assert len(figures["segment_based"]["macro"]["interval"]) == 2
            assert figures["segment_based"]["parameters"] == {"segment_s": 1.0}
            assert figures["event_based"]["micro"]["n_reference"] > 0
            baselines = figures["baselines"]
            assert baselines["all_negative"]["segment_based"]["micro"]["f1"] in (0, None)
            judged = every_class_throughout(finished / "data/esc50_desed/target" / name.partition(".")[0], FIVE)
            for block, f1 in judged.items():
                found = baselines["all_positive"][block]["macro"]["f1"]
                assert found == pytest.approx(macro(f1, undefined_zero=True), abs=1e-9)


def test_the_wrong_figure_stands_in_a_file_of_its_own(finished: Path) -> None:
    experiment = finished / "exp" / "esc50_desed" / "fixed" / "seed0"
    wrong = json.loads((experiment / "first_column" / "validation.json").read_text())
    assert (wrong["predicted_class"], wrong["reference_class"]) == ("Dog", "Cat")
    assert 0 <= wrong["value"] <= 1
    assert wrong["controls"]["all_negative"] > 0.3
    assert "first_column" not in (experiment / "results" / "validation.published.json").read_text()


def test_thresholds_are_tuned_on_soundscapes_that_nothing_was_trained_on(finished: Path) -> None:
    experiment = finished / "exp" / "esc50_desed" / "fixed" / "seed0"
    rules = yaml.safe_load((experiment / "postprocessing.yaml").read_text())
    assert Path(rules["tuned_on"]["path"]) == finished / "data/esc50_desed/target/synthetic/strong.tsv"
    saw = json.loads((experiment / "scores" / "validation.h5.done.json").read_text())["facts"]["saw"]
    assert {tuple(one) for one in saw["trained"]} == {("esc50/esc50", fold) for fold in "1234"}
    assert saw["selected"] == [["esc50/esc50", "5"]]


def test_published_windows_are_clips_of_their_own(finished: Path) -> None:
    rows = (finished / "data/esc50_desed/target/validation/windows.tsv").read_text().splitlines()[1:]
    windows = [row.split("\t") for row in rows]
    assert windows and all(float(offset) - float(onset) == pytest.approx(1.0) for _, onset, offset in windows)
    scores = read_scores(finished / "exp/esc50_desed/faithful/seed0/scores/validation.windows.h5")
    assert list(scores.filenames) == [
        f"{name.removesuffix('.wav')}_{round(1000 * float(onset))}_{round(1000 * float(offset))}.wav"
        for name, onset, offset in windows
    ]
    np.testing.assert_allclose(scores.duration_s, 1.0)


def test_a_submission_of_both_systems_is_written(finished: Path) -> None:
    folders = sorted(p for p in (finished / "submission" / "esc50_desed").iterdir() if p.is_dir())
    assert len(folders) == 2
    for folder in folders:
        (table,) = [*folder.rglob("*.output.csv"), *folder.rglob("*.output.tsv")]
        labels = {row.split("\t")[3] for row in table.read_text().splitlines()[1:]}
        assert labels <= {*FIVE, ""}


def test_a_second_run_finds_everything_done(runme: Runme, finished: Path) -> None:
    before = (finished / "exp/esc50_desed/fixed/seed0/checkpoints/best.pt").stat().st_mtime_ns
    # Here with the plain interpreter.
    again = runme("--system=fixed", "--stop-stage=6", "--", *STEPS, SEDKIT_PYTHON=sys.executable)
    assert again.returncode == 0, again.stderr[-3000:]
    assert again.stderr.count("is up to date") >= 6
    assert (finished / "exp/esc50_desed/fixed/seed0/checkpoints/best.pt").stat().st_mtime_ns == before


def test_a_recording_on_both_sides_stops_stage_1(runme: Runme, finished: Path) -> None:
    table = (finished / "data/miniature/esc50/meta/esc50.csv").read_text().splitlines()
    source = dict(zip(table[0].split(","), table[1].split(","), strict=True))["src_file"]
    ledger = finished / "data/miniature/desed/metadata/sources.tsv"
    before = ledger.read_text()
    rows = before.splitlines()
    planted = next(i for i, row in enumerate(rows) if row.startswith("validation\t"))
    rows[planted] += f",Dog:{source}"
    ledger.write_text("\n".join(rows) + "\n")
    try:
        stopped = runme("--stage=1", "--stop-stage=1")
    finally:
        ledger.write_text(before)
    assert stopped.returncode == 1
    (error,) = (line for line in stopped.stderr.splitlines() if line.startswith("sedkit prepare: error:"))
    assert f"recording {source}" in error and rows[planted].split("\t")[1] in error
    left_out = runme("--stage=1", "--stop-stage=1", "--lenient")
    assert left_out.returncode == 0
