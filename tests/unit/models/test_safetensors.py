"""Weights in files of safetensors, written here byte by byte: a header of JSON, then the numbers."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.embeddings.beats import BeatsFrontEnd
from sedkit.models.weights import load_pretrained, load_weights
from tests.unit.models.small_networks import SMALL, random_state, small_beats, small_pann

KINDS = {torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}


def written(path: Path, state: dict[str, Tensor], **changes: Any) -> Path:
    """The layout as published; `changes` of single entries of the header."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    numbers = b""
    for key, value in state.items():
        raw = value.numpy().tobytes()
        places = [len(numbers), len(numbers) + len(raw)]
        header[key] = {"dtype": KINDS[value.dtype], "shape": list(value.shape), "data_offsets": places}
        header[key] |= changes.get(key, {})
        numbers += raw
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


@pytest.mark.parametrize("name", ["beats.safetensors", "beats.pt"])
def test_weights_of_a_file_are_those_written(tmp_path: Path, name: str) -> None:
    state = random_state(small_beats())
    written(tmp_path / name, {f"model.{key}": value for key, value in state.items()})
    network = small_beats()
    load_pretrained(network, tmp_path / name)
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())


def test_half_precision_and_counters(tmp_path: Path) -> None:
    state = random_state(small_pann())
    half = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    network = small_pann()
    load_weights(network, written(tmp_path / "pann.safetensors", half))
    assert torch.equal(network.fc1.weight, half["fc1.weight"].float())


def test_numbers_of_eight_bits(tmp_path: Path) -> None:
    state = {key: torch.full_like(value, 0.5) for key, value in small_beats().state_dict().items()}
    eighths = {key: value.to(torch.float8_e4m3fn) for key, value in state.items()}
    torch.save(eighths, tmp_path / "beats.pt")
    network = small_beats()
    load_pretrained(network, tmp_path / "beats.pt")
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    eighths["layer_norm.bias"] = torch.full((12,), torch.nan).to(torch.float8_e4m3fn)
    torch.save(eighths, tmp_path / "beats.pt")
    with pytest.raises(SedkitError, match="NaN or infinity .layer_norm.bias"):
        load_pretrained(network, tmp_path / "beats.pt")


def test_wherever_weights_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "beats.safetensors", state := random_state(small_beats()))
    torch.save(state, tmp_path / "beats.pt")
    x = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)
    one, two = (
        BeatsFrontEnd(weights=str(file), network=SMALL, device="cpu", clip_s=None).transform(x)
        for file in (path, tmp_path / "beats.pt")
    )
    np.testing.assert_array_equal(one, two)
    assert main(["weights", "convert", str(path)]) == 0
    content = torch.load(tmp_path / "beats.plain.pt", weights_only=True)
    assert all(torch.equal(value, content[key]) for key, value in state.items())


def cut(path: Path, size: int) -> None:
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("size", [-1, 700, 9, 3])
def test_files_that_are_cut_off(tmp_path: Path, size: int) -> None:
    cut(written(tmp_path / "beats.safetensors", random_state(small_beats())), size)
    with pytest.raises(SedkitError, match=r"beats.safetensors: no safetensors file, or cut off .*; fetch it") as error:
        load_pretrained(small_beats(), tmp_path / "beats.safetensors")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "F99"}, "no safetensors file, or cut off or damaged"),
        ({"dtype": "F16"}, "no safetensors file, or cut off or damaged"),
        ({"dtype": "I32"}, "layer_norm.bias holds int32, expected float32"),
        ({"shape": [3, 4]}, r"layer_norm.bias is \(3, 4\), expected \(12,\)"),
        ({"data_offsets": [0, 10**9]}, "no safetensors file, or cut off or damaged"),
    ],
)
def test_headers_that_are_wrong(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "beats.safetensors", random_state(small_beats()), **{"layer_norm.bias": change})
    with pytest.raises(SedkitError, match=message) as error:
        load_pretrained(small_beats(), path)
    assert "\n" not in str(error.value)


def test_another_file_of_that_name(tmp_path: Path) -> None:
    torch.save(random_state(small_beats()), tmp_path / "beats.safetensors")
    with pytest.raises(SedkitError, match="no safetensors file"):
        load_pretrained(small_beats(), tmp_path / "beats.safetensors")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "beats.safetensors", random_state(small_beats()))
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("safetensors"):
            raise ModuleNotFoundError("No module named 'safetensors'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SedkitError, match=r"which cannot be imported .*pip install 'safetensors>=0.4'"):
        load_pretrained(small_beats(), path)
