"""Energy in kWh: CodeCarbon's tables as `pack` takes them and `check` finds them, beside what meta files state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sedkit.core.energy import TABLE_SUFFIX
from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.experiment_folder import DEVELOPMENT_RESULTS, ExperimentFolder
from sedkit.core.files import read_bytes, read_text, write_text
from sedkit.core.log import log
from sedkit.core.numbers import is_number
from sedkit.dataio.rows import header_of, parse_rows, refuse
from sedkit.submission.findings import Findings, located
from sedkit.submission.formats import Format
from sedkit.submission.layout import ENERGY, TABLE, SystemFolder
from sedkit.submission.meta.read import Meta
from sedkit.submission.package import Package

#: A stated figure this close to a measured one is that one, rounded.
_SAME = 0.01

_COLUMNS = ("energy_consumed", "duration")

#: A year of one state a minute makes a tenth of it.
_MOST_BYTES = 32 * 2**20

#: Where the tables lie beside a system's output.
_FOLDER = "codecarbon"

#: What a table's path says it was measured for, by the last part of the key in the meta file.
_STAGES = {
    "training": re.compile(r"train"),
    "devtest_inference": re.compile(r"dev_?test|valid|(?<![a-z])dev(?![a-z])"),
    "evaluation_inference": re.compile(r"eval|public"),
}


@dataclass(frozen=True)
class EnergyTable:
    """One of CodeCarbon's tables: where it lies, and the energy of each measurement in it in kWh."""

    path: Path
    kwh: tuple[float, ...]


def is_energy_table(data: bytes) -> bool:
    """Tell a table of CodeCarbon's by its header line."""
    try:
        return set(_COLUMNS) <= {name.strip() for name in header_of("", data[:10_000])}
    except SedkitError:
        return False


