"""Frame scores of all classes, a panel each; over the features; and step by step from sound to events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sedkit.report.frames import curve_labels
from sedkit.report.panels import (
    LEVELS,
    PRESENT_SIGN,
    PROBABILITIES,
    SYSTEM_DASHES,
    Floats,
    Grid,
    image,
    mark,
    marked,
    new_figure,
    over_bins,
    over_classes,
    over_time,
    shade,
    spans,
)
from sedkit.report.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Over features of any brightness.
_OVER_LEVELS = ("#ffffff", "#56B4E9", "#009E73", "#F0E442")
_TOGETHER = len(_OVER_LEVELS)


def curves(subject: Subject) -> Figure:
    """Draw the frame scores of each class in a panel of its own, over its shaded true events."""
    n = len(subject.labels)
    grid = Grid(n)
    title = f"{subject.filename}: frame probabilities, clip probabilities ({PRESENT_SIGN} present)"
    figure = new_figure(grid.width, grid.height, title, arranged=False)
    for k, label in enumerate(subject.labels):
        axes = figure.add_axes(grid.place(k))
        shade(axes, subject.truth or (), label)
        axes.stairs(subject.framewise[:, k], subject.edges_s, color="black", linewidth=0.8, baseline=None)
        present = subject.is_present(label)
        mark(
            axes.set_title(f"{marked(label, present)}  {subject.clipwise[k]:.2f}", fontsize=7 if n > 20 else 8), present
        )
        axes.set_ylim(0.0, 1.05)
        over_time(axes, subject, named=False)
        first, last = grid.outer(k, n)
        axes.set_yticks([0, 0.5, 1] if first else [])
        if not last:
            axes.set_xticks([])
        axes.tick_params(labelsize=7)
    figure.supxlabel("time (s)", fontsize=9, y=0.1 / grid.height)
    figure.supylabel("probability", fontsize=9, x=0.1 / grid.width)
    return figure


def overlay(subject: Subject) -> Figure:
    """Draw curves of the present and the highest-scored classes over the features, each stretched to its own range."""
    labels = curve_labels(subject)
    groups = [labels[k : k + _TOGETHER] for k in range(0, len(labels), _TOGETHER)]
    figure = new_figure(
        9, 0.6 + 2.6 * len(groups), f"{subject.filename}: scores over features ({PRESENT_SIGN} present)"
    )
    bins, times_s = subject.frontend.n_bins, (subject.edges_s[:-1] + subject.edges_s[1:]) / 2
    for axes, group in zip(np.ravel(figure.subplots(len(groups), 1, sharex=True, squeeze=False)), groups, strict=True):
        _features(axes, subject, bar=None)
        for label, colour, dashes in zip(group, _OVER_LEVELS, SYSTEM_DASHES, strict=False):
            scores = subject.framewise[:, subject.labels.index(label)]
            low, high = float(scores.min()), float(scores.max())
            name = f"{marked(label, subject.is_present(label))}: {low:.2f} to {high:.2f}"
            axes.plot(
                times_s, bins * stretched_scores(scores), color=colour, linestyle=dashes, linewidth=1.5, label=name
            )
        axes.legend(fontsize=7, facecolor="0.3", labelcolor="white", loc="upper left", bbox_to_anchor=(1.01, 1))
    over_time(axes, subject)
    return figure


def stretched_scores(scores: Floats) -> Floats:
    """Return a curve from 0, its lowest value, to 1, its highest; 0 where it is constant."""
    low, high = scores.min(), scores.max()
    return (scores - low) / max(float(high - low), 1e-12)


def detection(subject: Subject) -> Figure:
    """Draw one below the other the features, true events, frame times clip probabilities and decoded events."""
    labels = list(subject.labels)
    tall = 0.7 + 0.16 * len(labels)
    tables = [
        ("true events", subject.truth),
        ("frame times clip probability", None),
        ("decoded events", subject.decoded),
    ]
    shown = [(title, events) for title, events in tables if events is not None or title.startswith("frame")]
    heights = [2.2] + [tall] * len(shown)
    figure = new_figure(9, 0.6 + sum(heights), subject.filename)
    panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _features(panels[0], subject)
    panels[0].set_title("features")
    for axes, (title, events) in zip(panels[1:], shown, strict=True):
        if events is None:
            product = subject.framewise * subject.clipwise
            within_s = (0.0, float(subject.edges_s[-1]))
            top = max(0.1, float(product.max()))
            image(axes, product, within_s, PROBABILITIES, (0.0, top), "probability", classes=True)
        else:
            spans(axes, events, labels)
            axes.hlines(np.arange(1, len(labels)), 0, subject.duration_s, color="0.85", linewidth=0.4, zorder=0)
        over_classes(axes, subject, labels)
        axes.set_title(title)
    over_time(panels[-1], subject)
    return figure


def _features(axes: Axes, subject: Subject, bar: str | None = "level") -> None:
    """Draw the front end's features, not normalised, with their frequencies."""
    frontend = subject.frontend
    features = frontend.transform(subject.waveform[None])[0, : subject.valid_frames]
    image(axes, features, (0.0, len(features) * frontend.grid.frame_s), LEVELS, None, bar)
    over_bins(axes, frontend, frontend.n_bins)
