"""Features and scores on disk."""

import pickle

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.core.errors import SedkitError
from sedkit.dataio.score_tsvs import write_score_tsvs
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import FeatureFile, new_feature_file, read_scores, write_features, write_scores

ATTRIBUTES = {
    "frontend": {"name": "logmel", "n_mels": 4},
    "frontend_hash": "0123abcd",
    "scale": "db_power",
    "sample_rate": 32000,
    "hop_samples": 500,
}


@pytest.fixture
def features(tmp_path):
    x = np.random.default_rng(0).standard_normal((7, 5, 4)).astype(np.float32)
    write_features(tmp_path / "f.h5", [f"ä{i}.wav" for i in range(7)], x, np.arange(7) % 5 + 1, **ATTRIBUTES)
    return tmp_path / "f.h5", x


def test_features_come_back_mapped(features):
    path, x = features
    file = FeatureFile(path)
    assert isinstance(file.features, np.memmap)
    np.testing.assert_array_equal(file.features, x)
    assert file.filenames[0] == "ä0.wav" and file.shape == (7, 5, 4) and len(file) == 7
    assert file.n_frames.tolist() == [1, 2, 3, 4, 5, 1, 2]
    assert {name: getattr(file, name) for name in ATTRIBUTES} == ATTRIBUTES
    assert file.resampler == "exact"
    with h5py.File(path) as raw:
        assert raw["features"].chunks is None and "version" in raw.attrs


def test_a_feature_file_travels_as_its_path(features):
    path, x = features
    raw = pickle.dumps(FeatureFile(path))
    assert len(raw) < 500
    np.testing.assert_array_equal(pickle.loads(raw).features, x)


def test_files_of_other_tools_are_read_too(features, tmp_path, caplog):
    path, x = features
    with h5py.File(path) as source, h5py.File(tmp_path / "z.h5", "w") as target:
        for name in ("n_frames", "filename"):
            source.copy(name, target)
        target.create_dataset("features", data=x.astype(np.float16), compression="gzip")
        target.attrs.update(source.attrs)
    with caplog.at_level("INFO", logger="sedkit"):
        np.testing.assert_array_equal(FeatureFile(tmp_path / "z.h5").features, x.astype(np.float16).astype(np.float32))
    assert "read into memory" in caplog.text


def test_an_empty_set_is_a_file(tmp_path):
    write_features(tmp_path / "f.h5", [], np.empty((0, 5, 4), dtype=np.float32), np.empty(0, dtype=int), **ATTRIBUTES)
    file = FeatureFile(tmp_path / "f.h5")
    assert file.shape == (0, 5, 4) and file.features.shape == (0, 5, 4)


def test_a_file_that_fails_is_not_there(tmp_path):
    with pytest.raises(ZeroDivisionError), new_feature_file(tmp_path / "f.h5", ["a"], np.ones(1), (5, 4), **ATTRIBUTES):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with pytest.raises(SedkitError, match="scale.*'dB'"):
        write_features(tmp_path / "f.h5", ["a"], np.ones((1, 5, 4)), np.ones(1), **{**ATTRIBUTES, "scale": "dB"})


def test_what_is_no_feature_file_is_named(features, tmp_path):
    path, _ = features
    (tmp_path / "text.h5").write_text("text")
    with pytest.raises(SedkitError, match="text.h5: not a readable HDF5 file"):
        FeatureFile(tmp_path / "text.h5")
    with pytest.raises(SedkitError, match="absent.h5: no such file"):
        FeatureFile(tmp_path / "absent.h5")
    with h5py.File(path, "a") as file:
        del file["n_frames"], file.attrs["scale"]
    with pytest.raises(SedkitError, match="f.h5.*lacks n_frames, scale"):
        FeatureFile(path)
    with h5py.File(path, "a") as file:
        file["n_frames"] = np.ones(3)
        file.attrs["scale"] = "power"
    with pytest.raises(SedkitError, match=r"f.h5.*n_frames of shape \(3,\) for 7 filenames"):
        FeatureFile(path)


