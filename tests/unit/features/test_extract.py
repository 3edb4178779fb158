"""Extraction: from recordings to one file, resumed, merged, refused."""

import os

import numpy as np
import pytest

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import read_audio, write_wav
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.store import FeatureFile
from sedkit.features import extract as module
from sedkit.features.extract import check_resampler, extract
from sedkit.features.frontends import features_path, open_features
from sedkit.features.frontends.logmel import LogMel

SMALL = LogMel(sample_rate=16000, n_fft=512, hop_samples=250, n_mels=16, fmax_hz=7000, clip_s=1.0)
WHOLE = LogMel(sample_rate=16000, n_fft=512, hop_samples=250, n_mels=16, fmax_hz=7000, clip_s=None)
CLIPS = 37


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    names, durations = [], []
    for i in range(CLIPS):
        samples = 16000 if i % 3 else int(rng.integers(2000, 30000))
        rate = 22050 if i == 5 else 16000
        write_wav(root / "audio" / f"{i}.wav", rng.standard_normal(samples) * 0.1, rate)
        names.append(f"{i}.wav")
        durations.append(samples / rate)
    clips = Clips(tuple(names), tuple(f"../audio/{name}" for name in names), np.array(durations))
    return write_datadir(root / "set", clips, Vocabulary(("a", "b")), missing=["gone.wav"])


def expected_of(data, frontend):
    return [
        frontend.transform(read_audio(data.audio_path(i), frontend.sample_rate)[None])[0]
        for i in range(len(data.clips))
    ]


@pytest.mark.parametrize("frontend", [SMALL, WHOLE], ids=["1 s", "whole"])
def test_the_file_holds_what_the_front_end_gives(data, tmp_path, frontend):
    extract(data, frontend, tmp_path / "f.h5")
    file = open_features(tmp_path / "f.h5", frontend)
    assert isinstance(file.features, np.memmap) and file.filenames == data.clips.filename
    assert file.shape == (CLIPS, max(frontend.frames_for(s) for s in data.clips.duration_s), 16)
    assert (file.frontend_hash, file.scale, file.sample_rate, file.hop_samples, file.resampler) == (
        frontend.hash8,
        "db_power",
        16000,
        250,
        "exact",
    )
    for features, expected, duration_s, n in zip(
        file.features, expected_of(data, frontend), data.clips.duration_s, file.n_frames, strict=True
    ):
        assert n == frontend.valid_frames(duration_s) <= len(expected)
        np.testing.assert_array_equal(features[: len(expected)], expected)
        assert (features[len(expected) :] == frontend.padding).all()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5"]


