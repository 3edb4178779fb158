"""Submission formats by name: one declarative module per year, found by itself (`docs/submissions.md` shows one)."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from sedkit.core.errors import UsageError, suggest
from sedkit.submission.formats._format import Format, MetaField, PointFolder, ScoreRuns

#: Other names a format answers to.
ALIASES = {"dcase2023": "dcase2023a"}

__all__ = [
    "ALIASES",
    "Format",
    "MetaField",
    "PointFolder",
    "ScoreRuns",
    "every_format",
    "format_names",
    "get_format",
]


def _formats() -> dict[str, Format]:
    years = [name for _, name, _ in pkgutil.iter_modules(__path__) if not name.startswith("_")]
    modules = [import_module(f"{__name__}.{name}") for name in sorted(years)]
    return {form.name: form for module in modules for form in module.FORMATS}


def every_format() -> tuple[Format, ...]:
    """Return the formats of all years."""
    return tuple(_formats().values())


def format_names() -> tuple[str, ...]:
    """Return the names that `--format` takes."""
    return (*_formats(), *ALIASES)


def get_format(name: str) -> Format:
    """Return a format by name.

    Raises
    ------
    UsageError
        No such format.
    """
    formats = _formats()
    form = formats.get(ALIASES.get(name, name))
    if form is None:
        raise UsageError(f"unknown format {name!r}{suggest(name, format_names())}; known: {', '.join(format_names())}")
    return form
