"""The header of an event table: without it, or with other names in it, the organisers' reader finds no column."""

from __future__ import annotations

from sedkit.dataio.names import AUDIO_ENDINGS
from sedkit.dataio.rows import header_of, separator_of
from sedkit.submission.check.bytes import MARK
from sedkit.submission.check.clips import is_seconds
from sedkit.submission.findings import REFUSED, WARNING, Findings
from sedkit.submission.formats._format import COLUMNS

_HEADER = "filename<TAB>onset<TAB>offset<TAB>event_label"


def check_header(file: str, data: bytes, findings: Findings) -> list[str] | None:
    """Return the cells of the header, or None where the columns cannot be told apart."""
    cells = [cell.strip() for cell in header_of(file, data)]
    line = " ".join(cells)
    if separator_of(data) != "\t" or (len(cells) == 1 and any(c in line for c in ",; ")):
        shown = data.removeprefix(MARK).lstrip()[:60].splitlines()[0].decode("utf-8", "replace")
        findings.add(REFUSED, "separator", file, f"columns are not separated by TABs: {shown!r}", _HEADER, row=1)
        return None
    if set(COLUMNS) <= set(cells):
        if tuple(cells) != COLUMNS:
            # pandas finds columns by their names.
            findings.add(WARNING, "header", file, f"header {line[:60]!r}", _HEADER, row=1)
        return cells
    if len(cells) == len(COLUMNS) and (is_seconds(cells[1]) or cells[0].lower().endswith(AUDIO_ENDINGS)):
        # Without a header the reader takes the first event for the column names.
        findings.add(
            REFUSED, "header_missing", file, f"begins with the row {line[:60]!r}", f"a header {_HEADER}", row=1
        )
        return cells
    findings.add(REFUSED, "header", file, f"header {line[:60]!r}", _HEADER, row=1)
    return None
