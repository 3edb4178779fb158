"""MAESTRO Real: its layout, the official division, soft labels in its data dirs; and the miniature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sedkit.cli.main import main
from sedkit.dataio.audio import audio_info, write_wav
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.rows import read_table
from sedkit.dataio.tables import read_strong
from sedkit.datasets import miniature_maestro
from sedkit.datasets.maestro import SCENES, published_split, recordings

RATE = 8000


def make(root: Path, names: list[str], seconds: float = 12.0) -> Path:
    """Recordings of noise in the layout of the development set, in whose second k a car is heard by k / 20."""
    rng = np.random.default_rng(0)
    for name in names:
        scene = name.rpartition("_")[0]
        for folder in (root / "development_audio" / scene, root / "development_annotation" / f"soft_labels_{scene}"):
            folder.mkdir(parents=True, exist_ok=True)
        noise = rng.integers(-99, 100, round(seconds * RATE), dtype=np.int16)
        write_wav(root / "development_audio" / scene / f"{name}.wav", noise, RATE)
        rows = "".join(f"{k}.0\t{k + 1}.0\tcar\t{k / 20}\n" for k in range(1, int(seconds)))
        (root / "development_annotation" / f"soft_labels_{scene}" / f"{name}.txt").write_text(rows)
    return root


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 49 recordings by their names, of two seconds each, and their data dirs."""
    folder = tmp_path_factory.mktemp("maestro")
    make(folder / "m", list(recordings()), 2.0)
    assert main(["prepare", "maestro", str(folder / "m"), str(folder / "data")]) == 0
    return folder


def test_the_division_of_2024(every: Path) -> None:
    train, validation = (DataDir(every / "data" / f"maestro_{name}") for name in ("train", "validation"))
    assert (len(train.clips), train.role) == (33, "training")
    assert (len(validation.clips), validation.role) == (16, "reported")
    assert train.clips.group == tuple(name.removesuffix(".wav") for name in train.clips.filename)
    # As the baseline does it: numpy's global generator, seeded once, shuffles the scenes' names one after the other.
    np.random.seed(42)
    held_out = set()
    for scene in ("cafe_restaurant", "city_center", "grocery_store", "metro_station", "residential_area"):
        names = np.array(sorted(n for n in train.clips.group if n.startswith(scene)), dtype=object)
        np.random.shuffle(names)
        held_out |= set(names[int(0.9 * len(names)) :])
    assert len(held_out) == 5
    assert train.clips.fold is not None
    folds = dict(zip(train.clips.group, train.clips.fold, strict=True))
    assert {name for name, fold in folds.items() if fold == "select"} == held_out
    assert set(folds.values()) == {"train", "select"}


def test_the_folds_of_2023(every: Path, tmp_path: Path) -> None:
    assert main(["prepare", "maestro", str(every / "m"), str(tmp_path), "--split", "2023"]) == 0
    data = DataDir(tmp_path / "maestro_development")
    assert data.clips.fold is not None
    assert sorted(map(data.clips.fold.count, "12345")) == [8, 10, 10, 10, 11]
    folds = dict(zip(data.clips.filename, data.clips.fold, strict=True))
    # The first rows of fold1_test.csv and fold5_test.csv.
    assert folds["residential_area_07.wav"] == "1" and folds["residential_area_00.wav"] == "5"


def test_soft_labels_and_excerpts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["metro_station_00", "metro_station_05", "metro_station_01"]
    out = tmp_path / "data"
    assert main(["prepare", "maestro", str(make(tmp_path / "m", names)), str(out)]) == 0
    assert capsys.readouterr().out.splitlines() == ["maestro_train: 2/2 clips", "maestro_validation: 1/1 clips"]
    data = DataDir(out / "maestro_validation")
    assert len(data.labels) == 17 and data.labels.labels[0] == "cutlery and dishes"
    soft = data.strong(soft=True)
    assert soft.confidence is not None
    np.testing.assert_allclose(soft.confidence, np.arange(1, 12) / 20)
    # What half heard is no event; what more did is.
    assert [(on, off) for _, on, off, _ in data.strong().rows()] == [(11.0, 12.0)]
    assert data.weak().present[0].nonzero()[0].tolist() == [data.labels.index("car")]
    table = read_table(out / "maestro_validation/excerpts.tsv", ("filename", "onset", "offset", "excerpt"))
    assert table["excerpt"] == ["metro_station_01-000000-001000.wav", "metro_station_01-000500-001200.wav"]
    assert not (out / "maestro_train/excerpts.tsv").exists()


