"""Networks learn from labels, and from nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sedkit.cli.main import main
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Tags, tags_of
from sedkit.dataio.store import read_scores
from sedkit.dataio.tables import read_weak, write_weak
from tests.recipes._runs import CONF, REDUCED, Place, prepared

# A loaded machine takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

#: Every labelled clip of the miniature that a weakly trained network never sees: 160.
UNSEEN = ("validation", "public", "synthetic")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return prepared(tmp_path_factory)


def train(data: Path, folder: Path, *overrides: str) -> tuple[float, float]:
    """Mean average precision of a short run on the clips that it never sees, and the mean prevalence there."""
    settings = (*REDUCED, "training.eval_every=1000", "data.draw=[]", *overrides)
    given = ["--config", str(CONF), "--data", str(data), "--exp", str(folder), "--device", "cpu"]
    assert main(["train", *given, *settings]) == 0
    scores, truth = [], []
    for name in UNSEEN:
        out = folder / f"{name}.h5"
        call = ["predict", str(folder), str(data / name), "--out", str(out), "--device", "cpu", "--precision", "fp32"]
        assert main(call) == 0
        predicted = read_scores(out)
        scores.append(predicted.clipwise)
        tags = tags_of(DataDir(data / name).strong()).keep_clips(predicted.filenames)
        assert (tags.filenames, tags.labels) == (predicted.filenames, predicted.labels)
        truth.append(tags.present)
    present = np.concatenate(truth)
    assert present.shape == (160, 10)
    return float(average_precision_score(present, np.concatenate(scores))), float(present.mean())


def mean_gap(gaps: list[float]) -> float:
    """Mean over the runs, none of which may leave far.

    Random order itself lies (1 - p) * H(160) / 160 = 0.03 above the prevalence p, average precision being what it is;
    a single network, which answers to loudness or to a label that happened to go with it, lies 0.02 from its mean.
    """
    assert max(np.abs(gaps)) < 0.15, gaps
    return float(np.mean(gaps))


def test_an_untrained_network_knows_nothing(place: Place, tmp_path: Path) -> None:
    # A step of rate nought: the batch norms, the scaler and all else as in a training.
    value, prevalence = train(place.data, tmp_path / "exp", "training.steps=1", "optimiser.learning_rate=1e-12")
    assert abs(value - prevalence) < 0.10


def test_labels_shuffled_over_clips_teach_nothing_and_the_true_ones_do(place: Place, tmp_path: Path) -> None:
    gaps = []
    for seed in range(2):
        data = tmp_path / f"data{seed}"
        shutil.copytree(place.data, data)
        table = data / "weak" / "weak.tsv"
        tags = read_weak(table)
        order = np.random.default_rng(seed).permutation(len(tags.filenames))
        write_weak(table, Tags(tags.filenames, tags.labels, tags.present[order], tags.source))
        value, prevalence = train(data, tmp_path / f"shuffled{seed}", f"training.seed={seed}")
        gaps.append(value - prevalence)
    assert abs(mean_gap(gaps)) < 0.10, gaps
    value, prevalence = train(place.data, tmp_path / "true")
    assert value - prevalence > 0.30
    assert value - prevalence > max(gaps) + 0.15
