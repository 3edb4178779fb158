"""Results that a meta file states, beside those recomputed from the output on a given reference."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.numbers import is_number
from sedkit.dataio.events import Events
from sedkit.evaluation.inputs import occurring
from sedkit.evaluation.reading import read_reference
from sedkit.evaluation.results_file import COVERED
from sedkit.submission.check.clips import ClipList
from sedkit.submission.check.kinds import decimals, percent_rounding
from sedkit.submission.check.outputs import Output
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.findings import NOTE, SCORED_WRONGLY, Findings, shown
from sedkit.submission.formats import every_format

#: Where the results of the development set stand.
_DEVELOPMENT = "results.development_dataset"

#: Beside the rounding of a stated percentage.
_DUST_PERCENT = 1e-4

#: Figures from 0 to 1 are stated with two decimals or more.
_TOLERANCE = 0.00501
_TOLERANCE_OF_THREE = 0.00101


@dataclass(frozen=True)
class Confirmed:
    """A stated figure that was found again: which file and key, its value, the one recomputed, how, on what."""

    file: str
    key: str
    stated: float
    recomputed: float
    how: str
    reference: str

    def text(self) -> str:
        """Return one line for people."""
        return shown(
            f"{self.file}: {self.key} {self.stated:g} is right: {self.recomputed:.4f}, {self.how}, on {self.reference}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return a plain mapping."""
        return asdict(self)


class Reference:
    """A reference to recompute results on, read once for all systems.

    A column `confidence` (MAESTRO, 2024) is honoured: rows of 0.5 and less are not active. Events of another format's
    classes are left out: one table may hold several sets.
    """

    def __init__(self, path: str | os.PathLike[str], labels: tuple[str, ...]) -> None:
        self.path = os.fspath(path)
        events = read_reference(self.path)
        others = {label for form in every_format() for label in form.labels}
        strange = [label for label in occurring(events) if label not in labels and label not in others]
        if strange:
            hint = suggest(strange[0], labels)
            raise SedkitError(f"{path}: unknown label {strange[0]!r}{hint}; expected one of {listed(labels, 30)}")
        self.events = events.keep_labels(labels)


def _event_f_scores(reference: Events, estimate: Events) -> tuple[float | None, dict[str, float | None]]:
    """Return the event-based macro F1 (collar 0.2 s, 20 %) and each class's, in percent, None where undefined."""
    from sedkit.evaluation.counts import as_json, rates
    from sedkit.evaluation.inputs import align
    from sedkit.evaluation.metrics.event import count_events

    counts = count_events(*align(reference, estimate))
    figures = as_json(counts, rates(counts))

    def percent(value: float | None) -> float | None:
        return None if value is None else 100 * value

    return percent(figures["macro"]["f1"]), {label: percent(m["f1"]) for label, m in figures["classes"].items()}


def check_results(
    meta: Meta, output: Output, clips: ClipList | None, reference: Reference, findings: Findings
) -> list[Confirmed]:
    """Compare the results in a meta file with figures recomputed from a system's events and operating points.

    A difference beyond rounding is a finding; where the output is of another set, a note says so.

    Parameters
    ----------
    meta
        The meta file: its `results.development_dataset`.
    output
        The event table (F-scores), the tables of the operating points (PSDS1 and PSDS2).
    clips
        The evaluation list: its clips count as listed, with or without a row. Its durations serve PSDS.
    reference
        The ground truth.
    findings
        Where differences are noted.

    Returns
    -------
    The figures that were found again.
    """
    if output.events is None:
        return []
    wanted = reference.events.filenames
    covered = len({*output.events.filenames, *(clips.filenames if clips else ())} & set(wanted))
    block = get(meta.values, _DEVELOPMENT)[1]
    if covered < COVERED * len(wanted):
        message = (
            f"the output lists {covered} of the {len(wanted)} clips of {reference.path}: results are not recomputed"
        )
        findings.add(NOTE, "results_not_recomputed", meta.file, message, "--files with the clips that were predicted")
        return []
    confirmed, wrong = _compare_f_scores(meta, block, output.events, reference)
    if wrong:
        message = f"F-scores differ from those of the output on {reference.path}: {listed(wrong.values(), 3)}"
        _add_difference(meta, message, next(iter(wrong)), findings)
    stated = {key: get(block, f"overall.{key}")[1] for key in ("PSDS1", "PSDS2")}
    stated = {key: x for key, x in stated.items() if is_number(x)}
    if not stated or not output.points:
        return confirmed
    # Clips of the list that the reference does not know have no truth: they would only add hours.
    duration_s = (clips.duration_s if clips else None) or {}
    known_s = {name: duration_s[name] for name in wanted if name in duration_s}
    if len(known_s) < len(wanted):
        note_durations(meta.file, tuple(stated), reference, findings)
        return confirmed
    try:
        more, wrong = _compare_psds(meta, stated, output.points, known_s, reference)
    except SedkitError as error:
        message = f"{listed(stated)} not recomputed: {error}"
        findings.add(NOTE, "results_not_recomputed", meta.file, message)
        return confirmed
    if wrong:
        message = f"PSDS differs from that of the operating points on {reference.path}: {listed(wrong.values())}"
        _add_difference(meta, message, next(iter(wrong)), findings)
    return confirmed + more


