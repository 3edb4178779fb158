"""Median windows (of boxes: step filter and merging) by the area under each class's own PSD-ROC curve.

A class's curve depends on its own events only, so classes are chosen apart; thresholds stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sedkit.core.parallel import progress
from sedkit.dataio.events import Events
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.postprocessing.decode import decode_thresholds
from sedkit.postprocessing.operating_points import even_thresholds
from sedkit.postprocessing.rules import Postprocessing
from sedkit.postprocessing.tuning.base import Problem, RuleSearch, grid_of, register
from sedkit.postprocessing.tuning.choose import FOLDS, shrunk


class _Psds(RuleSearch):
    joins_overlaps = True

    def __init__(self, scenario: PsdsParameters) -> None:
        self._scenario = scenario

    def search(self, problem: Problem) -> Postprocessing:
        """Choose a setting for every class."""
        points: list[Sequence[Events]] = []
        covered = np.zeros(len(problem.fold), bool)
        for left_out in progress(range(FOLDS), description="cross-validation", unit="fold"):
            clips = problem.fold == left_out
            if clips.any() and (~clips[problem.truth.clip]).any():
                points.append(_tables(_cut(problem, clips), self._chosen(_cut(problem, ~clips))))
                covered |= clips
        value = 0.0
        if points:
            rest = _cut(problem, covered)
            value = self._figures(rest, [_joined(rest, tables) for tables in zip(*points, strict=True)])[0]
        return replace(self._chosen(problem), cross_validated=value, grid=grid_of(problem.settings))

    def value(self, problem: Problem, rules: Postprocessing) -> float:
        """Return PSDS of the 50 operating points of rules."""
        return self._figures(problem, _tables(problem, rules))[0]

    def _chosen(self, problem: Problem) -> Postprocessing:
        start, labels, settings = problem.start, problem.truth.labels, problem.settings
        areas = np.zeros((len(labels), len(settings)))
        for s, setting in enumerate(settings):
            of_class = self._figures(problem, _tables(problem, start.changed(**setting)))[1]
            areas[:, s] = [of_class.get(label, 0.0) for label in labels]
        n_reference = np.bincount(problem.truth.label, minlength=len(labels)).astype(np.float64)
        best = np.argmax(shrunk(areas, n_reference), axis=1)
        return start.with_rules([replace(rule, **settings[s]) for rule, s in zip(start.rules, best, strict=True)])

    def _figures(self, problem: Problem, tables: Sequence[Events]) -> tuple[float, dict[str, float]]:
        """Return PSDS, and the area under each class's own curve."""
        from sedkit.evaluation.psd_roc import psds_of_points

        return psds_of_points(problem.truth, tables, problem.durations_s, self._scenario)


for _name, _scenario in (("psds1", PSDS1), ("psds2", PSDS2)):
    register(_name, _Psds(_scenario))


def _tables(problem: Problem, rules: Postprocessing) -> list[Events]:
    return list(decode_thresholds(problem.scores, even_thresholds(), rules, problem.gate))


def _cut(problem: Problem, clips: np.ndarray) -> Problem:
    """Return the problem of the clips of a mask."""
    names = tuple(name for name, wanted in zip(problem.scores.filenames, clips, strict=True) if wanted)
    return replace(problem, scores=problem.scores.keep_clips(names), events=problem.truth.keep_clips(names))


def _joined(problem: Problem, tables: Sequence[Events]) -> Events:
    """Join tables of different clips into one of all clips of a problem."""
    tables = [table.keep_clips(problem.scores.filenames) for table in tables]
    columns = ("clip", "label", "onset_s", "offset_s", "line")
    return replace(tables[0], **{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns})
