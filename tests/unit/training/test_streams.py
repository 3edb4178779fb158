"""Windows of recordings: which there are, their features, and what augmentation and views make of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_recordings import ALONE, FIVE, FRONTEND, RATE

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.features.augment.steps import quiet_stretches
from sedkit.features.frontends import FrontEnd
from sedkit.features.normalise import Normalisation
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.registry import build_objective
from sedkit.training.batches import Batches
from sedkit.training.selection import evaluate
from sedkit.training.settings import StreamSettings
from sedkit.training.streams import Stream, StreamReader

MAPPED = {"map": "esc50_desed", "others": False}
DENSE = {"length_s": 1.0, "hop_s": 0.1}
SCENES = {"set": "target/synthetic", "window": {"length_s": 1.0, "hop_s": 0.5}}


def load(root: Path, settings: dict[str, Any], frontend: FrontEnd = FRONTEND, folds: Any = None) -> Stream:
    settings = {"set": "source/esc50", "window": DENSE, "labels": MAPPED} | settings
    reader = StreamReader(root, frontend, 3)
    reader.labels = Vocabulary(FIVE)
    stream = typed(settings, StreamSettings, "data.streams.test")
    return reader.read("test", 0, stream, [stream.set], folds)


def whole(stream: Stream, step: int = 0, rows: Any = (0, 22, 44, 66)) -> Any:
    """Some windows of a stream as training sees them before normalisation."""
    return stream.augmented(stream.read(np.array(rows), augmented=True), step)


def test_windows_and_their_classes(root: Path) -> None:
    stream = load(root, {})
    assert len(stream) == 5 * 21
    batch = stream.read(np.array([0, 21]))
    assert batch.features.shape == (2, 100, 16)
    assert batch.n_frames.tolist() == [100, 100]
    assert batch.clip_target.tolist() == [[0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
    assert batch.frame_target is None and batch.waveform is None
    everything = load(root, {"labels": {"map": "esc50_desed"}})
    assert len(everything) == 6 * 21
    assert not everything.read(np.array([125])).clip_target.any()


@pytest.mark.parametrize("source", ["features", "waveforms"])
@pytest.mark.parametrize("frontend", [FRONTEND, ALONE])
def test_padding_is_left_out(root: Path, frontend: FrontEnd, source: str) -> None:
    if frontend is ALONE and source == "features":
        return
    stream = load(root, {"window": DENSE | {"silence_db": 60.0}, "source": source}, frontend)
    windows = stream.sets[0].windows
    starts = windows.onset_s()[windows.recording == 0]
    # The first clip falls silent at 1.2 s; the frame there still sees a little of what was before.
    assert starts.max() == pytest.approx(1.2 if source == "features" else 1.1)
    assert (np.bincount(windows.recording)[1:] == 21).all()


def test_folds_keep_clips_apart(root: Path) -> None:
    one, other = (load(root, {}, folds=folds).clips() for folds in (["1", "2"], ["3", "4", "5"]))
    assert one and other and not one & other


def test_without_a_window_the_clip_is_the_window(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load(root, {"window": None}).read(np.array([0])).features.shape == (1, 300, 16)
    caplog.set_level("INFO", logger="sedkit")
    short = load(root, {"window": None, "source": "waveforms"}, replace(FRONTEND, clip_s=2.0))
    assert short.length == 200 and len(short) == 5
    assert "5 recordings are longer than 2 s: their beginning is used" in caplog.text
    # Shorter recordings are padded, and what is padding is known.
    long = load(root, {"window": None, "source": "waveforms"}, replace(FRONTEND, clip_s=5.0)).read(np.array([0]))
    assert (long.features.shape[1], long.n_frames.tolist()) == (500, [300])


def test_waveforms_give_the_features_that_are_stored(root: Path) -> None:
    """Those of the extraction, computed on whole recordings, are the judge."""
    stored, computed = (load(root, {"source": source}) for source in ("features", "waveforms"))
    rows = np.arange(0, 105, 7)
    torch.testing.assert_close(stored.read(rows).features, computed.read(rows).features, atol=1e-3, rtol=0)


def test_windows_on_their_own_are_those_of_librosa(root: Path) -> None:
    import librosa
    import soundfile

    stream = load(root, {"source": "waveforms"}, replace(ALONE, log="none"))
    y, _ = soundfile.read(root / "audio/1-0-A.wav", dtype="float32")
    expected = librosa.feature.melspectrogram(
        y=y[1600 : 1600 + RATE], sr=RATE, n_fft=512, hop_length=160, n_mels=16, fmin=0.0, pad_mode="reflect"
    )
    features = stream.read(np.array([1])).features[0].numpy()
    np.testing.assert_allclose(features, expected.T[: len(features)], rtol=1e-3)
    assert len(features) == 100


CHANGES = {
    "gain": {"level_db": [-30.0, -3.0]},
    "noise": {"snr_db": [0.0, 10.0]},
    "speed": {"factor": [0.8, 0.9]},
    "pitch": {"semitones": [2.0, -2.0]},
    "background": {"set": "target/synthetic", "snr_db": [0.0, 9.0]},
    "mixup": {"alpha": 0.5, "hard": True},
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_depend_on_seed_and_step_alone(root: Path, change: str) -> None:
    stream = load(root, {"source": "waveforms", "augment": {change: CHANGES[change]}})
    first, again, later = (whole(stream, step) for step in (3, 3, 4))
    plain = stream.read(np.array([0, 22, 44, 66]))
    assert first.waveform is None and first.features.shape == plain.features.shape
    assert torch.equal(first.features, again.features) and torch.equal(first.clip_target, again.clip_target)
    assert not torch.equal(first.features, plain.features)
    assert not torch.equal(first.features, later.features)
    assert (first.clip_target >= plain.clip_target).all()


@pytest.mark.parametrize(("target", "frontend"), [("clip", FRONTEND), ("clip", ALONE), ("frame", FRONTEND)])
def test_a_speed_change_moves_event_labels(root: Path, target: str, frontend: FrontEnd) -> None:
    """Twice as fast, a window of 1 s shows 2 s of x.wav: Dog in [0.4, 0.8) is at [0.2, 0.4), Cat comes in from 1.2 s.

    The sound moves with them: what is heard of each frame is what was heard of two.
    """
    settings = {"source": "waveforms", "labels": {"target": target}, **SCENES}
    fast = load(root, settings | {"augment": {"speed": {"factor": [2.0, 2.0]}}}, frontend)
    plain, moved = load(root, settings, frontend).read(np.array([0])), whole(fast, rows=[0])
    assert plain.clip_target.tolist() == [[0, 0, 1, 0, 0]]
    assert moved.clip_target.tolist() == [[0, 1, 1, 0, 0]]
    assert moved.features.shape == (1, 100, 16)
    if target == "clip":
        assert moved.frame_target is None, "nobody asked for frames"
        return
    assert np.flatnonzero(plain.frame_target[0, :, 2]).tolist() == list(range(40, 80))
    assert moved.frame_target.shape == (1, 100, 5)
    assert np.flatnonzero(moved.frame_target[0, :, 2]).tolist() == list(range(20, 40))
    assert np.flatnonzero(moved.frame_target[0, :, 1]).tolist() == list(range(60, 80))
    assert moved.frame_target.sum() == 40


def test_clip_labels_stay_clip_labels_whatever_is_done_to_the_sound(root: Path) -> None:
    settings = {"source": "waveforms", "augment": {"noise": {"snr_db": [9, 9]}}, **SCENES}
    stream = load(root, settings | {"labels": {"least_s": 0.1}})
    assert whole(stream, rows=[0]).frame_target is None and stream.read(np.array([0])).frame_target is None


@pytest.fixture
def viewed(root: Path) -> Stream:
    return load(root, {"views": {"teacher": {"amplitude_noise": {"std": 1.0}}, "same": {}}})


def batches(stream: Stream) -> Batches:
    return Batches({"test": stream}, {"test": 4}, 7, Normalisation.from_section({}, 16), torch.device("cpu"))


def test_views_of_the_same_windows(viewed: Stream) -> None:
    steps = list(batches(viewed).iterate(0, 3))
    default, teacher, again, same = (steps[1].view(name)["test"] for name in (None, "teacher", "teacher", "same"))
    assert torch.equal(default.features, steps[1].view(None)["test"].features)
    assert not torch.equal(teacher.features, default.features)
    assert torch.equal(teacher.features, again.features)
    assert torch.equal(same.features, default.features)
    assert torch.equal(teacher.clip_target, default.clip_target)
    # A step on its own sees what it saw in its turn.
    (alone,) = batches(viewed).iterate(1, 2)
    assert torch.equal(alone.view(None)["test"].features, default.features)
    assert torch.equal(alone.view("teacher")["test"].features, teacher.features)


def test_a_view_that_no_stream_has_is_refused(viewed: Stream) -> None:
    (step,) = batches(viewed).iterate(0, 1)
    with pytest.raises(UsageError, match="no stream has a view 'teecher' .did you mean \"teacher\""):
        step.view("teecher")


class AnswersDog(SedModel):
    """Hears a dog from 0.4 to 0.8 s in every window."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        framewise = self.bias + torch.zeros(len(x), x.shape[1], 5)
        framewise[:, 40:80, 2] = 1.0
        return SedOutput(framewise.amax(dim=1), framewise)


