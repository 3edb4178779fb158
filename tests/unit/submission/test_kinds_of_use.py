"""Faults that one team in ten makes: energy as text, reports from other writers, one run twice, the wrong reference."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from submission_faults import Files, in_meta, raw_table
from submission_packages import CLIP_LIST, as_zip, correct, pdf, pdf_of_objects

from sedkit.submission.check import check_package, examine_package
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, PackageFinding
from sedkit.submission.formats import get_format
from sedkit.submission.technical_report import judge_report

MANDATORY = pytest.mark.parametrize("name", ["dcase2023a", "dcase2024"])


def check(name: str, files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


def with_energy(name: str, value: object) -> Files:
    files = {n: data for n, data in correct(name).items() if "codecarbon" not in n}
    in_meta("system/complexity/energy", value)(files, random.Random(0))
    in_meta("system/complexity/energy_baseline")(files, random.Random(0))
    return files


@MANDATORY
@pytest.mark.parametrize("rows", ["", "2024-06-01,99.5,0\n", "2024-06-01,99.5,much\n"])
def test_a_table_without_a_measurement_measures_nothing(name: str, rows: str, tmp_path: Path) -> None:
    files = with_energy(name, None)
    label = next(n for n in files if "/" in n).partition("/")[0]
    table = f"timestamp,duration,energy_consumed\n{rows}".encode()
    found = check(name, files | {f"{label}/codecarbon_training.csv": table}, tmp_path)
    assert (REFUSED, "energy_absent") in {(f.severity, f.kind) for f in found}


@MANDATORY
def test_a_truth_value_is_no_energy(name: str, tmp_path: Path) -> None:
    files = with_energy(name, None)
    path = next(n for n in files if n.endswith(".meta.yaml"))
    files[path] += b"energy_measured: true\n"
    assert (REFUSED, "energy_absent") in {(f.severity, f.kind) for f in check(name, files, tmp_path)}


@MANDATORY
def test_energy_as_text_is_one_finding(name: str, tmp_path: Path) -> None:
    keys = [item.path.rpartition(".")[2] for item in get_format(name).fields if ".energy." in item.path]
    found = check(name, with_energy(name, dict.fromkeys(keys, "1.39 kWh")), tmp_path)
    graver = [f for f in found if f.severity in (REFUSED, SCORED_WRONGLY)]
    assert [(f.severity, f.kind, f.count) for f in graver] == [(SCORED_WRONGLY, "energy_zero", len(keys))]
    assert "energy_absent" not in {f.kind for f in found}


@pytest.mark.parametrize("same", [12, 11, 10])
def test_unprocessed_scores_of_another_run(same: int, tmp_path: Path) -> None:
    """11 of 12 tables are more than 90 %, 10 are less."""
    files = correct("dcase2024")
    raw = sorted(n for n in files if "_run1_unprocessed" in n)
    for path in raw[:same]:
        files[path] = files[path.replace("_run1_unprocessed", "_run2")]
    found = check("dcase2024", files, tmp_path)
    assert [(f.severity, f.kind) for f in found] == ([(WARNING, "unprocessed_identical")] if same > 10 else [])


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"junk of a mail program\r\n" + data,
        lambda data: data + b"\0" * 5000,
        lambda data: data + b"\r\n" * 3000,
        lambda data: data.replace(b"-" * 1100, b"-"),
    ],
)
def test_reports_that_readers_open_are_reports(change: object, tmp_path: Path) -> None:
    files = correct("dcase2019")
    path = next(n for n in files if n.endswith(".pdf"))
    assert callable(change)
    files[path] = change(pdf())
    assert check("dcase2019", files, tmp_path) == []


def test_a_report_encrypted_by_aes_is_not_locked() -> None:
    """Security handler of revision 6 (ISO 32000-2, 7.6.4): any words will do, they are read by AES alone."""
    word = b"<" + b"00" * 48 + b">"
    security = b"<< /Filter /Standard /V 5 /R 6 /Length 256 /P -4 /O %s /U %s /OE <%s> /UE <%s> /Perms <%s>" % (
        *[word] * 2,
        *[b"00" * 32] * 2,
        b"00" * 16,
    )
    security += b" /CF << /StdCF << /CFM /AESV3 /Length 32 >> >> /StmF /StdCF /StrF /StdCF >>"
    plain = pdf_of_objects(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >>",
        security,
    )
    judged = judge_report(plain.replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 4 0 R /ID [<00> <00>]"))
    assert (judged.problem, judged.unread) == (None, "is encrypted: its pages are not known")


def test_messages_name_no_types(tmp_path: Path) -> None:
    files = correct("dcase2024")
    path = next(n for n in files if "_run1.output/" in n)
    files[path] = files[path].replace(b"\n1\t2\t", b"\n1.5\t2\t")
    found = next(f for f in check("dcase2024", files, tmp_path) if f.kind == "windows_gap")
    assert found.message == "a window begins at 1.5 s, the one before it ends at 1.0 s"


@pytest.mark.parametrize(("name", "rows"), [("dcase2019", ""), ("dcase2023b", "clip_01.wav\t1.0\t2.0\tDog\n")])
def test_a_reference_that_holds_nothing_of_use_is_a_note(name: str, rows: str, tmp_path: Path) -> None:
    reference = tmp_path / "ref.tsv"
    reference.write_text(f"filename\tonset\toffset\tevent_label\n{rows}")
    path = as_zip(correct(name), tmp_path / "p.zip")
    found = examine_package(path, get_format(name), CLIP_LIST, [reference]).findings
    assert (NOTE, "results_not_recomputed", "") in {(f.severity, f.kind, f.file) for f in found}
    assert {f.severity for f in found} == {NOTE}


def test_a_long_line_is_called_long(tmp_path: Path) -> None:
    files = correct("dcase2019")
    raw_table(lambda b: b.replace(b"\n", b" " * (1 << 20) + b"\n", 1))(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind, found.message) == (REFUSED, "too_large", "a line of more than a megabyte")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize(("old", "new"), [(b".wav", b""), (b"clip_", b"eval/clip_"), (b".wav", b".flac")])
def test_names_that_are_all_wrong_in_one_way_are_one_finding(
    listed: bool, old: bytes, new: bytes, tmp_path: Path
) -> None:
    files = correct("dcase2019")
    raw_table(lambda b: b.replace(old, new))(files, random.Random(0))
    path = as_zip(files, tmp_path / "p.zip")
    found, *others = check_package(path, get_format("dcase2019"), CLIP_LIST if listed else None)
    assert {f.kind for f in others} <= {"clip_missing"}
    assert (found.kind, found.count) == ("unknown_clip" if listed else "clip_name", 12)


def test_commas_in_numbers_are_one_finding(tmp_path: Path) -> None:
    files = correct("dcase2019")
    # 12 clips of 0, 1, 2, 3 events: 18.
    raw_table(lambda b: re.sub(rb"\t(\d)\.(\d)", rb"\t\1,\2", b))(files, random.Random(0))
    (found,) = check("dcase2019", files, tmp_path)
    assert (found.severity, found.kind, found.count) == (REFUSED, "number", 18)


def test_blocks_are_called_as_the_file_calls_them(tmp_path: Path) -> None:
    files = correct("dcase2020")
    in_meta("results/development_dataset/class_wise/Piano", 32.5)(files, random.Random(0))
    (found,) = check("dcase2020", files, tmp_path)
    said = "results.development_dataset.class_wise.Piano is 32.5, and Piano is no class of the task"
    assert (found.severity, found.message) == (REFUSED, said)
    path = next(n for n in files if n.endswith(".meta.yaml"))
    files[path] = files[path].replace(b"\nsystem:", b"\nsed_system:").replace(b"\nresults:", b"\nsed_results:")
    (found,) = check("dcase2020", files, tmp_path)
    assert found.message == f"sed_{said}"
