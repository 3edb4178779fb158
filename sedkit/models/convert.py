"""Files of weights that hold objects of other programs, rewritten as tensors and plain data; nothing in them runs."""

from __future__ import annotations

import io
import os
import re
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from sedkit.core.errors import SedkitError
from sedkit.core.files import atomic_path
from sedkit.models.weights import is_safetensors, read_tensors, refusal_of, unlike

#: How many kinds of objects a file may hold.
_KINDS = 200
#: What torch says of an object that is to be filled.
_FILLED = re.compile(r"Can only (SETITEM|append|extend).* got <class '([^']+)'>")
#: Plain data, as `torch.load(weights_only=True)` reads it.
_PLAIN = (str, bytes, bool, int, float, type(None), torch.dtype, torch.device)
#: Stands for what has no plain form.
_NOTHING = object()


class Inert:
    """Takes the place of an object of another program: it remembers what it is given, and does nothing."""

    state: Any = None

    def __new__(cls, *_: Any) -> Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _mapping(*_: Any) -> dict[Any, Any]:
    return {}


class Converted(NamedTuple):
    """What was written, and what was left out: where each object stood, and its class."""

    content: dict[str, Any]
    left_out: dict[str, str]


def convert(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Converted:
    """Write a file of weights anew, so that it is read without running anything.

    Torch's own reader of plain files is used: what it would have to import is replaced by objects that do nothing. A
    mapping, or an object that is no more than named values (argparse's Namespace), becomes a plain mapping; any other
    object is left out.

    Raises
    ------
    SedkitError
        A file that torch did not write, that is damaged, or that names a module which torch never lets load.
    """
    content = _read(path)
    left_out: dict[str, str] = {}
    plain = _plain(content, "", left_out, ())
    if not isinstance(plain, dict) or not _tensors(plain):
        raise SedkitError(f"{path}: holds no tensor that can be read without its program, expected a state dict")
    data = io.BytesIO()
    torch.save(plain, data)
    with atomic_path(out) as aside:
        aside.write_bytes(data.getbuffer())
        read_tensors(aside)
    return Converted(plain, left_out)


def _read(path: str | os.PathLike[str]) -> Any:
    """Read a file with an inert class for each that it names, which are found one by one."""
    if not os.path.isfile(path):
        raise SedkitError(f"{path}: {'is a folder, expected a file' if os.path.isdir(path) else 'no such file'}")
    with open(path, "rb") as file:
        head = file.read(512)
    if is_safetensors(path, head):
        return read_tensors(path)
    if reason := unlike(path, head):
        raise SedkitError(f"{path}: not a file of weights: {reason}")
    kinds: dict[str, Any] = {"collections.defaultdict": _mapping}
    while True:
        named: list[Any] = [(kind, name) for name, kind in kinds.items()]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals(named):
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # the bytes of a damaged pickle are orders that may fail in any way
            said = str(error)
        match, filled = re.search(r"GLOBAL ([\w.]+)", said), _FILLED.search(said)
        name = "" if match is None else match[1] if "." in match[1] else f"builtins.{match[1]}"
        if filled and isinstance(kinds.get(filled[2]), type) and issubclass(kinds[filled[2]], Inert):
            # A mapping or list of another program, to whose own class torch adds nothing.
            kinds[filled[2]] = OrderedDict if filled[1] == "SETITEM" else list
        elif name and "is blocked" in said:
            raise SedkitError(f"{path}: cannot be converted: it would load {name}, as no weights do")
        elif name and name not in kinds and len(kinds) < _KINDS:
            kinds[name] = type(name, (Inert,), {"__module__": "builtins"})
        else:
            raise SedkitError(f"{path}: cannot be converted: {refusal_of(head, said)}")


def _plain(value: Any, where: str, left_out: dict[str, str], above: tuple[int, ...]) -> Any:
    """Return the plain form of a value, `_NOTHING` where it has none; `above` are the values that it stands in."""
    if id(value) in above:
        left_out[where] = "a circle"
        return _NOTHING
    inside = (*above, id(value))
    if isinstance(value, Inert):
        if not isinstance(value.state, dict):
            left_out[where] = type(value).__name__
            return _NOTHING
        return _plain(value.state, where, left_out, inside)
    if isinstance(value, Tensor):
        # Without hooks and the like.
        return value.detach()
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        pairs = (
            (key, _plain(one, f"{where}.{key}".lstrip("."), left_out, inside))
            for key, one in value.items()
            if isinstance(key, str | int | float)
        )
        return {key: one for key, one in pairs if one is not _NOTHING}
    if isinstance(value, list | tuple | set):
        ones = [_plain(one, f"{where}[{i}]", left_out, inside) for i, one in enumerate(value)]
        return [one for one in ones if one is not _NOTHING]
    left_out[where] = type(value).__name__
    return _NOTHING


def _tensors(value: Any) -> int:
    """Count tensors, however deep."""
    if isinstance(value, Tensor):
        return 1
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_tensors, inside))
