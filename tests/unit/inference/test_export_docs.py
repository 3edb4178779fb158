"""The program of docs/export.md, which has no sedkit, beside `sedkit predict` and `sedkit decode`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from fake_data import LABELS
from networks import TEN, make_checkpoint

from sedkit.cli.main import main
from sedkit.core.files import write_json, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.store import read_scores
from sedkit.inference.predict import predict_waveforms
from sedkit.inference.predictor import Predictor
from sedkit.models.checkpoint import write_checkpoint

pytest.importorskip("onnx", reason="needs the package onnx (extra onnx)")
pytest.importorskip("onnxruntime", reason="needs the package onnxruntime (extra onnx)")


def sounds(seconds: float) -> np.ndarray:
    """A tone that comes and goes over noise, 8 kHz."""
    t = np.arange(round(8000 * seconds)) / 8000
    tone = np.sin(2 * np.pi * 700 * t) * (np.sin(2 * np.pi * t / 2.3) > 0)
    return (0.3 * tone + 0.01 * np.random.default_rng(0).normal(size=len(t))).astype(np.float32)


def write_experiment(folder: Path, waveform: np.ndarray) -> Path:
    """A network whose frame scores of a recording are on both sides of a half, for every class."""
    content = make_checkpoint({"name": "cnn9_avg", "base_channels": 4}, TEN, 640, normalise={"zscore": {}})
    content.fitted["zscore"] = {"mean": torch.full((32,), -40.0), "std": torch.full((32,), 25.0)}
    scores = predict_waveforms(Predictor(content, "cpu", "fp32"), [("dog", waveform)]).framewise[0]
    logits = np.log(scores.astype(np.float64) / (1 - scores))
    # Between two frames: rounding decides on which side one is that lies at a half itself.
    middle = np.sort(logits, axis=0)[len(logits) // 2 - 1 :][:2].mean(axis=0)
    content.networks["network"]["fc.bias"] -= torch.from_numpy(middle).float()
    (folder / "checkpoints").mkdir(parents=True)
    write_checkpoint(folder / "checkpoints" / "best.pt", content)
    return folder


@pytest.mark.parametrize("seconds", [10.0, 7.31])
def test_scores_and_events_are_those_of_sedkit(
    seconds: float, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment = write_experiment(tmp_path / "exp", sounds(seconds))
    soundfile.write("dog.wav", sounds(seconds), 8000, subtype="FLOAT")
    duration_s = np.array([len(sounds(seconds)) / 8000])
    write_datadir(Path("data"), Clips(("dog.wav",), ("../dog.wav",), duration_s), Vocabulary(LABELS))
    write_json("data/set.json", {"dataset": "docs", "set": "data", "role": "reported"})
    write_yaml("config.yaml", {"frontend": TEN.as_dict()})
    features = f"data/{TEN.name}-{TEN.hash8}.h5"
    for call in (
        ["extract", "data", "--config", "config.yaml", "--out", features],
        ["predict", str(experiment), features, "--out", "scores.h5", "--precision", "fp32", "--device", "cpu"],
        ["decode", "scores.h5", "--postprocessing", "0.5", "--out", "events.tsv"],
        ["export", str(experiment), "cnn9.onnx"],
    ):
        assert main(call) == 0, call
    page = (repository / "docs" / "export.md").read_text(encoding="utf-8")
    (program,) = [block.split("```")[0] for block in page.split("```python\n")[1:]]
    assert "sedkit" not in program
    names: dict[str, Any] = {}
    exec(program, names)
    scores = read_scores("scores.h5")
    n = int(scores.n_frames[0])
    assert n == math.ceil(seconds * 8)
    np.testing.assert_allclose(names["clipwise"][0], scores.clipwise[0], atol=1e-4)
    np.testing.assert_allclose(names["framewise"][0, :n], scores.framewise[0, :n], atol=1e-4)
    rows = [line.split("\t")[1:] for line in Path("events.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    expected = sorted((label, float(onset), float(offset)) for onset, offset, label in rows)
    events = sorted((label, onset, offset) for onset, offset, label in names["events"])
    assert {label for label, *_ in events} == set(LABELS)
    assert [label for label, *_ in events] == [label for label, *_ in expected]
    np.testing.assert_allclose([e[1:] for e in events], [e[1:] for e in expected], atol=5.1e-4)


def test_longer_recordings_are_put_together_as_the_page_says(tmp_path: Path) -> None:
    """Windows every half of their length to the end, weights 2 min(p, 1 - p), the maximum for the clip."""
    import onnxruntime

    waveform = sounds(23.4)
    experiment = write_experiment(tmp_path / "exp", waveform[:80000])
    assert main(["export", str(experiment), str(tmp_path / "x.onnx")]) == 0
    about = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    predictor = Predictor.open(experiment / "checkpoints" / "best.pt", "cpu", "fp32")
    expected = predict_waveforms(predictor, [("long", waveform)])
    features = TEN.transform(waveform[None])[0]
    length, hop = about["windows"]["frames"], about["windows"]["hop_samples"] // TEN.hop_samples
    session = onnxruntime.InferenceSession(str(tmp_path / "x.onnx"))
    unit, sums, clip = about["graph"]["features_a_frame"], np.zeros((400, 4)), np.zeros(3)
    weights = 2 * np.minimum(p := (np.arange(length // unit) + 0.5) / (length // unit), 1 - p)[:, None]
    for first in range(0, len(features), hop):
        window = np.full((1, length, 32), about["features"]["silence"], np.float32)
        piece = features[first : first + length]
        window[0, : len(piece)] = piece
        clipwise, framewise = session.run(None, {"features": window, "n_frames": np.array([len(piece)])})
        clip = np.maximum(clip, clipwise[0])
        at = slice(first // unit, first // unit + length // unit)
        sums[at] += np.hstack([weights * framewise[0], weights])
        if first + length >= len(features):
            break
    n = int(expected.n_frames[0])
    np.testing.assert_allclose(sums[:n, :3] / sums[:n, 3:], expected.framewise[0, :n], atol=1e-4)
    np.testing.assert_allclose(clip, np.asarray(expected.clipwise)[0], atol=1e-4)
    assert (n, first) == (188, 960)
