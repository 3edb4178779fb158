"""Embeddings in the CRNN: sizes and known answers of the baselines of 2023 and 2024, masks, frames left out."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sedkit.core.errors import SedkitError, UsageError
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.normalise import Normalisation
from sedkit.models.crnn import Crnn
from sedkit.models.fusion import Fusion, FusionOptions
from sedkit.models.registry import build_model
from sedkit.models.weights import load_pretrained
from tests.unit.models.known_answers import check

BASE: dict[str, Any] = {
    "name": "crnn",
    "block": "linear_glu",
    "clipwise": "class_attention",
    "channels": [16, 32, 64, 128, 128, 128, 128],
    "pooling": [[2, 2], [2, 2], [1, 2], [1, 2], [1, 2], [1, 2], [1, 2]],
    "pooling_type": "avg",
    "gru_layers": 2,
    "hidden": 0,
    "init": "torch",
    "mask_padding": False,
    "fusion": {"embedding": "beats", "bins": 768},
}
#: Units, classes and parameters of each year.
YEARS = {"CRNN_2023": (128, 10, 1_227_236), "CRNN_2024": (192, 27, 1_785_094)}
#: 626 frames of 16 ms, as torchaudio makes them.
MEL = LogMel(
    sample_rate=16000,
    n_fft=2048,
    hop_samples=256,
    window="hamming",
    window_symmetric=True,
    spectrum="magnitude",
    n_mels=128,
    fmin_hz=0.0,
    fmax_hz=8000.0,
    mel_scale="htk",
    mel_norm="none",
    log="db",
    floor=1e-5,
    clip_s=10.0,
    end_frame=True,
)


def published_state(units: int, classes: int) -> dict[str, torch.Tensor]:
    """Tensors under the authors' names, each drawn from a seed made of its name (expected.json, `recipe.weights`)."""
    channels = [1, 16, 32, 64, 128, 128, 128, 128]
    shapes: dict[str, tuple[int, ...]] = {}
    for i in range(7):
        n_in, n_out = channels[i : i + 2]
        shapes |= {f"cnn.cnn.conv{i}.weight": (n_out, n_in, 3, 3), f"cnn.cnn.conv{i}.bias": (n_out,)}
        shapes |= {f"cnn.cnn.batchnorm{i}.{k}": (n_out,) for k in ("weight", "bias", "running_mean", "running_var")}
        shapes |= {f"cnn.cnn.glu{i}.linear.weight": (n_out, n_out), f"cnn.cnn.glu{i}.linear.bias": (n_out,)}
    for layer, n_in in ((0, 128), (1, 2 * units)):
        for way in ("", "_reverse"):
            shapes |= {
                f"rnn.rnn.weight_ih_l{layer}{way}": (3 * units, n_in),
                f"rnn.rnn.weight_hh_l{layer}{way}": (3 * units, units),
                f"rnn.rnn.bias_ih_l{layer}{way}": (3 * units,),
                f"rnn.rnn.bias_hh_l{layer}{way}": (3 * units,),
            }
    for head in ("dense", "dense_softmax"):
        shapes |= {f"{head}.weight": (classes, 2 * units), f"{head}.bias": (classes,)}
    shapes |= {"cat_tf.weight": (128, 896), "cat_tf.bias": (128,)}
    state = {}
    for name, shape in shapes.items():
        scale = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) >= 2 else 0.02
        values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape) * scale
        if name.endswith("running_mean"):
            values = np.zeros(shape)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            values = np.ones(shape)
        state[name] = torch.from_numpy(values.astype(np.float32))
    state |= {f"cnn.cnn.batchnorm{i}.num_batches_tracked": torch.tensor(0) for i in range(7)}
    return state


def sweep() -> np.ndarray:
    """expected.json, `recipe.input`, 10 s at 16 kHz."""
    rate, seconds = 16000, 10.0
    t = np.arange(int(rate * seconds)) / rate
    f0, f1 = 50, 0.45 * rate
    x = 0.5 * np.sin(2 * np.pi * (f0 * t + (f1 - f0) * t**2 / (2 * seconds)))
    return (x + 0.01 * np.random.default_rng(7).standard_normal(len(t))).astype(np.float32)


@pytest.mark.parametrize("year", YEARS)
def test_parameters(year: str) -> None:
    units, classes, parameters = YEARS[year]
    network = build_model({**BASE, "units": units}, classes, 128)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert network.embeddings == {"beats": 768}


