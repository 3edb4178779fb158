"""Faults that passed without a word: silent systems, constant scores, points elsewhere, energy, another year."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from submission_faults import Files, in_meta, raw_table
from submission_packages import CLIP_LIST, CLIPS, FORMATS, as_folder, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, PackageFinding
from sedkit.submission.formats import get_format

SILENT = "filename\tonset\toffset\tevent_label\n" + "".join(f"{clip}\t\t\t\n" for clip in CLIPS)


def check(name: str, files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


@pytest.mark.parametrize("name", ["dcase2018", "dcase2020", "dcase2022"])
@pytest.mark.parametrize("missing", ["", "NA", "NaN", "None", "NULL", "N/A"])
def test_a_system_that_detects_nothing(name: str, missing: str, tmp_path: Path) -> None:
    files = correct(name)
    raw_table(lambda _: SILENT.replace("\t\t\t", f"\t{missing}\t{missing}\t{missing}").encode())(
        files, random.Random(0)
    )
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind) == (SCORED_WRONGLY, "no_events")
    assert found.message == "no event in any of the 12 clips"


def test_operating_points_without_any_event(tmp_path: Path) -> None:
    files = {n: SILENT.encode() if "_PSDS/" in n else d for n, d in correct("dcase2021").items()}
    (found,) = check("dcase2021", files, tmp_path)
    assert (found.severity, found.kind, found.message) == (SCORED_WRONGLY, "no_events", "no event in any of 50 tables")


def constant(name: str, columns: int | None, run: str) -> Files:
    """A package whose scores of a run are constant in the first columns, each class its own."""
    form = get_format(name)
    n = len(form.labels) if columns is None else columns
    files = correct(name)
    for path in [p for p in files if run in p]:
        rows = [line.split("\t") for line in files[path].decode().splitlines()]
        for row in rows[1:]:
            row[2 : 2 + n] = [f"0.{i:02d}" for i in range(n)]
        files[path] = ("\n".join("\t".join(row) for row in rows) + "\n").encode()
    return files


@pytest.mark.parametrize("name", ["dcase2023a", "dcase2023b", "dcase2024"])
def test_scores_that_are_constant(name: str, tmp_path: Path) -> None:
    run = ".output/" if name == "dcase2023b" else "_run2.output/"
    (found,) = check(name, constant(name, None, run), tmp_path)
    assert (found.severity, found.kind) == (SCORED_WRONGLY, "scores_constant")
    (found,) = check(name, constant(name, 3, run), tmp_path)
    assert (found.severity, found.kind) == (WARNING, "scores_constant")
    assert found.message.startswith("3 classes have one and the same score throughout")


def test_unprocessed_scores_that_are_the_processed_ones(tmp_path: Path) -> None:
    files = correct("dcase2024")
    for path in [p for p in files if "_unprocessed" in p]:
        # As the same numbers are written by another tool.
        files[path] = files[path.replace("_unprocessed", "")].replace(b"\t0.", b"\t.")
    (found,) = check("dcase2024", files, tmp_path)
    assert (found.severity, found.kind, found.count) == (WARNING, "unprocessed_identical", 3)


@pytest.mark.parametrize(
    ("name", "severity"), [("dcase2020", NOTE), ("dcase2021", SCORED_WRONGLY), ("dcase2022", SCORED_WRONGLY)]
)
def test_no_operating_points(name: str, severity: str, tmp_path: Path) -> None:
    """2021 and 2022 rank by PSDS alone, which needs them."""
    (found,) = check(name, {n: d for n, d in correct(name).items() if "_PSDS/" not in n}, tmp_path)
    assert (found.severity, found.kind) == (severity, "points_missing")


@pytest.mark.parametrize(("name", "severity"), [("dcase2020", WARNING), ("dcase2021", SCORED_WRONGLY)])
def test_operating_points_in_a_folder_of_another_name(name: str, severity: str, tmp_path: Path) -> None:
    label = get_format(name).label("Okafor", "UNI", 1)
    files = {n.replace(f"{label}.output_PSDS/", "psds/"): d for n, d in correct(name).items()}
    (found,) = check(name, files, tmp_path)
    assert (found.severity, found.kind, found.file) == (severity, "points_place", f"{label}/psds")
    # They are looked at all the same.
    files[f"{label}/psds/predictions_th_0.01.tsv"] = b"x"
    assert {f.kind for f in check(name, files, tmp_path)} == {"points_place", "header"}


def without_energy(name: str, systems: int, label: str = "") -> Files:
    files = {n: d for n, d in correct(name, systems).items() if "codecarbon" not in n or label}
    for path in [n for n in files if n.endswith(".meta.yaml") and label in n]:
        one = {path: files[path]}
        for block in ("energy", "energy_baseline"):
            in_meta(f"system/complexity/{block}")(one, random.Random(0))
        files |= one
    return files


@pytest.mark.parametrize("name", ["dcase2022", "dcase2023a", "dcase2024"])
def test_energy_of_no_system(name: str, tmp_path: Path) -> None:
    """Mandatory in 2023 and 2024 for every system, or at least the best one."""
    found = {f.kind: f for f in check(name, without_energy(name, 2), tmp_path)}
    assert found["energy_absent"].severity == (WARNING if name == "dcase2022" else REFUSED)
    one = check(name, without_energy(name, 2, "_1.meta"), tmp_path)
    assert [(f.severity, f.kind) for f in one] == [(WARNING, "energy_absent")]
    files = without_energy(name, 1)
    path = next(n for n in files if n.endswith(".meta.yaml"))
    files[path] += b"energy_consumption:\n  training_kwh: 1.5\n"
    assert REFUSED not in {f.severity for f in check(name, files, tmp_path)}, "the keys are not verified"
    label = path.partition("/")[0]
    folder = as_folder(without_energy(name, 1), tmp_path / "folder") / label
    assert {f.severity for f in check_package(folder, get_format(name), CLIP_LIST) if f.kind == "energy_absent"} == {
        WARNING
    }


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("other", FORMATS)
def test_a_package_of_another_year_says_so(name: str, other: str, tmp_path: Path) -> None:
    found = check(other, correct(name), tmp_path)
    kinds = {(f.severity, f.kind) for f in found}
    said = [f for f in found if f.kind == "other_year"]
    if name == other or {name, other} == {"dcase2018", "dcase2019"}:
        # These two differ in nothing that a package shows.
        assert not said
        return
    (one,) = said
    assert name in one.message
    table, theirs = (get_format(n).table_suffix for n in (name, other))
    if table != theirs or "dcase2023b" in (name, other):
        assert one.severity == REFUSED
        assert kinds == {(REFUSED, "other_year")}, "one fault is one finding, not 126"


def test_other_years_do_not_hide_faults_of_this_one(tmp_path: Path) -> None:
    files = correct("dcase2020")
    in_meta("results")(files, random.Random(0))
    assert "other_year" not in {f.kind for f in check("dcase2020", files, tmp_path)}


@pytest.mark.parametrize("name", ["dcase2018", "dcase2020"])
def test_tables_that_spreadsheets_write_are_read(name: str, tmp_path: Path) -> None:
    """Quoted fields and headers are read as their content, by pandas as by the check."""
    files = correct(name)

    def quoted(table: bytes) -> bytes:
        lines = table.decode().splitlines()
        return "\n".join("\t".join(f'"{cell}"' for cell in line.split("\t")) for line in lines).encode()

    raw_table(quoted)(files, random.Random(0))
    assert check(name, files, tmp_path) == []
    raw_table(lambda b: b.replace(b'"Speech"', b'"Speach"', 1))(files, random.Random(0))
    found = check(name, files, tmp_path)
    assert [f.kind for f in found] == ["unknown_class"]
    assert found[0].row is not None


def test_columns_are_found_by_their_names(tmp_path: Path) -> None:
    """An index column and another order are read well by pandas; names that do not fit their values are not."""
    files = correct("dcase2019")
    raw_table(lambda b: b.replace(b"onset\toffset", b"offset\tonset", 1))(files, random.Random(0))
    found = check("dcase2019", files, tmp_path)
    assert {(f.severity, f.kind) for f in found} == {(SCORED_WRONGLY, "onset_offset"), (WARNING, "header")}