@pytest.mark.parametrize("frontend", [FRONTEND, ALONE])
def test_figures_of_events_know_where_a_frame_lies(root: Path, frontend: FrontEnd) -> None:
    """Dog: one hit, one false alarm, F1 = 2/3; Cat: missed, 0; the other classes do not occur."""
    settings = {"set": "target/synthetic", "source": "waveforms", "window": {"length_s": 4.0}, "labels": {}}
    chain, objective = Normalisation.from_section({}, 16), build_objective({"name": "clip_bce"})
    figures = evaluate(
        AnswersDog(), load(root, settings, frontend), chain, objective, torch.float32, FIVE, ["event_f1"]
    )
    assert figures["event_f1"] == pytest.approx(1 / 3)


def test_blocks_do_not_overlap(root: Path) -> None:
    assert sum(len(features) for features, _ in load(root, {}).blocks()) == 5 * 3


def test_quiet_stretches_hold_no_event(root: Path) -> None:
    scenes = DataDir(root / "target/synthetic")
    stretches = quiet_stretches(scenes, RATE, 1.0)
    assert sorted(round(len(x) / RATE, 2) for x in stretches) == [2.4, 4.0]
    with pytest.raises(SedkitError, match="no stretch of 5.00 s"):
        quiet_stretches(scenes, RATE, 5.0)
    with pytest.raises(UsageError, match="has no events"):
        quiet_stretches(DataDir(root / "source/esc50"), RATE, 1.0)


@pytest.mark.parametrize(
    ("settings", "frontend", "message"),
    [
        (
            {"source": "waveforms"},
            replace(FRONTEND, hop_samples=512),
            "window.length_s of 1 s is 31.25 frames of 512 s",
        ),
        ({"window": {"length_s": 0.001}}, FRONTEND, "0.10 frames of 160 samples"),
        ({"window": {"length_s": 9.0, "silence_db": 60.0}, "labels": {"map": "esc50_desed"}}, FRONTEND, None),
        ({"augment": {"noise": {"snr_db": [0, 9]}}}, FRONTEND, "noise changes waveforms, expected source: waveforms"),
        ({"views": {"t": {"gain": {"level_db": [0, 9]}}}, "source": "waveforms"}, FRONTEND, "gain changes waveforms"),
    ],
)
def test_errors_name_what_is_wrong(root: Path, settings: dict, frontend: FrontEnd, message: str | None) -> None:
    if message is None:
        # Longer than every recording: one window each, padded.
        assert load(root, settings, frontend).read(np.array([5])).n_frames.tolist() == [300]
        return
    with pytest.raises((SedkitError, UsageError), match=message):
        load(root, settings, frontend)
