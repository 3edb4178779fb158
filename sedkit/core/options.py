"""How a field of a dataclass declares the command-line option that sets it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Option:
    """A command-line option that sets a field.

    Attributes
    ----------
    flag
        Such as `--collar`.
    default
        The field's value without it.
    help
        Its line of help; empty where another declares the option.
    within
        The numbers that it takes, where it takes a number.
    whole
        Whether it takes whole numbers alone.
    choices
        The words that it takes, where it takes a word.
    place
        Whether it names a file or folder.
    metavar
        What the help calls its value.
    """

    flag: str
    default: Any
    help: str = ""
    within: tuple[float, float] = (0.0, 1.0)
    whole: bool = False
    choices: tuple[str, ...] | None = None
    place: bool = False
    metavar: str | None = None

    @property
    def name(self) -> str:
        """The option's name among the parsed ones."""
        return self.flag.removeprefix("--").replace("-", "_")


def option(default: Any, flag: str, help: str = "", **more: Any) -> Any:
    """Return a dataclass field that a command-line option sets (see `Option`)."""
    return dataclasses.field(default=default, metadata={"option": Option(flag, default, help, **more)})


def options_of(parameters: type) -> dict[str, Option]:
    """Return the options that set fields of a dataclass, by field."""
    return {f.name: f.metadata["option"] for f in dataclasses.fields(parameters) if "option" in f.metadata}


def filled(parameters: type, given: Mapping[str, Any]) -> Any:
    """Return a dataclass with what was given of its options, by the options' names; others have their defaults."""
    return parameters(**{f: given[o.name] for f, o in options_of(parameters).items() if o.name in given})
