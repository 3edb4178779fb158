"""Warn of what does not fit between a reference and an output, and say what that means for each figure.

What a figure makes of clips that one side lacks follows from `Metric.clips`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import listed
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import Output, Truth
from sedkit.evaluation.metrics.base import Metric


@dataclass(frozen=True)
class Fit:
    """A reference as it was scored, the classes that were asked for, and the metrics.

    `reference` has every clip and class; `truth` is what of it was scored, with the durations of these clips; `classes`
    are those of `--labels`; `metrics` are those that were computed, in the variant in which they were.
    """

    reference: Events | Tags
    truth: Truth
    classes: Sequence[str] | None
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
        if output.scores is not None and of_form["scores"]:
            self._warn_of_scores(output.scores, of_form["scores"], scores_path)

    def _warn_of_tables(self, tables: Sequence[Events], metrics: Sequence[Metric]) -> None:
        """Warn of rows that do not fit the reference (clips, labels, times past the clip's end), once for all tables.

        `metrics` are the figures that are computed from these tables; without any there is nothing to tell.
        """
        if not metrics:
            return
        durations = self.truth.durations or {}
        by_duration, others = _named(metrics, "durations"), _named(metrics, "reference")
        known = set(self.reference.filenames)
        outside = [np.array([name not in known for name in table.filenames], bool) for table in tables]
        strange = [name for table in tables for name in table.filenames if name not in known]
        if strange:
            rows = [out[t.clip] for t, out in zip(tables, outside, strict=True)]
            at = next(i for i, out in enumerate(outside) if out.any())
            log.warning(
                "%s: %s is not a clip of the reference (%d such clips, %d rows: %s)",
                _place(tables[at], rows[at]),
                strange[0],
                len(set(strange)),
                sum(of.sum() for of in rows),
                _fates(metrics, set(strange), durations),
            )
        # Rows of the reference's other classes are what `--labels` was given to leave out.
        allowed = {*(self.classes or ()), *self.reference.labels}
        unknown = [np.array([name not in allowed for name in t.labels], bool)[t.label] for t in tables]
        if (first := _first(unknown)) is not None:
            names = {t.labels[k] for t, rows in zip(tables, unknown, strict=True) for k in t.label[rows]}
            fates = {"false positives": others, "no part in the figure": by_duration}
            said = "".join(f"; {', '.join(of)}: {fate}" for fate, of in fates.items() if of)
            log.warning(
                "%s: label %s is not among the classes of the reference (%d such rows%s)",
                _place(tables[first], unknown[first]),
                listed(repr(name) for name in sorted(names)),
                sum(rows.sum() for rows in unknown),
                said if self.classes is None else ": left out",
            )
        ends = [np.array([durations.get(name, np.inf) for name in t.filenames])[t.clip] for t in tables]
        late = [t.offset_s > end for t, end in zip(tables, ends, strict=True)]
        if (first := _first(late)) is not None:
            table, row = tables[first], int(np.argmax(late[first]))
            n = sum(int((t.onset_s >= end).sum()) for t, end in zip(tables, ends, strict=True))
            free = f"; {', '.join(by_duration)}: the {n} that begin past it are no false positives"
            log.warning(
                "%s: offset %g s is past the end of %s at %g s (%d such rows: scored as they stand%s)",
                _place(table, late[first]),
                table.offset_s[row],
                table.filenames[table.clip[row]],
                ends[first][row],
                sum(rows.sum() for rows in late),
                free if by_duration and n else "",
            )

    def _warn_of_scores(self, scores: Scores, metrics: Sequence[Metric], who: str) -> None:
        """Warn of scores that do not fit: clips, classes on either side, clips that go on past their end."""
        reference, durations = self.reference, self.truth.durations or {}
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
        wanted = self.classes if self.classes is not None else reference.labels
        absent = [name for name in wanted if name not in scores.labels and name in reference.labels]
        if absent:
            log.warning("%s: no scores of the classes %s, which count as 0", who, listed(repr(name) for name in absent))
        unknown = [name for name in scores.labels if name not in wanted and name not in reference.labels]
        if unknown:
            # Where every class of the reference is scored, these are the rest of a larger vocabulary.
            level = logging.WARNING if absent else logging.INFO
            names = listed(repr(name) for name in unknown)
            log.log(level, "%s: scores of the classes %s, which are not scored", who, names)
        # Models give whole frames: what is past the end by less than a second is nothing to tell of.
        ends = zip(scores.filenames, scores.end_s.tolist(), strict=True)
        over = [(name, end, durations[name]) for name, end in ends if end > durations.get(name, np.inf) + 1.0]
        for fate in dict.fromkeys(metric.past_end for metric in metrics if metric.past_end and over):
            log.warning(
                "%s: scores of %s go on to %g s, past its end at %g s (%d such clips; %s: %s)",
                who,
                *over[0],
                len(over),
                ", ".join(metric.name for metric in metrics if metric.past_end == fate),
                fate,
            )

    def warn_of_durations(self, path: str | None, results: Mapping[str, Any]) -> None:
        """Warn of clips of the reference without a duration, where a figure in the results depends on it."""
        filenames, durations = self.truth.tags.filenames, self.truth.durations
        without = [name for name in filenames if name not in (durations or {})]
        where, by_duration = path or "no --durations", _named(self.metrics, "durations")
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
            if fate := metric.without_durations(results[metric.block]):
                clips = f"{len(without)} of {len(filenames)} clips"
                log.warning("%s: no duration of %s (%s; %s: %s)", where, without[0], clips, metric.name, fate)


def _named(metrics: Sequence[Metric], clips: str) -> list[str]:
    """Return the names of the metrics whose clips are those of the reference, or those with a duration."""
    return [metric.name for metric in metrics if metric.clips == clips]


def _fates(metrics: Sequence[Metric], clips: Iterable[str], durations: Mapping[str, float]) -> str:
    """Say what figures make of clips that the reference lacks."""
    timed = [clip in durations for clip in clips]
    false = _named(metrics, "durations") if any(timed) else []
    if not false:
        return "not scored"
    passed_over = [metric.name for metric in metrics if metric.name not in false]
    which = "they have" if all(timed) else f"{sum(timed)} of them have"
    said = f"{', '.join(false)}: detections there are false positives, since {which} a duration"
    return f"{', '.join(passed_over)}: not scored; {said}" if passed_over else said


def _first(rows: Sequence[NDArray[np.bool_]]) -> int | None:
    """Return the first table of which there are any rows, None where there is none."""
    return next((i for i, of in enumerate(rows) if of.any()), None)


def _place(table: Events, rows: NDArray[np.bool_]) -> str:
    """Return file and line of the first of the rows; the file where there is none."""
    return f"{table.source}:{table.line[np.argmax(rows)]}" if rows.any() else table.source
