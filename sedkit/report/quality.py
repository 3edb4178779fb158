"""How well the events of systems are found: class by class, threshold by threshold, and what is taken for what."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.evaluation.counts import ClipCounts, rates
from sedkit.evaluation.coverage import count_detections, join_points, prepare
from sedkit.evaluation.inputs import align
from sedkit.evaluation.metrics.event import count_events
from sedkit.evaluation.metrics.segment import count_segments
from sedkit.evaluation.parameters import PSDS2, EventParameters, SegmentParameters
from sedkit.report.panels import (
    SYSTEM_COLOURS,
    SYSTEM_DASHES,
    SYSTEM_HATCHES,
    new_figure,
    plain,
    readable,
)
from sedkit.report.sets import SetSubject, SystemsSubject, occurring_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
_EVENT, _SEGMENT = EventParameters(), SegmentParameters()
_EVENT_TITLE = f"event-based F1 (collar {_EVENT.collar_s * 1000:g} ms, offset {_EVENT.offset_fraction:.0%})"
_SEGMENT_TITLE = f"segment-based F1 ({_SEGMENT.segment_s:g} s)"
_LABEL_COLOUR = "0.35"


def _f1(counts: ClipCounts, labels: tuple[str, ...]) -> Floats:
    """Return F1 of these classes; NaN where it is undefined."""
    of_class = dict(zip(counts.labels, rates(counts).classes["f1"].tolist(), strict=True))
    return np.array([of_class.get(label, np.nan) for label in labels])


def class_scores(subject: SetSubject, labels: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Return event-based and segment-based F1 (classes,) of a system's events, as `sedkit score` has them."""
    assert subject.truth is not None and subject.decoded is not None
    pair = align(subject.truth, subject.decoded)
    return _f1(count_events(*pair), labels), _f1(count_segments(*pair), labels)


def class_f1(subject: SystemsSubject) -> Figure:
    """Draw F1 of each class, event-based and segment-based, a bar a system; with how many true events there are."""
    systems = subject.having("truth", "events")
    labels, truth = occurring_in(systems), systems[0].truth
    assert truth is not None
    n_true = np.bincount(truth.label, minlength=len(truth.labels))
    n_of = {label: int(n) for label, n in zip(truth.labels, n_true, strict=True)}
    figure = new_figure(11, 1.3 + len(labels) * (0.16 + 0.17 * len(systems)), f"{subject.name}: F1 of each class")
    panels = figure.subplots(1, 2, sharey=True)
    for panel, title in enumerate((_EVENT_TITLE, _SEGMENT_TITLE)):
        axes = panels[panel]
        for k, system in enumerate(systems):
            _bars(axes, class_scores(system, labels)[panel], k, len(systems), system.system)
        plain(axes, across=True)
        axes.set(xlim=(0.0, 1.0), ylim=(len(labels) - 0.5, -0.5), xlabel="F1")
        axes.set_title(title, fontsize=9)
    names = [f"{readable(label)} ({n_of.get(label, 0)})" for label in labels]
    panels[0].set_yticks(range(len(labels)), names, fontsize=8)
    if len(systems) > 1:
        figure.legend(
            *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False
        )
    return figure


def _bars(axes: Axes, values: Floats, k: int, n: int, label: str) -> None:
    """Draw the bars of one of `n` systems, each with its value."""
    height = 0.8 / n
    places = np.arange(len(values)) - 0.4 + (k + 0.5) * height
    axes.barh(
        places,
        np.nan_to_num(values),
        height,
        color=SYSTEM_COLOURS[k],
        hatch=SYSTEM_HATCHES[k],
        edgecolor="white",
        linewidth=0.5,
        label=label,
    )
    for place, value in zip(places, values, strict=True):
        # Where the bar leaves no room beside it the value stands in it.
        inside = bool(value > 0.9)
        axes.text(
            float(np.nan_to_num(value)) + (-0.01 if inside else 0.01),
            place,
            "–" if np.isnan(value) else f"{value:.2f}",
            ha="right" if inside else "left",
            va="center",
            fontsize=7,
            color="white" if inside else _LABEL_COLOUR,
        ).set_in_layout(False)


class Sweep(NamedTuple):
    """Macro F1 of a system at each threshold, (points,) each."""

    thresholds: Floats
    event: Floats
    segment: Floats


def sweep_f1(subject: SetSubject) -> Sweep:
    """Return macro F1 of the operating points of a system, over the classes in which it is defined."""
    assert subject.truth is not None and subject.points is not None
    event, segment = [], []
    for table in subject.points.tables:
        pair = align(subject.truth, table)
        event.append(_macro(count_events(*pair)))
        segment.append(_macro(count_segments(*pair)))
    return Sweep(np.array(subject.points.thresholds), np.array(event), np.array(segment))


def _macro(counts: ClipCounts) -> float:
    return float(np.nan_to_num(rates(counts).macro["f1"]))


