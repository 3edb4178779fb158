"""Results that a meta file states, beside those recomputed from the output on a given reference."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.numbers import is_number
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import OperatingPoints, occurring
from sedkit.evaluation.reading import read_reference
from sedkit.evaluation.results_file import COVERED
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import shown
from sedkit.submission.formats import Format, every_format
from sedkit.submission.meta.kinds import decimals, percent_rounding
from sedkit.submission.meta.read import Meta, get
from sedkit.submission.outputs.of_system import SystemOutput

#: Where the results of the development set stand.
_DEVELOPMENT = "results.development_dataset"

#: Beside the rounding of a stated percentage.
_DUST_PERCENT = 1e-4

#: Figures from 0 to 1 are stated with two decimals or more.
_TOLERANCE = 0.00501
_TOLERANCE_OF_THREE = 0.00101

#: Variants of PSDS from operating points, by the version of psds_eval that computed them.
_VERSIONS = {"0.5.3": "operating_points", "0.3.0": "operating_points_0.3.0"}


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


def check_results(
    meta: Meta, output: SystemOutput, form: Format, clips: ClipList | None, references: Sequence[Reference]
) -> list[Confirmed]:
    """Compare the results in a meta file with figures recomputed from a system's output.

    A difference beyond rounding is a finding; where the output is of another set, a note says so. The event table
    serves F-scores, the tables of the operating points PSDS1 and PSDS2, the scores of runs what the year asks for. The
    clips of the evaluation list count as listed, with or without a row; its durations serve PSDS. Return the figures
    that were found again.
    """
    if form.scores is not None and references:
        from sedkit.submission.stated_scores import check_score_results

        return check_score_results(meta, output.runs, form, clips.duration_s if clips else None, references)
    return [one for reference in references for one in _check_tables(meta, output, clips, reference)]


def _check_tables(meta: Meta, output: SystemOutput, clips: ClipList | None, reference: Reference) -> list[Confirmed]:
    if output.events is None:
        return []
    wanted = reference.events.filenames
    covered = len({*output.events.filenames, *(clips.filenames if clips else ())} & set(wanted))
    if covered < COVERED * len(wanted):
        message = f"the output lists {covered} of the {len(wanted)} clips of {reference.path}"
        note(meta, f"{message}: results are not recomputed", "--files with the clips that were predicted")
        return []
    confirmed, wrong = _compare_f_scores(meta, output.events, reference)
    _tell_differences(meta, "F-scores differ from those of the output", wrong, reference, 3)
    stated = {key: meta.get(f"{_DEVELOPMENT}.overall.{key}") for key in ("PSDS1", "PSDS2")}
    stated = {key: x for key, x in stated.items() if is_number(x)}
    if not stated or not output.points:
        return confirmed
    # Clips of the list that the reference does not know have no truth: they would only add hours.
    duration_s = (clips.duration_s if clips else None) or {}
    known_s = {name: duration_s[name] for name in wanted if name in duration_s}
    if len(known_s) < len(wanted):
        note_durations(meta, tuple(stated), reference)
        return confirmed
    try:
        more, wrong = _compare_psds(meta, stated, output.points, known_s, reference)
    except SedkitError as error:
        note(meta, f"{listed(stated)} not recomputed: {error}")
        return confirmed
    _tell_differences(meta, "PSDS differs from that of the operating points", wrong, reference, 5)
    return confirmed + more


def _tell_differences(meta: Meta, message: str, wrong: Mapping[str, str], reference: Reference, most: int) -> None:
    """Note figures, in words by their keys, that the output does not have."""
    if wrong:
        message = f"{message} on {reference.path}: {listed(wrong.values(), most)}"
        meta.tell("results_differ", f"{_DEVELOPMENT}.{next(iter(wrong))}", message, "the figures of this very output")


def _compare_f_scores(meta: Meta, events: Events, reference: Reference) -> tuple[list[Confirmed], dict[str, str]]:
    """Return the overall F-score where it was found again, and the F-scores that differ, in words by their keys."""
    figures = figures_of(reference.events, "event", estimate=events)
    blocks = {"overall": figures["macro"]} | {f"class_wise.{label}": of for label, of in figures["classes"].items()}
    confirmed: list[Confirmed] = []
    wrong: dict[str, str] = {}
    for key, block in blocks.items():
        stated = get(meta.get(_DEVELOPMENT), f"{key}.F-score")
        if block["f1"] is None or not is_number(stated):
            continue
        value = 100 * block["f1"]
        if abs(stated - value) > percent_rounding(stated) + _DUST_PERCENT:
            wrong[f"{key}.F-score"] = f"{key.removeprefix('class_wise.')} {stated} (recomputed {value:.2f})"
        elif key == "overall":
            path, how = f"{_DEVELOPMENT}.overall.F-score", "event-based macro F1 in percent"
            confirmed.append(Confirmed(meta.file, path, stated, value, how, reference.path))
    return confirmed, wrong


def _compare_psds(
    meta: Meta,
    stated: Mapping[str, float],
    tables: Sequence[Events],
    duration_s: Mapping[str, float],
    reference: Reference,
) -> tuple[list[Confirmed], dict[str, str]]:
    """Return the PSDS that were found again, and in words by their keys those that no version of psds_eval gives."""
    confirmed: list[Confirmed] = []
    wrong: dict[str, str] = {}
    for key, value in stated.items():
        areas = {
            version: figures_of(reference.events, key.lower(), duration_s, variant, points=tables)["value"]
            for version, variant in _VERSIONS.items()
        }
        nearest = min(areas, key=lambda version: abs(value - areas[version]))
        if is_close(value, areas[nearest]):
            path, how = f"{_DEVELOPMENT}.overall.{key}", f"from operating points by psds_eval {nearest}"
            confirmed.append(Confirmed(meta.file, path, value, areas[nearest], how, reference.path))
        else:
            wrong[f"overall.{key}"] = f"{key} {value} (recomputed {next(iter(areas.values())):.4f})"
    return confirmed, wrong


def figures_of(
    truth: Events,
    metric: str,
    duration_s: Mapping[str, float] | None = None,
    variant: str | None = None,
    *,
    estimate: Events | None = None,
    points: Iterable[Events] | None = None,
    scores: Scores | None = None,
) -> dict[str, Any]:
    """Return a metric's block of a results file; `variant` is one of PSDS, `points` are tables at rising thresholds."""
    from sedkit.evaluation.evaluate import evaluate
    from sedkit.evaluation.inputs import Options, Output, Truth

    tables = tuple(points) if points is not None else ()
    at = OperatingPoints("the operating points", tuple(map(float, range(len(tables)))), tables) if tables else None
    options = Options({"psds_variant": variant} if variant else {})
    found = evaluate(Truth(truth, tags_of(truth), duration_s), Output(estimate, at, scores), [metric], options)
    return dict(next(iter(found.values())))


def note(meta: Meta, message: str, expected: str = "") -> None:
    """Note why stated results are not recomputed."""
    meta.tell("results_not_recomputed", None, message, expected)


def note_durations(meta: Meta, keys: Sequence[str], reference: Reference) -> None:
    """Note that PSDS cannot be recomputed for want of durations."""
    message = f"{listed(keys)} not recomputed: the durations of the clips of {reference.path} are not known"
    note(meta, message, "--files with filename and duration")


def is_close(stated: float, computed: float) -> bool:
    """Tell whether a figure from 0 to 1 is a recomputed one, up to its rounding and the last digits of other tools.

    >>> is_close(0.36, 0.3592), is_close(0.353, 0.3592)
    (True, False)
    """
    return abs(stated - computed) <= (_TOLERANCE if decimals(stated) <= 2 else _TOLERANCE_OF_THREE)
