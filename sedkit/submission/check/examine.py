"""`sedkit check`: look for faults in a submission, folder or zip, made by anyone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sedkit.core.errors import listed
from sedkit.dataio.names import stem
from sedkit.submission.archive import Limits, Package, UnsafePackage
from sedkit.submission.check.bytes import TableBudget, read_within
from sedkit.submission.check.clips import ClipList
from sedkit.submission.check.energy import check_energy, measures_energy
from sedkit.submission.check.fields import states_energy
from sedkit.submission.check.labels import check_folder_name
from sedkit.submission.check.layout import Layout, System, find_layout, without_junk
from sedkit.submission.check.meta import check_meta
from sedkit.submission.check.outputs import Output, check_outputs
from sedkit.submission.check.recompute import Confirmed, Reference, check_results
from sedkit.submission.check.recompute_scores import check_score_results
from sedkit.submission.check.technical_report import check_report
from sedkit.submission.check.yaml_lines import Meta, parse_meta
from sedkit.submission.check.year import check_year
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Finding, Findings
from sedkit.submission.formats import Format

#: More than any description of a system; what is beyond is there to exhaust its reader.
_MOST_META_BYTES = 2**20

#: Systems that are looked at: twice what a team may hand in.
_MOST_SYSTEMS = 8


@dataclass(frozen=True)
class Checked:
    """What `sedkit check` has to say: findings, gravest first, and the stated results that were found again."""

    findings: list[Finding]
    confirmed: list[Confirmed] = field(default_factory=list)


def check_package(path: str | os.PathLike[str], form: Format, clips: ClipList | None = None) -> list[Finding]:
    """Look for faults in a package; see `examine_package`."""
    return examine_package(path, form, clips).findings


def examine_package(
    path: str | os.PathLike[str],
    form: Format,
    clips: ClipList | None = None,
    references: Sequence[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
) -> Checked:
    """Look for faults in a package, and recompute the results that it states.

    Parameters
    ----------
    path
        A zip, an unpacked package (a folder of system folders, with the report beside them), or one system's folder.
    form
        The year's format.
    clips
        The evaluation list; without it clips cannot be told from strangers.
    references
        Strong tables: where the output covers one, the meta file's results are compared with recomputed ones.
    limits
        How much a zip may hold.

    Returns
    -------
    Findings, and results found again. Nothing is written.

    Raises
    ------
    UsageError
        The path is neither a folder nor a zip.
    """
    ground_truth = [Reference(reference, form.labels) for reference in references]
    try:
        with Package(path, limits) as package:
            return _check(package, form, clips, ground_truth)
    except UnsafePackage as error:
        return Checked(error.findings)


def _check(package: Package, form: Format, clips: ClipList | None, references: Sequence[Reference]) -> Checked:
    findings = Findings()
    confirmed: list[Confirmed] = []
    names = without_junk(package.names, form, findings)
    layout = find_layout(
        names, None if package.is_zip else package.path.resolve().name, form, findings, package.empty_folders
    )
    _check_number(layout, form, findings)
    _check_list(clips, form, findings)
    check_report(package, names, layout, form, findings)
    if not check_year(package, layout.systems, form, findings):
        return Checked(findings.sorted())
    for reference in references:
        if not reference.events.n_events:
            message = f"{reference.path} holds no event of the classes of {form.name}: nothing is recomputed on it"
            findings.add(NOTE, "results_not_recomputed", "", message, "a strong table of the development set")
    references = [reference for reference in references if reference.events.n_events]
    scored = frozenset(stem(name) for reference in references for name in reference.events.filenames)
    budget = TableBudget()
    digests: dict[bytes, str] = {}
    systems: list[tuple[System, Meta, Output]] = []
    described: set[str] = set()
    for system in layout.systems[:_MOST_SYSTEMS]:
        check_folder_name(system, len(layout.systems), form, findings)
        meta = _check_meta_file(package, system, form, not layout.single, findings)
        described.add(_meta_file(system) or "")
        output = check_outputs(package, system, form, clips, scored, budget, findings)
        twin = digests.setdefault(output.digest, system.label) if output.digest else system.label
        if twin != system.label:
            findings.add(NOTE, "outputs_identical", system.path, f"the same output as {twin}", "systems that differ")
        if meta is None:
            continue
        if form.energy:
            check_energy(meta, system, output.energy, form, findings)
            systems.append((system, meta, output))
        if form.scores is not None and references:
            duration_s = clips.duration_s if clips else None
            confirmed += check_score_results(meta, output.runs, form, duration_s, references, findings)
        elif references:
            for reference in references:
                confirmed += check_results(meta, output, clips, reference, findings)
    budget.note(findings)
    _check_energy_stated(systems, form, not layout.single, findings)
    if form.every_yaml:
        _check_strange_yaml(package, names, described, form, findings)
    return Checked(findings.sorted(), confirmed)


def _check_energy_stated(
    systems: Sequence[tuple[System, Meta, Output]], form: Format, whole: bool, findings: Findings
) -> None:
    """Look at systems without any energy: where the rules demand it, at least the best system's has to be there."""
    silent = [meta for _, meta, _ in systems if isinstance(meta.values.get("system"), Mapping)]
    silent = [meta for meta in silent if not states_energy(meta, form)]
    measured = any(measures_energy(output.energy) for *_, output in systems)
    kwh = [item.path for item in form.fields if item.kind == "kwh" and "baseline" not in item.path]
    asked = listed(path.rpartition(".")[2] for path in kwh)
    if silent and form.energy_mandatory and whole and len(silent) == len(systems) and not measured:
        message = f"energy ({asked}) is stated of no system, where the rules demand that of the best one at least"
        row = silent[0].row("system.complexity")
        findings.add(REFUSED, "energy_absent", silent[0].file, message, "kWh measured by CodeCarbon", row=row)
        return
    for meta in silent:
        message = f"energy is absent for {asked}"
        row = meta.row("system.complexity")
        findings.add(WARNING, "energy_absent", meta.file, message, "kWh measured by CodeCarbon", row=row)


