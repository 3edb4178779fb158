"""F-scores of a meta file, overall and class by class: each a number, in percent, the one the mean of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING
from sedkit.submission.formats import Format, MetaField
from sedkit.submission.meta.kinds import KINDS, percent_rounding
from sedkit.submission.meta.read import Meta, get, shown

#: The overall F-score is the mean of the classes' F-scores; both may be rounded, and means are taken of rounded ones.
_MEAN_TOLERANCE = 0.05


def check_class_figures(meta: Meta, item: MetaField, form: Format) -> None:
    """Look at a figure of every class: the script of 2020 asks for it in each block that stands there."""
    above, _, below = item.path.partition(".*.")
    kind, classes = KINDS[item.kind], meta.get(above)
    if not isinstance(classes, Mapping):
        message = f"{meta.called(above)} is {'missing' if classes is None else shown(classes)}"
        # The script goes through nothing without a word.
        severity = WARNING if classes in ("", []) else REFUSED
        meta.tell("meta_field_missing", above, message, f"a block per class with {below}", severity)
        return
    figures: dict[Any, Any] = {label: get(block, below) for label, block in classes.items()}
    if classes and all(value is None for value in figures.values()):
        meta.tell("meta_field_missing", above, f"no {below} of a class under {meta.called(above)}", kind.words)
        return
    refused = [label for label, value in figures.items() if not kind.accepts(value)]
    absent = [label for label in form.labels if label not in classes]
    strange = [str(label)[:80] for label in classes if label not in form.labels and label not in refused]
    if absent or strange:
        message = f"{meta.called(above)}: missing {listed(absent) or 'none'}, additional {listed(strange) or 'none'}"
        meta.tell("meta_classes", above, message, f"the {len(form.labels)} classes")
    odd = [label for label, value in figures.items() if label not in refused and not kind.fits(value)]
    for severity, wrong in ((REFUSED, refused), (SCORED_WRONGLY, odd)):
        # The first of them stands for all that are wrong alike.
        for label in wrong[:1]:
            name, value = str(label)[:80], classes[label]
            path = f"{above}.{name}"
            if isinstance(value, Mapping):
                path, value = f"{path}.{below}", get(value, below)
            message = f"{meta.called(path)} is {shown(value)}"
            message += f" (and {len(wrong) - 1} more classes)" if len(wrong) > 1 else ""
            message += "" if label in form.labels else f", and {name} is no class of the task"
            meta.tell("meta_field_type", path, message, kind.words, severity)


def check_f_scores(meta: Meta, form: Format) -> None:
    """Look at the F-scores together: in percent, and the overall one the mean of the classes'."""
    above, fits = "results.development_dataset", KINDS["percent"].fits
    overall, classes = meta.get(f"{above}.overall.F-score"), meta.get(f"{above}.class_wise")
    figures = classes if isinstance(classes, Mapping) else {}
    values = [get(figures.get(label), "F-score") for label in form.labels if label in figures]
    if not any(item.kind == "percent" for item in form.fields) or not all(map(fits, [overall, *values])):
        return
    mean = sum(values) / len(values) if values else overall
    tolerance = _MEAN_TOLERANCE + percent_rounding(overall) + max(map(percent_rounding, values), default=0.0)
    path, fraction = f"{above}.overall.F-score", None
    if 0 < max([overall, *values]) <= 1:
        fraction = f"all F-scores ({overall} overall) look like fractions"
    elif 0 < overall <= 1 < mean and abs(100 * overall - mean) <= 15:
        fraction = f"overall F-score {overall} looks like a fraction (the classes' mean is {mean:.1f})"
    elif values and 0 < max(values) <= 1 < overall and abs(overall - 100 * mean) <= 15:
        fraction = f"the classes' F-scores (mean {mean:.3g}) look like fractions (overall is {overall})"
        path = f"{above}.class_wise"
    if fraction:
        meta.tell("percent_as_fraction", path, fraction, "percent")
    elif abs(overall - mean) > tolerance and len(values) == len(form.labels):
        message = f"overall F-score {overall}, but the mean of the classes is {mean:.2f}"
        meta.tell("results_mean", path, message, "the macro average")
