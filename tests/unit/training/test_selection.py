"""Figures that a checkpoint is chosen by: scikit-learn, sed_eval and psds_eval on the same outputs are the judges."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psds_eval
import pytest
import torch
from fake_data import FRAME_RATE_HZ, FRONTEND, LABELS
from sklearn.metrics import average_precision_score, f1_score
from torch import Tensor, nn

from sedkit.core.config import typed
from sedkit.core.errors import UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.registry import build_objective
from sedkit.training.selection import FIGURES, check_figures, evaluate
from sedkit.training.settings import StreamSettings
from sedkit.training.streams import Stream, StreamReader

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import sed_eval

POOLING = 4
WINDOW = {"length_s": 1.0, "hop_s": 0.5}


class Levels(SedModel):
    """Each class is as probable as its bins are loud; the second class answers late, the third too often."""

    time_pooling = POOLING

    def __init__(self) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor([-48.0, -36.0, -59.0]))

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        levels = torch.stack([x[:, :, 5 * c : 5 * c + 4].mean(dim=2) for c in range(3)], dim=2)
        framewise = torch.sigmoid((levels.unflatten(1, (-1, POOLING)).mean(dim=2) - self.threshold) / 5)
        return SedOutput(framewise.mean(dim=1), framewise)


def load(root: Path, name: str, window: Any = None, target: str = "clip") -> Stream:
    reader = StreamReader(root, frontend_from(FRONTEND), 0)
    reader.labels = Vocabulary(LABELS)
    settings = typed({"set": name, "window": window, "labels": {"target": target}}, StreamSettings, "data.select.x")
    return reader.read("x", 0, settings, [name], None)


def figure_of(stream: Stream, *names: str, objective: str = "clip_bce", **options: Any) -> dict[str, float]:
    chain = Normalisation.from_section({}, 16)
    built = build_objective({"name": objective})
    return evaluate(Levels().train(), stream, chain, built, torch.float32, LABELS, names, **options)


class Truth:
    """Scores and labels of every window, from the tables and the features of the set alone."""

    def __init__(self, root: Path, name: str, window: Any) -> None:
        data, file = DataDir(root / name), FeatureFile(next((root / name).glob("*.h5")))
        events = data.strong() if data.has_strong else None
        self.clip_target, self.clipwise, self.frame_target, self.framewise = [], [], [], []
        self.reference: list[tuple[str, float, float, str]] = []
        self.estimate: list[tuple[str, float, float, str]] = []
        self.durations: dict[str, float] = {}
        for i, clip in enumerate(data.clips.filename):
            row = file.filenames.index(clip)
            total, length = int(file.n_frames[row]), 64 if window is None else 32
            for first in range(0, max(total - length, 0) + 1, 64 if window is None else 16):
                x = np.full((length, 16), -100.0, np.float32)
                piece = file.features[row, first : first + length]
                x[: len(piece)] = piece
                with torch.no_grad():
                    output = Levels()(torch.from_numpy(x)[None])
                real = min(total - first, length)
                self._add(f"{len(self.durations)}.wav", output, first / FRAME_RATE_HZ, real / FRAME_RATE_HZ)
                if events is None:
                    self.clip_target.append(data.weak().present[i])
                    continue
                roll, present = np.zeros((length, 3)), np.zeros(3, dtype=bool)
                for j in np.flatnonzero(events.clip == i):
                    onset_s, offset_s = events.onset_s[j] - self.start_s, events.offset_s[j] - self.start_s
                    frames = np.arange(length)
                    # A frame is active where any of it is.
                    roll[(frames + 1 > onset_s * 32) & (frames < offset_s * 32), events.label[j]] = 1
                    if min(offset_s, self.durations[self.name]) > max(onset_s, 0.0):
                        clipped = (max(onset_s, 0.0), min(offset_s, self.durations[self.name]))
                        self.reference.append((self.name, *clipped, LABELS[events.label[j]]))
                    present[events.label[j]] |= min(offset_s, length / 32) > max(onset_s, 0.0)
                self.clip_target.append(present)
                n_out = -(-real // POOLING)
                self.frame_target.append(roll.reshape(-1, POOLING, 3).mean(axis=1)[:n_out] >= 0.5)
                self.framewise.append(output.framewise[0, :n_out].numpy())

    def _add(self, name: str, output: SedOutput, start_s: float, duration_s: float) -> None:
        self.name, self.start_s, self.durations[name] = name, start_s, duration_s
        self.clipwise.append(output.clipwise[0].numpy())
        for c in range(3):
            active = np.concatenate([[0], output.framewise[0, :, c].numpy() > 0.5, [0]]).astype(int)
            starts, ends = np.flatnonzero(np.diff(active) > 0), np.flatnonzero(np.diff(active) < 0)
            for onset_s, offset_s in zip(starts * POOLING / 32, ends * POOLING / 32, strict=True):
                if onset_s < duration_s:
                    self.estimate.append((name, onset_s, min(offset_s, duration_s), LABELS[c]))


def judged(truth: Truth, metric: str) -> float:
    """Macro F1 by sed_eval or psds_eval."""
    columns = ["filename", "onset", "offset", "event_label"]
    reference, estimate = (pd.DataFrame(rows, columns=columns) for rows in (truth.reference, truth.estimate))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if metric == "intersection":
            seconds = pd.DataFrame({"filename": list(truth.durations), "duration": list(truth.durations.values())})
            judge = psds_eval.PSDSEval(
                dtc_threshold=0.5, gtc_threshold=0.5, cttc_threshold=0.3, ground_truth=reference, metadata=seconds
            )
            return float(judge.compute_macro_f_score(estimate)[0])
        judge = (
            sed_eval.sound_event.EventBasedMetrics(
                list(LABELS), t_collar=0.2, percentage_of_length=0.2, empty_system_output_handling="zero_score"
            )
            if metric == "event"
            else sed_eval.sound_event.SegmentBasedMetrics(list(LABELS), time_resolution=1.0)
        )
        for name in truth.durations:
            judge.evaluate(*(t[t.filename == name].to_dict("records") for t in (reference, estimate)))
        return float(judge.results_class_wise_average_metrics()["f_measure"]["f_measure"])


@pytest.fixture(scope="module", params=[None, WINDOW], ids=["clips", "windows"])
def case(request: pytest.FixtureRequest, data_root: Path) -> tuple[Path, Any, Truth]:
    return data_root, request.param, Truth(data_root, "synthetic", request.param)


@pytest.mark.parametrize("metric", ["event", "segment", "intersection"])
def test_figures_of_events_are_those_of_the_judges(case: tuple[Path, Any, Truth], metric: str) -> None:
    root, window, truth = case
    expected = judged(truth, metric)
    assert 0.1 < expected < 0.95, "a figure that says something"
    stream = load(root, "synthetic", window, "frame")
    assert figure_of(stream, f"{metric}_f1")[f"{metric}_f1"] == pytest.approx(expected, abs=1e-9)
    # Another post-processing gives others.
    assert figure_of(stream, f"{metric}_f1", rules="0.9") != figure_of(stream, f"{metric}_f1")


def test_figures_of_clips_and_frames_are_scikit_learns(case: tuple[Path, Any, Truth]) -> None:
    root, window, truth = case
    stream = load(root, "synthetic", window, "frame")
    figures = figure_of(stream, "clip_map", "clip_f1", "frame_map", batch_size=7)
    target, scores = np.stack(truth.clip_target), np.stack(truth.clipwise)
    assert figures["clip_map"] == pytest.approx(average_precision_score(target, scores, average="macro"), abs=1e-6)
    f1 = f1_score(target, scores > 0.5, average="macro", zero_division=0)
    assert figures["clip_f1"] == pytest.approx(f1, abs=1e-9)
    frames = np.concatenate(truth.frame_target), np.concatenate(truth.framewise)
    assert figures["frame_map"] == pytest.approx(average_precision_score(*frames, average="macro"), abs=1e-6)


@pytest.mark.parametrize("objective", ["clip_bce", "frame_bce"])
def test_the_objectives_own_loss(data_root: Path, objective: str) -> None:
    truth, stream = Truth(data_root, "weak", None), load(data_root, "weak")
    y, p = np.stack(truth.clip_target), np.stack(truth.clipwise).astype(np.float64)
    loss = figure_of(stream, objective=objective, batch_size=7).get("loss")
    # A stream of clip labels gives no loss of frames.
    expected = -np.mean(np.where(y, np.log(p), np.log(1 - p))) if objective == "clip_bce" else None
    assert loss == (None if expected is None else pytest.approx(expected, rel=1e-5))


def test_a_figure_that_does_not_exist_is_left_out(data_root: Path) -> None:
    assert set(figure_of(load(data_root, "weak"), *FIGURES)) == {"loss", "clip_map", "clip_f1"}


def test_some_of_many_windows_are_spread_evenly_and_the_mode_stays(data_root: Path) -> None:
    stream = load(data_root, "weak")
    chosen = np.array([0, 13, 26, 39])
    truth = Truth(data_root, "weak", None)
    f1 = f1_score(
        np.stack(truth.clip_target)[chosen], np.stack(truth.clipwise)[chosen] > 0.5, average="macro", zero_division=0
    )
    assert figure_of(stream, "clip_f1", most=4)["clip_f1"] == pytest.approx(f1)
    for training in (True, False):
        network = Levels().train(training)
        chain = Normalisation.from_section({}, 16)
        evaluate(network, stream, chain, build_objective({"name": "clip_bce"}), torch.float32, LABELS, most=1)
        assert network.training is training


def test_unknown_figures_are_named() -> None:
    check_figures(FIGURES)
    with pytest.raises(UsageError, match="selection.figures: 'event_f' .did you mean \"event_f1\""):
        check_figures(["event_f"])


class Hazy(Levels):
    """As `Levels`, but each class is also heard where the one before it sounds."""

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        return super().forward(x + x.roll(5, dims=2), n_frames)


def test_figures_of_segments_are_those_of_every_threshold_in_turn(data_root: Path) -> None:
    data, file = DataDir(data_root / "synthetic"), FeatureFile(next((data_root / "synthetic").glob("*.h5")))
    events, scores, target = data.strong(), [], []
    for i, clip in enumerate(data.clips.filename):
        row = file.filenames.index(clip)
        with torch.no_grad():
            framewise = Hazy()(torch.from_numpy(file.features[row].copy())[None]).framewise[0].numpy()
        of_clip = events.clip == i
        # Eight frames of the network a second.
        for second in range(-(-int(file.n_frames[row]) // 32)):
            frames = framewise[8 * second : min(8 * second + 8, -(-int(file.n_frames[row]) // POOLING))]
            scores.append(frames.max(axis=0))
            here = of_clip & (events.onset_s < second + 1) & (events.offset_s > second)
            target.append([(here & (events.label == k)).any() for k in range(3)])
    best, areas = [], []
    for score, true in zip(np.array(scores).T, np.array(target).T, strict=True):
        tagged_at = [score >= threshold for threshold in np.unique(score)[::-1]]
        best.append(max(f1_score(true, tagged) for tagged in tagged_at))
        fpr, tpr = (np.array([tagged[side].mean() for tagged in tagged_at]) for side in (~true, true))
        areas.append((np.diff(np.minimum([*fpr, 1.0], 0.1)) * tpr).sum() / 0.1)
    stream, chain = load(data_root, "synthetic", target="frame"), Normalisation.from_section({}, 16)
    built, names = build_objective({"name": "clip_bce"}), ("segment_best_f1", "segment_pauc")
    figures = evaluate(Hazy(), stream, chain, built, torch.float32, LABELS, names)
    assert 0.4 < np.mean(best) < 0.99 and 0.1 < np.mean(areas) < 0.99
    assert figures["segment_best_f1"] == pytest.approx(np.mean(best), abs=1e-9)
    assert figures["segment_pauc"] == pytest.approx(np.mean(areas), abs=1e-9)


class Wide(Levels):
    """As `Levels`, with a first class that is everywhere and which no set is annotated for."""

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        output = super().forward(x, n_frames)
        everywhere = [torch.cat([torch.ones_like(y[..., :1]), y], dim=-1) for y in (output.clipwise, output.framewise)]
        return SedOutput(*everywhere)


def test_figures_are_those_of_the_classes_that_are_annotated(data_root: Path) -> None:
    names, classes = ("clip_map", "clip_f1", "frame_map", "segment_f1"), ("Bird", *LABELS)
    reader = StreamReader(data_root, frontend_from(FRONTEND), 0, classes=Vocabulary(classes))
    settings = typed({"set": "synthetic", "labels": {"target": "frame"}}, StreamSettings, "data.select.x")
    stream = reader.read("x", 0, settings, ["synthetic"], None)
    chain, objective = Normalisation.from_section({}, 16), build_objective({"name": "clip_bce"})
    figures = evaluate(Wide(), stream, chain, objective, torch.float32, classes, names)
    expected = figure_of(load(data_root, "synthetic", target="frame"), *names)
    assert {name: figures[name] for name in names} == pytest.approx({name: expected[name] for name in names})
