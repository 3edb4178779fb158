"""Exported networks, run by onnxruntime beside PyTorch."""

from __future__ import annotations

import hashlib
import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
from fake_data import LABELS
from networks import ALONE, TEN, make_checkpoint, make_experiment
from torch import Tensor

from sedkit.cli.main import main
from sedkit.core.files import write_yaml
from sedkit.features.frontends.logmel import LogMel
from sedkit.models import registry
from sedkit.models.checkpoint import read_checkpoint, write_checkpoint
from sedkit.models.output import SedModel, SedOutput
from sedkit.postprocessing.rules import FrameRule, Postprocessing

onnx = pytest.importorskip("onnx", reason="needs the package onnx (extra onnx)")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the package onnxruntime (extra onnx)")

#: 64 bins, frames of 1/64 s, clips of 1 s.
SHORT = LogMel(sample_rate=16000, n_fft=1024, hop_samples=250, n_mels=64, fmax_hz=None, clip_s=1.0)
_BEATS: dict[str, Any] = {"patch_width": 8, "width": 16, "hidden": 16, "layers": 2, "heads": 2, "taps": 8, "groups": 4}
_ATST: dict[str, Any] = {"width": 16, "hidden": 16, "layers": 2, "heads": 2}
#: What makes networks small where that is not 2 channels.
SIZES: dict[str, dict[str, Any]] = {
    "crnn": {"channels": [4, 4, 4], "units": 6},
    "beats": _BEATS,
    "atst_frame": _ATST,
    "passt": _ATST,
    "ast": _ATST | {"frames": 136},
    "pretrained_sed": {},
}
#: Ways through networks that have several.
SMALL: dict[str, list[dict[str, Any]]] = {
    "crnn": [
        {"block": "relu"},
        {"block": "glu", "clipwise": "attention", "gru_layers": 2, "hidden": 0},
        {"block": "linear_glu", "clipwise": "class_attention", "pooling": [[2, 4], [2, 4], [1, 4]]},
        {"block": "context_gating", "clipwise": "frame_mean", "kernels": 4, "pooling_type": "avg"},
    ],
    "resnet18": [{"input_frames": 64}],
    "tagging_cnn": [{"hidden": 5}],
    "passt": [{}, {"positions": 6}],
    "cnn9_avg": [{}, {"clipwise": "frame_max", "mask_padding": False}],
    "segmentation_gwrp": [{}, {"time_pooling": 4, "bin_pooling": 2}],
    "atrous_attention": [{}, {"head": "log_softmax"}],
    "two_step_attention": [{}, {"input_frames": 64, "framewise": "step_two"}],
    # More rows than steps, and fewer.
    "pretrained_sed": [
        {"body": {"name": "beats", **_BEATS}, "units": 3, "step_frames": 8},
        {"body": {"name": "atst_frame", **_ATST}, "clipwise": "class_attention"},
        {"body": {"name": "atst_frame", **_ATST}, "step_frames": 3},
    ],
}
NETWORKS = [
    {"name": name} | SIZES.get(name, {"base_channels": 2}) | options
    for name in registry.model_names()
    for options in SMALL.get(name, [{}])
]


def exported(experiment: Path, *options: str) -> tuple[Any, dict[str, Any]]:
    """The graph that the command line writes, and what stands beside it."""
    out = experiment / "network.onnx"
    assert main(["export", str(experiment), str(out), *options]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    return session, json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: "-".join(str(value) for value in model.values()))
def test_every_network_is_met_whatever_the_batch(model: dict[str, Any], tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, model, SHORT, 64, normalise={"zscore": {}})
    session, about = exported(experiment)
    assert about["windows"]["any_number_of_frames"] is (model.get("input_frames") is None)
    content = read_checkpoint(experiment / "checkpoints" / "best.pt")
    network, normalise = content.network(), content.normalisation()
    most = about["windows"]["most_frames"] or 130
    lengths = [n for n in (64, 40, 97, 130) if n <= most] if about["windows"]["any_number_of_frames"] else [64]
    generator = torch.Generator().manual_seed(0)
    worst = 0.0
    for frames in lengths:
        for batch in (1, 5):
            features = torch.randn(batch, frames, 64, generator=generator)
            n_frames = torch.randint(1, frames + 1, (batch,), generator=generator)
            n_frames[-1] = frames
            with torch.inference_mode():
                expected = network(normalise(features, n_frames), n_frames)
            got = session.run(["clipwise", "framewise"], {"features": features.numpy(), "n_frames": n_frames.numpy()})
            for ours, theirs in zip(got, (expected.clipwise, expected.framewise), strict=True):
                assert ours.dtype == np.float32 and ours.shape == theirs.shape
                worst = max(worst, float(np.abs(ours - theirs.numpy()).max()))
    print(f"{model['name']}: largest difference {worst:.1e}")
    # A clip alone and the same beside longer ones: what the graph is told of its length counts.
    assert worst <= 1e-5


