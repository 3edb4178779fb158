"""Layouts of published files of PaSST, fPaSST and AST, and files that are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sedkit.core.errors import SedkitError
from sedkit.models.registry import build_model
from sedkit.models.weights import load_pretrained, load_weights
from tests.unit.models.small_networks import AST, PASST, random_state, small_ast, small_fpasst, small_passt
from tests.unit.models.transformers_files import transformers_state

State = dict[str, Tensor]
HEADS = {"strong_head.weight": torch.ones(447, 12), "weak_head.bias": torch.ones(447)}
MAKE = {"passt": small_passt, "fpasst": small_fpasst, "ast": small_ast}


def below(prefix: str, state: State) -> State:
    return {prefix + key: value for key, value in state.items()}


def classified(name: str, n_classes: int = 3) -> Any:
    return build_model({"name": name, **vars(PASST if name == "passt" else AST)}, n_classes, 19).eval()


LAYOUTS: dict[str, tuple[str, Any]] = {
    "passt, released": (
        "passt",
        lambda s: s | {k: v for k, v in random_state(classified("passt")).items() if k.startswith("head")},
    ),
    "passt, below a prefix": ("passt", lambda s: {"state_dict": below("net.", s) | {"mel.window": torch.ones(8)}}),
    "fpasst, PretrainedSED": ("fpasst", lambda s: below("model.", s) | HEADS),
    "fpasst, PretrainedSED, renamed": ("fpasst", lambda s: below("model.fpasst.", s) | HEADS),
    "ast, version 5": ("ast", lambda s: transformers_state(s, 5) | {"classifier.dense.bias": torch.ones(3)}),
    "ast, version 4": ("ast", lambda s: transformers_state(s, 4) | {"classifier.dense.bias": torch.ones(3)}),
    "ast, the encoder alone": (
        "ast",
        lambda s: {k.removeprefix("audio_spectrogram_transformer."): v for k, v in transformers_state(s, 5).items()},
    ),
    "ast, distributed": ("ast", lambda s: below("module.", transformers_state(s, 4))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_files(tmp_path: Path, layout: str) -> None:
    name, saved = LAYOUTS[layout]
    state = random_state(MAKE[name]())
    torch.save(saved(state), tmp_path / "file.pt")
    network = MAKE[name]()
    load_pretrained(network, tmp_path / "file.pt")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    torch.save(network.state_dict(), tmp_path / "again.pt")
    again = MAKE[name]()
    load_pretrained(again, tmp_path / "again.pt")
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())


@pytest.mark.parametrize("name", ["passt", "ast"])
def test_classifiers(tmp_path: Path, name: str) -> None:
    state = random_state(classified(name))
    torch.save(transformers_state(state, 5) if name == "ast" else state, tmp_path / "tagger.pt")
    tagger = classified(name)
    load_pretrained(tagger, tmp_path / "tagger.pt")
    assert all(torch.equal(value, state[key]) for key, value in tagger.state_dict().items())
    # A training of other classes starts from all but the classifier.
    other = classified(name, 5)
    load_weights(other, tmp_path / "tagger.pt")
    assert torch.equal(other.blocks[1].mlp.fc1.weight, state["blocks.1.mlp.fc1.weight"])
    assert other.head[1].weight.shape == (5, 12)
    with pytest.raises(SedkitError, match=r"tagger\.pt: \d tensors of the network are absent .head"):
        load_pretrained(other, tmp_path / "tagger.pt")


def altered(name: str, **changes: Any) -> State:
    state: dict[str, Any] = random_state(MAKE[name]())
    state = (transformers_state(state, 5) if name == "ast" else state) | changes
    return {key: value for key, value in state.items() if value is not None}


LAYER = "audio_spectrogram_transformer.layers.1."
REFUSED: dict[str, tuple[str, Any, str]] = {
    "wide": (
        "passt",
        {"time_new_pos_embed": torch.ones(1, 12, 1, 7)},
        r"time_new_pos_embed is \(1, 12, 1, 7\), expected \(1, 12, 1, 6\)",
    ),
    "missing": ("passt", {"blocks.1.norm2.bias": None}, r"1 tensors of the network are absent \(blocks.1.norm2.bias\)"),
    "extra": ("fpasst", {"blocks.2.norm2.bias": torch.ones(12)}, "1 tensors that the network does not have .blocks.2"),
    "of another": ("fpasst", {"conv_in_1.weight": torch.ones(16, 1, 5, 5)}, r"conv_in_1.weight is \(16, 1, 5, 5\)"),
    "ast, wide": ("ast", {"audio_spectrogram_transformer.layernorm.bias": torch.ones(9)}, r"norm.bias is \(9,\)"),
    "ast, missing": (
        "ast",
        {LAYER + "attention.k_proj.bias": None},
        r"1 tensors of the network are absent .blocks.1.attn.k.bias",
    ),
    "ast, three widths": (
        "ast",
        {LAYER + "attention.v_proj.weight": torch.ones(9, 12)},
        r"blocks.1.attn.v.weight is \(9, 12\), expected \(12, 12\) as blocks.1.attn.q.weight",
    ),
    "ast, extra": (
        "ast",
        {LAYER + "attention.gate": torch.ones(1)},
        "tensors that the network does not have .blocks.1",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_files_that_are_refused(tmp_path: Path, fault: str) -> None:
    name, changes, message = REFUSED[fault]
    torch.save(altered(name, **changes), tmp_path / "file.pt")
    network = MAKE[name]()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(SedkitError, match=message) as error:
        load_pretrained(network, tmp_path / "file.pt")
    assert str(error.value).startswith(f"{tmp_path}/file.pt: ") and "\n" not in str(error.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
