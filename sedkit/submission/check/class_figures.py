"""F-scores of a meta file, overall and class by class: each a number, in percent, the one the mean of the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.check.kinds import KINDS, fits, is_accepted, percent_rounding, shown
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.findings import REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format, MetaField

#: The overall F-score is the mean of the classes' F-scores; both may be rounded, and means are taken of rounded ones.
_MEAN_TOLERANCE = 0.05


def check_classes(meta: Meta, item: MetaField, form: Format, findings: Findings) -> None:
    """Look at a figure of every class: the script of 2020 asks for it in each block that stands there."""
    above, _, below = item.path.partition(".*.")
    classes = get(meta.values, above)[1]
    row = meta.row(above)
    if not isinstance(classes, Mapping):
        message = f"{meta.called(above)} is {'missing' if classes is None else shown(classes)}"
        # The script goes through nothing without a word.
        severity = WARNING if classes in ("", []) else REFUSED
        findings.add(severity, "meta_field_missing", meta.file, message, f"a block per class with {below}", row=row)
        return
    figures: dict[Any, Any] = {label: get(block, below)[1] for label, block in classes.items()}
    if classes and all(value is None for value in figures.values()):
        message = f"no {below} of a class under {meta.called(above)}"
        findings.add(REFUSED, "meta_field_missing", meta.file, message, KINDS[item.kind], row=row)
        return
    refused = {label: value for label, value in figures.items() if not is_accepted(item.kind, value)}
    absent = [label for label in form.labels if label not in classes]
    strange = [str(label)[:80] for label in classes if label not in form.labels and label not in refused]
    if absent or strange:
        message = f"{meta.called(above)}: missing {listed(absent) or 'none'}, additional {listed(strange) or 'none'}"
        findings.add(WARNING, "meta_classes", meta.file, message, f"the {len(form.labels)} classes", row=row)
    odd = {x: value for x, value in figures.items() if x not in refused and not fits(item.kind, value)}
    for severity, wrong in ((REFUSED, refused), (SCORED_WRONGLY, odd)):
        if wrong:
            label, value = next(iter(wrong.items()))
            more = f" (and {len(wrong) - 1} more classes)" if len(wrong) > 1 else ""
            path = f"{above}.{str(label)[:80]}"
            if isinstance(classes[label], Mapping):
                path += f".{below}"
            else:
                value = classes[label]
            more += "" if label in form.labels else f", and {str(label)[:80]} is no class of the task"
            message = f"{meta.called(path)} is {shown(value)}{more}"
            findings.add(severity, "meta_field_type", meta.file, message, KINDS[item.kind], row=meta.row(path))


def check_f_scores(meta: Meta, form: Format, findings: Findings) -> None:
    """Look at the F-scores together: in percent, and the overall one the mean of the classes'."""
    above = "results.development_dataset"
    overall = get(meta.values, f"{above}.overall.F-score")[1]
    classes = get(meta.values, f"{above}.class_wise")[1]
    if not any(item.kind == "percent" for item in form.fields) or not fits("percent", overall):
        return
    figures = classes if isinstance(classes, Mapping) else {}
    values = [get(figures.get(label), "F-score")[1] for label in form.labels if label in figures]
    if not all(fits("percent", value) for value in values):
        return
    mean = sum(values) / len(values) if values else overall
    row = meta.row(f"{above}.overall.F-score")
    tolerance = _MEAN_TOLERANCE + percent_rounding(overall) + max(map(percent_rounding, values), default=0.0)
    fraction = None
    if max([overall, *values]) <= 1 and max([overall, *values]) > 0:
        fraction = f"all F-scores ({overall} overall) look like fractions"
    elif 0 < overall <= 1 < mean and abs(100 * overall - mean) <= 15:
        fraction = f"overall F-score {overall} looks like a fraction (the classes' mean is {mean:.1f})"
    elif values and 0 < max(values) <= 1 < overall and abs(overall - 100 * mean) <= 15:
        fraction = f"the classes' F-scores (mean {mean:.3g}) look like fractions (overall is {overall})"
        row = meta.row(f"{above}.class_wise")
    if fraction:
        findings.add(SCORED_WRONGLY, "percent_as_fraction", meta.file, fraction, "percent", row=row)
    elif abs(overall - mean) > tolerance and len(values) == len(form.labels):
        message = f"overall F-score {overall}, but the mean of the classes is {mean:.2f}"
        findings.add(WARNING, "results_mean", meta.file, message, "the macro average", row=row)
