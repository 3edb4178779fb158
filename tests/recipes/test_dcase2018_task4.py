"""Detection in two passes from nothing to a table, on a miniature and with trainings of a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from sedkit.dataio.store import read_scores
from tests.recipes._judge import every_class_throughout, judged, macro
from tests.recipes._runs import Place

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SHORT = ("training.steps=6", "training.eval_every=6", "training.batch_size=4", "training.precision=fp32")
SYSTEMS = ("mil", "baseline2018")
ALL = (f"--system={','.join(SYSTEMS)}", "--seeds=0,1", "--miniature-size=10", "--page=false", "--jobs=1")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("dcase2018"), "dcase2018_task4")


@pytest.fixture(scope="module")
def finished(place: Place) -> Place:
    """All systems with two seeds; what was printed is in a file."""
    done = place.runme(*ALL, reduced=SHORT)
    (place.root / "printed.txt").write_text(done.stdout)
    return place


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, sep="\t")


def tags_of(path: Path) -> dict[str, set[str]]:
    rows = table(path).fillna("")
    return {
        name: set(filter(None, text.split(","))) for name, text in zip(rows.iloc[:, 0], rows.iloc[:, 1], strict=True)
    }


def saw(experiment: Path) -> dict[str, list[list[str]]]:
    """Sets and folds by what they were for."""
    seen: dict[str, list[list[str]]] = json.loads((experiment / "checkpoints/best.pt.done.json").read_text())["facts"][
        "saw"
    ]
    return seen


def test_passes_are_shared_and_never_see_what_is_tuned_or_reported(finished: Place) -> None:
    assert sorted(path.name for path in finished.exp.iterdir() if path.is_dir()) == [
        "at_cnn.tagging",
        "baseline2018",
        "baseline2018.tagging",
        "mil",
    ]
    for system in ("at_cnn.tagging", "baseline2018.tagging", "mil"):
        assert saw(finished.exp / system / "seed1")["trained"] == [["dcase2018/weak", "train"]]
    # Its own second pass hears unlabelled clips alone; their labels come from what the first one heard.
    both = [["dcase2018/unlabel_in_domain", "train"], ["dcase2018/weak", "train"]]
    assert sorted(saw(finished.exp / "baseline2018/seed0")["trained"]) == both
    clips = table(finished.data / "weak/clips.tsv")
    groups = clips.groupby("fold")["group"].agg(set)
    assert not groups["train"] & groups["tune"] and not groups["train"] & groups["select"]
    tuned = read_scores(finished.exp / "at_cnn.tagging/seed0/scores/weak.tune.h5").filenames
    assert set(tuned) == set(clips.loc[clips["fold"] == "tune", "filename"])


def test_only_tagged_classes_are_decoded(finished: Place) -> None:
    tags = tags_of(finished.exp / "at_cnn.tagging/seed0/tags/test.tsv")
    events = table(finished.exp / "mil/seed0/events/test.published.tsv").dropna(subset=["event_label"])
    assert len(events)
    assert set(zip(events["filename"], events["event_label"], strict=True)) <= {
        (name, label) for name, labels in tags.items() for label in labels
    }
    true = table(finished.data / "test/strong.tsv").dropna(subset=["event_label"])
    oracle = table(finished.exp / "mil/seed0/events/test.oracle.tsv").dropna(subset=["event_label"])
    # A curve that was rescaled in its own clip passes the threshold somewhere.
    pairs = [set(zip(rows["filename"], rows["event_label"], strict=True)) for rows in (oracle, true)]
    assert pairs[0] == pairs[1]


def test_tags_are_clip_scores_above_thresholds_of_the_first_pass(finished: Place) -> None:
    experiment = finished.exp / "at_cnn.tagging/seed0"
    rules = yaml.safe_load((experiment / "postprocessing.yaml").read_text())
    scores = read_scores(experiment / "scores/test.h5")
    tags = tags_of(experiment / "tags/test.tsv")
    for name, row in zip(scores.filenames, scores.clipwise, strict=True):
        above = {
            label
            for label, value in zip(scores.labels, row, strict=True)
            if value > rules["classes"][label]["clip_threshold"]
        }
        assert tags[name] == above


@pytest.mark.parametrize(
    ("system", "which"), [("mil", "test.published"), ("mil", "eval"), ("baseline2018", "eval.published")]
)
def test_figures_are_the_judges(finished: Place, system: str, which: str) -> None:
    experiment, data = finished.exp / system / "seed0", finished.data / which.partition(".")[0]
    results = json.loads((experiment / "results" / f"{which}.json").read_text())
    labels = sorted(results["event_based"]["classes"])
    events = table(experiment / "events" / f"{which}.tsv")
    of_system, of_all = judged(data, labels, events), every_class_throughout(data, labels)
    for name in ("event_based", "segment_based"):
        figures = [np.nan if (f1 := results[name]["classes"][label]["f1"]) is None else f1 for label in labels]
        np.testing.assert_allclose(figures, of_system[name], atol=1e-9)
        controls = results["baselines"]
        assert controls["all_positive"][name]["macro"]["f1"] == pytest.approx(macro(of_all[name]), abs=1e-9)
    scores = read_scores(experiment / "scores" / f"{which.partition('.')[0]}.h5")
    means = np.array(
        [rows[:n].astype(np.float64).mean(axis=0) for rows, n in zip(scores.framewise, scores.n_frames, strict=True)]
    )
    pairs = np.corrcoef(means.T)[np.triu_indices(len(scores.labels), 1)]
    assert results["class_correlation"]["value"] == pytest.approx(np.maximum(pairs, 0).mean(), abs=1e-6)


def test_what_was_tuned_on_test_is_not_reported_there(finished: Place) -> None:
    results = sorted(
        path.stem for path in (finished.exp / "mil/seed0/results").glob("*.json") if ".done" not in path.name
    )
    assert results == ["eval", "eval.oracle", "eval.published", "test.oracle", "test.published"]


def test_the_table(finished: Place) -> None:
    printed = (finished.root / "printed.txt").read_text()
    rows = [line for line in printed.splitlines() if line.lstrip().startswith("*")]
    for system in SYSTEMS:
        of_system = [line for line in rows if line.lstrip("* ").startswith(f"{system}, published")]
        # On eval and on test.
        assert len(of_system) == 2 and all("±" in line for line in of_system)
    assert "not comparable" in printed


def test_a_second_call_finds_everything_done(place: Place, finished: Place) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.done.json")}
    # Of the system whose second pass learns from the first one's tags, which the other has not.
    place.runme(*ALL, "--system=baseline2018", "--seeds=0", "--stop-stage=7", reduced=SHORT)
    assert {path: path.stat().st_mtime_ns for path in finished.root.rglob("*.done.json")} == before
