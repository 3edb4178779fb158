"""Recordings of any length to events."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from networks import make_experiment

from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores
from sedkit.dataio.tables import read_strong
from sedkit.inference.detector import Detector
from sedkit.inference.predict import joined
from sedkit.inference.predictor import Predictor
from sedkit.inference.recordings import recordings_of
from sedkit.models.checkpoint import read_checkpoint, write_checkpoint
from sedkit.postprocessing import FrameRule, Postprocessing


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_experiment(tmp_path_factory.mktemp("exp"), {"name": "cnn9_avg", "base_channels": 2})


@pytest.fixture(scope="module")
def predictor(experiment: Path) -> Predictor:
    return Predictor.open(experiment / "checkpoints/best.pt", "cpu", "fp32")


def make_recordings(folder: Path) -> list[Path]:
    rng = np.random.default_rng(3)
    paths = []
    for name, seconds, rate, channels in (
        ("-short.wav", 0.3, 8000, 1),
        ("long.flac", 7.3, 22050, 2),
        ("exact.wav", 2.0, 16000, 1),
    ):
        x = rng.normal(0, 0.1, (round(seconds * rate), channels)).astype(np.float32)
        soundfile.write(folder / name, x, rate, subtype="PCM_16")
        paths.append(folder / name)
    return paths


def detect_scores(predictor: Predictor, paths: list[Path], window_s: float | None = None) -> Scores:
    """Scores of several recordings."""
    rules = Postprocessing.uniform(predictor.labels.labels, FrameRule(0.5))
    return joined([Detector(predictor, rules, window_s).scores(path) for path in paths])


def test_any_length_rate_and_channels(predictor: Predictor, tmp_path: Path) -> None:
    paths = make_recordings(tmp_path)
    scores = detect_scores(predictor, paths)
    assert scores.filenames == ("-short.wav", "long.flac", "exact.wav")
    np.testing.assert_allclose(scores.duration_s, [0.3, 7.3, 2.0], atol=1e-3)
    assert scores.n_frames.tolist() == [2, 30, 8]
    for i in range(3):
        assert scores.edges(i)[-1] == pytest.approx(scores.duration_s[i])
    alone = detect_scores(predictor, paths[2:])
    np.testing.assert_allclose(alone.framewise[0], scores.framewise[2, :8], atol=1e-6)
    tiled = detect_scores(predictor, paths[1:2], window_s=100.0)
    assert tiled.framewise.shape == (1, 30, 3)
    with pytest.raises(SedkitError, match="none.wav"):
        detect_scores(predictor, [*paths, tmp_path / "none.wav"])


def test_names(tmp_path: Path) -> None:
    assert list(recordings_of([Path("a/x.wav"), Path("b/y.wav")])) == ["x.wav", "y.wav"]
    assert list(recordings_of([Path("a/x.wav"), Path("b/x.wav")])) == ["a/x.wav", "b/x.wav"]
    assert list(recordings_of([Path("/d/a/x.wav"), Path("/d/b/x.wav")])) == ["a/x.wav", "b/x.wav"]
    with pytest.raises(UsageError, match="given twice"):
        recordings_of([Path("a/x.wav"), Path("a/./x.wav")])
    for name in ("x.wav", "deep/down/x.FLAC", "deep/.hidden.wav", "deep/x.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert recordings_of([tmp_path]) == {name: tmp_path / name for name in ("deep/down/x.FLAC", "x.wav")}


def test_command(experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(p) for p in make_recordings(tmp_path)]
    assert main(["detect", str(experiment), *paths]) == 2
    assert "has no postprocessing.yaml" in capsys.readouterr().err
    rules = ["--postprocessing", "0.0", "--scores", str(tmp_path / "scores.h5")]
    assert main(["detect", str(experiment), *paths, *rules, "--out", str(tmp_path / "events.tsv")]) == 0
    # Every class is above the threshold 0 from beginning to end.
    events = read_strong(tmp_path / "events.tsv")
    assert events.n_events == 9
    assert sorted(set(events.offset_s.round(3))) == [0.3, 2.0, 7.3]
    assert read_scores(tmp_path / "scores.h5").labels == ("Alarm", "Cat", "Dog")
    capsys.readouterr()
    assert main(["detect", str(experiment), paths[1], *rules, "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["recordings"][0]["events"]) == 3
    words = ["--window", "whole", "--hop", "1", "--scores", str(tmp_path / "whole.h5")]
    assert main(["detect", str(experiment), paths[1], "--postprocessing", "0.5", *words]) == 0
    assert read_scores(tmp_path / "whole.h5").n_frames.tolist() == [30]
    assert main(["detect", str(experiment), paths[1], "--postprocessing", "0.5", "--hop", "7"]) == 2
    assert "leave gaps" in capsys.readouterr().err
    assert main(["detect", str(experiment), *paths, *rules, "--format", "audacity"]) == 2
    tracks = [*rules[:2], "--format", "audacity", "--out", str(tmp_path / "tracks")]
    assert main(["detect", str(experiment), *paths, *tracks, *rules[2:]]) == 2
    assert "scores.h5: --out is a folder, expected another one" in capsys.readouterr().err
    assert main(["detect", str(experiment), *paths, *tracks, "--scores", str(tmp_path / "scores")]) == 0
    assert {p.name for p in (tmp_path / "scores").glob("*.h5")} == {"-short.h5", "long.h5", "exact.h5"}
    assert {p.name for p in (tmp_path / "tracks").glob("*.txt")} == {"-short.txt", "long.txt", "exact.txt"}


def test_the_run_of_a_network_detects_with_that_network_and_its_rules(tmp_path: Path) -> None:
    """As `sedkit predict` scores it; the rules lie in the folder of the run."""
    training = make_experiment(tmp_path / "mt/seed0", {"name": "cnn9_avg", "base_channels": 2})
    kept = read_checkpoint(training / "checkpoints/best.pt")
    state = {name: x + 1 if name.endswith("fc.bias") else x for name, x in kept.networks["network"].items()}
    kept.networks = {"student": kept.networks["network"], "teacher": state}
    kept.selected = "student"
    write_checkpoint(training / "checkpoints/best.pt", kept)
    recording, scores = str(make_recordings(tmp_path)[2]), {}
    for name in ("student", "teacher"):
        run, out = tmp_path / f"mt@{name}/seed0", tmp_path / f"{name}.h5"
        run.mkdir(parents=True)
        Postprocessing.uniform(("Alarm", "Cat", "Dog"), FrameRule(threshold=0.0)).write(run / "postprocessing.yaml")
        assert main(["detect", str(run), recording, "--scores", str(out), "--precision", "fp32"]) == 0
        scores[name] = read_scores(out).framewise
    words = ["--postprocessing", "0.5", "--network", "teacher", "--precision", "fp32"]
    assert main(["detect", str(training), recording, *words, "--scores", str(tmp_path / "t.h5")]) == 0
    np.testing.assert_array_equal(read_scores(tmp_path / "t.h5").framewise, scores["teacher"])
    logits = {name: np.log(p / (1 - p)) for name, p in scores.items()}
    np.testing.assert_allclose(logits["teacher"] - logits["student"], 1, atol=1e-3)


def test_goes_on_after_recordings_that_cannot_be_read(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    good = make_recordings(folder)
    whole = good[2].read_bytes()
    bad = {
        "cut.wav": (whole[:5000], "cut off: its header announces 64000 bytes of sound, 4956 are there"),
        "empty.wav": (b"", "zero bytes"),
        "text.flac": (b"<html>not found</html>" * 9, "not audio that can be read"),
        "silent.wav": (whole[:40] + bytes(4), "holds no sound"),
    }
    for name, (content, _) in bad.items():
        (folder / name).write_bytes(content)
    soundfile.write(folder / "nan.wav", np.array([0.0, np.nan] * 9), 8000, subtype="FLOAT")
    (folder / "notes.txt").write_text("not a recording")
    (folder / "wrong.wav").write_bytes(whole[:40] + len(whole).to_bytes(4, "little") + whole[44:])
    out, scores = tmp_path / "events.tsv", tmp_path / "scores.h5"
    call = ["detect", str(experiment), "--postprocessing", "0.0", "--out", str(out), "--scores", str(scores)]
    # A folder stands for the audio files in it.
    assert main([*call, str(folder), str(tmp_path / "absent.wav")]) == 1
    said = capsys.readouterr().err.splitlines()
    reasons = {name: reason for name, (_, reason) in bad.items()} | {"nan.wav": "NaN", "absent.wav": "no such file"}
    for name, reason in reasons.items():
        lines = [line for line in said if f"/{name}:" in line]
        assert len(lines) == 1 and lines[0].startswith("error: ") and reason in lines[0]
    assert "sedkit detect: error: 6 of 10 recordings could not be read, each named above" in said[-1]
    assert [line for line in said if "states a wrong length" in line] == [
        f"warning: {folder}/wrong.wav: its header states a wrong length ({len(whole)} bytes of sound, 64000 are "
        "there): read whole"
    ]
    names = ("-short.wav", "exact.wav", "long.flac", "wrong.wav")
    assert read_scores(scores).filenames == names
    events = read_strong(out)
    assert events.filenames == names
    assert sorted(events.offset_s.round(3).tolist()) == [0.3] * 3 + [2.0] * 6 + [7.3] * 3
    # One label track each, although only one of the two can be read.
    assert (
        main([*call[:4], "--format", "audacity", "--out", str(tmp_path / "t"), str(good[0]), str(folder / "cut.wav")])
        == 1
    )
    assert [p.name for p in (tmp_path / "t").glob("*.txt")] == ["-short.txt"]


def test_nothing_is_written_where_no_recording_can_be_read(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ["detect", str(experiment), "--postprocessing", "0.5", "--out", str(tmp_path / "events.tsv")]
    assert main([*call, str(tmp_path / "a.wav")]) == 1
    assert capsys.readouterr().err == f"sedkit detect: error: {tmp_path}/a.wav: no such file or folder\n"
    assert main([*call, str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]) == 1
    assert "none of the 2 recordings can be read" in capsys.readouterr().err
    (tmp_path / "folder").mkdir()
    assert main([*call, str(tmp_path / "folder")]) == 2
    assert "no audio file in this folder" in capsys.readouterr().err
    assert not (tmp_path / "events.tsv").exists()


def test_names_without_an_audio_ending_stay_whole(experiment: Path, tmp_path: Path) -> None:
    source = make_recordings(tmp_path)[0].read_bytes()
    paths = [tmp_path / "Yab_70.000_80.000", tmp_path / "Yab_70.000_90.000"]
    for path in paths:
        path.write_bytes(source)
    call = ["detect", str(experiment), *map(str, paths), "--postprocessing", "0.0"]
    assert main([*call, "--format", "audacity", "--out", str(tmp_path / "tracks")]) == 0
    assert {p.name for p in (tmp_path / "tracks").glob("*.txt")} == {"Yab_70.000_80.000.txt", "Yab_70.000_90.000.txt"}


def test_a_broken_checkpoint_is_told_before_rules_are_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "best.pt").write_bytes(b"")
    soundfile.write(tmp_path / "a.wav", np.zeros(32000), 32000)
    assert main(["detect", str(tmp_path / "best.pt"), str(tmp_path / "a.wav")]) == 1
    assert "best.pt: " in (said := capsys.readouterr().err) and "empty" in said
