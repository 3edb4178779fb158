"""Systems beside the published figures of the same reference, metric, parameters and variant.

What is not the same is not compared: other data, partial sets, other releases, sets seen in training, figures by other
conventions or at a threshold chosen on the set, and other variants of PSDS stand apart, without differences or ranks.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sedkit.leaderboard.contrasts import Contrast
from sedkit.leaderboard.published import Figure, Quantity, all_figures, collections_for
from sedkit.leaderboard.systems import Group, Summary

#: Heading of figures that stand beside nothing.
OTHER_DATA = "published, other data, not comparable"

#: Remark on a figure that is known, or feared, to be wrong.
NOT_RANKED = "not ranked"


@dataclass(frozen=True)
class FigureRow:
    """One line of a table: a system of ours (a result that was given), or a published figure.

    Attributes
    ----------
    value, text, spread, interval
        In the metric's unit; `text` as published or with the metric's decimals.
    runs
        Number of runs behind the figure; None where a source does not say.
    rank, of, tied
        Place among this system and the published ones with verified, rankable figures in the table, each counted once
        by its best figure; None without a rank. `tied` is set where one of these equals the value.
    level_with
        Published figures that the value equals at their decimals.
    difference, ratio
        To the table's baseline, `ratio` of the trained parameters; None where there is none or nothing may be compared.
    coverage
        How many of the reference's clips an output of ours lists; empty where it lists all, or nothing is known.
    verified, unranked, notes, scorer, source
        Of a published figure; `unranked` ones were never confirmed, or are known to be wrong; `scorer` has its
        version where it is known.
    """

    ours: bool
    system: str
    value: float
    text: str
    spread: str | None = None
    interval: tuple[float, float] | None = None
    runs: int | None = None
    rank: int | None = None
    of: int | None = None
    tied: bool = False
    level_with: tuple[str, ...] = ()
    difference: float | None = None
    parameters: int | None = None
    ratio: float | None = None
    coverage: str = ""
    verified: bool = True
    unranked: bool = False
    notes: tuple[str, ...] = ()
    scorer: str = ""
    source: str = ""


@dataclass(frozen=True)
class Table:
    """Figures of one quantity on one reference; best first.

    `systems` is the number of systems that a rank is among, `decimals` how many a difference to the baseline has: no
    more than the baseline was published with.
    """

    reference: str
    quantity: Quantity
    rows: tuple[FigureRow, ...]
    baseline: str | None = None
    systems: int | None = None
    decimals: int | None = None


@dataclass(frozen=True)
class Apart:
    """Results on one set that nothing official may stand beside, with the reasons, as tables of our own rows."""

    set_title: str
    about: str
    reasons: tuple[str, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Comparison:
    """The whole comparison.

    `tables` and `other_variants` are figures of the references that may be compared; `sets` and `remarks` say by
    reference what the experiments call it, and what has to be said of single systems on it. `apart` stands beside
    nothing. `published` are figures of the recipes' years and papers on other data, by their collection.
    """

    tables: tuple[Table, ...] = ()
    other_variants: tuple[Table, ...] = ()
    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    apart: tuple[Apart, ...] = ()
    published: dict[str, tuple[Table, ...]] = field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()


def benchmark(groups: Sequence[Group], contrasts: Iterable[Contrast] = ()) -> Comparison:
    """Put systems on their references (see `systems.group_runs`) beside official figures, with paired differences."""
    groups = sorted(groups, key=lambda group: group.first.order)
    comparable: dict[str, list[Summary]] = {}
    apart: dict[tuple[str, tuple[str, ...]], list[Summary]] = {}
    for group in groups:
        of_runs = tuple(dict.fromkeys(reason for run in group.runs for reason in run.not_comparable()))
        for summary in group.summaries:
            reasons = of_runs or summary.reasons
            if reasons:
                apart.setdefault((group.first.scored_on, reasons), []).append(summary)
            else:
                comparable.setdefault(str(group.first.results.known_as), []).append(summary)
    tables: list[Table] = []
    others: list[Table] = []
    sets, remarks = {}, {}
    for reference, summaries in comparable.items():
        here = [group for group in groups if any(summary.group is group for summary in summaries)]
        ours, rest = _compared(reference, summaries)
        tables += ours
        others += rest
        sets[reference] = tuple(dict.fromkeys(g.first.set_title for g in here if g.first.set_title))
        # Without rows of silent clips in the table, a clip that was never predicted looks like one without events.
        remarks[reference] = tuple(f"{g.name}: the output lists {clips}" for g in here for clips in g.coverage)
    # Figures of the recipes' years and papers on other data than what was compared.
    published = {}
    for recipe in dict.fromkeys(group.first.recipe for group in groups):
        for collection in collections_for(recipe):
            if figures := [f for f in collection.figures if f.reference not in comparable]:
                published[collection.title] = _figure_tables(figures)
    beside_nothing = tuple(_apart(where, reasons, summaries) for (where, reasons), summaries in apart.items())
    return Comparison(tuple(tables), tuple(others), sets, remarks, beside_nothing, published, tuple(contrasts))


def _apart(where: str, reasons: tuple[str, ...], summaries: Sequence[Summary]) -> Apart:
    first = summaries[0].group.first
    clips, reference = first.results.clips, first.results.known_as or first.results.reference_path or "unknown"
    # What holds for single figures alone is told too where the whole set stands apart.
    of_figures: dict[str, list[str]] = {}
    for summary in summaries:
        for reason in summary.reasons:
            if reason not in reasons:
                of_figures.setdefault(reason, []).append(summary.quantity.definition.short)
    more = (f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in of_figures.items())
    tables = [Table(where, quantity, tuple(map(own_row, ours))) for quantity, ours in _alike(summaries).items()]
    about = f"{clips} clips of {reference}" if clips else reference
    return Apart(first.set_title, about, (*reasons, *more), _sorted(tables))


def _compared(reference: str, summaries: Sequence[Summary]) -> tuple[tuple[Table, ...], tuple[Table, ...]]:
    """Return tables of our systems beside the figures of a reference, and those of figures that fit none of them."""
    figures = [f for f in all_figures() if f.reference == reference]
    alike = _alike(summaries)
    beside = {quantity: [f for f in figures if f.may_stand_beside(quantity)] for quantity in alike}
    years = {c.year for summary in summaries for c in collections_for(summary.group.first.recipe) if c.year}
    years = years or _common_year(beside.values())
    tables = [_table(reference, quantity, ours, beside[quantity], years) for quantity, ours in alike.items()]
    metrics, used = {quantity.metric for quantity in alike}, {id(f) for fit in beside.values() for f in fit}
    return _sorted(tables), _figure_tables([f for f in figures if f.metric in metrics and id(f) not in used])


def _alike(summaries: Iterable[Summary]) -> dict[Quantity, list[Summary]]:
    alike: dict[Quantity, list[Summary]] = {}
    for summary in summaries:
        alike.setdefault(summary.quantity, []).append(summary)
    return alike


def _sorted(tables: Iterable[Table]) -> tuple[Table, ...]:
    return tuple(sorted(tables, key=lambda table: table.quantity.order))


def _baselines(figures: Iterable[Figure]) -> list[Figure]:
    return [f for f in figures if f.ranked and f.verified and f.year and f.system.startswith("baseline")]


def _common_year(tables: Iterable[Sequence[Figure]]) -> set[int]:
    """Return the year whose baseline stands in most tables, the latest of several: one baseline to read them by."""
    counts = Counter(year for figures in tables for year in {f.year or 0 for f in _baselines(figures)})
    return {max(counts, key=lambda year: (counts[year], year))} if counts else set()


def _baseline(figures: Sequence[Figure], years: set[int]) -> Figure | None:
    """Choose what differences and ratios refer to: the plain baseline of one of the years, else of the latest."""
    fit = _baselines(figures)
    of_year = [f for f in fit if f.year in years] or fit
    # The plain baseline of a year is listed first; its variants follow.
    return max(of_year, key=lambda f: f.year or 0, default=None)


def _table(
    reference: str, quantity: Quantity, ours: Sequence[Summary], published: Sequence[Figure], years: set[int]
) -> Table:
    metric, base = quantity.definition, _baseline(published, years)
    counted = sorted((f for f in published if f.ranked and f.verified), key=lambda f: metric.place_of(f.value))
    # A system's student, its teacher and what was recomputed are one competitor, which its best figure stands for.
    rivals = list({f.competitor: f for f in reversed(counted)}.values())
    count = len(rivals) + 1 if rivals else None
    rows = [_published_row(f, base) for f in published]
    for summary in ours:
        row = own_row(summary)
        level = [f for f in published if f.ranked and f.level_with(row.value)]
        above = [f for f in rivals if f not in level and metric.place_of(f.value) < metric.place_of(row.value)]
        rows.append(
            replace(
                row,
                rank=len(above) + 1 if rivals and not summary.group.first.control else None,
                of=count,
                tied=any(f in level for f in rivals),
                level_with=tuple(f"{f.title} ({f.text})" for f in level),
                difference=row.value - base.value if base else None,
                ratio=_ratio(row.parameters, base),
            )
        )
    # What may not be ranked stands below: a wrong figure on top of the table would be read as the best one.
    rows.sort(key=lambda row: (row.unranked, metric.place_of(row.value), not row.ours))
    if base is None:
        return Table(reference, quantity, tuple(rows), systems=count)
    name, decimals = f"{base.title} ({base.text})", min(metric.decimals, base.decimals)
    return Table(reference, quantity, tuple(rows), name, count, decimals)


def _ratio(parameters: int | None, base: Figure | None) -> float | None:
    return parameters / base.model_parameters if parameters and base and base.model_parameters else None


def own_row(summary: Summary) -> FigureRow:
    """Return the row of a system of ours, without a rank: mean and sample deviation, of a single run its interval."""
    decimals, group, values = summary.quantity.definition.decimals, summary.group, [v.value for v in summary.values]
    axes = ((axis, group.each(axis)) for axis in ("seed", "fold"))
    mean = statistics.fmean(values)
    return FigureRow(
        ours=True,
        system=group.name,
        value=mean,
        text=f"{mean:.{decimals}f}",
        spread=f"{statistics.stdev(values):.{decimals}f}" if len(values) > 1 else None,
        interval=summary.values[0].interval if len(values) == 1 else None,
        runs=len(values),
        parameters=group.parameters,
        coverage="; ".join(group.coverage),
        notes=tuple(f"{axis}{'s' if len(each) > 1 else ''} {', '.join(each)}" for axis, each in axes if each),
    )


def _published_row(figure: Figure, base: Figure | None = None) -> FigureRow:
    recomputed = "recomputed from published output" if figure.role == "recomputed" else ""
    unranked = "" if figure.ranked else NOT_RANKED
    return FigureRow(
        ours=False,
        system=figure.title,
        value=figure.value,
        text=figure.text,
        spread=figure.spread,
        runs=figure.runs,
        parameters=figure.model_parameters,
        ratio=_ratio(figure.model_parameters, base),
        verified=figure.verified,
        unranked=not (figure.ranked and figure.verified),
        notes=tuple(x for x in (recomputed, unranked, figure.note) if x),
        scorer=f"{figure.scorer} {figure.version}".removesuffix(" unknown"),
        source=figure.source,
    )


def _figure_tables(figures: Iterable[Figure]) -> tuple[Table, ...]:
    """Put published figures into tables without ranks, differences or ratios."""
    tables: dict[tuple[str, Quantity], list[FigureRow]] = {}
    for figure in figures:
        quantity = Quantity(figure.metric, " = ".join(figure.variants) or None, figure.parameters)
        tables.setdefault((figure.set_name, quantity), []).append(_published_row(figure))
    return _sorted(Table(set_name, quantity, tuple(rows)) for (set_name, quantity), rows in tables.items())
