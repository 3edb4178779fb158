"""Several front ends: embeddings beside the features of a window, from extraction to detection."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fake_data import FRONTEND, LABELS, config

from sedkit.cli.main import main
from sedkit.core.files import write_json, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.store import FeatureFile, read_scores
from sedkit.dataio.windows import lay
from sedkit.features.augment import Augmentations, AugmentSetup
from sedkit.features.batch import StreamBatch
from sedkit.features.frontends import features_path, frontend_from
from sedkit.features.sources import embeddings_of, stored_features

#: Rows of 50 ms and 8 bands, at another rate than the features (32 frames a second).
SLOW: dict[str, Any] = {**FRONTEND, "sample_rate": 8000, "hop_samples": 400, "n_mels": 8, "fmax_hz": 4000.0}
MODEL = {
    "name": "crnn",
    "block": "linear_glu",
    "clipwise": "class_attention",
    "channels": [2, 2],
    "pooling": [[2, 4], [1, 4]],
    "units": 3,
    "hidden": 0,
    "fusion": {"embedding": "slow", "bins": 8},
}
SEEDS = {"weak": 0, "validation": 1}


def system(**changes: Any) -> dict[str, Any]:
    """A system that takes the embedding."""
    out = config(model=MODEL, embeddings={"slow": SLOW}, training__steps=4, training__eval_every=4)
    return {**out, "data": {**out["data"], "draw": []}, **changes}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets of noise with both features extracted."""
    root = tmp_path_factory.mktemp("embeddings")
    write_yaml(root / "c.yaml", system())
    for name, seed in SEEDS.items():
        rng, names = np.random.default_rng(seed), [f"{name}{i}.wav" for i in range(8)]
        rows = [(x, 0.5, 1.5, LABELS[i % 3]) for i, x in enumerate(names)]
        for x in names:
            (root / "audio").mkdir(exist_ok=True)
            soundfile.write(root / "audio" / x, rng.normal(0, 0.1, 32000), 16000, subtype="PCM_16")
        folds = tuple("select" if i % 4 == 3 else "train" for i in range(8))
        clips = Clips(tuple(names), tuple(f"../audio/{x}" for x in names), np.full(8, 2.0), folds)
        events = Events.from_rows(rows, LABELS)
        write_datadir(root / name, clips, Vocabulary(LABELS), weak=tags_of(events), strong=events)
        role = "reported" if name == "validation" else "training"
        write_json(root / name / "set.json", {"dataset": "fake", "set": name, "role": role})
        assert main(["extract", str(root / name), "--config", str(root / "c.yaml")]) == 0
    return root


def test_both_front_ends_are_extracted(root: Path) -> None:
    files = [features_path(root / "weak", frontend_from(section)) for section in (FRONTEND, SLOW)]
    assert [FeatureFile(path).shape for path in files] == [(8, 64, 16), (8, 40, 8)]
    assert main(["extract", str(root / "weak"), "--config", str(root / "c.yaml"), "--out", str(root / "x.h5")]) == 2


def test_a_window_has_the_rows_of_its_seconds(root: Path) -> None:
    """A window of 1 s from 0.5 s on: rows 10 to 29 of 50 ms; rows of one step of a network stay together."""
    frontend, slow = frontend_from(FRONTEND), frontend_from({**SLOW, "clip_s": None})
    names = [f"weak{i}.wav" for i in range(8)]
    source = stored_features(root / "weak", frontend, {"slow": frontend_from(SLOW)}, names)
    stored = FeatureFile(features_path(root / "weak", frontend_from(SLOW))).features
    (name, other), windows = next(iter(source.embeddings.items())), lay(source.n_frames, frontend.grid, 32, 16)
    other.frontend = slow
    rows = embeddings_of(source, windows.take(np.array([1])))[name]
    np.testing.assert_array_equal(rows[0], stored[0, 10:30])

    class Steps(type(slow)):  # type: ignore[misc]
        step_rows = 8

    other.frontend = Steps(**{k: v for k, v in slow.as_dict().items() if k != "name"})
    np.testing.assert_array_equal(embeddings_of(source, windows.take(np.array([1])))[name][0], stored[0, 8:28])


