"""A table's bytes: read within limits, decoded as UTF-8; what is wrong with them is noted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from sedkit.core.errors import SedkitError
from sedkit.dataio.rows import Rows, parse_rows
from sedkit.submission.findings import Findings, located
from sedkit.submission.package import Package

MARK = b"\xef\xbb\xbf"

#: Twice the largest output to be expected; fields that a header and the first row may hold, and their bytes.
_MOST_ROWS = 1_000_000
#: Rows of all event tables of a package; one that is longer than usual counts as several.
_MOST_ROWS_IN_ALL = 1_500_000
_USUAL_ROW_BYTES = 100
_MOST_FIELDS = 1000
_HEAD_BYTES = 1 << 20

_BLANK = re.compile(rb"\n(?= *\n)")


@dataclass
class TableBudget:
    """The rows that are left for the event tables of a package, and the tables that there was no room for."""

    rows: int = field(default_factory=lambda: _MOST_ROWS_IN_ALL)
    unread: list[str] = field(default_factory=list)

    def read(self, package: Package, file: str, most_bytes: int, findings: Findings) -> bytes | None:
        """Read an event table as `read_within` does; None also where those before it took all the rows."""
        data = read_within(package, file, most_bytes, "an event table", findings) if self.rows > 0 else None
        rows = max(data.count(b"\n"), len(data) // _USUAL_ROW_BYTES) if data is not None else 0
        if self.rows <= 0 or self.rows < rows <= _MOST_ROWS:
            self.unread.append(file)
            data = None
        self.rows -= rows
        return data

    def note(self, findings: Findings) -> None:
        """Warn of the tables that were not read."""
        if self.unread:
            message = f"is not looked at: the tables before it hold the {_MOST_ROWS_IN_ALL:,} rows that are read in all"
            findings.add("tables_unread", self.unread[0], message, "fewer rows", count=len(self.unread))


def read_within(package: Package, file: str, most_bytes: int, what: str, findings: Findings) -> bytes | None:
    """Read a file of a package, `what` in words; one of more than so many bytes is refused unread, None comes back."""
    size = package.size(file)
    if size > most_bytes:
        findings.add("too_large", file, f"{size:,} bytes", f"{what} of at most {most_bytes:,}")
        return None
    return package.read(file)


def decoded(file: str, data: bytes, findings: Findings) -> str | None:
    """Return the text of a file, or None where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        findings.add("encoding", file, "is not UTF-8", "UTF-8 text", _row_at(data, error.start))
        return None


def _row_at(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1


def parsed(
    file: str, data: bytes, columns: Sequence[str], numbers: Sequence[str] | None, findings: Findings
) -> Rows | None:
    """Return the rows of a table, None where its reader stops, which is noted."""
    try:
        return parse_rows(file, data, columns, numbers=numbers)
    except SedkitError as error:
        row, said = located(error, file)
        findings.add("row_fields", file, said, "one row a line", row)
        return None


def is_table_text(file: str, data: bytes, findings: Findings) -> bool:
    """Tell whether bytes are text that a table can be read from; its mark, line ends and blank lines are noted."""
    if decoded(file, data, findings) is None:
        return False
    if b"\0" in data:
        findings.add("encoding", file, "holds NUL bytes", "UTF-8 text", _row_at(data, data.index(b"\0")))
        return False
    if (rows := data.count(b"\n")) > _MOST_ROWS:
        findings.add("too_large", file, f"{rows:,} rows", f"a table of at most {_MOST_ROWS:,}")
        return False
    # The first row decides how many columns there are: each of millions would get memory of its own.
    for row, line in enumerate(data[: _HEAD_BYTES + 1].lstrip().split(b"\n", 2)[:2], start=1):
        fields = line.count(b"\t") + 1
        if len(line) > _HEAD_BYTES:
            findings.add("too_large", file, "a line of more than a megabyte", f"at most {_HEAD_BYTES:,} bytes", row)
            return False
        if fields > _MOST_FIELDS + 1:
            findings.add("class_columns", file, f"{fields:,} fields", f"at most {_MOST_FIELDS:,}", row)
            return False
    # The organisers' pandas reads all of these.
    if data.startswith(MARK):
        findings.add("bom", file, "begins with a byte order mark", "plain UTF-8", row=1)
    if b"\r" in data:
        findings.add("line_ends", file, "lines end in CR LF or CR", "LF", row=1)
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    blank = [match.end() for match in _BLANK.finditer(data)]
    if blank:
        findings.add("blank_line", file, "is blank", "no blank lines", _row_at(data, blank[0]), len(blank))
    return True
