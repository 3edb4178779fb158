"""A results file as it is read: what `sedkit score --json` writes, or what was made elsewhere in its form.

A value of another kind ends in one line that names file and key. Keys that are not known are passed over, so that files
of other versions can be read, and nothing is converted: a quoted number is no number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError
from sedkit.core.files import read_json
from sedkit.core.numbers import is_number

#: An output lists at least this share of the clips, or it is partial: tables without empty rows list about 95 %.
COVERED = 0.9

#: Clips of the official references, by the beginning of the name: tells whether clips or classes were left out.
_CLIPS = {
    "dcase2018_test_": 288,
    "dcase2018_evaluation_": 880,
    "validation_": 1168,
    "public_evaluation": 692,
    "synthetic_2019": 2045,
}


@dataclass(frozen=True)
class ResultsSection:
    """A mapping in a results file, read key by key; what is absent or null is None, or an empty section.

    `where` are file and keys that lead to it, as a message begins: ``r.json: event_based.macro.``.
    """

    content: Mapping[str, Any]
    where: str

    @property
    def known(self) -> dict[str, Any]:
        """All that is not null."""
        return {key: value for key, value in self.content.items() if value is not None}

    def section(self, key: str) -> ResultsSection:
        """Return the mapping below a key."""
        section = self._checked(key, lambda value: isinstance(value, Mapping), "a mapping")
        return ResultsSection(section or {}, f"{self.where}{key}.")

    def text(self, key: str) -> str | None:
        """Return a text."""
        return self._checked(key, lambda value: isinstance(value, str), "a text or null")

    def flag(self, key: str) -> bool | None:
        """Return a truth value."""
        return self._checked(key, lambda value: isinstance(value, bool), "true, false or null")

    def number(self, key: str) -> float | None:
        """Return a number."""
        return self._checked(key, is_number, "a finite number or null")

    def items(self, key: str) -> list[Any] | None:
        """Return a list."""
        return self._checked(key, lambda value: isinstance(value, list), "a list")

    def interval(self, key: str) -> tuple[float, float] | None:
        """Return the lower and the upper bound of an interval."""
        bounds = self._checked(
            key,
            lambda value: isinstance(value, list) and len(value) == 2 and all(map(is_number, value)),
            "two finite numbers or null",
        )
        return None if bounds is None else (bounds[0], bounds[1])

    def _checked(self, key: str, is_right: Callable[[Any], bool], expected: str) -> Any:
        value = self.content.get(key)
        if value is not None and not is_right(value):
            raise SedkitError(f"{self.where}{key} is {value!r:.60}, expected {expected}")
        return value


@dataclass(frozen=True)
class Results:
    """A results file: its blocks of figures, and what they are of.

    Attributes
    ----------
    blocks
        All of it, for the figures of a metric: ``results.blocks.section("event_based")``.
    known_as, reference_path, reference_sha256, clips, missing
        The official reference's name (None for any other), its file, content hash and clips; clips of the official
        list that were not there.
    output_path, share, partial
        The output's file, the share of the clips that it lists, and whether it is known to be of a part of them.
    run
        Recipe, system, seed, fold and so on, as far as they are told.
    undefined, overlaps
        How classes without events and overlapping events were scored; None: by the defaults.
    version, commit
        Of the sedkit that scored.
    """

    path: Path
    blocks: ResultsSection
    known_as: str | None = None
    reference_path: str | None = None
    reference_sha256: str | None = None
    clips: int | float | None = None
    missing: float | None = None
    output_path: str | None = None
    share: float | None = None
    partial: bool | None = None
    run: Mapping[str, Any] = field(default_factory=dict)
    undefined: str | None = None
    overlaps: str | None = None
    version: str | None = None
    commit: str | None = None

    @property
    def coverage(self) -> str:
        """How many of the reference's clips the output lists; empty where it lists all, or nothing is known."""
        if self.share is None or self.share >= 1 or not isinstance(self.clips, int):
            return ""
        clips = self.clips + int(self.missing or 0)
        return f"{round(self.share * clips)} of {clips} clips"

    def not_official(self) -> list[str]:
        """Return what keeps the figures from standing beside official ones: the reference, clips that are not there."""
        reasons = []
        if self.known_as is None:
            reasons.append("the reference is not an official one (a miniature, or data of your own)")
        elif self.known_as.endswith("/subset"):
            reasons.append(self._left_out(self.known_as.removesuffix("/subset")))
        if self.partial:
            reasons.append("the set is partial" + (f" ({self.coverage})" if self.coverage else ""))
        elif self.share is not None and self.share < COVERED:
            reasons.append(
                f"the output lists {self.coverage or f'{self.share:.0%} of the clips'}: too few to tell clips without "
                "events from clips that were never predicted"
            )
        return reasons

    def _left_out(self, name: str) -> str:
        """Say what a subset of an official reference leaves out, as far as the results tell."""
        whole = next((n for start, n in _CLIPS.items() if name.startswith(start)), None)
        if self.clips is None or whole is None:
            return f"only a subset (classes or clips) of {name} was scored"
        if self.clips < whole:
            return f"only {self.clips} of the {whole} clips of {name} were scored"
        return f"only a subset of the classes of {name} was scored"


def read_results(path: Path) -> Results:
    """Read a results file; blocks of figures are read as they are asked for.

    Raises SedkitError for no results file, or a value of another kind than `sedkit score --json` writes.
    """
    content = read_json(path)
    if not isinstance(content, dict) or "reference" not in content:
        raise SedkitError(f"{path}: is no results file (no `reference`); `sedkit score --json` writes them")
    if content["reference"] is None:
        raise SedkitError(f"{path}: reference is None, expected a mapping")
    blocks = ResultsSection(content, f"{path}: ")
    reference, output, versions = (blocks.section(key) for key in ("reference", "estimate", "versions"))
    run = blocks.section("run")
    for key in ("recipe", "system", "pass", "network", "trained_on", "budget"):
        run.text(key)
    return Results(
        path=path,
        blocks=blocks,
        known_as=reference.text("known_as") or None,
        reference_path=reference.text("path"),
        reference_sha256=reference.text("sha256"),
        clips=reference.number("clips"),
        missing=reference.number("missing"),
        output_path=output.text("path"),
        share=output.number("coverage"),
        partial=output.flag("partial"),
        run=run.known,
        undefined=blocks.text("undefined"),
        overlaps=blocks.text("overlaps"),
        version=versions.text("sedkit"),
        commit=versions.text("commit"),
    )
