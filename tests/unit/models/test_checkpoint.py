"""Checkpoints and foreign weights."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends import frontend_from
from sedkit.models.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.weights import load_weights, read_tensors


def make(model: dict, n_classes: int = 3, n_bins: int = 16) -> tuple[Checkpoint, torch.nn.Module]:
    network = build_model(model, n_classes, n_bins)
    frontend = frontend_from({"name": "logmel", "n_mels": n_bins})
    checkpoint = Checkpoint(
        model=resolve_model(model),
        labels=Vocabulary(tuple("abcdefgh"[:n_classes])),
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        window=640,
        normalise={"clamp": {"low": -80.0, "high": 0.0}, "zscore": {"min_std": 0.001}},
        fitted={"clamp": {}, "zscore": {"mean": torch.arange(n_bins).float(), "std": torch.full((n_bins,), 2.0)}},
        networks={"network": network.state_dict()},
        step=7,
        run={"seed": 0},
        training={"key": "k", "loop": {"random": {"torch": torch.get_rng_state()}}},
    )
    return checkpoint, network.eval()


@pytest.mark.parametrize("name", ["cnn5_avg", "cnn9_avg", "cnn9_max", "cnn9_att"])
def test_a_network_is_rebuilt_whole(tmp_path: Path, name: str) -> None:
    checkpoint, network = make({"name": name, "base_channels": 2})
    path = tmp_path / "best.pt"
    write_checkpoint(path, checkpoint)
    content = torch.load(path, weights_only=True)
    assert content["format"] == 2
    again = read_checkpoint(path)
    assert (again.labels, again.window, again.step) == (checkpoint.labels, 640, 7)
    # Clamped, then scaled: (0 - k) / 2 of what lies above 0.
    scaled = again.normalisation()(torch.full((1, 4, 16), 9.0), torch.tensor([4]))
    assert torch.equal(scaled[0, 0], -torch.arange(16.0) / 2)
    x = torch.randn(2, 32, 16)
    torch.testing.assert_close(again.network()(x).clipwise, network(x).clipwise, atol=0, rtol=0)
    assert not again.network().training
    with pytest.raises(SedkitError, match='did you mean "network"'):
        again.network("netwrk")
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    checkpoint, _ = make({"name": "cnn5_avg", "base_channels": 1})
    path = tmp_path / "last.pt"
    write_checkpoint(path, checkpoint)
    before = path.read_bytes()
    checkpoint.run = {"a function cannot be pickled": lambda: None}
    with pytest.raises(Exception, match="pickle|local"):
        write_checkpoint(path, checkpoint)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_no_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(SedkitError, match="no such file"):
        read_checkpoint(tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("hello")
    with pytest.raises(SedkitError, match="text.pt: not a file of tensors"):
        read_checkpoint(tmp_path / "text.pt")
    torch.save({"weights": torch.ones(2)}, tmp_path / "other.pt")
    with pytest.raises(SedkitError, match="checkpoint format None, expected 2"):
        read_checkpoint(tmp_path / "other.pt")
    torch.save({"path": Path("x")}, tmp_path / "code.pt")
    with pytest.raises(SedkitError, match="code.pt: not a file of tensors"):
        read_checkpoint(tmp_path / "code.pt")


def pickled(value: object, protocol: int) -> bytes:
    return pickle.dumps(value, protocol=protocol)


def zipped(members: dict[str, str]) -> bytes:
    with zipfile.ZipFile(content := io.BytesIO(), "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return content.getvalue()


def saved(value: object, **options: object) -> bytes:
    torch.save(value, content := io.BytesIO(), **options)
    return content.getvalue()


def scripted() -> bytes:
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), content)
    return content.getvalue()


TENSORS = {"blocks.0.conv1.weight": torch.arange(50.0).reshape(2, 1, 5, 5)}
LEGACY = {"_use_new_zipfile_serialization": False}
REFUSED = {
    "empty": (lambda: b"", "it is empty"),
    "text": (lambda: b"hello\n" * 99, "it is text"),
    "a server's answer": (lambda: b"<!DOCTYPE html><title>404</title>", "it is text"),
    "zeros": (lambda: bytes(900), "torch.save did not write it"),
    "anything": (lambda: bytes(range(256)) * 4, "torch.save did not write it"),
    "half": (lambda: saved(TENSORS)[:900], "cut off or damaged"),
    "its beginning": (lambda: saved(TENSORS)[:9], "cut off or damaged"),
    "no zip": (lambda: b"PK\x03\x04 no zip" * 30, "cut off or damaged"),
    "half, before 1.6": (lambda: saved(TENSORS, **LEGACY)[:-90], "damaged"),
    "its beginning, before 1.6": (lambda: saved(TENSORS, **LEGACY)[:60], "damaged"),
    "a document": (
        lambda: zipped({"word/document.xml": "x"}),
        r"a zip of another program \(with 'word/document.xml'\)",
    ),
    "an empty zip": (lambda: zipped({}), "a zip of another program"),
    "arrays": (lambda: zipped({"a.npy": "x"}), "a zip of another program"),
    "a program": (scripted, "a TorchScript program"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + bytes(90), "an HDF5 file"),
    "safetensors": (lambda: (9).to_bytes(8, "little") + b'{"a":{}} ' + bytes(9), "no safetensors file, or"),
    "gzip": (lambda: b"\x1f\x8b\x08" + bytes(90), "a gzip archive"),
    "a network": (lambda: saved(torch.nn.Linear(2, 2)), r"a Python object \(torch.nn.modules.linear.Linear\)"),
    "an object": (lambda: saved({"path": Path("x")}), r"a Python object \(pathlib.PosixPath\)"),
    "an object, before 1.6": (lambda: saved({"path": Path("x")}, **LEGACY), r"a Python object \(pathlib.PosixPath\)"),
    "a pickle": (lambda: pickled({"a": 1}, 4), "Python objects"),
    "a pickled object": (lambda: pickled({"a": Path("x")}, 4), "Python objects"),
    "a list": (lambda: saved([torch.ones(2)]), "holds a list, expected a mapping"),
    "a tensor": (lambda: saved(torch.ones(2)), "holds a Tensor, expected a mapping"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_plain_line_that_says_what_to_do(tmp_path: Path, name: str) -> None:
    content, reason = REFUSED[name]
    path = tmp_path / "best.pt"
    path.write_bytes(content())
    network = build_model({"name": "cnn5_avg", "base_channels": 2}, 3, 16)
    for read, advice in (
        (read_checkpoint, "train again with --force true"),
        (
            lambda path: load_weights(network, path),
            "make it plain by `sedkit weights convert FILE`"
            if "a Python object" in reason
            else "save the network's state_dict() with torch.save",
        ),
    ):
        with pytest.raises(SedkitError, match=reason) as caught:
            read(path)
        said = str(caught.value)
        assert said.startswith(f"{path}: ") and said.isprintable() and len(said) < len(str(path)) + 220
        assert said.endswith(f"; fetch it again, or {advice}")
        assert "weights_only" not in said and "PyTorch" not in said


def test_a_damaged_byte_never_gives_other_weights(tmp_path: Path) -> None:
    whole, path = saved(TENSORS), tmp_path / "w.pt"
    for at in [*range(0, len(whole), 41), *range(-200, 0, 7)]:
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        path.write_bytes(damaged)
        with contextlib.suppress(SedkitError):
            content = read_tensors(path)
            assert content.keys() == TENSORS.keys(), at
            assert all(torch.equal(content[key], value) for key, value in TENSORS.items()), at


def test_a_checkpoint_that_lacks_something_is_named(tmp_path: Path) -> None:
    checkpoint, network = make({"name": "cnn9_avg", "base_channels": 2})
    path = tmp_path / "best.pt"
    write_checkpoint(path, checkpoint)
    whole = torch.load(path, weights_only=True)
    changes = {key: None for key in whole if key not in ("version", "format")}
    changes |= {
        "labels": ["a", "a"],
        "frontend": {"name": "logmel", "hop_samples": 0},
        "window": 0,
        "normalise": {"zscor": {}},
        "fitted": {"clamp": {}, "zscore": {"mean": torch.ones(3), "std": torch.ones(3)}},
    }
    changes |= {"networks": {"network": 3}}
    cases = [{key: whole[key] for key in whole if key != gone} for gone in whole if gone != "version"]
    for content in [*cases, *({**whole, key: value} for key, value in changes.items()), {"format": torch.ones(9)}]:
        torch.save(content, path)
        with pytest.raises(SedkitError, match=r"best\.pt: (a checkpoint w|checkpoint format)") as caught:
            read_checkpoint(path)
        assert str(caught.value).isprintable() and "train again" in str(caught.value)
    for name, value, reason in (
        ("fc.weight", torch.ones(1, 1), r"fc.weight is \(1, 1\), expected"),
        ("fc.weight", "text", "fc.weight is a str, expected"),
        ("fc.weight", None, r"1 tensors of the network are absent \(fc.weight\)"),
        ("other", torch.ones(1), r"1 tensors that the network does not have \(other\)"),
    ):
        state = {**network.state_dict(), name: value}
        state = {key: tensor for key, tensor in state.items() if tensor is not None}
        torch.save({**whole, "networks": {"network": state}}, path)
        with pytest.raises(SedkitError, match=f"best.pt: network 'network': {reason}"):
            read_checkpoint(path).network()
    torch.save({**whole, "selected": "teacher"}, path)
    with pytest.raises(SedkitError, match="best.pt: a checkpoint without the network that it selects"):
        load_weights(network, path)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"name": ["cnn5_avg"]}, "model.name is ['cnn5_avg']"),
        ({"name": "zz"}, "model.name is 'zz', expected one of"),
        ({"name": "cnn5_avg", "colour": 1}, "unknown key 'colour'"),
    ],
)
def test_a_network_that_cannot_be_rebuilt_is_the_file_s_fault(tmp_path: Path, model: dict, said: str) -> None:
    checkpoint, _ = make({"name": "cnn5_avg", "base_channels": 2})
    checkpoint.model = model
    write_checkpoint(tmp_path / "c.pt", checkpoint)
    with pytest.raises(SedkitError, match="train again") as refused:
        read_checkpoint(tmp_path / "c.pt").network()
    assert (refused.value.status, said in str(refused.value), "c.pt: " in str(refused.value)) == (1, True, True)


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    checkpoint, network = make({"name": "cnn5_avg", "base_channels": 2})
    next(iter(network.parameters())).data.fill_(float("nan"))
    write_checkpoint(tmp_path / "c.pt", checkpoint)
    with pytest.raises(SedkitError, match=r"c.pt: network 'network': 1 tensors hold NaN or infinity"):
        read_checkpoint(tmp_path / "c.pt").network()


def test_imagenet_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    photographs = build_model({"name": "resnet18", "stem_channels": 3}, 1000, 64)
    path = tmp_path / "resnet18.pth"
    torch.save(photographs.state_dict(), path)
    network = build_model({"name": "resnet18"}, 5, 64)
    classifier = network.fc.weight.detach().clone()
    caplog.set_level(logging.INFO, logger="sedkit")
    digest = load_weights(network, path)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert digest in caplog.text
    torch.testing.assert_close(network.conv1.weight[:, 0], photographs.conv1.weight.mean(dim=1))
    torch.testing.assert_close(network.layer4[1].conv2.weight, photographs.layer4[1].conv2.weight)
    assert torch.equal(network.fc.weight, classifier)


def test_blocks_of_other_networks(tmp_path: Path) -> None:
    network = build_model({"name": "cnn9_att", "base_channels": 2}, 3, 16)
    other = {
        f"module.conv_block1.conv1.{k}": torch.full_like(v, 2) for k, v in network.blocks[0].conv1.state_dict().items()
    }
    other["module.fc_audioset.weight"] = torch.zeros(527, 16)
    torch.save({"model": other}, tmp_path / "other.pth")
    load_weights(network, tmp_path / "other.pth")
    assert network.blocks[0].conv1.weight.unique().tolist() == [2.0]


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    network = build_model({"name": "cnn5_avg", "base_channels": 2}, 3, 16)
    torch.save({"blocks.0.conv1.weight": torch.zeros(3, 1, 5, 5)}, tmp_path / "shape.pth")
    with pytest.raises(SedkitError, match=r"blocks.0.conv1.weight is \(3, 1, 5, 5\), expected \(2, 1, 5, 5\)"):
        load_weights(network, tmp_path / "shape.pth")
    torch.save({"stem.weight": torch.zeros(3)}, tmp_path / "name.pth")
    with pytest.raises(SedkitError, match=r"does not have \(stem.weight\)"):
        load_weights(network, tmp_path / "name.pth")
    with pytest.raises(SedkitError, match="no such file"):
        load_weights(network, tmp_path / "none.pth")


def test_a_checkpoint_serves_as_weights(tmp_path: Path) -> None:
    checkpoint, network = make({"name": "cnn9_avg", "base_channels": 2})
    write_checkpoint(tmp_path / "best.pt", checkpoint)
    fresh = build_model({"name": "cnn9_avg", "base_channels": 2}, 3, 16)
    load_weights(fresh, tmp_path / "best.pt")
    assert all(torch.equal(a, b) for a, b in zip(fresh.parameters(), network.parameters(), strict=True))
