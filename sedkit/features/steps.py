"""Sections that are mappings of step names to options, in the order in which the steps are done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedkit.core.config import typed
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.registry import Registry


def options_by_step(registry: Registry[Any], section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
    """Return the checked options of each step of a section, in its order; `where` begins messages.

    Raises
    ------
    UsageError
        No mapping, an unknown step, or options that the step refuses.
    """
    if not isinstance(section, Mapping | None):
        raise UsageError(f"{where} is {section!r}, expected a mapping of steps to their options")
    names, options = registry.names(), {}
    for name, given in (section or {}).items():
        if name not in names:
            raise UsageError(f"{where}: unknown key {name!r}{suggest(str(name), names)}; has {listed(names, 20)}")
        options[name] = typed(given, registry.entry(name)[1], f"{where}.{name}")
    return options
