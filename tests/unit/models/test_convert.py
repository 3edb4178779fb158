"""Files of weights with objects in them, as plain files."""

from __future__ import annotations

import argparse
import collections
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError
from sedkit.models.convert import convert
from sedkit.models.weights import read_tensors

RAN: list[str] = []


class Callback:
    """Of a training program."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __setstate__(self, state: dict[str, Any]) -> None:
        RAN.append("setstate")


def ran(word: str) -> None:
    RAN.append(word)


class Hook:
    """Would do something when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ran, ("reduce",)


class System:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("true",)


class Settings(dict):
    """A mapping of another program."""


class Steps(list):
    """A list of another program."""


class Node:
    """One of a tree that knows where it hangs."""

    def __init__(self) -> None:
        self.name, self.parent = "node", self


WEIGHTS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.nn.Parameter(torch.ones(2))}


@pytest.mark.parametrize("zipped", [True, False])
def test_what_is_kept_and_what_is_left_out(tmp_path: Path, zipped: bool) -> None:
    content = {
        "cfg": argparse.Namespace(layers=2, inner=argparse.Namespace(name="x"), where=Path("/data")),
        "settings": Settings(rate=16000),
        "steps": Steps([1, "two"]),
        "counts": collections.defaultdict(int, {"a": 1}),
        "state_dict": collections.OrderedDict(WEIGHTS),
        "callbacks": [Callback(Path("x")), 3],
        "hooks": Hook(),
        "tree": Node(),
        "epoch": 7,
        "shape": (2, torch.float16),
    }
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(SedkitError, match="Python object"):
        read_tensors(tmp_path / "a.ckpt")
    converted = convert(tmp_path / "a.ckpt", tmp_path / "out.pt")
    plain = torch.load(tmp_path / "out.pt", weights_only=True)
    assert plain.keys() == {*content} - {"hooks"}
    assert plain["tree"] == {"name": "node"}
    assert plain["cfg"] == {"layers": 2, "inner": {"name": "x"}}
    assert plain["settings"] == {"rate": 16000} and plain["counts"] == {"a": 1} and plain["steps"] == [1, "two"]
    assert plain["epoch"] == 7 and plain["shape"] == [2, torch.float16]
    assert all(torch.equal(plain["state_dict"][key], value) for key, value in WEIGHTS.items())
    assert type(plain["state_dict"]["b"]) is torch.Tensor
    assert set(converted.left_out) == {"cfg.where", "callbacks[0].path", "hooks", "tree.parent"}
    assert RAN == []


def test_what_cannot_be_converted(tmp_path: Path) -> None:
    torch.save({"model": WEIGHTS, "x": System()}, tmp_path / "system.pt")
    torch.save({"epoch": 7, "x": Hook()}, tmp_path / "empty.pt")
    (tmp_path / "text.pt").write_text("hello")
    torch.save(WEIGHTS, tmp_path / "whole.pt")
    (tmp_path / "half.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:700])
    for name, message in {
        "system.pt": r"it would load (posix|os).system, as no weights do",
        "empty.pt": "holds no tensor that can be read",
        "text.pt": "not a file of weights: it is text",
        "half.pt": "cut off or damaged",
        "none.pt": "no such file",
    }.items():
        with pytest.raises(SedkitError, match=message) as error:
            convert(tmp_path / name, tmp_path / "out.pt")
        assert "\n" not in str(error.value)
        assert not (tmp_path / "out.pt").exists()


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"args": argparse.Namespace(a=1), "model": WEIGHTS, "hook": Hook()}, tmp_path / "a.ckpt")
    assert main(["weights", "convert", str(tmp_path / "a.ckpt")]) == 0
    said = capsys.readouterr().err
    assert "a.plain.pt: keys args, model" in said and "left out: hook (" in said
    assert torch.load(tmp_path / "a.plain.pt", weights_only=True)["args"] == {"a": 1}
    assert main(["weights", "convert", str(tmp_path / "a.ckpt")]) == 0
    assert "is up to date" in capsys.readouterr().err
    assert main(["weights", "convert", str(tmp_path / "none.ckpt")]) == 1
    assert "none.ckpt: no such file" in capsys.readouterr().err
