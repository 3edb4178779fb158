"""Which names mean the same clip, and files named after clips."""

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Tags
from sedkit.dataio.names import renamed, stem
from sedkit.dataio.score_tsvs import write_score_tsvs
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores, write_scores
from sedkit.dataio.tables import read_weak, write_weak


def scores_of(*names, dtype=np.float32):
    framewise = np.linspace(0.1, 0.9, len(names) * 4, dtype=dtype).reshape(len(names), 4, 1)
    ends = np.full(len(names), 4.0)
    return Scores(framewise, np.full(len(names), 4), ends, np.arange(5.0), names, ("Dog",))


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("Yab_70.000_80.000", "Yab_70.000_80.000"),
        ("Yab_70.000_80.000.wav", "Yab_70.000_80.000"),
        ("a.FLAC", "a"),
        ("a.b.mp3", "a.b"),
        (".wav", ".wav"),
    ],
)
def test_only_an_audio_ending_is_taken_off_a_name(name, clip):
    assert stem(name) == clip


def test_clips_are_known_by_name_then_by_id():
    assert renamed(("a", "b.wav", "c.wav"), ("b.wav", "a.flac", "b.flac"), "s") == ("a.flac", "b.wav", "c.wav")
    with pytest.raises(SedkitError, match=r"s: clip 'a' can be 'a.wav' or 'a.flac'"):
        renamed(("a",), ("a.wav", "a.flac"), "s")
    with pytest.raises(SedkitError, match=r"s: 'a' and 'a.mp3' are one clip"):
        renamed(("a", "a.mp3"), ("a.wav",), "s")


def test_score_tables_of_clips_without_an_ending_keep_their_whole_name(tmp_path):
    # Two clips of one video, which differ behind the last dot alone.
    names = ("Yab_70.000_80.000", "Yab_70.000_80.500")
    write_score_tsvs(tmp_path / "s", scores_of(*names))
    assert sorted(path.name for path in (tmp_path / "s").iterdir()) == [f"{name}.tsv" for name in names]
    back = read_scores(tmp_path / "s").named_as(names)
    assert back.filenames == names
    np.testing.assert_allclose(back.framewise, scores_of(*names).framewise, atol=1e-8)
    with pytest.raises(SedkitError, match=r"a.wav and a.flac would both be written to a.tsv"):
        write_score_tsvs(tmp_path / "t", scores_of("a.wav", "a.flac"))
    assert not (tmp_path / "t").exists()


def test_float64_scores_stay_what_they_are(tmp_path):
    scores = scores_of("a.wav", "b.wav", dtype=np.float64)
    write_scores(tmp_path / "s.h5", scores)
    write_score_tsvs(tmp_path / "s", scores)
    assert np.array_equal(read_scores(tmp_path / "s.h5").framewise, scores.framewise)
    np.testing.assert_allclose(read_scores(tmp_path / "s").framewise, scores.framewise, rtol=1e-15)
    assert scores_of("a.wav").framewise.dtype == np.float32


def test_commas_in_class_names_are_taken_where_no_weak_table_is_written(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("Air horn, truck horn\nDog\n")
    vocabulary = Vocabulary.read(labels)
    assert vocabulary.labels == ("Air horn, truck horn", "Dog")
    tags = Tags(("a.wav",), vocabulary.labels, np.array([[True, True]]))
    with pytest.raises(SedkitError, match=r"w.tsv: label 'Air horn, truck horn' holds a comma"):
        write_weak(tmp_path / "w.tsv", tags)
    assert not (tmp_path / "w.tsv").exists()
    write_weak(tmp_path / "w.tsv", Tags(("a.wav",), vocabulary.labels, np.array([[False, True]])))
    assert read_weak(tmp_path / "w.tsv", vocabulary.labels).present.tolist() == [[False, True]]