def test_normalisation_in_all_its_stages_is_in_the_graph(tmp_path: Path) -> None:
    stages = {"top_db": {}, "minmax": {"low": 0.0, "high": 0.9}, "pad": {"value": 0.05}}
    model = {"name": "tests_mean", "pooling": 1}
    session, about = exported(make_experiment(tmp_path, model, SHORT, 64, normalise=stages))
    assert list(about["normalise"]) == list(stages)
    features = np.random.default_rng(0).uniform(-90, 10, (3, 64, 64)).astype(np.float32)
    n_frames = np.array([64, 40, 3])
    _, framewise = session.run(None, {"features": features, "n_frames": n_frames})
    for clip, real, got in zip(features.astype(np.float64), n_frames, framewise, strict=True):
        x = np.maximum(clip, clip[:real].max() - 80)
        low, high = x[:real].min(), x[:real].max()
        x = np.clip(0.9 * (x - low) / (high - low), 0, 0.9)
        x[real:] = 0.05
        np.testing.assert_allclose(got[:, 0], x.mean(1), atol=1e-6)


def test_what_stands_beside_the_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make_experiment(tmp_path, {"name": "cnn9_avg", "base_channels": 2}, TEN, 640)
    rules = Postprocessing.uniform(LABELS, FrameRule(threshold=0.3, median_s=0.5))
    rules.write(experiment / "postprocessing.yaml")
    _, about = exported(experiment)
    assert capsys.readouterr().err.count("within") == 1
    assert about["labels"] == list(LABELS)
    assert about["frontend"] == TEN.as_dict()
    spectrogram = about["spectrogram"]
    np.testing.assert_allclose(spectrogram["window"], scipy.signal.get_window("hann", 256, fftbins=False), atol=1e-12)
    assert (spectrogram["first_sample"], spectrogram["hop_samples"]) == (-128, 125)
    bank = np.zeros((129, 32))
    for column, filter in zip(bank.T, spectrogram["filters"], strict=True):
        column[filter["first_bin"] : filter["first_bin"] + len(filter["weights"])] = filter["weights"]
    np.testing.assert_allclose(bank.T, librosa.filters.mel(sr=8000, n_fft=256, n_mels=32, fmin=50), atol=1e-8)
    assert about["features"]["silence"] == pytest.approx(-100)
    assert about["windows"] == {
        "samples": 80000,
        "frames": 640,
        "any_number_of_frames": True,
        "most_frames": None,
        "hop_samples": 40000,
    }
    assert (about["graph"]["frame_s"], about["graph"]["features_a_frame"]) == (0.125, 8)
    assert about["postprocessing"]["classes"]["Cat"]["median_s"] == 0.5
    best = hashlib.sha256((experiment / "checkpoints" / "best.pt").read_bytes()).hexdigest()
    assert about["checkpoint"] == f"sha256:{best}"
    assert "MIT License" in about["licence"] and about["versions"]["torch"] == torch.__version__
    file = experiment / about["file"]["name"]
    assert hashlib.sha256(file.read_bytes()).hexdigest() == about["file"]["sha256"]
    graph = onnx.load(str(file))
    assert graph.opset_import[0].version == about["graph"]["opset"] == 17
    inside = {entry.key: json.loads(entry.value) for entry in graph.metadata_props}
    assert inside["sedkit"] == {key: value for key, value in about.items() if key != "file"}
    assert inside["labels"] == list(LABELS)
    onnx.checker.check_model(graph, full_check=True)


def test_every_file_is_called_alike(tmp_path: Path) -> None:
    """A network that has no use for the number of real frames is told it all the same."""
    session, about = exported(make_experiment(tmp_path, {"name": "tests_mean", "pooling": 4}, ALONE, 4096))
    assert [(given.name, given.type) for given in session.get_inputs()] == [
        ("features", "tensor(float)"),
        ("n_frames", "tensor(int64)"),
    ]
    assert [given.name for given in session.get_outputs()] == ["clipwise", "framewise"]
    # Windows of samples, of which the front end makes the frames: 1 + 4096 // 64.
    assert (about["windows"]["samples"], about["windows"]["frames"]) == (4096, 65)
    assert about["features"]["frames_of_a_recording"] == "windows transformed one by one"
    assert about["graph"]["inputs"]["n_frames"]["real_frames"] == "all of the window"


