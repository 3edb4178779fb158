r"""Tables as rows: the one reader of every text table, on pandas.

The organisers' scripts of 2019 to 2024 read ground truths, outputs and durations with ``pandas.read_csv(path,
sep="\t")``. Tables are read the same way here: its default float parser (off by one unit in the last place for many
numbers of 16 to 17 digits), its missing values (empty, ``NA``, ``N/A``, ``None``, ``NULL``, ``nan`` and so on), its
quotes, its index column where the header is one name short. What pandas does not tell, the line of each row and what
is wrong with it, comes back beside the cells.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import read_bytes, write_text
from sedkit.core.log import log

if TYPE_CHECKING:
    import pandas as pd

#: Endings of tables.
TABLES = (".tsv", ".csv", ".txt")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_LONE_RETURN = re.compile(rb"\r(?!\n)")
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a table: its kind, a message, the line (1 is the header)."""

    kind: str
    message: str
    line: int | None = None


@dataclass(frozen=True)
class Rows:
    """Cells of a table.

    Attributes
    ----------
    source
        Where the table came from, for messages.
    names
        Columns in the order of the header, spaces around them taken off.
    line
        (n_rows,) int64, line of each row in the file.
    findings
        Rows with more fields than the table has columns: they are left out.
    """

    source: str
    names: tuple[str, ...]
    line: np.ndarray
    findings: list[Finding]
    _frame: pd.DataFrame = field(repr=False)
    _data: bytes = field(repr=False)
    _options: dict[str, Any] = field(repr=False)

    def __len__(self) -> int:
        return len(self.line)

    @property
    def has_index(self) -> bool:
        """Whether rows have a field more than the header: pandas takes the first one for an index."""
        import pandas as pd

        return not isinstance(self._frame.index, pd.RangeIndex)

    def coded(self, name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Return a text column as codes, (n_rows,) int64 with -1 where missing, and its distinct values, sorted."""
        column = self._frame.iloc[:, self.names.index(name)]
        return np.asarray(column.cat.codes, dtype=np.int64), tuple(column.cat.categories)

    def cells(self, name: str) -> list[str]:
        """Return a text column, "" where missing."""
        code, values = self.coded(name)
        return np.array([*values, ""], dtype=object)[code].tolist() if len(code) else []

    def numbers(self, name: str) -> np.ndarray:
        """Return a column of numbers, (n_rows,) float64; NaN where there is none, or something else than a number."""
        import pandas as pd

        column = self._frame.iloc[:, self.names.index(name)]
        if column.dtype.kind in "iuf":
            return column.to_numpy(dtype=np.float64)
        # One cell that is no number turns the column into text: the others are parsed as before.
        cells = self._text.iloc[:, self.names.index(name)]
        good = pd.to_numeric(cells, errors="coerce").notna().to_numpy()
        out = np.full(len(cells), np.nan)
        if good.any():
            text = io.StringIO("\n".join(cells[good].str.strip()))
            out[good] = pd.read_csv(text, header=None, dtype=np.float64)[0].to_numpy()
        return out

    def table(self) -> np.ndarray:
        """Return all columns as numbers, (n_rows, n_columns) float64; NaN as `numbers` has it."""
        if all(dtype.kind in "iuf" for dtype in self._frame.dtypes):
            return self._frame.to_numpy(dtype=np.float64)
        return np.stack([self.numbers(name) for name in self.names], axis=1)

    def missing(self, name: str) -> np.ndarray:
        """Return where a column of numbers has no value at all, (n_rows,) bool."""
        column = self._frame.iloc[:, self.names.index(name)]
        if column.dtype.kind not in "iuf":
            column = self._text.iloc[:, self.names.index(name)]
        return column.isna().to_numpy()

    def text(self, name: str, row: int) -> str:
        """Return a cell as it stands in the file, "" where missing, for messages."""
        cell = self._text.iat[row, self.names.index(name)]
        return cell if isinstance(cell, str) else ""

    @cached_property
    def _text(self) -> pd.DataFrame:
        import pandas as pd

        return pd.read_csv(io.BytesIO(self._data), **{**self._options, "dtype": str})


def read_rows(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    optional: Sequence[str] = (),
    numbers: Sequence[str] = (),
    called: Mapping[str, str] | None = None,
) -> Rows:
    """Read a table with a header; see `parse_rows`."""
    return parse_rows(str(path), read_bytes(path), columns, optional, numbers, called)


def parse_rows(
    source: str,
    data: bytes,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    numbers: Sequence[str] | None = (),
    called: Mapping[str, str] | None = None,
) -> Rows:
    """Read the bytes of a table as the organisers' pandas does.

    Parameters
    ----------
    source
        Name for messages.
    data
        UTF-8 text, with or without a byte order mark, with any line ends. Separated by TABs; by commas where the
        header holds no TAB.
    columns
        Names that the header must hold. The table may hold others.
    optional
        Further columns of text to read where they are there.
    numbers
        Which of the columns hold numbers; None: all.
    called
        What the table itself calls a column, where it has another name.

    Raises
    ------
    SedkitError
        No UTF-8 text, an empty file, a header without one of the columns, a quote that is never closed.
    """
    import pandas as pd

    check_text(source, data)
    if _LONE_RETURN.search(data):
        # pandas' tokenizer loses its way, and memory without end, behind a carriage return that ends a line alone.
        data = _LINE_END.sub(b"\n", data)
    raw = header_of(source, data, columns)
    names = columns_called(raw, called)
    theirs = {name: (called or {}).get(name, name) for name in columns}
    absent = [theirs[name] for name in columns if name not in names]
    if absent:
        raise SedkitError(
            f"{source}:1: no column {listed(absent)}{suggest(absent[0], names)}; expected a header line with "
            f"{', '.join(theirs.values())}, separated by TABs, got {' '.join(raw)[:80]!r}"
        )
    # Text is coded while it is read; what is to be a number is left to pandas' own inference, as the organisers do.
    text = [raw[names.index(name)] for name in (*columns, *optional) if name in names]
    figures = {raw[names.index(name)] for name in (columns if numbers is None else numbers) if name in names}
    options: dict[str, Any] = {
        "sep": separator_of(data),
        "dtype": {name: "category" for name in text if name not in figures},
        "low_memory": False,
    }
    findings: list[Finding] = []
    try:
        frame = pd.read_csv(io.BytesIO(data), **options)
        lines = _lines(source, data, options["sep"], len(frame))
    except pd.errors.ParserError:
        lines, findings = _rows_too_long(source, data, options["sep"])
        options["on_bad_lines"] = "skip"
        try:
            frame = pd.read_csv(io.BytesIO(data), **options)
        except pd.errors.ParserError:
            *_, (line, _) = _records(source, data, options["sep"])
            raise SedkitError(f"{source}:{line}: a quote is opened here and never closed") from None
    if len(lines) != len(frame) or frame.shape[1] != len(names):
        raise SedkitError(f"{source}: quotes or line ends cannot be followed; expected one row a line")
    return Rows(source, names, lines, findings, frame, data, options)


def check_text(source: str, data: bytes) -> None:
    """Raise where bytes are no UTF-8 text."""
    if b"\0" in data:
        line = len(_LINE_END.findall(data[: data.index(b"\0")])) + 1
        raise SedkitError(f"{source}:{line}: holds NUL bytes, expected UTF-8 text")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(data[: error.start])) + 1
        raise SedkitError(f"{source}:{line}: holds bytes that are no UTF-8, expected UTF-8 text") from None


def header_of(source: str, data: bytes, columns: Sequence[str] = ()) -> list[str]:
    """Return the names in a table's first line that is not blank, as they stand."""
    line = header_line(data)
    if not line.strip():
        raise SedkitError(f"{source}: is empty, expected a header line with {', '.join(columns) or 'column names'}")
    return next(csv.reader([line], delimiter=separator_of(data)))


def separator_of(data: bytes) -> str:
    """Return what separates the fields: TABs, or commas where the header has no TAB."""
    header = header_line(data)
    return "," if "\t" not in header and "," in header else "\t"


def header_line(data: bytes) -> str:
    """Return the first line that is not blank, "" where there is none."""
    start = 3 if data.startswith(_MARK) else 0
    for match in _LINE_END.finditer(data):
        if (line := data[start : match.start()]).strip(b" "):
            return line.decode("utf-8", errors="replace")
        start = match.end()
    return data[start:].decode("utf-8", errors="replace")


def _lines(source: str, data: bytes, separator: str, n_rows: int) -> np.ndarray:
    """Return the line of each of a table's rows: blank lines have none, a row may go over several."""
    if data.count(b"\n") - data.endswith(b"\n") == n_rows and b'"' not in data and b"\r" not in data:
        return np.arange(2, n_rows + 2, dtype=np.int64)
    return np.array([line for line, _ in _records(source, data, separator)][1:], dtype=np.int64)


def _records(source: str, data: bytes, separator: str) -> Iterable[tuple[int, int]]:
    """Yield the first line and the number of fields of the header and of each row."""
    text = data.removeprefix(_MARK).decode("utf-8")
    if '"' not in text:
        for line, row in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
            if row.strip(" "):
                yield line, row.count(separator) + 1
        return
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    last = 0
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip(" ")):
                yield last + 1, len(row)
            last = reader.line_num
    except csv.Error:
        raise SedkitError(f"{source}:{last + 1}: a quote is opened here and never closed") from None


