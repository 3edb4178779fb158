"""Read what is to be scored, as it is found in the wild, and say what is odd about it.

Rows that cannot be read end the call; everything else is scored as the official tools score it, with one warning
per kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.dataio.events import Events
from sedkit.dataio.names import renamed
from sedkit.dataio.rows import TABLES, Finding, read_rows, refuse, tables_in
from sedkit.dataio.tables import ERRORS, active_events, read_events

T = TypeVar("T")

_HOW_SCORED = {
    "negative_duration": "counted as events by the event and segment metrics",
    "zero_duration": "counted as events by the event metrics, dropped by the intersection criterion",
    "negative_onset": "scored as they stand",
    "duplicate_row": "each row counts",
    "overlap": "each row counts in event and segment figures; --overlaps says what PSDS and intersection make of them",
    "empty_row_beside_events": "the empty row is passed over",
}
#: A number at the end of a name, after a separator (a dash is one after a letter or digit, else a sign).
_THRESHOLD = re.compile(r"(?:^|[^\d.,+-]|(?<=[A-Za-z\d])-)((?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)$")


@dataclass(frozen=True)
class OperatingPoints:
    """Tables at rising thresholds: `thresholds[i]` made `tables[i]`."""

    path: str
    thresholds: tuple[float, ...]
    tables: tuple[Events, ...]

    def at(self, threshold: float) -> Events:
        """Return the table of a threshold; raises UsageError naming those that exist."""
        for known, table in zip(self.thresholds, self.tables, strict=True):
            if abs(known - threshold) < 1e-9:
                return table
        near = min(self.thresholds, key=lambda t: abs(t - threshold))
        raise UsageError(f"--threshold {threshold:g}: no such operating point in {self.path}, the nearest is {near:g}")


def read_reference(path: str | Path) -> Events:
    """Read the events of a reference as `read_table_to_score` does.

    A column `confidence` (MAESTRO, 2024) is honoured: rows of 0.5 and less are not active and leave the table.
    """
    events = read_table_to_score(path, "reference")
    return active_events(path, events)


def read_table_to_score(path: str | Path, what: str) -> Events:
    """Read a strong table; unreadable rows raise SedkitError, oddities are warned of, once per kind."""
    events, findings = _read_whole(path, what)
    warn_of(findings, what)
    return events


def _read_whole(path: str | Path, what: str) -> tuple[Events, list[Finding]]:
    """Read a table whose every row can be used, and what is odd about it."""
    events, findings = read_events(path)
    errors = [f for f in findings if f.kind in (*ERRORS, "missing_label")]
    if errors:
        more = f" (and {len(errors) - 1} more such rows)" if len(errors) > 1 else ""
        raise SedkitError(f"{errors[0].message}{more}; correct the {what}")
    return events, findings


def names_as_in(reference: Sequence[str], names: Sequence[str], source: str, warn: bool = True) -> tuple[str, ...]:
    """Return the names that a table gives to clips as a reference has them.

    The challenge scripts compare file names as they stand, and so do tables here. A table none of whose names is the
    reference's but whose ids are (it has no audio endings, or others) means the same clips, and is warned of.
    """
    known = set(reference)
    if any(name in known for name in names):
        return tuple(names)
    new = renamed(names, reference, source)
    for name, other in zip(names, new, strict=True):
        if warn and name != other:
            log.warning(
                "%s: names clips by another ending than the reference (%s here, %s there): taken as the same clips, "
                "where the official scripts, which compare names as they stand, find none",
                source,
                name,
                other,
            )
            break
    return new


def warn_of(findings: Iterable[Finding], what: str) -> None:
    """Warn once per kind of finding: the first file and row, how many rows, how they are scored."""
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.kind, []).append(finding)
    for kind, those in kinds.items():
        message, scored = those[0].message, _HOW_SCORED.get(kind, kind)
        log.warning("%s (%d such rows in the %s: %s)", message, len(those), what, scored)


def threshold_of(stem: str) -> float | None:
    """Return the threshold in which the name of an operating point's table ends, None where it ends in none.

    >>> threshold_of("predictions_th_0.01"), threshold_of("th_1e-05"), threshold_of("th_-0.5")
    (0.01, 1e-05, None)
    """
    match = _THRESHOLD.search(stem)
    return float(match[1]) if match else None


def read_operating_points(folder: str | Path) -> OperatingPoints:
    """Read a folder with one table per threshold, whose file names end in it (`predictions_th_0.01.tsv`)."""
    folder = Path(folder)
    if not folder.is_dir():
        raise SedkitError(f"{folder}: no such folder, expected one table per threshold")
    paths: dict[float, Path] = {}
    for path in tables_in(folder):
        threshold = threshold_of(path.stem)
        if threshold is None:
            raise SedkitError(f"{path}: file name does not end in a threshold, expected a name like th_0.50.tsv")
        if threshold in paths:
            raise SedkitError(
                f"{path}: threshold {threshold:g} is that of {paths[threshold].name} too, expected each once"
            )
        paths[threshold] = path
    if not paths:
        raise SedkitError(f"{folder}: holds no table ({', '.join(TABLES)}), expected one per threshold")
    thresholds = tuple(sorted(paths))
    tables = []
    odd: list[Finding] = []
    for threshold in thresholds:
        events, findings = _read_whole(paths[threshold], "operating points")
        odd += findings
        tables.append(events)
    warn_of(odd, "operating points")
    return OperatingPoints(str(folder), thresholds, tuple(tables))


def named_by_clip(names: Sequence[str], by_clip: dict[str, T], source: str, warn: bool = True) -> dict[str, T]:
    """Call clips as the reference does."""
    return dict(zip(names_as_in(names, tuple(by_clip), source, warn), by_clip.values(), strict=True))


def read_groups(path: str, filenames: Sequence[str]) -> dict[str, str]:
    """Read the group of each clip of a table whose column `group` is optional; a clip without one stands by itself."""
    table = read_rows(path, ("filename",), ("group",))
    refuse(table.findings, path)
    if "group" not in table.names:
        log.info("%s: has no column group: every clip is a group of its own", path)
        return {}
    groups: dict[str, str] = {}
    for line, name, group in zip(table.line, table.cells("filename"), table.cells("group"), strict=True):
        if groups.setdefault(name, group) != group:
            raise SedkitError(
                f"{path}:{line}: {name} is in group {group!r} here, in {groups[name]!r} in an earlier row"
            )
    groups = named_by_clip(filenames, groups, path)
    alone = [name for name in filenames if not groups.get(name)]
    if len(alone) == len(filenames):
        if any(groups.values()):
            raise SedkitError(f"{path}: holds no clip of the reference, such as {listed(filenames, 1)}")
        log.warning("%s: no clip has a group: every clip is one of its own", path)
    elif alone:
        log.warning("%s: no group for %s (%d such clips: each is one of its own)", path, alone[0], len(alone))
    return groups
