"""Sections that map names of steps to their options and are done in the order written. Importable without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

from sedkit.core.config import typed
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.registry import Registry

Step = TypeVar("Step", bound=type)


class StepRegistry(Registry[type]):
    """Steps by name; each is a dataclass whose fields are its options."""

    def step(self, name: str) -> Callable[[Step], Step]:
        """Return a decorator that registers a dataclass under `name`."""
        return lambda cls: self.register(name, cls)(cls)

    def read(self, section: Mapping[str, Any] | None, where: str) -> dict[str, Any]:
        """Return the steps of a section in its order; raises UsageError, `where` first, for what is no step."""
        if not isinstance(section, Mapping | None):
            raise UsageError(f"{where} is {section!r}, expected a mapping of steps to their options")
        names = self.names()
        for name in section or {}:
            if name not in names:
                raise UsageError(f"{where}: unknown key {name!r}{suggest(str(name), names)}; has {listed(names, 20)}")
        return {name: typed(raw, self.entry(name)[1], f"{where}.{name}") for name, raw in (section or {}).items()}

    def options(self, section: Mapping[str, Any] | None, where: str) -> dict[str, dict[str, Any]]:
        """Return a section with every option filled in, as plain data."""
        return {name: plain_options(step) for name, step in self.read(section, where).items()}


def plain_options(step: Any) -> dict[str, Any]:
    """Return the options of a step as YAML would give them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(step).items()}
