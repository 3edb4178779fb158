"""What `sedkit check` finds: kind, file, row, message and what was expected; and how grave each kind is, by year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from sedkit.core.errors import SedkitError, printable
from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path
from sedkit.submission.formats import Format

REFUSED = "refused"
SCORED_WRONGLY = "scored_wrongly"
WARNING = "warning"
NOTE = "note"

#: From the gravest to the lightest.
SEVERITIES = (REFUSED, SCORED_WRONGLY, WARNING, NOTE)

_TABLE = read_yaml(metadata_path("submission", "severities.yaml"))
#: Flags of formats by the kinds that they make refused.
_REFUSED_WHERE: dict[str, str] = _TABLE.pop("refused_where")
_SEVERITY: dict[str, str] = {kind: severity for severity, kinds in _TABLE.items() for kind in kinds.split()}

#: Findings of one kind in one file beyond this number are summed up in one more finding.
MOST_PER_KIND = 20
#: The same of one kind in all tables of a system: what is wrong with one table is mostly wrong with all of them.
_MOST_PER_SYSTEM = 3
#: The same of one kind in the whole package.
_MOST_IN_ALL = 40

#: Characters of a finding.
_LONGEST = 1000

_MORE = "more of this kind"


@dataclass(frozen=True)
class PackageFinding:
    """One thing wrong, or worth knowing, about a submission.

    Attributes
    ----------
    severity
        ``refused`` (the organisers' script or rules turn the package away), ``scored_wrongly`` (taken, but the figure
        is not the one the system earns), ``warning`` or ``note``.
    kind
        Short name, stable across versions.
    file, row
        Path inside the package, "" for the package itself; line of the file (1 is the header), None where no single
        row is meant.
    message, expected
        What was found, and what should stand there.
    count
        How often: rows of the file, or files; file and row are those of the first.
    """

    severity: str
    kind: str
    file: str
    row: int | None
    message: str
    expected: str = ""
    count: int = 1

    def text(self) -> str:
        """Return one line for people."""
        where = self.file + (f":{self.row}" if self.row is not None else "")
        often = f" ({self.count:,} times, first here)" if self.count > 1 else ""
        expected = f"; expected {self.expected}" if self.expected else ""
        return shown(": ".join(x for x in (where, f"{self.message}{often}") if x) + expected)


def refused(kind: str, file: str, message: str, expected: str = "") -> PackageFinding:
    """Return what is refused of a file as a whole."""
    return PackageFinding(REFUSED, kind, file, None, message, expected)


def shown(line: str) -> str:
    """Make a line fit for a terminal: printable, and not endless, whoever made the package."""
    return _cut(printable(line[: _LONGEST + 1]))


def located(error: SedkitError, file: str) -> tuple[int | None, str]:
    """Part a reader's message about a file into the row that it names, if it does, and what it says.

    >>> located(SedkitError("a.tsv:3: no number"), "a.tsv"), located(SedkitError("a.tsv: is empty"), "a.tsv")
    ((3, 'no number'), (None, 'is empty'))
    """
    place, _, said = str(error).removeprefix(f"{file}:").partition(": ")
    return (int(place), said) if place.isdecimal() else (None, str(error).removeprefix(f"{file}:").strip())


class Findings:
    """Collects findings; the same one is counted, many of one kind in one file are cut and summed up.

    `form` is the year's format, which makes some kinds graver; without one they are as grave as in most years.
    """

    def __init__(self, form: Format | None = None) -> None:
        self.form = form
        self._items: dict[tuple[str, str, str, str, str], PackageFinding] = {}
        self._distinct: Counter[tuple[str, str, str]] = Counter()
        self._beyond: Counter[tuple[str, str, str]] = Counter()

    def severity(self, kind: str) -> str:
        """Return how grave a kind is."""
        stops = getattr(self.form, _REFUSED_WHERE.get(kind, ""), False)
        return REFUSED if stops else _SEVERITY.get(kind, REFUSED)

    def add(
        self,
        kind: str,
        file: str = "",
        message: str = "",
        expected: str = "",
        row: int | None = None,
        count: int = 1,
        severity: str | None = None,
    ) -> None:
        """Note one finding, or one that stands there so many times; `severity` where it is not the kind's own."""
        severity = severity or self.severity(kind)
        message, expected = _cut(message), _cut(expected)
        key, place = (severity, kind, file, message, expected), (severity, kind, file)
        same = self._items.get(key)
        if same is not None:
            self._items[key] = replace(same, count=same.count + count)
        elif self.room(kind, file, severity):
            self._distinct[place] += 1
            self._items[key] = PackageFinding(severity, kind, file, row, message, expected, count)
        else:
            self.add_more(kind, file, count, severity)

    def room(self, kind: str, file: str, severity: str | None = None) -> int:
        """Return how many more findings of one kind in one file are told apart: for others no message is needed."""
        return MOST_PER_KIND - self._distinct[severity or self.severity(kind), kind, file]

    def add_more(self, kind: str, file: str, count: int, severity: str | None = None) -> None:
        """Count findings of one kind in one file that are summed up."""
        if count:
            self._beyond[severity or self.severity(kind), kind, file] += count

    def take(self, other: Findings, without: Container[str] = ()) -> None:
        """Take the findings made of other files, without those of some kinds."""
        for item in other._items.values():
            if item.kind not in without:
                self._take(item, item.count)
        self._beyond.update({key: count for key, count in other._beyond.items() if key[1] not in without})

    def take_refused(self, other: Findings, about: str) -> None:
        """Take what is refused of another's findings, with words about it in front of the messages."""
        for item in other._items.values():
            if item.severity == REFUSED:
                self._take(replace(item, message=about + item.message), item.count)

    def sum_up(self, other: Findings, folder: str) -> None:
        """Take the findings made of the files of a folder: the same one in several files is one, few of one kind."""
        alike: dict[tuple[str, str], dict[tuple[str, str], list[PackageFinding]]] = {}
        for item in sorted(other._items.values(), key=lambda f: (f.file, f.row or 0)):
            groups = alike.setdefault((item.severity, item.kind), {})
            groups.setdefault((item.message, item.expected), []).append(item)
        for (severity, kind), groups in alike.items():
            counted = [(items[0], sum(item.count for item in items)) for items in groups.values()]
            for first, count in counted[:_MOST_PER_SYSTEM]:
                self._take(first, count)
            more = sum(count for _, count in counted[_MOST_PER_SYSTEM:])
            more += sum(n for key, n in other._beyond.items() if key[:2] == (severity, kind))
            self.add_more(kind, folder, more, severity)

    def _take(self, item: PackageFinding, count: int) -> None:
        self.add(item.kind, item.file, item.message, item.expected, item.row, count, item.severity)

    def sorted(self) -> list[PackageFinding]:
        """Return the findings, gravest first, then by file and row."""
        kinds: dict[tuple[str, str], list[PackageFinding]] = {}
        for item in self._items.values():
            kinds.setdefault((item.severity, item.kind), []).append(item)
        out: list[PackageFinding] = []
        for (severity, kind), items in kinds.items():
            told = _fairly(items, _MOST_IN_ALL)
            beyond = Counter({file: n for (s, k, file), n in self._beyond.items() if (s, k) == (severity, kind)})
            for item in set(items).difference(told):
                beyond[item.file] += item.count
            out += told
            if len(beyond) > 1:
                out.append(PackageFinding(severity, kind, "", None, f"{beyond.total()} {_MORE} in {len(beyond)} files"))
            else:
                out += [PackageFinding(severity, kind, file, None, f"{n} {_MORE}") for file, n in beyond.items()]
        last = float("inf")
        return sorted(
            out, key=lambda f: (SEVERITIES.index(f.severity), f.file, f.kind, last if f.row is None else f.row)
        )


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _fairly(items: list[PackageFinding], most: int) -> list[PackageFinding]:
    """Return so many findings at most: of every file the first, then of every file the second, and so on."""
    if len(items) <= most:
        return items
    ranks: Counter[str] = Counter()
    ranked: list[tuple[int, str, int, int]] = []
    for item in items:
        ranks[item.file] += 1
        ranked.append((ranks[item.file], item.file, item.row or 0, len(ranked)))
    return [items[place] for *_, place in sorted(ranked)[:most]]


def status(findings: Iterable[PackageFinding]) -> int:
    """Return 1 where something is refused or scored wrongly, else 0."""
    return int(any(f.severity in (REFUSED, SCORED_WRONGLY) for f in findings))


def as_json(findings: Iterable[PackageFinding]) -> list[dict[str, Any]]:
    """Return the findings as plain mappings."""
    return [asdict(f) for f in findings]


def as_text(findings: list[PackageFinding]) -> str:
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
