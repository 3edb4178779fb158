"""Faults of a system's meta file: its names and authors here, its fields in `fields`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.check.fields import check_fields
from sedkit.submission.check.kinds import shown
from sedkit.submission.check.yaml_lines import Meta, get
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Findings
from sedkit.submission.formats import Format

#: Words of templates in the place of a name. Doe is a name as well: it takes the template's address or institute.
_EXAMPLE_NAMES = ("lastname", "firstname", "surname", "yourname", "example")
_EXAMPLE_INSTITUTES = ("inst", "institute", "yourinstitute")
_EXAMPLE_MAIL = re.compile(r"@(?:example\.|[a-z0-9-]+\.example$|y$|domain\.)", re.IGNORECASE)

#: Texts that mean no, where YAML would need `false`.
_NO = ("no", "false", "n", "0", "none", "null", "")


def check_meta(meta: Meta, label: str, form: Format, package: bool, findings: Findings) -> None:
    """Look for faults in a meta file.

    Parameters
    ----------
    meta
        What `parse_meta` returned.
    label
        The system folder's name.
    form
        The year's format.
    package
        Whether a whole package is looked at (missing authors are then refused) or a single system folder.
    findings
        Where faults are noted.
    """
    if isinstance(meta.values.get("submission"), Mapping):
        _check_names(meta, label, form, findings)
        _check_authors(meta, label, form, REFUSED if package else WARNING, findings)
    check_fields(meta, form, findings)
    if re.search(r"_SS(?:ep)?_", label) and form.separation and not get(meta.values, "ss_system")[0]:
        message = "the label is that of a system with sound separation, but there is no ss_system"
        findings.add(NOTE, "separation_absent", meta.file, message, "ss_system and ss_results")


def _check_names(meta: Meta, label: str, form: Format, findings: Findings) -> None:
    given, stated = get(meta.values, "submission.label")
    row = meta.row("submission.label")
    if given and isinstance(stated, str):
        if stated != label:
            # The results are listed by the one, the output lies under the other.
            severity = REFUSED if form.folders_checked else WARNING
            message, expected = f"label {shown(stated)}", f"the folder's name {label!r}"
            findings.add(severity, "label_not_folder", meta.file, message, expected, row=row)
        if stated in form.example_labels:
            message = f"label {stated!r} is the template's"
            findings.add(REFUSED, "label_example", meta.file, message, form.describe_label(), row=row)
    for key in ("label", "name", "abbreviation"):
        value = get(meta.values, f"submission.{key}")[1]
        if isinstance(value, str) and "baseline" in value.lower():
            message = f"submission.{key} {shown(value)} calls itself a baseline"
            row = meta.row(f"submission.{key}")
            severity = REFUSED if form.baseline_refused else WARNING
            findings.add(severity, "baseline_name", meta.file, message, "a name of its own", row=row)
            break
    short = get(meta.values, "submission.abbreviation")[1]
    if isinstance(short, str) and len(short) > 10:
        message = f"abbreviation {shown(short)} has {len(short)} characters"
        row = meta.row("submission.abbreviation")
        findings.add(WARNING, "abbreviation_long", meta.file, message, "at most 10", row=row)


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


def is_example_author(author: Any) -> bool:
    """Whether an author is one of a template: its words for a name, its address, or its institute."""
    if not isinstance(author, Mapping):
        return False
    names = [re.sub(r"\W", "", str(author.get(key, ""))).lower() for key in ("lastname", "firstname")]
    affiliation = author.get("affiliation")
    places = [
        place
        for place in (affiliation if isinstance(affiliation, list) else [affiliation])
        if isinstance(place, Mapping)
    ]
    return bool(
        any(name in _EXAMPLE_NAMES for name in names)
        or _EXAMPLE_MAIL.search(str(author.get("email") or ""))
        or any(str(place.get("abbreviation", "")).lower() in _EXAMPLE_INSTITUTES for place in places)
    )


def _check_authors(meta: Meta, label: str, form: Format, severity: str, findings: Findings) -> None:
    above = "submission.authors"
    authors = get(meta.values, above)[1]
    row = meta.row(above)
    if not isinstance(authors, list) or not authors:
        expected = "a list of authors under submission.authors"
        findings.add(severity, "author_missing", meta.file, "no authors", expected, row=row)
        return
    examples = [i for i, author in enumerate(authors) if is_example_author(author)]
    if examples:
        who = " ".join(str(authors[examples[0]].get(key, "")) for key in ("firstname", "lastname")).strip()
        row = meta.row(f"{above}.{examples[0]}")
        message = f"{who[:80]!r} is an example author"
        findings.add(WARNING, "author_example", meta.file, message, "the real authors", row=row)
        return
    for i, author in enumerate(authors):
        names = [author.get(k) for k in ("firstname", "lastname")] if isinstance(author, Mapping) else [None]
        row = meta.row(f"{above}.{i}")
        if not all(isinstance(name, str) and name.strip() for name in names):
            message = f"author {i + 1} lacks a name"
            # The script asks that there is something.
            severity = REFUSED if None in names else WARNING
            findings.add(severity, "author_name", meta.file, message, "firstname and lastname", row=row)
        elif not isinstance(author.get("affiliation"), Mapping | list):
            message, expected = f"author {i + 1} has no affiliation", "affiliation with abbreviation and institute"
            findings.add(WARNING, "author_affiliation", meta.file, message, expected, row=row)
    _check_corresponding(meta, authors, label, form, findings)


def _check_corresponding(meta: Meta, authors: list[Any], label: str, form: Format, findings: Findings) -> None:
    above = "submission.authors"
    said = {i: a["corresponding"] for i, a in enumerate(authors) if isinstance(a, Mapping) and "corresponding" in a}
    # The scripts of 2020 and 2024 take everything but null for yes.
    said = {i: value for i, value in said.items() if value is not None}
    corresponding = [i for i, value in said.items() if value and str(value).strip().lower() not in _NO]
    odd = [i for i, value in said.items() if not isinstance(value, bool)]
    expected = "exactly one with corresponding: true"
    if len(corresponding) != 1:
        message = f"{len(corresponding) or 'no'} corresponding authors"
        message += f" (corresponding: {shown(said[odd[0]])} is text)" if odd else ""
        message += ", though the validators take every answer for yes" if said and not corresponding else ""
        place = (odd or corresponding or list(said))[-1:]
        row = meta.row(f"{above}.{place[0]}.corresponding" if place else above)
        findings.add(WARNING if said else REFUSED, "author_corresponding", meta.file, message, expected, row=row)
        return
    if odd:
        words = listed(f"{shown(said[i])} (author {i + 1})" for i in odd)
        message = f"corresponding: {words}, which the validators take for yes"
        row = meta.row(f"{above}.{odd[0]}.corresponding")
        findings.add(WARNING, "author_corresponding", meta.file, message, "true, or no such key", row=row)
    (one,) = corresponding
    row = meta.row(f"{above}.{one}")
    if "@" not in str(authors[one].get("email") or ""):
        message = "the corresponding author has no e-mail address"
        findings.add(WARNING, "author_email", meta.file, message, "email with an address", row=row)
    last, first_part = (
        plain_name(name).replace("-", "").lower() for name in (authors[one].get("lastname"), label.split("_")[0])
    )
    if last and form.label_pattern.fullmatch(label) and first_part not in last and last not in first_part:
        written = str(authors[one].get("lastname")).strip()[:80]
        message = f"the label begins with {label.split('_')[0]}, the corresponding author is {written}"
        expected = "_".join([plain_name(written), *label.split("_")[1:]])
        findings.add(NOTE, "label_author", meta.file, message, expected, row=row)
