"""The comparison as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedkit.submission.benchmark.report import NOT_RANKED, OTHER_DATA, Report, Row, Table
from sedkit.submission.numbers import interval_text
from sedkit.submission.official import METRICS

#: Characters of a note that still stands in its row.
_LONGEST_NOTE = 40

_BELOW = "an official PSDS of few clips may lie below its interval, which is about very many clips"

_OTHER_VARIANTS = "other variant or parameters: no differences, no ranks"


@dataclass(frozen=True)
class _Block:
    """A table as printed: a title, what it says of the whole table, cells, and remarks below.

    For each row: whether it is ours, and the sources of its figures, each with the scorer.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    ours: list[bool]
    sources: list[tuple[tuple[str, str], ...]]
    about: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Section:
    """What stands under one heading: lines of text, then tables."""

    heading: str
    lines: tuple[str, ...]
    blocks: list[_Block]


def _value(row: Row) -> str:
    return row.text + (f" ± {row.spread}" if row.spread else "")


def _interval(row: Row, metric: str) -> str:
    return "" if row.interval is None else interval_text(row.interval, METRICS[metric].decimals)


def _below(tables: Iterable[Table]) -> tuple[str, ...]:
    """Explain figures below their intervals where there are some."""
    rows = [row for table in tables for row in table.rows]
    return (_BELOW,) if any(row.interval is not None and row.value < row.interval[0] for row in rows) else ()


def _rank(row: Row) -> str:
    if row.rank is None:
        return "-"
    return f"{row.rank}{'=' if row.tied else ''} of {row.of}"


def _difference(row: Row, table: Table) -> str:
    """A difference has no more decimals than its baseline was published with."""
    if row.difference is None or table.decimals is None:
        return ""
    return f"{round(row.difference, table.decimals) + 0.0:+.{table.decimals}f}"


def _source(row: Row) -> tuple[tuple[str, str], ...]:
    return () if row.ours else ((row.source, row.scorer),)


def _remarks(row: Row) -> list[str]:
    parts = [] if row.verified else ["unverified"]
    if row.level_with:
        parts.append(f"level with {', '.join(row.level_with)}")
    parts += _mean_of(row)
    return [*parts, *row.notes]


def _mean_of(row: Row) -> list[str]:
    return [f"mean of {row.runs} runs"] if row.runs and row.runs > 1 else []


def _footnotes(rows: Iterable[Row]) -> dict[str, int]:
    """Number the notes that would make a table too wide."""
    long = (note for row in rows for note in row.notes if len(note) > _LONGEST_NOTE)
    return {note: number for number, note in enumerate(dict.fromkeys(long), start=1)}


def _count(parameters: int | None) -> str:
    return "" if parameters is None else f"{parameters:,}"


