"""Frame scores against events."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sedkit.report.panels import (
    PRESENT_SIGN,
    PROBABILITIES,
    image,
    mark,
    marked,
    new_figure,
    over_classes,
    over_time,
    shade,
    spans,
)
from sedkit.report.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

#: Curves of the present classes, and of others with high scores until there are as many.
_CURVES = 6


def frames(subject: Subject) -> Figure:
    """Draw scores, decoded and true events of all classes, and curves of the present and the highest-scored ones."""
    curves = curve_labels(subject)
    rows = math.ceil(len(curves) / 3)
    heights = [max(2.4, 0.16 * len(subject.labels) + 0.9), 1.5 * rows + 0.5]
    figure = new_figure(13, sum(heights) + 0.4, f"{subject.filename}: frame probabilities ({PRESENT_SIGN} present)")
    above, below = figure.subfigures(2, 1, height_ratios=heights)
    # Means over frequency are low; a scale to 1 would show them dark.
    top = max(0.1, math.ceil(10 * float(subject.framewise.max())) / 10)
    _heat_map(above, subject, top)
    _curves(below, subject, curves, rows, top)
    return figure


def curve_labels(subject: Subject) -> list[str]:
    """Return the classes that have a curve: those present in the order of the classes, then the highest-scored."""
    present = [label for label in subject.labels if subject.is_present(label)]
    others = [label for label in subject.ranked() if label not in present]
    return present + others[: max(0, _CURVES - len(present))]


def _heat_map(figure: SubFigure, subject: Subject, top: float) -> None:
    tables = [("decoded events", subject.decoded), ("true events", subject.truth)]
    shown = [(title, events) for title, events in tables if events is not None]
    panels = figure.subplots(1, 1 + len(shown), squeeze=False, width_ratios=[1.3] + [1] * len(shown))[0]
    image(panels[0], subject.framewise, _within_s(subject), PROBABILITIES, (0.0, top), "probability", classes=True)
    panels[0].set_title("scores")
    over_rows = list(subject.labels)
    over_classes(panels[0], subject, over_rows)
    over_time(panels[0], subject)
    for axes, (title, events) in zip(panels[1:], shown, strict=True):
        spans(axes, events, over_rows)
        over_classes(axes, subject, over_rows, named=False)
        over_time(axes, subject)
        axes.hlines(np.arange(1, len(over_rows)), 0, subject.duration_s, color="0.85", linewidth=0.4, zorder=0)
        axes.set_title(title)


def _within_s(subject: Subject) -> tuple[float, float]:
    return 0.0, float(subject.edges_s[-1])


def _curves(figure: SubFigure, subject: Subject, labels: list[str], rows: int, top: float) -> None:
    panels = list(figure.subplots(rows, 3, sharex=True, sharey=True, squeeze=False).flat)
    for axes, label in zip(panels, labels, strict=False):
        shade(axes, subject.truth or (), label)
        axes.stairs(subject.framewise[:, subject.labels.index(label)], subject.edges_s, color="black", baseline=None)
        clip = subject.clipwise[subject.labels.index(label)]
        present = subject.is_present(label)
        mark(axes.set_title(f"{marked(label, present)}  (clip {clip:.2f})", fontsize=9), present)
    for axes in panels[len(labels) :]:
        axes.remove()
    panels[0].set_ylim(0.0, 1.05 * top)
    over_time(panels[0], subject, named=False)
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("probability", fontsize=9)