def test_what_the_lists_do_not_name_and_what_lacks_its_track(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = make(tmp_path / "m", ["metro_station_00", "metro_station_05", "metro_station_99"])
    track = root / "development_annotation/soft_labels_metro_station/metro_station_05.txt"
    track.unlink()
    assert main(["prepare", "maestro", str(root), str(tmp_path / "data")]) == 0
    assert DataDir(tmp_path / "data/maestro_train").clips.filename == ("metro_station_00.wav",)
    assert "metro_station_99.wav" in caplog.text and "metro_station_05.wav" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.0\t1.0\ttram\t0.5\n", "metro_station_00.txt:1: unknown label 'tram'"),
        ("0.0\t1.0\tcar\t1.5\n", "metro_station_00.txt:1: confidence '1.5', expected a number from 0 to 1"),
        ("0.0\t1.0\tcar\n0.0\t1.0\tfootsteps\t0.5\n", "metro_station_00.txt:1: no confidence"),
    ],
)
def test_a_track_that_cannot_be_right(
    tmp_path: Path, row: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make(tmp_path / "m", ["metro_station_00"])
    (root / "development_annotation/soft_labels_metro_station/metro_station_00.txt").write_text(row)
    assert main(["prepare", "maestro", str(root), str(tmp_path / "data")]) == 1
    assert message in capsys.readouterr().err


def test_the_evaluation_set_has_no_labels(tmp_path: Path) -> None:
    # The root may be named, or a folder in which the baseline of 2024 keeps it.
    given = tmp_path / "given"
    root = make(given / "dataset/MAESTRO_original/maestro_dev", ["metro_station_00"])
    folder = root / "Evaluation_audio" / "metro_station"
    folder.mkdir(parents=True)
    write_wav(folder / "metro_station_03.wav", np.zeros(RATE, dtype=np.int16), RATE)
    assert main(["prepare", "maestro", str(given), str(tmp_path / "data")]) == 0
    data = DataDir(tmp_path / "data/maestro_evaluation")
    assert data.role == "entered" and data.clips.filename == ("metro_station_03.wav",) and not data.has_strong


def test_the_opinions_of_those_who_listened_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miniature_maestro, "ATTENTIVE", (1.0, 1.0))
    monkeypatch.setattr(miniature_maestro, "MISTAKEN", 0.0)
    values = miniature_maestro.soft_labels([(12.0, 14.0)], 30.0, np.random.default_rng(0))
    assert len(values) == 30
    # Windows of 10 s from seconds 4 to 12 hold all of it, and everyone hears it there; those from 3 and 13 hold one
    # second, and some do. Second 12 is in the windows from 3 to 12, second 8 in those up to 8, second 22 from 13 on.
    some, others = 10 * values[12] - 9, 10 * values[13] - 9
    assert {round(5 * some, 9), round(5 * others, 9)} <= {0, 1, 2, 3, 4, 5}
    assert values[8] == pytest.approx((5 + some) / 9)
    assert values[22] == pytest.approx(others / 8)
    assert not values[:3].any() and not values[23:].any()


def test_the_miniature_is_in_the_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(miniature_maestro, "SECONDS", (26.0, 28.0))
    monkeypatch.setattr(miniature_maestro, "SCENES", SCENES[3:4])
    assert main(["miniature", "maestro", str(tmp_path / "m"), "--jobs", "1"]) == 0
    assert main(["prepare", "maestro", str(tmp_path / "m"), str(tmp_path / "data")]) == 0
    train, validation = (DataDir(tmp_path / "data" / f"maestro_{name}") for name in ("train", "validation"))
    assert len(train.clips) == 2 and len(validation.clips) == 1
    assert sorted(train.clips.fold or ()) == ["select", "train"]
    soft = train.strong(soft=True)
    assert soft.confidence is not None and soft.confidence.min() > 0 and soft.confidence.max() <= 1
    assert len(np.unique(soft.confidence)) > 10
    assert set(np.array(soft.labels)[np.unique(soft.label)]) <= set(miniature_maestro.HEARD["metro_station"])
    assert audio_info(train.audio_path(0)).sample_rate == 44100
    track = next((tmp_path / "m/development_annotation/soft_labels_metro_station").glob("*.txt"))
    assert (read_strong(track, soft=True).onset_s % 1 == 0).all()


def test_published_split_of_what_is_there() -> None:
    names = [name for name, (part, _) in recordings().items() if part == "train"]
    assert len(published_split(names)) == 28
    assert published_split(reversed(names)) == published_split(names)