def _add_difference(meta: Meta, message: str, key: str, findings: Findings) -> None:
    expected, row = "the figures of this very output", meta.row(f"{_DEVELOPMENT}.{key}")
    findings.add(SCORED_WRONGLY, "results_differ", meta.file, message, expected, row=row)


def _compare_f_scores(
    meta: Meta, block: Any, events: Events, reference: Reference
) -> tuple[list[Confirmed], dict[str, str]]:
    """Return the overall F-score where it was found again, and the F-scores that differ, in words by their keys."""
    macro, classes = _event_f_scores(reference.events, events)
    confirmed: list[Confirmed] = []
    wrong: dict[str, str] = {}
    for key, value in (("overall", macro), *((f"class_wise.{label}", x) for label, x in classes.items())):
        stated = get(block, f"{key}.F-score")[1]
        if value is None or not is_number(stated):
            continue
        if abs(stated - value) > percent_rounding(stated) + _DUST_PERCENT:
            wrong[f"{key}.F-score"] = f"{key.removeprefix('class_wise.')} {stated} (recomputed {value:.2f})"
        elif key == "overall":
            how = "event-based macro F1 in percent"
            where = f"{_DEVELOPMENT}.overall.F-score"
            confirmed.append(Confirmed(meta.file, where, stated, value, how, reference.path))
    return confirmed, wrong


def _compare_psds(
    meta: Meta,
    stated: Mapping[str, float],
    points: Sequence[Events],
    duration_s: Mapping[str, float],
    reference: Reference,
) -> tuple[list[Confirmed], dict[str, str]]:
    """Return the PSDS that were found again, and in words by their keys those that no version of psds_eval gives."""
    from sedkit.evaluation.parameters import PSDS1, PSDS2
    from sedkit.evaluation.psd_roc import psds_of_points

    confirmed: list[Confirmed] = []
    wrong: dict[str, str] = {}
    for key, value in stated.items():
        parameters = {"PSDS1": PSDS1, "PSDS2": PSDS2}[key]
        old = replace(parameters, cross_triggers="0.3.0")
        areas = [psds_of_points(reference.events, points, duration_s, p)[0] for p in (parameters, old)]
        nearest = min(range(2), key=lambda i: abs(value - areas[i]))
        if is_close(value, areas[nearest]):
            how = f"from operating points by psds_eval {('0.5.3', '0.3.0')[nearest]}"
            key = f"{_DEVELOPMENT}.overall.{key}"
            confirmed.append(Confirmed(meta.file, key, value, areas[nearest], how, reference.path))
        else:
            wrong[f"overall.{key}"] = f"{key} {value} (recomputed {areas[0]:.4f})"
    return confirmed, wrong


def note_durations(file: str, keys: Sequence[str], reference: Reference, findings: Findings) -> None:
    """Note that PSDS cannot be recomputed for want of durations."""
    message = f"{listed(keys)} not recomputed: the durations of the clips of {reference.path} are not known"
    findings.add(NOTE, "results_not_recomputed", file, message, "--files with filename and duration")


def is_close(stated: float, computed: float) -> bool:
    """Tell whether a figure from 0 to 1 is a recomputed one, up to its rounding and the last digits of other tools.

    >>> is_close(0.36, 0.3592), is_close(0.353, 0.3592)
    (True, False)
    """
    return abs(stated - computed) <= (_TOLERANCE if decimals(stated) <= 2 else _TOLERANCE_OF_THREE)
