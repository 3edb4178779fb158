"""What a network that pools in two steps attends to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sedkit.report.panels import (
    LEVELS,
    PRESENT,
    PRESENT_SIGN,
    PROBABILITIES,
    Floats,
    image,
    mark,
    marked,
    new_figure,
    over_bins,
    over_classes,
    over_time,
)
from sedkit.report.subject import Subject

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sedkit.inference.masks import NetworkOutput


class Steps(NamedTuple):
    """Attention from bins to frames to the clip.

    Attributes
    ----------
    bins
        (classes, frames, bins) weights.
    frames
        (frames, classes) what the first step makes of them: probabilities.
    time
        (frames, classes) weights of the frames.
    """

    bins: Floats
    frames: Floats
    time: Floats


def steps(output: NetworkOutput) -> Steps:
    """Return the steps of two-step attention.

    A mask is what a bin adds to its frame's probability, relative to the frame's largest attention: times that, and
    summed over the bins, masks are the first step's outcome.
    """
    weights, time = output.attention["frequency"], output.attention["time"]
    n, bins = weights.shape[1:]
    # One of the equal values that each of the encoder's frames and bins was repeated to.
    every = output.masks.shape[1] // n, output.masks.shape[2] // bins
    masks = output.masks[:, :: every[0], :: every[1]][:, :n]
    return Steps(weights, (masks * weights.max(axis=2, keepdims=True)).sum(axis=2).T, time)


def attention(subject: Subject) -> Figure:
    """Draw the attention of the two highest-scored classes over frequency, the first step, the second, and the clip."""
    assert subject.output is not None
    two = steps(subject.output)
    n, labels = len(subject.framewise), list(subject.labels)
    within_s = (0.0, float(subject.edges_s[-1]))
    figure = new_figure(
        13, 7.4 + 0.15 * len(labels), f"{subject.filename}: two-step attention ({PRESENT_SIGN} present)"
    )
    grid = figure.add_gridspec(3, 2, height_ratios=[2.0, max(2.0, 0.15 * len(labels)), 1.6])
    for column, label in enumerate(subject.ranked()[:2]):
        axes = figure.add_subplot(grid[0, column])
        weights = two.bins[labels.index(label), :n]
        image(axes, weights, within_s, LEVELS, (0.0, float(weights.max())), "weight")
        over_bins(axes, subject.frontend, weights.shape[1], named=column == 0)
        over_time(axes, subject)
        present = subject.is_present(label)
        title = f"attention over frequency: {marked(label, present)}"
        mark(axes.set_title(title, fontsize=10), present)
    for column, (title, values, colours, bar) in enumerate(
        (
            ("first step: frame probabilities", two.frames[:n], PROBABILITIES, "probability"),
            ("second step: attention over time", two.time[:n], LEVELS, "weight"),
        )
    ):
        axes = figure.add_subplot(grid[1, column])
        image(axes, values, within_s, colours, (0.0, float(values.max())), bar, classes=True)
        over_classes(axes, subject, labels, named=column == 0)
        over_time(axes, subject)
        axes.set_title(title, fontsize=10)
    _probabilities(figure.add_subplot(grid[2, :]), subject)
    return figure


def _probabilities(axes: Axes, subject: Subject) -> None:
    """Draw clip probabilities as bars; those of present classes are dark."""
    present = [subject.is_present(label) for label in subject.labels]
    places = np.arange(len(present))
    axes.bar(places, subject.clipwise, color=[PRESENT if there else "0.75" for there in present], edgecolor="black")
    names = [marked(label, there) for label, there in zip(subject.labels, present, strict=True)]
    axes.set_xticks(places, names, rotation=90, fontsize=7 if len(names) > 20 else 9)
    for text, there in zip(axes.get_xticklabels(), present, strict=True):
        mark(text, there)
    axes.set_xlim(-0.6, len(present) - 0.4)
    axes.set(ylim=(0.0, 1.0), ylabel="probability")
    axes.set_title("clip probabilities", fontsize=10)
