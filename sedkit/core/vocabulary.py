"""The frozen class order of a data set: the one place where a class name becomes a column."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import read_text, write_text


@dataclass(frozen=True)
class Vocabulary:
    """An ordered set of class labels.

    Parameters
    ----------
    labels
        Class names; the position is the column in every array of scores or targets.
    """

    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", tuple(self.labels))
        if not self.labels:
            raise SedkitError("a class list is empty, expected at least one label")
        seen: set[str] = set()
        for label in self.labels:
            if not label or label != label.strip() or any(c in label for c in "\t\n\r"):
                raise SedkitError(f"label {label!r}: expected a name on one line, without tabs or space around it")
            if label in seen:
                raise SedkitError(f"label {label!r} stands twice in the class list")
            seen.add(label)

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[str]:
        return iter(self.labels)

    def __contains__(self, label: object) -> bool:
        return label in self.labels

    def index(self, label: str) -> int:
        """Return the column of `label`."""
        try:
            return self.labels.index(label)
        except ValueError:
            raise SedkitError(
                f"unknown label {label!r}{suggest(label, self.labels)}; expected one of {listed(self.labels, 12)}"
            ) from None

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Read one label a line."""
        lines = [line.strip() for line in read_text(path).splitlines()]
        try:
            return cls(tuple(line for line in lines if line))
        except SedkitError as error:
            raise SedkitError(f"{path}: {error}") from None

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write one label a line."""
        write_text(path, "".join(f"{label}\n" for label in self.labels))


#: DESED's ten classes in the official (alphabetical) order of the baselines 2019-2023.
DESED_CLASSES = Vocabulary(
    (
        "Alarm_bell_ringing",
        "Blender",
        "Cat",
        "Dishes",
        "Dog",
        "Electric_shaver_toothbrush",
        "Frying",
        "Running_water",
        "Speech",
        "Vacuum_cleaner",
    )
)
