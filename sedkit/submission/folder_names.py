"""The names of systems: their folders, and the labels that their files carry."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath
from typing import Any

from sedkit.submission.findings import REFUSED, WARNING, Findings
from sedkit.submission.formats import Format
from sedkit.submission.layout import SystemFolder

#: Surname, institute, task and number.
_PARTS = 4


#: Letters that are no base letter with a mark.
_SPELT = str.maketrans(
    {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ı": "i", "æ": "ae", "Æ": "Ae", "œ": "oe"}
)


def plain_name(text: Any) -> str:
    """Keep the letters, digits and hyphens of a name, without accents, as they stand in a label.

    >>> plain_name("Çakır-Weiß")
    'Cakir-Weiss'
    """
    flat = unicodedata.normalize("NFKD", str(text or "").translate(_SPELT)).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9-]", "", flat)


def check_folder_name(system: SystemFolder, systems: int, form: Format, findings: Findings) -> None:
    """Look at a folder's name; where its files agree on another one that is one fault, and the system takes theirs.

    `systems` is how many there are: more than a team may hand in have numbers to match. What is wrong is refused where
    the year's script asks for the name, else a warning, since packages with labels that no rule describes were ranked.
    """
    named = _label_of_files(system, form)
    if named is None or named == system.label:
        _check_label(system, systems, form, findings)
        return
    good = [name for name in (system.label, named) if form.label_pattern.fullmatch(name)]
    if good == [named]:
        message = f"folder name {system.label!r}, where its files are named after {named!r}"
        severity = findings.severity("folder_name")
        findings.add("label_pattern", system.path, message, form.describe_label(), severity=severity)
    elif good:
        message = f"the files of folder {system.label!r} are named after {named!r}"
        findings.add("folder_name", system.path, message, "one label for folder and files")
    else:
        _check_label(system, systems, form, findings)
    system.label = named
    if len(good) == 2:
        _check_label(system, systems, form, findings)


def _label_of_files(system: SystemFolder, form: Format) -> str | None:
    """Return the label that both the meta file and the output carry, None where they carry none or several."""
    ending = ".meta.yaml"
    described = {PurePosixPath(name).name.removesuffix(ending) for name in system.files if name.endswith(ending)}
    both = described & system.outputs(form).keys()
    return next(iter(both)) if len(both) == 1 and "" not in both else None


def _check_label(system: SystemFolder, systems: int, form: Format, findings: Findings) -> None:
    match = form.label_pattern.fullmatch(system.label)
    # The script of 2024 counts the parts, and takes what stands before a point for the label.
    stops = form.folders_checked and (system.label.count("_") != _PARTS - 1 or "." in system.label)
    severity = REFUSED if stops else WARNING
    if match is None or stops:
        message, expected = f"folder name {system.label!r}", form.describe_label()
        if not system.label.isascii():
            message += " holds letters that are not ASCII"
            parts = [plain_name(name) for name in system.label.split("_")]
            expected += f" in ASCII letters, for example {'_'.join(parts)}"
        findings.add("label_pattern", system.path, message, expected, severity=severity)
    elif not 1 <= int(match["number"][:6]) <= form.max_systems and systems <= form.max_systems:
        message = f"number {match['number'][:20]} in {system.label!r}"
        findings.add("label_number", system.path, message, f"1 to {form.max_systems}", severity=severity)
