"""A file's bytes: read within a limit, decoded as UTF-8, its lines brought to LF; what is wrong with them is noted."""

from __future__ import annotations

from sedkit.submission.archive import Package
from sedkit.submission.findings import REFUSED, WARNING, Findings


def read_within(package: Package, file: str, most_bytes: int, what: str, findings: Findings) -> bytes | None:
    """Read a file of a package, `what` in words; one of more than so many bytes is refused unread, None comes back."""
    size = package.size(file)
    if size > most_bytes:
        findings.add(REFUSED, "too_large", file, f"{size:,} bytes", f"{what} of at most {most_bytes:,}")
        return None
    return package.read(file)


def decoded(file: str, data: bytes, findings: Findings) -> str | None:
    """Return the text of a file, or None where it is not UTF-8."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        findings.add(REFUSED, "encoding", file, "is not UTF-8", "UTF-8 text", row=row)
        return None


def with_line_feeds(file: str, text: str, findings: Findings) -> str:
    """Return a text whose lines end in LF; other ends are noted."""
    if "\r" not in text:
        return text
    findings.add(WARNING, "line_ends", file, "lines end in CR LF or CR", "LF", row=1)
    return text.replace("\r\n", "\n").replace("\r", "\n")
