"""`sedkit.load`: files and arrays to events, from an experiment that knows nothing else; concatenations and parts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from networks import ALONE, SLICED, make_experiment, predictor

import sedkit
from sedkit.cli.main import main
from sedkit.core.errors import SedkitError, UsageError
from sedkit.inference.detector import Detector, Event
from sedkit.inference.predict import predict_waveforms
from sedkit.models.checkpoint import read_checkpoint, write_checkpoint
from sedkit.postprocessing import FrameRule, Postprocessing

CNN = {"name": "cnn9_avg", "base_channels": 2}
LABELS = ("Alarm", "Cat", "Dog")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_experiment(tmp_path_factory.mktemp("exp"), CNN)
    Postprocessing.uniform(LABELS, FrameRule(threshold=0.0)).write(folder / "postprocessing.yaml")
    return folder


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    x = np.random.default_rng(round(seconds * 10)).normal(0, 0.1, (round(seconds * rate), channels))
    return x.astype(np.float32)


def test_files_and_arrays_give_the_same_events(experiment: Path, tmp_path: Path) -> None:
    detector = sedkit.load(experiment)
    assert isinstance(detector, Detector) and detector.labels == LABELS
    x = noise(7.3, 44100, 2)
    soundfile.write(tmp_path / "a.wav", x, 44100, subtype="FLOAT")
    expected = [Event(label, 0.0, 7.3) for label in LABELS]
    assert detector.detect(tmp_path / "a.wav") == expected == detector.detect(x, 44100)
    assert detector.detect(str(tmp_path / "a.wav")) == expected
    of_file, of_array = detector.scores(tmp_path / "a.wav"), detector.scores(x, 44100)
    np.testing.assert_allclose(of_file.framewise, of_array.framewise, atol=1e-6)
    # What the network is given: the mean of the channels, resampled.
    mono = soxr.resample(x.mean(axis=1), 44100, detector.sample_rate, quality="HQ")
    np.testing.assert_allclose(
        predict_waveforms(detector.predictor, [("x", mono)]).framewise, of_array.framewise, atol=1e-5
    )
    pcm = np.round(x[:, 0] * 32768).astype(np.int16)
    np.testing.assert_allclose(
        detector.scores(pcm, 44100).framewise,
        detector.scores(pcm.astype(np.float32) / 32768, 44100).framewise,
        atol=1e-6,
    )


def test_an_array_needs_its_rate_and_a_file_none(experiment: Path, tmp_path: Path) -> None:
    detector = sedkit.load(experiment)
    soundfile.write(tmp_path / "a.wav", noise(1, 8000), 8000)
    with pytest.raises(UsageError, match="sample_rate is None, expected that of the array in Hz"):
        detector.detect(np.zeros(8000))
    with pytest.raises(UsageError, match="a file tells its own"):
        detector.detect(tmp_path / "a.wav", 8000)
    for wrong in (np.zeros((2, 2, 2)), np.zeros(0), np.array([np.nan])):
        with pytest.raises(SedkitError, match="an array"):
            detector.detect(wrong, 8000)
    with pytest.raises(SedkitError, match="none.wav"):
        detector.detect(tmp_path / "none.wav")


def test_a_checkpoint_alone_needs_rules(experiment: Path, tmp_path: Path) -> None:
    alone = tmp_path / "moved.pt"
    shutil.copy(experiment / "checkpoints/best.pt", alone)
    with pytest.raises(UsageError, match="moved.pt: a checkpoint without post-processing; give"):
        sedkit.load(alone)
    x = noise(3, 8000)
    for rules in (experiment / "postprocessing.yaml", 0.0, "0.0"):
        assert sedkit.load(alone, rules).detect(x, 8000) == sedkit.load(experiment).detect(x, 8000)
    assert sedkit.load(alone, "published").detect(x, 8000) is not None
    with pytest.raises(UsageError, match="neither|nor|no such"):
        sedkit.load(alone, "publish")


def test_an_experiment_that_was_moved_needs_nothing_else(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Front end, scaler, classes and rules: of checkpoint and rules alone, in an empty place."""
    soundfile.write(tmp_path / "a.wav", noise(4, 16000), 16000)
    assert main(["detect", str(experiment), str(tmp_path / "a.wav")]) == 0
    expected = capsys.readouterr().out
    empty = tmp_path / "empty"
    (empty / "checkpoints").mkdir(parents=True)
    shutil.copy(experiment / "checkpoints/best.pt", empty / "checkpoints")
    shutil.copy(experiment / "postprocessing.yaml", empty)
    monkeypatch.chdir(empty)
    assert main(["detect", ".", str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out == expected and expected.count("\n") == 4


def test_one_exported_file_is_all_that_detection_needs(
    experiment: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "a.wav", noise(4, 16000), 16000)
    assert main(["detect", str(experiment), str(tmp_path / "a.wav")]) == 0
    expected = capsys.readouterr().out
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    experiment = shutil.copytree(experiment, tmp_path / "experiment")
    assert main(["export", str(experiment), str(folder / "dogs.pt")]) == 0
    stranger = tmp_path / "stranger.yaml"
    Postprocessing.uniform(("Ant", "Bee", "Cow"), FrameRule(threshold=0.5)).write(stranger)
    assert main(["export", str(experiment), str(folder / "x.pt"), "--postprocessing", str(stranger)]) == 1
    assert not (folder / "x.pt").exists()
    shutil.rmtree(experiment)
    monkeypatch.chdir(folder)
    capsys.readouterr()
    assert main(["detect", "dogs.pt", str(tmp_path / "a.wav")]) == 0
    assert capsys.readouterr().out == expected and expected.count("\n") == 4
    content = read_checkpoint("dogs.pt")
    assert not content.training and content.postprocessing["classes"]["Dog"]["threshold"] == 0.0
    # Other rules, in their place or in a file made from this one.
    assert main(["export", "dogs.pt", "quiet.pt", "--postprocessing", "0.999"]) == 0
    for words in (["dogs.pt", "--postprocessing", "0.999"], ["quiet.pt"]):
        assert main(["detect", *words, str(tmp_path / "a.wav")]) == 0
        assert capsys.readouterr().out.splitlines()[1:] == ["a.wav\t\t\t"]
    assert main(["export", "dogs.pt", "./dogs.pt"]) == 2


def test_an_exported_file_holds_one_network_and_needs_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = make_experiment(tmp_path / "mt/seed0", {"name": "cnn9_avg", "base_channels": 2})
    both = read_checkpoint(training / "checkpoints/best.pt")
    state = {name: x + 1 if name.endswith("fc.bias") else x for name, x in both.networks["network"].items()}
    both.networks, both.selected = {"student": both.networks["network"], "teacher": state}, "student"
    write_checkpoint(training / "checkpoints/best.pt", both)
    out = tmp_path / "teacher.pt"
    assert main(["export", str(training), str(out), "--network", "teacher"]) == 1
    assert "has no post-processing" in capsys.readouterr().err and not out.exists()
    assert main(["export", str(training), str(out), "--network", "teacher", "--postprocessing", "published"]) == 0
    one = read_checkpoint(out)
    assert list(one.networks) == ["teacher"] and one.run["network"] == "teacher"
    x = noise(3, 8000)
    np.testing.assert_array_equal(
        sedkit.load(out).scores(x, 8000).framewise,
        sedkit.load(training, "published", network="teacher").scores(x, 8000).framewise,
    )


def test_importing_sedkit_loads_no_room() -> None:
    script = (
        "import sedkit, sys; print(sorted(m for m in sys.modules if m.split('.')[0] in ('sedkit', 'numpy', 'torch')))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "['sedkit']"


def test_the_example_of_the_page_runs(
    experiment: Path,
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    page = (repository / "docs/detection.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (place,) = re.findall(r'sedkit\.load\("(.*?)"\)', example)
    shutil.copytree(experiment, tmp_path / place)
    soundfile.write(tmp_path / "yard.wav", noise(12, 22050, 2), 22050)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, "docs/detection.md", "exec"), names)
    assert capsys.readouterr().out.splitlines() == [f"{label} 0.0 12.0" for label in LABELS]
    assert names["scores"].framewise.shape[::2] == (1, 3)  # type: ignore[attr-defined]
    assert [event.label for event in names["events"]] == list(LABELS)  # type: ignore[attr-defined]


# ------------------------------------------------------------------------------- a concatenation and its parts


def shifted(events: list[tuple], seconds: float) -> list[tuple]:
    return [(label, round(a + seconds, 6), round(b + seconds, 6)) for label, a, b in events]


def test_a_concatenation_is_its_parts_where_the_windows_are_the_same() -> None:
    """Windows side by side, each transformed alone: of two parts of 3 and 2 windows exactly theirs."""
    network = predictor(CNN, ALONE, 7680)  # 15 scores of 64 ms
    parts = [noise(3 * 0.96, 8000)[:, 0], noise(2 * 0.96, 8000)[:, 0]]
    options = {"window_s": 0.96, "hop_s": 0.96}
    whole, *alone = (predict_waveforms(network, [("x", x)], **options) for x in (np.concatenate(parts), *parts))
    together = np.concatenate([one.framewise[0] for one in alone])
    np.testing.assert_allclose(whole.framewise[0], together, atol=1e-6)
    np.testing.assert_allclose(whole.clipwise, np.maximum(*(one.clipwise for one in alone)), atol=1e-6)
    # Events, where none reaches over the seam: each class at its median score.
    rules = Postprocessing(LABELS, tuple(FrameRule(float(t)) for t in np.median(together, axis=0)))
    detector = Detector(network, rules, 0.96, 0.96)
    of_parts = shifted(detector.detect(parts[0], 8000), 0) + shifted(detector.detect(parts[1], 8000), 2.88)
    inside = [event for event in of_parts if event[1] != 2.88 and event[2] != 2.88]
    of_whole = [tuple(event) for event in detector.detect(np.concatenate(parts), 8000)]
    assert len(inside) > 4 and set(inside) <= set(of_whole)


#: Frames on either side that a score of the CNN depends on: two convolutions of 3 in each of four blocks, halved after
#: three of them: (1 + 4 + 1 + 8 + 2 + 16 + 4 + 32) / 2, and the frame of the front end that sees across the seam.
_SIGHT = 34 + 2


@pytest.mark.parametrize("window_s", ["whole", None])
def test_convolutions_see_no_farther_than_their_receptive_field(window_s: str | None) -> None:
    """Beyond it scores, and events at absolute thresholds, are those of the parts; within it they are not."""
    network = predictor(CNN, SLICED, 400)
    parts = [noise(12, 8000)[:, 0], noise(16, 8000)[:, 0]]
    whole, first, second = (
        predict_waveforms(network, [("x", x)], window_s).framewise[0] for x in (np.concatenate(parts), *parts)
    )
    seam, sight = 150, -(-_SIGHT // 8)
    if window_s is None:
        # A window of four seconds every two: one reaches over the seam, and is left behind after as much.
        sight = 25
    np.testing.assert_allclose(whole[: seam - sight], first[: seam - sight], atol=2e-6)
    np.testing.assert_allclose(whole[seam + sight : seam + 200], second[sight:200], atol=2e-6)
    near = np.abs(whole[seam - sight : seam + sight] - np.concatenate([first[-sight:], second[:sight]]))
    assert near.max() > 1e-4
    rule = Postprocessing(LABELS, tuple(FrameRule(float(t)) for t in np.median(whole, axis=0)))
    detector = Detector(network, rule, window_s)
    margin_s = sight * 0.08
    of_whole = [tuple(event) for event in detector.detect(np.concatenate(parts), 8000)]
    for part, begin_s, end_s in ((parts[0], 0.0, 12.0), (parts[1], 12.0, 28.0)):
        low = begin_s + margin_s if begin_s else -1.0
        high = end_s - margin_s if end_s < 28 else 99.0
        of_part = shifted(detector.detect(part, 8000), begin_s)
        far = [event for event in of_part if event[1] > low and event[2] < high]
        assert len(far) > 10 and set(far) <= set(of_whole)


def test_normalisers_of_a_clip_act_on_a_window() -> None:
    """A loud part changes nothing in windows that do not hold it: of every window its own loudest."""
    network = predictor(CNN, replace(SLICED, log="db"), 100, {"top_db": {"db": 10.0}})
    quiet = noise(4, 8000)[:, 0]
    loud = np.concatenate([quiet, 9 * noise(2, 8000)[:, 0]])
    options = {"window_s": 1.0, "hop_s": 1.0}
    a, b = (predict_waveforms(network, [("x", x)], **options).framewise[0] for x in (quiet, loud))
    np.testing.assert_allclose(a[:36], b[:36], atol=1e-6)
