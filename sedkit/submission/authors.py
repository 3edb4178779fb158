"""The author file: who hands in, and what the systems are called. `submissions/authors.example.yaml` shows it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_yaml
from sedkit.core.log import log
from sedkit.submission.formats import Format
from sedkit.submission.hand_stated import check_keys, check_text, read_stated
from sedkit.submission.labels import plain_name
from sedkit.submission.meta.people import is_example_author

_KEYS = ("authors", "systems", "source_code")
_PERSON_KEYS = ("lastname", "firstname", "email", "corresponding", "affiliation")
_AFFILIATION_KEYS = ("abbreviation", "institute", "department", "location")


@dataclass(frozen=True)
class Authors:
    """Authors in order, and what the file says of single systems.

    Attributes
    ----------
    people
        As they stand in a meta file.
    systems
        By the name of their configuration, or that of their table or scores without its ending.
    source_code
        Address of the code of systems that name none.
    path
        The author file, for messages.
    """

    people: list[dict[str, Any]]
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    source_code: str | None = None
    path: str = ""

    @property
    def example(self) -> bool:
        """Whether an author is that of a template."""
        return any(is_example_author(person) for person in self.people)

    def label(self, form: Format, number: int) -> str:
        """Build the label from the corresponding author."""
        person = next((p for p in self.people if p.get("corresponding")), self.people[0])
        affiliation = person.get("affiliation")
        affiliation = affiliation[0] if isinstance(affiliation, list) else affiliation
        institute = affiliation.get("abbreviation") if isinstance(affiliation, dict) else None
        if not institute:
            raise SedkitError(
                f"{self.path}: the corresponding author has no affiliation.abbreviation: add it, or give --label"
            )
        label = form.label(plain_name(person.get("lastname")), plain_name(institute), number)
        if form.label_pattern.fullmatch(label) is None:
            raise SedkitError(
                f"{self.path}: no label can be made of {person.get('lastname')} and {institute} (got {label!r}, "
                f"expected {form.describe_label()}); give --label"
            )
        return label

    def check_systems(self, packed: Iterable[str]) -> None:
        """Say which systems of the file are not packed.

        Raises
        ------
        UsageError
            A name that is nearly that of a packed system without an entry, or no packed system among those named.
        """
        packed = list(dict.fromkeys(packed))
        left = [name for name in packed if name not in self.systems]
        others = [name for name in self.systems if name not in packed]
        none_named = bool(others) and len(others) == len(self.systems)
        for name in others:
            hint = suggest(name, left)
            if hint or none_named:
                raise UsageError(
                    f"{self.path}: systems.{name} is not packed{hint}; packed: {listed(packed)} (correct the name, or "
                    "leave the entry out)"
                )
        if others:
            log.warning("%s: not packed, so not used: systems.%s", self.path, listed(others))


def read_authors(path: str | os.PathLike[str]) -> Authors:
    """Read and check an author file.

    Raises
    ------
    SedkitError
        No such file, unknown keys, values of another kind, or an author without a name.
    """
    content = read_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("authors"), list) or not content["authors"]:
        raise SedkitError(f"{path}: expected a list of authors under `authors` (see submissions/authors.example.yaml)")
    check_keys(content, _KEYS, f"{path}")
    for i, person in enumerate(content["authors"], start=1):
        names = [person.get(k) for k in ("lastname", "firstname")] if isinstance(person, dict) else [None]
        if not all(isinstance(name, str) and name.strip() for name in names):
            raise SedkitError(f"{path}: author {i} has no lastname and firstname")
        check_keys(person, _PERSON_KEYS, f"{path}: author {i}")
        affiliations = person.get("affiliation") or []
        for one in affiliations if isinstance(affiliations, list) else [affiliations]:
            check_keys(one, _AFFILIATION_KEYS, f"{path}: author {i}: affiliation")
        if not isinstance(person.get("corresponding", False), bool):
            raise SedkitError(
                f"{path}: author {i}: corresponding is {person['corresponding']!r}, expected true or false"
            )
    systems = content.get("systems") or {}
    if not isinstance(systems, dict):
        raise SedkitError(f"{path}: systems is {systems!r:.60}, expected a mapping from a system's name to its entry")
    stated = {str(name): read_stated(block, f"{path}: systems.{name}") for name, block in systems.items()}
    check_text(content, "source_code", f"{path}")
    return Authors(content["authors"], stated, content.get("source_code"), str(path))


def label_of(label: str | None, authors: Authors, form: Format, number: int) -> str:
    """Return a system's label: from `label` with its number counted on, else from the authors.

    Raises
    ------
    UsageError
        `label` has not the format's shape, or the number goes past what a team may hand in.
    """
    if label is None:
        label = authors.label(form, number)
    else:
        match = form.label_pattern.fullmatch(label)
        if match is None:
            raise UsageError(f"--label {label!r}: expected {form.describe_label()}")
        number = int(match["number"]) + number - 1
        label = f"{match['base']}_{number}"
    if not 1 <= number <= form.max_systems:
        raise UsageError(
            f"system {number} ({label}): {form.name} takes at most {form.max_systems} systems, numbered from 1"
        )
    return label
