"""How a training went: its loss and figures step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sedkit.core.numbers import is_number
from sedkit.report.panels import SYSTEM_COLOURS, SYSTEM_DASHES, SYSTEM_MARKERS, new_figure, plain
from sedkit.report.runs import RunSubject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a side of the records is, and how its curves are drawn.
_SIDES = {"train": "training", "select": "chosen by", "draw": "looked at only"}
#: Panels beside each other.
_COLUMNS = 3


class LearningCurve(NamedTuple):
    """A figure over the steps: its side, its name, what it is of (network and set; empty in training), its values."""

    side: str
    figure: str
    of: str
    steps: list[int]
    values: list[float]


def learning_curves(subject: RunSubject) -> list[LearningCurve]:
    """Return every curve that the records of a run hold, in their order; those of one figure have one name."""
    out: dict[tuple[str, str, str], LearningCurve] = {}
    for record in subject.history:
        for side in _SIDES:
            for of, figure, value in _leaves(record.get(side)):
                key = (side, figure, of)
                curve = out.setdefault(key, LearningCurve(side, figure, of, [], []))
                curve.steps.append(record["step"])
                curve.values.append(value)
    return list(out.values())


def _leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, float]]:
    """Yield what each number below a side of a record is of, its name and its value."""
    if is_number(node) and path:
        yield " ".join(path[:-1]), path[-1], float(node)
    elif isinstance(node, Mapping):
        for key, below in node.items():
            yield from _leaves(below, (*path, str(key)))


def learning(subject: RunSubject) -> Figure:
    """Draw each figure of the training in a panel of its own, training and selection with different dashes."""
    curves = learning_curves(subject)
    # Parts of the loss are of interest where they are validated, too; else the loss alone is.
    names = [name for name in dict.fromkeys(c.figure for c in curves) if name == "loss" or _validated(curves, name)]
    names = names or list(dict.fromkeys(c.figure for c in curves))
    columns = max(1, min(_COLUMNS, len(names)))
    rows = -(-len(names) // columns)
    figure = new_figure(4.2 * columns, 0.4 + 3.2 * rows, f"{subject.name}: training")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(names) :]:
        axes.remove()
    for axes, name in zip(panels, names, strict=False):
        for k, curve in enumerate(c for c in curves if c.figure == name):
            side = list(_SIDES).index(curve.side)
            axes.plot(
                curve.steps,
                curve.values,
                color=SYSTEM_COLOURS[k % len(SYSTEM_COLOURS)],
                linestyle=SYSTEM_DASHES[side],
                marker=SYSTEM_MARKERS[side],
                markersize=3,
                label=_label(curve),
            )
        plain(axes)
        axes.set_title(name.replace("_", " "), fontsize=9)
        axes.set_xlabel("step")
        axes.set_xlim(left=0)
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
        values = np.concatenate([c.values for c in curves if c.figure == name])
        if np.nanmin(values) >= 0:
            axes.set_ylim(bottom=0)
        axes.legend(fontsize=7, frameon=False)
    return figure


def _label(curve: LearningCurve) -> str:
    """Return what a legend says of a curve; a lone network is of no interest."""
    of = curve.of.removeprefix("network ")
    return f"{of} ({_SIDES[curve.side]})" if of else _SIDES[curve.side]


def _validated(curves: list[LearningCurve], name: str) -> bool:
    return any(curve.figure == name and curve.side != "train" for curve in curves)
