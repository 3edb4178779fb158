"""Fields of a meta file: those the year asks for, their types, the results, the energy, the separation system."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format, MetaField
from sedkit.submission.formats._format import KNOWN_FEATURES

#: The overall F-score is the mean of the classes' F-scores; both may be rounded, and means are taken of rounded ones.
_MEAN_TOLERANCE = 0.05

_KINDS = {
    "text": "a text",
    "number": "a finite number above 0",
    "integer": "a whole number above 0",
    "percent": "a number from 0 to 100",
    "fraction": "a number from 0 to 1, with a point",
    "features": "a text, a list of texts, or null",
    "count": "a number, or null",
    "kwh": "kWh above 0",
    "free": "a text, or null (!!null) where there is none",
}

_BASELINE_ENERGY = "system.complexity.energy_baseline."


def check_fields(meta: Meta, form: Format, findings: Findings) -> None:
    """Look for faults in the fields of a meta file, its blocks named `system` and `results`."""
    absent = _check_blocks(meta, form, findings)
    _check_each(meta, form, absent, findings)
    _check_system(meta, form, findings)
    _check_f_scores(meta, form, findings)
    _check_separation(meta, form, findings)


def is_number(value: Any) -> bool:
    """Tell whether a meta file's value is a finite number."""
    # A whole number may be too long to be taken for a float.
    return type(value) is int or (isinstance(value, float) and math.isfinite(value))


def decimals(stated: float) -> int:
    """Return with how many decimals a figure was stated.

    >>> decimals(35), decimals(35.0), decimals(0.353)
    (0, 1, 3)
    """
    exponent = Decimal(str(stated)).as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


def percent_rounding(stated: float) -> float:
    """Return by how much a stated percentage may be rounded: as far as its decimals say, but one is enough."""
    return 0.5 if decimals(stated) == 0 else 0.05


def fits(kind: str, value: Any) -> bool:
    """Tell whether a value is what a kind of field asks for."""
    if kind == "text":
        return isinstance(value, str) and bool(value.strip())
    if kind in ("number", "kwh"):
        return is_number(value) and value > 0
    if kind == "integer":
        return isinstance(value, int) and is_number(value) and value > 0
    if kind == "percent":
        return is_number(value) and 0 <= value <= 100
    if kind == "fraction":
        # The validator of 2024 asks for a float: 0 and 1 without a point are no floats.
        return isinstance(value, float) and 0 <= value <= 1
    if kind == "features":
        return (
            value is None
            or isinstance(value, str)
            or (isinstance(value, list) and all(isinstance(x, str) for x in value))
        )
    if kind == "count":
        return value is None or (is_number(value) and value > 0)
    return True


def _check_blocks(meta: Meta, form: Format, findings: Findings) -> set[str]:
    """Return the blocks that are missing as a whole: one finding each, not one for every field of theirs."""
    absent = set()
    for block in dict.fromkeys(item.path.split(".")[0] for item in form.fields):
        if isinstance(meta.values.get(block), Mapping):
            continue
        mine = [item for item in form.fields if item.path.split(".")[0] == block]
        absent.add(block)
        said = f"{block} is {meta.values[block]!r}" if meta.values.get(block) is not None else f"no block {block}"
        severity = REFUSED if any(item.verified for item in mine) else NOTE
        expected = listed([item.path for item in mine if item.verified] or [item.path for item in mine], 4)
        findings.add(severity, "meta_block_missing", meta.file, said, expected, row=meta.row(block))
    return absent


def _check_each(meta: Meta, form: Format, absent: set[str], findings: Findings) -> None:
    guessed: list[str] = []
    no_energy: list[str] = []
    for item in form.fields:
        if item.path.split(".")[0] in absent:
            continue
        if "*" in item.path:
            _check_classes(meta, item, form, findings)
            continue
        value = get(meta.values, item.path)[1]
        if item.kind == "kwh":
            if value is None:
                no_energy.append(item.path)
            elif not fits("kwh", value):
                message, expected = f"{item.path} is {value!r}", "kWh above 0; what was not measured is null"
                findings.add(SCORED_WRONGLY, "energy_zero", meta.file, message, expected, row=meta.row(item.path))
        else:
            _check_field(meta, item, guessed, findings)
    _check_energy(meta, no_energy, findings)
    if guessed:
        message = f"no {listed(guessed, 20)} (field names not verified for {form.year})"
        findings.add(NOTE, "meta_fields_unverified", meta.file, message)


def _check_field(meta: Meta, item: MetaField, guessed: list[str], findings: Findings) -> None:
    there, value = get(meta.values, item.path)
    nullable = item.kind in ("free", "features", "count")
    row = meta.row(item.path)
    if not there or (value is None and not nullable):
        if not item.verified:
            guessed.append(item.path)
            return
        message = f"{item.path} is {'null' if there else 'missing'}"
        findings.add(REFUSED, "meta_field_missing", meta.file, message, _KINDS[item.kind], row=row)
    elif not fits(item.kind, value):
        severity = REFUSED if item.verified else WARNING
        message = f"{item.path} is {value!r}"
        findings.add(severity, "meta_field_type", meta.file, message, _KINDS[item.kind], row=row)


