"""PSD-ROC: how many events of a class are found at how many false positives an hour."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.evaluation.coverage import PointCounts, count_detections, join_points, prepare
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.evaluation.psd_roc import psds_value, roc_points
from sedkit.report.panels import SYSTEM_COLOURS, new_figure, plain, readable
from sedkit.report.sets import SetSubject, SystemsSubject, occurring_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
_COLUMNS = 5
#: Of more systems than these the areas have no room in the panels.
_MOST_AREAS = 2
_SCENARIOS: dict[str, tuple[PsdsParameters, str]] = {"PSDS1": (PSDS1, "solid"), "PSDS2": (PSDS2, "dashed")}


class Curve(NamedTuple):
    """A class's curve: the largest true positive rate at or below each effective false positive rate, and its area.

    `efpr` and `tpr` are (steps,), rising from 0 false positives an hour to the end of the area.
    """

    efpr: Floats
    tpr: Floats
    area: float


def class_curves(subject: SetSubject, parameters: PsdsParameters) -> tuple[float, dict[str, Curve]]:
    """Return PSDS, and the curve of each class that occurs, from the operating points of a system."""
    assert subject.truth is not None and subject.points is not None
    durations = dict(zip(subject.filenames, subject.durations_s.tolist(), strict=True))
    ground = prepare(subject.truth, durations)
    counts = count_detections(ground, join_points(ground, subject.points.tables), parameters.criteria)
    value, areas = psds_value(counts, parameters)
    return value, {label: Curve(*_steps(counts, k, parameters), areas[label]) for k, label in enumerate(ground.labels)}


def _steps(counts: PointCounts, k: int, parameters: PsdsParameters) -> tuple[Floats, Floats]:
    tpr, efpr = (rate[:, k] for rate in roc_points(counts, parameters))
    inside = efpr < parameters.max_efpr
    order = np.lexsort((-tpr[inside], efpr[inside]))
    x, best = efpr[inside][order], np.maximum.accumulate(tpr[inside][order])
    last = best[-1] if len(best) else 0.0
    return np.concatenate([[0.0], x, [parameters.max_efpr]]), np.concatenate([[0.0], best, [last]])


def psd_roc(subject: SystemsSubject) -> Figure:
    """Draw the curves of each class in both scenarios; the areas under them stand in the panels."""
    systems = subject.having("truth", "points")
    labels = occurring_in(systems)
    rows = math.ceil(len(labels) / _COLUMNS)
    figure = new_figure(2.3 * _COLUMNS, 1.9 * rows + 1.2, f"{subject.name}: PSD-ROC of each class")
    panels = list(figure.subplots(rows, _COLUMNS, sharex=True, sharey=True, squeeze=False).flat)
    for k, system in enumerate(systems):
        for scenario, (parameters, dashes) in _SCENARIOS.items():
            value, curves = class_curves(system, parameters)
            said = f"{system.system}: {scenario} {value:.3f} ({system.points_from})"
            for axes, label in zip(panels, labels, strict=False):
                if label in curves:
                    _curve(axes, curves[label], SYSTEM_COLOURS[k], dashes, said)
                    if len(systems) <= _MOST_AREAS:
                        at = 0.04 + 0.13 * (2 * k + (scenario == "PSDS2"))
                        _area(axes, at, f"{scenario} {curves[label].area:.2f}", SYSTEM_COLOURS[k])
    for axes, label in zip(panels, labels, strict=False):
        plain(axes)
        axes.set_title(readable(label), fontsize=9)
        if not axes.lines:
            axes.text(0.5, 0.5, "no true event", transform=axes.transAxes, ha="center", fontsize=8, color="0.4")
    for axes in panels[len(labels) :]:
        axes.remove()
    panels[0].set(xlim=(0.0, PSDS1.max_efpr), ylim=(0.0, 1.02))
    drawn = next((axes for axes in panels[: len(labels)] if axes.lines), panels[0])
    for axes in panels[max(0, len(labels) - _COLUMNS) : len(labels)]:
        # The legend stands where a label of the whole figure would.
        axes.set_xlabel("effective FP per hour", fontsize=8)
        axes.xaxis.set_tick_params(labelbottom=True)
    figure.supylabel("true positive rate", fontsize=9)
    figure.legend(*drawn.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8, frameon=False)
    return figure


def _curve(axes: Axes, curve: Curve, colour: str, dashes: str, label: str) -> None:
    axes.step(curve.efpr, curve.tpr, where="post", color=colour, linestyle=dashes, linewidth=1.2, label=label)


def _area(axes: Axes, at: float, text: str, colour: str) -> None:
    behind = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.6}
    shown = axes.text(0.97, at, text, transform=axes.transAxes, ha="right", fontsize=7, color=colour, bbox=behind)
    shown.set_in_layout(False)
