"""Scores of windows put together: a network whose scores are known by hand, and real ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_data import BINS
from hypothesis import given
from hypothesis import strategies as st
from networks import ALONE, SLICED, predictor

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.windows import Windows
from sedkit.evaluation.inputs import align
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.features.frontends import FrontEnd, frontend_from
from sedkit.features.sources import StoredFeatures
from sedkit.inference.clips import Clips
from sedkit.inference.predict import predict_clips, predict_waveforms
from sedkit.inference.predictor import Predictor
from sedkit.inference.tiling import Tiling
from sedkit.postprocessing.decode import decode
from sedkit.postprocessing.rules import FrameRule, Postprocessing

#: 64 frames a second, clips of 10 s.
CLIPS = frontend_from({"name": "logmel", "n_mels": 4})


def ramp(n: int) -> np.ndarray:
    """(n, 4) features that say which frame they are, between 0 and 1."""
    return np.repeat((np.arange(n, dtype=np.float32) / 4000)[:, None], 4, axis=1)


def clips_of(features: list[np.ndarray], durations_s: list[float], frontend: FrontEnd) -> Clips:
    """Recordings of given features; `durations_s` says how much of them is real."""
    longest = max(map(len, features))
    rows = [np.pad(x, ((0, longest - len(x)), (0, 0)), constant_values=frontend.padding) for x in features]
    n_frames = np.array([frontend.valid_frames(s) for s in durations_s])
    source = StoredFeatures(np.stack(rows), np.arange(len(rows)), n_frames, frontend)
    return Clips(source, tuple(f"{i}.wav" for i in range(len(rows))), np.array(durations_s))


def mean_network(frontend: FrontEnd, window: int, pooling: int, only: bool = False) -> Predictor:
    """Its scores are the means of its frames."""
    model = {"name": "tests_mean", "pooling": pooling, "input_frames": window if only else None}
    return predictor(model, replace(frontend, n_mels=4) if frontend.n_bins != 4 else frontend, window)


def means(n: int, pooling: int) -> np.ndarray:
    """What `ramp(n)` gives in frames of `pooling`."""
    return ramp(n)[:, 0].reshape(-1, pooling).mean(axis=1)


@pytest.mark.parametrize("duration_s", [10.0, 15.0, 22.5])
@pytest.mark.parametrize(
    "options", [{}, {"window_s": "whole"}, {"window_s": 3.0}, {"window_s": 2.0, "hop_s": 0.5}, {"hop_s": 10}], ids=str
)
def test_a_clip_is_scored_to_its_end(duration_s: float, options: dict[str, Any]) -> None:
    n = round(duration_s * 64)
    scores = predict_clips(
        mean_network(CLIPS, 640, 8), clips_of([ramp(n)], [duration_s], CLIPS), batch_size=2, **options
    )
    assert scores.n_frames.tolist() == [n // 8] and scores.edges(0)[-1] == duration_s
    np.testing.assert_allclose(scores.framewise[0, :, 1], means(n, 8), rtol=1e-6)
    np.testing.assert_allclose(scores.clipwise[0], means(n, 8).max(), rtol=1e-6)


def windows_of(network: Predictor, n_frames: list[int], **options: Any) -> Windows:
    """The windows that recordings are cut into."""
    source = clips_of([ramp(n) for n in n_frames], [n / 64 for n in n_frames], network.frontend).source
    return Tiling.of(network, max(n_frames), **options).windows(source, network.frontend)


@pytest.mark.parametrize(
    ("n_frames", "options", "first", "length"),
    [
        # 10.02 s; 3 frames are 47 ms.
        (642, {}, [0], 640),
        (643, {}, [0], 640),
        (644, {}, [0, 320], 640),
        (960, {}, [0, 320], 640),
        (961, {}, [0, 320], 640),
        (964, {}, [0, 320, 640], 640),
        (20, {}, [0], 640),
        (964, {"window_s": "whole"}, [0], 968),
        (20, {"window_s": "whole"}, [0], 640),
        # On the network's frames.
        (640, {"window_s": 3.3}, [0, 104, 208, 312, 416, 520], 216),
        (640, {"window_s": 5.0, "hop_s": 2.45}, [0, 152, 304, 456], 320),
    ],
)
def test_windows_are_laid(n_frames: int, options: dict[str, Any], first: list[int], length: int) -> None:
    windows = windows_of(mean_network(CLIPS, 640, 8), [n_frames], **options)
    assert windows.first.tolist() == first and windows.length == length
    assert (windows.valid == np.minimum(n_frames - windows.first, length)).all()


def test_one_window_of_ten_seconds_is_enough_for_a_little_more() -> None:
    scores = predict_clips(mean_network(CLIPS, 640, 8), clips_of([ramp(642)], [10.02], CLIPS))
    assert scores.n_frames.tolist() == [80]
    np.testing.assert_allclose(scores.framewise[0, :, 0], means(640, 8), rtol=1e-6)


def test_short_clips_end_where_they_end() -> None:
    """20 frames, then silence: the third of the scores stands for 4 frames of sound and 4 of silence."""
    quiet = replace(CLIPS, log="none")
    scores = predict_clips(
        mean_network(quiet, 640, 8), clips_of([ramp(20), ramp(640)], [20 / 64, 10.0], quiet), batch_size=1
    )
    assert scores.n_frames.tolist() == [3, 80]
    expected = np.concatenate([ramp(20)[:, 0], np.zeros(4)]).reshape(3, 8).mean(axis=1)
    np.testing.assert_allclose(scores.framewise[0, :3, 2], expected, rtol=1e-6)
    assert not scores.framewise[0, 3:].any() and scores.edges(0)[-1] == 20 / 64


def test_windows_count_most_in_their_middle() -> None:
    network = predictor({"name": "cnn9_avg", "base_channels": 2})
    x = np.random.default_rng(1).normal(0, 1, (96, BINS)).astype(np.float32)
    scores = predict_clips(network, clips_of([x], [3.0], network.frontend), batch_size=1)
    clips, frames = network.score(np.stack([x[:64], x[32:]]), np.array([64, 64]))
    weight = np.array([7, 5, 3, 1])[:, None] / 8
    expected = np.concatenate([frames[0, :4], weight * frames[0, 4:] + weight[::-1] * frames[1, :4], frames[1, 4:]])
    np.testing.assert_allclose(scores.framewise[0], expected, atol=1e-6)
    np.testing.assert_allclose(scores.clipwise[0], clips.max(axis=0), atol=1e-6)
    # One window is the network itself.
    one = predict_clips(network, clips_of([x[:64]], [2.0], network.frontend))
    np.testing.assert_array_equal(one.framewise[0], network.score(x[None, :64], np.array([64]))[1][0])


@pytest.mark.parametrize(("hop_s", "unit"), [(0.5, 50), (0.1, 10), (0.25, 25), (1.0, 100), (None, 100)])
@pytest.mark.parametrize("duration_s", [3.0, 2.4, 0.3])
def test_a_frame_is_the_mean_of_the_windows_that_cover_it(hop_s: float | None, unit: int, duration_s: float) -> None:
    frontend = replace(SLICED, n_mels=4, log="none")
    n = round(duration_s * 100)
    scores = predict_clips(
        mean_network(frontend, 100, 100, only=True), clips_of([ramp(n)], [duration_s], frontend), hop_s=hop_s
    )
    first = np.arange(0, max(n - 100, 0) + unit, unit) if n > 100 else np.array([0])
    first = first[: 1 + max(0, -(-(n - 100) // unit))]
    sound = np.concatenate([ramp(n)[:, 0], np.zeros(200)])
    each = np.array([sound[f : f + 100].mean() for f in first])
    covering = [[f <= k * unit < f + 100 for f in first] for k in range(-(-n // unit))]
    assert scores.n_frames.tolist() == [len(covering)]
    np.testing.assert_allclose(scores.framewise[0, :, 0], [each[c].mean() for c in covering], rtol=1e-6)
    np.testing.assert_allclose(scores.edges(0), np.minimum(np.arange(len(covering) + 1) * unit / 100, duration_s))
    np.testing.assert_allclose(scores.clipwise[0], each.max(), rtol=1e-6)


#: Silence is 0: in one bin for each class, 100 frames a second.
CLASSES = ("Alarm", "Cat", "Dog", "Water", "Vacuum")
TEN_MS = replace(SLICED, n_mels=5, log="none")


def heard(events: Events, durations_s: list[float]) -> tuple[Scores, Events]:
    """Scores, and events at 0.5, of a network that knows what each second of its recordings holds."""
    model = {"name": "tests_mean", "pooling": 100, "input_frames": 100, "bins_are_classes": True}
    network = predictor(model, TEN_MS, 100, labels=CLASSES)
    frames = [max(1, TEN_MS.grid.n_frames(s)) for s in durations_s]
    rolls = np.zeros((len(durations_s), max(frames), 5), np.float32)
    for clip, label, onset_s, offset_s in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        rolls[clip, round(onset_s * 100) : round(offset_s * 100), label] = 1
    clips = clips_of([roll[:n] for roll, n in zip(rolls, frames, strict=True)], durations_s, TEN_MS)
    scores = predict_clips(network, clips)
    return scores, decode(scores, Postprocessing.uniform(CLASSES, FrameRule(threshold=0.5)))


@st.composite
def annotated_clips(draw: st.DrawFn) -> tuple[Events, list[float]]:
    """Recordings with events, in hundredths of a second."""
    rows, durations_s = [], []
    for i in range(draw(st.integers(1, 4))):
        # Up to 0.05 s are no window of their own.
        end = draw(st.integers(30, 1200).filter(lambda n: not 0 < n % 100 <= 5))
        durations_s.append(end / 100)
        rows.append((f"{i}.wav", None, None, None))
        for _ in range(draw(st.integers(0, 4))):
            onset = draw(st.integers(0, end - 1))
            offset = draw(st.integers(onset + 1, end))
            rows.append((f"{i}.wav", onset / 100, offset / 100, draw(st.sampled_from(CLASSES))))
    return Events.from_rows(rows, CLASSES), durations_s


@given(annotated_clips())
def test_who_knows_every_second_has_every_segment_right(case: tuple[Events, list[float]]) -> None:
    events, durations_s = case
    _, detected = heard(events, durations_s)
    assert (detected.offset_s <= np.array(durations_s)[detected.clip]).all()
    counts = count_segments(*align(events, detected))
    assert (counts.n_reference == counts.n_estimate).all()
    assert (counts.n_reference == counts.n_true_positives).all()
    assert counts.n_reference.sum() > 0 or events.n_events == 0


def test_neighbouring_windows_become_one_event_that_ends_with_the_clip() -> None:
    rows = [("0.wav", 0.2, 0.4, "Alarm"), ("0.wav", 1.5, 3.35, "Dog")]
    scores, detected = heard(Events.from_rows(rows, CLASSES), [3.4])
    assert scores.n_frames.tolist() == [4]
    assert list(detected.rows()) == [("0.wav", 0.0, 1.0, "Alarm"), ("0.wav", 1.0, 3.4, "Dog")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_s": 2.0}, "windows of 2 s, expected 1 s, the only ones that the network knows"),
        ({"window_s": "whole"}, "windows of 3 s, expected 1 s"),
        ({"hop_s": 0.3}, "--hop 0.3 s does not divide the network's 1 s"),
        ({"hop_s": 1.5}, "windows of 1 s every 1.5 s leave gaps"),
    ],
)
@pytest.mark.parametrize("frontend", [SLICED, ALONE], ids=["sliced", "alone"])
def test_a_network_of_one_length_refuses_other_windows(frontend: FrontEnd, options: dict, message: str) -> None:
    frames = 100 if frontend.sliceable else 126
    network = predictor(
        {"name": "tests_mean", "pooling": frames, "input_frames": frames}, frontend, frontend.window_grid.n_frames(1)
    )
    wave = np.zeros(3 * 8000, np.float32)
    with pytest.raises(UsageError, match=message):
        predict_waveforms(network, [("a", wave)], **options)
    assert predict_waveforms(network, [("a", wave)], window_s=1.0, hop_s=0.5).n_frames.tolist() == [6]


def test_a_hop_that_leaves_gaps_is_refused() -> None:
    with pytest.raises(UsageError, match="windows of 10 s every 12 s leave gaps, expected a hop of at most a window"):
        windows_of(mean_network(CLIPS, 640, 8), [1000], hop_s=12)


@pytest.mark.parametrize(
    ("model", "frontend", "window"),
    [
        # 626 frames and one score for four of them: 156 scores, of 64 ms.
        (
            {"name": "tests_mean", "pooling": 4, "input_frames": 626},
            frontend_from(
                {"name": "logmel", "sample_rate": 16000, "hop_samples": 256, "end_frame": True, "fmax_hz": None}
            ),
            626,
        ),
        # 126 frames of 8 ms a second alone: 15 scores of 64 ms.
        ({"name": "tests_mean", "pooling": 8}, ALONE, 8000),
    ],
    ids=["626 frames", "alone"],
)
def test_scores_end_with_the_last_frame_that_the_network_gives(
    model: dict[str, Any], frontend: FrontEnd, window: int
) -> None:
    network = predictor(model, replace(frontend, log="none"), window)
    seconds = window / frontend.window_grid.frame_rate_hz if not frontend.sliceable else 10.0
    waves = [
        (str(s), np.random.default_rng(0).standard_normal(round(s * frontend.sample_rate)).astype(np.float32))
        for s in (seconds, 1.5 * seconds)
    ]
    scores = predict_waveforms(network, waves)
    np.testing.assert_allclose(np.diff(scores.frame_edges_s), 0.064)
    for i, s in enumerate((seconds, 1.5 * seconds)):
        n = scores.n_frames[i]
        assert s - 0.064 < n * 0.064 < s + 0.064
        assert (scores.framewise[i, :n] > 0).all() and not scores.framewise[i, n:].any()


@pytest.mark.parametrize("frontend", [SLICED, ALONE], ids=["sliced", "alone"])
@pytest.mark.parametrize("options", [{}, {"window_s": "whole"}, {"window_s": 0.5, "hop_s": 0.2}], ids=str)
def test_arrays_are_scored_one_after_the_other(frontend: FrontEnd, options: dict[str, Any]) -> None:
    network = predictor({"name": "cnn9_avg", "base_channels": 2}, frontend, frontend.window_grid.n_frames(1))
    rng = np.random.default_rng(3)
    waves = [(f"{n}", rng.normal(0, 0.1, n).astype(np.float32)) for n in (8000, 12345, 900, 17)]
    scores = predict_waveforms(network, iter(waves), **options)
    assert scores.filenames == ("8000", "12345", "900", "17")
    np.testing.assert_array_equal(scores.duration_s, [n / 8000 for n in (8000, 12345, 900, 17)])
    for i, wave in enumerate(waves):
        alone = predict_waveforms(network, [wave], **options)
        n = scores.n_frames[i]
        assert n == alone.n_frames[0] >= 1
        np.testing.assert_array_equal(scores.framewise[i, :n], alone.framewise[0])
        np.testing.assert_array_equal(scores.edges(i), alone.edges(0))
    with pytest.raises(SedkitError, match="no recording to score"):
        predict_waveforms(network, [])


def test_labels_are_the_networks() -> None:
    network = predictor({"name": "tests_mean"}, SLICED, 100, labels=("x", "y"))
    scores = predict_waveforms(network, [("a", np.zeros(8000, np.float32))])
    assert network.labels == Vocabulary(("x", "y")) and scores.labels == ("x", "y")
