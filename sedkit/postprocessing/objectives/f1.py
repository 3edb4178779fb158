"""Frame rules by the macro F1 of a metric of tables: event-, segment-, intersection-based, or any other that there is.

Per class the search takes the best of all median windows x second thresholds x thresholds, then the best gap and
minimum duration to go with it; of boxes (`csebbs`) the best step filter, merging and threshold. All classes are decoded
and counted at once, and the counts are kept apart by fold, so choosing on four fifths and counting on the fifth costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from sedkit.core.errors import UsageError
from sedkit.core.parallel import progress
from sedkit.dataio.events import Events
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric, all_metrics
from sedkit.postprocessing import grids
from sedkit.postprocessing.choose import Counts, cross_validated, macro_f1, per_fold
from sedkit.postprocessing.decode import Limits, decode, decode_thresholds, filter_scores, find_intervals
from sedkit.postprocessing.objectives.base import Objective, Problem, Solution, register
from sedkit.postprocessing.objectives.settings import box_grid, box_settings, windows_s, with_box
from sedkit.postprocessing.operating_points import events_at
from sedkit.postprocessing.rule import FrameRule, Rule
from sedkit.postprocessing.rules import Postprocessing

THRESHOLDS = (0.02, *(round(0.05 * k, 2) for k in range(1, 20)), 0.98)
LOW_SHARES = (None, 0.75, 0.5, 0.25)
GAPS_S = (0.0, 0.1, 0.2, 0.3, 0.5)
DURATIONS_S = (0.0, 0.1, 0.25, 0.5)
#: Of the first stage, which leaves gaps and short events for the second.
_UNTIDIED = {"merge_gap_s": 0.0, "min_duration_s": 0.0}


def _search(metric: Metric, problem: Problem) -> Solution:
    """Choose the rules of every class."""
    search = _Search(problem, metric)
    first = _box_stage(search) if problem.start.decoder == "csebbs" else _threshold_stage(search)
    value = cross_validated(first.counts.n_reference, lambda left_out: _chosen(search, first, left_out)[1])
    return Solution(problem.start.with_rules(_chosen(search, first, None)[0]), value, first.grid)


def _value(metric: Metric, problem: Problem, rules: Postprocessing) -> float:
    """Return macro F1, over the classes that the reference holds, of the events that rules make."""
    events = decode(problem.scores, rules, problem.gate)
    return macro_f1(*(counts.sum(0) for counts in _Search(problem, metric).count(events)))


for _metric in all_metrics().values():
    if _metric.reads == "estimate" and _metric.primary == "f1":
        # Metrics of psds_eval's kind refuse overlaps.
        _overlaps = _metric.clips == "durations"
        register(_metric.name, Objective(partial(_search, _metric), partial(_value, _metric), joins_overlaps=_overlaps))


@dataclass(frozen=True)
class _Search:
    """A problem, and the metric that counts."""

    problem: Problem
    metric: Metric

    def count(self, events: Events) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return reference events, true positives and decisions, (clips, classes) each, of decoded events."""
        problem = self.problem
        durations = dict(zip(problem.scores.filenames, problem.scores.duration_s.tolist(), strict=True))
        truth = Truth(problem.truth, problem.tags, durations)
        counts = self.metric.count(Work(truth, Output(events), Options()))
        out = np.zeros((3, len(problem.scores.filenames), len(problem.scores.labels)))
        columns = [problem.scores.labels.index(label) for label in counts.labels]
        decided = counts.n_true_positives + counts.false_positives()
        out[:, :, columns] = counts.n_reference, counts.n_true_positives, decided
        return out[0], out[1], out[2]

    def counts(self, settings: Sequence[Iterable[Events]]) -> Counts:
        """Return the counts of settings, each of them the events of its thresholds."""
        rows = [
            [[per_fold(n, self.problem.fold) for n in self.count(events)] for events in tables]
            for tables in progress(settings, description="tune", unit="setting")
        ]
        # settings, thresholds, 3, folds, classes
        n_reference, n_true, n_estimate = np.array(rows).transpose(2, 3, 4, 0, 1)
        return Counts(n_reference[:, :, 0, 0], n_true, n_estimate)


@dataclass(frozen=True)
class _Stage:
    """Counts of a first search, what its settings and thresholds stand for, and the values tried."""

    counts: Counts
    rule: Callable[[Rule, int, int], Rule]
    grid: dict[str, list[Any]]


