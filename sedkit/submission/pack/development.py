"""Development results: the figures of results files as the meta file states them, and what they are not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, listed
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.log import log
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.evaluation.maestro import MAESTRO_EVALUATED, evaluated_area
from sedkit.evaluation.results_file import Results, read_results
from sedkit.submission.formats import Format
from sedkit.submission.formats._format import MAESTRO_CLASSES
from sedkit.submission.meta.write import SystemMeta

#: Official ground truths of it, by the beginning of their names; 2018's was the test set.
_DEVELOPMENT = ("validation_", "dcase2018_test_")

_AREA = "results.devtest.maestro.mPAUC"
_CLASS = "results.development_dataset.class_wise.*.F-score"


def results_of_files(paths: Sequence[str | os.PathLike[str]], form: Format, given: bool = True) -> SystemMeta:
    """Return the figures of results files that a format asks for; those that are not official are warned of.

    A file that holds none of the figures is an error where files were `given` for this, else a warning; two files that
    hold the same one always are (SedkitError).
    """
    values: dict[str, Any] = {}
    remarks: list[str] = []
    source: dict[str, str] = {}
    for path in map(str, paths):
        results = read_results(Path(path))
        figures = result_fields(results, form)
        why = _no_area(results) if _AREA in form.results else ""
        if not figures and given:
            raise SedkitError(f"{path}: {why or _no_figure(form)}")
        if not figures or why:
            log.warning("%s: %s", path, why or f"no development results: {_no_figure(form)}")
        for key in figures:
            if key in source:
                raise SedkitError(f"{path}: holds {key.rpartition('.')[2]}, as {source[key]} does; expected it once")
        source |= dict.fromkeys(figures, path)
        values |= figures
        for remark in _not_official(results, set(figures)):
            log.warning("%s: stated as development results, but %s", path, remark)
            remarks.append(remark)
    return SystemMeta(values, tuple(dict.fromkeys(remarks)))


def results_of_experiment(experiment: ExperimentFolder, form: Format) -> SystemMeta:
    """Return an experiment's own development results, or where it was trained on that set its split run's."""
    if not form.results:
        return SystemMeta()
    files = [file for name in experiment.development if (file := _file_of(experiment, name)) is not None]
    return results_of_files(files, form, given=False)


def _file_of(experiment: ExperimentFolder, results: str) -> Path | None:
    """Return the file of results of an experiment, or of its split run; say where there is none."""
    of, why = experiment, ""
    # Results of rules beside the tuned ones are called SET.RULES.
    name = results.partition(".")[0]
    if experiment.seen_in_training(name):
        why = f"was trained on {name}"
        split = experiment.split_run
        if split is None:
            log.warning("%s: %s and its split run is gone: no development results", experiment.path, why)
            return None
        of = split
    file = of.results().get(results)
    if file is None:
        log.warning(
            "%s: no development results: there is no results/%s.json%s",
            experiment.path,
            results,
            f" in the split run {of.path} (this one {why})" if why else " in it",
        )
        return None
    if why:
        log.info("%s: %s: the development results are those of its split run %s", experiment.path, why, of.path)
    return file


def result_fields(results: Results, form: Format) -> dict[str, Any]:
    """Return the figures that a format asks for: F-scores in percent, PSDS as fractions, undefined left out."""
    values: dict[str, Any] = {}
    events = results.blocks.section("event_based")
    macro, classes = _percent(events.section("macro").number("f1")), events.section("classes")
    if macro is not None and not set(classes.content) & set(MAESTRO_CLASSES):
        values["results.development_dataset.overall.F-score"] = macro
        for label in form.labels if classes.content else ():
            values[_CLASS.replace("*", label)] = _percent(classes.section(label).number("f1"))
    for key in ("PSDS1", "PSDS2"):
        block = results.blocks.section(key.lower())
        value = block.number("value")
        # Of other classes it is another figure.
        if value is not None and set(block.section("classes").content) <= set(DESED_CLASSES.labels):
            values[f"results.development_dataset.overall.{key}"] = round(float(value), 4)
            values[f"results.devtest.desed.{key}"] = round(float(value), 4)
    area, _ = evaluated_area(results.blocks.section("segment_auc"))
    if area is not None:
        values[_AREA] = round(area, 4)
    asked = [path.replace("*", label) for path in form.results for label in form.labels]
    return {path: value for path, value in values.items() if path in asked}


def _no_area(results: Results) -> str:
    """Say why a partial ROC area of MAESTRO's classes is not the official mean; empty where it is, or there is none."""
    block = results.blocks.section("segment_auc")
    _, missing = evaluated_area(block)
    if not missing or not set(block.section("classes").content) & set(MAESTRO_CLASSES):
        return ""
    return (
        f"no mPAUC: it is the mean of {len(MAESTRO_EVALUATED)} classes, without (or with an undefined) area here: "
        f"{listed(missing, 3)}"
    )


def _not_official(results: Results, figures: set[str]) -> list[str]:
    """Say what keeps figures from being those of the official development set."""
    reasons = results.not_official()
    if results.known_as and not results.known_as.startswith(_DEVELOPMENT):
        reasons.append(f"{results.known_as} is no development set")
    # No official ground truth of MAESTRO is known here: whether this is it cannot be told.
    return reasons if figures != {_AREA} or results.known_as else []


def _no_figure(form: Format) -> str:
    names = {"F-score": "an event F-score", "PSDS1": "PSDS", "PSDS2": "PSDS", "mPAUC": "partial ROC area"}
    wanted = list(dict.fromkeys(names[path.rpartition(".")[2]] for path in sorted(form.results) if "*" not in path))
    if not wanted:
        return f"{form.name} asks for no development results"
    return f"no {' or '.join(wanted)} in it, which {form.name} asks for; `sedkit score --json` writes them"


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else round(100.0 * fraction, 2)