def measured_kwh(data: bytes, where: str) -> tuple[float, ...]:
    """Read the energy of each measurement in the bytes of one of CodeCarbon's tables, in kWh.

    Rows with one ``run_id`` are states of one measurement, which only grows: the last one counts. Raises SedkitError
    for a column that is missing, and a row without energy or duration.
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


# ---------------------------------------------------------------------------------------------- in a package


def energy_tables(package: Package, system: SystemFolder, findings: Findings) -> dict[str, tuple[float, ...]]:
    """Return the kWh of each measurement in CodeCarbon's tables of a system, by path in the package.

    Tables are known by their columns. One that cannot be read is warned of, and holds none.
    """
    folders = [files for folder, files in system.folders.items() if folder.lower().startswith(ENERGY)]
    tables: dict[str, tuple[float, ...]] = {}
    for name in [*system.files, *(name for files in folders for name in files)]:
        data = package.read(name) if TABLE.search(name) and package.size(name) <= _MOST_BYTES else b""
        if not is_energy_table(data):
            continue
        try:
            tables[name] = measured_kwh(data, name)
        except SedkitError as error:
            row, said = located(error, name)
            findings.add("energy_table", name, f"cannot be read: {said}", row=row)
            tables[name] = ()
    return tables


def check_energy(meta: Meta, system: SystemFolder, tables: Mapping[str, tuple[float, ...]], form: Format) -> None:
    """Warn of a stated energy that no reading of its tables gives: a measurement, the sum or the mean of them.

    `tables` is what `energy_tables` returned of a system.
    """
    stated = {path: value for path in form.kwh if is_number(value := meta.get(path)) and value > 0}
    measured: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, kwh in tables.items():
        if kwh:
            measured.setdefault(_key_of(name, system), {})[name] = kwh
    for key, of_key in measured.items():
        kwh = tuple(x for values in of_key.values() for x in values)
        # A table that does not say what it was measured for may be that of any.
        paths = [path for path in stated if not key or path == f"system.complexity.{key}"]
        readings = [kwh, tuple(sum(values) for values in of_key.values())]
        if not paths or any(is_reading(stated[path], reading) for path in paths for reading in readings):
            continue
        said = listed(f"{path.removeprefix('system.complexity.')} {stated[path]:g}" for path in paths)
        where = listed((PurePosixPath(name).relative_to(system.path or ".") for name in of_key), 3)
        message = f"{said} kWh, but {where} {'holds' if len(of_key) == 1 else 'hold'} {sum(kwh):.6g} kWh"
        message += f" in {len(kwh)} measurements" if len(kwh) > 1 else ""
        expected = "what CodeCarbon measured: one, the sum or the mean of the measurements"
        meta.tell("energy_differs", paths[0], message, expected)


def _key_of(name: str, system: SystemFolder) -> str:
    """Return the key that a table belongs to by its path within the system, empty where that does not say."""
    words = str(PurePosixPath(name).relative_to(system.path or ".")).replace(system.label, "").lower()
    stages = [stage for stage, pattern in _STAGES.items() if pattern.search(words)]
    block = "energy_baseline" if "baseline" in words else "energy"
    return f"{block}.{stages[0]}" if len(stages) == 1 else ""


# ---------------------------------------------------------------------------------------------- to be packed


def _stages(submitted: str | None) -> dict[str, str]:
    """Return the stages by their fields: names below `EXP/energy`; `submitted` is the set that is handed in."""
    names = {"training": "training", "devtest_inference": DEVELOPMENT_RESULTS[0], "evaluation_inference": submitted}
    return {f"system.complexity.energy.{key}": name for key, name in names.items() if name}


def energy_fields(form: Format) -> dict[str, str]:
    """Return the stages a format asks the energy of: name of the stage, and its field in the meta file."""
    return {name: path for path, name in _stages("evaluation").items() if path in form.kwh}


def read_energy_tables(entries: Sequence[str], form: Format) -> dict[str, EnergyTable]:
    """Read the tables of `--codecarbon STAGE:TABLE.csv …` by stage.

    Raises
    ------
    UsageError
        A stage that the format does not ask for, or one that stands twice.
    SedkitError
        A table that is none of CodeCarbon's (`measured_kwh`).
    """
    stages = energy_fields(form)
    if entries and not stages:
        raise UsageError(f"--codecarbon {entries[0]}: {form.name} asks for no energy")
    tables: dict[str, EnergyTable] = {}
    for entry in entries:
        stage, _, path = entry.partition(":")
        if stage not in stages or not path:
            hint = suggest(stage, stages)
            raise UsageError(
                f"--codecarbon {entry}: expected STAGE:TABLE.csv{hint}; {form.name} asks for {listed(stages)}"
            )
        if stage in tables:
            raise UsageError(f"--codecarbon {entry}: stage {stage} has the table {tables[stage].path} already")
        tables[stage] = EnergyTable(Path(path), measured_kwh(read_bytes(path), path))
    return tables


def kwh_of_tables(stated: Mapping[str, Any], tables: Mapping[str, EnergyTable], form: Format) -> dict[str, float]:
    """Return the measured kWh by field where the description states none; what has no table stays as it is.

    A figure that is stated stands: one that no reading of the table gives is warned of. Raises SedkitError for a table
    of several measurements beside a description that does not say what they make together.
    """
    fields = energy_fields(form)
    measured = {}
    for stage, table in tables.items():
        path, known, total = fields[stage], stated.get(fields[stage]), sum(table.kwh)
        if not known and len(table.kwh) > 1:
            raise SedkitError(
                f"{table.path}: {len(table.kwh)} measurements, of {total:.6g} kWh together; expected one, or "
                f"{path} in the meta file (their sum for parts of a system, their mean for its runs)"
            )
        if not known:
            measured[path] = float(f"{total:.6g}")
        elif is_number(known) and not is_reading(known, table.kwh):
            log.warning("%s: %.6g kWh, but the meta file states %s %s, which stands", table.path, total, path, known)
    return measured


def kwh_of_experiments(members: Sequence[ExperimentFolder], submitted: str | None) -> dict[str, float]:
    """Return the kWh of each stage by field, summed over members; one that was not measured leaves the sum unknown."""
    out = {}
    for path, name in _stages(submitted).items():
        known = [kwh for member in members if (kwh := member.energy_kwh(name)) is not None]
        if len(known) == len(members):
            out[path] = float(f"{sum(known):.6g}")
    return out


def write_energy_tables(folder: Path, tables: Mapping[str, Path]) -> None:
    """Lay CodeCarbon's own tables, by name, beside a system's output."""
    for name, table in tables.items():
        write_text(folder / _FOLDER / f"{name}.csv", read_text(table))


def tables_of_experiments(members: Sequence[ExperimentFolder], form: Format, submitted: str | None) -> dict[str, Path]:
    """Return CodeCarbon's tables of experiments by name, where the year asks for energy and it was measured."""
    tables = {}
    for i, member in enumerate(members, start=1):
        prefix = f"member{i}_" if len(members) > 1 else ""
        for stage in _stages(submitted).values() if form.energy else ():
            table = member.energy_file(stage, TABLE_SUFFIX)
            if table.is_file():
                tables[f"{prefix}{stage}"] = table
    return tables