def thresholds(subject: SystemsSubject) -> Figure:
    """Draw macro F1 against the threshold that all classes share, and that of the tuned events as a line across."""
    systems = subject.having("truth", "points")
    figure = new_figure(9, 3.4, f"{subject.name}: one threshold for all classes")
    panels = figure.subplots(1, 2, sharex=True)
    for k, system in enumerate(systems):
        swept = sweep_f1(system)
        tuned = None if system.decoded is None else class_macro(system.truth, system.decoded)
        for panel, values in enumerate((swept.event, swept.segment)):
            axes = panels[panel]
            axes.plot(
                swept.thresholds,
                values,
                color=SYSTEM_COLOURS[k],
                linestyle=SYSTEM_DASHES[k],
                marker=".",
                markersize=3,
                label=f"{system.system}, {system.points_from}",
            )
            if tuned is not None:
                axes.axhline(tuned[panel], color=SYSTEM_COLOURS[k], linewidth=0.8, alpha=0.7)
                axes.annotate(
                    f"as decoded {tuned[panel]:.3f}",
                    (0.01, tuned[panel]),
                    xycoords=("axes fraction", "data"),
                    ha="left",
                    va="bottom" if k % 2 == 0 else "top",
                    fontsize=7,
                    color=SYSTEM_COLOURS[k],
                )
    for axes, title in zip(panels, (_EVENT_TITLE, _SEGMENT_TITLE), strict=True):
        plain(axes)
        axes.set(xlim=(0.0, 1.0), xlabel="threshold", ylabel="macro F1")
        axes.set_ylim(0.0, max(0.1, 1.15 * axes.dataLim.y1))
        axes.set_title(title, fontsize=9)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, frameon=False)
    return figure


def class_macro(truth: Events | None, decoded: Events) -> tuple[float, float]:
    """Return macro F1 of a table of events, event-based and segment-based."""
    assert truth is not None
    pair = align(truth, decoded)
    return _macro(count_events(*pair)), _macro(count_segments(*pair))


def trigger_counts(subject: SetSubject) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count what each occurring class's detections meet, by the criteria of PSDS2.

    Returns
    -------
    triggers
        (classes, classes): in a row the detections of a class, in its own column those that find nothing wrong
        (relevant detections), in another column those that are false and lie in events of that class. One detection
        may lie in events of several.
    alone
        (classes,) false detections that lie in no other class's events, and all of a class without true events.
    """
    assert subject.truth is not None and subject.decoded is not None
    labels, decoded = subject.occurring, subject.decoded.keep_labels(subject.occurring)
    # Without durations every detection counts, those past a clip's end too.
    ground = prepare(subject.truth, None)
    detections = join_points(ground, [decoded])
    counts = count_detections(ground, detections, PSDS2.criteria)
    triggers, alone = np.zeros((len(labels),) * 2, np.int64), np.zeros(len(labels), np.int64)
    # Detections of a class without true events find nothing of theirs, and psds_eval passes over them.
    alone += np.bincount(decoded.label, minlength=len(labels))
    alone[[labels.index(label) for label in ground.labels]] = 0
    for row, label in enumerate(ground.labels):
        k, kinds = labels.index(label), counts.kind[counts.cell == row]
        triggers[k, k] = int((detections[1] == row).sum() - (kinds == 1).sum())
        for column, other in enumerate(ground.labels):
            if column != row:
                triggers[k, labels.index(other)] = int((kinds == 2 + column).sum())
        alone[k] = _alone(kinds)
    return triggers, alone


def _alone(kinds: NDArray[np.int64]) -> int:
    """Count the false positives that no cross trigger follows: the counts of a detection stand together."""
    following = np.append(kinds[1:], 1)
    return int(((kinds == 1) & (following < 2)).sum())


def cross_triggers(subject: SetSubject) -> Figure:
    """Draw what each class's detections lie in: events of its own, of others, or of none."""
    triggers, alone = trigger_counts(subject)
    labels = subject.occurring
    side = 1.6 + 0.34 * len(labels)
    figure = new_figure(side + 2.6, side + 1.0, f"{subject.name}: what detections lie in ({subject.system})")
    axes = figure.subplots()
    matrix = np.column_stack([triggers, alone]).astype(np.float64)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1.0)
    shown = axes.imshow(share, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
    figure.colorbar(shown, ax=axes, label="share of the row", fraction=0.046, pad=0.02)
    names = [readable(label) for label in labels]
    small = 6 if len(labels) > 20 else 8
    axes.set_xticks(range(len(labels) + 1), [*names, "no event"], rotation=90, fontsize=small)
    axes.set_yticks(range(len(labels)), names, fontsize=small)
    axes.set(xlabel="true events of", ylabel="detections of")
    axes.axvline(len(labels) - 0.5, color="black", linewidth=0.8)
    for row, column in np.argwhere(matrix > 0):
        colour = "white" if share[row, column] > 0.6 else "black"
        text = f"{matrix[row, column]:.0f}"
        axes.text(column, row, text, ha="center", va="center", fontsize=small, color=colour).set_in_layout(False)
    from matplotlib.patches import Rectangle

    for k in range(len(labels)):
        frame = Rectangle((k - 0.5, k - 0.5), 1, 1, fill=False, edgecolor=SYSTEM_COLOURS[0], linewidth=1.2)
        axes.add_patch(frame)
    return figure
