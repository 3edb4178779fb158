"""Kinds of a meta file's fields: what fits one, what the organisers' validators let pass, how values are rounded."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sedkit.core.numbers import is_number

#: What each kind asks for, in words.
KINDS = {
    "text": "a text",
    "number": "a finite number above 0",
    "integer": "a whole number above 0",
    "percent": "a number from 0 to 100",
    "fraction": "a number from 0 to 1, with a point",
    "features": "a text, a list of texts, or null",
    "count": "a number, or null",
    "kwh": "kWh above 0",
    "free": "a text, or null (!!null) where there is none",
}

#: Characters of a value in a message.
_SHOWN = 80


def fits(kind: str, value: Any) -> bool:
    """Tell whether a value is what a kind of field asks for."""
    if kind == "text":
        return isinstance(value, str) and bool(value.strip())
    if kind in ("number", "kwh"):
        return is_number(value) and value > 0
    if kind == "integer":
        return isinstance(value, int) and is_number(value) and value > 0
    if kind == "percent":
        return is_number(value) and 0 <= value <= 100
    if kind == "fraction":
        return isinstance(value, float) and 0 <= value <= 1
    if kind == "count":
        return value is None or (is_number(value) and value >= 0)
    return is_accepted(kind, value)


def is_accepted(kind: str, value: Any) -> bool:
    """Tell whether a value is of a type that the validators of 2020 and 2024 let pass, sensible or not."""
    if kind == "text":
        return isinstance(value, str)
    if kind in ("number", "percent"):
        return isinstance(value, int | float)
    if kind == "integer":
        return isinstance(value, int)
    if kind == "fraction":
        # 0 and 1 without a point are no floats.
        return isinstance(value, float)
    if kind == "count":
        return value is None or isinstance(value, int | float)
    if kind == "features":
        texts = isinstance(value, list) and all(isinstance(x, str) for x in value)
        return value is None or isinstance(value, str) or texts
    return True


def shown(value: Any) -> str:
    """Write a meta file's value for a message, however much it holds."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def decimals(stated: float) -> int:
    """Return with how many decimals a figure was stated.

    >>> decimals(35), decimals(35.0), decimals(0.353)
    (0, 1, 3)
    """
    exponent = Decimal(str(stated)).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def percent_rounding(stated: float) -> float:
    """Return by how much a stated percentage may be rounded: as far as its decimals say, but one is enough."""
    return 0.5 if decimals(stated) == 0 else 0.05
