"""CodeCarbon's tables, as `pack` takes them and `check` finds them: the energy of each measurement in kWh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sedkit.core.errors import SedkitError
from sedkit.dataio.rows import header_of, parse_rows, refuse

#: A stated figure this close to a measured one is that one, rounded.
_SAME = 0.01

_COLUMNS = ("energy_consumed", "duration")


def is_energy_table(data: bytes) -> bool:
    """Tell a table of CodeCarbon's by its header line."""
    try:
        return set(_COLUMNS) <= {name.strip() for name in header_of("", data[:10_000])}
    except SedkitError:
        return False


def measured_kwh(data: bytes, where: str) -> tuple[float, ...]:
    """Read the energy of each measurement in one of CodeCarbon's tables, in kWh.

    Rows with one ``run_id`` are states of one measurement, which only grows: the last one counts.

    Parameters
    ----------
    data
        The table's bytes.
    where
        Its name, for messages.

    Raises
    ------
    SedkitError
        A column that is missing, a row without energy or duration.
    """
    rows = parse_rows(where, data, _COLUMNS, ("run_id", "experiment_id"), numbers=_COLUMNS)
    refuse(rows.findings, where)
    kwh, seconds = rows.numbers("energy_consumed"), rows.numbers("duration")
    for i in np.flatnonzero(~(np.isfinite(kwh) & (kwh > 0) & np.isfinite(seconds) & (seconds > 0)))[:1]:
        energy, duration = (rows.text(name, i) for name in _COLUMNS)
        raise SedkitError(
            f"{where}:{rows.line[i]}: energy_consumed {energy!r}, duration {duration!r}; expected kWh and seconds "
            "above 0 (leave out the table of what was not measured)"
        )
    if not len(rows):
        raise SedkitError(f"{where}: no row below the header, expected a measurement of CodeCarbon")
    name = next((column for column in ("run_id", "experiment_id") if column in rows.names), None)
    runs = rows.cells(name) if name else map(str, range(len(rows)))
    return tuple(dict(zip(runs, kwh.tolist(), strict=True)).values())


def is_reading(stated: float, kwh: Sequence[float]) -> bool:
    """Tell whether a stated figure is one of the measurements, their sum or their mean, up to rounding.

    >>> is_reading(3.0, (1.0, 2.0)), is_reading(0.7, (1.7,))
    (True, False)
    """
    readings = [*kwh, sum(kwh), sum(kwh) / len(kwh)]
    return any(abs(stated - reading) <= _SAME * reading for reading in readings)
