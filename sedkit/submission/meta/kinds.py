"""Kinds of a meta file's fields: what fits one, what the organisers' validators let pass, how values are rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sedkit.core.numbers import is_number

_Test = Callable[[Any], bool]


@dataclass(frozen=True)
class FieldKind:
    """One kind of field; `words` say what it asks for.

    `accepts` tells whether a value is of a type that the validators of 2020 and 2024 let pass, sensible or not, `fits`
    whether it is also what the kind asks for, `nullable` whether null is an answer.
    """

    words: str
    accepts: _Test
    fits: _Test
    nullable: bool = False


def _is(*types: type) -> _Test:
    return lambda value: isinstance(value, types)


def _within(low: float, high: float) -> _Test:
    return lambda value: is_number(value) and low <= value <= high


def _above_0(value: Any) -> bool:
    return is_number(value) and value > 0


def _features(value: Any) -> bool:
    return value is None or isinstance(value, str) or (isinstance(value, list) and all(map(_is(str), value)))


KINDS = {
    "text": FieldKind("a text", _is(str), lambda value: isinstance(value, str) and bool(value.strip())),
    "number": FieldKind("a finite number above 0", _is(int, float), _above_0),
    "integer": FieldKind("a whole number above 0", _is(int), lambda value: isinstance(value, int) and _above_0(value)),
    "percent": FieldKind("a number from 0 to 100", _is(int, float), _within(0, 100)),
    # 0 and 1 without a point are no floats.
    "fraction": FieldKind(
        "a number from 0 to 1, with a point", _is(float), lambda value: isinstance(value, float) and 0 <= value <= 1
    ),
    "features": FieldKind("a text, a list of texts, or null", _features, _features, nullable=True),
    "count": FieldKind(
        "a number, or null",
        _is(int, float, type(None)),
        lambda value: value is None or (is_number(value) and value >= 0),
        nullable=True,
    ),
    "kwh": FieldKind("kWh above 0", lambda value: True, _above_0),
    "free": FieldKind(
        "a text, or null (!!null) where there is none", lambda value: True, lambda value: True, nullable=True
    ),
}


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
