"""Operating points that lie elsewhere, that say nothing, and folders beside the systems that are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from submission_packages import CLIP_LIST, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, PackageFinding
from sedkit.submission.formats import get_format

POINTS = pytest.mark.parametrize(
    ("name", "severity"), [("dcase2020", WARNING), ("dcase2021", SCORED_WRONGLY), ("dcase2022", SCORED_WRONGLY)]
)


def check(name: str, files: dict[str, bytes], folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format(name), CLIP_LIST)


def label_of(name: str) -> str:
    return get_format(name).label("Okafor", "UNI", 1)


def moved(name: str, place: str) -> dict[str, bytes]:
    label = label_of(name)
    here = f"{label}/{label}.output_PSDS/"
    return {n.replace(here, place.format(label=label)): data for n, data in correct(name).items()}


@POINTS
@pytest.mark.parametrize(
    "place", ["{label}.output_PSDS/", "psds/", "psds/{label}/", "{label}_psds/", "{label}/", "", "{label}/a/b/"]
)
def test_points_in_another_place_are_one_finding(name: str, severity: str, place: str, tmp_path: Path) -> None:
    (found,) = check(name, moved(name, place), tmp_path)
    assert (found.severity, found.kind) == (severity, "points_place")
    assert found.file == place.format(label=label_of(name)).rstrip("/")
    assert found.message.startswith("50 operating points")


@POINTS
def test_a_folder_of_the_right_name_hides_no_others(name: str, severity: str, tmp_path: Path) -> None:
    files = moved(name, "{label}/psds/")
    readme = f"{label_of(name)}/{label_of(name)}.output_PSDS/README.md"
    found = check(name, files | {readme: b"# Tables\n"}, tmp_path)
    assert {(f.severity, f.kind) for f in found} == {(severity, "points_place"), (WARNING, "extra_file")}
    # Beside its tables a readme is an extra file as well.
    (alone,) = check(name, correct(name) | {readme: b"# Tables\n"}, tmp_path)
    assert (alone.severity, alone.kind, alone.file) == (WARNING, "extra_file", readme)


@POINTS
def test_points_that_make_no_curve(name: str, severity: str, tmp_path: Path) -> None:
    files = correct(name)
    points = sorted(n for n in files if "_PSDS/" in n)
    copies = check(name, files | dict.fromkeys(points, files[points[0]]), tmp_path)
    assert [(f.severity, f.kind) for f in copies] == [(severity, "points_identical")]
    one = check(name, {n: data for n, data in files.items() if n not in points[1:]}, tmp_path)
    assert [(f.severity, f.kind) for f in one] == [(severity, "points_count")]
    turned = {n: files[other] for n, other in zip(points, reversed(points), strict=True)}
    found = check(name, files | turned, tmp_path)
    assert [(f.severity, f.kind) for f in found] == [(severity, "points_order")]
    # Two swapped ones are a slip that the others outweigh.
    swapped = {points[0]: files[points[-1]], points[-1]: files[points[0]]}
    found = check(name, files | swapped, tmp_path)
    assert [(f.severity, f.kind) for f in found] == [(WARNING, "points_order")]


@pytest.mark.parametrize("name", ["dcase2018", "dcase2019", "dcase2020", "dcase2022", "dcase2023a", "dcase2024"])
@pytest.mark.parametrize("strange", ["code/data.tsv", "metadata/eval.csv", "a_b_c_d/notes.txt"])
def test_a_folder_beside_the_systems_is_no_system(name: str, strange: str, tmp_path: Path) -> None:
    (found,) = check(name, correct(name) | {strange: b"a\tb\n1\t2\n"}, tmp_path)
    # The script of 2024 takes every folder for a system.
    severity = REFUSED if name == "dcase2024" else WARNING
    assert (found.severity, found.kind, found.file) == (severity, "extra_folder", strange.partition("/")[0])
