"""`sedkit pack`: write system folders, and the zip to hand in where nothing is missing or would be refused."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import aside_of, atomic_folder, atomic_path, sha256_file, write_text
from sedkit.core.log import log
from sedkit.submission.authors import Authors, label_of
from sedkit.submission.check import check_package
from sedkit.submission.clip_list import ClipList
from sedkit.submission.findings import REFUSED, PackageFinding
from sedkit.submission.formats import Format
from sedkit.submission.meta.write import build_meta, meta_text
from sedkit.submission.pack.sources import SystemToPack
from sedkit.submission.package import folder_files, write_zip
from sedkit.submission.technical_report import judge_report


@dataclass(frozen=True)
class Packed:
    """What `pack` left: system folders, the zip or why there is none, and the findings of the check."""

    folders: tuple[Path, ...]
    zip: Path | None
    incomplete: tuple[str, ...] = ()
    findings: tuple[PackageFinding, ...] = ()


def pack(
    form: Format,
    systems: Sequence[SystemToPack],
    authors: Authors,
    out: str | os.PathLike[str],
    label: str | None = None,
    report: str | os.PathLike[str] | None = None,
    clips: ClipList | None = None,
    add: bool = False,
) -> Packed:
    """Write system folders, and the zip where authors and report are there and nothing would be refused.

    Parameters
    ----------
    form, systems, authors
        The year's format, the systems, numbered in this order, and who hands in.
    out
        Folder for `<label>/`, the report and the zip.
    label
        First system's label; None builds it from the authors.
    report
        The technical report, a PDF.
    clips
        The evaluation list, for the check.
    add
        Whether the zip also holds the systems of the same team that lie in `out` already.

    Returns
    -------
    What was written. The same input gives the same bytes; with `add`, the folders in `out` are input.

    Raises
    ------
    UsageError
        Labels or systems of the author file that do not go with the systems.
    SedkitError
        No report, or a placeholder.
    """
    authors.check_systems(system.name for system in systems)
    labels = [label_of(label, authors, form, i) for i in range(1, len(systems) + 1)]
    data = None if report is None else read_report(Path(report))
    match = form.label_pattern.fullmatch(labels[0])
    assert match is not None
    archive = Path(out) / f"{match['base']}.zip"
    # It would belong to other folders than those beside it.
    archive.unlink(missing_ok=True)
    folders = tuple(
        _write_folder(Path(out) / name, system, form, authors) for name, system in zip(labels, systems, strict=True)
    )
    reasons = []
    if authors.example:
        reasons.append("the author file holds example authors (put the real ones in)")
    if data is None:
        reasons.append("no technical report was given (--report PDF)")
    others = _others(Path(out), match["base"], labels, form)
    _warn_of_twins([*others, *folders] if add else folders)
    if data is not None:
        with atomic_path(_report_of(archive)) as aside:
            aside.write_bytes(data)
    if reasons or data is None:
        each = [f for folder in folders for f in check_package(folder, form, clips)]
        # A system's folder holds no report: that lies beside it.
        findings = tuple(f for f in each if data is None or f.kind != "report_missing")
        return Packed(folders, None, tuple(reasons), findings)
    findings = _write_zip(archive, sorted([*folders, *others]) if add else folders, data, form, clips)
    if not archive.exists():
        return Packed(folders, None, ("the package would be refused (see the findings)",), findings)
    if others:
        names = listed([folder.name for folder in others], 10)
        where = "also in the zip" if add else "not in the zip (--add true takes them in)"
        log.info("%s, from earlier calls: %s", where, names)
    for name, system in zip(labels, systems, strict=True):
        for remark in system.meta.remarks:
            log.warning("%s is complete, but the development results of %s are not official: %s", archive, name, remark)
    return Packed(folders, archive, (), findings)


def read_report(path: Path) -> bytes:
    """Return a technical report's bytes; raise SedkitError for what is no PDF that readers open."""
    if not path.is_file():
        raise SedkitError(f"{path}: no such file, expected the technical report")
    data = path.read_bytes()
    problem = judge_report(data).problem
    if problem:
        raise SedkitError(f"{path}: {problem}, expected the technical report as PDF")
    return data


def _write_folder(folder: Path, system: SystemToPack, form: Format, authors: Authors) -> Path:
    """Write the folder of a system, which is named by its label."""
    label = folder.name
    with atomic_folder(folder) as aside:
        system.output.write(aside, label, form)
        text = meta_text(build_meta(form, label, authors, system.meta), system.meta.remarks)
        write_text(aside / f"{label}.meta.yaml", text)
    return folder


def _write_zip(
    archive: Path, folders: Sequence[Path], report: bytes, form: Format, clips: ClipList | None
) -> tuple[PackageFinding, ...]:
    """Write the zip of folders and report, unless it would be refused; return the check's findings."""
    aside = aside_of(archive)
    try:
        write_zip(aside, {**folder_files(folders), _report_of(archive).name: report})
        findings = check_package(aside, form, clips)
        if not any(f.severity == REFUSED for f in findings):
            os.replace(aside, archive)
    finally:
        aside.unlink(missing_ok=True)
    return tuple(findings)


def _report_of(archive: Path) -> Path:
    return archive.with_name(f"{archive.stem}.technical_report.pdf")


def _warn_of_twins(folders: Sequence[Path]) -> None:
    """Warn of systems whose output is another's, byte for byte."""
    seen: dict[str, str] = {}
    for folder in folders if len(folders) > 1 else ():
        digest = hashlib.sha256()
        for file in sorted(folder.rglob("*")):
            name = file.relative_to(folder).as_posix()
            # Descriptions and CodeCarbon's tables are not what is scored.
            if file.is_file() and name.startswith(folder.name) and not name.endswith(".meta.yaml"):
                digest.update(f"{name.removeprefix(folder.name)}\0{sha256_file(file)}\n".encode())
        twin = seen.setdefault(digest.hexdigest(), folder.name)
        if twin != folder.name:
            log.warning("%s: the same output as %s; expected each system once", folder.name, twin)


def _others(out: Path, base: str, labels: Sequence[str], form: Format) -> list[Path]:
    """Return the folders of a team's systems that were not packed in this call."""
    named = {folder: form.label_pattern.fullmatch(folder.name) for folder in sorted(out.iterdir()) if folder.is_dir()}
    return [folder for folder, match in named.items() if match and match["base"] == base and folder.name not in labels]
