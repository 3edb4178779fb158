"""Whether a package is one of the year it is checked as: labels, output files, classes and meta fields tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sedkit.core.errors import listed
from sedkit.submission.archive import Package
from sedkit.submission.check.layout import System
from sedkit.submission.check.yaml_lines import get, parse_meta
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Findings
from sedkit.submission.formats import Format, every_format

#: Systems that are looked at: those of a package are of one year.
_MOST_SYSTEMS = 8
_MOST_META_BYTES = 2**20
_HEADER_BYTES = 2**16

_RUN = re.compile(r"_run\d+(?:_unprocessed)?\.output$")

#: How much more another year has to explain: a fault in one of the fields does not make a package one of another year.
_MARGIN = 0.4


@dataclass(frozen=True)
class _Likeness:
    """How much of a package a format explains: shares of its systems, and of the fields and classes that are there."""

    labels: float
    outputs: float
    fields: float
    classes: float

    @property
    def total(self) -> float:
        """All of it; without output files there is nothing to score."""
        return self.labels + 2 * self.outputs + self.fields + self.classes


def check_year(package: Package, systems: Sequence[System], form: Format, findings: Findings) -> bool:
    """Say which year a package looks like, where that is another one; return whether it can be checked as this one.

    Parameters
    ----------
    package, systems
        The package, and the systems found in it.
    form
        The format it is checked as.
    findings
        Where another year is noted: refused where no system has the output that this one asks for.
    """
    some = systems[:_MOST_SYSTEMS]
    if not some:
        return True
    stated = [meta for system in some if (meta := _meta(package, system)) is not None]
    likeness = {other.name: _likeness(package, some, stated, other) for other in every_format()}
    mine = _likeness(package, some, stated, form)
    most = max(like.total for like in likeness.values())
    if most - mine.total < _MARGIN:
        return True
    names = [name for name, like in likeness.items() if like.total == most]
    best = likeness[names[0]]
    words = [
        word
        for word, better in (
            ("its labels", best.labels - mine.labels),
            ("its output files", best.outputs - mine.outputs),
            ("the classes of its scores", best.classes - mine.classes),
            ("the results and energies in its meta files", best.fields - mine.fields),
        )
        if better > 0
    ]
    other = mine.outputs == 0 and best.outputs > 0
    severity = REFUSED if other else WARNING if best.labels > mine.labels else NOTE
    message = f"looks like a package of {' or '.join(names)}, by {listed(words)}"
    message += "; nothing else was looked at" if other else ""
    findings.add(severity, "other_year", "", message, f"one of {form.name} (or --format {names[0]})")
    return not other


def _likeness(package: Package, systems: Sequence[System], stated: Sequence[dict[str, Any]], form: Format) -> _Likeness:
    def share(fits: Callable[[System], bool]) -> float:
        return sum(map(fits, systems)) / len(systems)

    asked = {_above(path) for path in _telling(form)}
    known = {_above(path) for other in every_format() for path in _telling(other)}
    present = {path for path in known if any(get(meta, path)[1] is not None for meta in stated)}
    fields = len(asked & present) / len(asked | present) if asked | present else 0.0
    return _Likeness(
        labels=share(lambda system: form.label_pattern.fullmatch(system.label) is not None),
        outputs=share(lambda system: bool(_output(system, form))),
        fields=fields,
        classes=_classes(package, systems, form),
    )


def _telling(form: Format) -> list[str]:
    """Return the fields that tell years apart."""
    return [item.path for item in form.fields if item.path.startswith("results.") or item.kind == "kwh"]


def _above(path: str) -> str:
    return path.partition(".*")[0]


def _output(system: System, form: Format) -> list[str]:
    """Return the files of a system's output as a format calls it, those of its first run."""
    if form.scores is None:
        assert form.table_suffix is not None
        return [name for name in system.files if name.endswith(form.table_suffix)]
    suffix, numbered = form.scores.suffix.format(run=1), "{run}" in form.scores.suffix
    for folder, files in system.folders.items():
        if folder.endswith(suffix) and (numbered or not _RUN.search(folder)):
            return files
    return []


def _classes(package: Package, systems: Sequence[System], form: Format) -> float:
    """Return how far the columns of a score table are a format's classes; 0 where it has none."""
    for system in systems if form.scores else ():
        for name in _output(system, form)[:1]:
            if package.size(name) <= _MOST_META_BYTES * 16:
                header = package.read(name)[:_HEADER_BYTES].decode("utf-8", "replace").partition("\n")[0]
                columns = {cell.strip() for cell in header.split("\t")[2:]}
                return len(columns & set(form.labels)) / len(columns | set(form.labels))
    return 0.0


def _meta(package: Package, system: System) -> dict[str, Any] | None:
    files = [name for name in system.files if name.endswith((".yaml", ".yml"))]
    if not files or package.size(files[0]) > _MOST_META_BYTES:
        return None
    meta = parse_meta(files[0], package.read(files[0]), Findings())
    return None if meta is None else meta.values
