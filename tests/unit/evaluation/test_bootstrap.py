from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import rates
from sedkit.evaluation.coverage import PointCounts, count_detections, join_points, prepare
from sedkit.evaluation.inputs import align
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.evaluation.parameters import PSDS2, PsdsParameters
from sedkit.evaluation.psd_roc import corrected_psds, psds_of_points, psds_of_weights, psds_value
from sedkit.evaluation.resample import Drawn, Resamples

Table = Callable[..., Events]


def psds_of_resamples(points: PointCounts, resamples: Resamples, parameters: PsdsParameters) -> np.ndarray:
    return psds_of_weights(points, resamples.weights(points.ground.filenames), parameters)


def repeated(events: Events, weights: np.ndarray) -> Events:
    """The table of a resample: each clip as many times as it was drawn, under new names."""
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for i, name in enumerate(events.filenames):
        for n in range(int(weights[i])):
            rows.append((f"{name}.{n}", None, None, None))
            rows += [
                (f"{name}.{n}", events.onset_s[j], events.offset_s[j], events.labels[events.label[j]])
                for j in np.flatnonzero(events.clip == i)
            ]
    return Events.from_rows(rows)


def test_resampled_figures_are_those_of_scoring_the_resampled_clips(table: Table, durations: Callable) -> None:
    rng = np.random.default_rng(3)
    reference, estimate = (table(rng, 12, 4, "abc", overlaps=False) for _ in range(2))
    reference, estimate = align(reference, estimate)
    resamples = Resamples(reference.filenames, n=20, seed=1)
    weights = resamples.weights(reference.filenames)
    assert weights.shape == (12, 20)
    assert (weights.sum(axis=0) == 12).all()
    for count in (count_events, count_segments):
        drawn = rates(count(reference, estimate), weights=weights.T)
        for n in range(20):
            plain = rates(count(*align(repeated(reference, weights[:, n]), repeated(estimate, weights[:, n]))))
            assert drawn.macro["f1"][n] == pytest.approx(float(plain.macro["f1"]), abs=1e-9)
            assert drawn.micro["f1"][n] == pytest.approx(float(plain.micro["f1"]), abs=1e-9)


@pytest.mark.parametrize("version", ["0.5.3", "0.3.0"])
def test_resampled_psds_is_that_of_the_resampled_clips(table: Table, durations: Callable, version: str) -> None:
    rng = np.random.default_rng(5)
    reference = table(rng, 10, 4, "abc", overlaps=False)
    points = [table(rng, 10, most, "abc", overlaps=False) for most in (2, 5)]
    seconds = durations(reference, 500.0)
    parameters = PsdsParameters(0.3, 0.3, 0.2, 0.5, 0.5, 100.0, version)
    ground = prepare(reference, seconds)
    counts = count_detections(ground, join_points(ground, points), parameters.criteria)
    resamples = Resamples(ground.filenames, n=15, seed=2)
    weights = resamples.weights(ground.filenames)
    drawn = psds_of_resamples(counts, resamples, parameters)
    for n in range(15):
        again = repeated(reference, weights[:, n])
        plain, _ = psds_of_points(
            again, [repeated(p, weights[:, n]) for p in points], durations(again, 500.0), parameters
        )
        assert drawn[n] == pytest.approx(plain, abs=1e-6)


def test_clips_of_a_group_are_drawn_together() -> None:
    names = tuple(f"c{i}" for i in range(9))
    groups = {"c0": "g", "c1": "g", "c2": "g", "c3": "h", "c4": "h", "c5": ""}
    resamples = Resamples(names, groups, 50)
    weights = resamples.weights(names)
    assert (resamples.n_units, resamples.grouped) == (6, True)
    assert (weights[0] == weights[2]).all()
    assert (weights[3] == weights[4]).all()
    assert (weights[5] != weights[6]).any()
    with pytest.raises(SedkitError, match="1 unit to draw from"):
        Resamples(("a", "b"), {"a": "g", "b": "g"}, 10)


def test_the_interval_moves_against_the_bias_of_the_resamples() -> None:
    samples = np.random.default_rng(0).normal(0.0, 1.0, 20000)
    plain, biased = (Drawn(samples, estimate).interval((-9.0, 9.0)) for estimate in (0.0, 0.5))
    assert plain == pytest.approx((-1.96, 1.96), abs=0.05)
    # Resamples that lie half a deviation below the estimate: the interval lies half a deviation above it.
    assert biased == pytest.approx((1.0 - 1.96, 1.0 + 1.96), abs=0.1)
    assert Drawn(samples, 0.9).interval()[1] == 1.0
    assert Drawn(samples, float("nan")).interval() is None
    assert Drawn(np.full(10, np.nan), 0.5).interval() is None


