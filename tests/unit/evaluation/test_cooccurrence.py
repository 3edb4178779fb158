"""Correlation of classes against numpy, overlap against the roll of milliseconds and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sedkit.core.errors import UsageError
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.evaluate import evaluate
from sedkit.evaluation.inputs import Options, Output, Truth
from sedkit.evaluation.metrics.cooccurrence import ClassCorrelation, overlap_s
from sedkit.evaluation.resample import Resamples

from .conftest import make_table

LABELS = ("a", "b", "c")


def events_of(rows: list[tuple[str, float, float, str]]) -> Events:
    return Events.from_rows(rows, LABELS)


def scores_of(means: np.ndarray, names: tuple[str, ...]) -> Scores:
    """Scores of ten frames of 0.1 s with these means over time, (clips, classes)."""
    wiggle = np.linspace(-0.05, 0.05, 10)[None, :, None]
    n = len(names)
    return Scores(means[:, None] + wiggle, np.full(n, 10), np.full(n, 1.0), np.arange(11) / 10, names, LABELS)


def block_of(events: Events, output: Output, metric: str, resamples: int | None = None) -> dict:
    truth = Truth(events, tags_of(events), dict.fromkeys(events.filenames, 1.0))
    drawn = Resamples.of(truth, resamples) if resamples else None
    return evaluate(truth, output, [metric], Options(), resamples=drawn)[metric]


@pytest.mark.parametrize("seed", range(5))
def test_correlation_is_numpys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = tuple(f"{i}.wav" for i in range(12))
    means = rng.uniform(0.1, 0.9, (12, 3))
    means[:, 1] = 0.6 * means[:, 0] + 0.4 * means[:, 1]
    events = events_of(
        [(name, 0.0, round(float(end), 1), "a") for name, end in zip(names, rng.uniform(0.1, 1, 12), strict=True)]
    )
    block = block_of(events, Output(scores=scores_of(means, names)), "class_correlation")
    expected = np.corrcoef(means.T)
    assert np.allclose(block["matrices"]["estimate"], expected)
    pairs = np.maximum([expected[0, 1], expected[0, 2], expected[1, 2]], 0)
    assert block["value"] == pytest.approx(pairs.mean())
    assert block["classes"]["a"] == pytest.approx(pairs[:2].mean())
    # Of the reference, b and c never sound.
    assert block["reference"]["value"] is None
    assert block["labels"] == list(LABELS)


def test_reference_is_the_share_of_frames() -> None:
    """a for 0.2 and 0.8 s, b for 0.4 and 0.6 s of three clips: what is correlated are these shares."""
    rows = [
        ("0", 0.0, 0.2, "a"),
        ("0", 0.0, 0.4, "b"),
        ("1", 0.2, 1.0, "a"),
        ("1", 0.4, 1.0, "b"),
        ("2", 0.0, 0.1, "c"),
    ]
    events = events_of(rows)
    block = block_of(events, Output(scores=scores_of(np.full((3, 3), 0.5), ("0", "1", "2"))), "class_correlation")
    shares = np.array([[0.2, 0.4, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 0.1]])
    assert np.allclose(block["matrices"]["reference"], np.corrcoef(shares.T))
    assert block["value"] is None, "a constant score has no correlation"


@given(st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    means, times = rng.uniform(size=(6, 3)), rng.integers(0, 4, 6)
    times[:3] += 1
    expected = np.corrcoef(np.repeat(means, times, axis=0).T)
    assert np.allclose(ClassCorrelation.matrix(means, times[None].astype(np.float32))[0], expected, atol=1e-6)


def test_correlation_has_intervals_and_needs_scores() -> None:
    rng = np.random.default_rng(0)
    names = tuple(f"{i}.wav" for i in range(40))
    scores = scores_of(rng.uniform(0.1, 0.9, (40, 3)) + rng.uniform(0, 0.3, (40, 1)), names)
    events = events_of([(name, 0.0, 0.5, "a") for name in names])
    block = block_of(events, Output(scores=scores), "class_correlation", resamples=200)
    low, high = block["interval"]
    assert low < block["value"] < high
    with pytest.raises(UsageError, match="--metrics class_correlation needs --scores"):
        block_of(events, Output(estimate=events), "class_correlation")


def test_overlap_by_hand() -> None:
    """a with b for 2 s, a with c for 1 s, b with c for 1 s; a with itself does not count."""
    estimate = events_of([("x", 0, 4, "a"), ("x", 2, 6, "b"), ("x", 3, 4, "c"), ("x", 3, 5, "a"), ("y", 0, 9, "c")])
    reference = events_of([("x", 0, 3, "a"), ("x", 1, 2, "b"), ("y", 0, 1, "a")])
    block = block_of(reference, Output(estimate=estimate), "overlap")
    # Joined, a is from 0 to 5 s: 3 s with b, 1 s with c.
    assert block["value"] == pytest.approx(5 / 60)
    assert block["classes"] == pytest.approx({"a": 4 / 60, "b": 4 / 60, "c": 2 / 60})
    assert block["reference"]["value"] == pytest.approx(1 / 60)


@pytest.mark.parametrize("seed", range(10))
def test_overlap_is_that_of_a_roll(seed: int) -> None:
    events = make_table(np.random.default_rng(seed), 5, 6, "abc", overlaps=False)
    roll = np.zeros((len(events.filenames), 8000, len(events.labels)), int)
    for clip, k, on, off in zip(events.clip, events.label, events.onset_s, events.offset_s, strict=True):
        # Onsets may lie before 0.
        roll[clip, round(on * 1000) + 1000 : round(off * 1000) + 1000, k] = 1
    expected = (roll * (roll.sum(axis=2, keepdims=True) - roll)).sum(axis=1) / 1000
    assert np.allclose(overlap_s(events).sum(axis=2), expected)
