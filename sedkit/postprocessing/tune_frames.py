"""Searching frame rules by F1 and by PSDS.

By event- or segment-based F1: thresholds, second thresholds, median windows, gaps and durations; by PSDS: median
windows; for boxes (`csebbs`) step filter and merging. Per class the F1 search takes the best of all windows x second
thresholds x thresholds, then the best gap and minimum duration to go with it. All classes are decoded and counted at
once, and the counts are kept apart by fold, so choosing on four fifths and counting on the fifth costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.parallel import progress
from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.evaluation.parameters import PSDS1, PSDS2
from sedkit.evaluation.psds import psds_of_points
from sedkit.postprocessing import grids
from sedkit.postprocessing.choose import FOLDS, Counts, macro_f1, per_fold, shrunk
from sedkit.postprocessing.decode import Limits, decode, decode_thresholds, filter_scores, find_intervals, open_gate
from sedkit.postprocessing.operating_points import even_thresholds
from sedkit.postprocessing.rules import BoxRule, FrameRule, Postprocessing, Rule

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

THRESHOLDS = (0.02, *(round(0.05 * k, 2) for k in range(1, 20)), 0.98)
LOW_SHARES = (None, 0.75, 0.5, 0.25)
MEDIANS_S = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
GAPS_S = (0.0, 0.1, 0.2, 0.3, 0.5)
DURATIONS_S = (0.0, 0.1, 0.25, 0.5)
#: The grid of the paper: step filter lengths, and absolute or relative merge thresholds.
STEPS_S = (0.32, 0.48, 0.64)
MERGES = ((0.15, None), (0.2, None), (0.3, None), (None, 1.5), (None, 2.0), (None, 3.0))

_COUNT: dict[str, Callable[[Events, Events], ClipCounts]] = {"event": count_events, "segment": count_segments}


@dataclass(frozen=True)
class Found:
    """What a search came to: the rules, the value with rules chosen on other clips, and the values tried."""

    rules: Postprocessing
    cross_validated: float
    grid: dict[str, list[Any]]


def windows_s(scores: Scores, wanted: Iterable[float] = MEDIANS_S) -> list[float]:
    """Return those window lengths that differ in frames on any of the scores' grids, seconds."""
    rates = np.unique(grids.frame_rates_hz(scores))
    kept: dict[tuple[int, ...], float] = {}
    for window in wanted:
        kept.setdefault(tuple(int(grids.half_window(np.array([window]), rate)[0]) for rate in rates), window)
    return list(kept.values())


# ------------------------------------------------------------------------------------------------ by F1


@dataclass(frozen=True)
class Search:
    """Scores and reference of the same clips and classes, and the rules that the search starts from."""

    scores: Scores
    reference: Events
    start: Postprocessing
    fold: np.ndarray
    objective: str

    def counted(self, tables: Iterable[Events]) -> tuple[np.ndarray, np.ndarray]:
        """Return n_true and n_estimate, (folds, classes, tables), of decoded events."""
        pairs = []
        for table in tables:
            counts = _COUNT[self.objective](self.reference, table)
            pairs.append((per_fold(counts.n_true_positives, self.fold), per_fold(counts.n_estimate, self.fold)))
        return np.stack([pair[0] for pair in pairs], axis=2), np.stack([pair[1] for pair in pairs], axis=2)

    def counts(self, settings: Sequence[Iterable[Events]]) -> Counts:
        """Return the counts of settings, each of them the events of its thresholds."""
        pairs = [self.counted(tables) for tables in progress(settings, description="tune", unit="setting")]
        nothing = self.reference.take(np.zeros(0, np.int64))
        n_reference = per_fold(_COUNT[self.objective](self.reference, nothing).n_reference, self.fold)
        return Counts(n_reference, np.stack([p[0] for p in pairs], axis=2), np.stack([p[1] for p in pairs], axis=2))


def search_f1(search: Search) -> Found:
    """Choose the rules of every class by event- or segment-based F1."""
    boxes = search.start.decoder == "csebbs"
    first = _box_stage(search) if boxes else _threshold_stage(search)
    n_reference = first.counts.n_reference
    held_true, held_estimate = np.zeros(n_reference.shape[1]), np.zeros(n_reference.shape[1])
    for left_out in range(FOLDS):
        if np.delete(n_reference, left_out, axis=0).any():
            _, (n_true, n_estimate) = _chosen(search, first, left_out)
            held_true, held_estimate = held_true + n_true[left_out], held_estimate + n_estimate[left_out]
    rules, _ = _chosen(search, first, None)
    value = macro_f1(n_reference.sum(0), held_true, held_estimate)
    return Found(search.start.with_rules(rules), value, first.grid)


