"""Vector code for numba's kernels, made by functions of Python that say what is computed.

From a loop over lines that begin anywhere in an array, compilers make vector code only behind tests that no two of them
overlap, which take as long as the work itself where lines are short. Here nothing is tested: what is read is read
before what is said to be written after it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

from sedkit.core.compiled import HONEST

#: float32 that are computed at a time, twice as many as float64: what a register of AVX2 holds, half of one of AVX-512.
WIDTH = 8
_FLOAT, _DOUBLE, _NARROW, _INDEX = ir.FloatType(), ir.DoubleType(), ir.IntType(16), ir.IntType(64)
_FLAGS = sorted(HONEST)


def width_of(itemsize: int) -> int:
    """Return how many values of so many bytes are computed at a time.

    >>> width_of(4), width_of(8)
    (8, 4)
    """
    return WIDTH * 4 // itemsize


class Vector:
    """Values that are computed at a time, while code is made: arithmetic on it adds to the code."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fadd(self.value, other.value, flags=_FLAGS))

    def __sub__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fsub(self.value, other.value, flags=_FLAGS))

    def __mul__(self, other: Vector) -> Vector:
        return Vector(self.builder, self.builder.fmul(self.value, other.value, flags=_FLAGS))

    def __rmul__(self, factor: float) -> Vector:
        kind = self.value.type
        return self * Vector(self.builder, ir.Constant(kind, [float(factor)] * kind.count))

    def at_least(self, low: Vector) -> Vector:
        """Return the larger one of each two; what is not a number stays that."""
        is_below = self.builder.fcmp_ordered("<", self.value, low.value)
        return Vector(self.builder, self.builder.select(is_below, low.value, self.value))


