"""Figures of masks on rendered mixtures: ideal masks by librosa, figures by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import tags_of
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Options, Output, Truth
from sedkit.evaluation.metrics.segmentation import ideal_mask, mel_magnitudes
from sedkit.evaluation.parameters import MaskParameters
from sedkit.evaluation.resample import Resamples
from sedkit.features.frontends import FrontEnd
from sedkit.features.frontends.logmel import LogMel
from sedkit.synthesis.mixture_set import Mixtures

from ..synthesis.mix_case import LABELS, RATE

#: As published, but for its size: Hamming, frames that begin at their sample, magnitudes.
PUBLISHED = LogMel(
    sample_rate=RATE,
    n_fft=512,
    hop_samples=256,
    window="hamming",
    centre=False,
    spectrum="magnitude",
    n_mels=24,
    fmax_hz=None,
    log="ln",
    floor=1e-8,
    clip_s=None,
)
FRAMES = 1 + (2 * RATE - 512) // 256


@dataclass
class Fake:
    """What stands for a network: masks of a recording by a function of it."""

    masks: Callable[[np.ndarray], np.ndarray]
    frontend: FrontEnd = PUBLISHED
    labels: Vocabulary = field(default_factory=lambda: Vocabulary(LABELS))
    run: dict[str, Any] = field(default_factory=dict)

    def of(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(len(self.labels), np.float32), self.masks(waveform)


def constant(value: float) -> Fake:
    return Fake(lambda _: np.full((len(LABELS), FRAMES, 24), value, np.float32))


def scored(mixtures: Mixtures, masks: Fake, labels: tuple[str, ...] = LABELS, **settings: float) -> dict:
    events = mixtures.data.strong().keep_labels(labels)
    truth = Truth(events, tags_of(events), mixtures=mixtures)
    return evaluate(truth, Output(masks=masks), ["segmentation"], Options(settings))["segmentation"]


def ideal(mixtures: Mixtures, name: str) -> np.ndarray:
    """Ideal masks of a mixture by librosa and by hand, (classes, frames, bins)."""
    bank = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=24, fmin=50, fmax=RATE / 2)

    def spectrum(x: np.ndarray) -> np.ndarray:
        frames = librosa.util.frame(x.astype(np.float64), frame_length=512, hop_length=256).T * np.hamming(512)
        return np.abs(np.fft.rfft(frames)) @ bank.T

    stems, events = mixtures.stems(name), mixtures.data.strong()
    scene = spectrum(stems["scene"])
    out = np.zeros((len(LABELS), FRAMES, 24), bool)
    clip = events.filenames.index(name)
    for i in np.flatnonzero(events.clip == clip):
        label = events.labels[events.label[i]]
        above = 20 * np.log10(spectrum(stems[label]) / (scene + 1e-8) + 1e-8) > -5
        first, stop = int(events.onset_s[i] * RATE / 256), int(np.ceil(events.offset_s[i] * RATE / 256))
        out[LABELS.index(label), first:stop] |= above[first:stop]
    return out


@pytest.fixture(scope="module")
def mixtures(rendered: Path) -> Mixtures:
    return Mixtures.open(rendered)


@pytest.fixture(scope="module")
def truth(mixtures: Mixtures) -> np.ndarray:
    """Ideal bins of all mixtures by class, (classes, bins)."""
    bins = np.stack([ideal(mixtures, name) for name in mixtures.data.clips.filename], axis=1)
    return bins.reshape(len(LABELS), -1)


def test_equal_magnitudes_are_of_the_class_and_what_is_5_db_below_is_not() -> None:
    """Spec 9: equality of magnitudes gives 1; silence is nobody's."""
    scene = np.array([0.2, 1.0, 1.0, 0.0, 0.0])
    below = 10 ** (np.array([0.0, -4.99, -5.01, 0.0, -np.inf]) / 20)
    assert ideal_mask(below * np.array([0.2, 1, 1, 1e-3, 1]), scene).tolist() == [True, True, False, True, False]


