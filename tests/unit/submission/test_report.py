"""What is a technical report, what stands in for one, how long it may be, and that no bytes hold the check up."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from submission_packages import CLIP_LIST, as_zip, correct, pdf, pdf_of, pdf_of_objects

from sedkit.submission.check import check_package
from sedkit.submission.findings import REFUSED, WARNING, PackageFinding
from sedkit.submission.formats import get_format
from sedkit.submission.technical_report import judge_report

#: Letters of a short paper.
PROSE = "T*\n".join(f"(Sentence {i} says how the network was trained and tested.) Tj " for i in range(60))


def paper(words: str, deflate: bool = True) -> bytes:
    content = f"BT /F1 12 Tf 14 TL 50 700 Td {words} ET".encode("latin-1")
    return pdf_of(zlib.compress(content), said=b"/Filter /FlateDecode") if deflate else pdf_of(content)


def check(report: bytes, folder: Path, name: str = "dcase2019") -> list[PackageFinding]:
    files = {n: report if n.endswith(".pdf") else data for n, data in correct(name).items()}
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


@pytest.mark.parametrize("words", ["placeholder", "lorem ipsum", "Place holder", "insert title"])
@pytest.mark.parametrize("deflate", [True, False])
def test_words_of_a_placeholder_in_a_real_report_are_a_warning(words: str, deflate: bool, tmp_path: Path) -> None:
    report = paper(f"{PROSE} T* (with {words} in it) Tj", deflate)
    judged = judge_report(report)
    assert judged.problem is None
    assert words in (judged.doubt or "")
    (found,) = check(report, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "report_words")


def test_a_page_of_placeholder_text_is_none() -> None:
    assert "lorem ipsum" in (judge_report(paper("(lorem ipsum dolor sit amet) Tj")).problem or "")
    # Words split by kerning, with moves in the place of spaces.
    assert "Lorem ipsum" in (judge_report(paper("[(Lo)-20(rem)-333(ip)5(sum)] TJ")).problem or "")


def test_a_page_with_hardly_a_word_is_a_warning(tmp_path: Path) -> None:
    assert judge_report(paper("(Technical report) Tj")).doubt == "holds hardly any text"
    assert judge_report(pdf()).doubt is None
    (found,) = check(paper("(Technical report) Tj"), tmp_path)
    assert (found.severity, found.kind) == (WARNING, "report_words")


def test_a_page_that_is_a_picture_is_not_judged_by_its_text() -> None:
    picture = (
        b"<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8 /Length 1 >>"
    )
    scan = pdf_of_objects(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << /XObject << /X 4 0 R >> >> >>",
        picture + b"\nstream\nx\nendstream",
    )
    judged = judge_report(scan)
    assert (judged.problem, judged.doubt, judged.unread, judged.pages) == (None, None, None, 1)


@pytest.mark.parametrize("name", ["dcase2018", "dcase2019", "dcase2020", "dcase2023a"])
def test_a_report_longer_than_the_rules_allow(name: str, tmp_path: Path) -> None:
    """Rules of 2018 and 2019: 5 pages; of 2020 and 2023: (4+1)."""
    assert check(pdf(pages=5), tmp_path, name) == []
    (found,) = check(pdf(pages=6), tmp_path, name)
    assert (found.severity, found.kind, found.message, found.expected) == (
        WARNING,
        "report_long",
        "has 6 pages",
        "at most 5",
    )


_MILLION = 1_000_000
_CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


@cache
def zeros() -> bytes:
    """Half a gigabyte, compressed."""
    return zlib.compress(bytes(500 << 20), 1)


#: Bytes that exhaust readers: what is made of them, as a whole file, in place of an object, or as a page's content.
HOSTILE: dict[str, Callable[[], bytes]] = {
    "random bytes": lambda: b"%PDF-1.4\n" + random.Random(0).randbytes(_MILLION) + b"%%EOF\n",
    "open brackets": lambda: b"%PDF-1.4\n" + rb"(\(" * (_MILLION // 3) + b"\n%%EOF\n",
    "open brackets in a page": lambda: pdf_of(b"BT " + rb"(\(" * (_MILLION // 3) + b" ET"),
    "nested arrays": lambda: pdf_of_objects(_CATALOG, b"[" * _MILLION),
    "nested arrays in a page": lambda: pdf_of(b"[" * _MILLION),
    "nested dictionaries": lambda: pdf_of_objects(_CATALOG, b"<</a" * (_MILLION // 4)),
    "a page tree in circles": lambda: pdf_of_objects(_CATALOG, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"),
    "one page without end": lambda: pdf_of_objects(
        _CATALOG, b"<< /Type /Pages /Kids [" + b"3 0 R " * (_MILLION // 6) + b"] >>", b"<< /Type /Page >>"
    ),
    "a table of objects in circles": lambda: (
        b"%PDF-1.4\nxref\n0 1\n0000000000 65535 f \n"
        b"trailer\n<< /Size 1 /Root 1 0 R /Prev 9 >>\nstartxref\n9\n%" + b"-" * 2000 + b"\n%%EOF\n"
    ),
    "a bomb": lambda: pdf_of(zeros(), said=b"/Filter /FlateDecode"),
    "a bomb of text": lambda: pdf_of(zlib.compress(b"(a) Tj " * (8 << 20), 9), said=b"/Filter /FlateDecode"),
    "a bomb in a bomb": lambda: pdf_of(zlib.compress(zeros(), 9), said=b"/Filter [/FlateDecode /FlateDecode]"),
    "many objects": lambda: b"%PDF-1.4\n" + b"1 0 obj\n<<>>\nendobj\n" * (_MILLION // 20) + b"%%EOF\n",
    "many ends": lambda: b"%PDF-1.4\n" + b"startxref\n%%EOF\n" * (_MILLION // 16),
    "many operators": lambda: pdf_of(b"BT /F1 12 Tf " + b"(ab) Tj 1 0 0 1 3 4 Tm " * (_MILLION // 24) + b"ET"),
}


@pytest.mark.parametrize("what", sorted(HOSTILE))
@pytest.mark.timeout(120)
def test_bytes_that_would_exhaust_a_reader_are_a_plain_finding(what: str, tmp_path: Path) -> None:
    found = check(HOSTILE[what](), tmp_path)
    assert {f.severity for f in found} <= {WARNING, REFUSED}
    assert {f.kind for f in found} <= {"report_unread", "report_words", "report_long", "report_placeholder"}
    assert all(f.text().isprintable() for f in found)
    assert found or what == "many operators"
