"""Recordings to the sounds of their classes."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import SimpleNamespace

import mir_eval
import numpy as np
import pytest
import soundfile
from fake_data import LABELS
from networks import SLICED, TEN, make_experiment

from sedkit.cli.main import main
from sedkit.core.vocabulary import Vocabulary
from sedkit.inference.masks import MaskedClip
from sedkit.inference.separate import Request, separate_recordings


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clip scores of about a half for every class, masks of all kinds of values."""
    model = {"name": "segmentation_gwrp", "base_channels": 2}
    return make_experiment(tmp_path_factory.mktemp("exp"), model, SLICED, 100)


def network(clipwise: list[float], masks: np.ndarray) -> SimpleNamespace:
    """What gives the same scores and masks (classes, 1, bins) whatever it hears."""
    clip = MaskedClip(np.array(clipwise, dtype=np.float32), masks.astype(np.float32))
    return SimpleNamespace(labels=Vocabulary(LABELS), frontend=SLICED, of=lambda waveform: clip)


def recording(path: Path, seconds: float = 1.0, rate: int = 8000, channels: int = 1, peak: float = 0.3) -> Path:
    rng = np.random.default_rng(len(path.name))
    x = rng.uniform(-peak, peak, (round(seconds * rate), channels))
    soundfile.write(path, x, rate, subtype="PCM_16")
    return path


