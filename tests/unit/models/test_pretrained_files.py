"""Layouts of published files of weights, and files that are refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sedkit.core.errors import SedkitError
from sedkit.models.registry import build_model
from sedkit.models.weights import load_pretrained, load_weights
from tests.unit.models.known_answers import TABLE
from tests.unit.models.small_networks import SMALL, random_state, short_atst, small_beats, small_pann


def spelt_anew(state: dict[str, Tensor]) -> dict[str, Tensor]:
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {key.replace(old := key.rpartition(".")[2], names.get(old, old)): value for key, value in state.items()}


def below(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + key: value for key, value in state.items()}


HEADS = {"strong_head.weight": torch.ones(447, 16), "weak_head.bias": torch.ones(447)}
CFG = {"encoder_layers": 2, "encoder_embed_dim": 16, "deep_norm": True, "layer_norm_first": False, "max_distance": 9}
BEATS_LAYOUTS = {
    "released": lambda s: {"cfg": CFG, "model": s},
    "fine-tuned": lambda s: {
        "cfg": CFG | {"finetuned_model": True, "predictor_class": 3},
        "model": s | {"predictor.weight": torch.ones(3, 16), "predictor.bias": torch.ones(3)},
        "label_dict": {0: "/m/09x0r"},
    },
    "distributed": lambda s: {"state_dict": below("module.", s)},
    "PretrainedSED": lambda s: below("model.model.", spelt_anew(s)) | HEADS,
    "PretrainedSED, renamed": lambda s: below("model.beats.", spelt_anew(s)) | HEADS,
    "the table once": lambda s: {k: v for k, v in s.items() if "layers.1.self_attn.relative" not in k},
}


@pytest.mark.parametrize("layout", BEATS_LAYOUTS)
def test_files_of_beats(tmp_path: Path, layout: str) -> None:
    state = random_state(small_beats())
    torch.save(BEATS_LAYOUTS[layout](state), tmp_path / "beats.pt")
    network = small_beats()
    load_pretrained(network, tmp_path / "beats.pt")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    torch.save(network.state_dict(), tmp_path / "again.pt")
    again = small_beats()
    load_pretrained(again, tmp_path / "again.pt")
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


ATST_LAYOUTS = {
    "as it is": lambda s: s,
    "self-supervised": lambda s: {
        "state_dict": below(
            "model.teacher.encoder.",
            {k.replace("norm_frame", "norm"): v for k, v in s.items()} | {"cls_token": torch.ones(1, 1, 12)},
        )
        | below("model.student.encoder.", {k: v + 1 for k, v in s.items()})
    },
    "fine-tuned": lambda s: {"state_dict": below("encoder.encoder.", s) | {"encoder.head.weight": torch.ones(3, 12)}},
    "PretrainedSED": lambda s: below("model.atst.", s) | HEADS,
}


@pytest.mark.parametrize("layout", ATST_LAYOUTS)
def test_files_of_atst_frame(tmp_path: Path, layout: str) -> None:
    state = random_state(short_atst())
    torch.save(ATST_LAYOUTS[layout](state), tmp_path / "atst.pt")
    network = short_atst()
    load_pretrained(network, tmp_path / "atst.pt")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


TABLES = {
    "spectrogram_extractor.stft.conv_real.weight": torch.ones(513, 1, 1024),
    "spectrogram_extractor.stft.conv_imag.weight": torch.ones(513, 1, 1024),
    "logmel_extractor.melW": torch.ones(513, 64),
}


def test_files_of_panns(tmp_path: Path) -> None:
    state = random_state(small_pann())
    for number, content in enumerate([{"iteration": 9, "model": state | TABLES}, {"model": below("module.", state)}]):
        torch.save(content, tmp_path / f"{number}.pth", _use_new_zipfile_serialization=bool(number))
        network = small_pann()
        load_pretrained(network, tmp_path / f"{number}.pth")
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    # A training of other classes starts from all but the classifier.
    other = small_pann(n_classes=2)
    load_weights(other, tmp_path / "0.pth")
    assert torch.equal(other.fc1.weight, state["fc1.weight"]) and other.fc_audioset.weight.shape == (2, 16)
    with pytest.raises(SedkitError, match=r"0\.pth: 2 tensors of the network are absent .fc_audioset"):
        load_pretrained(other, tmp_path / "0.pth")


def test_a_fine_tuned_file_of_beats(tmp_path: Path) -> None:
    tagger = build_model({"name": "beats", **vars(SMALL)}, 3, 32)
    state = random_state(tagger)
    torch.save({"cfg": CFG, "model": state}, tmp_path / "tagger.pt")
    load_pretrained(tagger, tmp_path / "tagger.pt")
    assert all(torch.equal(value, state[key]) for key, value in tagger.state_dict().items())
    # A training of other classes starts from all but the classifier, and so does one from a file without.
    for content in (state, {key: value for key, value in state.items() if "predictor" not in key}):
        torch.save(content, tmp_path / "other.pt")
        other = build_model({"name": "beats", **vars(SMALL)}, 5, 32)
        load_weights(other, tmp_path / "other.pt")
        assert torch.equal(other.encoder.layers[1].fc1.weight, state["encoder.layers.1.fc1.weight"])
        assert other.predictor.weight.shape == (5, 16)


def altered(**changes: Any) -> dict[str, Any]:
    state: dict[str, Any] = random_state(small_beats()) | changes
    return {key: value for key, value in state.items() if value is not None}


REFUSED: dict[str, tuple[Any, str]] = {
    "wide": (
        altered(**{"post_extract_proj.weight": torch.ones(20, 12)}),
        r"post_extract_proj.weight is \(20, 12\), expected \(16, 12\)",
    ),
    "missing": (
        altered(**{"encoder.layer_norm.bias": None}),
        r"1 tensors of the network are absent .encoder.layer_norm",
    ),
    "two tables": (
        altered(**{TABLE.replace(".0.", ".1."): torch.ones(16, 2)}),
        "layers.1.self_attn.relative_attention_bias.weight differs from the first layer's",
    ),
    "extra": (altered(**{"encoder.extra": torch.ones(1)}), r"1 tensors that the network does not have .encoder.extra"),
    "not finite": (altered(**{"layer_norm.bias": torch.full((12,), torch.nan)}), "NaN or infinity .layer_norm.bias"),
    "two": (below("a.", altered()) | below("b.", altered()), r"holds 2 networks, below a\., b\., expected one"),
    "another size": (
        {"cfg": CFG | {"encoder_embed_dim": 384}, "model": altered()},
        r"cfg.encoder_embed_dim is 384, expected 16",
    ),
    "pre-norm": (
        {"cfg": CFG | {"layer_norm_first": True}, "model": altered()},
        "cfg.layer_norm_first is True, expected False",
    ),
    "an object": (
        {"cfg": argparse.Namespace(encoder_layers=2), "model": altered()},
        r"a Python object .argparse.Namespace.*sedkit weights convert",
    ),
    "nothing": ({"model": {}}, "holds no tensors"),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_files_that_are_refused(tmp_path: Path, fault: str) -> None:
    content, message = REFUSED[fault]
    torch.save(content, tmp_path / "beats.pt")
    network = small_beats()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(SedkitError, match=message) as error:
        load_pretrained(network, tmp_path / "beats.pt")
    assert str(error.value).startswith(f"{tmp_path}/beats.pt: ") and "\n" not in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
