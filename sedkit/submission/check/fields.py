"""Fields of a meta file: those the year asks for, their types, the results, the energy, the separation system."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sedkit.core.errors import listed
from sedkit.core.numbers import is_number
from sedkit.submission.check.class_figures import check_classes, check_f_scores
from sedkit.submission.check.kinds import KINDS, fits, is_accepted, shown
from sedkit.submission.check.yaml_lines import Meta, get, second_system
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING, Findings
from sedkit.submission.formats import Format, MetaField
from sedkit.submission.formats._format import KNOWN_FEATURES

_BASELINE_ENERGY = "system.complexity.energy_baseline."


def check_fields(meta: Meta, form: Format, findings: Findings) -> None:
    """Look for faults in the fields of a meta file, its blocks named `system` and `results`."""
    absent = _check_blocks(meta, form, findings)
    _check_each(meta, form, absent, findings)
    _check_system(meta, form, findings)
    check_f_scores(meta, form, findings)
    _check_separation(meta, form, findings)
    second = second_system(meta) if form.every_yaml else None
    if second is not None:
        other = Findings()
        check_fields(second, form, other)
        findings.take_refused(other, "beside system and results, ")


def _check_blocks(meta: Meta, form: Format, findings: Findings) -> set[str]:
    """Return the blocks that are missing as a whole: one finding each, not one for every field of theirs."""
    absent = set()
    described = meta.values.get("system") is not None
    for block in dict.fromkeys(item.path.split(".")[0] for item in form.fields):
        value = meta.values.get(block)
        if isinstance(value, Mapping):
            continue
        mine = [item for item in form.fields if item.path.split(".")[0] == block]
        absent.add(block)
        said = f"{meta.name(block)} is {shown(value)}" if value is not None else f"no block {meta.name(block)}"
        severity = REFUSED if any(item.verified for item in mine) else NOTE
        if form.every_yaml and block != "submission" and not described:
            # The script passes over a system that is not described.
            severity = WARNING
        expected = listed([item.path for item in mine if item.verified] or [item.path for item in mine], 4)
        findings.add(severity, "meta_block_missing", meta.file, said, expected, row=meta.row(block))
    return absent


def _check_each(meta: Meta, form: Format, absent: set[str], findings: Findings) -> None:
    guessed: list[str] = []
    no_energy: list[str] = []
    odd_energy: list[str] = []
    for item in form.fields:
        if item.path.split(".")[0] in absent:
            continue
        if "*" in item.path:
            check_classes(meta, item, form, findings)
            continue
        value = get(meta.values, item.path)[1]
        if item.kind == "kwh":
            if value is None:
                no_energy.append(item.path)
            elif not fits("kwh", value):
                odd_energy.append(item.path)
        else:
            _check_field(meta, item, guessed, findings)
    if odd_energy:
        said = [f"{meta.called(path)} is {shown(get(meta.values, path)[1])}" for path in odd_energy]
        row, expected = meta.row(odd_energy[0]), "kWh above 0 as numbers; what was not measured is null"
        findings.add(SCORED_WRONGLY, "energy_zero", meta.file, listed(said), expected, row, len(odd_energy))
    _check_energy(meta, no_energy, form, findings)
    if guessed:
        message = f"no {listed(guessed, 20)} (field names not verified for {form.year})"
        findings.add(NOTE, "meta_fields_unverified", meta.file, message)


def _check_field(meta: Meta, item: MetaField, guessed: list[str], findings: Findings) -> None:
    given, value = get(meta.values, item.path)
    nullable = item.kind in ("free", "features", "count")
    row = meta.row(item.path)
    if not given or (value is None and not nullable):
        if not item.verified:
            guessed.append(item.path)
            return
        message = f"{meta.called(item.path)} is {'null' if given else 'missing'}"
        findings.add(REFUSED, "meta_field_missing", meta.file, message, KINDS[item.kind], row=row)
    elif not fits(item.kind, value):
        # What is of the right type passes the script, and is a fault of the results or of the description.
        passes = is_accepted(item.kind, value)
        severity = (SCORED_WRONGLY if item.path.startswith("results.") else WARNING) if passes else REFUSED
        percent = item.kind == "fraction" and passes and is_number(value) and 1 < value <= 100
        kind = "fraction_as_percent" if percent else "meta_field_type"
        message = f"{meta.called(item.path)} is {shown(value)}" + (", which looks like percent" if percent else "")
        findings.add(severity if item.verified else WARNING, kind, meta.file, message, KINDS[item.kind], row=row)


def states_energy(meta: Meta, form: Format) -> bool:
    """Tell whether a meta file states any energy of its system; the keys are not verified, so others count as well."""
    known = [item.path for item in form.fields if item.kind == "kwh" and not item.path.startswith(_BASELINE_ENERGY)]
    others = [path for path in meta.lines if "baseline" not in path and re.search("energy|kwh", path, re.IGNORECASE)]
    values = (get(meta.values, path)[1] for path in (*known, *others))
    # A figure with its unit is a text, which is a fault of its own.
    return any(is_number(value) or (isinstance(value, str) and re.match(r"\s*[\d.]*\d", value)) for value in values)


def _check_energy(meta: Meta, absent: list[str], form: Format, findings: Findings) -> None:
    """Say which energies are not stated; that of the baseline makes figures of different machines comparable."""
    if not states_energy(meta, form):
        # Whether that is a fault depends on the other systems.
        return
    stages = [path.rsplit(".", 1)[-1] for path in absent if not path.startswith(_BASELINE_ENERGY)]
    baseline = [path.rsplit(".", 1)[-1] for path in absent if path.startswith(_BASELINE_ENERGY)]
    of_baseline = f"{listed(baseline)} of the organisers' baseline on the same hardware"
    row = meta.row("system.complexity.energy")
    if stages:
        message = f"energy is absent for {listed(stages)}" + (f", and for {of_baseline}" if baseline else "")
        findings.add(WARNING, "energy_absent", meta.file, message, "kWh measured by CodeCarbon", row=row)
    elif baseline:
        message, expected = f"energy is absent for {of_baseline}", "kWh measured by CodeCarbon (keys not verified)"
        findings.add(NOTE, "baseline_kwh_absent", meta.file, message, expected, row=row)


def _check_system(meta: Meta, form: Format, findings: Findings) -> None:
    path = "system.description.input_sampling_rate"
    rate = get(meta.values, path)[1]
    if is_number(rate) and rate >= 1000:
        message = f"input_sampling_rate {rate:g}"
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
    example = form.source_code_examples.get(path)
    if example is not None and get(meta.values, path)[1] == example:
        message, expected = f"{meta.called(path)} is the baseline's", "your own address, or null"
        findings.add(REFUSED, "source_code_example", meta.file, message, expected, row=meta.row(path))


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
            message, expected = f"ss_results.{name} is {shown(figures)}", "figures by their names"
            row = meta.row(f"ss_results.{name}")
            findings.add(severity, "meta_field_type", meta.file, message, expected, row=row)
            continue
        for figure, value in figures.items():
            if not is_accepted("number", value):
                message, row = f"ss_results.{name}.{figure} is {shown(value)}", meta.row(f"ss_results.{name}.{figure}")
                findings.add(severity, "meta_field_type", meta.file, message, "a number", row=row)