def scores_of(clips=3, frames=6, classes=2, seed=0, **changes):
    rng = np.random.default_rng(seed)
    n_frames = rng.integers(1, frames + 1, clips)
    n_frames[:1] = frames
    framewise = rng.random((clips, frames, classes), dtype=np.float32)
    values = {
        "framewise": framewise,
        "n_frames": n_frames,
        "duration_s": n_frames * 0.064 - 0.01,
        "frame_edges_s": np.arange(frames + 1) * 0.064,
        "filenames": tuple(f"{i}.wav" for i in range(clips)),
        "labels": tuple(f"class {k}" for k in range(classes)),
        "clipwise": rng.random((clips, classes), dtype=np.float32),
        "producer": "a test",
    }
    return Scores(**{**values, **changes})


def check_equal(found, expected, clipwise=True):
    assert found.filenames == expected.filenames and found.labels == expected.labels
    np.testing.assert_array_equal(found.n_frames, expected.n_frames)
    for i, n in enumerate(expected.n_frames):
        np.testing.assert_array_equal(found.framewise[i, :n].astype(np.float32), expected.framewise[i, :n])
        np.testing.assert_allclose(found.edges(i), expected.edges(i), atol=1e-9)
    np.testing.assert_allclose(found.duration_s, expected.duration_s, atol=1e-9)
    if clipwise:
        np.testing.assert_array_equal(found.clipwise, expected.clipwise)
        assert found.producer == expected.producer


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 3), st.integers(0, 9), st.booleans())
@settings(max_examples=25, deadline=None)
def test_scores_come_back(tmp_path_factory, clips, frames, classes, seed, per_clip):
    folder = tmp_path_factory.mktemp("scores")
    scores = scores_of(clips, frames, classes, seed)
    if per_clip:
        own = tuple(np.arange(n + 1) * (0.05 + 0.01 * i) for i, n in enumerate(scores.n_frames))
        scores = scores_of(clips, frames, classes, seed, frame_edges_s=own, duration_s=np.array([e[-1] for e in own]))
    write_scores(folder / "s.h5", scores)
    check_equal(read_scores(folder / "s.h5"), scores)
    write_score_tsvs(folder / "tsv", scores)
    check_equal(read_scores(folder / "tsv"), scores, clipwise=False)


def test_edges_end_with_the_clip():
    scores = scores_of(duration_s=np.array([0.36, 5.0, np.nan]), n_frames=[6, 2, 3])
    assert scores.edges(0)[-2:].tolist() == pytest.approx([0.32, 0.36])
    assert scores.edges(1).tolist() == pytest.approx([0, 0.064, 0.128])
    assert len(scores.edges(2)) == 4


def test_frames_behind_the_end_are_not_written(tmp_path):
    write_score_tsvs(tmp_path / "tsv", scores_of(n_frames=[6, 6, 6], duration_s=np.array([0.384, 0.192, 0.2])))
    assert read_scores(tmp_path / "tsv").n_frames.tolist() == [6, 3, 4]


def test_keep_clips(tmp_path):
    scores = scores_of()
    kept = scores.keep_clips(["2.wav", "0.wav"])
    assert kept.filenames == ("2.wav", "0.wav")
    np.testing.assert_array_equal(kept.framewise, scores.framewise[[2, 0]])
    np.testing.assert_array_equal(kept.clipwise, scores.clipwise[[2, 0]])
    with pytest.raises(SedkitError, match=r"lack 1 of 2 clips \(x.wav\)"):
        scores.keep_clips(["0.wav", "x.wav"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"framewise": np.zeros((3, 6, 5))}, "shape .*3 clips and 2 classes"),
        ({"filenames": ("a", "a", "b")}, "stands twice"),
        ({"n_frames": [7, 1, 1]}, "expected 0 to 6"),
        ({"n_frames": [1, 1]}, r"n_frames of shape \(2,\)"),
        ({"clipwise": np.zeros((3, 3))}, "clipwise scores of shape"),
        ({"clipwise": np.full((3, 2), np.nan)}, "clipwise scores hold NaN"),
        ({"frame_edges_s": np.zeros(7)}, "do not rise"),
        ({"frame_edges_s": np.arange(6.0)}, r"expected \(7,\)"),
        ({"frame_edges_s": (np.arange(3.0),) * 3}, "frame edges of clip 0"),
        ({"framewise": np.full((3, 6, 2), np.inf)}, "NaN or infinity"),
    ],
)
def test_scores_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(SedkitError, match=message):
        scores_of(**changes)


