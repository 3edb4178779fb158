"""Start a network from weights in a file made by anyone."""

from __future__ import annotations

import lzma
import os
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, first_line, listed
from sedkit.core.files import sha256_file
from sedkit.core.log import log
from sedkit.models.output import SedModel

#: How files of other programs begin.
_OTHERS = {
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy array",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"RIFF": "a WAV",
}
_SAVE = "fetch it again, or save the network's state_dict() with torch.save"
_CONVERT = "fetch it again, or make it plain by `sedkit weights convert FILE`"
#: How the reason of a file that can be converted begins.
_OBJECT = "it holds a Python object"


def read_tensors(path: str | os.PathLike[str], advice: str = "") -> dict[str, Any]:
    """Read a file of tensors and plain data; nothing in it is executed, and its checksums are compared.

    Parameters
    ----------
    path
        The file.
    advice
        What to do about a file that is refused, where that is not what is done about weights.

    Raises
    ------
    SedkitError
        No such file, a damaged one, or one that holds more than tensors and plain data.
    """
    if not os.path.isfile(path):
        raise SedkitError(f"{path}: {'is a folder, expected a file' if os.path.isdir(path) else 'no such file'}")
    with open(path, "rb") as file:
        head = file.read(512)
    if is_safetensors(path, head):
        return _read_safetensors(path, advice or _SAVE)
    reason = unlike(path, head)
    if not reason:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                content = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # the bytes of a damaged pickle are orders that may fail in any way
            reason = refusal_of(head, str(error))
    if reason:
        advice = advice or (_CONVERT if reason.startswith(_OBJECT) else _SAVE)
        raise SedkitError(f"{path}: not a file of tensors and plain data: {reason}; {advice}")
    if not isinstance(content, dict):
        advice = advice or _SAVE
        raise SedkitError(f"{path}: holds a {type(content).__name__}, expected a mapping of names to tensors; {advice}")
    return content


def is_safetensors(path: str | os.PathLike[str], head: bytes) -> bool:
    """Say whether a file is one of safetensors by its beginning (length of a header of JSON) or, if not empty, name."""
    begins = head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= os.path.getsize(path)
    return begins or (bool(head) and os.fspath(path).endswith(".safetensors"))


def _read_safetensors(path: str | os.PathLike[str], advice: str) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise SedkitError(
            f"{path}: files of safetensors are read by that package, which cannot be imported ({error}); "
            "`pip install 'safetensors>=0.4'`"
        ) from None
    try:
        state: dict[str, Any] = load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, AttributeError) as error:
        said = first_line(error)
        raise SedkitError(f"{path}: no safetensors file, or cut off or damaged ({said}); {advice}") from None
    return state


def unlike(path: str | os.PathLike[str], head: bytes) -> str:
    """Say what tells a file from one that torch.save wrote; ``""`` where nothing does."""
    if not head:
        return "it is empty (0 bytes)"
    if head.startswith(b"PK"):
        return _damage(path)
    for start, what in _OTHERS.items():
        if head.startswith(start):
            return f"it is {what}"
    text = head.decode("utf-8", "ignore")
    if len(text) >= len(head) - 3 and all(c.isprintable() or c.isspace() for c in text):
        return f"it is text ({' '.join(text.split())[:40]!r})"
    return ""


#: What reading a zip raises where an offset, a length, a name or a packing method in it is damaged.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ArithmeticError,
    LookupError,
    OSError,
    RuntimeError,
    ValueError,
)


def _damage(path: str | os.PathLike[str]) -> str:
    """Say what is wrong with a zip, which is how torch.save writes; ``""`` where nothing is."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if not any(name.endswith("/data.pkl") for name in names):
                return f"it is a zip of another program (with {listed(map(ascii, names), 2) or 'nothing in it'})"
            if any("/code/" in name for name in names):
                return "it is a TorchScript program"
            # torch compares no checksums, and can be told to write none (all are 0 then).
            broken = archive.testzip() if any(member.CRC for member in members) else None
            return f"it is damaged ({broken!a} in it does not match its checksum)" if broken else ""
    except _DAMAGED:
        return "it is cut off or damaged (a zip whose table of contents cannot be read)"


def refusal_of(head: bytes, said: str) -> str:
    """Put in plain words why torch refuses a file."""
    objects = re.search(r"GLOBAL ([\w.]+)", said)
    if objects:
        return f"{_OBJECT} ({objects[1]}), which only running its code could make"
    if head.startswith((b"PK", b"\x80")):
        return "it is damaged, or holds Python objects"
    return "torch.save did not write it, or it is damaged"


class Pretrained(nn.Module):
    """Base of the networks that come with weights made by others.

    `forward(x, n_frames=None)` makes (batch, rows, `width`) of (batch, frames, bins), of which the first `n_frames`
    (batch,) frames are real (None: all), where it makes a difference to the network.

    Attributes
    ----------
    width
        Of a row.
    step_frames
        Frames of the features in a step, of which there may be several rows.
    most_frames, layer_order
        As those of `sedkit.models.output.SedModel`.
    """

    width: int
    step_frames: int
    most_frames: int | None = None
    layer_order: Sequence[tuple[str, ...]] = ()

    def check_file(self, content: dict[str, Any], source: object) -> None:
        """Raise SedkitError where a file says of itself that its weights are for another network."""

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a foreign state dict under this network's names."""
        return state


