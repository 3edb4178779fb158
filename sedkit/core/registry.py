"""Things that a configuration chooses by name: a module of a room registers its own, nothing else has to change."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

from sedkit.core.config import typed
from sedkit.core.errors import UsageError, listed, suggest

Builder = TypeVar("Builder", bound=Callable[..., Any])


@dataclass(frozen=True)
class NoOptions:
    """Of what has none."""


class Registry(Generic[Builder]):
    """Builders by name, each with the dataclass of its options.

    Parameters
    ----------
    package
        The room whose modules register something; all of them are imported before a name is looked up.
    section
        The configuration section, for messages.
    beside
        Further rooms whose modules register something; they may stand on any floor.
    """

    def __init__(self, package: str, section: str, beside: tuple[str, ...] = ()) -> None:
        self._packages, self._section = (package, *beside), section
        self._entries: dict[str, tuple[Builder, type]] = {}
        self._searched: tuple[str, ...] = ()

    def register(self, name: str, options: type) -> Callable[[Builder], Builder]:
        """Return a decorator that registers a builder under `name`; `options` is the dataclass of its options."""

        def keep(builder: Builder) -> Builder:
            assert name not in self._entries, name
            self._entries[name] = (builder, options)
            return builder

        return keep

    def names(self) -> tuple[str, ...]:
        """Return every name that can be chosen."""
        rooms = {name: tuple(importlib.import_module(name).__path__) for name in self._packages}
        folders = tuple(folder for places in rooms.values() for folder in places)
        if folders != self._searched:
            for name, places in rooms.items():
                for module in pkgutil.iter_modules(places):
                    importlib.import_module(f"{name}.{module.name}")
            self._searched = folders
        return tuple(sorted(self._entries))

    def entry(self, name: str) -> tuple[Builder, type]:
        """Return the builder of a name, one of `names`, and the dataclass of its options."""
        self.names()
        return self._entries[name]

    def options(self, section: dict[str, Any] | None, where: str = "") -> tuple[str, Any]:
        """Return the name that a section (`name` and options) chooses, and its options as their dataclass.

        Parameters
        ----------
        section
            As read from YAML.
        where
            Where it stands, for messages; by default the registry's own section.

        Raises
        ------
        UsageError
            An unknown name, or an option that the builder does not have.
        """
        where = where or self._section
        if not isinstance(section, dict | None):
            raise UsageError(f"{where} is {section!r}, expected a mapping with a name")
        names, options = self.names(), dict(section or {})
        name = options.pop("name", None)
        if not isinstance(name, str) or name not in self._entries:
            raise UsageError(
                f"{where}.name is {name!r}{suggest(str(name), names)}, expected one of {listed(names, 20)}"
            )
        return name, typed(options, self._entries[name][1], where)

    def resolve(self, section: dict[str, Any] | None) -> dict[str, Any]:
        """Return a section with every option filled in and checked (see `options`)."""
        name, options = self.options(section)
        return {"name": name} | asdict(options)

    def build(self, section: dict[str, Any] | None, *arguments: Any, where: str = "") -> Any:
        """Return what the chosen builder makes of `arguments` and its options (last)."""
        name, options = self.options(section, where)
        return self._entries[name][0](*arguments, options)