class Population:
    """Random clips of eight classes, two operating points; the figures of very many clips are the truth."""

    LABELS = tuple("abcdefgh")

    def __init__(self, unequal: float) -> None:
        """Take how far the classes are apart: 0, all alike, to 1."""
        step = unequal * (np.arange(8) - 3.5)
        self.hit = (0.61 + 0.06 * step, 0.755 + 0.05 * step)
        self.false = (0.017 + 0.002 * step, 0.088 + 0.008 * step)

    def draw(self, rng: np.random.Generator, n_clips: int) -> tuple[Events, list[Events]]:
        """Return a reference and the detections at a strict and a lenient threshold."""
        quality = rng.normal(0.0, 0.12, size=(n_clips, 1))
        present = rng.random((n_clips, 8)) < 0.35
        luck, false = rng.random((n_clips, 8)), rng.random((n_clips, 8))
        names = tuple(f"c{i}" for i in range(n_clips))

        def made(right: np.ndarray, wrong: np.ndarray) -> Events:
            # A detection is either right, in the place of its class, or false, where no event ever is.
            clip, label = np.nonzero(np.hstack([right, wrong]))
            onset = np.where(label < 8, 1.0 + 2.0 * label, 20.0)
            return Events(names, self.LABELS, clip, label % 8, onset, onset + 1.0, np.arange(len(clip)) + 2)

        chances = zip(self.hit, self.false, strict=True)
        points = [made(present & (luck < hit + quality), false < wrong) for hit, wrong in chances]
        return made(present, np.zeros_like(present)), points


@pytest.mark.parametrize(("unequal", "most_plain"), [(1.0, 0.93), (0.0, 0.60)])
def test_intervals_cover_the_truth_in_95_percent_of_draws(unequal: float, most_plain: float) -> None:
    population = Population(unequal)
    rng = np.random.default_rng(20)
    parameters = PsdsParameters(0.5, 0.5, None, 0.0, 1.0, 100.0)

    def counted(n_clips: int):
        reference, points = population.draw(rng, n_clips)
        ground = prepare(reference, dict.fromkeys(reference.filenames, 30.0))
        return count_events(reference, points[0]), count_detections(
            ground, join_points(ground, points), parameters.criteria
        )

    def estimates(events, counts) -> tuple[float, float]:
        return float(rates(events).macro["f1"]), psds_value(counts, parameters)[0]

    truth = np.mean([estimates(*counted(20000)) for _ in range(4)], axis=0)
    draws, inside, plain_inside = 400, np.zeros(2), 0
    for _ in range(draws):
        events, counts = counted(400)
        resamples = Resamples(events.filenames, n=400, seed=int(rng.integers(2**31)))
        weights = resamples.weights(events.filenames).T
        f1 = Drawn(rates(events, weights=weights).macro["f1"], float(rates(events).macro["f1"]))
        for i, drawn in enumerate((f1, corrected_psds(counts, resamples, parameters))):
            low, high = drawn.interval()
            inside[i] += low <= truth[i] <= high
        low, high = np.quantile(psds_of_resamples(counts, resamples, parameters), [0.025, 0.975])
        plain_inside += low <= truth[1] <= high
    coverage = inside / draws
    # The standard error of a share of 400 is 1.1 percent.
    assert (coverage >= 0.93).all(), coverage
    assert (coverage <= 0.97).all(), coverage
    # What the correction is for: plain percentiles of PSDS fall short.
    assert plain_inside / draws < most_plain, plain_inside / draws


def test_near_zero_an_interval_spans_what_the_shift_would_leave_out() -> None:
    samples = np.linspace(0.0, 0.1, 1001)
    plain = np.quantile(samples, [0.025, 0.975])
    low, high = Drawn(samples, 0.07, corrected=True).interval()
    assert (low, high) == pytest.approx((plain[0], plain[1] + 0.04))
    # Far from 0 only the shifted ones count, as for figures that need no correction.
    for far in (Drawn(samples + 0.5, 0.57, corrected=True), Drawn(samples + 0.5, 0.57)):
        assert far.interval() == pytest.approx((plain[0] + 0.54, plain[1] + 0.54))


def test_the_correction_takes_away_what_sampling_adds_to_the_spread() -> None:
    population, rng = Population(0.0), np.random.default_rng(3)
    parameters = PsdsParameters(0.5, 0.5, None, 0.0, 1.0, 100.0)

    def figures(n_clips: int) -> tuple[float, float, float]:
        reference, points = population.draw(rng, n_clips)
        ground = prepare(reference, dict.fromkeys(reference.filenames, 30.0))
        counts = count_detections(ground, join_points(ground, points), parameters.criteria)
        resamples = Resamples(ground.filenames, n=200, seed=1)
        drawn = psds_of_resamples(counts, resamples, parameters)
        low, high = corrected_psds(counts, resamples, parameters).interval()
        return psds_value(counts, parameters)[0], drawn.mean(), (low + high) / 2

    truth = figures(20000)[0]
    estimate, resampled, middle = np.mean([figures(300) for _ in range(20)], axis=0)
    assert resampled < estimate - 0.005 < truth - 0.015
    # Intervals lie about the figure on very many clips, not about the official one on few.
    assert abs(middle - truth) < 0.4 * (truth - estimate)


def test_psds2_needs_the_cross_triggers_of_each_resample(table: Table, durations: Callable) -> None:
    rng = np.random.default_rng(8)
    reference = table(rng, 10, 4, "abc", overlaps=False)
    ground = prepare(reference, durations(reference, 500.0))
    counts = count_detections(ground, join_points(ground, [table(rng, 10, 6, "abc", overlaps=False)]), PSDS2.criteria)
    resamples = Resamples(ground.filenames, n=50)
    with_ct = psds_of_resamples(counts, resamples, PSDS2)
    without = psds_of_resamples(counts, resamples, PsdsParameters(0.1, 0.1, 0.3))
    assert (with_ct <= without + 1e-12).all()
    assert (with_ct < without).any()