def test_training_prediction_and_detection_agree(root: Path, tmp_path: Path) -> None:
    section = system()
    section["data"]["streams"]["weak"]["augment"] = {
        "mixup": {"of": "features", "draw": "batch", "embeddings": "apart"}
    }
    write_yaml(tmp_path / "c.yaml", section)
    experiment, out = tmp_path / "exp", tmp_path / "scores.h5"
    assert main(["train", "--config", str(tmp_path / "c.yaml"), "--data", str(root), "--exp", str(experiment)]) == 0
    words = ["--precision", "fp32", "--device", "cpu"]
    assert main(["predict", str(experiment), str(root / "validation"), "--out", str(out), *words]) == 0
    from sedkit.inference.detector import Detector

    detector = Detector.open(experiment, "0.5", device="cpu", precision="fp32")
    scores = read_scores(out)
    for i in (0, 5):
        path = root / "audio" / scores.filenames[i]
        alone = detector.scores(path).framewise[0]
        np.testing.assert_allclose(alone, scores.framewise[i, : len(alone)], atol=1e-5)
        waveform = soundfile.read(path, dtype="float32")[0]
        np.testing.assert_allclose(detector.scores(waveform, 16000).framewise[0], alone, atol=1e-5)
    assert main(["export", str(experiment), str(tmp_path / "x.onnx")]) == 1 and not (tmp_path / "x.onnx").exists()
    # One file has it all.
    assert main(["export", str(experiment), str(tmp_path / "x.pt"), "--postprocessing", "0.5"]) == 0
    moved = Detector.open(tmp_path / "x.pt", device="cpu", precision="fp32").scores(path)
    np.testing.assert_allclose(moved.framewise[0], alone, atol=1e-6)
    # The embedding counts: other rows, other scores.
    features = np.zeros((1, 64, 16), np.float32)
    real, rows = np.array([64]), np.zeros((1, 40, 8), np.float32)
    both = [detector.predictor.score(features, real, {"slow": x})[0] for x in (rows, rows + 3)]
    assert np.abs(both[0] - both[1]).max() > 1e-4


def test_what_does_not_fit_is_one_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    streams = {"weak": {"set": "weak"}}
    for changes, said in (
        ({"model": {**MODEL, "fusion": {"embedding": "slow", "bins": 9}}}, "takes as embeddings slow of 9 bins"),
        ({"model": {"name": "cnn9_avg", "base_channels": 2}}, "takes as embeddings none"),
        ({"embeddings": {"slow": {**SLOW, "n_mels": 9}}}, "no such features"),
        ({"embeddings": {"slow": {**SLOW, "edges": "window"}}}, "embeddings.slow: transforms every window on its own"),
        ({"embeddings": [1]}, "expected a mapping of names to front ends"),
        ({"data": {"streams": {"weak": {"set": "weak", "source": "waveforms"}}}}, "embeddings are read from files"),
        (
            {"data": {"streams": {"weak": {**streams["weak"], "augment": {"time_shift": {"most_s": 0.1}}}}}},
            "time_shift moves sound in time",
        ),
    ):
        section = system(**changes)
        section["selection"] = {"name": "last"}
        write_yaml(tmp_path / "c.yaml", section)
        call = ["train", "--config", str(tmp_path / "c.yaml"), "--data", str(root), "--exp", str(tmp_path / "exp")]
        assert main(call) in (1, 2)
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert said in error, error


def test_mixup_mixes_embeddings_as_it_mixes_features() -> None:
    frontend = frontend_from(FRONTEND)
    setup = AugmentSetup(16000, frontend.grid, frontend.scale, 0, Path(), LABELS, frames=4, n_bins=2, embeddings=True)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(5, 4, 2, generator=generator)
    batch = StreamBatch(features, torch.full((5,), 4), embeddings={"slow": 2 * features + 1})
    mixed = Augmentations.from_section({"mixup": {"of": "features", "alpha": 1.0}}, setup).on_features(
        batch, (0, 0, 0, 0)
    )
    assert mixed.features is not None and not torch.equal(mixed.features, features)
    torch.testing.assert_close(mixed.embeddings["slow"], 2 * mixed.features + 1)
    kept = replace(batch, embeddings={})
    assert Augmentations([]).on_features(kept, (0, 0, 0, 0)).embeddings == {}
