"""`sedkit check`: look for faults in a submission, folder or zip, made by anyone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from sedkit.dataio.tables import stem
from sedkit.submission.archive import Limits, Package, UnsafePackage
from sedkit.submission.check.bytes import read_within
from sedkit.submission.check.energy import check_energy
from sedkit.submission.check.layout import Layout, System, find_layout, without_junk
from sedkit.submission.check.meta import check_meta, plain_name
from sedkit.submission.check.outputs import check_outputs
from sedkit.submission.check.recompute import Confirmed, Reference, check_results
from sedkit.submission.check.recompute_scores import check_score_results
from sedkit.submission.check.table import ClipList
from sedkit.submission.check.technical_report import check_report
from sedkit.submission.check.yaml_lines import Meta, parse_meta
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Finding, Findings
from sedkit.submission.formats import Format

#: More than any description of a system; what is beyond is there to exhaust its reader.
_MOST_META_BYTES = 2**20


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
    names = without_junk(package.names, findings)
    layout = find_layout(
        names, None if package.is_zip else package.path.resolve().name, form, findings, package.empty_folders
    )
    _check_number(layout, form, findings)
    _check_list(clips, form, findings)
    check_report(package, names, layout, findings)
    scored = frozenset(stem(name) for reference in references for name in reference.events.filenames)
    digests: dict[bytes, str] = {}
    for system in layout.systems:
        _check_folder_name(system, len(layout.systems), form, findings)
        meta = _check_meta_file(package, system, form, not layout.single, findings)
        output = check_outputs(package, system, form, clips, scored, findings)
        twin = digests.setdefault(output.digest, system.label) if output.digest else system.label
        if twin != system.label:
            findings.add(NOTE, "outputs_identical", system.path, f"the same output as {twin}", "systems that differ")
        if meta is not None and form.energy:
            check_energy(meta, system, output.energy, form, findings)
        if meta is None or not references:
            continue
        if form.scores is not None:
            duration_s = clips.duration_s if clips else None
            confirmed += check_score_results(meta, output.runs, form, duration_s, references, findings)
            continue
        for reference in references:
            confirmed += check_results(meta, output, clips, reference, findings)
    return Checked(findings.sorted(), confirmed)


def _check_number(layout: Layout, form: Format, findings: Findings) -> None:
    if not layout.systems:
        expected = f"a folder {form.describe_label()} with its output and meta file"
        findings.add(REFUSED, "no_system", "", "no system's files were found", expected)
    if len(layout.systems) > form.max_systems:
        findings.add(REFUSED, "too_many_systems", "", f"{len(layout.systems)} systems", f"at most {form.max_systems}")


def _check_list(clips: ClipList | None, form: Format, findings: Findings) -> None:
    """The tables are compared with the list; it has to be that of the evaluation set to say anything of a package."""
    number = form.scores.clips if form.scores else None
    if clips is not None and number is not None and len(clips.filenames) != number:
        message = f"the list names {len(clips.filenames)} clips: scores of these are not those of the evaluation set"
        findings.add(REFUSED, "list_count", "", message, f"the {number} clips of {form.year}")


def _check_folder_name(system: System, systems: int, form: Format, findings: Findings) -> None:
    """Look at a folder's name; where its files agree on another one that is one fault, and theirs is looked for."""
    named = _label_of_files(system, form)
    if named is None or named == system.label:
        _check_label(system, systems, form, findings)
        return
    good = [name for name in (system.label, named) if form.label_pattern.fullmatch(name)]
    if good == [named]:
        message = f"folder name {system.label!r}, where its files are named after {named!r}"
        findings.add(REFUSED, "label_pattern", system.path, message, form.describe_label())
    elif good:
        message = f"the files of folder {system.label!r} are named after {named!r}"
        findings.add(REFUSED, "folder_name", system.path, message, "one label for folder and files")
    else:
        _check_label(system, systems, form, findings)
    system.label = named
    if len(good) == 2:
        _check_label(system, systems, form, findings)


def _label_of_files(system: System, form: Format) -> str | None:
    """Return the label that both the meta file and the output carry, None where they carry none or several."""

    def labels(names: Iterable[str], ending: str) -> set[str]:
        return {found.removesuffix(ending) for name in names if (found := PurePosixPath(name).name).endswith(ending)}

    if form.scores:
        output = labels(system.folders, form.scores.suffix.format(run=1))
    else:
        assert form.table_suffix is not None
        output = labels(system.files, form.table_suffix)
    both = labels(system.files, ".meta.yaml") & output
    return next(iter(both)) if len(both) == 1 and "" not in both else None


def _check_label(system: System, systems: int, form: Format, findings: Findings) -> None:
    match = form.label_pattern.fullmatch(system.label)
    if match is None:
        message, expected = f"folder name {system.label!r}", form.describe_label()
        if not system.label.isascii():
            message += " holds letters that are not ASCII"
            parts = [plain_name(part) for part in system.label.split("_")]
            expected += f" in ASCII letters, for example {'_'.join(parts)}"
        findings.add(REFUSED, "label_pattern", system.path, message, expected)
    elif not 1 <= int(match["number"]) <= form.max_systems and systems <= form.max_systems:
        message = f"number {match['number']} in {system.label!r}"
        findings.add(REFUSED, "label_number", system.path, message, f"1 to {form.max_systems}")


def _check_meta_file(package: Package, system: System, form: Format, whole: bool, findings: Findings) -> Meta | None:
    wanted = f"{system.label}.meta.yaml"
    candidates = [n for n in system.files if n.lower().endswith((".yaml", ".yml"))]
    named = [n for n in candidates if PurePosixPath(n).name == wanted]
    if not candidates:
        findings.add(REFUSED, "meta_missing", system.path, "no meta file", wanted)
        return None
    name = (named or candidates)[0]
    if not named:
        findings.add(REFUSED, "meta_name", name, "not named after its folder", wanted)
    for other in candidates:
        if other != name:
            findings.add(WARNING, "extra_file", other, "a second meta file", f"only {wanted}")
    data = read_within(package, name, _MOST_META_BYTES, "a meta file", findings)
    meta = None if data is None else parse_meta(name, data, findings)
    if meta is not None:
        check_meta(meta, system.label, form, whole, findings)
    return meta
