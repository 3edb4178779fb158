"""A system that learns from embeddings: extracted, trained, scored from features and from recordings alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from sedkit.cli.main import main
from sedkit.core.files import write_json
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Tags
from sedkit.dataio.store import read_scores
from sedkit.models.beats import Beats
from sedkit.models.complexity import count_complexity
from sedkit.models.sizes import BeatsOptions

TINY = {"patch_width": 8, "width": 16, "hidden": 16, "layers": 1, "heads": 2, "taps": 8, "groups": 4}
LABELS = ("a", "b")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with weights, recordings of 10 s, their features and an experiment."""
    root = tmp_path_factory.mktemp("system")
    torch.manual_seed(0)
    torch.save({"model": Beats(BeatsOptions(**TINY)).state_dict()}, root / "beats.pt")
    rng = np.random.default_rng(0)
    names = tuple(f"{i}.wav" for i in range(6))
    for i, name in enumerate(names):
        write_wav(root / "audio" / name, (0.02 + 0.1 * (i % 2)) * rng.standard_normal(160000), 16000)
    clips = Clips(names, tuple(f"../audio/{name}" for name in names), np.full(6, 10.0), ("train", "select") * 3)
    target = np.array([[i % 2 == 0, i % 2 == 1] for i in range(6)])
    write_datadir(root / "weak", clips, Vocabulary(LABELS), weak=Tags(names, LABELS, target))
    write_json(root / "weak" / "set.json", {"dataset": "fake", "set": "weak", "role": "training"})
    config = {
        "recipe": "fake",
        "system": "on_beats",
        "frontend": {
            "name": "beats",
            "weights": str(root / "beats.pt"),
            "tokens": "mean",
            "network": TINY,
            "stored": "float16",
        },
        "data": {
            "streams": {"weak": {"set": "weak"}},
            "select": {"weak": {"set": "weak", "folds": ["select"]}},
        },
        "normalise": {"zscore": {}},
        "model": {"name": "crnn", "channels": [4], "pooling": [[1, 16]], "units": 4, "hidden": 0},
        "objective": {"name": "clip_bce"},
        "optimiser": {"name": "adam"},
        "training": {"steps": 4, "batch_size": 2, "eval_every": 2, "precision": "fp32", "device": "cpu"},
    }
    (root / "conf.yaml").write_text(yaml.safe_dump(config))
    assert main(["extract", str(root / "weak"), "--config", str(root / "conf.yaml")]) == 0
    call = ["train", "--config", str(root / "conf.yaml"), "--data", str(root), "--exp", str(root / "exp")]
    assert main(call) == 0
    return root


def test_the_training_is_known_by_the_content_of_the_weights(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "moved.pt").write_bytes((trained / "beats.pt").read_bytes())
    call = ["train", "--config", str(trained / "conf.yaml"), "--data", str(trained), "--exp", str(trained / "exp")]
    assert main([*call, f"frontend.weights={tmp_path / 'moved.pt'}"]) == 0
    assert "is up to date" in capsys.readouterr().err


def test_features_and_recordings_are_scored_alike(trained: Path, tmp_path: Path) -> None:
    exp, same = str(trained / "exp"), ["--device", "cpu", "--precision", "fp32"]
    assert main(["predict", exp, str(trained / "weak"), "--out", str(tmp_path / "p.h5"), *same]) == 0
    call = ["detect", exp, str(trained / "audio"), "--postprocessing", "0.5", "--scores", str(tmp_path / "d.h5")]
    assert main([*call, "--out", str(tmp_path / "events.tsv"), *same]) == 0
    predicted, detected = read_scores(tmp_path / "p.h5"), read_scores(tmp_path / "d.h5")
    assert predicted.filenames == detected.filenames and predicted.framewise.shape == (6, 62, 2)
    # The features on disk have 11 bits.
    np.testing.assert_allclose(detected.framewise, predicted.framewise, atol=2e-3)
    assert np.diff(predicted.frame_edges_s) == pytest.approx(0.16)


def test_the_size_of_the_system_holds_the_embeddings_network(trained: Path) -> None:
    complexity = count_complexity(trained / "exp/checkpoints/best.pt")
    frozen = sum(p.numel() for p in Beats(BeatsOptions(**TINY)).parameters())
    # Convolution 3x3 of 4 channels with its norm, a GRU of 4 inputs and 4 units in both directions, a classifier.
    own = (9 * 4 + 4 + 8) + 2 * 3 * (4 * 4 + 4 * 4 + 4 + 4) + (8 * 2 + 2)
    assert complexity.parameters == frozen + own
    steps = 62 * 8
    # Of each token: patch, first layer, positions (4 groups), 4 + 2 products of the layer, 2 of its attention, gate.
    a_token = 256 * 8 + 8 * 16 + 8 * 16 * 4 + 4 * 16 * 16 + 2 * 16 * 16 + 2 * steps * 16 + 2 * 8 * 8
    assert complexity.macs is not None and complexity.macs >= steps * a_token
    assert complexity.macs <= 1.2 * steps * a_token
