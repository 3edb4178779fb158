"""CodeCarbon's tables, as `pack` takes them and `check` finds them: the energy of each measurement in kWh."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.dataio.rows import number

#: A stated figure this close to a measured one is that one, rounded.
_SAME = 0.01

_COLUMNS = ("energy_consumed", "duration")


def header_of(line: str) -> list[str]:
    """Return the columns that a header line names."""
    return [name.strip().strip('"') for name in line.split(_delimiter(line))]


def is_energy_header(line: str) -> bool:
    """Tell a table of CodeCarbon's by its header line."""
    return set(_COLUMNS) <= set(header_of(line))


def measured_kwh(text: str, where: str) -> tuple[float, ...]:
    """Read the energy of each measurement in one of CodeCarbon's tables, in kWh.

    Rows with one ``run_id`` are states of one measurement, which only grows: the last one counts.

    Parameters
    ----------
    text
        The table.
    where
        Its name, for messages.

    Raises
    ------
    SedkitError
        A column that is missing, a row without energy or duration.
    """
    lines = text.splitlines()
    if not lines:
        raise SedkitError(f"{where}: is empty, expected a header line")
    there = header_of(lines[0])
    absent = [name for name in _COLUMNS if name not in there]
    if absent:
        expected = "a table of CodeCarbon, with energy_consumed (kWh) and duration (s)"
        raise SedkitError(f"{where}:1: no column {listed(absent)}{suggest(absent[0], there)}; expected {expected}")
    name = next((column for column in ("run_id", "experiment_id") if column in there), None)
    measured: dict[str, float] = {}
    try:
        rows = [row for row in csv.reader(lines[1:], delimiter=_delimiter(lines[0])) if any(map(str.strip, row))]
    except csv.Error as error:
        raise SedkitError(f"{where}: is no table ({error}), expected one of CodeCarbon's") from None
    for i, row in enumerate(rows):
        if len(row) > len(there):
            raise SedkitError(f"{where}: data row {i + 1}: {len(row)} fields, expected {len(there)}")
        cells = dict(zip(there, (cell.strip() for cell in row), strict=False))
        energy, duration = cells.get("energy_consumed", ""), cells.get("duration", "")
        kwh, seconds = number(energy), number(duration)
        if not (math.isfinite(kwh) and kwh > 0 and math.isfinite(seconds) and seconds > 0):
            raise SedkitError(
                f"{where}: data row {i + 1}: energy_consumed {energy!r}, duration {duration!r}; expected kWh and "
                "seconds above 0 (leave out the table of what was not measured)"
            )
        measured[cells.get(name, "") if name else str(i)] = kwh
    if not measured:
        raise SedkitError(f"{where}: no row below the header, expected a measurement of CodeCarbon")
    return tuple(measured.values())


def is_reading(stated: float, kwh: Sequence[float]) -> bool:
    """Tell whether a stated figure is one of the measurements, their sum or their mean, up to rounding.

    >>> is_reading(3.0, (1.0, 2.0)), is_reading(0.7, (1.7,))
    (True, False)
    """
    readings = [*kwh, sum(kwh), sum(kwh) / len(kwh)]
    return any(abs(stated - reading) <= _SAME * reading for reading in readings)


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","
