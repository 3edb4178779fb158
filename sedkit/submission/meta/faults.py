"""Faults of a meta file: the fields that the year asks for, the results, the energy, the separation system."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sedkit.core.errors import listed
from sedkit.core.numbers import is_number
from sedkit.submission.findings import NOTE, REFUSED, SCORED_WRONGLY, WARNING
from sedkit.submission.formats import Format, MetaField
from sedkit.submission.formats._format import KNOWN_FEATURES
from sedkit.submission.meta.class_figures import check_class_figures, check_f_scores
from sedkit.submission.meta.kinds import KINDS
from sedkit.submission.meta.people import check_authors, check_names
from sedkit.submission.meta.read import ABSENT, Meta, get, shown

_BASELINE_ENERGY = "system.complexity.energy_baseline."


def check_meta(meta: Meta, label: str, form: Format, package: bool) -> None:
    """Look for faults in a meta file.

    `label` is the system folder's name, `package` whether a whole package is looked at (missing authors are then
    refused) or a single system folder.
    """
    if isinstance(meta.get("submission"), Mapping):
        check_names(meta, label, form)
        check_authors(meta, label, form, package)
    check_fields(meta, form)
    if re.search(r"_SS(?:ep)?_", label) and form.separation and meta.get("ss_system", ABSENT) is ABSENT:
        message = "the label is that of a system with sound separation, but there is no ss_system"
        meta.tell("separation_absent", None, message, "ss_system and ss_results")


def check_fields(meta: Meta, form: Format) -> None:
    """Look for faults in the fields of a meta file."""
    absent = _check_blocks(meta, form)
    fields = [item for item in form.fields if item.path.split(".")[0] not in absent]
    _check_each(meta, [item for item in fields if item.kind != "kwh"], form)
    _check_energy(meta, [item.path for item in fields if item.kind == "kwh"], form)
    _check_system(meta, form)
    check_f_scores(meta, form)
    _check_separation(meta, form)
    second = meta.second if form.every_yaml else None
    if second is not None:
        check_fields(second, form)
        meta.findings.take_refused(second.findings, "beside system and results, ")


def _check_blocks(meta: Meta, form: Format) -> set[str]:
    """Return the blocks that are missing as a whole: one finding each, not one for every field of theirs."""
    absent = set()
    described = meta.get("system") is not None
    for block in dict.fromkeys(item.path.split(".")[0] for item in form.fields):
        value = meta.get(block)
        if isinstance(value, Mapping):
            continue
        absent.add(block)
        mine = [item for item in form.fields if item.path.split(".")[0] == block]
        verified = [item.path for item in mine if item.verified]
        said = f"{meta.called(block)} is {shown(value)}" if value is not None else f"no block {meta.called(block)}"
        severity = REFUSED if verified else NOTE
        if form.every_yaml and block != "submission" and not described:
            # The script passes over a system that is not described.
            severity = WARNING
        meta.tell("meta_block_missing", block, said, listed(verified or [item.path for item in mine], 4), severity)
    return absent


def _check_each(meta: Meta, fields: list[MetaField], form: Format, block: str | None = None) -> None:
    """Look at single fields; those that are missing and not verified, of `block`, are one note."""
    guessed = [item.path for item in fields if not item.verified and not _is_there(meta, item)]
    for item in fields:
        if "*" in item.path:
            check_class_figures(meta, item, form)
        elif item.path not in guessed:
            _check_field(meta, item)
    if guessed:
        message = f"no {listed(guessed, 20)} (field names not verified for {form.year})"
        meta.tell("meta_fields_unverified", block, message)


def _is_there(meta: Meta, item: MetaField) -> bool:
    value = meta.get(item.path, ABSENT)
    return value is not ABSENT and (value is not None or KINDS[item.kind].nullable)


def _check_field(meta: Meta, item: MetaField) -> None:
    kind, value = KINDS[item.kind], meta.get(item.path, ABSENT)
    if not _is_there(meta, item):
        message = f"{meta.called(item.path)} is {'missing' if value is ABSENT else 'null'}"
        meta.tell("meta_field_missing", item.path, message, kind.words)
    elif not kind.fits(value):
        # What is of the right type passes the script, and is a fault of the results or of the description.
        passes = kind.accepts(value)
        severity = (SCORED_WRONGLY if item.path.startswith("results.") else WARNING) if passes else REFUSED
        percent = item.kind == "fraction" and passes and is_number(value) and 1 < value <= 100
        message = f"{meta.called(item.path)} is {shown(value)}" + (", which looks like percent" if percent else "")
        name = "fraction_as_percent" if percent else "meta_field_type"
        meta.tell(name, item.path, message, kind.words, severity if item.verified else WARNING)


def states_energy(meta: Meta, form: Format) -> bool:
    """Tell whether a meta file states any energy of its system; the keys are not verified, so others count as well."""
    known = [path for path in form.kwh if not path.startswith(_BASELINE_ENERGY)]
    others = [path for path in meta.lines if "baseline" not in path and re.search("energy|kwh", path, re.IGNORECASE)]
    values = [*(meta.get(path) for path in known), *(get(meta.values, path) for path in others)]
    # A figure with its unit is a text, which is a fault of its own.
    return any(is_number(value) or (isinstance(value, str) and re.match(r"\s*[\d.]*\d", value)) for value in values)


def _check_energy(meta: Meta, asked: list[str], form: Format) -> None:
    """Say which energies are none, and which are not stated; that of the baseline makes machines comparable."""
    odd = [path for path in asked if meta.get(path) is not None and not KINDS["kwh"].fits(meta.get(path))]
    if odd:
        said = listed(f"{meta.called(path)} is {shown(meta.get(path))}" for path in odd)
        meta.tell("energy_zero", odd[0], said, "kWh above 0 as numbers; what was not measured is null", count=len(odd))
    if not states_energy(meta, form):
        # Whether that is a fault depends on the other systems.
        return
    absent = [path for path in asked if meta.get(path) is None]
    stages = [path.rsplit(".", 1)[-1] for path in absent if not path.startswith(_BASELINE_ENERGY)]
    baseline = [path.rsplit(".", 1)[-1] for path in absent if path.startswith(_BASELINE_ENERGY)]
    of_baseline = f"{listed(baseline)} of the organisers' baseline on the same hardware"
    place, measured = "system.complexity.energy", "kWh measured by CodeCarbon"
    if stages:
        message = f"energy is absent for {listed(stages)}" + (f", and for {of_baseline}" if baseline else "")
        meta.tell("energy_absent", place, message, measured)
    elif baseline:
        message = f"energy is absent for {of_baseline}"
        meta.tell("baseline_kwh_absent", place, message, f"{measured} (keys not verified)")


def _check_system(meta: Meta, form: Format) -> None:
    path = "system.description.input_sampling_rate"
    rate = meta.get(path)
    if is_number(rate) and rate >= 1000:
        meta.tell("sampling_rate_hz", path, f"input_sampling_rate {rate:g}", "kHz, for example 16 or 44.1")
    path = "system.description.acoustic_features"
    features = meta.get(path)
    names = features if isinstance(features, list) else [features]
    unknown = [name for name in names if isinstance(name, str) and name.lower() not in KNOWN_FEATURES]
    if unknown:
        expected = f"one of {listed(KNOWN_FEATURES, 10)}"
        meta.tell("features_unknown", path, f"acoustic_features {listed(unknown)}", expected)
    _check_source_code(meta, "system.source_code", form)


def _check_source_code(meta: Meta, path: str, form: Format) -> None:
    example = form.source_code_examples.get(path)
    if example is not None and meta.get(path) == example:
        meta.tell("source_code_example", path, f"{meta.called(path)} is the baseline's", "your own address, or null")


def _check_separation(meta: Meta, form: Format) -> None:
    """Look at `ss_system` and `ss_results`, where a meta file has them: the sound separation before the detection."""
    if not form.separation or meta.get("ss_system") is None:
        return
    _check_each(meta, list(form.separation), form, "ss_system")
    _check_source_code(meta, "ss_system.source_code", form)
    severity = REFUSED if all(item.verified for item in form.separation) else WARNING
    results = meta.get("ss_results")
    if not isinstance(results, Mapping):
        message, expected = "ss_system without ss_results", "ss_results.<data set>.<figure>: a number"
        meta.tell("meta_block_missing", "ss_system", message, expected, severity)
        return
    for name, figures in results.items():
        path = f"ss_results.{name}"
        if not isinstance(figures, Mapping):
            meta.tell("meta_field_type", path, f"{path} is {shown(figures)}", "figures by their names", severity)
            continue
        for figure, value in figures.items():
            if not KINDS["number"].accepts(value):
                path = f"ss_results.{name}.{figure}"
                meta.tell("meta_field_type", path, f"{path} is {shown(value)}", "a number", severity)
