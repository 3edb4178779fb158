"""The tables of operating points together: their order, their names, and how many lines their faults take."""

from __future__ import annotations

import csv
import tarfile
from pathlib import Path

import pytest
from submission_faults import Files
from submission_packages import CLIP_LIST, CLIPS, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.clip_list import read_clip_list
from sedkit.submission.findings import NOTE, WARNING, PackageFinding
from sedkit.submission.formats import get_format

FORM = get_format("dcase2021")
LABEL = "Okafor_UNI_task4_SED_1"
FOLDER = f"{LABEL}/{LABEL}.output_PSDS"
HEAD = b"filename\tonset\toffset\tevent_label\n"


def check(files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), FORM, CLIP_LIST)


def table(threshold: float) -> str:
    return f"{FOLDER}/predictions_th_{threshold:.2f}.tsv"


def test_tables_in_the_wrong_order(tmp_path: Path) -> None:
    files = correct("dcase2021")
    files[table(0.01)], files[table(0.99)] = files[table(0.99)], files[table(0.01)]
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind, found.file) == (WARNING, "points_order", FOLDER)
    assert "s in predictions_th_0.01.tsv, but for" in found.message
    assert "at the higher threshold of predictions_th_0.99.tsv" in found.message


def test_more_events_without_more_time_are_in_order(tmp_path: Path) -> None:
    """At a higher threshold a long event falls into pieces."""
    files = correct("dcase2021")
    for i, threshold in enumerate(FORM.points.thresholds if FORM.points else ()):
        pieces = [(k * 2.0, k * 2.0 + 1.9 - i / 50) for k in range(5)] if i else [(0.0, 10.0)]
        rows = "".join(f"{clip}\t{a:.2f}\t{b:.2f}\tDog\n" for clip in CLIPS for a, b in pieces)
        files[table(threshold)] = HEAD + rows.encode()
    assert check(files, tmp_path) == []


def test_copied_tables(tmp_path: Path) -> None:
    files = correct("dcase2021")
    files[table(0.53)] = files[table(0.51)]
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "points_identical")
    assert "predictions_th_0.53.tsv as predictions_th_0.51.tsv" in found.message
    silent = HEAD + "".join(f"{clip}\t\t\t\n" for clip in CLIPS).encode()
    assert check(correct("dcase2021") | {table(0.97): silent, table(0.99): silent}, tmp_path) == []


def test_an_ending_of_its_own(tmp_path: Path) -> None:
    files = correct("dcase2021")
    files[table(0.21).replace(".tsv", ".csv")] = files.pop(table(0.21))
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "point_ending")
    assert "1 of 50 tables (predictions_th_0.21.csv) are not named .tsv" in found.message


def test_one_fault_in_all_tables_is_summed_up_over_the_folder(tmp_path: Path) -> None:
    files = correct("dcase2021")
    for name in [n for n in files if "_PSDS/" in n]:
        rows = [f"{CLIPS[0]}\t{a:.1f}\t{a + 0.05:.2f}\tPiano" for a in range(9)]
        files[name] = files[name].replace(f"{CLIPS[0]}\t\t\t".encode(), "\n".join(rows).encode())
    found = check(files, tmp_path)
    assert {f.kind for f in found} == {"unknown_class"}
    assert [(f.row, f.count) for f in found] == [(2, 50 * 9)]


@pytest.mark.parametrize("name", ["dcase2020", "dcase2024"])
def test_the_same_output_twice_is_a_note(name: str, tmp_path: Path) -> None:
    files = correct(name, 2)
    form = get_format(name)
    first, second = (form.label("Okafor", "UNI", i) for i in (1, 2))
    for path in [n for n in files if ".output" in n and n.startswith(second)]:
        files[path] = files[path.replace(second, first)]
    (found,) = check_package(as_zip(files, tmp_path / "p.zip"), form, CLIP_LIST)
    assert (found.severity, found.kind, found.file) == (NOTE, "outputs_identical", second)
    assert found.message == f"the same output as {first}"


def test_the_published_points_of_the_2021_baseline(shared: Path, tmp_path: Path) -> None:
    """Its frames go a little past 115 ends; the tables are in order and differ from each other."""
    vectors = shared / "vectors" / "dcase2021_baseline"
    files = {name: data for name, data in correct("dcase2021").items() if ".output" not in name}
    with tarfile.open(vectors / "teacher_operating_points.tar.xz") as archive:
        for member in filter(tarfile.TarInfo.isfile, archive):
            stream = archive.extractfile(member)
            assert stream is not None
            files[f"{FOLDER}/{Path(member.name).name}"] = _as_submitted(stream.read().decode())
    files[f"{LABEL}/{LABEL}.output.tsv"] = _as_submitted((vectors / "teacher_predictions0.5.csv").read_text())
    found = check_package(as_zip(files, tmp_path / "p.zip"), FORM, read_clip_list(vectors / "durations.tsv"))
    assert {(f.severity, f.kind) for f in found} == {(WARNING, "time_past_clip"), (NOTE, "clip_missing")}
    assert len(found) == 6


def _as_submitted(text: str) -> bytes:
    """Bring a table with an index column, separated by commas or TABs, to the columns of a submission."""
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in text.partition("\n")[0] else ",")
    names = HEAD.decode().strip().split("\t")
    return HEAD + "".join("\t".join(row[name] for name in names) + "\n" for row in rows).encode()