class Index:
    """A whole number while code is made."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _with(self, operation: str, other: Index | int) -> Index:
        value = _INDEX(other) if isinstance(other, int) else other.value
        return Index(self.builder, getattr(self.builder, operation)(self.value, value))

    def __add__(self, other: Index | int) -> Index:
        return self._with("add", other)

    def __sub__(self, other: Index | int) -> Index:
        return self._with("sub", other)

    def __mul__(self, other: Index | int) -> Index:
        return self._with("mul", other)

    def __mod__(self, other: Index | int) -> Index:
        return self._with("urem", other)

    def __floordiv__(self, other: Index | int) -> Index:
        return self._with("udiv", other)

    def at_most(self, last: Index) -> Index:
        """Return the smaller one of two."""
        is_below = self.builder.icmp_signed("<", self.value, last.value)
        return Index(self.builder, self.builder.select(is_below, self.value, last.value))

    def up_to(self, last: Index, step: Index | int = 1) -> Any:
        """Return a context whose code runs for each number from this one to before `last`."""
        return _loop(self, last, step)

    def below(self, step: Index | int = 1) -> Any:
        """Return a context whose code runs for each number from 0 to before this one."""
        return _loop(Index(self.builder, _INDEX(0)), self, step)


@contextmanager
def _loop(first: Index, last: Index, step: Index | int) -> Iterator[Index]:
    builder, by = first.builder, _INDEX(step) if isinstance(step, int) else step.value
    with cgutils.for_range_slice(builder, first.value, last.value, by) as (at, _):
        yield Index(builder, at)


class Memory:
    """A flat array while code is made, of float32, float64, int64, or of bfloat16 as the uint16 of its bits."""

    def __init__(self, builder: Any, data: Any, width: int | None = None) -> None:
        self.builder, self.data = builder, data
        self.kind = data.type.pointee
        #: Values that are computed at a time.
        self.width = width or width_of(8 if self.kind == _DOUBLE else 4)
        self._bits = ir.VectorType(ir.IntType(32), self.width)
        self._align = {_DOUBLE: 8, _FLOAT: 4, _NARROW: 2}.get(self.kind, 8)

    def by(self, width: int) -> Memory:
        """Return the same memory, of which so many values are computed at a time."""
        return Memory(self.builder, self.data, width)

    def _place(self, at: Index | int) -> Any:
        return self.builder.gep(self.data, [_INDEX(at) if isinstance(at, int) else at.value])

    def index(self, at: Index | int) -> Index:
        """Return the whole number there."""
        return Index(self.builder, self.builder.load(self._place(at)))

    def read(self, at: Index) -> Vector:
        """Return values that lie one after another from there on."""
        place = self.builder.bitcast(self._place(at), ir.VectorType(self.kind, self.width).as_pointer())
        value = self.builder.load(place, align=self._align)
        if self.kind == _NARROW:
            bits = self.builder.zext(value, self._bits)
            value = self.builder.bitcast(self.builder.shl(bits, self._each(16)), ir.VectorType(_FLOAT, self.width))
        return Vector(self.builder, value)

    def repeated(self, at: Index) -> Vector:
        """Return the value there, as often as values are computed at a time."""
        return self.gathered([at], self)

    def gathered(self, places: Sequence[Index], like: Memory) -> Vector:
        """Return the values at places, as precise as what `like` holds; a single one is repeated."""
        vector: Any = ir.Constant(ir.VectorType(self.kind, like.width), ir.Undefined)
        for i, at in enumerate(places):
            vector = self.builder.insert_element(vector, self.builder.load(self._place(at)), ir.IntType(32)(i))
        if len(places) == 1:
            vector = self.builder.shuffle_vector(vector, vector, ir.Constant(like._bits, [0] * like.width))
        if self.kind != like.kind:
            change = self.builder.fpext if like.kind == _DOUBLE else self.builder.fptrunc
            vector = change(vector, ir.VectorType(like.kind, like.width))
        return Vector(self.builder, vector)

    def write(self, at: Index, vector: Vector) -> None:
        """Write values from there on, bfloat16 to nearest, ties to even."""
        value = vector.value
        if self.kind == _NARROW:
            bits = self.builder.bitcast(value, self._bits)
            is_odd = self.builder.and_(self.builder.lshr(bits, self._each(16)), self._each(1))
            nearest = self.builder.add(bits, self.builder.add(is_odd, self._each(0x7FFF)))
            value = self.builder.trunc(self.builder.lshr(nearest, self._each(16)), ir.VectorType(_NARROW, self.width))
        place = self.builder.bitcast(self._place(at), value.type.as_pointer())
        self.builder.store(value, place, align=self._align)

    def zeros(self) -> Vector:
        """Return zeros, as many and as precise as what is read."""
        kind = _FLOAT if self.kind == _NARROW else self.kind
        return Vector(self.builder, ir.Constant(ir.VectorType(kind, self.width), [0.0] * self.width))

    def _each(self, value: int) -> Any:
        return ir.Constant(self._bits, [value] * self.width)


class Sums:
    """Vectors that code in a loop adds to."""

    def __init__(self, first: Sequence[Vector]) -> None:
        self.builder = first[0].builder
        self._places = [cgutils.alloca_once_value(self.builder, vector.value) for vector in first]

    def add(self, i: int, vector: Vector) -> None:
        """Add to one of them."""
        total = self.builder.fadd(self.builder.load(self._places[i]), vector.value, flags=_FLAGS)
        self.builder.store(total, self._places[i])

    def __iter__(self) -> Iterator[Vector]:
        return (Vector(self.builder, self.builder.load(place)) for place in self._places)


def vector_code(code: Callable[..., None]) -> Any:
    """Return a function for compiled code whose code a function of Python makes.

    Where it is called with arrays, whole numbers and tuples of these, `code` gets a `Memory` for each array, an `Index`
    for each number and a list for each tuple.
    """

    def operand(context: Any, builder: Any, kind: Any, value: Any) -> Any:
        if isinstance(kind, types.BaseTuple):
            members: Any = kind
            values = cgutils.unpack_tuple(builder, value)
            return [operand(context, builder, *one) for one in zip(members, values, strict=True)]
        if isinstance(kind, types.Array):
            if kind.layout != "C":
                raise TypingError(f"vector code of {code.__name__} reads {kind}, expected values one after another")
            return Memory(builder, context.make_array(kind)(context, builder, value).data)
        return Index(builder, value)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        code(*[operand(context, builder, *one) for one in zip(signature.args, values, strict=True)])
        return context.get_dummy_value()

    def apply(typing: Any, *kinds: Any) -> Any:
        return types.void(*[types.int64 if isinstance(kind, types.Integer) else kind for kind in kinds]), generate

    # Numba looks at the names of parameters.
    names = ["typing", *inspect.signature(code).parameters]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    apply.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # functions have one
    return intrinsic(apply)


#: Rows of values.
Grid = list[list[Vector]]


def _places(first: Index, apart: list[Index], down: int, across: int) -> Iterator[list[Index]]:
    """Yield rows of places, each made of the one before: compilers take long over products of numbers."""
    for _ in range(down):
        row = [first]
        for _ in range(across - 1):
            row.append(row[-1] + apart[1])
        yield row
        first = first + apart[0]


def grids(down: int, across: int) -> Callable[[Callable[..., Grid]], Any]:
    """Make of a formula of a grid of values a function for compiled code that computes it for each place of lines.

    The function is called with `source, at, apart, out, to, steps, n` and a tuple: an array of n for each parameter of
    the formula that goes by its name alone. The formula's first argument is a grid: its value (i, j), of `down` x
    `across`, comes of the line of n values, `WIDTH` or more, that begins at `at + i * apart[0] + j * apart[1]` of the
    flat array `source`; value (i, j) of its outcome goes to the line that begins at `to + i * steps[0] + j * steps[1]`
    of `out`. Both arrays hold float32, or bfloat16 as the uint16 of its bits. Lines of outcomes must not overlap those
    that are read.
    """

    def make(formula: Callable[..., Grid]) -> Any:
        parameters = inspect.signature(formula).parameters
        names = [name for name, parameter in parameters.items() if parameter.kind is parameter.KEYWORD_ONLY]

        def code(
            source: Memory,
            at: Index,
            apart: list[Index],
            out: Memory,
            to: Index,
            steps: list[Index],
            n: Index,
            more: list[Memory],
        ) -> None:
            # The last ones go over some once more, rather than beyond the end.
            with n.below(WIDTH) as k:
                k = k.at_most(n - WIDTH)
                grid = [[source.read(place) for place in row] for row in _places(at + k, apart, down, across)]
                outcomes = formula(grid, **{name: data.read(k) for name, data in zip(names, more, strict=True)})
                places = _places(to + k, steps, len(outcomes), len(outcomes[0]))
                for row, of_row in zip(outcomes, places, strict=True):
                    for outcome, place in zip(row, of_row, strict=True):
                        out.write(place, outcome)

        return vector_code(code)

    return make
