"""Figures of frames: TimeGrid tells what is active, scikit-learn the figures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from sedkit.core.errors import UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import metrics_named
from sedkit.evaluation.metrics.frame import Activity
from sedkit.evaluation.resample import Resamples

GRID = TimeGrid(32000, 1024)


def scored(clips: int = 6, labels: tuple[str, ...] = ("a", "b", "c"), seed: int = 0) -> tuple[Events, Scores]:
    """Clips of 2 s with random scores, of class c no event."""
    rng = np.random.default_rng(seed)
    names = tuple(f"{i}.wav" for i in range(clips))
    rows = [(n, on, on + 0.5, str(rng.choice(["a", "b"]))) for n in names for on in rng.random(2)]
    framewise = rng.random((clips, 20, len(labels)))
    scores = Scores(
        framewise,
        np.full(clips, 20),
        np.full(clips, 2.0),
        np.arange(21) / 10,
        names,
        labels,
        clipwise=rng.random((clips, len(labels))),
    )
    return Events.from_rows(rows, ("a", "b", "c")), scores


def figures_of(events: Events, scores: Scores, **settings: float) -> dict:
    truth = Truth(events, tags_of(events), dict.fromkeys(events.filenames, 2.0))
    return evaluate(truth, Output(scores=scores), ["frame"], Options(settings))["frame_based"]


def roll(events: Events) -> np.ndarray:
    """Frames of a tenth of a second, one by one."""
    out = np.zeros((len(events.filenames), 20, len(events.labels)), bool)
    for clip, k, on, off in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        for t in range(20):
            out[clip, t, k] |= on < (t + 1) / 10 and off > t / 10
    return out


def test_published_slots_begin_at_known_frames() -> None:
    """Onsets at 0.5, 3.0 and 5.5 s, 311 frames of 32 ms: spec 9."""
    events = Events.from_rows([("x", on, on + 2, "k") for on in (0.5, 3.0, 5.5)])
    active = Activity(events).frames("x", GRID.edges_s(311))[:, 0]
    assert np.flatnonzero(np.diff(active.astype(int)) > 0).tolist() == [14, 92, 170]
    assert np.flatnonzero(np.diff(active.astype(int)) < 0).tolist() == [78, 156, 234]


@given(st.integers(0, 12_000_000), st.integers(1, 4_000_000))
def test_active_frames_are_those_of_the_time_grid(onset_us: int, length_us: int) -> None:
    onset_s, offset_s = onset_us / 1e6, (onset_us + length_us) / 1e6
    active = Activity(Events.from_rows([("x", onset_s, offset_s, "k")])).frames("x", GRID.edges_s(311))[:, 0]
    first, stop = GRID.span(onset_s, offset_s)
    assert np.flatnonzero(active).tolist() == list(range(first, min(stop, 311)))


@pytest.mark.parametrize("gate", [0.0, 0.5])
def test_figures_are_those_of_scikit_learn(gate: float) -> None:
    events, scores = scored()
    block = figures_of(events, scores, frame_threshold=0.4, frame_gate=gate)
    target = roll(events).reshape(-1, 3)
    score = scores.framewise * (scores.clipwise[:, None] > gate)
    score = score.astype(np.float32).reshape(-1, 3)
    for k, label in enumerate("ab"):
        p, r, f, _ = precision_recall_fscore_support(target[:, k], score[:, k] > 0.4, average="binary", zero_division=0)
        mine = block["classes"][label]
        assert (mine["precision"], mine["recall"], mine["f1"]) == pytest.approx((p, r, f))
        ap, auc = average_precision_score(target[:, k], score[:, k]), roc_auc_score(target[:, k], score[:, k])
        assert mine["average_precision"] == pytest.approx(ap, abs=block["error_bounds"]["average_precision"] + 1e-12)
        assert mine["roc_auc"] == pytest.approx(auc, abs=block["error_bounds"]["roc_auc"] + 1e-12)
    for name in ("f1", "average_precision", "roc_auc"):
        assert block["macro"][name] == pytest.approx(np.mean([block["classes"][x][name] for x in "ab"]))
    micro = average_precision_score(target.ravel(), score.ravel())
    assert block["micro"]["average_precision"] == pytest.approx(micro, abs=0.01)
    assert block["error_bounds"]["average_precision"] < 0.02


def test_a_class_that_the_reference_lacks_has_no_figures() -> None:
    events, scores = scored()
    block = figures_of(events, scores)
    names = ("f1", "precision", "recall", "average_precision", "roc_auc")
    assert [block["classes"]["c"][name] for name in names] == [None] * 5
    assert block["left_out_of_macro"] == ["c"]
    # All pairs of frame and class are one list for micro averages: false frames of c count there.
    assert block["micro"]["n_estimate"] == int((scores.framewise > 0.2).sum())


def test_a_class_that_is_never_found_counts_as_0() -> None:
    events, scores = scored()
    scores.framewise[..., 1] = 0.0
    block = figures_of(events, scores)
    assert (block["classes"]["b"]["precision"], block["classes"]["b"]["f1"]) == (0.0, 0.0)
    assert block["macro"]["f1"] == pytest.approx(block["classes"]["a"]["f1"] / 2)


def test_clips_and_classes_without_scores_score_0() -> None:
    events, scores = scored()
    whole = roll(events)
    target, found = whole.copy(), scores.framewise > 0.2
    target[0], found[0], found[..., 1] = whole[0], False, False
    fewer = scores.keep_clips(scores.filenames[1:])
    fewer = Scores(
        fewer.framewise[..., :1], fewer.n_frames, fewer.duration_s, fewer.frame_edges_s, fewer.filenames, ("a",)
    )
    block = figures_of(events, fewer)
    for k, label in enumerate("ab"):
        counts = [block["classes"][label][n] for n in ("n_reference", "n_estimate", "n_true_positives")]
        assert counts == [target[..., k].sum(), found[..., k].sum(), (found & target)[..., k].sum()]


def test_resamples_are_repetitions_of_clips() -> None:
    events, scores = scored()
    (metric,) = metrics_named(["frame"])
    counts = metric.count(Work(Truth(events, tags_of(events)), Output(scores=scores), Options()))
    times = np.random.default_rng(0).integers(0, 3, (4, 6))
    drawn = metric.figures(counts, "official", times.astype(np.float32))
    target, found = roll(events), scores.framewise > 0.2
    for n in range(4):
        t, e = (np.repeat(x, times[n], axis=0).reshape(-1, 3) for x in (target, found))
        for k in range(3):
            f1 = 2 * (t & e)[:, k].sum() / (t[:, k].sum() + e[:, k].sum()) if t[:, k].any() else np.nan
            np.testing.assert_allclose(drawn.classes["f1"][n, k], f1, rtol=1e-6)


def test_intervals_are_of_f1_and_baselines_are_on_the_frames_of_the_scores() -> None:
    events, scores = scored()
    truth = Truth(events, tags_of(events), dict.fromkeys(events.filenames, 2.0))
    results = evaluate(truth, Output(scores=scores), ["frame"], resamples=Resamples.of(truth, 100), baselines=True)
    low, high = results["frame_based"]["macro"]["interval"]
    assert low < results["frame_based"]["macro"]["f1"] < high
    everything = results["baselines"]["all_positive"]["frame_based"]["classes"]["a"]
    active = roll(events)[..., 0]
    assert everything["n_estimate"] == active.size
    assert (everything["precision"], everything["recall"]) == pytest.approx((active.mean(), 1.0))
    assert results["baselines"]["all_negative"]["frame_based"]["macro"]["f1"] == 0


def test_the_gate_needs_clip_scores() -> None:
    events, scores = scored()
    scores.clipwise = None
    with pytest.raises(UsageError, match="--frame-gate needs clip scores"):
        figures_of(events, scores, frame_gate=0.1)
