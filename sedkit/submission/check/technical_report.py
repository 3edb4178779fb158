"""Whether the technical report lies where it should, and is one, not a stand-in."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from sedkit.submission.archive import Package
from sedkit.submission.check.layout import Layout
from sedkit.submission.findings import REFUSED, WARNING, Findings

#: A PDF page with a title, authors and an abstract does not fit into less.
MIN_BYTES = 1024

#: Letters and digits of a page that is filled with a placeholder; title, authors and abstract alone make more.
_SHORT = 1000
_HARDLY_ANY = 100

_MOST_STREAMS = 2000
_MOST_TEXT = 8 << 20
_PRINTABLE = bytes(range(32, 127)) + b"\t\n\r"
#: Between words stands nothing where a PDF moves instead of printing a space.
_STAND_IN = re.compile(
    rb"lorem\s*ipsum|place\s*-?holder|your\s*title\s*here|insert\s*(?:your\s*)?(?:text|title|abstract)", re.IGNORECASE
)


def judge_report(data: bytes) -> tuple[str | None, str | None]:
    """Judge whether a PDF is the technical report.

    Parameters
    ----------
    data
        The file's bytes. Text is looked at as it stands in the file and in its deflated streams.

    Returns
    -------
    problem
        Why it cannot be the report, or None where it may be one.
    doubt
        What in one that may be reads as in a stand-in, or None: a long text may well speak of placeholders.
    """
    if not data.startswith(b"%PDF-"):
        return "is no PDF", None
    if b"%%EOF" not in data[-2048:]:
        return "is a PDF cut short", None
    if len(data) < MIN_BYTES:
        return f"holds only {len(data)} bytes", None
    text, numbered = _text(data)
    letters = len(re.findall(rb"[A-Za-z0-9]", text)) + numbered
    hidden = re.search(rb"/(?:Image|Encrypt|LZWDecode|ASCII85Decode|A85|LZW)\b", data) is not None
    found = _STAND_IN.search(text)
    if found is None:
        return None, "holds hardly any text" if letters < _HARDLY_ANY and not hidden else None
    words = f"holds the words {' '.join(found[0].decode('ascii', 'replace').split())!r}"
    if hidden or letters >= _SHORT:
        return None, words
    return f"{words} and little else", None


def check_report(package: Package, names: Sequence[str], layout: Layout, findings: Findings) -> None:
    """Look for the report beside the system folders; only warn where a single system's folder is looked at.

    Parameters
    ----------
    package, names
        The package, and its files.
    layout
        Where its systems lie.
    findings
        Where faults are noted.
    """
    severity = WARNING if layout.single else REFUSED
    expected = "a PDF beside the system folders"
    reports = [name for name in names if name.lower().endswith(".pdf")]
    if not reports:
        findings.add(severity, "report_missing", "", "no technical report", expected)
        return
    beside = [name for name in reports if str(PurePosixPath(name).parent) in (layout.base or ".", ".")]
    if layout.single or not beside:
        message = "lies in a system's folder" if layout.single else "lies where the organisers' script does not look"
        findings.add(severity, "report_place", reports[0], message, expected)
    elif not any(name.endswith(".pdf") for name in beside):
        findings.add(severity, "report_name", beside[0], "is not found by the organisers' script", "a name in .pdf")
    for name in beside or reports:
        data = package.read(name)
        problem, doubt = judge_report(data)
        if problem:
            findings.add(severity, "report_placeholder", name, problem, "the technical report")
        elif doubt:
            findings.add(WARNING, "report_words", name, doubt, "the technical report")


def _text(data: bytes) -> tuple[bytes, int]:
    """Return the strings of a PDF, those of its deflated streams too, and how many letters it shows by number alone."""
    out = bytearray()
    numbered = 0
    for part in _readable(data):
        # `[(Pla)-20(ceholder)] TJ`: kerning splits words, so only what stands in brackets is joined.
        out += b"".join(re.findall(rb"\(((?:[^()\\]|\\.)*)\)", part)) + b"\n"
        # `<0024003F> Tj`: fonts of many glyphs, four digits a letter.
        numbered += sum(len(x) // 4 for x in re.findall(rb"<([0-9A-Fa-f]{4,})>", part))
    return bytes(out), numbered


def _readable(data: bytes) -> Iterator[bytes]:
    """Yield what a PDF holds as text: all outside its streams, and the streams that are no fonts or pictures."""
    end = size = 0
    for n, match in enumerate(re.finditer(rb"(?<!end)stream\r?\n", data)):
        if n >= _MOST_STREAMS or size > _MOST_TEXT:
            return
        if match.start() < end:
            continue
        yield data[end : match.start()]
        end = data.find(b"endstream", match.end())
        end = len(data) if end < 0 else end
        try:
            stream = zlib.decompressobj().decompress(memoryview(data)[match.end() :], _MOST_TEXT)
        except zlib.error:
            stream = data[match.end() : end]
        size += len(stream)
        if len(stream.translate(None, _PRINTABLE)) < 0.1 * len(stream):
            yield stream
    yield data[end:]
