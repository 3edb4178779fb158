"""CodeCarbon's tables of systems trained elsewhere: their energy in kWh, and their place in the package."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_bytes, read_text, write_text
from sedkit.core.log import log
from sedkit.core.numbers import is_number
from sedkit.submission.energy_tables import is_reading, measured_kwh
from sedkit.submission.formats import Format
from sedkit.submission.pack.meta import SystemMeta, energy_stages


@dataclass(frozen=True)
class EnergyTable:
    """One of CodeCarbon's tables: where it lies, and the energy of each measurement in it in kWh."""

    path: Path
    kwh: tuple[float, ...]


def read_energy_table(path: str | Path) -> EnergyTable:
    """Read and check one of CodeCarbon's tables.

    Rows with one ``run_id`` are states of one measurement, which only grows: the last one counts.

    Raises
    ------
    SedkitError
        No such file, a column that is missing, a row without energy or duration.
    """
    return EnergyTable(Path(path), measured_kwh(read_bytes(path), str(path)))


def energy_fields(form: Format) -> dict[str, str]:
    """Return the stages a format asks the energy of: name of the stage, and its field in the meta file."""
    asked = {item.path for item in form.fields if item.kind == "kwh"}
    paths = {name: f"system.complexity.energy.{key}" for key, name in energy_stages("evaluation").items()}
    return {name: path for name, path in paths.items() if path in asked}


def read_energy_tables(entries: Sequence[str], form: Format) -> dict[str, EnergyTable]:
    """Read the tables of `--codecarbon STAGE:TABLE.csv …` by stage.

    Raises
    ------
    UsageError
        A stage that the format does not ask for, or one that stands twice.
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
        tables[stage] = read_energy_table(path)
    return tables


def fill_energy(system: SystemMeta, tables: Mapping[str, EnergyTable], form: Format) -> SystemMeta:
    """Put the measured kWh where the system's description states none; what has no table stays as it is.

    A figure that is stated stands: one that no reading of the table gives is warned of.

    Raises
    ------
    SedkitError
        A table of several measurements beside a description that does not say what they make together.
    """
    fields = energy_fields(form)
    values = dict(system.values)
    for stage, table in tables.items():
        path, stated = fields[stage], values.get(fields[stage])
        total = sum(table.kwh)
        if not stated:
            if len(table.kwh) > 1:
                raise SedkitError(
                    f"{table.path}: {len(table.kwh)} measurements, of {total:.6g} kWh together; expected one, or "
                    f"{path} in the meta file (their sum for parts of a system, their mean for its runs)"
                )
            values[path] = float(f"{total:.6g}")
            continue
        if is_number(stated) and not is_reading(stated, table.kwh):
            log.warning("%s: %.6g kWh, but the meta file states %s %s, which stands", table.path, total, path, stated)
    return replace(system, values=values)


def write_energy_tables(folder: Path, tables: Mapping[str, EnergyTable]) -> None:
    """Lay the tables beside a system's output, under the names that experiments' own have."""
    for stage, table in tables.items():
        write_text(folder / "codecarbon" / f"{stage}.csv", read_text(table.path))
