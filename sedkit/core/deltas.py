"""A configuration as what differs from another: `base: NAME.yaml` at the top of a YAML, one level.

Mappings are merged key by key; what a file says wins over its base. Where the base has a mapping, `key: null` takes it
out, and `base: null` inside a mapping takes nothing of the base below that key. `null` in place of a plain value is a
value as any other.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.files import read_yaml

#: The key that names a file's base, and that stands with null where nothing of it is wanted.
BASE = "base"


@dataclass(frozen=True)
class Layer:
    """One file of a configuration, without its `base`."""

    path: Path
    content: dict[str, Any]

    def depth_of(self, key: str) -> int:
        """Return how many steps of a dotted key stand in the file."""
        place: Any = self.content
        steps = key.split(".")
        for depth, step in enumerate(steps):
            if not isinstance(place, dict) or step not in place:
                return depth
            place = place[step]
        return len(steps)


def read_layers(path: str | os.PathLike[str]) -> tuple[Layer, ...]:
    """Read a configuration and its base, where it names one; the file itself comes first.

    Raises
    ------
    UsageError
        No mapping, a `base` that is no file, or a base that has a base.
    """
    layer, base = _read(Path(path))
    if base is None:
        return (layer,)
    below, second = _read(base)
    if second is not None:
        raise UsageError(
            f"{base}: has the base {second.name}, but is the base of {path}; a base stands on no other file"
        )
    return layer, below


def _read(path: Path) -> tuple[Layer, Path | None]:
    """Return a file and the path of its base."""
    content = read_yaml(path)
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UsageError(f"{path}: got {type(content).__name__}, expected a mapping of sections")
    if BASE not in content:
        return Layer(path, content), None
    name = content.pop(BASE)
    if not isinstance(name, str) or not name.strip():
        raise UsageError(f"{path}: base is {name!r}, expected the name of a YAML file, as seen from this one")
    base = path.parent / name
    if not os.path.isfile(base):
        raise UsageError(f"{path}: base {name}: no such file ({base})")
    return Layer(path, content), base


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """Return what the files say together.

    Raises
    ------
    UsageError
        A mapping over a plain value or the reverse, a mapping to take out that is not there, a `base` other than null
        below the top.
    """
    if len(layers) == 1:
        return layers[0].content
    return _merged(layers[1].content, layers[0].content, layers, "")


def _merged(base: dict[str, Any], delta: dict[str, Any], layers: Sequence[Layer], way: str) -> dict[str, Any]:
    here, below = layers[0].path, layers[1].path.name
    if BASE in delta:
        if delta[BASE] is not None:
            raise UsageError(f"{here}: {way}{BASE} is {delta[BASE]!r}, expected null (take nothing of {below} here)")
        # A pass is a delta itself: what it takes nothing of is seen to where it is applied.
        base = {BASE: None} if way.startswith("passes.") and way.count(".") > 2 else {}
        delta = {name: value for name, value in delta.items() if name != BASE}
    merged = dict(base)
    for name, value in delta.items():
        key, before = f"{way}{name}", base.get(name)
        if isinstance(value, dict):
            if before is not None and not isinstance(before, dict):
                raise UsageError(f"{here}: {key} is a mapping, but {before!r} in {below}")
            merged[name] = _merged(before or {}, value, layers, f"{key}.")
        elif isinstance(before, dict):
            if value is not None:
                raise UsageError(
                    f"{here}: {key} is {value!r}, but a mapping in {below}; give the keys that differ, or null for none"
                )
            del merged[name]
        elif value is None and name not in base and base and all(isinstance(one, dict) for one in base.values()):
            # A name among streams or budgets: a plain null would be taken for one more of them.
            hint = suggest(str(name), base)
            raise UsageError(
                f"{here}: {key} is null, but {below} has no {name!r}{hint} to take out, only {listed(base)}"
            )
        else:
            merged[name] = value
    return merged