def _check_energy(meta: Meta, absent: list[str], findings: Findings) -> None:
    """Say which energies are not stated; that of the baseline makes figures of different machines comparable."""
    own = [path.rsplit(".", 1)[-1] for path in absent if not path.startswith(_BASELINE_ENERGY)]
    baseline = [path.rsplit(".", 1)[-1] for path in absent if path.startswith(_BASELINE_ENERGY)]
    of_baseline = f"{listed(baseline)} of the organisers' baseline on the same hardware"
    row = meta.row("system.complexity.energy")
    if own:
        message = f"energy is absent for {listed(own)}" + (f", and for {of_baseline}" if baseline else "")
        findings.add(WARNING, "energy_absent", meta.file, message, "kWh measured by CodeCarbon", row=row)
    elif baseline:
        message, expected = f"energy is absent for {of_baseline}", "kWh measured by CodeCarbon (keys not verified)"
        findings.add(NOTE, "baseline_kwh_absent", meta.file, message, expected, row=row)


def _check_classes(meta: Meta, item: MetaField, form: Format, findings: Findings) -> None:
    above, _, below = item.path.partition(".*.")
    found = get(meta.values, above)[1]
    row = meta.row(above)
    if not isinstance(found, Mapping):
        message = f"{above} is missing"
        findings.add(REFUSED, "meta_field_missing", meta.file, message, f"a block per class with {below}", row=row)
        return
    absent = [label for label in form.labels if label not in found]
    strange = [str(label) for label in found if label not in form.labels]
    if not any(get(found.get(label), below)[1] is not None for label in form.labels):
        message = f"no {below} of a class under {above}"
        findings.add(REFUSED, "meta_field_missing", meta.file, message, _KINDS[item.kind], row=row)
        return
    if absent or strange:
        message = f"{above}: missing {listed(absent) or 'none'}, additional {listed(strange) or 'none'}"
        findings.add(WARNING, "meta_classes", meta.file, message, f"the {len(form.labels)} classes", row=row)
    for label in form.labels:
        there, value = get(found.get(label), below)
        if label in found and (not there or not fits(item.kind, value)):
            message = f"{above}.{label}.{below} is {value!r}"
            row = meta.row(f"{above}.{label}.{below}")
            findings.add(REFUSED, "meta_field_type", meta.file, message, _KINDS[item.kind], row=row)


def _check_system(meta: Meta, form: Format, findings: Findings) -> None:
    path = "system.description.input_sampling_rate"
    rate = get(meta.values, path)[1]
    if is_number(rate) and rate >= 1000:
        message = f"input_sampling_rate {rate}"
        findings.add(WARNING, "sampling_rate_hz", meta.file, message, "kHz, for example 16 or 44.1", row=meta.row(path))
    path = "system.description.acoustic_features"
    features = get(meta.values, path)[1]
    names = [features] if isinstance(features, str) else features if isinstance(features, list) else []
    unknown = [name for name in names if isinstance(name, str) and name.lower() not in KNOWN_FEATURES]
    if unknown:
        message = f"acoustic_features {listed(unknown)}"
        expected = f"one of {listed(KNOWN_FEATURES, 10)}"
        findings.add(WARNING, "features_unknown", meta.file, message, expected, row=meta.row(path))
    _check_source_code(meta, "system.source_code", form, findings)


def _check_source_code(meta: Meta, path: str, form: Format, findings: Findings) -> None:
    if get(meta.values, path)[1] in form.source_code_examples:
        message, expected = f"{path} is the baseline's", "your own address, or null"
        findings.add(REFUSED, "source_code_example", meta.file, message, expected, row=meta.row(path))


def _check_f_scores(meta: Meta, form: Format, findings: Findings) -> None:
    """Look at the F-scores together: in percent, and the overall one the mean of the classes'."""
    above = "results.development_dataset"
    overall = get(meta.values, f"{above}.overall.F-score")[1]
    classes = get(meta.values, f"{above}.class_wise")[1]
    if not any(item.kind == "percent" for item in form.fields) or not fits("percent", overall):
        return
    found = classes if isinstance(classes, Mapping) else {}
    values = [get(found.get(label), "F-score")[1] for label in form.labels if label in found]
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


def _check_separation(meta: Meta, form: Format, findings: Findings) -> None:
    """Look at `ss_system` and `ss_results`, where a meta file has them: the sound separation before the detection."""
    if not form.separation or meta.values.get("ss_system") is None:
        return
    guessed: list[str] = []
    for item in form.separation:
        _check_field(meta, item, guessed, findings)
    if guessed:
        message = f"no {listed(guessed)} (field names not verified for {form.year})"
        findings.add(NOTE, "meta_fields_unverified", meta.file, message, row=meta.row("ss_system"))
    _check_source_code(meta, "ss_system.source_code", form, findings)
    severity = REFUSED if all(item.verified for item in form.separation) else WARNING
    results = meta.values.get("ss_results")
    if not isinstance(results, Mapping):
        message, expected = "ss_system without ss_results", "ss_results.<data set>.<figure>: a number"
        findings.add(severity, "meta_block_missing", meta.file, message, expected, row=meta.row("ss_system"))
        return
    for name, figures in results.items():
        if not isinstance(figures, Mapping):
            message, expected = f"ss_results.{name} is {figures!r}", "figures by their names"
            row = meta.row(f"ss_results.{name}")
            findings.add(severity, "meta_field_type", meta.file, message, expected, row=row)
            continue
        for figure, value in figures.items():
            if not is_number(value):
                message, row = f"ss_results.{name}.{figure} is {value!r}", meta.row(f"ss_results.{name}.{figure}")
                findings.add(severity, "meta_field_type", meta.file, message, "a number", row=row)