@pytest.mark.parametrize("year", YEARS)
@pytest.mark.parametrize("prefix", ["", "sed_teacher."])
def test_known_answers_from_a_file_of_the_authors_names(year: str, prefix: str, shared: Path, tmp_path: Path) -> None:
    known = json.loads((shared / "vectors/pretrained/expected.json").read_text())["DESED_task CRNN"][year]
    units, classes, _ = YEARS[year]
    state = published_state(units, classes)
    content = {f"{prefix}{name}": x for name, x in state.items()}
    if prefix:
        # As Lightning has them: the student's beside the teacher's.
        content |= {f"sed_student.{name}": x + 1 for name, x in state.items()}
    torch.save({"state_dict": content}, tmp_path / "baseline.ckpt")
    network = build_model({**BASE, "units": units}, classes, 128)
    load_pretrained(network, tmp_path / "baseline.ckpt")
    network.eval()
    features = torch.from_numpy(MEL.transform(sweep()[None]))
    normalise = Normalisation.from_section({"clamp": {"low": -50.0, "high": 80.0}, "minmax": {}}, 128)
    x = normalise(features, torch.tensor([626]))
    embedding = np.random.default_rng(11).standard_normal((1, 768, 496)).astype(np.float32)
    with torch.inference_mode():
        output = network(x, None, {"beats": torch.from_numpy(embedding).transpose(1, 2)})
        shape = list(network.blocks(x[:, None]).shape)
    check(known["scaled_logmel"], x.transpose(1, 2))
    check(known["strong"], output.framewise.transpose(1, 2))
    check(known["weak"], output.clipwise)
    assert shape == known["cnn_out_shape"]


def test_rows_by_hand() -> None:
    """Five rows on two frames: means of rows 0 to 2 and 2 to 4, or the rows at the middles, 1 and 3."""
    embedding = torch.tensor([[[1.0], [2.0], [4.0], [8.0], [16.0]]])
    for rows, expected in (("mean", [7 / 3, 28 / 3]), ("nearest", [2.0, 8.0])):
        fusion = Fusion(1, FusionOptions("beats", bins=1, rows=rows), torch.nn.Identity())
        torch.nn.init.constant_(fusion.linear.weight, 1.0)
        torch.nn.init.zeros_(fusion.linear.bias)
        assert fusion(torch.zeros(1, 2, 1), embedding).flatten().tolist() == pytest.approx(expected)


def test_a_stretch_of_each_clip_is_left_out_in_training_alone() -> None:
    options = FusionOptions("beats", bins=1, step_dropout=0.3, step_frames=16)
    fusion = Fusion(1, options, torch.nn.Identity())
    x = torch.ones(400, 40, 1)
    torch.manual_seed(0)
    out = fusion._without_steps(x)[:, :, 0]
    lengths = (out == 0).sum(1)
    # Up to 30 % of 40 frames, drawn evenly: 0 to 11 frames, in one stretch.
    assert lengths.min() == 0 and lengths.max() == 11 and 4.5 < lengths.float().mean() < 6.5
    assert ((out[:, 1:] != out[:, :-1]).sum(1) <= 2).all()
    fusion.eval()
    assert torch.equal(fusion(x, x), fusion(x, x))


def test_classes_that_nothing_is_known_of_are_0_and_attract_no_attention() -> None:
    torch.manual_seed(0)
    section = {**BASE, "channels": [2, 2], "pooling": [[1, 4], [1, 4]], "units": 3, "fusion": None}
    network = build_model(section, 4, 16).eval()
    x, known = torch.randn(2, 8, 16), torch.tensor([[True, True, False, True], [True, True, True, True]])
    free, masked = network(x), network(x, None, None, known)
    assert (masked.framewise[0, :, 2] == 0).all() and masked.clipwise[0, 2] == 0
    torch.testing.assert_close(masked.framewise[0, :, [0, 1, 3]], free.framewise[0, :, [0, 1, 3]])
    torch.testing.assert_close(masked.clipwise[1], free.clipwise[1])
    # A softmax over three classes in place of four: by hand from the same logits.
    weights = {}
    hook = network.attention.register_forward_hook(lambda _m, _i, out: weights.update(logits=out))
    network(x)
    hook.remove()
    share = torch.softmax(weights["logits"][0][:, [0, 1, 3]], dim=1).clamp(1e-7, 1)
    expected = (share * free.framewise[0][:, [0, 1, 3]]).sum(0) / share.sum(0)
    torch.testing.assert_close(masked.clipwise[0, [0, 1, 3]], expected)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="step_dropout is 2"):
        FusionOptions("beats", step_dropout=2.0)
    with pytest.raises(UsageError, match="bins is 0"):
        FusionOptions("beats", bins=0)
    state = published_state(128, 10)
    state["cat_tf.weight"] = state["cat_tf.weight"][:, :-1]
    torch.save(state, tmp_path / "narrow.pt")
    network = build_model({**BASE, "units": 128}, 10, 128)
    assert isinstance(network, Crnn)
    with pytest.raises(SedkitError, match=r"narrow.pt.*fusion.linear.weight"):
        load_pretrained(network, tmp_path / "narrow.pt")