def test_two_processes_give_the_same_file(data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CLIPS_PER_JOB", 1)
    extract(data, SMALL, tmp_path / "one.h5", jobs=1)
    extract(data, SMALL, tmp_path / "two.h5", jobs=2)
    np.testing.assert_array_equal(FeatureFile(tmp_path / "one.h5").features, FeatureFile(tmp_path / "two.h5").features)


def test_goes_on_where_it_stopped(data, tmp_path, monkeypatch, caplog):
    real, done = module._extract_shard, []

    def stops_at_the_second(shard):
        if len(done) == 1:
            raise KeyboardInterrupt
        done.append(shard.path.name)
        real(shard)

    monkeypatch.setattr(module, "_extract_shard", stops_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        extract(data, SMALL, tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()
    assert [path.name for path in (tmp_path / "f.h5.parts").iterdir()] == done
    (tmp_path / "f.h5.parts" / "00001-of-another-run.npy").write_bytes(b"")

    again = []
    monkeypatch.setattr(module, "_extract_shard", lambda shard: (again.append(shard.path.name), real(shard)))
    with caplog.at_level("INFO", logger="sedkit"):
        extract(data, SMALL, tmp_path / "f.h5")
    assert len(again) == 2 and done[0] not in again
    assert "1 of 3 shards" in caplog.text
    extract(data, SMALL, tmp_path / "whole.h5")
    np.testing.assert_array_equal(FeatureFile(tmp_path / "f.h5").features, FeatureFile(tmp_path / "whole.h5").features)


def test_a_shard_that_is_broken_or_of_other_recordings_is_not_used(data, tmp_path):
    shards = module._shards(data, SMALL, tmp_path / "f.h5.parts", "exact")
    other = module._shards(data, SMALL, tmp_path / "f.h5.parts", "fast")
    assert {s.path for s in shards}.isdisjoint(s.path for s in other)
    # What counts is the content of the recordings, wherever and however old they are.
    path = data.audio_path(0)
    os.utime(path, (1, 1))
    assert module._shards(data, SMALL, tmp_path / "f.h5.parts", "exact") == shards
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = module._shards(data, SMALL, tmp_path / "f.h5.parts", "exact")
    assert [a.path == b.path for a, b in zip(changed, shards, strict=True)] == [False, True, True]
    path.write_bytes(content)
    shards[0].path.parent.mkdir()
    shards[0].path.write_bytes(b"cut")
    with pytest.raises(SedkitError, match=f"{shards[0].path.name}.*remove it"):
        extract(data, SMALL, tmp_path / "f.h5")
    extract(data, SMALL, tmp_path / "f.h5", fresh=True)


def test_the_fast_resampler_is_near_and_only_where_it_may_be(data, tmp_path):
    narrow = LogMel(sample_rate=16000, n_fft=512, hop_samples=250, n_mels=16, fmax_hz=7000, clip_s=1.0)
    extract(data, narrow, tmp_path / "fast.h5", resampler="fast")
    extract(data, narrow, tmp_path / "exact.h5")
    fast, exact = FeatureFile(tmp_path / "fast.h5"), FeatureFile(tmp_path / "exact.h5")
    assert (fast.resampler, exact.resampler) == ("fast", "exact")
    difference = np.abs(fast.features[5, 3:-3] - exact.features[5, 3:-3])
    valid = slice(0, exact.n_frames[5] - 6)
    assert 0 < difference[valid].max() < 0.05
    check_resampler(LogMel(), "fast")
    with pytest.raises(UsageError, match="up to 14000 Hz at 32000 Hz.*up to 16000 Hz"):
        check_resampler(LogMel(fmax_hz=16000), "fast")
    with pytest.raises(UsageError, match="resampler fast"):
        extract(data, LogMel(fmax_hz=16000), tmp_path / "no.h5", resampler="fast")


def test_an_empty_set_has_a_file(tmp_path):
    empty = write_datadir(tmp_path / "set", Clips((), (), np.empty(0)), Vocabulary(("a",)))
    extract(empty, SMALL, tmp_path / "f.h5")
    assert FeatureFile(tmp_path / "f.h5").shape == (0, 1, 16)


@pytest.fixture
def set_of_two(tmp_path):
    for name in ("a.wav", "b.wav"):
        write_wav(tmp_path / "audio" / name, np.full(16000, 0.1), 16000)
    clips = Clips(("a.wav", "b.wav"), ("../audio/a.wav", "../audio/b.wav"), np.ones(2))
    (tmp_path / "c.yaml").write_text("frontend: {name: logmel, sample_rate: 16000, n_mels: 16, fmax_hz: 7000}\n")
    return write_datadir(tmp_path / "set", clips, Vocabulary(("a",)))


def test_a_recording_that_is_gone_cut_or_exchanged_is_named(set_of_two, tmp_path):
    wav = tmp_path / "audio" / "b.wav"
    write_wav(wav, np.full(8000, 0.1), 16000)
    with pytest.raises(SedkitError, match=r"b.wav: 0.500 s of sound, expected 1.000 s"):
        extract(set_of_two, SMALL, tmp_path / "f.h5")
    wav.write_bytes(wav.read_bytes()[:100])
    with pytest.raises(SedkitError, match="b.wav: cut off"):
        extract(set_of_two, SMALL, tmp_path / "f.h5")
    wav.unlink()
    with pytest.raises(SedkitError, match=r"clips.tsv:3: .*b.wav is not there"):
        extract(set_of_two, SMALL, tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()


def call(tmp_path, *words):
    return main(["extract", str(tmp_path / "set"), "--config", str(tmp_path / "c.yaml"), *words])


def test_the_verb_names_skips_and_redoes_its_file(set_of_two, tmp_path, capsys):
    assert call(tmp_path, "--jobs", "1") == 0
    frontend = LogMel(sample_rate=16000, n_mels=16, fmax_hz=7000)
    out = features_path(tmp_path / "set", frontend)
    assert out.exists()
    made = out.stat().st_mtime_ns
    assert "2 clips" in capsys.readouterr().err
    assert call(tmp_path) == 0 and out.stat().st_mtime_ns == made
    assert "up to date" in capsys.readouterr().err
    assert call(tmp_path, "--force", "true") == 0 and out.stat().st_mtime_ns > made
    assert call(tmp_path, "--out", str(tmp_path / "x.h5"), "frontend.n_mels=8") == 0
    assert FeatureFile(tmp_path / "x.h5").shape == (2, 320, 8)
    made = out.stat().st_mtime_ns
    write_wav(tmp_path / "audio" / "a.wav", np.full(16000, 0.2), 16000)
    assert call(tmp_path) == 0 and out.stat().st_mtime_ns > made
    capsys.readouterr()


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["frontend.n_melz=8"], 2, "n_mels"),
        (["frontend.name=mfcc"], 2, "expected one of ast, atst_frame, beats"),
        (["--resampler", "fast", "frontend.fmax_hz=8000"], 2, "--resampler fast"),
        (["--resampler", "quick"], 2, "quick"),
        (["--jobs", "0"], 2, "--jobs"),
    ],
)
def test_bad_calls_end_in_one_line(set_of_two, tmp_path, capsys, words, status, message):
    assert call(tmp_path, *words) == status
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and message in captured.err and not captured.out
    assert not list((tmp_path / "set").glob("*.h5*"))


def test_windows_that_are_transformed_alone_have_nothing_to_store(set_of_two, tmp_path, capsys):
    assert call(tmp_path, "frontend.edges=window", "--out", str(tmp_path / "x.h5")) == 0
    assert "set: nothing to store, the front end transforms every window on its own" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.h5*"))


def test_a_folder_that_is_no_data_dir_is_named(tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("frontend: {name: logmel}\n")
    (tmp_path / "set").mkdir()
    assert call(tmp_path) == 1
    assert "not a data dir" in capsys.readouterr().err