def test_padding_may_hold_nan():
    framewise = np.full((3, 6, 2), np.nan)
    framewise[:, :2] = 0.5
    assert scores_of(framewise=framewise, n_frames=[2, 1, 2]).n_frames.max() == 2


def test_a_scores_file_made_by_hand_needs_four_data_sets(tmp_path):
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["framewise"] = np.full((1, 3, 2), 0.5)
        file["frame_edges_s"] = [0.0, 1.0, 2.0, 3.0]
        file["filename"] = ["a.wav"]
    with pytest.raises(SedkitError, match="s.h5.*lacks labels"):
        read_scores(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "a") as file:
        file["labels"] = ["x", "y"]
    scores = read_scores(tmp_path / "s.h5")
    assert scores.n_frames.tolist() == [3] and scores.duration_s.tolist() == [3.0] and scores.producer == "s.h5"
    assert scores.clipwise is None
    with h5py.File(tmp_path / "s.h5", "a") as file:
        del file["labels"]
        file["labels"] = ["x"]
    with pytest.raises(SedkitError, match="s.h5: framewise"):
        read_scores(tmp_path / "s.h5")


def test_two_clips_of_one_stem_cannot_be_written_as_tables(tmp_path):
    with pytest.raises(SedkitError, match="a.tsv"):
        write_score_tsvs(tmp_path / "tsv", scores_of(filenames=("a.wav", "a.flac", "b.wav")))


GOOD = "onset\toffset\tcat\tdog\n0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "b.tsv: is empty, expected a header"),
        ("onset\toffset\n0\t1\n", "b.tsv:1: got the header"),
        ("onset\toffset\tcat\tcat\n", "b.tsv:1: a column stands twice"),
        ("onset\toffset\tcat\tdog\n", "b.tsv: no frames"),
        (GOOD.replace("dog", "doq"), 'b.tsv:1: .*"dog"'),
        (GOOD.replace("0.3", "x"), "b.tsv:3: cat 'x', expected a finite number"),
        (GOOD.replace("0.3\t", ""), "b.tsv:3: dog is missing, expected a finite number"),
        (GOOD.replace("0.3", "nan"), "b.tsv:3: cat is missing, expected"),
        (GOOD.replace("0.5\t1.0", "0.6\t1.0"), "b.tsv:3: onset 0.6 after offset 0.5"),
        (GOOD.replace("0.5\t1.0", "0.5\t0.4"), "b.tsv:3: onset 0.5, offset 0.4"),
    ],
)
def test_a_wrong_score_table_is_named_with_its_row(tmp_path, text, message):
    (tmp_path / "a.tsv").write_text(GOOD)
    (tmp_path / "b.tsv").write_text(text)
    with pytest.raises(SedkitError, match=message):
        read_scores(tmp_path)


def test_columns_may_stand_in_another_order(tmp_path):
    (tmp_path / "a.tsv").write_text(GOOD)
    (tmp_path / "b.tsv").write_bytes(b"\xef\xbb\xbfonset\toffset\tdog\tcat\r\n0\t0.5\t0.7\t0.6\r\n\r\n")
    scores = read_scores(tmp_path)
    assert scores.labels == ("cat", "dog") and scores.filenames == ("a.wav", "b.wav")
    assert scores.framewise[1, 0].tolist() == pytest.approx([0.6, 0.7])
    assert scores.n_frames.tolist() == [2, 1] and scores.duration_s.tolist() == [1.0, 0.5]
    with pytest.raises(SedkitError, match="no .*tsv"):
        (tmp_path / "empty").mkdir()
        read_scores(tmp_path / "empty")


def test_reads_the_scores_of_the_2023_baseline(shared):
    scores = read_scores(shared / "vectors/dcase2023_scores/baseline2_run1_scores")
    assert scores.framewise.shape == (20, 156, 10)
    assert scores.frame_edges_s == pytest.approx(np.arange(157) * 0.064)
    assert scores.labels[0] == "Alarm_bell_ringing"
    row = scores.framewise[scores.filenames.index("x5tx_wmi.wav"), 0]
    assert row[7] == pytest.approx(0.14991271495819092)
