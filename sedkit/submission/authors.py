"""The author file: who hands in, and what the systems are called. `submissions/authors.example.yaml` shows it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.files import read_yaml
from sedkit.core.log import log
from sedkit.submission.folder_names import plain_name
from sedkit.submission.formats import Format
from sedkit.submission.formats._format import meta_fields
from sedkit.submission.meta.people import is_example_author

#: Fields that are stated by the last part of their paths, beside those of the description.
_STATED = ("submission.name", "submission.abbreviation", "system.external_datasets", "system.source_code")
_ABOVE = "system.description."
_DESCRIPTION = tuple(x.path.removeprefix(_ABOVE) for x in meta_fields("system") if x.path.startswith(_ABOVE))


@dataclass(frozen=True)
class _Affiliation:
    abbreviation: Any = None
    institute: Any = None
    department: Any = None
    location: Any = None


@dataclass(frozen=True)
class _Person:
    lastname: str
    firstname: str
    email: Any = None
    corresponding: bool = False
    affiliation: Any = None

    def __post_init__(self) -> None:
        if not (self.lastname.strip() and self.firstname.strip()):
            raise UsageError("lastname or firstname is empty, expected both")


@dataclass(frozen=True)
class _Stated:
    name: str | None = None
    abbreviation: str | None = None
    description: dict[str, Any] | None = None
    external_datasets: Any = None
    source_code: str | None = None

    def __post_init__(self) -> None:
        for key in self.description or ():
            if key not in _DESCRIPTION:
                expected = listed(_DESCRIPTION, 20)
                raise UsageError(f"description: unknown key {key!r}{suggest(key, _DESCRIPTION)}; has {expected}")


@dataclass(frozen=True)
class _AuthorFile:
    authors: list[Any]
    systems: dict[str, Any] | None = None
    source_code: str | None = None

    def __post_init__(self) -> None:
        if not self.authors:
            raise UsageError("authors is empty, expected a list of authors (see submissions/authors.example.yaml)")


@dataclass(frozen=True)
class Authors:
    """Authors in order, and what the file says of single systems.

    Attributes
    ----------
    people
        As they stand in a meta file.
    systems
        What is stated of systems, as `read_stated` returns it, by the name of their configuration, or that of their
        table or scores without its ending.
    source_code
        Address of the code of systems that name none.
    path
        The author file, for messages.
    """

    people: list[dict[str, Any]]
    systems: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
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

        Raises UsageError for a name that is nearly that of a packed system without an entry, or where none of them is
        packed.
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
        No such file.
    UsageError
        Unknown keys, values of another kind, or an author without a name.
    """
    content = read_yaml(path)
    file = typed(content, _AuthorFile, f"{path}")
    people = []
    for i, person in enumerate(content["authors"], start=1):
        where = f"{path}: author {i}"
        checked = typed(person, _Person, where)
        affiliation = person.get("affiliation") or []
        for one in affiliation if isinstance(affiliation, list) else [affiliation]:
            typed(one, _Affiliation, f"{where}: affiliation")
        people.append(person | ({"corresponding": checked.corresponding} if "corresponding" in person else {}))
    systems = content.get("systems") or {}
    stated = {str(name): read_stated(block, f"{path}: systems.{name}") for name, block in systems.items()}
    return Authors(people, stated, file.source_code, str(path))


def read_stated(block: Any, where: str) -> dict[str, Any]:
    """Check what is stated of one system by hand, and return it by the fields' paths in the meta file.

    Values stand as they are written: `typed`, which reads a text of digits as a number, only judges them.
    """
    typed(block, _Stated, where)
    block = block or {}
    stated = {path: block.get(path.rpartition(".")[2]) for path in _STATED}
    description = {f"{_ABOVE}{key}": value for key, value in (block.get("description") or {}).items()}
    return {path: value for path, value in stated.items() if value not in (None, "")} | description


def stated_in(experiment: ExperimentFolder) -> dict[str, Any]:
    """Return what the section `submission` of an experiment's configuration says, as `read_stated` returns it."""
    return read_stated(experiment.config.get("submission"), f"{experiment.training / 'config.yaml'}: submission")


def label_of(label: str | None, authors: Authors, form: Format, number: int) -> str:
    """Return a system's label: from `label` with its number counted on, else from the authors.

    Raises UsageError for a `label` without the format's shape, or a number past what a team may hand in.
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
