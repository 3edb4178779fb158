"""The report of runs as one page: what was run, how well, and the clips to see and hear."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import sedkit
from sedkit.core.errors import SedkitError
from sedkit.core.files import write_text
from sedkit.core.log import log
from sedkit.core.parallel import progress
from sedkit.dataio.datadir import DataDir
from sedkit.evaluation.parameters import EventParameters
from sedkit.leaderboard.runs import ScoredRun, controls, load_runs
from sedkit.leaderboard.show import PrintedTable, sections
from sedkit.leaderboard.systems import Group
from sedkit.leaderboard.table import benchmark
from sedkit.report import media
from sedkit.report.browser import browser
from sedkit.report.facts import configurations, differences, facts_of_runs
from sedkit.report.figures import FIGURES, AnySubject, drawn, left_out
from sedkit.report.html import render, script_json
from sedkit.report.reported import PageOptions, ReportedSet, read_sets
from sedkit.report.runs import RunSubject
from sedkit.report.sets import SetSubject, SystemsSubject

#: Charts that are wider than half a page.
_BROAD = ("class_f1", "psd_roc", "counts", "durations", "thresholds", "cooccurrence")
_MB = 1_000_000
_INTERVAL = re.compile(r"(\S.*) (\[[-\d.]+, [-\d.]+\])")


def chart_subjects(one: ReportedSet) -> Iterable[AnySubject]:
    """Yield what the charts of a set are of: all systems together, then each."""
    yield SystemsSubject(one.name, tuple(one.outputs))
    yield from one.outputs


def write_page(runs: Sequence[RunSubject], given: Sequence[DataDir], path: Path, options: PageOptions) -> None:
    """Write the report of runs as a page.

    Parameters
    ----------
    given
        Data dirs, beside those that the runs themselves tell.
    path
        The file, `index.html`.

    Raises
    ------
    SedkitError
        Nothing of any run is there, or a file that cannot be read.
    """
    if not any(run.files or run.history for run in runs):
        raise SedkitError(
            f"{runs[0].path}: has no scores, events or records of a training: nothing to report; `sedkit predict` and "
            "`sedkit decode` make scores and events"
        )
    sets = read_sets(runs, given, options)
    lacking: list[str] = []
    for one in progress(sets, description="charts"):
        for subject in chart_subjects(one):
            one.charts += _charts(subject, one.lacking, len(runs) > 1)
    training: list[dict[str, Any]] = []
    for run in runs:
        training += _charts(run, lacking, len(runs) > 1)
    tables, sources, results = _tables(runs, sets, lacking)
    rows, clips_about, texts = browser(runs, sets, options)
    lacking += [f"{one.name}: {line}" for one in sets for line in dict.fromkeys(one.lacking)]
    names = [run.name for run in runs]
    context = {
        "title": " and ".join(names),
        "about": _subtitle(runs, sets),
        "systems": names,
        "facts": facts_of_runs(runs),
        "configurations": configurations(runs),
        "sets": [_about(one, results) for one in sets],
        "tables": tables,
        "sources": sources,
        "differences": _differences(sets, lacking) if len(runs) > 1 else [],
        "training": training,
        "clips": clips_about,
        "matching": _matching(),
        "lacking": list(dict.fromkeys(lacking)),
        "made": f"Made by sedkit {sedkit.__version__} (sedkit report); everything that is shown is in this file.",
        "data": script_json({"systems": names, "sets": rows}),
        "media": texts,
    }
    write_text(path, render(context))
    for line in context["lacking"]:
        log.info("report: %s", line)
    log.info("report: %s: %.1f MB, %s", path, path.stat().st_size / _MB, " ".join(clips_about[:1]))


def _subtitle(runs: Sequence[RunSubject], sets: Sequence[ReportedSet]) -> str:
    recipes = [str(run.experiment.config.get("recipe") or "") for run in runs if run.experiment is not None]
    on = ", ".join(one.name for one in sets) or "no set"
    return ": ".join(filter(None, [", ".join(dict.fromkeys(filter(None, recipes))), f"sound event detection on {on}"]))


def _charts(subject: AnySubject, lacking: list[str], several: bool) -> list[dict[str, Any]]:
    """Draw every chart that a subject has; say what it does not have."""
    charts = []
    lacking += left_out(subject)
    for kind, drawing in FIGURES[type(subject)].items():
        if subject.lacks.keys() & set(drawing.needs):
            continue
        try:
            svg = drawn(drawing, subject)
        except SedkitError as error:
            # Such as events of one class that overlap, which PSDS refuses.
            lacking.append(f"no {kind}: {error}")
            continue
        width, height = _size(svg)
        system = subject.system if several and isinstance(subject, SetSubject) else ""
        charts.append(
            {
                "name": f"{kind.replace('_', ' ')}{f' of {system}' if system else ''}",
                "caption": f"{drawing.caption}{f' ({system})' if system else ''}",
                "svg": media.text_of(svg),
                "width": width,
                "height": height,
                "broad": kind in _BROAD and not (system and kind != "durations"),
            }
        )
    return charts


def _size(svg: bytes) -> tuple[int, int]:
    """Return the size of an SVG in CSS pixels; its own is in points."""
    head = svg[:2000].decode("utf-8", "replace")
    sides = [re.search(rf'\b{side}="([\d.]+)pt"', head) for side in ("width", "height")]
    width, height = (round(float(match[1]) * 96 / 72) if match else 100 for match in sides)
    return width, height


def _tables(
    runs: Sequence[RunSubject], sets: Sequence[ReportedSet], lacking: list[str]
) -> tuple[list[dict[str, Any]], list[str], list[ScoredRun]]:
    """Return the tables of results, with official rows where these are comparable, their sources, and the results."""
    scored: list[ScoredRun] = []
    for run in runs:
        files = [results.path for results in run.results]
        if not files:
            lacking.append(f"no results of {run.name}: `sedkit score --json` makes them")
            continue
        # Runs stand side by side: seeds of one system are not pooled, and carry their name.
        scored += [replace(one, system=run.name) if len(runs) > 1 else one for one in load_runs(files)]
    shown = {one.name for one in sets}
    scored = [one for one in scored if not shown or _of_sets(one, shown)]
    comparison = replace(benchmark([Group((one,)) for one in [*scored, *controls(scored)]]), published={})
    sources: dict[str, int] = {}
    tables = [
        {
            "heading": section.heading,
            "lines": section.lines,
            "blocks": [_printed(block, sources) for block in section.blocks],
        }
        for section in sections(comparison)
    ]
    return tables, list(sources), scored


def _of_sets(scored: ScoredRun, names: Iterable[str]) -> bool:
    whole = scored.set_title.partition(",")[0]
    return any(title == name or title.startswith(f"{name}.") for name in names for title in (whole, scored.set_name))


def _printed(block: PrintedTable, sources: dict[str, int]) -> dict[str, Any]:
    """Return a table as the template takes it; sources of its figures are numbered, new ones put down."""
    head, *rows = block.cells(lambda name, ours: name)
    ours = [line.ours for line in block.lines]
    cited = [
        ", ".join(str(sources.setdefault(f"{source} ({scorer})", len(sources) + 1)) for source, scorer in line.sources)
        for line in block.lines
    ]
    if any(cited):
        head, rows = [*head, "source"], [[*row, numbers] for row, numbers in zip(rows, cited, strict=True)]
    return {
        "title": block.title,
        "about": block.about,
        "head": head,
        "rows": [[_cell(text) for text in row] for row in rows],
        # Where all rows are ours there is nothing to tell them from.
        "ours": [is_ours and not all(ours) for is_ours in ours],
        "remarks": block.remarks,
    }


def _cell(text: str) -> tuple[str, str]:
    """Return a figure and its interval, which stands below it."""
    match = _INTERVAL.fullmatch(text)
    return (match[1], match[2]) if match else (text, "")


def _differences(sets: Sequence[ReportedSet], lacking: list[str]) -> list[Any]:
    rows: list[Any] = []
    for one in sets:
        groups = None
        if one.data is not None and one.data.clips.group is not None:
            groups = dict(zip(one.data.clips.filename, one.data.clips.group, strict=True))
        try:
            rows += differences(one.outputs, groups) if len(one.outputs) > 1 else []
        except SedkitError as error:
            lacking.append(f"{one.name}: no differences: {error}")
    return rows


def _about(one: ReportedSet, scored: Sequence[ScoredRun]) -> dict[str, Any]:
    """Return what is told of a set."""
    first = one.outputs[0]
    results = next((run.results for run in scored if _of_sets(run, [one.name])), None)
    missing = len(one.data.missing()) if one.data is not None else 0
    reference = "not scored" if results is None else results.known_as or "not an official one"
    coverage = f"{len(first.filenames)} of {len(one.data.clips)} clips" if one.data is not None else "not known"
    return {
        "name": one.name,
        "clips": f"{len(first.filenames):,}",
        "hours": f"{first.durations_s.sum() / 3600:.2f}",
        "events": "not known" if first.truth is None else f"{first.truth.n_events:,}",
        "reference": reference,
        "coverage": coverage + (f", {missing} more are not on disk" if missing else ""),
        "data": "not known" if one.data is None else str(one.data.path),
        "charts": one.charts,
    }


def _matching() -> str:
    parameters = EventParameters()
    return (
        f"correct: onset within {parameters.collar_s * 1000:g} ms of a true event of the class, offset within that or "
        f"{parameters.offset_fraction:.0%} of its length"
    )