def _filled(head: Sequence[str], rows: Sequence[tuple[str, ...]]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Leave out columns that are empty throughout."""
    keep = [i for i in range(len(head)) if any(row[i] for row in rows)]
    return tuple(head[i] for i in keep), [tuple(row[i] for i in keep) for row in rows]


def _ranked(table: Table) -> _Block:
    """A table with ranks and differences."""
    below = _footnotes(table.rows)
    rows = [
        (
            _rank(row),
            row.system,
            _value(row),
            _interval(row, table.metric),
            _difference(row, table),
            _count(row.parameters),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            "; ".join(f"note {below[remark]}" if remark in below else remark for remark in _remarks(row)),
        )
        for row in table.rows
    ]
    head = ("rank", "system", "value", "95 % interval", "difference", "parameters", "ratio", "remarks")
    about = []
    if table.systems:
        about.append(f"rank among {table.systems} systems, this one and each published one by its best figure")
    if table.baseline:
        about.append(f"differences and ratios to {table.baseline}")
    if all(row.ours for row in table.rows):
        about.append("no official figure for this reference and variant")
    remarks = (*_below([table]), *(f"note {number}: {note}" for note, number in below.items()))
    ours, sources = [row.ours for row in table.rows], [_source(row) for row in table.rows]
    return _Block(table.title, *_filled(head, rows), ours, sources, "; ".join(about), remarks)


def _wide(title: str, tables: Sequence[Table]) -> _Block:
    """Several metrics side by side, a row a system: for figures that are neither ranked nor compared."""
    heads = []
    for table in tables:
        short, long = METRICS[table.metric].short, METRICS[table.metric].title
        heads.append(short + table.title.removeprefix(long))
    systems = list(dict.fromkeys((row.system, row.ours) for table in tables for row in table.rows))
    published = [note for table in tables for row in table.rows if not row.ours for note in row.notes]
    below = {note: n for n, note in enumerate(dict.fromkeys(x for x in published if x != NOT_RANKED), start=1)}
    rows, sources = [], []
    for system, ours in systems:
        cells, parameters, notes = [], None, []
        cited: dict[tuple[str, str], None] = {}
        for table in tables:
            # A system may have several figures of one metric: as published, and recomputed. Those that count go first.
            same = sorted((r for r in table.rows if (r.system, r.ours) == (system, ours)), key=lambda r: r.unranked)
            cells.append(" / ".join(_cell(row, table.metric, below) for row in same))
            parameters = next((row.parameters for row in same if row.parameters), parameters)
            cited.update(dict.fromkeys(source for row in same for source in _source(row)))
            for row in same if ours else ():
                notes += [*_mean_of(row), *row.notes]
        rows.append((system, *cells, _count(parameters), "; ".join(dict.fromkeys(notes))))
        sources.append(tuple(cited))
    head = ("system", *heads, "parameters", "runs")
    remarks = (*_below(tables), *(f"note {number}: {note}" for note, number in below.items()))
    return _Block(title, *_filled(head, rows), [ours for _, ours in systems], sources, "", remarks)


def _cell(row: Row, metric: str, below: dict[str, int]) -> str:
    """A figure with its interval, and in brackets what has to be said of it; long remarks stand below the table."""
    marks = [] if row.verified else ["unverified"]
    marks += [] if row.ours else [f"note {below[note]}" if note in below else note for note in row.notes]
    text = " ".join(x for x in (_value(row), _interval(row, metric)) if x)
    return f"{text} ({', '.join(marks)})" if marks else text


def _sections(report: Report) -> Iterable[_Section]:
    for reference in dict.fromkeys(t.reference for t in report.tables):
        named = ", ".join(report.sets.get(reference, ()))
        heading = f"{named}: reference {reference}" if named else f"reference {reference}"
        here = [_ranked(t) for t in report.tables if t.reference == reference]
        yield _Section(heading, report.remarks.get(reference, ()), here)
        rest = [t for t in report.other_variants if t.reference == reference]
        if rest:
            yield _Section(f"{heading}, {_OTHER_VARIANTS}", (), [_wide("", rest)])
    for apart in report.apart:
        named = f"{apart.set_title}: " if apart.set_title else ""
        lines = [f"{apart.about}: {'; '.join(apart.reasons)}"]
        yield _Section(f"{named}not comparable", tuple(lines), [_wide("", apart.tables)])
    if report.contrasts:
        head = ("system", "on", "metric", "difference", "95 % interval", "folds and seeds", "verdict")
        cells = [contrast.cells for contrast in report.contrasts]
        block = _Block("", *_filled(head, cells), [False] * len(cells), [()] * len(cells))
        yield _Section("paired differences over folds and seeds", (), [block])
    for title, tables in report.published.items():
        sets = dict.fromkeys(t.reference for t in tables)
        blocks = [_wide(f"on {name}", [t for t in tables if t.reference == name]) for name in sets]
        yield _Section(f"{OTHER_DATA}: {title}", (), blocks)


_NUMBERS = ("difference", "parameters", "ratio")


def as_text(report: Report) -> str:
    """Return the comparison for a terminal; our own rows carry a star."""
    out: list[str] = []
    for section in _sections(report):
        out += [f"== {section.heading}", *section.lines, ""]
        for block in section.blocks:
            at = block.head.index("system")
            rows = [
                tuple(("* " if ours else "  ") + cell if i == at else cell for i, cell in enumerate(cells))
                for cells, ours in zip(block.rows, block.ours, strict=True)
            ]
            head = tuple("  " + name if i == at else name for i, name in enumerate(block.head))
            widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
            about = f" ({block.about})" if block.about else ""
            out += [block.title + about] if block.title else []
            for line in [head, *rows]:
                cells = [
                    cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                    for cell, width, name in zip(line, widths, block.head, strict=True)
                ]
                out.append(("  " + "  ".join(cells)).rstrip())
            out += [f"  ({remark})" for remark in block.remarks]
            out.append("")
    return "\n".join(out).rstrip() + "\n"


def as_markdown(report: Report) -> str:
    """Return the comparison as Markdown tables; our own rows are bold, sources are numbered and stand below."""
    out: list[str] = []
    scorers: dict[str, dict[str, None]] = {}
    for section in _sections(report):
        out += [f"## {section.heading}", "", *(f"{line}  " for line in section.lines)]
        out += [""] if section.lines else []
        for block in section.blocks:
            out += [f"**{block.title}**", ""] if block.title else []
            out += [f"{block.about[0].upper()}{block.about[1:]}.", ""] if block.about else []
            cited = [_cited(sources, scorers) for sources in block.sources]
            head = (*block.head, "source") if any(cited) else block.head
            out += [markdown_row(head), markdown_row(["---:" if name in _NUMBERS else "---" for name in head])]
            at = block.head.index("system")
            for cells, ours, source in zip(block.rows, block.ours, cited, strict=True):
                bold = [f"**{cell}**" if ours and i == at else cell for i, cell in enumerate(cells)]
                out.append(markdown_row(map(markdown_cell, [*bold, source] if any(cited) else bold)))
            out += ["", *(f"{remark}  " for remark in block.remarks)]
            out += [""] if block.remarks else []
    if scorers:
        out += ["## Sources", ""]
        out += [f"- [{n}] {source} ({'; '.join(by)})" for n, (source, by) in enumerate(scorers.items(), start=1)]
    return "\n".join(out).rstrip() + "\n"


def _cited(sources: Sequence[tuple[str, str]], scorers: dict[str, dict[str, None]]) -> str:
    """Return the numbers of a row's sources; new ones and their scorers are put down."""
    for source, scorer in sources:
        scorers.setdefault(source, {})[scorer] = None
    order = list(scorers)
    return ", ".join(f"[{n}]" for n in dict.fromkeys(order.index(source) + 1 for source, _ in sources))


def markdown_cell(text: str) -> str:
    """Return a text as it stands in a cell: on one line, its bars escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def markdown_row(cells: Iterable[str]) -> str:
    """Return the line of a table row."""
    return "| " + " | ".join(cells) + " |"


_CSV_HEAD = (
    "section",
    "reference",
    "metric",
    "unit",
    "variant",
    "parameters_of_metric",
    "system",
    "ours",
    "value",
    "sd",
    "low",
    "high",
    "runs",
    "rank",
    "of",
    "difference",
    "parameters",
    "ratio",
    "coverage",
    "reasons",
    "verified",
    "remarks",
    "scorer",
    "source",
)


def as_csv(report: Report) -> str:
    """Return the comparison as CSV, one row a figure; what is unknown is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for section, reasons, table in _flat(report):
        metric = METRICS[table.metric]
        parameters = " ".join(f"{k}={v:g}" for k, v in table.parameters.items())
        for row in table.rows:
            bounds = row.interval or (None, None)
            shown = [None if bound is None else f"{bound:.{metric.decimals}f}" for bound in bounds]
            cells: list[object] = [section, table.reference, table.metric, metric.unit, table.variant, parameters]
            cells += [row.system, str(row.ours).lower(), row.text, row.spread, *shown, row.runs, row.rank, row.of]
            cells += [_difference(row, table), row.parameters, None if row.ratio is None else f"{row.ratio:.2f}"]
            cells += [row.coverage, reasons, str(row.verified).lower(), "; ".join(_remarks(row))]
            writer.writerow(["" if cell is None else cell for cell in [*cells, row.scorer, row.source]])
    return stream.getvalue()


def _flat(report: Report) -> Iterable[tuple[str, str, Table]]:
    """Every table with its section, and why it is compared with nothing."""
    yield from (("compared", "", t) for t in report.tables)
    yield from (("other variant", "", t) for t in report.other_variants)
    yield from (("not comparable", "; ".join(apart.reasons), t) for apart in report.apart for t in apart.tables)
    yield from ((OTHER_DATA, "", t) for tables in report.published.values() for t in tables)


def as_json(report: Report) -> dict[str, Any]:
    """Return the comparison as plain data."""

    def plain(table: Table) -> dict[str, Any]:
        return asdict(table) | {"title": table.title}

    return {
        "compared": [plain(t) for t in report.tables],
        "remarks": {reference: list(lines) for reference, lines in report.remarks.items()},
        "other_variants": [plain(t) for t in report.other_variants],
        "not_comparable": [
            {"set": a.set_title, "about": a.about, "reasons": list(a.reasons), "tables": [plain(t) for t in a.tables]}
            for a in report.apart
        ],
        "contrasts": [asdict(c) | {"interval": c.interval, "verdict": c.verdict} for c in report.contrasts],
        "published_other_data": {title: [plain(t) for t in tables] for title, tables in report.published.items()},
    }
