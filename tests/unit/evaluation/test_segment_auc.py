from __future__ import annotations

import numpy as np
import pytest

from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.metrics.partial_auc import SegmentAucParameters, cut_segments, partial_auc


def made(seed: int = 0) -> tuple[Events, Scores]:
    rng = np.random.default_rng(seed)
    names = tuple(f"c{i}" for i in range(20))
    rows = [
        (n, on, on + rng.integers(1, 12) * 0.25, str(rng.choice(["a", "b"]))) for n in names for on in (0.5, 3.0, 6.75)
    ]
    scores = Scores(
        framewise=(np.round(rng.random((20, 160, 2)) * 200) / 200).astype(np.float32),
        n_frames=np.full(20, 160),
        duration_s=np.full(20, 10.0),
        frame_edges_s=np.arange(161) / 16,
        filenames=names,
        labels=("a", "b"),
    )
    return Events.from_rows(rows), scores


def test_equals_thresholding_the_plain_way() -> None:
    reference, scores = made()
    parameters = SegmentAucParameters()
    segments = cut_segments(reference, scores, dict.fromkeys(scores.filenames, 10.0), parameters)
    value, classes = partial_auc(segments, parameters)
    for c in range(2):
        score, target = segments.score[:, c], segments.target[:, c]
        area, x, y = 0.0, 0.0, 0.0
        for threshold in np.unique(score)[::-1]:
            fpr, tpr = (score[~target] >= threshold).mean(), (score[target] >= threshold).mean()
            area += (min(fpr, 0.1) - min(x, 0.1)) * y
            x, y = fpr, tpr
        assert classes[c] == pytest.approx(area / 0.1, abs=1e-12)
    assert value == pytest.approx(classes.mean())


def test_perfect_scores_reach_one_and_the_last_event_ends_a_clip_without_a_duration() -> None:
    reference, scores = made()
    edges = scores.edges(0)
    scores.framewise[:] = 0.0
    for clip, label, on, off in zip(
        reference.clip, reference.label, reference.onset_s, reference.offset_s, strict=True
    ):
        scores.framewise[clip, (edges[:-1] < np.ceil(off)) & (edges[1:] > np.floor(on)), label] = 1.0
    parameters = SegmentAucParameters()
    segments = cut_segments(reference, scores, None, parameters)
    last = [reference.offset_s[reference.clip == i].max() for i in range(20)]
    assert len(segments.clip) == int(np.ceil(last).sum())
    assert partial_auc(segments, parameters)[0] == 1.0


def test_equals_sed_scores_eval_where_it_is_installed() -> None:
    segment_based = pytest.importorskip("sed_scores_eval").segment_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    reference, scores = made()
    frames = {
        name: create_score_dataframe(scores.framewise[i].astype(np.float64), scores.edges(i), ["a", "b"])
        for i, name in enumerate(scores.filenames)
    }
    truth = {
        name: [
            (reference.onset_s[j], reference.offset_s[j], reference.labels[reference.label[j]])
            for j in np.flatnonzero(reference.clip == i)
        ]
        for i, name in enumerate(reference.filenames)
    }
    seconds = dict.fromkeys(scores.filenames, 10.0)
    wanted, *_ = segment_based.auroc(
        scores=frames, ground_truth=truth, audio_durations=seconds, segment_length=1.0, max_fpr=0.1
    )
    parameters = SegmentAucParameters()
    value, classes = partial_auc(cut_segments(reference, scores, seconds, parameters), parameters)
    assert dict(zip("ab", classes.tolist(), strict=True)) == pytest.approx({k: wanted[k] for k in "ab"}, abs=1e-9)
    assert value == pytest.approx(wanted["mean"], abs=1e-9)
