"""Excerpts of long recordings, called ``<recording>-<start>-<end>.wav`` as in the baseline of 2024.

Start and end are six digits of hundredths of a second each, and cut, not rounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.dataio.names import stem

_NAME = re.compile(r"(?P<recording>.+)-(?P<start>\d{6})-(?P<end>\d{6})")
#: Slack, in seconds, for durations that are rounded.
_DUST_S = 1e-6


@dataclass(frozen=True)
class Excerpt:
    """Where a clip lies in its recording, in seconds."""

    recording: str
    start_s: float
    end_s: float

    @property
    def name(self) -> str:
        """What it is called.

        >>> Excerpt("cafe_restaurant_00", 1.0, 11.0).name
        'cafe_restaurant_00-000100-001100.wav'
        """
        start, end = (int(100 * (seconds + _DUST_S)) for seconds in (self.start_s, self.end_s))
        return f"{self.recording}-{start:06d}-{end:06d}.wav"

    def lasts(self, seconds: float, tolerance_s: float) -> bool:
        """Tell whether a length agrees; a very short excerpt is never taken for one twice as long."""
        length_s = self.end_s - self.start_s
        return abs(seconds - length_s) <= min(tolerance_s, length_s / 2) + 1e-9


def excerpt_of(filename: str) -> Excerpt | None:
    """Return where a clip's name says that it lies, None where it is not the name of an excerpt.

    >>> excerpt_of("cafe_restaurant_00-000100-001100.wav")
    Excerpt(recording='cafe_restaurant_00', start_s=1.0, end_s=11.0)
    >>> excerpt_of("kitchen-3-12.wav"), excerpt_of("Y-4h1b2c3d4e_30.000_40.000.wav")
    (None, None)
    """
    match = _NAME.fullmatch(stem(filename))
    if match is None or int(match["start"]) >= int(match["end"]):
        return None
    return Excerpt(match["recording"], int(match["start"]) / 100, int(match["end"]) / 100)


def lay_excerpts(
    filenames: Sequence[str], duration_s: NDArray[np.float64], length_s: float, hop_s: float
) -> dict[str, list[object]]:
    """Return the excerpts of recordings as columns of a table: `filename`, `onset`, `offset` (seconds), `excerpt`.

    As in the baseline of 2024 they begin every `hop_s`, and where the last of `length_s` does not end with the
    recording a shorter one follows. A recording that is shorter is one excerpt.

    Examples
    --------
    >>> lay_excerpts(["a.wav"], np.array([21.255]), 10.0, 5.0)["excerpt"]
    ['a-000000-001000.wav', 'a-000500-001500.wav', 'a-001000-002000.wav', 'a-001500-002125.wav']
    """
    if not 0 < hop_s <= length_s:
        raise UsageError(f"excerpts of {length_s:g} s every {hop_s:g} s, expected a hop above 0 s and no gaps")
    columns: dict[str, list[object]] = {"filename": [], "onset": [], "offset": [], "excerpt": []}
    for name, seconds in zip(filenames, duration_s.tolist(), strict=True):
        for start_s, end_s in _spans(seconds, length_s, hop_s):
            excerpt, offset = Excerpt(stem(name), start_s, end_s).name, f"{end_s:.6f}".rstrip("0").rstrip(".")
            row = (name, f"{start_s:g}", offset, excerpt)
            for column, cell in zip(columns.values(), row, strict=True):
                column.append(cell)
    return columns


def _spans(seconds: float, length_s: float, hop_s: float) -> Iterator[tuple[float, float]]:
    n = max(0, int((seconds - length_s + _DUST_S) // hop_s) + 1)
    for i in range(n):
        yield i * hop_s, i * hop_s + length_s
    covered_s = (n - 1) * hop_s + length_s if n else 0.0
    if covered_s + _DUST_S < seconds:
        yield n * hop_s, seconds