def stems(folder: Path, path: Path, seconds: float = 1.5) -> dict[str, np.ndarray]:
    """Stems of Cat, Dog and the scene, and the recording that they add up to, 16 bits."""
    rng = np.random.default_rng(5)
    n = round(8000 * seconds)
    out = {}
    for name, first, last in (("Cat", 0, n // 2), ("Dog", n // 3, n), ("scene", 0, n)):
        x = np.zeros(n)
        x[first:last] = np.convolve(rng.normal(0, 0.05, last - first), rng.normal(0, 0.5, 20), "same")
        out[name] = np.round(x * 32768) / 32768
    folder.mkdir(parents=True)
    for name, x in out.items():
        soundfile.write(folder / f"{name}.wav", x, 8000, subtype="PCM_16")
    soundfile.write(path, sum(out.values()), 8000, subtype="PCM_16")
    return out


def test_any_length_rate_and_channels(experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [
        recording(tmp_path / "short.wav", 0.05),
        recording(tmp_path / "long.flac", 3.3, 22050, 2),
        recording(tmp_path / "exact.wav", 1.0, 16000),
    ]
    out = tmp_path / "out"
    assert main(["separate", str(experiment), *map(str, paths), "--out", str(out)]) == 0
    for name, seconds in (("short", 0.05), ("long", 3.3), ("exact", 1.0)):
        files = sorted((out / name).iterdir())
        assert [p.name for p in files] == [f"{label}.wav" for label in LABELS]
        for path in files:
            info = soundfile.info(path)
            assert (info.samplerate, info.channels, info.subtype) == (8000, 1, "PCM_16")
            assert info.frames == pytest.approx(seconds * 8000, abs=1)
    said = json.loads((out / "separation.json").read_text())["recordings"]
    assert [r["filename"] for r in said] == ["short.wav", "long.flac", "exact.wav"]
    assert said[1]["classes"]["Cat"]["file"] == "long/Cat.wav" and said[1]["gain"] == 1.0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split() == ["file", "clip", "score"] and len(printed) == 10


def test_figures_are_those_that_mir_eval_gives_the_written_files(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    true = stems(tmp_path / "stems" / "mixture", tmp_path / "mixture.wav")
    out = tmp_path / "out"
    call = ["separate", str(experiment), str(tmp_path / "mixture.wav"), "--out", str(out)]
    assert main([*call, "--reference", str(tmp_path / "stems"), "--classes", "Dog,Cat,Dog"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [p.name for p in sorted((out / "mixture").iterdir())] == ["Cat.wav", "Dog.wav"]
    (said,) = json.loads((out / "separation.json").read_text())["recordings"]
    assert list(said["classes"]) == ["Dog", "Cat"] and said["missed"] == []
    mixture = soundfile.read(tmp_path / "mixture.wav")[0]
    estimates = {label: soundfile.read(out / said["classes"][label]["file"])[0] for label in ("Cat", "Dog")}
    estimates["scene"] = mixture - sum(estimates.values())

    def judged(of: dict[str, np.ndarray]) -> list[np.ndarray]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            sources = (np.stack([x[name] for name in true]) for x in (true, of))
            return mir_eval.separation.bss_eval_sources(*sources, compute_permutation=False)[:3]

    figures, before = judged(estimates), judged(dict.fromkeys(true, mixture))
    for i, label in enumerate(("Cat", "Dog")):
        sound = said["classes"][label]
        for name, value in zip(("sdr", "sir", "sar"), figures, strict=True):
            assert sound[name] == pytest.approx(value[i], abs=0.01)
        assert sound["sdr_improvement"] == pytest.approx(figures[0][i] - before[0][i], abs=0.01)
    assert printed[0].split() == ["file", "clip", "score", "SDR", "SIR", "SAR", "SDR", "gain"]
    assert printed[2].split()[2] == f"{said['classes']['Cat']['sdr']:.2f}"


def test_stems_may_lie_in_the_folder_itself_without_a_scene(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stems(tmp_path / "s", tmp_path / "m.wav")
    figures = []
    for _ in range(2):
        call = ["separate", str(experiment), str(tmp_path / "m.wav"), "--out", str(tmp_path / "out")]
        assert main([*call, "--reference", str(tmp_path / "s"), "--classes", "Alarm,Cat"]) == 0
        (said,) = json.loads((tmp_path / "out/separation.json").read_text())["recordings"]
        assert said["missed"] == ["Dog"] and "m.wav: missed Dog" in capsys.readouterr().out
        # A class without a stem is separated; there is nothing to compare it with.
        assert "sdr" not in said["classes"]["Alarm"]
        figures.append([said["classes"]["Cat"][name] for name in ("sdr", "sir", "sar")])
        (tmp_path / "s/scene.wav").unlink(missing_ok=True)
    # The scene is what the other stems leave over.
    np.testing.assert_allclose(figures[0], figures[1], atol=0.01)


def test_nothing_is_clipped_and_sounds_keep_their_levels(tmp_path: Path) -> None:
    """A square wave at full scale; without its upper partials it is up to 4/pi of it."""
    square = np.where(np.arange(8000) % 80 < 40, 1.0, -1.0) * 32767 / 32768
    soundfile.write(tmp_path / "square.wav", square, 8000, subtype="PCM_16")
    low = (np.arange(32) < 8).astype(float)
    masks = np.stack([low, 0.5 * low, 1 - low])[:, None]
    (said,) = separate_recordings(
        network([0.9, 0.9, 0.9], masks), {"square.wav": tmp_path / "square.wav"}, Request(tmp_path / "out")
    )
    sounds = {label: soundfile.read(tmp_path / "out" / said["classes"][label]["file"])[0] for label in LABELS}
    assert said["gain"] < 0.9 and np.abs(sounds["Alarm"]).max() == pytest.approx(32767 / 32768, abs=1e-4)
    np.testing.assert_allclose(sounds["Cat"], 0.5 * sounds["Alarm"], atol=1 / 32768)
    inside = slice(800, 7200)
    together = (sounds["Alarm"] + sounds["Dog"])[inside] / said["gain"]
    # The constant and what lies below the first filter are in no class.
    assert np.square(together - square[inside]).mean() < 0.05 * np.square(square[inside]).mean()


def test_classes_above_the_threshold_are_separated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = recording(tmp_path / "a.wav")
    gives = network([0.1, 0.2, 0.05], np.ones((3, 1, 32)))
    (said,) = separate_recordings(gives, {path.name: path}, Request(tmp_path / "out"))
    assert list(said["classes"]) == ["Cat"] and said["classes"]["Cat"]["clip_score"] == pytest.approx(0.2)
    assert [p.name for p in (tmp_path / "out/a").iterdir()] == ["Cat.wav"]
    # Called again the folder holds what that call says.
    separate_recordings(gives, {path.name: path}, Request(tmp_path / "out", threshold=0.04))
    assert len(list((tmp_path / "out/a").iterdir())) == 3
    (said,) = separate_recordings(gives, {path.name: path}, Request(tmp_path / "out", threshold=0.2))
    assert said["classes"] == {} and not (tmp_path / "out/a").exists()
    assert "a.wav: no class has a clip score above 0.2 (the highest: Cat, 0.200)" in caplog.text


def test_goes_on_after_recordings_that_cannot_be_read(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "recordings"
    (folder / "site").mkdir(parents=True)
    recording(folder / "good.wav")
    recording(folder / "site/good.wav")
    (folder / "bad.wav").write_bytes(b"")
    call = ["separate", str(experiment), "--out", str(tmp_path / "out")]
    assert main([*call, str(folder)]) == 1
    said = capsys.readouterr().err
    assert "bad.wav: zero bytes" in said and "1 of 3 recordings could not be read, each named above" in said
    assert (tmp_path / "out/good/Cat.wav").exists() and not (tmp_path / "out/bad").exists()
    # What lies in a folder below goes into such a folder.
    _, below = json.loads((tmp_path / "out/separation.json").read_text())["recordings"]
    assert below["filename"] == "site/good.wav" and below["classes"]["Cat"]["file"] == "site/good/Cat.wav"
    assert (tmp_path / "out/site/good/Cat.wav").exists()
    assert main([*call, str(folder / "bad.wav")]) == 1
    assert capsys.readouterr().err.startswith("sedkit separate: error: ")


def test_bad_use_is_said_in_one_line(experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b = recording(tmp_path / "a.wav"), recording(tmp_path / "a.flac")
    stems(tmp_path / "stems/m", tmp_path / "m.wav", 0.5)
    (tmp_path / "taken/a").mkdir(parents=True)
    (tmp_path / "Dog").mkdir()
    dog = recording(tmp_path / "Dog/Dog.wav")
    (tmp_path / "taken/a/notes.txt").write_text("mine")
    cnn = make_experiment(tmp_path / "cnn", {"name": "cnn9_avg", "base_channels": 2}, TEN)
    out = ["--out", str(tmp_path / "out")]
    for status, said, *words in (
        (2, "--threshold does not count", experiment, a, *out, "--threshold", "0.5", "--classes", "Cat"),
        (2, '--classes Cot: unknown (did you mean "Cat"?)', experiment, a, *out, "--classes", "Cot"),
        (2, "two recordings are called a", experiment, a, b, *out),
        (2, "gives no masks of time and frequency", cnn, a, *out),
        (2, "holds no stem of a.wav", experiment, a, *out, "--reference", tmp_path / "taken"),
        (1, "expected the 1 s of the recording", experiment, a, *out, "--reference", tmp_path / "stems/m"),
        (2, "is where the stems lie", experiment, tmp_path / "m.wav", "--out", tmp_path / "stems", "--reference",
         tmp_path / "stems"),
        (2, "where Dog.wav lies, would be replaced", experiment, dog, "--out", tmp_path),
        (1, "holds notes.txt, which no call wrote", experiment, a, "--out", tmp_path / "taken"),
        (2, "--threshold: 1.5", experiment, a, *out, "--threshold", "1.5"),
        (2, "leave gaps", experiment, a, *out, "--hop", "7"),
    ):  # fmt: skip
        assert main(["separate", *map(str, words)]) == status
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1 and "Traceback" not in error
    assert dog.exists() and (tmp_path / "taken/a/notes.txt").read_text() == "mine" and not (tmp_path / "out").exists()