def test_any_logmel_gives_magnitudes_through_its_own_mel_matrix() -> None:
    x = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    expected = np.exp(PUBLISHED.transform(x)) - 1e-8
    np.testing.assert_allclose(mel_magnitudes(PUBLISHED, x), expected, rtol=1e-4)
    power = replace(PUBLISHED, spectrum="power", log="db", floor=1e-10)
    np.testing.assert_array_equal(mel_magnitudes(power, x), mel_magnitudes(PUBLISHED, x))


def test_masks_of_every_bin_and_of_none_have_the_figures_of_a_hand_calculation(
    mixtures: Mixtures, truth: np.ndarray
) -> None:
    share = truth.mean(axis=1)
    every, none = (scored(mixtures, constant(value)) for value in (1.0, 0.0))
    for k, label in enumerate(LABELS):
        p = share[k]
        assert 0 < p < 1
        assert every["classes"][label] == {
            "f1": pytest.approx(2 * p / (1 + p)),
            "precision": pytest.approx(p),
            "recall": 1.0,
            "average_precision": pytest.approx(p),
            "roc_auc": 0.5,
            "n_reference": truth[k].sum(),
            "n_estimate": truth[k].size,
            "n_true_positives": truth[k].sum(),
        }
        got = none["classes"][label]
        assert [got[name] for name in ("f1", "precision", "recall", "n_estimate", "roc_auc")] == [0, 0, 0, 0, 0.5]
        assert got["average_precision"] == pytest.approx(p)
    assert every["macro"]["f1"] == pytest.approx(np.mean(2 * share / (1 + share)))
    assert every["micro"]["precision"] == pytest.approx(truth.mean())
    # All bins are equal, so nothing is lost by counting them.
    assert every["error_bounds"] == none["error_bounds"] == {"average_precision": 0.0, "roc_auc": 0.0}


def test_ideal_masks_are_perfect(mixtures: Mixtures) -> None:
    by_sound = {mixtures.mixture(name).tobytes(): name for name in mixtures.data.clips.filename}
    block = scored(mixtures, Fake(lambda x: ideal(mixtures, by_sound[x.tobytes()]).astype(np.float32)))
    for name in ("f1", "precision", "recall", "average_precision", "roc_auc"):
        assert block["macro"][name] == block["micro"][name] == 1.0


