"""Median windows (of boxes: step filter and merging) by the area under each class's own PSD-ROC curve.

A class's curve depends on its own events only, so classes are chosen apart; thresholds stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from sedkit.core.parallel import progress
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.postprocessing.choose import FOLDS, shrunk
from sedkit.postprocessing.decode import decode_thresholds
from sedkit.postprocessing.objectives.base import Objective, Problem, Solution, register
from sedkit.postprocessing.objectives.settings import box_grid, box_settings, windows_s, with_box
from sedkit.postprocessing.operating_points import even_thresholds
from sedkit.postprocessing.rule import FrameRule, Rule
from sedkit.postprocessing.rules import Postprocessing


def _search(scenario: PsdsParameters, problem: Problem) -> Solution:
    """Choose a setting for every class."""
    start, boxes = problem.start, problem.start.decoder == "csebbs"
    settings: list[Any] = box_settings() if boxes else windows_s(problem.scores)

    def with_setting(rule: Rule, setting: int) -> Rule:
        if isinstance(rule, FrameRule):
            return replace(rule, median_s=settings[setting])
        return with_box(rule, settings[setting], rule.threshold)

    def chosen(clips: np.ndarray) -> Postprocessing:
        """Return the rules that the clips of this mask ask for."""
        cut = _cut(problem, clips)
        labels = cut.truth.labels
        areas = np.zeros((len(labels), len(settings)))
        for s in range(len(settings)):
            rules = start.with_rules([with_setting(rule, s) for rule in start.rules])
            of_class = _psds(scenario, cut, _tables(cut, rules))[1]
            areas[:, s] = [of_class.get(label, 0.0) for label in labels]
        n_reference = np.bincount(cut.truth.label, minlength=len(labels)).astype(np.float64)
        best = np.argmax(shrunk(areas, n_reference), axis=1)
        return start.with_rules([with_setting(rule, int(s)) for rule, s in zip(start.rules, best, strict=True)])

    points: list[Sequence[Events]] = []
    covered = np.zeros(len(problem.fold), bool)
    for left_out in progress(range(FOLDS), description="cross-validation", unit="fold"):
        clips = problem.fold == left_out
        if clips.any() and (~clips[problem.truth.clip]).any():
            points.append(_tables(_cut(problem, clips), chosen(~clips)))
            covered |= clips
    value = 0.0
    if points:
        rest = _cut(problem, covered)
        value = _psds(scenario, rest, [_joined(rest.scores, tables) for tables in zip(*points, strict=True)])[0]
    grid = box_grid() if boxes else {"median_s": settings}
    return Solution(chosen(np.ones(len(covered), bool)), value, grid)


def _value(scenario: PsdsParameters, problem: Problem, rules: Postprocessing) -> float:
    """Return PSDS of the 50 operating points of rules."""
    return _psds(scenario, problem, _tables(problem, rules))[0]


for _name, _scenario in (("psds1", PSDS1), ("psds2", PSDS2)):
    register(_name, Objective(partial(_search, _scenario), partial(_value, _scenario), joins_overlaps=True))


def _psds(scenario: PsdsParameters, problem: Problem, tables: Sequence[Events]) -> tuple[float, dict[str, float]]:
    """Return PSDS, and the area under each class's own curve."""
    from sedkit.evaluation.psd_roc import psds_of_points

    durations = dict(zip(problem.scores.filenames, problem.scores.duration_s.tolist(), strict=True))
    return psds_of_points(problem.truth, tables, durations, scenario)


def _tables(problem: Problem, rules: Postprocessing) -> list[Events]:
    return list(decode_thresholds(problem.scores, even_thresholds(), postprocessing=rules, tags=problem.gate))


def _cut(problem: Problem, clips: np.ndarray) -> Problem:
    """Return the problem of the clips of a mask."""
    names = tuple(name for name, wanted in zip(problem.scores.filenames, clips, strict=True) if wanted)
    return replace(problem, scores=problem.scores.keep_clips(names), events=problem.truth.keep_clips(names))


def _joined(scores: Scores, tables: Sequence[Events]) -> Events:
    """Join tables of different clips into one of the clips of the scores."""
    tables = [table.keep_clips(scores.filenames) for table in tables]
    columns = ("clip", "label", "onset_s", "offset_s", "line")
    return replace(tables[0], **{name: np.concatenate([getattr(table, name) for table in tables]) for name in columns})
