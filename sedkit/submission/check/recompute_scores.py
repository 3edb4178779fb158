"""Results that a meta file states, beside those recomputed from packaged scores (2023, 2024).

PSDS is taken over every threshold, as sed_scores_eval does, or from 50 operating points, as psds_eval does: the
organisers' baselines print both. Their exact figure leaves out the clips without events. The partial ROC area of
MAESTRO is that of whole recordings, as the baseline has it, or of single clips. A stated figure is right where it is
that of any run, or the mean of the runs, by any of these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.numbers import is_number
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.events import Events
from sedkit.dataio.names import stem
from sedkit.dataio.scores import Scores
from sedkit.evaluation.maestro import MAESTRO_EVALUATED
from sedkit.evaluation.recordings import Excerpt, excerpts_of, join_scores, join_truth, recording_lengths
from sedkit.submission.check.recompute import Confirmed, Reference, is_close, note_durations
from sedkit.submission.check.scores import ClipScores, RunScores
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.findings import NOTE, SCORED_WRONGLY, Findings
from sedkit.submission.formats import Format, OperatingPoints
from sedkit.submission.formats._format import MAESTRO_CLASSES

if TYPE_CHECKING:
    from sedkit.evaluation.parameters import PsdsParameters

#: Clips times windows times classes that are scored at once.
_MOST_VALUES = 150_000_000

_PSDS = ("PSDS1", "PSDS2")

#: A way to compute a figure: its name, and the figure of each run.
_Way = tuple[str, Callable[[], list[float]]]


def check_score_results(
    meta: Meta,
    runs: Mapping[int, RunScores],
    form: Format,
    duration_s: Mapping[str, float] | None,
    references: Sequence[Reference],
    findings: Findings,
) -> list[Confirmed]:
    """Compare the results in a meta file with those of its score tables.

    Parameters
    ----------
    meta
        The meta file.
    runs
        The tables of each run, as far as they are faultless.
    form
        The year's format: it says which figures there are.
    duration_s
        Durations by file name; PSDS needs them.
    references
        What holds DESED's classes serves PSDS, what holds MAESTRO's the partial ROC area.
    findings
        Where differences are noted.

    Returns
    -------
    The figures that were found again.
    """
    confirmed: list[Confirmed] = []
    fields = [item.path for item in form.fields if item.path.startswith("results.")]
    stated = {path: value for path in fields if is_number(value := get(meta.values, path)[1])}
    if not fields:
        message = f"nothing to recompute: which results a meta file of {form.name} states is not known"
        findings.add(NOTE, "results_not_recomputed", meta.file, message)
    for what, keys, events_of in (("DESED", _PSDS, _desed_events), ("MAESTRO", ("mPAUC",), _maestro_events)):
        mine = {path: x for path, x in stated.items() if path.rpartition(".")[2] in keys}
        if not mine:
            continue
        truths = [(one, events) for one in references if (events := events_of(one.events, duration_s))]
        if not truths:
            names = listed(path.rpartition(".")[2] for path in mine)
            message = f"{names} not recomputed: no reference holds events of {what}'s classes"
            findings.add(
                NOTE, "results_not_recomputed", meta.file, message, f"--reference with {what}'s development set"
            )
        for reference, events in truths:
            figures = _Figures(events, runs, form, duration_s)
            confirmed += _compare(meta, mine, figures, reference, findings)
    return confirmed


def _desed_events(reference: Events, duration_s: Mapping[str, float] | None) -> Events | None:
    """Return the clips of DESED with the events of its classes; None where there is no such event."""
    other = _of_maestro(reference, duration_s)
    events = reference.keep_clips([name for name in reference.filenames if name not in other])
    events = events.keep_labels(DESED_CLASSES.labels)
    return events if events.n_events else None


def _maestro_events(reference: Events, duration_s: Mapping[str, float] | None) -> Events | None:
    """Return the clips of MAESTRO with the events of its evaluated classes; None where there is no such event."""
    mine = _of_maestro(reference, duration_s)
    events = reference.keep_clips([name for name in reference.filenames if name in mine])
    events = events.keep_labels(MAESTRO_EVALUATED)
    return events if events.n_events else None


def _of_maestro(reference: Events, duration_s: Mapping[str, float] | None) -> set[str]:
    """Return the clips with an event of MAESTRO's classes, and the excerpts of recordings."""
    codes = [i for i, label in enumerate(reference.labels) if label in MAESTRO_CLASSES]
    clips = {reference.filenames[i] for i in np.unique(reference.clip[np.isin(reference.label, codes)])}
    return clips | set(excerpts_of(reference.filenames, duration_s))