@dataclass(frozen=True)
class _Stage:
    """Counts of a first search, what its settings and thresholds stand for, and the values tried."""

    counts: Counts
    rule: Callable[[Rule, int, int], Rule]
    grid: dict[str, list[Any]]


def _chosen(search: Search, first: _Stage, left_out: int | None) -> tuple[list[Rule], tuple[np.ndarray, np.ndarray]]:
    """Return rules chosen on all folds but one, and their n_true and n_estimate (folds, classes)."""
    setting, threshold = first.counts.choose(left_out)
    rules = [
        first.rule(rule, int(s), int(t)) for rule, s, t in zip(search.start.rules, setting, threshold, strict=True)
    ]
    frame_rules = [rule for rule in rules if isinstance(rule, FrameRule)]
    if not frame_rules:
        return rules, first.counts.at(setting, threshold)
    tidy = [(gap, duration) for gap in GAPS_S for duration in DURATIONS_S]
    gate = open_gate(search.scores, search.start)
    filtered = filter_scores(search.scores, Limits.of(search.start.with_rules(rules)).median_s)
    times = grids.times_s(search.scores)

    def events(gap: float, duration: float) -> Iterator[Events]:
        there = [replace(rule, merge_gap_s=gap, min_duration_s=duration) for rule in frame_rules]
        found = find_intervals(filtered, gate, Limits.of(search.start.with_rules(there)))
        yield _table(search.reference, found, times)

    counts = search.counts([events(*pair) for pair in tidy])
    setting, only = counts.choose(left_out)
    rules = [
        replace(rule, merge_gap_s=tidy[s][0], min_duration_s=tidy[s][1])
        for rule, s in zip(frame_rules, setting, strict=True)
    ]
    return rules, counts.at(setting, only)


def _table(reference: Events, found: np.ndarray, times: np.ndarray) -> Events:
    clip = found[:, 0].astype(np.int64)
    return Events(
        filenames=reference.filenames,
        labels=reference.labels,
        clip=clip,
        label=found[:, 1].astype(np.int64),
        onset_s=times[clip, found[:, 2]],
        offset_s=times[clip, found[:, 3]],
        line=np.zeros(len(clip), np.int64),
    )


def _threshold_stage(search: Search) -> _Stage:
    """Count every median window x second threshold x threshold; gaps stay and short events too."""
    windows = windows_s(search.scores)
    settings = [(window, share) for window in windows for share in LOW_SHARES]
    gate = open_gate(search.scores, search.start)
    times = grids.times_s(search.scores)
    filtered: dict[float, list] = {}

    def events(window: float, share: float | None) -> Iterator[Events]:
        if window not in filtered:
            filtered.clear()
            filtered[window] = filter_scores(search.scores, np.full(len(search.start.labels), window))
        for threshold in THRESHOLDS:
            rule = FrameRule(threshold=threshold, low=None if share is None else share * threshold)
            limits = Limits.of(Postprocessing.uniform(search.start.labels, rule, search.start.decoder))
            yield _table(search.reference, find_intervals(filtered[window], gate, limits), times)

    def rule(start: Rule, setting: int, threshold: int) -> Rule:
        window, share = settings[setting]
        value = THRESHOLDS[threshold]
        return FrameRule(
            threshold=value,
            clip_threshold=start.clip_threshold,
            low=None if share is None else round(share * value, 6),
            median_s=window,
        )

    return _Stage(
        search.counts([events(*setting) for setting in settings]),
        rule,
        {
            "threshold": list(THRESHOLDS),
            "low_share": list(LOW_SHARES),
            "median_s": list(windows),
            "merge_gap_s": list(GAPS_S),
            "min_duration_s": list(DURATIONS_S),
        },
    )


def _box_settings() -> list[tuple[float, float | None, float | None]]:
    return [(step, *merge) for step in STEPS_S for merge in MERGES]


def _box_grid() -> dict[str, list[Any]]:
    absolute = [a for a, _ in MERGES if a is not None]
    relative = [r for _, r in MERGES if r is not None]
    return {"step_s": list(STEPS_S), "merge_abs": absolute, "merge_rel": relative}


def _box_stage(search: Search) -> _Stage:
    settings = _box_settings()

    def with_setting(start: Rule, setting: int, threshold: float) -> BoxRule:
        step, absolute, relative = settings[setting]
        return BoxRule(threshold, start.clip_threshold, step, absolute, relative)

    def events(setting: int) -> Iterator[Events]:
        rules = search.start.with_rules([with_setting(rule, setting, 0.5) for rule in search.start.rules])
        yield from decode_thresholds(search.scores, THRESHOLDS, postprocessing=rules)

    return _Stage(
        search.counts([events(s) for s in range(len(settings))]),
        lambda start, setting, threshold: with_setting(start, setting, THRESHOLDS[threshold]),
        {"threshold": list(THRESHOLDS), **_box_grid()},
    )


