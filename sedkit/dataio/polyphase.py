"""The compiled part of `sedkit.dataio.resample`: short filters, neighbouring outcomes side by side in vectors."""

from __future__ import annotations

from typing import Any

from sedkit.core.compiled import kernel
from sedkit.core.vectors import Index, Memory, Sums, vector_code

#: Periods that are computed together: with so many sums, registers still hold what is multiplied.
PERIODS = 12


@vector_code
def _outcomes(
    x: Memory,
    first: Index,
    inputs: Index,
    weights: Memory,
    begin: Index,
    taps: Index,
    out: Memory,
    to: Index,
    apart: Index,
) -> None:
    """Compute neighbouring outcomes of each of several periods."""
    sums = Sums([out.zeros()] * PERIODS)
    with taps.below() as k:
        weight = weights.read(begin + k * out.width)
        for i in range(PERIODS):
            sums.add(i, weight * x.repeated(first + inputs * i + k))
    for i, total in enumerate(sums):
        out.write(to + apart * i, total)


@kernel()
def filter_periods(x: Any, inputs: int, first: Any, weights: Any, out: Any) -> None:
    """Fill in (periods, outcomes), a multiple of `PERIODS` and one of `vectors.WIDTH`.

    Outcomes `WIDTH` * b and following of a period weigh its inputs, which begin `inputs` after those of the one before,
    from first[b] on, with weights[b], (taps, WIDTH).
    """
    periods, apart = out.shape
    bands, taps, width = weights.shape
    flat, lines = weights.reshape(-1), out.reshape(-1)
    for period in range(0, periods, PERIODS):
        for band in range(bands):
            begin, to = period * inputs + first[band], period * apart + band * width
            _outcomes(x, begin, inputs, flat, band * taps * width, taps, lines, to, apart)