def _chosen(search: _Search, first: _Stage, left_out: int | None) -> tuple[list[Rule], tuple[np.ndarray, np.ndarray]]:
    """Return rules chosen on all folds but one, and their n_true and n_estimate (folds, classes)."""
    problem = search.problem
    setting, threshold = first.counts.choose(left_out)
    rules = [
        first.rule(rule, int(s), int(t)) for rule, s, t in zip(problem.start.rules, setting, threshold, strict=True)
    ]
    frame_rules = [rule for rule in rules if isinstance(rule, FrameRule)]
    if not frame_rules:
        return rules, first.counts.at(setting, threshold)
    tidy = [(gap, duration) for gap in GAPS_S for duration in DURATIONS_S]
    filtered = filter_scores(problem.scores, Limits.of(problem.start.with_rules(rules)))
    times = grids.times_s(problem.scores)

    def events(gap: float, duration: float) -> Iterator[Events]:
        tidied = [replace(rule, merge_gap_s=gap, min_duration_s=duration) for rule in frame_rules]
        limits = Limits.of(problem.start.with_rules(tidied))
        yield _events(problem, find_intervals(filtered, problem.gate.present, limits), times)

    counts = search.counts([events(*pair) for pair in tidy])
    setting, only = counts.choose(left_out)
    rules = [
        replace(rule, merge_gap_s=tidy[s][0], min_duration_s=tidy[s][1])
        for rule, s in zip(frame_rules, setting, strict=True)
    ]
    return rules, counts.at(setting, only)


def _events(problem: Problem, intervals: np.ndarray, times: np.ndarray) -> Events:
    return events_at(intervals, times, problem.scores.filenames, problem.scores.labels, "decoded events")


def _threshold_stage(search: _Search) -> _Stage:
    """Count every median window x second threshold x threshold; gaps stay and short events too."""
    problem = search.problem
    frame_rules = [rule for rule in problem.start.rules if isinstance(rule, FrameRule)]
    if problem.start.decoder == "derivative":
        raise UsageError("the decoder derivative is not tuned by F1; start from another, such as threshold")
    windows = windows_s(problem.scores)
    settings = [(window, share) for window in windows for share in LOW_SHARES]
    times = grids.times_s(problem.scores)
    filtered: dict[float, list] = {}

    def limits_at(window: float, threshold: float, share: float | None) -> Limits:
        low = None if share is None else share * threshold
        rules = [replace(r, threshold=threshold, low=low, median_s=window, **_UNTIDIED) for r in frame_rules]
        return Limits.of(problem.start.with_rules(rules))

    def events(window: float, share: float | None) -> Iterator[Events]:
        if window not in filtered:
            filtered.clear()
            filtered[window] = filter_scores(problem.scores, limits_at(window, THRESHOLDS[0], share))
        for threshold in THRESHOLDS:
            limits = limits_at(window, threshold, share)
            yield _events(problem, find_intervals(filtered[window], problem.gate.present, limits), times)

    def rule(start: Rule, setting: int, threshold: int) -> Rule:
        window, share = settings[setting]
        value = THRESHOLDS[threshold]
        low = None if share is None else round(share * value, 6)
        assert isinstance(start, FrameRule)
        return replace(start, threshold=value, low=low, median_s=window, **_UNTIDIED)

    grid: dict[str, list[Any]] = {
        "threshold": list(THRESHOLDS),
        "low_share": list(LOW_SHARES),
        "median_s": windows,
        "merge_gap_s": list(GAPS_S),
        "min_duration_s": list(DURATIONS_S),
    }
    return _Stage(search.counts([events(*setting) for setting in settings]), rule, grid)


def _box_stage(search: _Search) -> _Stage:
    """Count every step filter x merging x threshold of boxes."""
    problem, settings = search.problem, box_settings()

    def events(setting: int) -> Iterator[Events]:
        rules = problem.start.with_rules([with_box(rule, settings[setting], 0.5) for rule in problem.start.rules])
        yield from decode_thresholds(problem.scores, THRESHOLDS, postprocessing=rules, tags=problem.gate)

    return _Stage(
        search.counts([events(s) for s in range(len(settings))]),
        lambda start, setting, threshold: with_box(start, settings[setting], THRESHOLDS[threshold]),
        {"threshold": list(THRESHOLDS), **box_grid()},
    )
