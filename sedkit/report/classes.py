"""Figures of a set's classes: how they go together, how many events they have and how long these are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.evaluation.metrics.cooccurrence import ClassCorrelation, Overlap, overlap_s, time_averages
from sedkit.report.panels import (
    SYSTEM_COLOURS,
    SYSTEM_DASHES,
    SYSTEM_MARKERS,
    TRUTH_COLOUR,
    new_figure,
    plain,
    readable,
)
from sedkit.report.sets import SetSubject, SystemsSubject, occurring_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Clips of more events than these are one bar.
_MOST_EVENTS = 15
#: With more classes than these, cells have no room for numbers.
_MOST_NUMBERS = 15
_COLUMNS, _BINS = 5, 10
#: Metric, what its title says, scale, matrices by what they are of.
_Row = tuple[type[ClassCorrelation | Overlap], str, tuple[float, float], dict[str, NDArray[np.float64]]]


def cooccurrence(subject: SetSubject) -> Figure:
    """Draw each class with each: correlation of scores and of the truth, minutes of overlap of both."""
    assert subject.scores is not None and subject.truth is not None
    off = ~np.eye(len(subject.labels), dtype=bool)
    of_scores, of_truth = map(ClassCorrelation.matrix, time_averages(subject.scores, subject.truth))
    said = "correlation over clips, positive part {:.3f}"
    rows: list[_Row] = [(ClassCorrelation, said, (-1.0, 1.0), {"scores": of_scores, "true events": of_truth})]
    if subject.decoded is not None:
        decoded, true = (Overlap.matrix(overlap_s(events)) for events in (subject.decoded, subject.truth))
        top = max(1e-6, float(decoded[off].max(initial=0.0)), float(true[off].max(initial=0.0)))
        said = "overlap, {:.2f} minutes in all"
        rows.append((Overlap, said, (0.0, top), {"decoded events": decoded, "true events": true}))
    side = 1.0 + 0.36 * len(subject.labels)
    figure = new_figure(2 * side + 2.5, len(rows) * side + 1.5, f"{subject.name}: classes with each other")
    for panels, (metric, said, scale, matrices) in zip(
        figure.subplots(len(rows), 2, squeeze=False, sharex=True, sharey=True), rows, strict=True
    ):
        for axes, (what, matrix) in zip(panels, matrices.items(), strict=True):
            value = said.format(float(metric.headline(matrix))).replace("nan", "undefined")
            axes.set_title(f"{what}: {value}", fontsize=9)
            _matrix(axes, np.where(off, matrix, np.nan), subject.labels, scale)
    return figure


def _matrix(axes: Axes, matrix: NDArray[np.float64], labels: tuple[str, ...], scale: tuple[float, float]) -> None:
    """Draw a matrix of classes; what is undefined stays white."""
    colours = "PuOr" if scale[0] < 0 else "Greys"
    shown = axes.imshow(matrix, cmap=colours, vmin=scale[0], vmax=scale[1], aspect="auto")
    axes.figure.colorbar(shown, ax=axes, fraction=0.046, pad=0.02)
    names = [readable(label) for label in labels]
    small = 6 if len(labels) > 20 else 8
    axes.set_xticks(range(len(labels)), names, rotation=90, fontsize=small)
    axes.set_yticks(range(len(labels)), names, fontsize=small)
    if len(labels) > _MOST_NUMBERS:
        return
    for row, column in np.argwhere(np.nan_to_num(matrix) != 0):
        value = float(matrix[row, column])
        share = abs(value) / max(abs(x) for x in scale)
        text = f"{value:.2f}" if abs(value) < 100 else f"{value:.0f}"
        colour = "white" if share > 0.6 else "black"
        # A text within its cell has no say in the layout, which asks each for its size.
        axes.text(column, row, text, ha="center", va="center", fontsize=6, color=colour).set_in_layout(False)


def durations(subject: SetSubject) -> Figure:
    """Draw how long the events of each class are: of the truth filled, decoded ones as an outline."""
    assert subject.truth is not None and subject.decoded is not None
    labels = subject.occurring
    rows = math.ceil(len(labels) / _COLUMNS)
    figure = new_figure(2.5 * _COLUMNS, 1.8 * rows + 0.8, f"{subject.name}: durations of events")
    panels = list(figure.subplots(rows, _COLUMNS, sharex=True, squeeze=False).flat)
    edges_s = np.linspace(0.0, math.ceil(subject.duration_s), _BINS + 1)
    for axes, label in zip(panels, labels, strict=False):
        for what, events in {"true": subject.truth, "decoded": subject.decoded}.items():
            of_class = events.label == events.labels.index(label)
            # Events may end past their clip's end.
            seconds = np.clip((events.offset_s - events.onset_s)[of_class], 0.0, edges_s[-1])
            n, _ = np.histogram(seconds, edges_s)
            filled = what == "true"
            axes.stairs(
                n,
                edges_s,
                fill=filled,
                color=TRUTH_COLOUR if filled else SYSTEM_COLOURS[0],
                label=f"{what} ({len(seconds)})",
            )
        axes.set_title(readable(label), fontsize=9)
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=6, frameon=False, handlelength=1)
    for axes in panels[len(labels) :]:
        axes.remove()
    panels[0].set_xlim(0.0, edges_s[-1])
    figure.supxlabel("duration (s)", fontsize=9)
    figure.supylabel("events", fontsize=9)
    return figure


def counts(subject: SystemsSubject) -> Figure:
    """Draw how many events clips have, and how many each class has: true ones filled, systems' as outlines."""
    systems = subject.having("events")
    labels = occurring_in(systems)
    tables = {system.system: system.decoded for system in systems}
    truth = systems[0].truth
    figure = new_figure(11, 3.2 + 0.06 * max(0, len(labels) - 12), f"{subject.name}: numbers of events")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.4])
    drawn = ({} if truth is None else {"true": truth}) | tables
    edges = np.arange(_MOST_EVENTS + 2) - 0.5
    for k, (what, events) in enumerate(drawn.items()):
        assert events is not None
        at = k - (truth is not None)
        said = f"{what} ({events.n_events})"
        of_clip = np.bincount(events.clip, minlength=len(events.filenames))
        n_clips = np.histogram(np.minimum(of_clip, _MOST_EVENTS), edges)[0]
        n_class = np.bincount(events.label, minlength=len(events.labels))
        by_label = dict(zip(events.labels, n_class.tolist(), strict=True))
        n_events = [by_label.get(label, 0) for label in labels]
        if at < 0:
            left.stairs(n_clips, edges, fill=True, color=TRUTH_COLOUR, label=said)
            right.bar(range(len(labels)), n_events, color=TRUTH_COLOUR, label=said)
            continue
        look = {"color": SYSTEM_COLOURS[at], "label": said}
        left.stairs(n_clips, edges, linestyle=SYSTEM_DASHES[at], linewidth=1.4, **look)
        right.plot(range(len(labels)), n_events, linestyle="none", marker=SYSTEM_MARKERS[at], markersize=6, **look)
    most = max(int(np.bincount(events.clip).max(initial=0)) for events in drawn.values() if events is not None)
    left.set(xlim=(-0.5, min(most, _MOST_EVENTS) + 0.5), xlabel="events in a clip", ylabel="clips")
    left.xaxis.get_major_locator().set_params(integer=True)
    if most > _MOST_EVENTS:
        left.set_xlabel(f"events in a clip ({_MOST_EVENTS}: and more)")
    small = 6 if len(labels) > 20 else 8
    right.set_xticks(range(len(labels)), [readable(label) for label in labels], rotation=90, fontsize=small)
    right.set(xlim=(-0.5, len(labels) - 0.5), ylabel="events")
    for axes in (left, right):
        plain(axes)
        axes.yaxis.get_major_locator().set_params(integer=True)
    left.legend(fontsize=7, frameon=False)
    right.set_ylim(bottom=0)
    return figure
