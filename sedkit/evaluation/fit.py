"""Warn of what does not fit between a reference and an output, and say what that means for each figure.

What a figure makes of clips that one side lacks follows from `Metric.clips`.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sedkit.core.errors import listed
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.base import Metric


@dataclass(frozen=True)
class Fit:
    """A reference as it was scored, the classes that were asked for, and the results.

    Attributes
    ----------
    reference
        Every clip, with the events of every class.
    truth
        What of it was scored, and the durations of the clips to be scored.
    classes
        The classes of `--labels`.
    results
        Blocks of the results file.
    metrics
        The metrics that were computed, in the variant in which they were.
    """

    reference: Events | Tags
    truth: Truth
    classes: Sequence[str] | None
    results: Mapping[str, Any]
    metrics: Sequence[Metric]

    def warn_of(self, output: Output, scores_path: str) -> None:
        """Warn of an output; its classes are those of its files, its clips the ones to be scored."""
        of_form = {form: [m for m in self.metrics if m.reads == form] for form in ("estimate", "points", "scores")}
        if isinstance(self.reference, Events):
            if output.estimate is not None:
                self._warn_of_tables([output.estimate], of_form["estimate"])
            if output.points is not None:
                of_points = [*(of_form["estimate"] if output.estimate is None else ()), *of_form["points"]]
                self._warn_of_tables(output.points.tables, of_points)
        if output.scores is not None:
            self._warn_of_scores(output.scores, of_form["scores"], scores_path)

    def _warn_of_tables(self, tables: Sequence[Events], metrics: Sequence[Metric]) -> None:
        """Warn of rows that do not fit the reference (clips, labels, times past the clip's end), once for all tables.

        `metrics` are the figures that are computed from these tables; without any there is nothing to tell.
        """
        reference, durations, classes = self.reference, self.truth.durations, self.classes
        if not metrics:
            return
        known = set(reference.filenames)
        outside = [[i for i, name in enumerate(table.filenames) if name not in known] for table in tables]
        if any(outside):
            rows = [np.flatnonzero(np.isin(t.clip, clips)) for t, clips in zip(tables, outside, strict=True)]
            at = next(i for i, those in enumerate(outside) if those)
            first = tables[at].filenames[outside[at][0]]
            clips = sorted({tables[i].filenames[j] for i, those in enumerate(outside) for j in those})
            log.warning(
                "%s%s: %s is not a clip of the reference (%d such clips, %d rows: %s)",
                tables[at].source,
                f":{tables[at].line[rows[at][0]]}" if len(rows[at]) else "",
                first,
                len(clips),
                sum(map(len, rows)),
                _fates(metrics, clips, durations),
            )
        # Rows of the reference's other classes are what `--labels` was given to leave out.
        allowed = {*(classes or ()), *reference.labels}
        unknown = [[i for i, name in enumerate(table.labels) if name not in allowed] for table in tables]
        rows = [np.flatnonzero(np.isin(t.label, labels)) for t, labels in zip(tables, unknown, strict=True)]
        if first_row := _first_row(tables, rows):
            names = sorted({tables[i].labels[k] for i, r in enumerate(rows) for k in tables[i].label[r]})
            log.warning(
                "%s: label %s is not among the classes of the reference (%d such rows%s)",
                first_row,
                listed(repr(name) for name in names),
                sum(map(len, rows)),
                ": left out" if classes is not None else _fates_of_labels(metrics),
            )
        if durations:
            end = [np.array([durations.get(name, np.inf) for name in table.filenames]) for table in tables]
            rows = [np.flatnonzero(t.offset_s > e[t.clip]) for t, e in zip(tables, end, strict=True)]
            if first_row := _first_row(tables, rows):
                at = next(i for i, r in enumerate(rows) if len(r))
                table, row = tables[at], int(rows[at][0])
                log.warning(
                    "%s: offset %g s is past the end of %s at %g s (%d such rows: scored as they stand%s)",
                    first_row,
                    table.offset_s[row],
                    table.filenames[table.clip[row]],
                    end[at][table.clip[row]],
                    sum(map(len, rows)),
                    _fate_of_late(
                        metrics, sum(int((t.onset_s >= e[t.clip]).sum()) for t, e in zip(tables, end, strict=True))
                    ),
                )

    def _warn_of_scores(self, scores: Scores, metrics: Sequence[Metric], who: str) -> None:
        """Warn of scores that do not fit: clips, classes on either side, clips that go on past their end."""
        reference, durations, classes = self.reference, self.truth.durations, self.classes
        if not metrics:
            return
        known = set(reference.filenames)
        outside = [name for name in scores.filenames if name not in known]
        if outside:
            log.warning(
                "%s: scores of %s, no clip of the reference (%d such: %s)",
                who,
                outside[0],
                len(outside),
                _fates(metrics, outside, durations),
            )
        wanted = classes if classes is not None else reference.labels
        absent = [name for name in wanted if name not in scores.labels and name in reference.labels]
        if absent:
            log.warning("%s: no scores of the classes %s, which count as 0", who, listed(repr(name) for name in absent))
        unknown = [name for name in scores.labels if name not in wanted and name not in reference.labels]
        if unknown:
            # Where every class of the reference is scored, these are the rest of a larger vocabulary.
            log.log(
                logging.WARNING if absent else logging.INFO,
                "%s: scores of the classes %s, which are not scored",
                who,
                listed(repr(name) for name in unknown),
            )
        fates = dict.fromkeys(metric.past_end for metric in metrics if metric.past_end)
        if durations and fates:
            # Models give whole frames: what is past the end by less than a second is nothing to tell of.
            ends = [edges[-1] if len(edges) else 0.0 for edges in map(scores.edges, range(len(scores.filenames)))]
            over = [
                (name, end, durations[name])
                for name, end in zip(scores.filenames, ends, strict=True)
                if name in durations and end > durations[name] + 1.0
            ]
            for fate in fates if over else ():
                log.warning(
                    "%s: scores of %s go on to %g s, past its end at %g s (%d such clips; %s: %s)",
                    who,
                    *over[0],
                    len(over),
                    ", ".join(metric.name for metric in metrics if metric.past_end == fate),
                    fate,
                )

    def warn_of_durations(self, path: str | None) -> None:
        """Warn of clips of the reference without a duration, where a figure depends on it."""
        filenames, durations = self.truth.tags.filenames, self.truth.durations
        without = [name for name in filenames if name not in (durations or {})]
        where = path or "no --durations"
        by_duration = _named(self.metrics, "durations")
        if durations is not None and without and by_duration:
            log.warning(
                "%s: no duration of %s (%d such clips of the reference; %s: no detection in them is a false positive, "
                "as psds_eval has it)",
                where,
                without[0],
                len(without),
                ", ".join(by_duration),
            )
        for metric in self.metrics if without else ():
            if fate := metric.without_durations(self.results[metric.block]):
                clips = f"{len(without)} of {len(filenames)} clips"
                log.warning("%s: no duration of %s (%s; %s: %s)", where, without[0], clips, metric.name, fate)


def _named(metrics: Sequence[Metric], clips: str) -> list[str]:
    """Return the names of the metrics whose clips are those of the reference, or those with a duration."""
    return [metric.name for metric in metrics if metric.clips == clips]


def _fates(metrics: Sequence[Metric], clips: Sequence[str], durations: Mapping[str, float] | None) -> str:
    """Say what figures make of clips that the reference lacks."""
    timed = sum(clip in (durations or {}) for clip in clips)
    false = _named(metrics, "durations") if timed else []
    passed_over = [metric.name for metric in metrics if metric.name not in false]
    if not false:
        return "not scored"
    which = "they have" if timed == len(clips) else f"{timed} of them have"
    said = f"{', '.join(false)}: detections there are false positives, since {which} a duration"
    return f"{', '.join(passed_over)}: not scored; {said}" if passed_over else said


def _fates_of_labels(metrics: Sequence[Metric]) -> str:
    """Say what figures make of rows of a class that the reference lacks."""
    false, free = _named(metrics, "reference"), _named(metrics, "durations")
    said = [f"{', '.join(false)}: false positives"] if false else []
    said += [f"{', '.join(free)}: no part in the figure"] if free else []
    return "".join(f"; {what}" for what in said)


def _fate_of_late(metrics: Sequence[Metric], n: int) -> str:
    """Say what figures make of `n` rows that begin past the clip's end."""
    free = _named(metrics, "durations")
    return f"; {', '.join(free)}: the {n} that begin past it are no false positives" if free and n else ""


def _first_row(tables: Sequence[Events], rows: Sequence[np.ndarray]) -> str | None:
    """Return file and line of the first of the given rows of each table, None where there is none."""
    for table, odd in zip(tables, rows, strict=True):
        if len(odd):
            return f"{table.source}:{table.line[odd[0]]}"
    return None
