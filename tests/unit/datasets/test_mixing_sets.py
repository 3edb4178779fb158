"""FSDKaggle2018 and the urban scenes: what mixtures are made of. Hand-made layouts, and the true tables."""

from __future__ import annotations

import lzma
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from desed_layouts import clip, open_sets, run_prepare, table

from sedkit.core.errors import SedkitError
from sedkit.datasets.base import SetOnDisk
from sedkit.datasets.fsdkaggle2018 import published_folds
from sedkit.datasets.registry import dataset_named
from sedkit.datasets.splits import split_folds

#: Two of five clips are not verified, in an order of the table that is not that of their names.
ROWS = [(f"{(7 * i) % 20:08x}.wav", ("Bark", "Hi-hat", "Writing")[i % 3], int(i % 5 > 1)) for i in range(20)]


def _csv(path: Path, header: str, rows: list[tuple[object, ...]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """FSDKaggle2018 as on Kaggle: 20 clips, of which 12 are verified."""
    root = tmp_path / "fsd"
    _csv(root / "train.csv", "fname,label,manually_verified", ROWS)
    for name, _, _ in ROWS:
        clip(root / "audio_train" / name)
    return root


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    """48 clips of 3 scenes, recorded in 16 places, three at each."""
    root = tmp_path / "tut"
    rows = ["filename|scene_label|identifier|source_label"]
    for i in range(48):
        scene, place = ("bus", "park", "tram")[i // 3 % 3], f"{('paris', 'vienna')[i // 3 % 2]}-{i // 3}"
        clip(root / f"audio/{scene}-{place}-{i}-a.wav", channels=2)
        rows.append(f"audio/{scene}-{place}-{i}-a.wav|{scene}|{place}|a")
    table(root / "meta.csv", *rows)
    return root


def _change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


# ---- FSDKaggle2018


def test_verified_and_unverified_clips_are_two_sets(events, out, capsys):
    assert run_prepare("fsdkaggle2018", events, out) == 0
    assert capsys.readouterr().out.splitlines() == ["verified: 12/12 clips", "unverified: 8/8 clips"]
    sets = open_sets(out)
    for name, mark in (("verified", 1), ("unverified", 0)):
        data, rows = sets[name], [row for row in ROWS if row[2] == mark]
        assert data.role == "training"
        assert data.clips.filename == tuple(row[0] for row in rows)
        assert data.clips.group == tuple(row[0].removesuffix(".wav") for row in rows)
        # Bark is the third of 41 classes in alphabetical order, Hi-hat the 24th, Writing the last.
        assert [np.flatnonzero(row).tolist() for row in data.weak().present] == [
            [{"Bark": 2, "Hi-hat": 23, "Writing": 40}[row[1]]] for row in rows
        ]
        assert len(data.labels) == 41


def test_published_folds_count_every_row_of_the_table(events, out):
    (events / "audio_train" / ROWS[3][0]).unlink()
    assert run_prepare("fsdkaggle2018", events, out, folds="published") == 0
    # As the authors write it: rows shuffled with seed 1234, the k-th of them to fold k mod 4 + 1.
    indices = np.arange(20)
    np.random.RandomState(1234).shuffle(indices)
    fold_of = [0] * 20
    for k in range(20):
        fold_of[indices[k]] = k % 4 + 1
    sets = open_sets(out)
    for data in sets.values():
        for name, fold in zip(data.clips.filename, data.clips.fold, strict=True):
            assert fold == str(fold_of[[row[0] for row in ROWS].index(name)])
    assert sets["verified"].missing() == (ROWS[3][0],)
    assert len(sets["verified"].clips) == 11


def test_a_recording_is_in_one_fold_whether_verified_or_not(events, out):
    """The table of Zenodo names the recordings; here five clips, verified or not, were cut from each."""
    (events / "train.csv").unlink()
    rows = [(*row, 1000 + i // 5, "CC0") for i, row in enumerate(ROWS)]
    header = "fname,label,manually_verified,freesound_id,license"
    _csv(events / "FSDKaggle2018.meta/train_post_competition.csv", header, rows)
    (events / "audio_train").rename(events / "FSDKaggle2018.audio_train")
    assert run_prepare("fsdkaggle2018", events, out) == 0
    fold: dict[str, set[str]] = {}
    for data in open_sets(out).values():
        for group, name in zip(data.clips.group, data.clips.fold, strict=True):
            fold.setdefault(group, set()).add(name)
    assert set(fold) == {"1000", "1001", "1002", "1003"}
    assert all(len(names) == 1 for names in fold.values())
    assert {name.removesuffix("-select") for names in fold.values() for name in names} == {"1", "2", "3", "4"}


def test_what_is_missing_is_counted(events, out, capsys):
    for name, _, mark in ROWS[:10]:
        if mark:
            (events / "audio_train" / name).unlink()
    assert run_prepare("fsdkaggle2018", events, out, coverage_only=True) == 0
    assert capsys.readouterr().out.splitlines() == ["verified: 6/12 clips", "unverified: 8/8 clips"]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        (f"{ROWS[4][0]},Hi-hat", f"{ROWS[4][0]},Hihat", ":6: unknown label 'Hihat' (did you mean \"Hi-hat\""),
        (f"{ROWS[4][0]},Hi-hat,1", f"{ROWS[4][0]},Hi-hat,yes", f":6: manually_verified 'yes' of {ROWS[4][0]}"),
        (ROWS[4][0], ROWS[3][0], f":6: {ROWS[3][0]} stands twice with different labels"),
    ],
)
def test_a_wrong_row_is_named_and_leniently_left_out(events, out, old, new, what):
    _change(events / "train.csv", old, new)
    with pytest.raises(SedkitError) as error:
        run_prepare("fsdkaggle2018", events, out)
    assert f"{events / 'train.csv'}{what}" in str(error.value)
    assert run_prepare("fsdkaggle2018", events, out, lenient=True) == 0
    sets = open_sets(out)
    assert len(sets["verified"].clips) == 11
    assert len(sets["unverified"].clips) == 8


def test_two_marks_of_one_clip_are_refused(events, out):
    name, label, mark = ROWS[2]
    with open(events / "train.csv", "a") as file:
        file.write(f"{name},{label},{1 - mark}\n")
    with pytest.raises(SedkitError, match=f":22: manually_verified '0' of {name}, expected 0 or 1, the same in every"):
        run_prepare("fsdkaggle2018", events, out)


def test_no_fsdkaggle2018(tmp_path, out):
    (tmp_path / "x").mkdir()
    with pytest.raises(SedkitError, match="expected train.csv of FSDKaggle2018, found nothing"):
        run_prepare("fsdkaggle2018", tmp_path / "x", out)


# ---- scenes


@pytest.mark.parametrize("name", ["tut2018", "tau2019"])
def test_a_place_is_in_one_fold(scenes, out, name, capsys):
    assert run_prepare(name, scenes, out) == 0
    assert capsys.readouterr().out == "scenes: 48/48 clips\n"
    data = open_sets(out)["scenes"]
    assert data.identity == f"{name}/scenes"
    assert data.role == "training"
    assert data.labels.labels == ("bus", "park", "tram")
    assert data.clips.filename[:2] == ("bus-paris-0-0-a.wav", "bus-paris-0-1-a.wav")
    assert data.clips.group[:6] == ("paris-0",) * 3 + ("vienna-1",) * 3
    assert data.weak().present[[0, 3, 6]].tolist() == np.eye(3, dtype=bool).tolist()
    of = dict(zip(data.clips.group, data.clips.fold, strict=True))
    assert all(of[group] == fold for group, fold in zip(data.clips.group, data.clips.fold, strict=True))
    # Four places a fold, one of which is for selection.
    assert Counter(of.values()) == {f"{k}{part}": n for k in range(1, 5) for part, n in (("", 3), ("-select", 1))}


def test_a_scene_that_is_missing_and_the_folder_of_the_archive(scenes, out):
    (scenes / "audio/bus-paris-0-1-a.wav").unlink()
    (scenes.parent / "up").mkdir()
    scenes.rename(scenes.parent / "up/TUT-urban-acoustic-scenes-2018-development")
    assert run_prepare("tut2018", scenes.parent / "up", out) == 0
    data = open_sets(out)["scenes"]
    assert len(data.clips) == 47
    assert data.missing() == ("bus-paris-0-1-a.wav",)


def test_two_places_of_one_clip_are_refused(scenes, out):
    with open(scenes / "meta.csv", "a") as file:
        file.write("audio/bus-paris-0-0-a.wav\tbus\tparis-9\ta\n")
    with pytest.raises(SedkitError, match=r"meta.csv:50: identifier 'paris-9' of audio/bus-paris-0-0-a.wav, which has"):
        run_prepare("tut2018", scenes, out)


# ---- the true tables


def _true(shared: Path, name: str, path: Path) -> Path:
    path.parent.mkdir(parents=True)
    with lzma.open(shared / "vectors/metadata_true" / f"{name}.xz", "rb") as file:
        path.write_bytes(file.read())
    return path.parent


def _read(name: str, root: Path) -> list[SetOnDisk]:
    dataset = dataset_named(name)
    sets = dataset.sources(dataset.find_root(root))
    for s in sets:
        dataset.read(root, s, lenient=False, labels=True)
    return sets


def test_the_true_table_of_fsdkaggle2018(shared, tmp_path):
    verified, unverified = _read("fsdkaggle2018", _true(shared, "fsdkaggle2018_train.csv", tmp_path / "f/train.csv"))
    # Figures of the data set's card: 9473 clips in 41 classes, 3710 of them verified.
    assert (len(verified.filenames), len(unverified.filenames)) == (3710, 9473 - 3710)
    assert verified.weak.present.sum() == 3710
    assert verified.weak.present.any(axis=0).sum() == 41
    folds = split_folds(verified.weak.present, [verified.group[name] for name in verified.filenames], 4)
    counts = Counter(folds)
    assert set(counts) == {f"{k}{part}" for k in range(1, 5) for part in ("", "-select")}
    for k in "1234":
        whole = np.array([fold.removesuffix("-select") == k for fold in folds])
        assert whole.sum() == pytest.approx(3710 / 4, abs=25)
        assert counts[f"{k}-select"] == pytest.approx(371 / 4, abs=12)
        share = verified.weak.present[whole].sum(axis=0) / verified.weak.present.sum(axis=0)
        assert np.abs(share - 0.25).max() < 0.02


def test_the_published_folds_of_the_true_table(shared, tmp_path):
    root = _true(shared, "fsdkaggle2018_train.csv", tmp_path / "f/train.csv")
    names = [line.split(",")[0] for line in (root / "train.csv").read_text().splitlines()[1:]]
    folds = published_folds(names)
    assert Counter(folds.values()) == {"1": 2369, "2": 2368, "3": 2368, "4": 2368}
    # The first mixture that the authors print, of fold 1, holds this clip.
    assert folds["19f45b13.wav"] == "1"


def test_the_true_table_of_tau2019(shared, tmp_path):
    (scenes,) = _read("tau2019", _true(shared, "tau2019_task1_meta.csv", tmp_path / "t/meta.csv"))
    assert len(scenes.filenames) == 14400
    assert scenes.weak.present.sum(axis=0).tolist() == [1440] * 10
    places = [scenes.group[name] for name in scenes.filenames]
    assert len(set(places)) == 514
    assert set(zip(places, scenes.filenames, strict=True)) == {
        ("-".join(name.split("-")[1:3]), name) for name in scenes.filenames
    }
    folds = split_folds(scenes.weak.present, places, 4)
    assert len(set(zip(places, folds, strict=True))) == 514
    for k in "1234":
        whole = np.array([fold.removesuffix("-select") == k for fold in folds])
        assert whole.sum() == pytest.approx(3600, abs=60)
        assert folds.count(f"{k}-select") == pytest.approx(360, abs=60)
