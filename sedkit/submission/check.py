"""`sedkit check`: look for faults in a submission, folder or zip, made by anyone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sedkit.core.errors import listed
from sedkit.dataio.names import stem
from sedkit.submission.clip_list import ClipList
from sedkit.submission.energy_tables import check_energy
from sedkit.submission.findings import REFUSED, Findings, PackageFinding
from sedkit.submission.folder_names import check_folder_name
from sedkit.submission.formats import Format
from sedkit.submission.layout import Layout, SystemFolder, find_layout, without_junk
from sedkit.submission.meta.faults import check_meta, states_energy
from sedkit.submission.meta.read import MOST_BYTES, Meta, parse_meta
from sedkit.submission.outputs.of_system import OutputCheck, SystemOutput
from sedkit.submission.outputs.raw import read_within
from sedkit.submission.package import Limits, Package, UnsafePackage
from sedkit.submission.stated import check_results
from sedkit.submission.stated_figures import Confirmed, Reference
from sedkit.submission.technical_report import check_report
from sedkit.submission.year import check_year

#: Systems that are looked at: twice what a team may hand in.
_MOST_SYSTEMS = 8


@dataclass(frozen=True)
class Checked:
    """What `sedkit check` has to say: findings, gravest first, and the stated results that were found again."""

    findings: list[PackageFinding]
    confirmed: list[Confirmed] = field(default_factory=list)


def check_package(path: str | os.PathLike[str], form: Format, clips: ClipList | None = None) -> list[PackageFinding]:
    """Look for faults in a package; see `examine_package`."""
    return examine_package(path, form, clips).findings


def examine_package(
    path: str | os.PathLike[str],
    form: Format,
    clips: ClipList | None = None,
    references: Sequence[str | os.PathLike[str]] = (),
    limits: Limits | None = None,
) -> Checked:
    """Look for faults in a package, and recompute the results that it states; nothing is written.

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
    findings = Findings(form)
    names = without_junk(package.names, form, findings)
    root_name = None if package.is_zip else package.path.resolve().name
    layout = find_layout(names, root_name, form, findings, package.empty_folders)
    _check_numbers(layout, clips, form, findings)
    check_report(package, names, layout, form, findings)
    systems = layout.systems[:_MOST_SYSTEMS]
    files = [_meta_file(system) for system in systems]
    described = [_read_meta(package, name, Findings(form)) if name else None for name in files]
    if not check_year(package, systems, [meta for meta in described if meta is not None], form, findings):
        return Checked(findings.sorted())
    for reference in references:
        if not reference.events.n_events:
            message = f"{reference.path} holds no event of the classes of {form.name}: nothing is recomputed on it"
            findings.add("results_not_recomputed", "", message, "a strong table of the development set")
    references = [reference for reference in references if reference.events.n_events]
    scored = frozenset(stem(name) for reference in references for name in reference.events.filenames)
    outputs = OutputCheck(package, form, clips, scored, findings)
    confirmed: list[Confirmed] = []
    digests: dict[bytes, str] = {}
    known: list[tuple[Meta, SystemOutput]] = []
    for system in systems:
        check_folder_name(system, len(layout.systems), form, findings)
        meta = _check_meta_file(package, system, form, not layout.single, findings)
        output = outputs.check(system)
        twin = digests.setdefault(output.digest, system.label) if output.digest else system.label
        if twin != system.label:
            findings.add("outputs_identical", system.path, f"the same output as {twin}", "systems that differ")
        if meta is None:
            continue
        known.append((meta, output))
        if form.energy:
            check_energy(meta, system, output.energy, form)
        confirmed += check_results(meta, output, form, clips, references)
    outputs.budget.note(findings)
    if form.energy:
        _check_energy_stated(known, form, not layout.single, findings)
    if form.every_yaml:
        _check_strange_yaml(package, [name for name in names if name not in files], form, findings)
    return Checked(findings.sorted(), confirmed)


