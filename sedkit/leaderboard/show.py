"""The comparison as text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedkit.leaderboard.contrasts import Contrast
from sedkit.leaderboard.published import METRICS
from sedkit.leaderboard.table import NOT_RANKED, OTHER_DATA, Comparison, FigureRow, Table

#: Characters of a note that still stands in its row.
_LONGEST_NOTE = 40

_BELOW = "an official PSDS of few clips may lie below its interval, which is about very many clips"

_OTHER_VARIANTS = "other variant or parameters: no differences, no ranks"

#: Columns of numbers, which stand to the right.
_NUMBERS = ("difference", "parameters", "ratio")


#: Source and scorer of a published figure.
_Source = tuple[str, str]


@dataclass(frozen=True)
class PrintedLine:
    """A row as printed: its cells, whether it is ours, and the sources of its figures."""

    cells: Sequence[str]
    ours: bool = False
    sources: Sequence[_Source] = ()


@dataclass(frozen=True)
class PrintedTable:
    """A table as printed: a title, its columns, rows, what it says of the whole table, and remarks below."""

    title: str
    head: Sequence[str]
    lines: Sequence[PrintedLine]
    about: str = ""
    remarks: Sequence[str] = ()

    def cells(self, mark: Callable[[str, bool], str]) -> list[list[str]]:
        """Return the head and the rows, columns that are empty throughout left out, what is ours marked."""
        rows = [[*line.cells] for line in self.lines]
        at = self.head.index("system")
        for row, line in zip(rows, self.lines, strict=True):
            row[at] = mark(row[at], line.ours)
        keep = [i for i in range(len(self.head)) if any(line.cells[i] for line in self.lines)]
        return [[row[i] for i in keep] for row in ([*self.head], *rows)]


@dataclass(frozen=True)
class PrintedSection:
    """What stands under one heading: lines of text, then tables."""

    heading: str
    lines: tuple[str, ...]
    blocks: list[PrintedTable]


def interval_text(bounds: tuple[float, float] | None, metric: str) -> str:
    """Return an interval in a metric's unit as printed; empty where there is none.

    >>> interval_text((0.36, 0.39), "psds1")
    '[0.3600, 0.3900]'
    """
    decimals = METRICS[metric].decimals
    return "" if bounds is None else f"[{bounds[0]:.{decimals}f}, {bounds[1]:.{decimals}f}]"


def figure_text(row: FigureRow, metric: str) -> str:
    """Return a figure as printed, with its standard deviation or its interval."""
    return f"{_value(row)} {interval_text(row.interval, metric)}".rstrip()


def _value(row: FigureRow) -> str:
    return row.text + (f" ± {row.spread}" if row.spread else "")


def _difference(row: FigureRow, table: Table) -> str:
    """A difference has no more decimals than its baseline was published with."""
    if row.difference is None or table.decimals is None:
        return ""
    return f"{round(row.difference, table.decimals) + 0.0:+.{table.decimals}f}"


def _ratio(row: FigureRow) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f}"


def _count(parameters: int | None) -> str:
    return "" if parameters is None else f"{parameters:,}"


def _remarks(row: FigureRow) -> list[str]:
    parts = [] if row.verified else ["unverified"]
    if row.level_with:
        parts.append(f"level with {', '.join(row.level_with)}")
    return [*parts, *_mean_of(row), *row.notes]


def _mean_of(row: FigureRow) -> list[str]:
    return [f"mean of {row.runs} runs"] if row.runs and row.runs > 1 else []


def _sources(rows: Iterable[FigureRow]) -> list[_Source]:
    return list(dict.fromkeys((row.source, row.scorer) for row in rows if not row.ours))


class _Footnotes:
    """Notes that would make a table too wide, numbered; with what has to be said of figures below their intervals."""

    def __init__(self, tables: Sequence[Table], notes: Iterable[str]) -> None:
        self._numbers = {note: number for number, note in enumerate(dict.fromkeys(notes), start=1)}
        rows = [row for table in tables for row in table.rows]
        below = any(row.interval is not None and row.value < row.interval[0] for row in rows)
        self.lines = ((_BELOW,) if below else ()) + tuple(f"note {n}: {note}" for note, n in self._numbers.items())

    def short(self, note: str) -> str:
        """Return a note, or which one below it is."""
        return f"note {self._numbers[note]}" if note in self._numbers else note


def _ranked(table: Table) -> PrintedTable:
    """A table with ranks and differences."""
    footnotes = _Footnotes([table], (note for row in table.rows for note in row.notes if len(note) > _LONGEST_NOTE))
    head = ("rank", "system", "value", "95 % interval", "difference", "parameters", "ratio", "remarks")
    lines = []
    for row in table.rows:
        cells = (
            "-" if row.rank is None else f"{row.rank}{'=' if row.tied else ''} of {row.of}",
            row.system,
            _value(row),
            interval_text(row.interval, table.quantity.metric),
            _difference(row, table),
            _count(row.parameters),
            _ratio(row),
            "; ".join(map(footnotes.short, _remarks(row))),
        )
        lines.append(PrintedLine(cells, row.ours, _sources([row])))
    about = []
    if table.systems:
        about.append(f"rank among {table.systems} systems, this one and each published one by its best figure")
    if table.baseline:
        about.append(f"differences and ratios to {table.baseline}")
    if all(row.ours for row in table.rows):
        about.append("no official figure for this reference and variant")
    return PrintedTable(table.quantity.title, head, lines, "; ".join(about), footnotes.lines)


def _wide(title: str, tables: Sequence[Table]) -> PrintedTable:
    """Several metrics side by side, a row a system: for figures that are neither ranked nor compared."""
    every = [row for table in tables for row in table.rows]
    footnotes = _Footnotes(tables, (note for row in every if not row.ours for note in row.notes if note != NOT_RANKED))
    lines = []
    for system, ours in dict.fromkeys((row.system, row.ours) for row in every):
        # A system may have several figures of one metric: as published, and recomputed. Those that count go first.
        figures = [
            sorted((r for r in table.rows if (r.system, r.ours) == (system, ours)), key=lambda r: r.unranked)
            for table in tables
        ]
        cells = [
            " / ".join(_cell(row, table.quantity.metric, footnotes) for row in same)
            for table, same in zip(tables, figures, strict=True)
        ]
        its_rows = [row for same in figures for row in same]
        counts = [row.parameters for same in reversed(figures) for row in same if row.parameters]
        notes = dict.fromkeys(note for row in its_rows if ours for note in (*_mean_of(row), *row.notes))
        cells = [system, *cells, _count(counts[0] if counts else None), "; ".join(notes)]
        lines.append(PrintedLine(cells, ours, _sources(its_rows)))
    head = ("system", *(table.quantity.short_title for table in tables), "parameters", "runs")
    return PrintedTable(title, head, lines, "", footnotes.lines)


def _cell(row: FigureRow, metric: str, footnotes: _Footnotes) -> str:
    """A figure with its interval, and in brackets what has to be said of it; long remarks stand below the table."""
    marks = [] if row.verified else ["unverified"]
    marks += [] if row.ours else map(footnotes.short, row.notes)
    text = figure_text(row, metric)
    return f"{text} ({', '.join(marks)})" if marks else text


def _paired(contrasts: Sequence[Contrast]) -> PrintedTable:
    head = ("system", "on", "metric", "difference", "95 % interval", "folds and seeds", "verdict")
    lines = []
    for one in contrasts:
        metric = METRICS[one.metric]
        mean, interval = f"{one.mean:+.{metric.decimals}f}", interval_text(one.interval, one.metric)
        lines.append(
            PrintedLine((one.text, one.where, metric.short, mean, interval, str(len(one.differences)), one.verdict))
        )
    return PrintedTable("", head, lines)


def sections(comparison: Comparison) -> Iterable[PrintedSection]:
    """Yield the comparison as headings, lines and tables, as every form of it has them."""
    for reference in dict.fromkeys(t.reference for t in comparison.tables):
        named = ", ".join(comparison.sets.get(reference, ()))
        heading = f"{named}: reference {reference}" if named else f"reference {reference}"
        here = [_ranked(t) for t in comparison.tables if t.reference == reference]
        yield PrintedSection(heading, comparison.remarks.get(reference, ()), here)
        rest = [t for t in comparison.other_variants if t.reference == reference]
        if rest:
            yield PrintedSection(f"{heading}, {_OTHER_VARIANTS}", (), [_wide("", rest)])
    for apart in comparison.apart:
        named = f"{apart.set_title}: " if apart.set_title else ""
        why = f"{apart.about}: {'; '.join(apart.reasons)}"
        yield PrintedSection(f"{named}not comparable", (why,), [_wide("", apart.tables)])
    if comparison.contrasts:
        yield PrintedSection("paired differences over folds and seeds", (), [_paired(comparison.contrasts)])
    for title, tables in comparison.published.items():
        sets = dict.fromkeys(t.reference for t in tables)
        blocks = [_wide(f"on {name}", [t for t in tables if t.reference == name]) for name in sets]
        yield PrintedSection(f"{OTHER_DATA}: {title}", (), blocks)


def as_text(comparison: Comparison) -> str:
    """Return the comparison for a terminal; our own rows carry a star."""
    out: list[str] = []
    for section in sections(comparison):
        out += [f"== {section.heading}", *section.lines, ""]
        for block in section.blocks:
            rows = block.cells(lambda name, ours: f"* {name}" if ours else f"  {name}")
            rows[0] = ["  system" if name == "system" else name for name in rows[0]]
            widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
            about = f" ({block.about})" if block.about else ""
            out += [block.title + about] if block.title else []
            for row in rows:
                cells = [
                    cell.rjust(width) if name in _NUMBERS else cell.ljust(width)
                    for name, cell, width in zip(rows[0], row, widths, strict=True)
                ]
                out.append(("  " + "  ".join(cells)).rstrip())
            out += [*(f"  ({remark})" for remark in block.remarks), ""]
    return "\n".join(out).rstrip() + "\n"


def as_markdown(comparison: Comparison) -> str:
    """Return the comparison as Markdown tables; our own rows are bold, sources are numbered and stand below."""
    out: list[str] = []
    scorers: dict[str, dict[str, None]] = {}
    for section in sections(comparison):
        out += [f"## {section.heading}", "", *(f"{line}  " for line in section.lines)]
        out += [""] if section.lines else []
        for block in section.blocks:
            out += [f"**{block.title}**", ""] if block.title else []
            out += [f"{block.about[0].upper()}{block.about[1:]}.", ""] if block.about else []
            rows = block.cells(lambda name, ours: f"**{name}**" if ours else name)
            cited = ["source", *(_cited(line.sources, scorers) for line in block.lines)]
            if any(cited[1:]):
                rows = [[*row, numbers] for row, numbers in zip(rows, cited, strict=True)]
            rule = ["---:" if name in _NUMBERS else "---" for name in rows[0]]
            out += [markdown_row(map(markdown_cell, row)) for row in (rows[0], rule, *rows[1:])]
            out += ["", *(f"{remark}  " for remark in block.remarks)]
            out += [""] if block.remarks else []
    if scorers:
        out += ["## Sources", ""]
        out += [f"- [{n}] {source} ({'; '.join(by)})" for n, (source, by) in enumerate(scorers.items(), start=1)]
    return "\n".join(out).rstrip() + "\n"


def _cited(sources: Sequence[_Source], scorers: dict[str, dict[str, None]]) -> str:
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
    "section reference metric unit variant parameters_of_metric system ours value sd low high runs rank of difference "
    "parameters ratio coverage reasons verified remarks scorer source"
).split()


def as_csv(comparison: Comparison) -> str:
    """Return the comparison as CSV, one row a figure; what is unknown is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_CSV_HEAD)
    for section, reasons, table in _flat(comparison):
        quantity, metric = table.quantity, table.quantity.definition
        parameters = " ".join(f"{name}={value:g}" for name, value in quantity.parameters.items())
        for row in table.rows:
            bounds = [f"{bound:.{metric.decimals}f}" for bound in row.interval] if row.interval else [None, None]
            cells: list[object] = [section, table.reference, quantity.metric, metric.unit, quantity.variant, parameters]
            cells += [row.system, str(row.ours).lower(), row.text, row.spread, *bounds, row.runs, row.rank, row.of]
            cells += [_difference(row, table), row.parameters, _ratio(row), row.coverage, reasons]
            cells += [str(row.verified).lower(), "; ".join(_remarks(row)), row.scorer, row.source]
            writer.writerow(cells)
    return stream.getvalue()


