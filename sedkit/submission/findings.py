"""What `sedkit check` finds: severity, kind, file, row, message and what was expected."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass
from typing import Any

REFUSED = "refused"
SCORED_WRONGLY = "scored_wrongly"
WARNING = "warning"
NOTE = "note"

#: From the gravest to the lightest.
SEVERITIES = (REFUSED, SCORED_WRONGLY, WARNING, NOTE)

#: Findings of one kind in one file beyond this number are summed up in one more finding.
MOST_PER_KIND = 20

#: Characters of a finding as printed.
_LONGEST = 1000


@dataclass(frozen=True)
class Finding:
    """One thing wrong, or worth knowing, about a submission.

    Attributes
    ----------
    severity
        ``refused`` (the organisers' script or rules turn the package away), ``scored_wrongly`` (taken, but the figure
        is not the one the system earns), ``warning`` or ``note``.
    kind
        Short name, stable across versions.
    file
        Path inside the package, "" for the package itself.
    row
        Line of the file (1 is the header), None where no single row is meant.
    message, expected
        What was found, and what should stand there.
    """

    severity: str
    kind: str
    file: str
    row: int | None
    message: str
    expected: str = ""

    def text(self) -> str:
        """Return one line for people."""
        where = self.file + (f":{self.row}" if self.row is not None else "")
        line = ": ".join(x for x in (where, self.message) if x) + (
            f"; expected {self.expected}" if self.expected else ""
        )
        return printable(line)


def printable(line: str) -> str:
    """Make a line fit for a terminal: no control characters, no endless lines, whoever made the package."""
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)
    return plain if len(plain) <= _LONGEST else f"{plain[:_LONGEST]}…"


class Findings:
    """Collects findings; many of one kind in one file are cut and summed up."""

    def __init__(self) -> None:
        self._items: list[Finding] = []
        self._count: dict[tuple[str, str, str], int] = {}

    def add(
        self, severity: str, kind: str, file: str = "", message: str = "", expected: str = "", row: int | None = None
    ) -> None:
        """Note one finding."""
        key = (severity, kind, file)
        self._count[key] = self._count.get(key, 0) + 1
        if self._count[key] <= MOST_PER_KIND:
            self._items.append(Finding(severity, kind, file, row, message, expected))

    def take(self, other: Findings, without: Container[str] = ()) -> None:
        """Take the findings made of other files, without those of some kinds."""
        self._items += [item for item in other._items if item.kind not in without]
        for key, count in other._count.items():
            if key[1] not in without:
                self._count[key] = self._count.get(key, 0) + count

    def sum_up(self, other: Findings, folder: str) -> None:
        """Take the findings made of the files of a folder, cut and summed up together, by kind."""
        total: dict[tuple[str, str], int] = {}
        for (severity, kind, _), count in other._count.items():
            total[severity, kind] = total.get((severity, kind), 0) + count
        noted = dict.fromkeys(total, 0)
        for item in sorted(other._items, key=lambda f: (f.file, f.row or 0)):
            if noted[item.severity, item.kind] < MOST_PER_KIND:
                noted[item.severity, item.kind] += 1
                self.add(item.severity, item.kind, item.file, item.message, item.expected, item.row)
        for (severity, kind), count in total.items():
            if count > noted[severity, kind]:
                self.add(severity, kind, folder, f"{count - noted[severity, kind]} more of this kind")

    def sorted(self) -> list[Finding]:
        """Return the findings, gravest first, then by file and row."""
        more = [
            Finding(severity, kind, file, None, f"{count - MOST_PER_KIND} more of this kind")
            for (severity, kind, file), count in self._count.items()
            if count > MOST_PER_KIND
        ]
        last = float("inf")
        return sorted(
            [*self._items, *more],
            key=lambda f: (SEVERITIES.index(f.severity), f.file, f.kind, last if f.row is None else f.row),
        )


def status(findings: Iterable[Finding]) -> int:
    """Return 1 where something is refused or scored wrongly, else 0."""
    return int(any(f.severity in (REFUSED, SCORED_WRONGLY) for f in findings))


def as_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain mappings."""
    return [asdict(f) for f in findings]


def as_text(findings: list[Finding]) -> str:
    """Return the findings for people, grouped by severity, with counts; what several systems have alike stands once."""
    findings = list(dict.fromkeys(findings))
    if not findings:
        return "no finding"
    out = []
    for severity in SEVERITIES:
        group = [f for f in findings if f.severity == severity]
        if group:
            out.append(f"{severity.replace('_', ' ')}: {len(group)}")
            out.extend(f"  {f.text()}  [{f.kind}]" for f in group)
    return "\n".join(out)