def _check_energy_stated(
    systems: Sequence[tuple[Meta, SystemOutput]], form: Format, whole: bool, findings: Findings
) -> None:
    """Look at systems without any energy: where the rules demand it, at least the best system's has to be there."""
    silent = [meta for meta, _ in systems if isinstance(meta.get("system"), Mapping) and not states_energy(meta, form)]
    measured = any(kwh for _, output in systems for kwh in output.energy.values())
    asked = listed(path.rpartition(".")[2] for path in form.kwh if "baseline" not in path)
    expected = "kWh measured by CodeCarbon"
    if silent and form.energy_mandatory and whole and len(silent) == len(systems) and not measured:
        message = f"energy ({asked}) is stated of no system, where the rules demand that of the best one at least"
        silent[0].tell("energy_absent", "system.complexity", message, expected, REFUSED)
        return
    for meta in silent:
        meta.tell("energy_absent", "system.complexity", f"energy is absent for {asked}", expected)


def _check_strange_yaml(package: Package, names: Sequence[str], form: Format, findings: Findings) -> None:
    """Look at the YAML files that are no system's description, where the script loads every one of them."""
    for name in names:
        folder, _, file = name.partition("/")
        if not file.endswith(".yaml") or "/" in file or "." in (file[0], folder[0]):
            continue
        quiet = Findings(form)
        meta = _read_meta(package, name, quiet)
        if meta is not None:
            check_meta(meta, folder, form, True)
        first = next((finding for finding in quiet.sorted() if finding.severity == REFUSED), None)
        if first is not None:
            message = f"is loaded by the organisers' script, which stops at it: {first.message}"
            findings.add("extra_yaml", name, message, "no YAML files but the meta files", first.row)
        else:
            findings.add("extra_file", name, "a second meta file", "one a system")


def _check_numbers(layout: Layout, clips: ClipList | None, form: Format, findings: Findings) -> None:
    """Look at how many systems there are, and whether the list can be that of the evaluation set."""
    systems, number = len(layout.systems), form.scores.clips if form.scores else None
    if not systems:
        expected = f"a folder {form.describe_label()} with its output and meta file"
        findings.add("no_system", "", "no system's files were found", expected)
    if systems > form.max_systems:
        message = f"{systems} systems"
        message += f", of which the first {_MOST_SYSTEMS} are looked at" if systems > _MOST_SYSTEMS else ""
        findings.add("too_many_systems", "", message, f"at most {form.max_systems}")
    if clips is not None and number is not None and len(clips.filenames) != number:
        message = f"the list names {len(clips.filenames)} clips: scores of these are not those of the evaluation set"
        findings.add("list_count", "", message, f"the {number} clips of {form.year}")


def _meta_file(system: SystemFolder) -> str | None:
    """Return the file that describes a system: the one named after it, else the first YAML file."""
    wanted = f"{system.label}.meta.yaml"
    candidates = [name for name in system.files if name.lower().endswith((".yaml", ".yml"))]
    named = [name for name in candidates if PurePosixPath(name).name == wanted]
    return next(iter([*named, *candidates]), None)


def _read_meta(package: Package, name: str, findings: Findings) -> Meta | None:
    data = read_within(package, name, MOST_BYTES, "a meta file", findings)
    return None if data is None else parse_meta(name, data, findings)


def _check_meta_file(
    package: Package, system: SystemFolder, form: Format, whole: bool, findings: Findings
) -> Meta | None:
    wanted, name = f"{system.label}.meta.yaml", _meta_file(system)
    if name is None:
        findings.add("meta_missing", system.path, "no meta file", wanted)
        return None
    if PurePosixPath(name).name != wanted:
        findings.add("meta_name", name, "not named after its folder", wanted)
    for other in system.files:
        # Where a script loads them all, they are looked at one by one.
        loaded = form.every_yaml and other.endswith(".yaml")
        if other.lower().endswith((".yaml", ".yml")) and other != name and not loaded:
            findings.add("extra_file", other, "a second meta file", f"only {wanted}")
    meta = _read_meta(package, name, findings)
    if meta is not None:
        check_meta(meta, system.label, form, whole)
    return meta
