"""What is a technical report, and what stands in for one."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from submission_packages import CLIP_LIST, as_zip, correct, pdf

from sedkit.submission.check.examine import check_package
from sedkit.submission.check.technical_report import judge_report
from sedkit.submission.findings import WARNING
from sedkit.submission.formats import get_format

#: Letters of a short paper.
PROSE = " ".join(f"Sentence {i} says how the network was trained and tested." for i in range(60))


def stream(text: str, deflate: bool = True) -> bytes:
    data = text.encode("latin-1")
    data = zlib.compress(data) if deflate else data
    return b"1 0 obj\n<< /Length %d >>\nstream\n" % len(data) + data + b"\nendstream\nendobj\n"


def paper(*parts: bytes) -> bytes:
    # Readers do not mind what stands in a comment.
    return b"%PDF-1.4\n" + b"%" + b"-" * 1100 + b"\n" + b"".join(parts) + b"%%EOF\n"


@pytest.mark.parametrize("words", ["placeholder", "lorem ipsum", "Place holder", "insert title"])
@pytest.mark.parametrize("deflate", [True, False])
def test_words_of_a_placeholder_in_a_real_report_are_a_warning(words: str, deflate: bool, tmp_path: Path) -> None:
    report = paper(stream(f"BT ({PROSE} with {words} in it) Tj ET", deflate))
    problem, doubt = judge_report(report)
    assert problem is None
    assert words in (doubt or "")
    files = {name: report if name.endswith(".pdf") else data for name, data in correct("dcase2019").items()}
    (found,) = check_package(as_zip(files, tmp_path / "p.zip"), get_format("dcase2019"), CLIP_LIST)
    assert (found.severity, found.kind) == (WARNING, "report_words")


def test_a_page_of_placeholder_text_is_none() -> None:
    assert "lorem ipsum" in (judge_report(paper(stream("BT (lorem ipsum dolor sit amet) Tj ET")))[0] or "")
    # Words split by kerning, with moves in the place of spaces.
    assert "Loremipsum" in (judge_report(paper(stream("[(Lo)-20(rem)-333(ip)5(sum)] TJ")))[0] or "")
    # Fonts and pictures are no text, however much of a stream looks like it.
    noise = "".join(chr(i % 256) for i in range(7, 60_000, 7)) + "(" + "a" * 3000 + ")" + "\x80" * 10_000
    assert judge_report(paper(stream("BT (placeholder) Tj ET"), stream(noise)))[0] is not None


def test_reports_whose_text_cannot_be_read_are_not_judged() -> None:
    by_number = stream("BT <" + "0024" * 2000 + "> Tj ET")
    assert judge_report(paper(stream("BT (placeholder) Tj ET"), by_number))[0] is None
    assert judge_report(paper(by_number)) == (None, None)
    scan = b"2 0 obj\n<< /Subtype /Image /Filter /DCTDecode >>\nendobj\n"
    assert judge_report(paper(scan)) == (None, None)


def test_a_page_with_hardly_a_word_is_a_warning() -> None:
    assert judge_report(paper(stream("BT (Technical report) Tj ET"))) == (None, "holds hardly any text")
    assert judge_report(pdf()) == (None, None)
