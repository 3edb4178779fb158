"""Packages of any bytes and any size end in findings: no traceback, nothing that grows faster than its input."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from submission_faults import Files, in_meta, raw_meta, raw_table
from submission_packages import CLIPS, as_folder, as_zip, correct
from submission_systems import results, run, save

from sedkit.submission.check import check_package
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, Findings, as_text
from sedkit.submission.formats import get_format

#: Rows of a table, and the clips of a list as long as that of 2019.
N_ROWS = 100_000
LISTED = tuple(f"Y{i:011d}_30.000_40.000.wav" for i in range(13_190))
CLIP_LIST = ClipList(LISTED, dict.fromkeys(LISTED, 10.0))

_HEAD = b"filename\tonset\toffset\tevent_label\n"

#: One bad row of each kind, by its number.
BAD_ROWS: dict[str, tuple[Callable[[int], str], str]] = {
    "classes": (lambda i: f"{LISTED[i % 13_190]}\t{i % 9}.1\t{i % 9}.5\tPiano{i}", "unknown_class"),
    "clips": (lambda i: f"Z{i:011d}_30.000_40.000.wav\t1.0\t2.0\tDog", "unknown_clip"),
    "numbers": (lambda i: f"{LISTED[i % 13_190]}\tx{i}\t2,0\tDog", "number"),
    "more fields": (lambda i: f"{LISTED[i % 13_190]}\t1.0\t2.0\tDog" + ("\t0.9" if i else ""), "row_fields"),
    "fewer fields": (lambda i: f"{LISTED[i % 13_190]}\t1.0\t2.0", "unknown_class"),
    "no TABs": (lambda i: f"{LISTED[i % 13_190]} 1.0 2.0 Dog", "separator"),
    "overlaps": (lambda i: f"{LISTED[0]}\t{i * 1e-5:.5f}\t{9 + i * 1e-6:.6f}\tDog", "overlap"),
    "copies": (lambda i: f"{LISTED[i % 13_190]}\t1.0\t2.0\tDog", "duplicate_row"),
    "empty rows": (lambda i: f"{LISTED[i % 13_190]}\t\t\t", "duplicate_row"),
    "past the end": (lambda i: f"{LISTED[i % 13_190]}\t{i % 97}\t{100 + i / 10:.1f}\tDog", "time_past_clip"),
    "backwards": (lambda i: f"{LISTED[i % 13_190]}\t{i + 1}\t{i}\tDog", "onset_offset"),
    "no names": (lambda i: f"\t{i}\t{i + 1}\tDog", "filename_missing"),
}


@pytest.mark.parametrize("what", sorted(BAD_ROWS))
@pytest.mark.timeout(120)
def test_a_hundred_thousand_bad_rows(what: str, tmp_path: Path) -> None:
    row, kind = BAD_ROWS[what]
    table = _HEAD + "".join(f"{row(i)}\n" for i in range(N_ROWS)).encode()
    files = correct("dcase2019")
    raw_table(lambda _: table)(files, random.Random(0))
    found = check_package(as_zip(files, tmp_path / "p.zip"), get_format("dcase2019"), CLIP_LIST)
    assert kind in {f.kind for f in found}
    assert len(found) <= 50
    of_kind = [f for f in found if f.kind == kind]
    more = sum(int(f.message.split()[0]) for f in of_kind if f.message.endswith("more of this kind"))
    told = sum(f.count for f in of_kind if not f.message.endswith("more of this kind")) + more
    assert told >= N_ROWS - len(LISTED) or kind in ("separator", "clip_missing")


@pytest.mark.timeout(120)
def test_thousands_of_systems_are_few_lines(tmp_path: Path) -> None:
    one = correct("dcase2019")
    label = next(n for n in one if "/" in n).partition("/")[0]
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        for name, data in one.items():
            for i in range(3000) if "/" in name else (0,):
                other = f"{label[:-1]}{i + 1}"
                archive.writestr(name.replace(label, other), data.replace(label.encode(), other.encode() + b"x"))
    found = check_package(tmp_path / "p.zip", get_format("dcase2019"))
    assert "3000 systems" in next(f.message for f in found if f.kind == "too_many_systems")
    assert len(as_text(found).splitlines()) < 150


def test_findings_of_many_files_are_shown_fairly() -> None:
    findings = Findings()
    for i in range(1000):
        for row in range(1 if i else 500):
            findings.add("kind", f"file{i:03d}", f"message {row}", row=row, severity=REFUSED)
    found = findings.sorted()
    assert len(found) == 41
    assert {f.file for f in found if f.row is not None} >= {f"file{i:03d}" for i in range(30)}
    assert sum(f.count for f in found if f.row is not None) + int(found[0].message.split()[0]) == 1499


_META: list[Any] = [
    *(
        "0x" + "f" * 6000,
        "9" * 5000,
        "1e999",
        ".inf",
        "-.inf",
        ".nan",
        "1e308",
        "9" * 299,
        "1:30:00",
        "0b" + "1" * 2000,
    ),
    *(
        "!!set {a, b}",
        "!!binary aGVsbG8=",
        "2020-01-01",
        "2020-01-01 10:00:00Z",
        "!!omap [a: 1]",
        "!!int ''",
        "!!float x",
    ),
    *(
        "{1: 2, true: 3, null: 4, 1.5: x}",
        "{? [1] : 2}",
        "&a [*a]",
        "*nowhere",
        '"\\uFFFF"',
        '"\\0"',
        '"\\ud83d"',
        "!!str 5",
    ),
    *(
        "'" + "." * 100_000 + "'",
        "{" + ", ".join(f"k{i}: {i}" for i in range(5000)) + "}",
        "<<",
        "!!python/name:os.system",
    ),
]
_PLACES = (
    *(
        "submission/label",
        "submission/authors/0/lastname",
        "submission/authors/0",
        "submission/authors/0/corresponding",
    ),
    *("system/description/input_sampling_rate", "system/complexity/total_parameters", "system/source_code"),
    *("results/development_dataset/overall/F-score", "results/development_dataset/class_wise/Cat/F-score"),
    *("system/complexity/energy/training", "results/development_dataset/overall/PSDS1", "ss_results"),
)


@pytest.mark.parametrize("place", _PLACES)
def test_values_of_every_type_are_findings(place: str, tmp_path: Path) -> None:
    plain = {n: d for n, d in correct("dcase2022").items() if "_PSDS" not in n}
    in_meta(place, "@@@")(plain, random.Random(0))
    for value in _META:
        files = dict(plain)
        raw_meta(lambda b, value=value: b.replace(b"'@@@'", value.encode()))(files, random.Random(0))
        path = as_zip(files, tmp_path / "p.zip")
        assert run("check", path, "--format", "dcase2022", "--json", tmp_path / "f.json") in (0, 1)
        json.loads((tmp_path / "f.json").read_text())


@pytest.mark.parametrize("place", [b"", b"Okafor_UNI_task4_SED_1/", b"\xe9\xe9/", b"Okafor_UNI_task4_SED_1/\xe9/"])
def test_names_that_are_no_utf8(place: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = (b"caf\xe9.txt", b"\xff\xfe", b"\xe9.yaml", b"line\nend.csv", b"\x80_0.01.tsv", b"\xed\xa0\x80.tsv")
    folder = as_folder(correct("dcase2020"), tmp_path / "p")
    os.makedirs(os.fsencode(folder) + b"/" + place, exist_ok=True)
    for name in names:
        with open(os.fsencode(folder) + b"/" + place + name, "wb") as file:
            file.write(b"a: 1\n")
    assert run("check", folder, "--format", "dcase2020", "--json", tmp_path / "f.json") in (0, 1)
    assert run("check", folder, "--format", "dcase2020") in (0, 1)
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())
    found = json.loads((tmp_path / "f.json").read_bytes())["findings"]
    seen = [os.fsencode(f["file"]) for f in found]
    for name in names:
        assert any(place.rstrip(b"/") in file or name in file for file in seen)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_a_zip_that_common_tools_do_not_unpack(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", method) as archive:
        for name, data in correct("dcase2019").items():
            archive.writestr(name, data)
    found = check_package(tmp_path / "p.zip", get_format("dcase2019"))
    assert {(f.severity, f.kind) for f in found} == {(REFUSED, "zip_compression")}


@pytest.mark.parametrize(
    "value", ["1" + "0" * 400, "1" + "0" * 5000, "1e999", "NaN", "-Infinity", '"\\ud800"', "[" * 100_000]
)
@pytest.mark.parametrize("key", ["f1", "clips", "coverage", "value", "interval"])
def test_benchmark_takes_any_number_in_one_line(
    value: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = results()
    place = {"f1": content["event_based"]["macro"], "clips": content["reference"], "value": content["psds1"]}.get(
        key, content["estimate"] if key == "coverage" else content["event_based"]["macro"]
    )
    place[key] = "@@@"
    path = save(tmp_path / "r.json", content)
    path.write_text(path.read_text().replace('"@@@"', value))
    assert run("benchmark", path) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert str(path) in line


def test_a_huge_whole_number_of_results_is_told_by_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = results()
    content["event_based"]["macro"]["f1"] = 10**400
    assert run("benchmark", save(tmp_path / "r.json", content)) == 1
    assert "event_based.macro.f1 is 1000" in capsys.readouterr().err


def test_modules_beside_a_package_are_not_run(tmp_path: Path) -> None:
    """The report is read by a process of its own, which must not take a stranger's files for modules."""
    folder = as_folder(correct("dcase2019"), tmp_path / "p")
    for name in ("pypdf", "json", "logging", "io", "resource"):
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    code = f"import sys; sys.path[:] = [p for p in {sys.path!r} if p]; from sedkit.cli.main import main; "
    code += "sys.exit(main(['check', '.', '--format', 'dcase2019']))"
    done = subprocess.run([sys.executable, "-P", "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert "report_unread" not in done.stdout, done.stdout
    assert not (tmp_path / "ran").exists()


def test_what_a_table_says_of_itself_is_cut(tmp_path: Path) -> None:
    files: Files = correct("dcase2019")
    raw_table(lambda b: b.replace(b"Speech", b"S" * 1_000_000))(files, random.Random(0))
    found = check_package(as_zip(files, tmp_path / "p.zip"), get_format("dcase2019"), ClipList(CLIPS))
    assert {f.severity for f in found} == {SCORED_WRONGLY}
    assert all(len(f.message) < 1100 for f in found)
