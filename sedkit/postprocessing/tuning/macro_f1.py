"""Frame rules by the macro F1 of a metric of tables: event-, segment-, intersection-based, or any other that there is.

Per class the search takes the best of all median windows x second thresholds x thresholds, then the best gap and
minimum duration to go with it; of boxes (`csebbs`) the best step filter, merging and threshold. All classes are decoded
and counted at once, and the counts are kept apart by fold, so choosing on four fifths and counting on the fifth costs
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np

from sedkit.core.errors import UsageError
from sedkit.core.parallel import progress
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import Options, Output, Truth, Work
from sedkit.evaluation.metrics.base import Metric, all_metrics
from sedkit.postprocessing.decode import decode, decode_thresholds
from sedkit.postprocessing.processed import processed_scores
from sedkit.postprocessing.rules import FrameRule, Postprocessing, Rule
from sedkit.postprocessing.tuning.base import Problem, RuleSearch, grid_of, register
from sedkit.postprocessing.tuning.choose import Choice, Counts, macro_f1, per_fold, searched

THRESHOLDS = (0.02, *(round(0.05 * k, 2) for k in range(1, 20)), 0.98)
LOW_SHARES = (None, 0.75, 0.5, 0.25)
GAPS_S = (0.0, 0.1, 0.2, 0.3, 0.5)
DURATIONS_S = (0.0, 0.1, 0.25, 0.5)
#: Of the first stage, which leaves gaps and short events for the second.
_UNTIDIED: dict[str, Any] = {"merge_gap_s": 0.0, "min_duration_s": 0.0}


class _MacroF1(RuleSearch):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        # Metrics of psds_eval's kind refuse overlaps.
        self.joins_overlaps = metric.clips == "durations"

    def search(self, problem: Problem) -> Postprocessing:
        """Choose the rules of every class."""
        start, settings = problem.start, problem.settings
        if start.decoder == "derivative":
            raise UsageError("the decoder derivative is not tuned by F1; start from another, such as threshold")
        tried: dict[str, Any] = {"threshold": list(THRESHOLDS)}
        if start.decoder == "csebbs":
            points = partial(decode_thresholds, problem.scores, THRESHOLDS, tags=problem.gate)
            every = (partial(points, start.changed(**setting)) for setting in settings)
            boxes = Choice(
                self._counts(problem, every),
                lambda rule, setting, k: replace(rule, threshold=THRESHOLDS[k], **settings[setting]),
            )
            return searched(start, boxes, tried | grid_of(settings))
        tried |= {"low_share": list(LOW_SHARES), **grid_of(settings)}
        tried |= {"merge_gap_s": list(GAPS_S), "min_duration_s": list(DURATIONS_S)}
        return searched(start, self._thresholds(problem, settings), tried, partial(self._tidied, problem))

    def value(self, problem: Problem, rules: Postprocessing) -> float:
        """Return macro F1, over the classes that the reference holds, of the events that rules make."""
        return macro_f1(*self._count(problem, decode(problem.scores, rules, problem.gate)).sum(axis=1))

    def _thresholds(self, problem: Problem, settings: Sequence[dict[str, Any]]) -> Choice:
        """Count every median window x second threshold x threshold; gaps stay and short events too."""
        start = problem.start
        pairs = [(setting, share) for setting in settings for share in LOW_SHARES]

        @lru_cache(1)
        def filtered(median_s: float) -> Scores:
            rules = start.changed(low=None, median_s=median_s, **_UNTIDIED)
            return processed_scores(problem.scores, rules, problem.gate)

        def points(setting: dict[str, Any], share: float | None) -> Iterable[Events]:
            after = Postprocessing.uniform(start.labels, FrameRule(1.0, low=share), start.decoder)
            return decode_thresholds(filtered(**setting), THRESHOLDS, after)

        def rule(before: Rule, pair: int, k: int) -> Rule:
            (setting, share), threshold = pairs[pair], THRESHOLDS[k]
            low = None if share is None else round(share * threshold, 6)
            return replace(before, threshold=threshold, low=low, **setting, **_UNTIDIED)

        return Choice(self._counts(problem, (partial(points, *pair) for pair in pairs)), rule)

    def _tidied(self, problem: Problem, rules: Sequence[Rule]) -> Choice:
        """Count every gap x minimum duration behind rules that have neither."""
        chosen = problem.start.with_rules(rules)
        # What is in the scores now, the gate too, is not done again, and nothing of them counts but where events are.
        scores = processed_scores(problem.scores, chosen, problem.gate)
        active = (scores.framewise > chosen.column("threshold")).astype(np.float32)
        scores = replace(scores, framewise=active)
        after = Postprocessing.uniform(chosen.labels, FrameRule(0.5), chosen.decoder)
        pairs = [{"merge_gap_s": gap, "min_duration_s": duration} for gap in GAPS_S for duration in DURATIONS_S]

        def points(pair: dict[str, float]) -> Iterable[Events]:
            return [decode(scores, after.changed(**pair))]

        counts = self._counts(problem, (partial(points, pair) for pair in pairs))
        return Choice(counts, lambda rule, pair, _: replace(rule, **pairs[pair]))

    def _counts(self, problem: Problem, settings: Iterable[Callable[[], Iterable[Events]]]) -> Counts:
        """Return the counts of settings, each of which gives the events of its thresholds."""
        rows = [
            [[per_fold(n, problem.fold) for n in self._count(problem, events)] for events in tables()]
            for tables in progress(list(settings), description="tune", unit="setting")
        ]
        # settings, thresholds, 3, folds, classes
        n_reference, n_true, n_estimate = np.array(rows).transpose(2, 3, 4, 0, 1)
        return Counts(n_reference[:, :, 0, 0], n_true, n_estimate)

    def _count(self, problem: Problem, events: Events) -> np.ndarray:
        """Return reference events, true positives and decisions, (3, clips, classes), of decoded events."""
        labels = problem.scores.labels
        truth = Truth(problem.truth, problem.tags, problem.durations_s)
        counts = self._metric.count(Work(truth, Output(events), Options()))
        out = np.zeros((3, len(problem.scores.filenames), len(labels)))
        decided = counts.n_true_positives + counts.false_positives()
        columns = [labels.index(label) for label in counts.labels]
        out[:, :, columns] = counts.n_reference, counts.n_true_positives, decided
        return out


for _metric in all_metrics().values():
    if _metric.reads == "estimate" and _metric.primary == "f1":
        register(_metric.name, _MacroF1(_metric))
