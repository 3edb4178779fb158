"""Results that a meta file states, beside those recomputed from packaged scores (2023, 2024).

PSDS is taken over every threshold, as sed_scores_eval does, or from 50 operating points, as psds_eval does: the
organisers' baselines print both. Their exact figure leaves out the clips without events. The partial ROC area of
MAESTRO is that of whole recordings, joined from the clips that were cut out of them, or of the single clips.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.numbers import is_number
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.events import Events
from sedkit.dataio.excerpts import Excerpt
from sedkit.dataio.names import stem
from sedkit.dataio.scores import Scores
from sedkit.evaluation.maestro import MAESTRO_EVALUATED
from sedkit.evaluation.recordings import excerpts_of, join_scores, join_truth, recording_lengths
from sedkit.submission.formats import Format, PointFolder
from sedkit.submission.formats._format import MAESTRO_CLASSES
from sedkit.submission.meta.read import Meta
from sedkit.submission.outputs.score_tables import ClipScores, RunScores
from sedkit.submission.stated_figures import Confirmed, Reference, figures_of, is_close, note, note_durations

#: Clips times windows times classes that are scored at once.
_MOST_VALUES = 150_000_000

#: Which figures the events of a part of a reference serve.
_SERVES = {"DESED": ("PSDS1", "PSDS2"), "MAESTRO": ("mPAUC",)}

_Durations = Mapping[str, float] | None


def check_score_results(
    meta: Meta, runs: Mapping[int, RunScores], form: Format, duration_s: _Durations, references: Sequence[Reference]
) -> list[Confirmed]:
    """Compare the results in a meta file with those of its score tables, as far as these are faultless.

    `duration_s` are durations by file name, which PSDS needs. References that hold DESED's classes serve PSDS, those
    that hold MAESTRO's the partial ROC area. Return the figures that were found again.
    """
    confirmed: list[Confirmed] = []
    stated = {path: value for path in form.results if is_number(value := meta.get(path))}
    if not form.results:
        note(meta, f"nothing to recompute: which results a meta file of {form.name} states is not known")
    for part, keys in _SERVES.items():
        mine = {path: x for path, x in stated.items() if path.rpartition(".")[2] in keys}
        parts = [(one, _part_of(one.events, part, duration_s)) for one in references]
        truths = [(one, events) for one, events in parts if events.n_events]
        if mine and not truths:
            names = listed(path.rpartition(".")[2] for path in mine)
            message = f"{names} not recomputed: no reference holds events of {part}'s classes"
            note(meta, message, f"--reference with {part}'s development set")
        for reference, events in truths if mine else ():
            confirmed += _compare(meta, mine, _Figures(events, runs, form, duration_s), reference)
    return confirmed


def _part_of(reference: Events, part: str, duration_s: _Durations) -> Events:
    """Return the clips of DESED or MAESTRO with the events of its classes, of MAESTRO the evaluated ones.

    MAESTRO's are the clips with an event of its classes, and the excerpts of recordings.
    """
    codes = [i for i, label in enumerate(reference.labels) if label in MAESTRO_CLASSES]
    of_maestro = {reference.filenames[i] for i in np.unique(reference.clip[np.isin(reference.label, codes)])}
    of_maestro |= set(excerpts_of(reference.filenames, duration_s))
    events = reference.keep_clips([n for n in reference.filenames if (n in of_maestro) == (part == "MAESTRO")])
    return events.keep_labels(MAESTRO_EVALUATED if part == "MAESTRO" else DESED_CLASSES.labels)


class _Figures:
    """The figures of runs on one part of a reference, each computed when it is asked for."""

    def __init__(self, truth: Events, runs: Mapping[int, RunScores], form: Format, duration_s: _Durations) -> None:
        self.truth = truth
        self.form = form
        wanted = [stem(name) for name in truth.filenames]
        self.listed_s = duration_s
        # A score table knows its clip by its id alone.
        known = {stem(name): seconds for name, seconds in (duration_s or {}).items()}
        self.duration_s = {n: known[clip] for n, clip in zip(truth.filenames, wanted, strict=True) if clip in known}
        assert form.scores is not None
        numbers = range(1, form.scores.runs + 1)
        self.covered = {run: sum(clip in runs[run].clips for clip in wanted) if run in runs else 0 for run in numbers}
        self.runs = {run: runs[run].clips for run in numbers if self.covered[run] == len(wanted)}

    def ways(self, key: str) -> dict[str, Callable[[Scores], float]]:
        """Return the ways to compute a figure of a run by their names, the preferred one first."""
        if key == "mPAUC":
            joined = len(self._excerpts) == len(self.truth.filenames)
            whole = {"recordings joined from their clips": self._area_of_recordings} if joined else {}
            return {**whole, "single clips": self._area_of_clips}
        metric = key.lower()

        def exact(truth: Events) -> Callable[[Scores], float]:
            durations = {name: self.duration_s[name] for name in truth.filenames}
            return lambda scores: float(figures_of(truth, metric, durations, "exact", scores=scores)["value"])

        with_events = self.truth.keep_clips([self.truth.filenames[i] for i in np.unique(self.truth.clip)])
        return {
            "exact, over every threshold": exact(self.truth),
            "exact, clips without events left out": exact(with_events),
            "from 50 operating points": lambda scores: self._of_points(metric, scores),
        }

    @cached_property
    def scores(self) -> dict[int, Scores]:
        """The scores by run."""
        return {run: _stack(clips, self.truth, self.form) for run, clips in self.runs.items()}

    def _of_points(self, metric: str, scores: Scores) -> float:
        from sedkit.postprocessing import decode_thresholds

        points = decode_thresholds(scores, PointFolder().thresholds)
        return float(figures_of(self.truth, metric, self.duration_s, points=points)["value"])

    @cached_property
    def _excerpts(self) -> dict[str, Excerpt]:
        return excerpts_of(self.truth.filenames, self.listed_s, next(iter(self.scores.values()), None))

    def _area_of_clips(self, scores: Scores) -> float:
        known = {name: excerpt.end_s - excerpt.start_s for name, excerpt in self._excerpts.items()} | self.duration_s
        return _area(self.truth, scores, known or None)

    def _area_of_recordings(self, scores: Scores) -> float:
        length_s = recording_lengths(self._excerpts, self.listed_s)
        joined = join_scores(scores, self._excerpts, self.truth.labels, length_s)
        return _area(join_truth(self.truth, self._excerpts), joined, length_s)


def _area(truth: Events, scores: Scores, duration_s: _Durations) -> float:
    from sedkit.evaluation.metrics.partial_auc import SegmentAucParameters, cut_segments, partial_auc

    parameters = SegmentAucParameters()
    return float(partial_auc(cut_segments(truth, scores, duration_s, parameters), parameters)[0])


def _stack(clips: Mapping[str, ClipScores], truth: Events, form: Format) -> Scores:
    """Return the scores of the truth's clips and classes, under its names."""
    tables = [clips[stem(name)] for name in truth.filenames]
    columns = [form.labels.index(label) for label in truth.labels]
    n = np.array([len(table.values) for table in tables], dtype=np.int64)
    if len(n) * int(n.max()) * len(columns) > _MOST_VALUES:
        raise SedkitError(f"a table of {n.max():,} windows is too long to be scored beside {len(n)} clips")
    framewise = np.zeros((len(tables), int(n.max()), len(columns)))
    for target, table in zip(framewise, tables, strict=True):
        target[: len(table.values)] = table.values[:, columns]
    edges = tuple(table.edges_s for table in tables)
    ends = np.array([grid[-1] for grid in edges])
    return Scores(framewise, n, ends, edges, truth.filenames, truth.labels)


