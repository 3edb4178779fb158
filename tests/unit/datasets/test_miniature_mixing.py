"""The generated events and scenes: official layouts, same bytes, ready for mixtures in four folds."""

import csv
import hashlib
from collections import Counter

import numpy as np
import pytest
import soundfile
from desed_layouts import open_sets, run_prepare

from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.datasets import miniature_mixing
from sedkit.datasets.miniature import generate
from sedkit.synthesis.sounds import DOMESTIC, OTHER


def _hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    out = tmp_path_factory.mktemp("miniature") / "fsd"
    assert generate("fsdkaggle2018", out, size="48") == {"verified": 48, "unverified": 12}
    return out


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    out = tmp_path_factory.mktemp("miniature") / "tut"
    assert generate("tut2018", out, size="10") == {"scenes": 20}
    return out


# ---- events


def test_events_have_twelve_labels_of_the_41():
    assert len(miniature_mixing.LABELS) == 12
    assert set(miniature_mixing.LABELS) <= set(Vocabulary.read(metadata_path("classes", "fsdkaggle2018.txt")))
    assert set(miniature_mixing.LABELS.values()) <= DOMESTIC.keys() | OTHER.keys()


def test_the_table_is_the_official_one(events):
    with open(events / "train.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["fname", "label", "manually_verified"]
    assert [row["fname"] for row in rows] == sorted(row["fname"] for row in rows)
    assert {path.name for path in (events / "audio_train").iterdir()} == {row["fname"] for row in rows}
    verified = Counter(row["label"] for row in rows if row["manually_verified"] == "1")
    assert verified == dict.fromkeys(miniature_mixing.LABELS, 4)


def test_event_clips_are_trimmed_to_the_sound(events):
    seconds = []
    for path in (events / "audio_train").iterdir():
        x, rate = soundfile.read(path, dtype="float32")
        assert (rate, x.ndim) == (44100, 1)
        assert 0.2 < np.abs(x).max() < 1.0
        seconds.append(len(x) / rate)
    assert min(seconds) >= 0.3
    assert max(seconds) <= 6.5
    assert len(set(seconds)) > 30


def test_some_labels_that_are_not_verified_are_wrong():
    plans = miniature_mixing.plan_events(0, 20.0)
    assert all(p.label == p.sounds for p in plans if p.verified)
    wrong = [p.label != p.sounds for p in plans if not p.verified]
    # 1200 clips: three standard deviations of the share are 0.04.
    assert np.mean(wrong) == pytest.approx(miniature_mixing.WRONG, abs=0.04)
    assert len({p.filename for p in plans}) == len(plans)
    other = miniature_mixing.plan_events(1, 20.0)
    assert {tuple(p.seed.generate_state(2)) for p in plans}.isdisjoint(tuple(p.seed.generate_state(2)) for p in other)


def test_events_are_prepared_with_all_classes(events, tmp_path):
    assert run_prepare("fsdkaggle2018", events, tmp_path / "data") == 0
    sets = open_sets(tmp_path / "data")
    assert set(sets) == {"verified", "unverified"}
    data = sets["verified"]
    assert len(data.labels) == 41
    present = data.weak().present
    assert present.any(axis=0).sum() == 12
    # Four clips a label: one in each fold.
    folds = np.array([fold.removesuffix("-select") for fold in data.clips.fold])
    for k in "1234":
        assert present[folds == k].sum(axis=0).max() == present[folds == k].any(axis=0).sum() / 12 == 1


# ---- scenes


def test_scenes_last_10_s_in_two_channels(scenes):
    with open(scenes / "meta.csv", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert list(rows[0]) == ["filename", "scene_label", "identifier", "source_label"]
    assert {row["scene_label"] for row in rows} == set(miniature_mixing.SCENES)
    for row in rows:
        assert row["filename"].startswith(f"audio/{row['scene_label']}-{row['identifier']}-")
        x, rate = soundfile.read(scenes / row["filename"], dtype="float32")
        assert (x.shape, rate) == ((480000, 2), 48000)
        assert 0.005 < np.sqrt(np.mean(x[:, 0] ** 2)) < 0.06
        assert not np.array_equal(x[:, 0], x[:, 1])


def test_clips_of_a_place_share_its_sound_and_no_samples(scenes):
    plans = miniature_mixing.plan_scenes(0, 1.0)
    assert len(plans) == 80
    assert Counter(Counter(p.identifier for p in plans).values()) == {2: 40}
    assert Counter(p.scene for p in plans) == dict.fromkeys(miniature_mixing.SCENES, 8)
    place = {p.identifier: tuple(p.place.generate_state(2)) for p in plans}
    assert len(set(place.values())) == 40
    assert len({tuple(p.seed.generate_state(2)) for p in plans}) == 80


def test_scenes_are_prepared(scenes, tmp_path):
    assert run_prepare("tut2018", scenes, tmp_path / "data") == 0
    data = open_sets(tmp_path / "data")["scenes"]
    assert set(data.labels) == set(miniature_mixing.SCENES)
    of = dict(zip(data.clips.group, data.clips.fold, strict=True))
    assert len(of) == 10
    assert all(of[group] == fold for group, fold in zip(data.clips.group, data.clips.fold, strict=True))


# ---- both


@pytest.mark.parametrize("name", ["fsdkaggle2018", "tut2018"])
def test_same_bytes_whatever_the_number_of_jobs(name, tmp_path, monkeypatch):
    for table, names in (("LABELS", ("Bark", "Hi-hat")), ("SCENES", ("bus", "park"))):
        monkeypatch.setattr(miniature_mixing, table, {k: getattr(miniature_mixing, table)[k] for k in names})
    for jobs in (1, 2):
        generate(name, tmp_path / str(jobs), size="10", jobs=jobs)
    assert len(_hashes(tmp_path / "1")) > 4
    assert _hashes(tmp_path / "1") == _hashes(tmp_path / "2")
