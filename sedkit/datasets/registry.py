"""Data sets and miniatures by name. A module of this folder registers its own; nothing else has to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sedkit.core.options import filled
from sedkit.core.registry import NoOptions, Registry
from sedkit.datasets.base import DataSet

DATASETS: Registry[Callable[[str, Any], DataSet]] = Registry("sedkit.datasets", "data set")
MINIATURES: Registry[Callable[..., dict[str, int]]] = Registry("sedkit.datasets", "miniature")


def register(name: str, options: type = NoOptions) -> Callable[[type[DataSet]], type[DataSet]]:
    """Return a decorator of a `DataSet`; `options` is the dataclass of its options on the command line."""
    return DATASETS.register(name, options)  # type: ignore[return-value]


def register_miniature(name: str, options: type = NoOptions) -> Callable[..., Callable[..., dict[str, int]]]:
    """Return a decorator of `generate(root, options, *, seed, size, jobs)`, which fills a folder and counts clips."""
    return MINIATURES.register(name, options)


def dataset_named(name: str, given: Mapping[str, Any] | None = None) -> DataSet:
    """Return the data set of a name, one of ``DATASETS.names()``, with the options that were given."""
    builder, options = DATASETS.entry(name)
    return builder(name, filled(options, given or {}))