def test_the_network_that_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make_experiment(tmp_path, {"name": "cnn9_avg", "base_channels": 2}, SHORT, 64)
    content = make_checkpoint({"name": "cnn9_avg", "base_channels": 2}, SHORT, 64)
    student = content.networks.pop("network")
    teacher = {name: value + 0.1 if name == "fc.bias" else value for name, value in student.items()}
    content.networks, content.selected = {"student": student, "teacher": teacher}, "student"
    write_checkpoint(experiment / "checkpoints" / "last.pt", content)
    inputs = {"features": np.full((1, 64, 64), -40, np.float32), "n_frames": np.array([64])}
    logits = []
    for options in ([], ["--network", "student"], ["--network", "teacher"]):
        session, about = exported(experiment, "--checkpoint", "last", *options)
        clip = session.run(["clipwise"], inputs)[0].astype(np.float64)
        logits.append(np.log(clip / (1 - clip)))
        assert about["checkpoint"].endswith(f"@{options[1] if options else 'student'}")
    np.testing.assert_array_equal(logits[0], logits[1])
    np.testing.assert_allclose(logits[2] - logits[0], 0.1, atol=1e-3)
    assert main(["export", str(experiment), str(tmp_path / "x.onnx"), "--network", "teacher"]) == 1
    assert "no network 'teacher'" in capsys.readouterr().err


def test_what_is_up_to_date_is_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make_experiment(tmp_path, {"name": "cnn9_avg", "base_channels": 2}, SHORT, 64)
    exported(experiment)
    first = (experiment / "network.onnx").stat().st_mtime_ns
    exported(experiment)
    assert (experiment / "network.onnx").stat().st_mtime_ns == first
    assert "is up to date" in capsys.readouterr().err
    # Rules that came later, and a JSON that is gone, are reasons to write again.
    Postprocessing.uniform(LABELS, FrameRule(threshold=0.3)).write(experiment / "postprocessing.yaml")
    assert exported(experiment)[1]["postprocessing"]["classes"]["Dog"]["threshold"] == 0.3
    (experiment / "network.json").unlink()
    before = (experiment / "network.onnx").read_bytes()
    exported(experiment)
    assert (experiment / "network.onnx").read_bytes() == before  # the same input, the same bytes


@dataclass(frozen=True)
class NoOptions:
    """Of a network that has none."""


class Odd(SedModel):
    """What no ONNX operation says, or what recording does not see."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        framewise = torch.sigmoid(x[:, :, :3])
        if self.how == "operation":
            framewise = torch.sigmoid(torch.special.airy_ai(x[:, :, :3]))
        if self.how == "branch" and float(x.mean()) > -99:
            framewise = 0.5 * framewise
        if self.how == "length":
            framewise = framewise[:, : int(x.shape[1])]
        return SedOutput(framewise.amax(1), framewise)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("operation", "has no ONNX form of opset 17 (Exporting the operator 'aten::special_airy_ai'"),
        ("branch", "would not be the network (its probabilities differ by up to"),
        ("length", "would not be the network (onnxruntime gives scores of (1, 64, 3), the network of (1, 97, 3))"),
    ],
)
def test_a_network_that_cannot_be_exported_is_refused_in_one_line(
    how: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build = (lambda n_classes, n_bins, options: Odd(how)), NoOptions
    monkeypatch.setitem(registry._MODELS._entries, "tests_odd", build)
    experiment = make_experiment(tmp_path, {"name": "tests_odd"}, SHORT, 64)
    assert main(["export", str(experiment), str(tmp_path / "out" / "x.onnx")]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and said in error and "`sedkit detect` runs" in error and "best.pt" in error
    assert not (tmp_path / "out").exists()


def test_bad_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = make_experiment(tmp_path, {"name": "tests_mean"}, SHORT, 64)
    for words, status, said in (
        ([str(experiment), "x.pth"], 2, "x.pth: expected a name that ends in .onnx or .pt"),
        ([str(experiment)], 2, "OUT.onnx"),
        ([str(tmp_path / "none"), "x.onnx"], 1, "no such checkpoint"),
        ([str(experiment), "x.onnx", "--window", "3"], 2, "unknown option --window"),
    ):
        assert main(["export", *words]) == status
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and said in error
    write_yaml(experiment / "postprocessing.yaml", {"decoder": "threshold", "classes": {"Bell": {"threshold": 0.5}}})
    assert main(["export", str(experiment), str(tmp_path / "x.onnx")]) == 1
    assert "rules for other classes" in capsys.readouterr().err
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize("absent", ["onnx", "onnxruntime"])
def test_a_package_that_is_absent_is_named(
    absent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    experiment = make_experiment(tmp_path, {"name": "tests_mean"}, SHORT, 64)
    there = importlib.import_module

    def fail(name: str, *rest: Any) -> Any:
        if name == absent:
            raise ImportError(name)
        return there(name, *rest)

    monkeypatch.setattr(importlib, "import_module", fail)
    assert main(["export", str(experiment), str(tmp_path / "x.onnx")]) == 1
    error = capsys.readouterr().err
    assert f"export needs {absent}, which is not installed: `pip install -e '.[onnx]'`" in error
    assert not (tmp_path / "x.onnx").exists()
