"""Whether a package is one of the year it is checked as: labels, output files, classes and meta fields tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sedkit.core.errors import listed
from sedkit.submission.findings import NOTE, REFUSED, WARNING, Findings
from sedkit.submission.formats import Format, every_format
from sedkit.submission.layout import SystemFolder
from sedkit.submission.meta.read import Meta
from sedkit.submission.package import Package

#: What is read of a score table to see its header, and of how large ones.
_HEADER_BYTES = 2**16
_MOST_BYTES = 2**24

#: How much more another year has to explain: a fault in one of the fields does not make a package one of another year.
_MARGIN = 0.4

#: What tells years apart, in words.
_LABELS, _OUTPUTS = "its labels", "its output files"
_CLASSES, _FIELDS = "the classes of its scores", "the results and energies in its meta files"


def check_year(
    package: Package, systems: Sequence[SystemFolder], described: Sequence[Meta], form: Format, findings: Findings
) -> bool:
    """Say which year a package looks like, where that is another one; return whether it can be checked as this one.

    `described` are the meta files of its systems that could be read. Another year is refused where no system has the
    output that this one asks for.
    """
    if not systems:
        return True
    formats = every_format()
    known = set().union(*map(_telling, formats))
    present = {path for path in known if any(meta.get(path) is not None for meta in described)}
    likeness = {other.name: _likeness(package, systems, present, other) for other in formats}
    mine = _likeness(package, systems, present, form)
    most = max(map(_total, likeness.values()))
    if most - _total(mine) < _MARGIN:
        return True
    names = [name for name, shares in likeness.items() if _total(shares) == most]
    best = likeness[names[0]]
    other = mine[_OUTPUTS] == 0 and best[_OUTPUTS] > 0
    words = [word for word in best if best[word] > mine[word]]
    message = f"looks like a package of {' or '.join(names)}, by {listed(words)}"
    message += "; nothing else was looked at" if other else ""
    severity = REFUSED if other else WARNING if best[_LABELS] > mine[_LABELS] else NOTE
    findings.add("other_year", "", message, f"one of {form.name} (or --format {names[0]})", severity=severity)
    return not other


def _total(shares: dict[str, float]) -> float:
    """Return how much of a package a format explains; without output files there is nothing to score."""
    return sum(shares.values()) + shares[_OUTPUTS]


def _likeness(package: Package, systems: Sequence[SystemFolder], present: set[str], form: Format) -> dict[str, float]:
    """Return which shares of a package's systems, classes and `present` fields a format explains."""

    def share(fits: Callable[[SystemFolder], bool]) -> float:
        return sum(map(fits, systems)) / len(systems)

    return {
        _LABELS: share(lambda system: form.label_pattern.fullmatch(system.label) is not None),
        _OUTPUTS: share(lambda system: bool(system.outputs(form))),
        _CLASSES: _classes(package, systems, form),
        _FIELDS: _overlap(_telling(form), present),
    }


def _overlap(asked: set[str], present: set[str]) -> float:
    return len(asked & present) / len(asked | present) if asked | present else 0.0


def _telling(form: Format) -> set[str]:
    """Return the fields that tell years apart."""
    return {path.partition(".*")[0] for path in (*form.results, *form.kwh)}


def _classes(package: Package, systems: Sequence[SystemFolder], form: Format) -> float:
    """Return how far the columns of a score table are a format's classes; 0 where it has none."""
    for system in systems if form.scores else ():
        for name in next(iter(system.outputs(form).values()), [])[:1]:
            if package.size(name) <= _MOST_BYTES:
                header = package.read(name)[:_HEADER_BYTES].decode("utf-8", "replace").partition("\n")[0]
                return _overlap({cell.strip() for cell in header.split("\t")[2:]}, set(form.labels))
    return 0.0
