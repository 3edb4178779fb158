"""The compiled part of `sedkit.features.spectra`: transforms of frames that lie side by side in vectors.

A point is a line of real and one of imaginary parts, a value for each frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sedkit.core.compiled import kernel
from sedkit.core.vectors import WIDTH, Index, Memory, Sums, Vector, vector_code

#: Powers of a filter are added up in so many sums side by side.
SUMS = 4
#: A complex number of each frame.
_Complex = tuple[Vector, Vector]


@vector_code
def _read_frames(samples: Memory, begins: Memory, window: Memory, pairs: Index, points: Index, x: Memory) -> None:
    """Fill in points: even samples as real parts and odd ones as imaginary parts, weighted, then zeros."""
    starts, width = [begins.index(i) for i in range(x.width)], x.width
    with pairs.up_to(points) as n:
        x.write(n * (2 * width), x.zeros())
        x.write(n * (2 * width) + width, x.zeros())
    with pairs.below() as n:
        for i in range(2):
            at = n * 2 + i
            values = samples.gathered([start + at for start in starts], x)
            x.write(at * width, values * window.repeated(at))


def _of_two(values: Sequence[_Complex]) -> list[_Complex]:
    (a, b), (c, d) = values
    return [(a + c, b + d), (a - c, b - d)]


def _of_four(values: Sequence[_Complex]) -> list[_Complex]:
    (even, (a, b)), (odd, (c, d)) = _of_two(values[::2]), _of_two(values[1::2])
    first, third = _of_two([even, odd])
    return [first, (a + d, b - c), third, (a - d, b + c)]


def _turned(value: _Complex, turns: Memory, at: Index) -> _Complex:
    """Return the product with a complex number."""
    (a, b), cosine, sine = value, turns.repeated(at), turns.repeated(at + 1)
    return a * cosine - b * sine, a * sine + b * cosine


def _pass(transform: Any, factor: int, turned: bool) -> Any:
    """Return what does a pass of `factor`: `length` points each become as many transforms of fewer."""

    def code(x: Memory, points: Index, length: Index, turns: Memory, begin: Index) -> None:
        apart, width = length // factor, x.width
        with points.below(length) as block, apart.below() as j:
            places = [(block + j + apart * q) * (2 * width) for q in range(factor)]
            values = transform([(x.read(place), x.read(place + width)) for place in places])
            for s, (place, value) in enumerate(zip(places, values, strict=True)):
                outcome = _turned(value, turns, begin + (j * factor + s) * 2) if turned and s else value
                for i in range(2):
                    x.write(place + i * width, outcome[i])

    return vector_code(code)


_two, _last_two = (_pass(_of_two, 2, turned) for turned in (True, False))
_four, _last_four = (_pass(_of_four, 4, turned) for turned in (True, False))


@vector_code
def _any_factor(
    x: Memory,
    points: Index,
    length: Index,
    turns: Memory,
    begin: Index,
    factor: Index,
    roots: Memory,
    first: Index,
    copy: Memory,
) -> None:
    """Do a pass of any factor, by the definition of its transforms."""
    apart, width = length // factor, x.width
    with points.below(length) as block, apart.below() as j:
        with factor.below() as q:
            for i in range(2):
                copy.write((q * 2 + i) * width, x.read(((block + j + apart * q) * 2 + i) * width))
        with factor.below() as s:
            sums = Sums([x.zeros(), x.zeros()])
            with factor.below() as q:
                value = copy.read(q * (2 * width)), copy.read(q * (2 * width) + width)
                for i, term in enumerate(_turned(value, roots, first + q * s % factor * 2)):
                    sums.add(i, term)
            real, imaginary = sums
            outcome = _turned((real, imaginary), turns, begin + (j * factor + s) * 2)
            for i in range(2):
                x.write(((block + j + apart * s) * 2 + i) * width, outcome[i])


@vector_code
def _powers(x: Memory, places: Memory, angles: Memory, bins: Index, powers: Memory) -> None:
    """Fill in the power of bins: half the sum of two points, and half their difference, turned."""
    with bins.below() as k:
        one, other = (places.index(k * 2 + i) * (2 * x.width) for i in range(2))
        (a, b), (c, d) = ((x.read(place), x.read(place + x.width)) for place in (one, other))
        cosine, sine = angles.repeated(k * 2), angles.repeated(k * 2 + 1)
        real = a + c + cosine * (b + d) - sine * (a - c)
        imaginary = b - d - cosine * (a - c) - sine * (b + d)
        powers.write(k * x.width, real * real + imaginary * imaginary)


@vector_code
def _weighted(powers: Memory, starts: Memory, first: Memory, weights: Memory, filters: Index, out: Memory) -> None:
    """Add up bins under each filter."""
    with filters.below() as f:
        begin, low = starts.index(f), first.index(f)
        sums = Sums([powers.zeros()] * SUMS)
        with (starts.index(f + 1) - begin).below(SUMS) as i:
            for u in range(SUMS):
                sums.add(u, weights.repeated(begin + i + u) * powers.read((low + i + u) * powers.width))
        a, b, c, d = sums
        out.write(f * powers.width, (a + b) + (c + d))


@kernel()
def sum_spectra(
    samples: Any,
    hop: int,
    window: Any,
    factors: Any,
    turns: Any,
    roots: Any,
    places: Any,
    angles: Any,
    starts: Any,
    first: Any,
    weights: Any,
    magnitude: bool,
    out: Any,
) -> None:
    """Fill in (frames, filters) for frames that begin at each `hop` of the samples; see `spectra.Spectrum`."""
    frames, filters = out.shape
    width, bins, points, largest = WIDTH * 4 // window.itemsize, len(places) // 2, 1, 1
    for factor in factors:
        points *= factor
        largest = max(largest, factor)
    x = np.empty(points * 2 * width, window.dtype)
    copy = np.empty(largest * 2 * width, window.dtype)
    # The last sums of a filter may go beyond the last bin, with weights of 0.
    powers = np.zeros((bins + SUMS) * width, window.dtype)
    sums = np.empty(filters * width, window.dtype)
    begins = np.empty(width, np.int64)
    for group in range(0, frames, width):
        for i in range(width):
            begins[i] = min(group + i, frames - 1) * hop
        _read_frames(samples, begins, window, len(window) // 2, points, x)
        length, begin = points, 0
        for i in range(len(factors)):
            factor = factors[i]
            if factor == 4 and length > 4:
                _four(x, points, length, turns, begin)
            elif factor == 4:
                _last_four(x, points, length, turns, begin)
            elif factor == 2 and length > 2:
                _two(x, points, length, turns, begin)
            elif factor == 2:
                _last_two(x, points, length, turns, begin)
            else:
                _any_factor(x, points, length, turns, begin, factor, roots, i * 2 * largest, copy)
            begin += 2 * length
            length //= factor
        _powers(x, places, angles, bins, powers)
        if magnitude:
            for i in range(bins * width):
                powers[i] = np.sqrt(powers[i])
        _weighted(powers, starts, first, weights, filters, sums)
        for i in range(min(width, frames - group)):
            for f in range(filters):
                out[group + i, f] = sums[f * width + i]
