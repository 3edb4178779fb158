"""Numbers of unknown origin, from meta files, results files and records."""

from __future__ import annotations

from typing import Any, TypeGuard

#: Far beyond any quantity, and small enough that products and squares are finite.
_LARGEST = 1e100


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell whether a value is a number that can be computed with: finite, of a size that a float holds, no truth value.

    >>> is_number(0), is_number(10**400), is_number(float("nan")), is_number(True)
    (True, False, False, False)
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
