"""What a package may take of a reader: work that is counted, not timed, stays within what its input is worth."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from submission_packages import CLIP_LIST, CLIPS, as_zip, correct, pdf, pdf_of

from sedkit.submission import technical_report
from sedkit.submission.check import check_package
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import WARNING, PackageFinding
from sedkit.submission.formats import get_format
from sedkit.submission.outputs import raw

_HEAD = "filename\tonset\toffset\tevent_label\n"


def check(name: str, files: dict[str, bytes], folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


@pytest.mark.timeout(60)
def test_names_that_are_no_classes_are_looked_up_not_searched(tmp_path: Path) -> None:
    """50 tables of 20,000 names each: a search of all names for each name would be 10^12 steps."""
    files = correct("dcase2021")
    for number, path in enumerate([n for n in files if "_PSDS/" in n]):
        rows = (f"{CLIPS[i % 12]}\t{i % 9}.1\t{i % 9}.5\tx{number}_{i}" for i in range(20_000))
        files[path] = (_HEAD + "\n".join(rows) + "\n").encode()
    found = check("dcase2021", files, tmp_path)
    assert "unknown_class" in {f.kind for f in found}
    assert "points_order" not in {f.kind for f in found}


def test_rows_beyond_those_that_are_read_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = correct("dcase2019", 4)
    rows = [data.count(b"\n") for name, data in files.items() if name.endswith(".csv")]
    monkeypatch.setattr(raw, "_MOST_ROWS_IN_ALL", sum(rows[:2]))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind, found.count) == (WARNING, "tables_unread", 2)
    assert found.file.endswith("_3.output.csv")
    # Long rows count as several.
    path = next(name for name in files if name.endswith("_1.output.csv"))
    files[path] += f"{CLIPS[0]}\t9.1\t9.5\t{'Dog' * 5000}\n".encode()
    found = check("dcase2019", files, tmp_path)
    assert [(f.kind, f.count) for f in found] == [("tables_unread", 4)]


def test_reports_share_the_time_that_there_is_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first takes three of four seconds, the second the last one; the others are not opened."""
    spent = iter([0.0, 3.0, 3.0, 4.0])
    allowed: list[int] = []

    def judge(_: bytes, most_s: int) -> technical_report.Report:
        allowed.append(most_s)
        return technical_report.Report(pages=1)

    monkeypatch.setattr(technical_report, "_reader_s", lambda: next(spent))
    monkeypatch.setattr(technical_report, "judge_report", judge)
    files = correct("dcase2019") | {f"z{i}.pdf": pdf(f"Report {i}") for i in (1, 2, 3)}
    found = check("dcase2019", files, tmp_path)
    assert allowed == [3, 1]
    assert [(f.severity, f.kind, f.file) for f in found] == [
        (WARNING, "report_unread", "z2.pdf"),
        (WARNING, "report_unread", "z3.pdf"),
    ]


def test_the_reader_ends_when_its_time_is_over() -> None:
    slow = pdf_of(b"BT /F1 12 Tf " + b"(ab) Tj 1 0 0 1 3 4 Tm " * 400_000 + b"ET")
    assert technical_report.judge_report(slow, 1).unread is not None


def test_hints_are_few_and_compare_names_of_like_length(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def matches(_: str, names: list[str], **__: object) -> list[str]:
        compared.append(len(names))
        return []

    monkeypatch.setattr(difflib, "get_close_matches", matches)
    clips = ClipList(tuple(f"{'a' * n}.wav" for n in range(10, 60)))
    for number in range(10):
        clips.hint(f"{'b' * 30}{number}.wav")
    # Of 35 letters: ratios of 0.9 are in reach of 29 to 42, that is 25 to 38 before the ending.
    assert compared == [14] * 3