def _flat(comparison: Comparison) -> Iterable[tuple[str, str, Table]]:
    """Every table with its section, and why it is compared with nothing."""
    yield from (("compared", "", t) for t in comparison.tables)
    yield from (("other variant", "", t) for t in comparison.other_variants)
    yield from (("not comparable", "; ".join(apart.reasons), t) for apart in comparison.apart for t in apart.tables)
    yield from ((OTHER_DATA, "", t) for tables in comparison.published.values() for t in tables)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain data."""

    def plain(tables: Iterable[Table]) -> list[dict[str, Any]]:
        return [_plain(table) for table in tables]

    return {
        "compared": plain(comparison.tables),
        "remarks": {reference: list(lines) for reference, lines in comparison.remarks.items()},
        "other_variants": plain(comparison.other_variants),
        "not_comparable": [
            {"set": a.set_title, "about": a.about, "reasons": list(a.reasons), "tables": plain(a.tables)}
            for a in comparison.apart
        ],
        "contrasts": [asdict(c) | {"interval": c.interval, "verdict": c.verdict} for c in comparison.contrasts],
        "published_other_data": {title: plain(tables) for title, tables in comparison.published.items()},
    }


def _plain(table: Table) -> dict[str, Any]:
    of_table = asdict(table)
    quantity = of_table.pop("quantity")
    return {"reference": of_table.pop("reference"), **quantity, **of_table, "title": table.quantity.title}
