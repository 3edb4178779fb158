"""The energy that a meta file states is compared with CodeCarbon's tables in the package."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from submission_faults import Files, in_meta
from submission_packages import CLIP_LIST, as_zip, correct

from sedkit.submission.check import check_package
from sedkit.submission.findings import NOTE, WARNING, PackageFinding
from sedkit.submission.formats import get_format

LABEL = "Okafor_UNI_task4_1"
HEAD = b"timestamp,run_id,duration,energy_consumed\n"


def check(files: Files, folder: Path) -> list[PackageFinding]:
    return check_package(as_zip(files, folder / "p.zip"), get_format("dcase2022"), CLIP_LIST)


def package(tables: dict[str, bytes], **kwh: float) -> Files:
    """A package with these tables in its system's folder, in the place of its own one."""
    files = {name: data for name, data in correct("dcase2022").items() if "codecarbon" not in name}
    for key, value in kwh.items():
        in_meta(f"system/complexity/energy/{key}", value)(files, random.Random(0))
    return files | {f"{LABEL}/{name}": data for name, data in tables.items()}


@pytest.mark.parametrize(
    "name", ["codecarbon/training.csv", "training.csv", "emissions.csv", "codecarbon_train/emissions.csv"]
)
def test_a_figure_that_no_reading_of_its_table_gives(name: str, tmp_path: Path) -> None:
    table = {name: HEAD + b"now,a,9.5,1.7\n"}
    assert check(package(table, training=1.7), tmp_path) == []
    files = package(table, training=0.7)
    (found,) = check(files, tmp_path)
    assert (found.severity, found.kind) == (WARNING, "energy_differs")
    assert "energy.training 0.7" in found.message
    assert f"{name} holds 1.7 kWh" in found.message
    row = files[found.file].decode().splitlines().index("      training: 0.7") + 1
    assert found.row == row


def test_measurements_their_sum_and_their_mean_are_readings(tmp_path: Path) -> None:
    # Rows of one run are states of one measurement.
    three = {"codecarbon/training.csv": HEAD + b"t,a,1,0.3\nt,a,2,0.5\nt,b,2,0.7\n"}
    for value, right in ((0.5, True), (1.2, True), (0.6, True), (0.3, False), (1.5, False)):
        found = check(package(three, training=value), tmp_path)
        assert [f.kind for f in found] == ([] if right else ["energy_differs"])
    members = {f"codecarbon/member{i}_training.csv": HEAD + b"t,a,1,0.4\n" for i in (1, 2, 3)}
    assert check(package(members, training=1.2), tmp_path) == []
    (found,) = check(package(members, training=1.3), tmp_path)
    assert "hold 1.2 kWh in 3 measurements" in found.message


def test_each_stage_has_its_own_table(tmp_path: Path) -> None:
    tables = {
        "codecarbon/validation.csv": HEAD + b"t,a,1,0.019\n",
        "codecarbon/evaluation.csv": HEAD + b"t,a,1,0.5\n",
        "codecarbon/baseline_training.csv": HEAD + b"t,a,1,1.666\n",
    }
    (found,) = check(package(tables), tmp_path)
    assert "energy.evaluation_inference 0.021 kWh, but codecarbon/evaluation.csv holds 0.5 kWh" in found.message


def test_tables_are_known_by_their_columns(tmp_path: Path) -> None:
    (found,) = check(package({"codecarbon/training.csv": b"epoch,loss\n1,0.3\n"}), tmp_path)
    assert (found.severity, found.kind) == (NOTE, "energy_files")
    (found,) = check(package({"codecarbon/training.csv": HEAD + b"t,a,1,much\n"}), tmp_path)
    assert (found.severity, found.kind) == (WARNING, "energy_table")
    assert (found.row, "energy_consumed 'much'" in found.message) == (2, True)
