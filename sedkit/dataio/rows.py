"""Tables as rows of text: the header is checked, cells come with their line, odd rows are findings."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import read_text, write_text
from sedkit.core.log import log


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a table: its kind, a message, the line (1 is the header)."""

    kind: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Rows:
    """Cells of the columns asked for, as text ("" where empty), with line numbers."""

    columns: dict[str, list[str]]
    line: list[int]
    findings: list[Finding] = field(default_factory=list)


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","


def read_rows(path: str | os.PathLike[str], columns: Sequence[str], optional: Sequence[str] = ()) -> Rows:
    """Read text cells of a table with a header; raise where the header is not what it should be."""
    text = read_text(path)
    stream = io.StringIO(text, newline="")
    header = stream.readline().rstrip("\r\n")
    if not header:
        raise SedkitError(f"{path}: is empty, expected a header line with {', '.join(columns)}")
    delimiter = _delimiter(header) if len(columns) + len(optional) > 1 or "," in header or "\t" in header else "\t"
    names = [name.strip().strip('"') for name in header.split(delimiter)]
    missing = [name for name in columns if name not in names]
    if missing:
        hint = suggest(missing[0], names)
        raise SedkitError(
            f"{path}:1: no column {listed(missing)}{hint}; expected a header line with {', '.join(columns)}, "
            f"separated by TABs, got {header[:80]!r}"
        )
    where = {name: names.index(name) for name in [*columns, *optional] if name in names}
    cells: dict[str, list[str]] = {name: [] for name in where}
    lines: list[int] = []
    findings: list[Finding] = []
    if '"' in text:
        reader: Iterable[list[str]] = csv.reader(stream, delimiter=delimiter)
    else:
        reader = (row.rstrip("\r\n").split(delimiter) for row in stream)
    width = len(names)
    for line, row in enumerate(reader, start=2):
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        if len(row) > width and any(cell.strip() for cell in row[width:]):
            findings.append(
                Finding("unreadable_row", f"{path}:{line}: {len(row)} fields, expected {width}", line),
            )
            continue
        for name, position in where.items():
            cells[name].append(row[position].strip() if position < len(row) else "")
        lines.append(line)
    return Rows(cells, lines, findings)


def numbers(cells: list[str]) -> np.ndarray:
    """Convert text to float64; what is no number becomes NaN (found again by the caller)."""
    if plain_numbers(cells):
        try:
            return np.array([cell if cell else "nan" for cell in cells], dtype=np.str_).astype(np.float64)
        except ValueError:
            pass
    return np.array([number(cell) for cell in cells], dtype=np.float64)


def plain_numbers(cells: Iterable[str]) -> bool:
    """Tell whether cells hold none of what Python alone takes for a number: 1_000, digits of other scripts."""
    text = "".join(cells)
    return text.isascii() and "_" not in text and "\0" not in text


def number(cell: str) -> float:
    """Convert text to a number; what is none becomes NaN."""
    try:
        return float(cell) if plain_numbers(cell) else float("nan")
    except ValueError:
        return float("nan")


def refuse(bad: list[Finding], path: str | os.PathLike[str], lenient: bool | None = None) -> None:
    """Raise the first of the findings; with `lenient` log how many rows are left out instead.

    None stands for a verb that has no such option: its error does not advise it.
    """
    if not bad:
        return
    bad = sorted(bad, key=lambda f: f.line or 0)
    if not lenient:
        more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
        advice = "" if lenient is None else ", or leave such rows out with --lenient true"
        raise SedkitError(f"{bad[0].message}{more}; correct the row{advice}")
    log.warning("%s: %d rows left out, the first: %s", path, len(bad), bad[0].message)


def columns_of(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the column names in a table's header line."""
    lines = read_text(path).splitlines()
    if not lines:
        raise SedkitError(f"{path}: is empty, expected a header line")
    return tuple(name.strip().strip('"') for name in lines[0].split(_delimiter(lines[0])))


def read_table(
    path: str | os.PathLike[str], columns: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Read the named columns of any table with a header, as text; a row with too many fields is an error."""
    table = read_rows(path, columns, optional)
    refuse(table.findings, path)
    return table.columns


def write_table(path: str | os.PathLike[str], columns: dict[str, Sequence[Any]]) -> None:
    """Write columns of equal length as a TAB-separated table."""
    rows = zip(*columns.values(), strict=True)
    text = ["\t".join(columns) + "\n", *("\t".join(str(cell) for cell in row) + "\n" for row in rows)]
    write_text(path, "".join(text))
