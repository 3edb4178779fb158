"""Rows of a recipe's RESULTS.md: every figure beside command line, commit, seeds, mean and sample standard deviation.

The rows stand in one table between two marks; text around it is left alone. A row is known by system, set,
reference and budget: a new one takes the place of the old, other rows stay. Results that lie in no experiment name
their file in place of a set; what they do not tell is a dash.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from sedkit.core.errors import SedkitError
from sedkit.core.files import read_text, write_text
from sedkit.leaderboard.show import figure_text, markdown_cell, markdown_row
from sedkit.leaderboard.systems import Group, Summary
from sedkit.leaderboard.table import own_row

BEGIN = "<!-- sedkit benchmark: rows begin -->"
END = "<!-- sedkit benchmark: rows end -->"
_ABSENT = "-"
_LEGEND = f"`{_ABSENT}`: the results do not tell; `file …`: results that lie in no experiment folder."
_FIGURES = "figures (mean ± sample sd)"
_HEAD = ("system", "set", "reference", _FIGURES, "seeds", "parameters", "budget", "commit", "command")
#: Columns that a row is known by.
_KEY = tuple(_HEAD.index(name) for name in ("system", "set", "reference", "budget"))


def _figure(summary: Summary) -> str:
    remarks = "".join(f" ({reason.partition(':')[0]})" for reason in summary.reasons)
    return f"{summary.quantity.title}: {figure_text(own_row(summary), summary.quantity.metric)}{remarks}"


def result_row(group: Group, command: str) -> tuple[str, ...]:
    """Return the cells of one system on one reference."""
    first, of = group.first, group.first.results
    runs = [f"{axis} {value}" for axis in ("seed", "fold") for value in group.each(axis)]
    scored_with = f"scored with sedkit {of.version}" if of.version else ""
    commits = sorted({run.commit[:12] if run.commit else scored_with for run in group.runs} - {""})
    budgets = sorted({run.budget for run in group.runs if run.budget})
    files = ", ".join(f"file {run.path.as_posix()}" for run in group.runs)
    in_experiment = "not official (miniature or other data)"
    elsewhere = f"not official: {of.reference_path}" if of.reference_path else in_experiment
    return (
        group.system,
        first.set_name or files,
        of.known_as or (in_experiment if first.set_name else elsewhere),
        "<br>".join(_figure(summary) for summary in group.summaries),
        ", ".join(runs) or _ABSENT,
        f"{group.parameters:,}" if group.parameters else _ABSENT,
        ", ".join(budgets) or _ABSENT,
        ", ".join(commits) or _ABSENT,
        f"`{command}`",
    )


def update_rows(path: str | os.PathLike[str], groups: Sequence[Group], command: str) -> None:
    """Write the rows of systems into a results page, which is made where missing; `command` is what made the figures.

    Raises SedkitError for a page with a table without its end mark.
    """
    page = Path(path)
    text = read_text(page) if page.exists() else "# Results\n"
    rows: dict[tuple[str, ...], tuple[str, ...]] = {}
    if BEGIN in text:
        before, _, rest = text.partition(BEGIN)
        table, mark, after = rest.partition(END)
        if not mark:
            raise SedkitError(f"{page}: {BEGIN} without {END}; put the end mark below the table")
        for line in table.splitlines():
            cells = _split(line)
            if len(cells) == len(_HEAD) and cells[0] not in ("system", "---"):
                rows[tuple(cells[i] for i in _KEY)] = cells
    else:
        before, after = text.rstrip("\n") + "\n\n", "\n"
    for group in groups:
        cells = tuple(map(markdown_cell, result_row(group, command)))
        rows[tuple(cells[i] for i in _KEY)] = cells
    lines = [
        markdown_row(_HEAD),
        markdown_row(["---"] * len(_HEAD)),
        *(markdown_row(rows[key]) for key in sorted(rows)),
    ]
    legend = [_LEGEND] if any(_ABSENT in row for row in rows.values()) else []
    legend = ["", "  \n".join(legend), ""] if legend else []
    write_text(page, before + "\n".join([BEGIN, *lines, *legend, END]) + after)


def _split(line: str) -> tuple[str, ...]:
    """Split a table row at the bars that are not escaped."""
    inner = line.strip().removeprefix("|").removesuffix("|").replace("\\|", "\0")
    return tuple(cell.strip().replace("\0", "\\|") for cell in inner.split("|"))
