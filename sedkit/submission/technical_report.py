"""Whether the technical report lies where it should, is as long as the rules allow, and is one, not a stand-in."""

from __future__ import annotations

import json
import math
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from sedkit.submission import report_reader
from sedkit.submission.findings import REFUSED, WARNING, Findings
from sedkit.submission.formats import Format
from sedkit.submission.layout import Layout
from sedkit.submission.package import Package

#: A PDF page with a title, authors and an abstract does not fit into less.
MIN_BYTES = 1024

#: Where a reader looks for the beginning.
_HEAD_BYTES = 1024

#: Larger than any report that is a text with figures; read whole, it would have to be held in memory twice.
_MOST_BYTES = 32 << 20

#: Reports that are looked at: one a system would do.
_MOST_REPORTS = 4

#: Letters of a page that is filled with a placeholder; title, authors and abstract alone make more.
_SHORT = 1000
_HARDLY_ANY = 100

#: Processor time of the reader, for one report and for all of a package: one of five pages takes a tenth of a second.
_MOST_S = 3
_MOST_S_IN_ALL = 4

#: The reader ends itself after a few seconds of its own time; on a machine that is busy they may last.
_MOST_WAIT_S = 120

_STAND_IN = re.compile(
    r"lorem\s*ipsum|place\s?-?holder|your\s?title\s?here|insert\s?(?:your\s?)?(?:text|title|abstract)", re.IGNORECASE
)


@dataclass(frozen=True)
class Report:
    """What is known of a report.

    Attributes
    ----------
    problem
        Why it cannot be the report, or None where it may be one.
    doubt
        What in one that may be reads as in a stand-in, or None: a long text may well speak of placeholders.
    unread, wanted
        Why pages or text are not known, or None; and what should be there instead.
    """

    problem: str | None = None
    doubt: str | None = None
    unread: str | None = None
    pages: int | None = None
    wanted: str = "a PDF with title, authors and abstract"


def judge_report(data: bytes, most_s: int = _MOST_S) -> Report:
    """Judge whether a PDF is the technical report; its bytes are read by a process with limits (`report_reader`)."""
    # Readers take what stands before and after.
    if b"%PDF-" not in data[:_HEAD_BYTES]:
        return Report("is no PDF")
    data = data.rstrip(b"\0 \t\r\n")
    cut = b"%%EOF" not in data[-2048:]
    known = _read(data, most_s)
    pages, encrypted = known.get("pages"), "encrypted" in known
    if not pages and not encrypted and cut:
        return Report("is a PDF cut short")
    if not pages and not encrypted and len(data) < MIN_BYTES:
        return Report(f"holds only {len(data)} bytes")
    if not pages:
        why = "is encrypted: its pages are not known" if encrypted else "cannot be read: no page is found in it"
        return Report(unread="is locked by a password" if "locked" in known else why)
    if "text" not in known:
        why = "cannot be read: its text is none, or would exhaust a reader"
        return Report(unread="is encrypted: its text is not known" if encrypted else why, pages=pages)
    if cut:
        return Report(unread="has no end: it may be cut short", pages=pages)
    text = " ".join(known["text"].split())
    letters = len(text) - text.count(" ")
    stand_in = _STAND_IN.search(text)
    if stand_in is None:
        return Report(
            doubt="holds hardly any text" if letters < _HARDLY_ANY and not known["pictures"] else None, pages=pages
        )
    words = f"holds the words {stand_in[0]!r}"
    if known["pictures"] or letters >= _SHORT:
        return Report(doubt=words, pages=pages)
    return Report(f"{words} and little else", pages=pages)


def check_report(package: Package, names: Sequence[str], layout: Layout, form: Format, findings: Findings) -> None:
    """Look for the report beside the system folders; only warn where a single system's folder is looked at."""
    severity = WARNING if layout.single else REFUSED

    def tell(kind: str, file: str, message: str, expected: str, severity: str | None = severity) -> None:
        findings.add(kind, file, message, expected, severity=severity)

    expected = "a PDF beside the system folders"
    reports = [name for name in names if name.lower().endswith(".pdf")]
    if not reports:
        tell("report_missing", "", "no technical report", expected)
        return
    beside = [name for name in reports if str(PurePosixPath(name).parent) in (layout.base or ".", ".")]
    if layout.single:
        tell("report_place", reports[0], "lies in a system's folder", expected)
    elif not beside:
        tell("report_place", reports[0], "lies where the organisers' script does not look", expected)
    elif not any(name.endswith(".pdf") for name in beside):
        tell("report_name", beside[0], "is not found by the organisers' script", "a name in .pdf")
    reports = beside or reports
    left_s = float(_MOST_S_IN_ALL)
    for name in reports[:_MOST_REPORTS]:
        report, spent_s = _report_of(package, name, left_s)
        left_s -= spent_s
        if report.problem:
            tell("report_placeholder", name, report.problem, "the technical report")
        elif report.doubt:
            tell("report_words", name, report.doubt, "the technical report", None)
        elif report.unread:
            tell("report_unread", name, report.unread, report.wanted, None)
        if report.pages is not None and report.pages > form.report_pages:
            tell("report_long", name, f"has {report.pages} pages", f"at most {form.report_pages}", None)
    if len(reports) > _MOST_REPORTS:
        message = f"{len(reports) - _MOST_REPORTS} more PDF files are not looked at"
        tell("report_many", "", message, "one technical report", None)


def _report_of(package: Package, name: str, left_s: float) -> tuple[Report, float]:
    """Judge a report within the processor time that is left for it; return also how much that took."""
    if left_s <= 0:
        why = "is not looked at: those before it took all the time there is for reports"
        return Report(unread=why, wanted="one technical report"), 0.0
    if package.size(name) > _MOST_BYTES:
        why = f"{package.size(name):,} bytes: its pages are not looked at"
        return Report(unread=why, wanted=f"at most {_MOST_BYTES:,}"), 0.0
    before_s = _reader_s()
    report = judge_report(package.read(name), min(_MOST_S, math.ceil(left_s)))
    return report, _reader_s() - before_s


def _reader_s() -> float:
    """Return the processor time of the processes that have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# `pack` judges a report before it packs it, and the package with it after that.
@lru_cache(maxsize=4)
def _read(data: bytes, most_s: int) -> dict[str, Any]:
    """Return what the reader could tell of a PDF: nothing where it tripped over it at once."""
    try:
        # -P: nothing that lies in the folder of the call, a stranger's package perhaps, is taken for a module.
        call = [sys.executable, "-P", str(Path(report_reader.__file__)), str(most_s)]
        told = subprocess.run(call, input=data, capture_output=True, timeout=_MOST_WAIT_S, check=False).stdout
    except subprocess.TimeoutExpired as error:
        told = error.stdout or b""
    known: dict[str, Any] = {}
    for line in told.splitlines():
        known |= json.loads(line)
    return known
