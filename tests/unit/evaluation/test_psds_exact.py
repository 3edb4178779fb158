from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.coverage import prepare
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.evaluation.psd_roc import psds_of_points, psds_value
from sedkit.evaluation.psds_exact import points_of_sweep, psds_of_sweep, sweep

# A power of two: sums of frame lengths are exact, so that the engine of the tables decides as the sweep does.
FRAME_S = 0.125


def random_scores(rng: np.random.Generator, filenames: tuple[str, ...], labels: tuple[str, ...], levels: int) -> Scores:
    frames = 24
    return Scores(
        framewise=(rng.integers(0, levels, size=(len(filenames), frames, len(labels))) / levels).astype(np.float32),
        n_frames=np.full(len(filenames), frames),
        duration_s=np.full(len(filenames), frames * FRAME_S),
        frame_edges_s=np.arange(frames + 1) * FRAME_S,
        filenames=filenames,
        labels=labels,
    )


def tables(scores: Scores) -> list[Events]:
    """Detections at every distinct score, the plain way."""
    out = []
    for threshold in np.unique(scores.framewise):
        rows: list[tuple[str, float | None, float | None, str | None]] = []
        active = np.pad(scores.framewise >= threshold, ((0, 0), (1, 1), (0, 0)))
        for i, name in enumerate(scores.filenames):
            rows.append((name, None, None, None))
            for k, label in enumerate(scores.labels):
                change = np.flatnonzero(np.diff(active[i, :, k].astype(int)))
                rows += [(name, a * FRAME_S, b * FRAME_S, label) for a, b in change.reshape(-1, 2)]
        out.append(Events.from_rows(rows, scores.labels))
    return out


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_equals_all_operating_points(seed: int) -> None:
    rng = np.random.default_rng(seed)
    filenames = tuple(f"c{i}.wav" for i in range(4))
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for name in filenames:
        rows.append((name, None, None, None))
        for label in "abc":
            if rng.random() < 0.6:
                onset = int(rng.integers(0, 16))
                rows.append((name, onset * FRAME_S, (onset + int(rng.integers(1, 8))) * FRAME_S, label))
    reference = Events.from_rows(rows)
    if not reference.n_events:
        return
    scores = random_scores(rng, filenames, ("a", "b", "c", "d"), levels=int(rng.integers(2, 30)))
    # Half an hour per clip keeps part of the curve below its end.
    seconds = dict.fromkeys(filenames, 1800.0)
    parameters = PsdsParameters(
        dtc=float(rng.choice([0.1, 0.25, 0.5, 0.75])),
        gtc=float(rng.choice([0.1, 0.25, 0.5, 0.75])),
        cttc=0.25,
        alpha_ct=float(rng.choice([0.0, 0.5])),
        alpha_st=float(rng.choice([0.0, 1.0])),
    )
    swept = sweep(prepare(reference, seconds), scores, parameters.criteria)
    value, classes = psds_of_sweep(swept, parameters)
    wanted, wanted_classes = psds_of_points(reference, tables(scores), seconds, parameters)
    assert value == pytest.approx(wanted, abs=1e-12)
    assert classes == pytest.approx(wanted_classes, abs=1e-12)
    # With a point for every step, the points that intervals use give the same figure.
    assert psds_value(points_of_sweep(swept, parameters, 1000), parameters)[0] == pytest.approx(wanted, abs=1e-12)


def test_clips_and_classes_without_scores_have_no_detections() -> None:
    reference = Events.from_rows([("f", 0.0, 1.0, "a"), ("g", 0.0, 1.0, "a"), ("f", 1.5, 2.0, "b")])
    scores = random_scores(np.random.default_rng(0), ("f",), ("a",), 10)
    scores.framewise[0, :8, 0], scores.framewise[0, 8:, 0] = 1.0, 0.0
    swept = sweep(prepare(reference, {"f": 3.0, "g": 3.0}), scores, PSDS1.criteria)
    assert psds_of_sweep(swept, PSDS1)[1] == pytest.approx({"a": 0.5, "b": 0.0})


def test_equals_sed_scores_eval_where_it_is_installed() -> None:
    intersection_based = pytest.importorskip("sed_scores_eval").intersection_based
    from sed_scores_eval.base_modules.scores import create_score_dataframe

    rng = np.random.default_rng(7)
    filenames = tuple(f"c{i}" for i in range(12))
    rows = [(n, s * 0.3, s * 0.3 + rng.integers(1, 6) * 0.3, "abc"[s % 3]) for n in filenames for s in (0, 2, 4)]
    reference = Events.from_rows(rows)
    scores = random_scores(rng, filenames, ("a", "b", "c"), 1000)
    frames = {
        name: create_score_dataframe(scores.framewise[i].astype(np.float64), scores.edges(i), ["a", "b", "c"])
        for i, name in enumerate(filenames)
    }
    truth = {n: [(on, off, label) for name, on, off, label in rows if name == n] for n in filenames}
    seconds = dict.fromkeys(filenames, 500.0)
    for parameters in (PSDS1, PSDS2):
        wanted, *_ = intersection_based.psds(
            scores=frames,
            ground_truth=truth,
            audio_durations=seconds,
            dtc_threshold=parameters.dtc,
            gtc_threshold=parameters.gtc,
            cttc_threshold=parameters.cttc,
            alpha_ct=parameters.alpha_ct,
            alpha_st=parameters.alpha_st,
        )
        value, _ = psds_of_sweep(sweep(prepare(reference, seconds), scores, parameters.criteria), parameters)
        assert value == pytest.approx(wanted, abs=1e-9)