def test_figures_over_all_bins_of_all_clips_are_those_of_scikit_learn(mixtures: Mixtures, truth: np.ndarray) -> None:
    """Random masks, some in each of three places near 0, in the middle and near 1; scored clip by clip."""
    drawn: list[np.ndarray] = []

    def masks(_: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(len(drawn))
        x = rng.random((len(LABELS), FRAMES, 24))
        drawn.append(np.select([x < 0.3, x > 0.7], [x**9, 1 - (1 - x) ** 9], x).astype(np.float32))
        return drawn[-1]

    block = scored(mixtures, Fake(masks), mask_threshold=0.4)
    score = np.stack(drawn, axis=1).reshape(len(LABELS), -1)
    bounds = block["error_bounds"]
    assert max(bounds.values()) < 2e-3
    for k, label in enumerate(LABELS):
        got = block["classes"][label]
        expected = precision_recall_fscore_support(truth[k], score[k] > 0.4, average="binary")[:3]
        assert (got["precision"], got["recall"], got["f1"]) == pytest.approx(expected)
        ap, auc = average_precision_score(truth[k], score[k]), roc_auc_score(truth[k], score[k])
        assert abs(got["average_precision"] - ap) <= bounds["average_precision"]
        assert abs(got["roc_auc"] - auc) <= bounds["roc_auc"]
    ap = average_precision_score(truth.ravel(), score.ravel())
    assert abs(block["micro"]["average_precision"] - ap) <= bounds["average_precision"]


def test_classes_that_the_clips_or_the_masks_lack(mixtures: Mixtures) -> None:
    events = mixtures.data.strong()
    without = [n for i, n in enumerate(events.filenames) if "Bark" not in _labels_of(events, i)]
    fewer = replace(mixtures)
    some = events.keep_clips(without)
    results = evaluate(Truth(some, tags_of(some), mixtures=fewer), Output(masks=constant(1.0)), ["segmentation"])
    block = results["segmentation"]
    assert block["clips"] == len(without)
    assert set(block["classes"]["Bark"].values()) == {None, 0, len(without) * FRAMES * 24}
    assert block["left_out_of_macro"] == ["Bark"]
    only = Fake(lambda _: np.ones((1, FRAMES, 24), np.float32), labels=Vocabulary(("Bark",)))
    block = scored(mixtures, only)
    assert [block["classes"][x]["recall"] for x in LABELS] == [1.0, 0.0, 0.0, 0.0]


def _labels_of(events: Any, clip: int) -> set[str]:
    return {events.labels[k] for k in events.label[events.clip == clip]}


def test_some_clips_stand_for_all(mixtures: Mixtures, truth: np.ndarray) -> None:
    names = tuple(f"{i}" for i in range(10))
    assert MaskParameters(4).chosen(names) == ("0", "2", "5", "7")
    assert MaskParameters(20).chosen(names) == MaskParameters().chosen(names) == names
    block = scored(mixtures, constant(1.0), mask_clips=3)
    assert (block["clips"], block["parameters"]["clips"]) == (3, 3)
    bins = truth.reshape(len(LABELS), 12, -1)[:, [0, 4, 8]]
    assert [block["classes"][x]["n_reference"] for x in LABELS] == bins.sum(axis=(1, 2)).tolist()


def test_ideal_masks_are_computed_once_and_take_little(mixtures: Mixtures, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = replace(mixtures, kept={})
    first = scored(fresh, constant(1.0))
    # A bit a bin, where a class is active alone: at most 3 classes of 2 s in each of 12 mixtures.
    assert 0 < sum(bits.nbytes for bits in fresh.kept.values()) <= 12 * 3 * FRAMES * 24 / 8 + 12 * 3
    monkeypatch.setattr(Mixtures, "stems", lambda *_: 1 / 0)
    assert scored(fresh, constant(1.0)) == first
    # Another size of bins has masks of its own.
    coarse = Fake(lambda _: np.ones((4, FRAMES, 12), np.float32), replace(PUBLISHED, n_mels=12))
    with pytest.raises(ZeroDivisionError):
        scored(fresh, coarse)


def test_magnitudes_of_some_frames_are_those_of_all() -> None:
    x = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    for frontend in (PUBLISHED, replace(PUBLISHED, centre=True), replace(PUBLISHED, clip_s=3.0)):
        whole = mel_magnitudes(frontend, x)
        for first, stop in ((0, 3), (7, 20), (whole.shape[1] - 2, whole.shape[1])):
            np.testing.assert_allclose(mel_magnitudes(frontend, x, (first, stop)), whole[:, first:stop], rtol=1e-6)


def test_intervals_are_of_f1(mixtures: Mixtures) -> None:
    events = mixtures.data.strong()
    truth = Truth(events, tags_of(events), mixtures=mixtures)
    results = evaluate(truth, Output(masks=constant(1.0)), ["segmentation"], resamples=Resamples.of(truth, 100))
    low, high = results["segmentation"]["macro"]["interval"]
    assert low < results["segmentation"]["macro"]["f1"] < high


def test_what_is_missing_is_named(mixtures: Mixtures) -> None:
    events = mixtures.data.strong()
    tags = tags_of(events)
    for truth, output, message in (
        (Truth(events, tags), Output(), "needs --experiment and --mixtures"),
        (Truth(events, tags), Output(masks=constant(0)), "segmentation needs --mixtures"),
        (Truth(events, tags, mixtures=mixtures), Output(), "segmentation needs --experiment"),
        (Truth(None, tags, mixtures=mixtures), Output(masks=constant(0)), "is a weak table"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(truth, output, ["segmentation"])
    other = replace(events, labels=("Bark", "Chime", "Cough", "Oboe"))
    with pytest.raises(SedkitError, match="has no stem of Oboe"):
        evaluate(Truth(other, tags_of(other), mixtures=mixtures), Output(masks=constant(0)), ["segmentation"])


def test_a_front_end_without_a_mel_matrix_is_refused() -> None:
    class Other:
        name = "waves"

    with pytest.raises(SedkitError, match="waves has no mel matrix"):
        mel_magnitudes(Other(), np.zeros((1, 8), np.float32))
