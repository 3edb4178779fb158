"""Messages about a configuration say in which of its files the wrong key stands."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence

from sedkit.core.config import SECTIONS, at
from sedkit.core.deltas import Layer, read_layers
from sedkit.core.errors import UsageError

#: How a message about a configuration begins: the section's key, then the key in it.
_KEY = re.compile(
    r"(?P<section>\w+(?:\.[\w-]+)*)(?:: (?:(?:unknown )?key '(?P<key>[\w.]+)'|(?P<value>\w+) is )| is |: )"
)


@contextlib.contextmanager
def naming_file(
    path: str | os.PathLike[str], overrides: Sequence[str] = (), budget: str | None = None, of_pass: str | None = None
) -> Iterator[None]:
    """Put the file in which a wrong key stands before a message about a configuration (arguments as `read_config`).

    A key of its base is told of the base; what overrides set stands in no file.
    """
    try:
        yield
    except UsageError as error:
        match = _KEY.match(str(error))
        if match is None or match["section"].partition(".")[0] not in SECTIONS:
            raise
        key = ".".join(filter(None, (match["section"], match["key"] or match["value"])))
        given = [f"{text.partition('=')[0]}." for text in overrides]
        if any(f"{key}.".startswith(name) or name.startswith(f"{key}.") for name in given):
            raise
        layers = read_layers(path)
        if any(str(error).startswith(f"{one.path}: ") for one in layers):
            # A file may be called as a section is: model.yaml.
            raise
        for way in (("passes", of_pass, "budgets", budget), ("budgets", budget)) if budget else ():
            for layer in layers:
                applied = at(layer.content, way)
                if any(f"{key}.".startswith(f"{name}.") for name in applied):
                    raise UsageError(f"{layer.path}: {'.'.join(map(str, way))}: {error}") from None
        for layer in layers:
            delta = Layer(layer.path, (layer.content.get("passes") or {}).get(of_pass) or {})
            if delta.depth_of(key) == key.count(".") + 1:
                raise UsageError(f"{layer.path}: passes.{of_pass}: {error}") from None
        layer = max(layers, key=lambda one: one.depth_of(key))
        raise UsageError(f"{layer.path}: {error}") from None