def below_prefix(state: dict[str, Tensor], anchor: str) -> dict[str, Tensor]:
    """Return the tensors of a network that stands in a state dict below some prefix, without it.

    Parameters
    ----------
    state
        Of a network that may be a part of others (`model.teacher.encoder.` and the like); what is not below its prefix
        is left out.
    anchor
        The name of a tensor of the network.

    Raises
    ------
    SedkitError
        Several networks have such a tensor, and not one of them is the only teacher.

    Examples
    --------
    >>> below_prefix({"model.net.a.weight": torch.ones(1), "head.weight": torch.ones(2)}, "a.weight")
    {'a.weight': tensor([1.])}
    """
    prefixes = [name.removesuffix(anchor) for name in state if name == anchor or name.endswith(f".{anchor}")]
    if len(prefixes) > 1:
        prefixes = [prefix for prefix in prefixes if "teacher." in prefix] or prefixes
    if len(prefixes) > 1:
        raise SedkitError(f"holds {len(prefixes)} networks, below {listed(prefixes)}, expected one")
    if not prefixes or not prefixes[0]:
        return state
    return {k.removeprefix(prefixes[0]): value for k, value in state.items() if k.startswith(prefixes[0])}


def without_other_classes(network: nn.Module, state: dict[str, Tensor], heads: tuple[str, ...]) -> dict[str, Tensor]:
    """Return a state dict without its classifier, of names that begin with one of `heads`, if the network has another.

    A classifier of another kind is kept where the network has one, too: what is wrong with it is to be told.
    """
    expected = {name: value.shape for name, value in network.state_dict().items() if name.startswith(heads)}
    if expected and all(state[name].shape == shape for name, shape in expected.items() if name in state):
        return state
    return {name: value for name, value in state.items() if not name.startswith(heads)}


def load_pretrained(network: nn.Module, path: str | os.PathLike[str]) -> str:
    """Copy all weights of `network` from a file of others and return the file's sha256.

    Raises
    ------
    SedkitError
        A file that cannot be read, is for another network, or has tensors too many, too few or of other shapes.
    """
    content = read_tensors(path)
    state = _adapted(network, content, path)
    check_state(network, state, path)
    network.load_state_dict(state)
    return sha256_file(path)


def _adapted(network: nn.Module, content: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Tensor]:
    if isinstance(network, Pretrained):
        network.check_file(content, path)
    state = _state_of(content, path)
    try:
        return network.adapt_weights(state) if isinstance(network, Pretrained | SedModel) else state
    except SedkitError as error:
        raise SedkitError(f"{path}: {error}") from None


def check_state(network: nn.Module, state: dict[str, Any], source: object, whole: bool = True) -> None:
    """Compare the names and shapes of a state dict with those of a network.

    Parameters
    ----------
    source
        Where the state comes from, for messages.
    whole
        Every tensor of the network has to be there.

    Raises
    ------
    SedkitError
        A tensor that the network does not have, or has in another shape or of another kind of numbers, one that is
        absent, or one that is not finite.
    """
    expected = network.state_dict()
    unknown = [name for name in state if name not in expected]
    if unknown:
        raise SedkitError(f"{source}: {len(unknown)} tensors that the network does not have ({listed(unknown, 3)})")
    for name, value in state.items():
        shape = tuple(value.shape) if isinstance(value, Tensor) else f"a {type(value).__name__}"
        if shape != tuple(expected[name].shape):
            raise SedkitError(f"{source}: {name} is {shape}, expected {tuple(expected[name].shape)}")
        if value.is_floating_point() != expected[name].is_floating_point():
            kinds = [str(tensor.dtype).removeprefix("torch.") for tensor in (value, expected[name])]
            raise SedkitError(f"{source}: {name} holds {kinds[0]}, expected {kinds[1]}")
    wild = [n for n, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if wild:
        raise SedkitError(f"{source}: {len(wild)} tensors hold NaN or infinity ({listed(wild, 3)})")
    absent = [name for name in expected if name not in state] if whole else []
    if absent:
        raise SedkitError(f"{source}: {len(absent)} tensors of the network are absent ({listed(absent, 3)})")


def _state_of(content: dict[str, Any], path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Find the state dict in what people save: the dict itself, below a usual key, or a checkpoint of sedkit."""
    networks = content.get("networks")
    if isinstance(networks, dict) and "selected" in content:
        content = networks.get(content["selected"])
        if not isinstance(content, dict):
            raise SedkitError(f"{path}: a checkpoint without the network that it selects; make it again")
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    state = {str(k).removeprefix("module."): v for k, v in content.items() if isinstance(v, Tensor)}
    if not state:
        raise SedkitError(f"{path}: holds no tensors, expected a state dict")
    # Numbers of 8 bits cannot be compared.
    return {k: v.float() if v.is_floating_point() and v.itemsize == 1 else v for k, v in state.items()}


def state_dict_of(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the state dict of a file, under its own names; raises SedkitError as `read_tensors` does."""
    return _state_of(read_tensors(path), path)


def load_weights(network: SedModel, path: str | os.PathLike[str]) -> str:
    """Copy the weights of a file into `network` and return the file's sha256.

    A classifier of other classes is left out, and so is whatever the network's `adapt_weights` says; every tensor that
    is left must exist in the network with its shape.

    Raises
    ------
    SedkitError
        A name or a shape that the network does not have, or not one tensor that fits.
    """
    digest = sha256_file(path) if os.path.isfile(path) else ""
    state = _adapted(network, read_tensors(path), path)
    check_state(network, state, path, whole=False)
    if not state:
        raise SedkitError(f"{path}: no tensor fits the network")
    network.load_state_dict(state, strict=False)
    fresh = [name for name in network.state_dict() if name not in state and not name.endswith("num_batches_tracked")]
    log.info("weights: %s (sha256 %s): %d tensors; fresh: %s", path, digest, len(state), listed(fresh, 4) or "none")
    return digest
