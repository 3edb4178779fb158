"""CodeCarbon's tables of a system made elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from submission_systems import codecarbon, experiment, found, run


def energy_of(file: Path) -> dict[str, float | None]:
    return yaml.safe_load(file.read_text())["system"]["complexity"]["energy"]


@pytest.mark.parametrize("name", ["dcase2023", "dcase2024"])
def test_tables_of_codecarbon_complete_a_foreign_package(
    name: str, tmp_path: Path, clips: Path, foreign: Callable[..., tuple[int, Path]]
) -> None:
    kwh = {"training": 1.39, "validation": 0.019} | ({"evaluation": 0.021} if name == "dcase2023" else {})
    stages = [f"{stage}:{codecarbon(tmp_path, stage, x)}" for stage, x in kwh.items()]
    status, file = foreign(name, "--codecarbon", *stages)
    assert status == 0
    keys = ("training", "devtest_inference", "evaluation_inference")
    assert energy_of(file) == dict(zip(keys, kwh.values(), strict=False))
    for stage in kwh:
        table = tmp_path / f"emissions_{stage}.csv"
        assert (file.parent / "codecarbon" / f"{stage}.csv").read_bytes() == table.read_bytes()
    assert found(next((tmp_path / "out").glob("*.zip")), name, clips) == ""
    # Without the tables what was not measured is absent, never zero.
    status, file = foreign(name, "--codecarbon", stages[0])
    assert status == 0
    assert energy_of(file) == {key: 1.39 if key == "training" else None for key in keys[: len(kwh)]}
    assert found(next((tmp_path / "out").glob("*.zip")), name, clips) == "energy_absent"


def test_states_of_one_measurement_count_once(tmp_path: Path, foreign: Callable[..., tuple[int, Path]]) -> None:
    table = codecarbon(tmp_path, "training", 0.4, 0.9, 1.2, run_id="same")
    assert energy_of(foreign("dcase2024", "--codecarbon", f"training:{table}")[1])["training"] == 1.2


def test_several_measurements_need_a_stated_figure(
    tmp_path: Path, foreign: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    table = codecarbon(tmp_path, "training", 1.4, 1.2, 1.3)
    words = ("--codecarbon", f"training:{table}")
    assert foreign("dcase2024", *words)[0] == 1
    said = capsys.readouterr().err
    assert "3 measurements, of 3.9 kWh together; expected one, or system.complexity.energy.training" in said
    for stated, warned in ((1.3, False), (3.9, False), (1.4, False), (2.0, True)):
        status, file = foreign("dcase2024", *words, training=stated)
        assert status == 0
        assert energy_of(file)["training"] == stated
        assert ("which stands" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("timestamp,duration\nx,1\n", "no column energy_consumed"),
        ("timestamp,duration,energy_consumd\nx,1,2\n", 'did you mean "energy_consumd"?'),
        ("duration,energy_consumed\n", "no row below the header"),
        ("duration,energy_consumed\n10,0.0\n", "above 0 (leave out the table of what was not measured)"),
        ("duration,energy_consumed\n10,much\n", "energy_consumed 'much'"),
        ("duration,energy_consumed\n,1.2\n", "duration ''"),
    ],
)
def test_broken_tables_of_codecarbon_are_one_line(
    content: str,
    message: str,
    tmp_path: Path,
    foreign: Callable[..., tuple[int, Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "e.csv").write_text(content)
    assert foreign("dcase2024", "--codecarbon", f"training:{tmp_path / 'e.csv'}")[0] == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.startswith("sedkit pack: error: ")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_bad_use_of_codecarbon(
    tmp_path: Path, foreign: Callable[..., tuple[int, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    table = codecarbon(tmp_path, "training", 1.0)
    for words, message in (
        ([f"evaluation:{table}"], "dcase2024 asks for training, validation"),
        ([f"trainin:{table}"], 'did you mean "training"?'),
        ([f"{table}"], "expected STAGE:TABLE.csv"),
        ([f"training:{table}", f"training:{table}"], "stage training has the table"),
    ):
        assert foreign("dcase2024", "--codecarbon", *words)[0] == 2
        assert message in capsys.readouterr().err
    assert foreign("dcase2024", "--codecarbon", f"training:{table}", "--experiment", experiment(tmp_path / "e"))[0] == 2
    assert "--meta is for systems without --experiment" in capsys.readouterr().err
    words = ("--scores", tmp_path / "s.h5", "--experiment", tmp_path / "e", "--authors", tmp_path / "authors.yaml")
    words = (*words, "--codecarbon", f"training:{table}", "--out", tmp_path / "out")
    assert run("pack", "--format", "dcase2024", *words) == 2
    assert "experiments have their own tables" in capsys.readouterr().err
    assert foreign("dcase2024", "--postprocessing", tmp_path / "post.yaml")[0] == 2
    assert "takes scores as they are" in capsys.readouterr().err
    words = ("--scores", tmp_path / "s.h5", "--codecarbon", f"training:{table}", "--authors", tmp_path / "authors.yaml")
    assert run("pack", "--format", "dcase2019", *words, "--out", tmp_path / "out") == 2
    assert "dcase2019 asks for no energy" in capsys.readouterr().err
