"""`sedkit benchmark`: systems beside the official figures of the same reference, metric, parameters and variant.

What is not the same is not compared: other data, partial sets, other releases, sets seen in training, figures by other
conventions or at a threshold chosen on the set, and other variants of PSDS stand apart, without differences or ranks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sedkit.submission.benchmark.report import NOT_RANKED, Apart, Report, Row, Table, same_parameters
from sedkit.submission.groups import Group, Summary
from sedkit.submission.official import METRICS, Figure, all_figures, collections_for


def benchmark(groups: Sequence[Group]) -> Report:
    """Put systems beside official figures.

    Parameters
    ----------
    groups
        Systems on their references (see `groups.group_runs`).
    """
    groups = sorted(groups, key=lambda group: group.first.order)
    by_reference: dict[str, list[Summary]] = {}
    apart: dict[tuple[str, tuple[str, ...]], list[Summary]] = {}
    for group in groups:
        of_runs = _reasons(group)
        for summary in group.summaries:
            reasons = of_runs or summary.reasons
            if reasons:
                apart.setdefault((group.first.scored_on, reasons), []).append(summary)
            else:
                by_reference.setdefault(str(group.first.known_as), []).append(summary)
    tables, others, sets, remarks = [], [], {}, {}
    for reference, summaries in by_reference.items():
        here = [group for group in groups if any(summary.group is group for summary in summaries)]
        ours, rest = _compare(reference, summaries)
        tables += ours
        others += rest
        sets[reference] = tuple(dict.fromkeys(g.first.set_title for g in here if g.first.set_title))
        # Without rows of silent clips in the table, a clip that was never predicted looks like one without events.
        remarks[reference] = tuple(f"{g.name}: the output lists {clips}" for g in here for clips in g.coverage)
    beside_nothing = tuple(_apart(where, reasons, summaries) for (where, reasons), summaries in apart.items())
    return Report(tuple(tables), tuple(others), sets, remarks, beside_nothing, _published(groups, set(by_reference)))


def _apart(where: str, reasons: tuple[str, ...], summaries: Sequence[Summary]) -> Apart:
    first = summaries[0].group.first
    clips, reference = first.reference.get("clips"), first.known_as or first.reference.get("path") or "unknown"
    about = f"{clips} clips of {reference}" if clips else str(reference)
    # What holds for single figures alone is told too where the whole set stands apart.
    of_figures: dict[str, list[str]] = {}
    for summary in summaries:
        for reason in summary.reasons:
            if reason not in reasons:
                of_figures.setdefault(reason, []).append(METRICS[summary.metric].short)
    more = (f"{', '.join(dict.fromkeys(names))}: {reason}" for reason, names in of_figures.items())
    return Apart(first.set_title, about, (*reasons, *more), _own_tables(where, summaries))


def _reasons(group: Group) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reason for run in group.runs for reason in run.not_comparable()))


def _matches(figure: Figure, summary: Summary) -> bool:
    return (
        figure.metric == summary.metric
        and same_parameters(figure.parameters, summary.parameters, only=figure.parameters)
        and (summary.variant is None or summary.variant in figure.variants)
    )


def _compare(reference: str, summaries: Sequence[Summary]) -> tuple[list[Table], list[Table]]:
    figures = [f for f in all_figures() if f.reference == reference]
    alike = _by_key(summaries)
    beside = {key: [f for f in figures if _matches(f, ours[0])] for key, ours in alike.items()}
    years = {c.year for summary in summaries for c in collections_for(summary.group.first.recipe) if c.year}
    years = years or _common_year(beside.values())
    tables = [_table(reference, ours, beside[key], years) for key, ours in alike.items()]
    metrics = {ours[0].metric for ours in alike.values()}
    used = {id(f) for published in beside.values() for f in published}
    rest = [f for f in figures if f.metric in metrics and id(f) not in used]
    return sorted(tables, key=_order), sorted(_figure_tables(rest), key=_order)


def _key(summary: Summary) -> tuple[object, ...]:
    """What figures of one table have in common."""
    return summary.metric, summary.variant, tuple(sorted(summary.parameters.items()))


def _by_key(summaries: Iterable[Summary]) -> dict[tuple[object, ...], list[Summary]]:
    alike: dict[tuple[object, ...], list[Summary]] = {}
    for summary in summaries:
        alike.setdefault(_key(summary), []).append(summary)
    return alike


def _common_year(tables: Iterable[Sequence[Figure]]) -> set[int]:
    """Return the year whose baseline stands in most tables, the latest of several: one baseline to read them by."""
    counts = Counter(year for figures in tables for year in {f.year or 0 for f in _baselines(figures)})
    return {max(counts, key=lambda year: (counts[year], year))} if counts else set()


def _order(table: Table) -> tuple[int, str]:
    return list(METRICS).index(table.metric), table.variant or ""


def _baselines(figures: Sequence[Figure]) -> list[Figure]:
    return [f for f in figures if f.ranked and f.verified and f.year and f.system.startswith("baseline")]


def _baseline(figures: Sequence[Figure], years: set[int]) -> Figure | None:
    """Choose what differences and ratios refer to: the plain baseline of one of the years, else of the latest."""
    fit = _baselines(figures)
    of_year = [f for f in fit if f.year in years] or fit
    if not of_year:
        return None
    latest = max(f.year or 0 for f in of_year)
    # The plain baseline of a year is listed first; its variants follow.
    return next(f for f in of_year if f.year == latest)


def _table(reference: str, ours: Sequence[Summary], published: Sequence[Figure], years: set[int]) -> Table:
    base = _baseline(published, years)
    rivals = _best_of_each([f for f in published if f.ranked and f.verified])
    count = len(rivals) + 1 if rivals else None
    rows = [_published_row(f, base) for f in published]
    for summary in ours:
        level = tuple(f"{f.title} ({f.text})" for f in published if f.ranked and f.level_with(summary.mean))
        above = sum(f.beats(summary.mean) and not f.level_with(summary.mean) for f in rivals)
        row = _own_row(summary)
        theirs = base.model_parameters if base else None
        rows.append(
            replace(
                row,
                rank=above + 1 if rivals and not summary.group.first.control else None,
                of=count,
                tied=any(f.level_with(summary.mean) for f in rivals),
                level_with=level,
                difference=summary.mean - base.value if base else None,
                ratio=row.parameters / theirs if row.parameters and theirs else None,
            )
        )
    like = ours[0]
    sign = 1 if METRICS[like.metric].lower else -1
    # What may not be ranked stands below: a wrong figure on top of the table would be read as the best one.
    rows.sort(key=lambda r: (r.unranked, sign * r.value, not r.ours))
    name = f"{base.title} ({base.text})" if base else None
    decimals = min(METRICS[like.metric].decimals, base.decimals) if base else None
    return Table(reference, like.metric, like.variant, like.parameters, tuple(rows), name, count, decimals)


def _best_of_each(figures: Sequence[Figure]) -> list[Figure]:
    """Return the best figure of each system: its student, its teacher and what was recomputed are one competitor."""
    best: dict[str, Figure] = {}
    for figure in figures:
        known = best.setdefault(figure.competitor, figure)
        if figure.beats(known.value):
            best[figure.competitor] = figure
    return list(best.values())


def _own_row(summary: Summary) -> Row:
    decimals = METRICS[summary.metric].decimals
    group = summary.group
    runs = []
    if group.seeds:
        runs.append(f"seed{'s' if len(group.seeds) > 1 else ''} {', '.join(group.seeds)}")
    if group.folds:
        runs.append(f"fold{'s' if len(group.folds) > 1 else ''} {', '.join(group.folds)}")
    return Row(
        ours=True,
        system=group.name,
        value=summary.mean,
        text=f"{summary.mean:.{decimals}f}",
        spread=None if summary.spread is None else f"{summary.spread:.{decimals}f}",
        interval=summary.interval,
        runs=len(summary.values),
        parameters=group.parameters,
        coverage="; ".join(group.coverage),
        notes=tuple(runs),
    )


def _own_tables(where: str, summaries: Sequence[Summary]) -> tuple[Table, ...]:
    alike = _by_key(summaries).values()
    tables = [Table(where, s[0].metric, s[0].variant, s[0].parameters, tuple(map(_own_row, s))) for s in alike]
    return tuple(sorted(tables, key=_order))


def _published_row(figure: Figure, base: Figure | None) -> Row:
    mine, theirs = figure.model_parameters, base.model_parameters if base else None
    recomputed = "recomputed from published output" if figure.role == "recomputed" else ""
    unranked = "" if figure.ranked else NOT_RANKED
    return Row(
        ours=False,
        system=figure.title,
        value=figure.value,
        text=figure.text,
        spread=figure.spread,
        runs=figure.runs,
        parameters=mine,
        ratio=mine / theirs if mine and theirs else None,
        verified=figure.verified,
        unranked=not (figure.ranked and figure.verified),
        notes=tuple(x for x in (recomputed, unranked, figure.note) if x),
        scorer=f"{figure.scorer} {figure.version}".removesuffix(" unknown"),
        source=figure.source,
    )


def _figure_tables(figures: Sequence[Figure]) -> list[Table]:
    """Put published figures into tables without ranks, differences or ratios."""
    tables: dict[tuple[object, ...], list[Figure]] = {}
    for figure in figures:
        key = (figure.set_name, figure.metric, figure.variants, tuple(sorted(figure.parameters.items())))
        tables.setdefault(key, []).append(figure)
    return [
        Table(
            members[0].set_name,
            members[0].metric,
            " = ".join(members[0].variants) or None,
            members[0].parameters,
            tuple(_published_row(f, None) for f in members),
        )
        for members in tables.values()
    ]


def _published(groups: Sequence[Group], compared: set[str | None]) -> dict[str, tuple[Table, ...]]:
    """Return figures of the recipes' years and papers on other data than what was compared, by their collection."""
    out: dict[str, tuple[Table, ...]] = {}
    for recipe in dict.fromkeys(group.first.recipe for group in groups):
        for collection in collections_for(recipe):
            figures = [f for f in collection.figures if f.reference is None or f.reference not in compared]
            if figures:
                out[collection.title] = tuple(sorted(_figure_tables(figures), key=_order))
    return out
