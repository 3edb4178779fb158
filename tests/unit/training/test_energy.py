"""Energy is measured where it was asked for and can be; elsewhere it is absent, never zero."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
from fake_data import write_config

from sedkit.cli.main import main
from sedkit.core.energy import track_energy
from sedkit.core.errors import SedkitError


class Tracker:
    """Stands for codecarbon's offline tracker."""

    kwh = 0.25

    def __init__(self, **options: object) -> None:
        self.table = Path(str(options["output_dir"]), str(options["output_file"]))
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        assert self.calls == ["start"]
        # The real one appends to a table that is there.
        with open(self.table, "a") as file:
            file.write("duration,energy_consumed\n")
        self.final_emissions_data = types.SimpleNamespace(
            energy_consumed=self.kwh,
            cpu_energy=0.2,
            gpu_energy=0.0,
            ram_energy=0.05,
            codecarbon_version="3.0",
            cpu_model="a processor",
            cpu_count=2,
            gpu_model="",
            gpu_count=0,
            ram_total_size=24.0,
        )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> type[Tracker]:
    monkeypatch.setitem(sys.modules, "codecarbon", types.SimpleNamespace(OfflineEmissionsTracker=Tracker))
    monkeypatch.setattr(Tracker, "kwh", 0.25)
    return Tracker


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "codecarbon", None)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr("sedkit.core.energy.log.warning", lambda text, *args: lines.append(text % args))
    return lines


def test_energy_is_written(tmp_path: Path, installed: type[Tracker]) -> None:
    for _ in range(2):
        with track_energy(tmp_path / "energy" / "training.json"):
            pass
    found = json.loads((tmp_path / "energy" / "training.json").read_text())
    assert found["kwh"] == 0.25
    assert found["tracker"] == "codecarbon 3.0"
    assert found["hardware"]["cpu_model"] == "a processor"
    table = tmp_path / "energy" / "training.codecarbon.csv"
    assert table.read_text().count("energy_consumed") == 1, "the tracker's table is of this run alone"


def test_not_asked_nothing_written(tmp_path: Path, installed: type[Tracker]) -> None:
    path = tmp_path / "training.json"
    path.write_text("{}")
    with track_energy(path, asked=False):
        pass
    assert list(tmp_path.iterdir()) == [], "an older figure would pass for that of this run"


def test_not_installed_is_an_error_before_anything_is_done(tmp_path: Path, missing: None) -> None:
    (tmp_path / "training.json").write_text("{}")
    with pytest.raises(SedkitError, match=r"pip install -e '\.\[energy\]'"):
        track_energy(tmp_path / "training.json")
    assert (tmp_path / "training.json").exists()
    with track_energy(tmp_path / "training.json", asked=False):
        pass


def test_no_consumption_stays_absent(tmp_path: Path, installed: type[Tracker], said: list[str]) -> None:
    installed.kwh = 0.0
    with track_energy(tmp_path / "training.json"):
        pass
    assert list(tmp_path.iterdir()) == []
    assert "saw no consumption" in said[0]


def test_a_discarded_figure_stays_absent(tmp_path: Path, installed: type[Tracker], said: list[str]) -> None:
    with track_energy(tmp_path / "training.json") as meter:
        meter.discard("half of it was not measured")
    assert list(tmp_path.iterdir()) == []
    assert "energy stays absent: half of it was not measured" in said[0]


def test_an_error_leaves_nothing(tmp_path: Path, installed: type[Tracker]) -> None:
    with pytest.raises(KeyError), track_energy(tmp_path / "training.json"):
        raise KeyError("broken")
    assert list(tmp_path.iterdir()) == []


def test_training_and_prediction_measure_where_asked(
    tmp_path: Path, data_root: Path, installed: type[Tracker], capsys: pytest.CaptureFixture[str]
) -> None:
    exp, scores = tmp_path / "exp", tmp_path / "exp/scores/validation.h5"
    config = write_config(tmp_path / "c.yaml", training__steps=2, training__eval_every=2)
    train = ["train", "--config", str(config), "--data", str(data_root), "--exp", str(exp)]
    predict = ["predict", str(exp), str(data_root / "validation"), "--out", str(scores), "--device", "cpu"]
    for words, name in ((train, "training"), (predict, "validation")):
        figure = exp / "energy" / f"{name}.json"
        assert main(words) == 0
        assert not figure.exists()
        assert main([*words, "--energy", "true"]) == 0, "nothing is done again for the sake of a figure"
        assert not figure.exists()
        assert "energy stays absent: nothing was done" in capsys.readouterr().err
        assert main([*words, "--energy", "true", "--force", "true"]) == 0
        assert json.loads(figure.read_text())["kwh"] == 0.25
        assert main([*words, "--energy", "true"]) == 0
        assert "absent" not in capsys.readouterr().err
    # A run that goes on from a checkpoint was measured in part only.
    (exp / "checkpoints/best.pt.done.json").unlink()
    assert main([*train, "--energy", "true"]) == 0
    assert "went on from a checkpoint" in capsys.readouterr().err
    assert not (exp / "energy/training.json").exists()
    checkpoint = [predict[0], str(exp / "checkpoints/best.pt"), *predict[2:]]
    assert main([*checkpoint, "--energy", "true"]) == 2
    assert main(checkpoint) == 0


def test_training_without_the_package_is_refused_in_one_line(
    tmp_path: Path, data_root: Path, missing: None, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_config(tmp_path / "c.yaml", training__steps=2)
    words = ["train", "--config", str(config), "--data", str(data_root), "--exp", str(tmp_path / "exp")]
    assert main([*words, "--energy", "true"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("sedkit train: error: --energy true needs codecarbon")
    assert said.count("\n") == 1
    assert not (tmp_path / "exp").exists()


def test_recipes_pass_the_option_on() -> None:
    runme = Path(__file__).resolve().parents[3] / "runme.sh"

    def dry_run(*words: str) -> subprocess.CompletedProcess[str]:
        call = [str(runme), "--dry-run", "--stage", "4", "--stop-stage", "5", *words]
        return subprocess.run(call, capture_output=True, text=True, check=False)

    lines = dry_run("--energy", "true").stdout.splitlines()
    with_energy = [line for line in lines if "--energy true" in line]
    assert [line.split()[1] for line in with_energy] == ["train", "stage"]
    assert "--energy" not in dry_run().stdout
    together = dry_run("--energy", "true", "--parallel", "2")
    assert together.returncode == 2
    assert "--energy true goes with --parallel 1" in together.stderr


def test_the_real_tracker(tmp_path: Path) -> None:
    try:
        importlib.metadata.version("codecarbon")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("codecarbon is not installed (extra [energy])")
    with track_energy(tmp_path / "training.json"):
        sum(i * i for i in range(10_000_000))
    assert json.loads((tmp_path / "training.json").read_text())["kwh"] > 0
