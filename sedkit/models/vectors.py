"""Vector code of formulas over a few lines of values.

From a loop over lines that begin anywhere in an array, compilers make vector code only behind tests that no two of them
overlap, which take as long as the work itself where lines are short. Here all values are read before any is written.
Numba keeps what it compiled by the file of the kernel alone: after a change here remove its `__pycache__`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from sedkit.models.compiled import HONEST

#: Values that a formula is computed for at a time: what processors with AVX2 hold, half of what those with AVX-512 do.
WIDTH = 8
_FLOAT, _INDEX = ir.FloatType(), ir.IntType(64)
_VECTOR, _BITS, _NARROW = (ir.VectorType(kind, WIDTH) for kind in (_FLOAT, ir.IntType(32), ir.IntType(16)))


class Vector:
    """`WIDTH` float32 while code is made: arithmetic on it adds to the code."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.value, other.value, flags=sorted(HONEST)))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.value, other.value, flags=sorted(HONEST)))

    def __rmul__(self, factor: float) -> Vector:
        factors = ir.Constant(_VECTOR, [float(factor)] * WIDTH)
        return Vector(self.builder, self.builder.fmul(factors, self.value, flags=sorted(HONEST)))

    def at_least(self, low: Vector) -> Vector:
        """Return the larger one of each two; what is not a number stays that."""
        is_below = self.builder.fcmp_ordered("<", self.value, low.value)
        return Vector(self.builder, self.builder.select(is_below, low.value, self.value))


def _read(builder: Any, data: Any, first: Any) -> Vector:
    """Return values that lie in memory one after another, float32, or bfloat16 as the uint16 of its bits."""
    place, narrow = builder.gep(data, [first]), data.type.pointee == _NARROW.element
    value = builder.load(
        builder.bitcast(place, (_NARROW if narrow else _VECTOR).as_pointer()), align=2 if narrow else 4
    )
    if narrow:
        value = builder.bitcast(builder.shl(builder.zext(value, _BITS), _each(16)), _VECTOR)
    return Vector(builder, value)


def _write(builder: Any, vector: Vector, data: Any, first: Any) -> None:
    """Write values to where memory has float32 or bfloat16: to nearest, ties to even."""
    place, value = builder.gep(data, [first]), vector.value
    if data.type.pointee == _NARROW.element:
        bits = builder.bitcast(value, _BITS)
        is_odd = builder.and_(builder.lshr(bits, _each(16)), _each(1))
        nearest = builder.add(bits, builder.add(is_odd, _each(0x7FFF)))
        value = builder.trunc(builder.lshr(nearest, _each(16)), _NARROW)
    builder.store(value, builder.bitcast(place, value.type.as_pointer()), align=2 if value.type == _NARROW else 4)


def _each(value: int) -> Any:
    return ir.Constant(_BITS, [value] * WIDTH)


def lines(formula: Callable[..., tuple[Vector, ...]]) -> Any:
    """Return a function for compiled code that computes a formula for each place of lines, of `WIDTH` values or more.

    It is called with `source, begin, apart, out, to, steps, n` and a tuple: an array of n for each parameter of the
    formula that goes by its name alone. Argument i of the formula is the line of n values that begins at `begin + i *
    apart` of the flat array `source`, outcome i goes to the one that begins at `to + i * steps` of `out`. Both arrays
    hold float32, or bfloat16 as the uint16 of its bits. Lines of outcomes must not overlap those that are read.
    """
    parameters = inspect.signature(formula).parameters
    names = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]
    n_lines = len(parameters) - len(names)

    @intrinsic
    def apply(
        typing: Any, source: Any, begin: Any, apart: Any, out: Any, to: Any, steps: Any, n: Any, more: Any
    ) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            def memory(kind: Any, array: Any) -> Any:
                return context.make_array(kind)(context, builder, array).data

            def line(first: Any, apart: Any, i: int) -> Any:
                return builder.add(first, builder.mul(apart, ir.Constant(_INDEX, i)))

            source, begin, apart, out, to, steps, n, more = arguments
            source, out = memory(signature.args[0], source), memory(signature.args[3], out)
            arrays = zip(names, signature.args[7], cgutils.unpack_tuple(builder, more), strict=True)
            figures = {name: memory(kind, array) for name, kind, array in arrays}

            def compute(k: Any) -> None:
                values = [_read(builder, source, builder.add(line(begin, apart, i), k)) for i in range(n_lines)]
                by_name = {name: _read(builder, data, k) for name, data in figures.items()}
                for i, outcome in enumerate(formula(*values, **by_name)):
                    _write(builder, outcome, out, builder.add(line(to, steps, i), k))

            none, width = ir.Constant(_INDEX, 0), ir.Constant(_INDEX, WIDTH)
            rest = builder.urem(n, width)
            with cgutils.for_range_slice(builder, none, builder.sub(n, rest), width) as (k, _):
                compute(k)
            # The last ones go over some once more, rather than beyond the end.
            with builder.if_then(builder.icmp_signed("!=", rest, none), likely=False):
                compute(builder.sub(n, width))
            return context.get_dummy_value()

        index = types.int64
        return types.void(source, index, index, out, index, index, index, more), generate

    return apply
