"""Folds of a cross-validation and their parts: `1-select` is the part `select` of fold `1`."""

from __future__ import annotations

from collections.abc import Iterable


def _split(name: str) -> tuple[str, str]:
    fold, _, part = name.partition("-")
    return fold, part or "train"


def with_parts(fold: str, names: Iterable[str]) -> list[str]:
    """Return the names of a fold and its parts.

    >>> with_parts("1", ["1", "1-select", "2", "2-select"])
    ['1', '1-select']
    """
    return sorted({name for name in names if _split(name)[0] == fold})


def others(part: str, names: Iterable[str], held_out: str) -> list[str]:
    """Return what a part of a cross-validation is: that part of every fold but the one that is held out.

    >>> names = ["1", "1-select", "2", "2-select", "3", "3-select"]
    >>> others("train", names, "2"), others("select", names, "2")
    (['1', '3'], ['1-select', '3-select'])
    """
    return sorted({name for name in names if _split(name)[1] == part and _split(name)[0] != held_out})