def _check_strange_yaml(
    package: Package, names: Sequence[str], described: Set[str], form: Format, findings: Findings
) -> None:
    """Look at the YAML files that are no system's description, where the script loads every one of them."""
    for name in names:
        folder, _, file = name.partition("/")
        if name in described or not file.endswith(".yaml") or "/" in file or "." in (file[0], folder[0]):
            continue
        quiet = Findings()
        data = read_within(package, name, _MOST_META_BYTES, "a meta file", quiet)
        meta = None if data is None else parse_meta(name, data, quiet)
        if meta is not None:
            check_meta(meta, folder, form, True, quiet)
        first = next((finding for finding in quiet.sorted() if finding.severity == REFUSED), None)
        if first is not None:
            message = f"is loaded by the organisers' script, which stops at it: {first.message}"
            findings.add(REFUSED, "extra_yaml", name, message, "no YAML files but the meta files", first.row)
        else:
            findings.add(WARNING, "extra_file", name, "a second meta file", "one a system")


def _check_number(layout: Layout, form: Format, findings: Findings) -> None:
    if not layout.systems:
        expected = f"a folder {form.describe_label()} with its output and meta file"
        findings.add(REFUSED, "no_system", "", "no system's files were found", expected)
    if len(layout.systems) > form.max_systems:
        message = f"{len(layout.systems)} systems"
        message += f", of which the first {_MOST_SYSTEMS} are looked at" if len(layout.systems) > _MOST_SYSTEMS else ""
        findings.add(REFUSED, "too_many_systems", "", message, f"at most {form.max_systems}")


def _check_list(clips: ClipList | None, form: Format, findings: Findings) -> None:
    """The tables are compared with the list; it has to be that of the evaluation set to say anything of a package."""
    number = form.scores.clips if form.scores else None
    if clips is not None and number is not None and len(clips.filenames) != number:
        message = f"the list names {len(clips.filenames)} clips: scores of these are not those of the evaluation set"
        findings.add(REFUSED, "list_count", "", message, f"the {number} clips of {form.year}")


def _meta_file(system: System) -> str | None:
    """Return the file that describes a system: the one named after it, else the first YAML file."""
    wanted = f"{system.label}.meta.yaml"
    candidates = [name for name in system.files if name.lower().endswith((".yaml", ".yml"))]
    named = [name for name in candidates if PurePosixPath(name).name == wanted]
    return next(iter([*named, *candidates]), None)


def _check_meta_file(package: Package, system: System, form: Format, whole: bool, findings: Findings) -> Meta | None:
    wanted, name = f"{system.label}.meta.yaml", _meta_file(system)
    if name is None:
        findings.add(REFUSED, "meta_missing", system.path, "no meta file", wanted)
        return None
    if PurePosixPath(name).name != wanted:
        severity = REFUSED if form.folders_checked else WARNING
        findings.add(severity, "meta_name", name, "not named after its folder", wanted)
    for other in system.files:
        # Where a script loads them all, they are looked at one by one.
        loaded = form.every_yaml and other.endswith(".yaml")
        if other.lower().endswith((".yaml", ".yml")) and other != name and not loaded:
            findings.add(WARNING, "extra_file", other, "a second meta file", f"only {wanted}")
    data = read_within(package, name, _MOST_META_BYTES, "a meta file", findings)
    meta = None if data is None else parse_meta(name, data, findings)
    if meta is not None:
        check_meta(meta, system.label, form, whole, findings)
    return meta
