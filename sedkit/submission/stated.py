"""Results that a meta file states, beside those recomputed from the output on a given reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sedkit.core.errors import SedkitError, listed
from sedkit.core.numbers import is_number
from sedkit.dataio.events import Events
from sedkit.evaluation.results_file import COVERED
from sedkit.submission.clip_list import ClipList
from sedkit.submission.formats import Format
from sedkit.submission.meta.kinds import percent_rounding
from sedkit.submission.meta.read import Meta, get
from sedkit.submission.outputs.of_system import SystemOutput
from sedkit.submission.stated_figures import Confirmed, Reference, figures_of, is_close, note, note_durations
from sedkit.submission.stated_scores import check_score_results

#: Where the results of the development set stand.
_DEVELOPMENT = "results.development_dataset"

#: Beside the rounding of a stated percentage.
_DUST_PERCENT = 1e-4

#: Variants of PSDS from operating points, by the version of psds_eval that computed them.
_VERSIONS = {"0.5.3": "operating_points", "0.3.0": "operating_points_0.3.0"}


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