def _compare(meta: Meta, stated: Mapping[str, float], figures: _Figures, reference: Reference) -> list[Confirmed]:
    """Return the figures that were found again; the others are noted."""
    keys = {path: path.rpartition(".")[2] for path in stated}
    n_clips = len(figures.truth.filenames)
    covered = f"scores of {_counts(figures.covered)} of the {n_clips} clips of {reference.path}"
    if not figures.runs:
        message = f"{listed(keys.values())} not recomputed: {covered}"
        note(meta, message, "scores of the set that the figures are stated for")
        return []
    if "mPAUC" not in keys.values() and len(figures.duration_s) < n_clips:
        note_durations(meta, tuple(keys.values()), reference)
        return []
    confirmed = []
    for path, value in stated.items():
        try:
            found, seen = _match(value, figures, keys[path])
        except SedkitError as error:
            note(meta, f"{keys[path]} is not recomputed: {error}")
            continue
        if found is not None:
            confirmed.append(Confirmed(meta.file, path, value, *found, reference.path))
        elif len(figures.runs) < len(figures.covered):
            # The mean of the runs, which it may be, cannot be told.
            message = f"{path} {value:g} is not that of run {listed(figures.runs)} ({'; '.join(seen)}): {covered}"
            note(meta, message, "scores of all runs")
        else:
            message = f"{path} is {value:g}, which the packaged scores do not give on {reference.path}"
            meta.tell("results_differ", path, message, "; ".join(seen))
    return confirmed


def _match(value: float, figures: _Figures, key: str) -> tuple[tuple[float, str] | None, list[str]]:
    """Look for a figure among those of the runs and their mean, way by way.

    Return the one that it is and how it was computed, None where it is none; and in words what was computed.
    """
    of, seen = len(figures.covered), list[str]()
    for way, compute in figures.ways(key).items():
        areas = {run: compute(scores) for run, scores in figures.scores.items()}
        candidates = [(area, f"run {run}, {way}") for run, area in areas.items()]
        words = f"runs {', '.join(f'{x:.4f}' for x in areas.values())}"
        if len(areas) == of:
            mean = float(np.mean(list(areas.values())))
            candidates.insert(0, (mean, f"the mean of {of} runs, {way}"))
            words = f"mean {mean:.4f} ({words})"
        nearest = min(candidates, key=lambda candidate: abs(candidate[0] - value))
        if is_close(value, nearest[0]):
            return nearest, seen
        seen.append(f"{words} {way}")
    return None, seen


def _counts(covered: Mapping[int, int]) -> str:
    if len(covered) == 1:
        return str(*covered.values())
    if len(set(covered.values())) == 1:
        return f"{next(iter(covered.values()))} (each run)"
    return ", ".join(f"{count} (run {run})" for run, count in covered.items())