# ------------------------------------------------------------------------------------------------ by PSDS


def search_psds(scores: Scores, reference: Events, start: Postprocessing, fold: np.ndarray, objective: str) -> Found:
    """Choose the median window (boxes: step filter and merging) of every class by the area under its own curve.

    A class's curve depends on its own events only, so classes are chosen apart; thresholds stay as they are.
    """
    boxes = start.decoder == "csebbs"
    settings: list[tuple] = _box_settings() if boxes else [(window,) for window in windows_s(scores)]

    def with_setting(rule: Rule, setting: int) -> Rule:
        if isinstance(rule, BoxRule):
            step, absolute, relative = settings[setting]
            return replace(rule, step_s=step, merge_abs=absolute, merge_rel=relative)
        return replace(rule, median_s=settings[setting][0])

    def chosen(clips: np.ndarray) -> Postprocessing:
        """Return the rules that the clips of this mask ask for."""
        part, truth = _part(scores, reference, clips)
        n_reference = np.bincount(truth.label, minlength=len(truth.labels)).astype(np.float64)
        areas = np.zeros((len(truth.labels), len(settings)))
        for s in range(len(settings)):
            rules = start.with_rules([with_setting(rule, s) for rule in start.rules])
            own = psds(part, truth, rules, objective)[1]
            areas[:, s] = [own.get(label, 0.0) for label in truth.labels]
        best = np.argmax(shrunk(areas, n_reference), axis=1)
        return start.with_rules([with_setting(rule, int(s)) for rule, s in zip(start.rules, best, strict=True)])

    everywhere = chosen(np.ones(len(fold), bool))
    grid: dict[str, list[Any]] = _box_grid() if boxes else {"median_s": [s[0] for s in settings]}
    points: list[list[Events]] = []
    covered = np.zeros(len(fold), bool)
    for left_out in progress(range(FOLDS), description="cross-validation", unit="fold"):
        mask = fold == left_out
        if not mask.any() or not (~mask[reference.clip]).any():
            continue
        part, _ = _part(scores, reference, mask)
        points.append(list(decode_thresholds(part, even_thresholds(), postprocessing=chosen(~mask))))
        covered |= mask
    part, truth = _part(scores, reference, covered)
    joined = [joined_events(part.filenames, tables) for tables in zip(*points, strict=True)]
    durations = dict(zip(part.filenames, part.duration_s.tolist(), strict=True))
    value = psds_of_points(truth, joined, durations, _PSDS[objective])[0]
    return Found(everywhere, value, grid)


_PSDS = {"psds1": PSDS1, "psds2": PSDS2}


def psds(scores: Scores, reference: Events, rules: Postprocessing, objective: str) -> tuple[float, dict[str, float]]:
    """Return PSDS of 50 operating points and the area under each class's own curve."""
    points = decode_thresholds(scores, even_thresholds(), postprocessing=rules)
    durations = dict(zip(scores.filenames, scores.duration_s.tolist(), strict=True))
    return psds_of_points(reference, list(points), durations, _PSDS[objective])


def _part(scores: Scores, reference: Events, clips: np.ndarray) -> tuple[Scores, Events]:
    names = tuple(name for name, there in zip(scores.filenames, clips, strict=True) if there)
    return scores.keep_clips(names), reference.keep_clips(names)


def joined_events(filenames: Sequence[str], tables: Sequence[Events]) -> Events:
    """Join tables of different clips into one that lists `filenames`."""
    parts = [table.keep_clips(filenames) for table in tables]
    return Events(
        filenames=tuple(filenames),
        labels=parts[0].labels,
        clip=np.concatenate([part.clip for part in parts]),
        label=np.concatenate([part.label for part in parts]),
        onset_s=np.concatenate([part.onset_s for part in parts]),
        offset_s=np.concatenate([part.offset_s for part in parts]),
        line=np.concatenate([part.line for part in parts]),
    )


def f1_of(scores: Scores, reference: Events, rules: Postprocessing, objective: str) -> float:
    """Return the macro F1 that rules reach on a set, over the classes that the reference holds."""
    counts = _COUNT[objective](reference, decode(scores, rules))
    sums = (counts.n_reference.sum(0), counts.n_true_positives.sum(0), counts.n_estimate.sum(0))
    return macro_f1(*sums)