class _Figures:
    """The figures of runs on one part of a reference, each computed when it is asked for."""

    def __init__(
        self, truth: Events, runs: Mapping[int, RunScores], form: Format, duration_s: Mapping[str, float] | None
    ) -> None:
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

    def ways(self, key: str) -> list[_Way]:
        """Return the ways to compute a figure, the preferred one first."""
        if key == "mPAUC":
            whole = ("recordings joined from their clips", self._area_of_recordings)
            joined = len(self._excerpts) == len(self.truth.filenames)
            return [*([whole] if joined else []), ("single clips", self._area_of_clips)]
        from sedkit.evaluation.parameters import PSDS1, PSDS2

        parameters = PSDS1 if key == "PSDS1" else PSDS2
        return [
            ("exact, over every threshold", lambda: self._exact(parameters, with_empty=True)),
            ("exact, clips without events left out", lambda: self._exact(parameters, with_empty=False)),
            ("from 50 operating points", lambda: self._of_points(parameters)),
        ]

    @cached_property
    def _ground(self) -> Any:
        from sedkit.evaluation.coverage import prepare

        return prepare(self.truth, self.duration_s)

    @cached_property
    def _scores(self) -> list[Scores]:
        return [_stack(clips, self.truth, self.form) for clips in self.runs.values()]

    def _exact(self, parameters: PsdsParameters, with_empty: bool) -> list[float]:
        from sedkit.evaluation.coverage import prepare
        from sedkit.evaluation.psds_exact import psds_of_sweep, sweep

        ground, scores = self._ground, self._scores
        if not with_empty:
            names = [self.truth.filenames[i] for i in np.unique(self.truth.clip)]
            ground = prepare(self.truth.keep_clips(names), {name: self.duration_s[name] for name in names})
        return [psds_of_sweep(sweep(ground, run, parameters.criteria), parameters)[0] for run in scores]

    @cached_property
    def _detections(self) -> list[Any]:
        from sedkit.evaluation.coverage import join_points
        from sedkit.postprocessing import decode_thresholds

        thresholds = OperatingPoints().thresholds
        return [join_points(self._ground, list(decode_thresholds(run, thresholds))) for run in self._scores]

    def _of_points(self, parameters: PsdsParameters) -> list[float]:
        from sedkit.evaluation.coverage import count_detections
        from sedkit.evaluation.psd_roc import psds_value

        counted = (count_detections(self._ground, detections, parameters.criteria) for detections in self._detections)
        return [psds_value(counts, parameters)[0] for counts in counted]

    @cached_property
    def _excerpts(self) -> dict[str, Excerpt]:
        scores = self._scores[0] if self._scores else None
        return excerpts_of(self.truth.filenames, self.listed_s, scores)

    def _area_of_clips(self) -> list[float]:
        known = {name: excerpt.end_s - excerpt.start_s for name, excerpt in self._excerpts.items()} | self.duration_s
        return [_area(self.truth, run, known or None) for run in self._scores]

    def _area_of_recordings(self) -> list[float]:
        truth, length_s = join_truth(self.truth, self._excerpts), recording_lengths(self._excerpts, self.listed_s)
        joined = (join_scores(run, self._excerpts, self.truth.labels, length_s) for run in self._scores)
        return [_area(truth, scores, length_s) for scores in joined]


def _area(truth: Events, scores: Scores, duration_s: Mapping[str, float] | None) -> float:
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


@dataclass(frozen=True)
class _Candidate:
    """A recomputed figure that a stated one may be: of a run, or the mean of the runs; and how it was computed."""

    value: float
    how: str


def _compare(
    meta: Meta, stated: Mapping[str, float], figures: _Figures, reference: Reference, findings: Findings
) -> list[Confirmed]:
    """Return the figures that were found again; the others are noted."""
    keys = {path: path.rpartition(".")[2] for path in stated}
    n_clips = len(figures.truth.filenames)
    covered = f"scores of {_counts(figures.covered)} of the {n_clips} clips of {reference.path}"
    if not figures.runs:
        message = f"{listed(keys.values())} not recomputed: {covered}"
        findings.add(
            NOTE, "results_not_recomputed", meta.file, message, "scores of the set that the figures are stated for"
        )
        return []
    if "mPAUC" not in keys.values() and len(figures.duration_s) < n_clips:
        note_durations(meta.file, tuple(keys.values()), reference, findings)
        return []
    confirmed = []
    for path, value in stated.items():
        seen: list[str] = []
        try:
            figure = _match(value, figures, keys[path], seen)
        except SedkitError as error:
            findings.add(NOTE, "results_not_recomputed", meta.file, f"{keys[path]} is not recomputed: {error}")
            continue
        if figure is not None:
            confirmed.append(Confirmed(meta.file, path, value, figure.value, figure.how, reference.path))
        elif len(figures.runs) < len(figures.covered):
            # The mean of the runs, which it may be, cannot be told.
            message = f"{path} {value:g} is not that of run {listed(figures.runs)} ({'; '.join(seen)}): {covered}"
            findings.add(NOTE, "results_not_recomputed", meta.file, message, "scores of all runs")
        else:
            message = f"{path} is {value:g}, which the packaged scores do not give on {reference.path}"
            findings.add(SCORED_WRONGLY, "results_differ", meta.file, message, "; ".join(seen), row=meta.row(path))
    return confirmed


def _match(value: float, figures: _Figures, key: str, seen: list[str]) -> _Candidate | None:
    """Look for a figure among the recomputed ones, way by way; what was computed goes into `seen` in words."""
    of = len(figures.covered)
    for way, compute in figures.ways(key):
        values = compute()
        candidates = [_Candidate(x, f"run {run}, {way}") for run, x in zip(figures.runs, values, strict=True)]
        words = f"runs {', '.join(f'{x:.4f}' for x in values)}"
        if len(values) == of:
            mean = float(np.mean(values))
            candidates.insert(0, _Candidate(mean, f"the mean of {of} runs, {way}"))
            words = f"mean {mean:.4f} ({words})"
        nearest = min(candidates, key=lambda candidate: abs(candidate.value - value))
        if is_close(value, nearest.value):
            return nearest
        seen.append(f"{words} {way}")
    return None


def _counts(covered: Mapping[int, int]) -> str:
    if len(covered) == 1:
        return str(*covered.values())
    if len(set(covered.values())) == 1:
        return f"{next(iter(covered.values()))} (each run)"
    return ", ".join(f"{count} (run {run})" for run, count in covered.items())
