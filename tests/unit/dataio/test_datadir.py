"""Data dirs are validated when written and when read."""

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, tags_of

LABELS = Vocabulary(("Cat", "Dog"))


@pytest.fixture
def clips():
    return Clips(("-b.wav", "a.wav"), ("x/-b.wav", "/abs/a.wav"), np.array([10.0, 3.25]), ("train", "tune"), ("s1", ""))


def test_round_trip(tmp_path, clips):
    strong = Events.from_rows([("a.wav", 0.5, 1, "Dog")], LABELS.labels).keep_clips(clips.filename)
    made = write_datadir(tmp_path / "weak", clips, LABELS, tags_of(strong), strong, ["gone.wav"])
    back = DataDir(made.path)
    assert back.clips.filename == clips.filename
    assert back.clips.fold == clips.fold
    assert back.clips.group == clips.group
    assert back.clips.duration_s.tolist() == [10.0, 3.25]
    assert back.labels == LABELS
    assert back.missing() == ("gone.wav",)
    assert back.strong().filenames == clips.filename
    assert back.weak().present.tolist() == [[False, False], [False, True]]
    assert back.select(["tune"]).tolist() == [1]
    assert back.audio_path(0) == tmp_path / "weak/x/-b.wav"
    assert str(back.audio_path(1)) == "/abs/a.wav"


def test_a_data_dir_says_which_set_it_is_whatever_its_folder_is_called(tmp_path, clips):
    made = write_datadir(tmp_path / "mine", clips, LABELS)
    assert (made.identity, made.role) == ("mine", None)
    path = made.path / "set.json"
    path.write_text('{"dataset": "desed", "set": "validation", "role": "reported"}')
    again = DataDir((tmp_path / "mine").rename(tmp_path / "training"))
    assert (again.identity, again.role) == ("desed/validation", "reported")
    for text in ("[]", '{"dataset": "desed"}', '{"dataset": "desed", "set": 1, "role": "reported"}'):
        (again.path / "set.json").write_text(text)
        with pytest.raises(SedkitError, match=r"set.json: expected dataset, set and role"):
            _ = DataDir(again.path).role


def test_asking_for_a_fold_that_is_not_there(tmp_path, clips):
    made = write_datadir(tmp_path / "weak", clips, LABELS)
    with pytest.raises(SedkitError, match='no fold .tun. .did you mean "tune"'):
        made.select(["tun"])


def test_labels_of_unknown_clips_are_refused(tmp_path, clips):
    strong = Events.from_rows([("zzz.wav", 0.5, 1, "Dog")], LABELS.labels)
    with pytest.raises(SedkitError, match=r"strong.tsv: 1 clips are not in clips.tsv \(zzz.wav\)"):
        write_datadir(tmp_path / "x", clips, LABELS, strong=strong)
    assert not (tmp_path / "x").exists()


def test_a_name_twice_and_a_bad_duration_are_refused(tmp_path):
    with pytest.raises(SedkitError, match=r"clips.tsv:3: a stands twice"):
        write_datadir(tmp_path / "x", Clips(("a", "a"), ("a", "a"), np.ones(2)), LABELS)
    made = write_datadir(tmp_path / "y", Clips(("a", "b"), ("a", "b"), np.ones(2)), LABELS)
    text = (made.path / "clips.tsv").read_text()
    (made.path / "clips.tsv").write_text(text.replace("b\tb\t1", "b\tb\tlong"))
    with pytest.raises(SedkitError, match=r"clips.tsv:3: duration 'long'"):
        _ = DataDir(made.path).clips


def test_a_folder_that_is_no_data_dir(tmp_path):
    with pytest.raises(SedkitError, match="sedkit prepare"):
        DataDir(tmp_path)