def _rows_too_long(source: str, data: bytes, separator: str) -> tuple[np.ndarray, list[Finding]]:
    """Tell which rows pandas stumbled over: those with more fields than the header and the first row have."""
    (_, width), *rows = _records(source, data, separator)
    width = max(width, rows[0][1]) if rows else width
    findings = [
        Finding("unreadable_row", f"{source}:{line}: {fields} fields, expected {width}", line)
        for line, fields in rows
        if fields > width
    ]
    return np.array([line for line, fields in rows if fields <= width], dtype=np.int64), findings


def refuse(bad: list[Finding], path: str | os.PathLike[str], lenient: bool | None = None) -> None:
    """Raise the first of the findings; with `lenient` log how many rows are left out instead.

    None stands for a verb that has no such option: its error does not advise it.
    """
    if not bad:
        return
    first = min(bad, key=lambda f: f.line or 0)
    if not lenient:
        more = f" (and {len(bad) - 1} more rows)" if len(bad) > 1 else ""
        advice = "" if lenient is None else ", or leave such rows out with --lenient true"
        raise SedkitError(f"{first.message}{more}; correct the row{advice}")
    log.warning("%s: %d rows left out, the first: %s", path, len(bad), first.message)


def columns_of(path: str | os.PathLike[str], called: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the column names in a table's header line; what it calls otherwise goes by our name (`parse_rows`)."""
    return columns_called(header_of(str(path), read_bytes(path)), called)


def columns_called(raw: Sequence[str], called: Mapping[str, str] | None) -> tuple[str, ...]:
    """Return a header's names, those in `called` by our name; a column that has our name by chance has none."""
    ours = {theirs: name for name, theirs in (called or {}).items()}
    return tuple(ours.get(name, "" if name in (called or {}) else name) for name in map(str.strip, raw))


def read_table(
    path: str | os.PathLike[str], columns: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, list[str]]:
    """Read the named columns of any table with a header, as text; a row with too many fields is an error."""
    table = read_rows(path, columns, optional)
    refuse(table.findings, path)
    return {name: table.cells(name) for name in (*columns, *optional) if name in table.names}


def tables_in(folder: str | os.PathLike[str], endings: Sequence[str] = TABLES) -> list[Path]:
    """Return the tables in a folder by name; what file managers hide there (`._a.tsv`) is none."""
    return sorted(
        path
        for path in Path(folder).iterdir()
        if path.suffix.lower() in endings and not path.name.startswith(".") and path.is_file()
    )


def write_table(path: str | os.PathLike[str], columns: dict[str, Sequence[Any]]) -> None:
    """Write columns of equal length as a TAB-separated table."""
    rows = zip(*columns.values(), strict=True)
    text = ["\t".join(columns) + "\n", *("\t".join(str(cell) for cell in row) + "\n" for row in rows)]
    write_text(path, "".join(text))
