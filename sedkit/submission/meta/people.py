"""Who a meta file names, and what it calls the system: faults of its block `submission`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.findings import REFUSED, WARNING
from sedkit.submission.folder_names import plain_name
from sedkit.submission.formats import Format
from sedkit.submission.meta.read import Meta, shown

#: Words of templates in the place of a name. Doe is a name as well: it takes the template's address or institute.
_EXAMPLE_NAMES = ("lastname", "firstname", "surname", "yourname", "example")
_EXAMPLE_INSTITUTES = ("inst", "institute", "yourinstitute")
_EXAMPLE_MAIL = re.compile(r"@(?:example\.|[a-z0-9-]+\.example$|y$|domain\.)", re.IGNORECASE)

#: Texts that mean no, where YAML would need `false`.
_NO = ("no", "false", "n", "0", "none", "null", "")

_AUTHORS = "submission.authors"


def check_names(meta: Meta, label: str, form: Format) -> None:
    """Look at the label beside the folder's name, at the name and at its abbreviation."""
    stated = meta.get("submission.label")
    if isinstance(stated, str) and stated != label:
        # The results are listed by the one, the output lies under the other.
        meta.tell("label_not_folder", "submission.label", f"label {shown(stated)}", f"the folder's name {label!r}")
    if isinstance(stated, str) and stated in form.example_labels:
        meta.tell("label_example", "submission.label", f"label {stated!r} is the template's", form.describe_label())
    for key in ("label", "name", "abbreviation"):
        path = f"submission.{key}"
        value = meta.get(path)
        if isinstance(value, str) and "baseline" in value.lower():
            meta.tell("baseline_name", path, f"{path} {shown(value)} calls itself a baseline", "a name of its own")
            break
    short = meta.get("submission.abbreviation")
    if isinstance(short, str) and len(short) > 10:
        message = f"abbreviation {shown(short)} has {len(short)} characters"
        meta.tell("abbreviation_long", "submission.abbreviation", message, "at most 10")


def is_example_author(author: Any) -> bool:
    """Whether an author is one of a template: its words for a name, its address, or its institute."""
    if not isinstance(author, Mapping):
        return False
    names = [re.sub(r"\W", "", str(author.get(key, ""))).lower() for key in ("lastname", "firstname")]
    affiliation = author.get("affiliation")
    places = affiliation if isinstance(affiliation, list) else [affiliation]
    institutes = [str(place.get("abbreviation", "")).lower() for place in places if isinstance(place, Mapping)]
    return bool(
        set(names).intersection(_EXAMPLE_NAMES)
        or _EXAMPLE_MAIL.search(str(author.get("email") or ""))
        or set(institutes).intersection(_EXAMPLE_INSTITUTES)
    )


def check_authors(meta: Meta, label: str, form: Format, package: bool) -> None:
    """Look at the authors; that there are none is refused of a whole package alone."""
    authors = meta.get(_AUTHORS)
    if not isinstance(authors, list) or not authors:
        expected = "a list of authors under submission.authors"
        meta.tell("author_missing", _AUTHORS, "no authors", expected, REFUSED if package else WARNING)
        return
    example = next((i for i, author in enumerate(authors) if is_example_author(author)), None)
    if example is not None:
        who = " ".join(str(authors[example].get(key, "")) for key in ("firstname", "lastname")).strip()
        meta.tell("author_example", f"{_AUTHORS}.{example}", f"{who[:80]!r} is an example author", "the real authors")
        return
    for i, author in enumerate(authors):
        names = [author.get(k) for k in ("firstname", "lastname")] if isinstance(author, Mapping) else [None]
        path = f"{_AUTHORS}.{i}"
        if not all(isinstance(name, str) and name.strip() for name in names):
            # The script asks that there is something.
            severity = REFUSED if None in names else WARNING
            meta.tell("author_name", path, f"author {i + 1} lacks a name", "firstname and lastname", severity)
        elif not isinstance(author.get("affiliation"), Mapping | list):
            expected = "affiliation with abbreviation and institute"
            meta.tell("author_affiliation", path, f"author {i + 1} has no affiliation", expected)
    _check_corresponding(meta, authors, label, form)


def _check_corresponding(meta: Meta, authors: list[Any], label: str, form: Format) -> None:
    said = {i: a.get("corresponding") for i, a in enumerate(authors) if isinstance(a, Mapping)}
    # The scripts of 2020 and 2024 take everything but null for yes.
    said = {i: value for i, value in said.items() if value is not None}
    corresponding = [i for i, value in said.items() if value and str(value).strip().lower() not in _NO]
    odd = [i for i, value in said.items() if not isinstance(value, bool)]
    if len(corresponding) != 1:
        message = f"{len(corresponding) or 'no'} corresponding authors"
        message += f" (corresponding: {shown(said[odd[0]])} is text)" if odd else ""
        message += ", though the validators take every answer for yes" if said and not corresponding else ""
        places = [f"{_AUTHORS}.{i}.corresponding" for i in odd or corresponding or said]
        severity = WARNING if said else REFUSED
        expected = "exactly one with corresponding: true"
        meta.tell("author_corresponding", (places or [_AUTHORS])[-1], message, expected, severity)
        return
    if odd:
        words = listed(f"{shown(said[i])} (author {i + 1})" for i in odd)
        message = f"corresponding: {words}, which the validators take for yes"
        path = f"{_AUTHORS}.{odd[0]}.corresponding"
        meta.tell("author_corresponding", path, message, "true, or no such key", WARNING)
    author, path = authors[corresponding[0]], f"{_AUTHORS}.{corresponding[0]}"
    if "@" not in str(author.get("email") or ""):
        meta.tell("author_email", path, "the corresponding author has no e-mail address", "email with an address")
    first, *others = label.split("_")
    theirs, mine = (plain_name(name).replace("-", "").lower() for name in (author.get("lastname"), first))
    if theirs and form.label_pattern.fullmatch(label) and mine not in theirs and theirs not in mine:
        written = str(author.get("lastname")).strip()[:80]
        message = f"the label begins with {first}, the corresponding author is {written}"
        meta.tell("label_author", path, message, "_".join([plain_name(written), *others]))
