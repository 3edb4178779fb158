"""The energy that a meta file states, beside CodeCarbon's tables in the package."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from sedkit.core.errors import SedkitError, listed
from sedkit.core.numbers import is_number
from sedkit.submission.archive import Package
from sedkit.submission.check.layout import ENERGY, TABLE, System
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.energy_tables import is_energy_table, is_reading, measured_kwh
from sedkit.submission.findings import WARNING, Findings, located
from sedkit.submission.formats import Format

#: A year of one state a minute makes a tenth of it.
_MOST_BYTES = 32 * 2**20

#: What a table's path says it was measured for, by the last part of the key in the meta file.
_STAGES = {
    "training": re.compile(r"train"),
    "devtest_inference": re.compile(r"dev_?test|valid|(?<![a-z])dev(?![a-z])"),
    "evaluation_inference": re.compile(r"eval|public"),
}


def energy_tables(package: Package, system: System) -> dict[str, bytes]:
    """Return CodeCarbon's tables of a system, known by their columns: path in the package, and bytes."""
    folders = [files for folder, files in system.folders.items() if folder.lower().startswith(ENERGY)]
    tables = {}
    for name in [*system.files, *(name for files in folders for name in files)]:
        if TABLE.search(name) and package.size(name) <= _MOST_BYTES:
            data = package.read(name)
            if is_energy_table(data):
                tables[name] = data
    return tables


def measures_energy(tables: Mapping[str, bytes]) -> bool:
    """Tell whether any of CodeCarbon's tables holds a measurement."""

    def measures(name: str) -> bool:
        try:
            return bool(measured_kwh(tables[name], name))
        except SedkitError:
            return False

    return any(map(measures, tables))


def check_energy(meta: Meta, system: System, tables: Mapping[str, bytes], form: Format, findings: Findings) -> None:
    """Warn of a stated energy that no reading of its tables gives: a measurement, the sum or the mean of them.

    Parameters
    ----------
    meta
        The meta file.
    system, tables
        What `energy_tables` returned of a system.
    form
        The year's format: which energies there are.
    findings
        Where differences are noted.
    """
    asked = [item.path for item in form.fields if item.kind == "kwh"]
    stated = {path: value for path in asked if is_number(value := get(meta.values, path)[1]) and value > 0}
    measured: dict[str, dict[str, tuple[float, ...]]] = {}
    for name, data in tables.items():
        try:
            kwh = measured_kwh(data, name)
        except SedkitError as error:
            row, said = located(error, name)
            findings.add(WARNING, "energy_table", name, f"cannot be read: {said}", row=row)
            continue
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
        findings.add(WARNING, "energy_differs", meta.file, message, expected, row=meta.row(paths[0]))


def _key_of(name: str, system: System) -> str:
    """Return the key that a table belongs to by its path within the system, empty where that does not say."""
    words = str(PurePosixPath(name).relative_to(system.path or ".")).replace(system.label, "").lower()
    stages = [stage for stage, pattern in _STAGES.items() if pattern.search(words)]
    block = "energy_baseline" if "baseline" in words else "energy"
    return f"{block}.{stages[0]}" if len(stages) == 1 else ""
