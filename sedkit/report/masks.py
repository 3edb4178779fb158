"""Features in time and frequency: the mask of every class, and what a decoder makes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sedkit.report.panels import (
    LEVELS,
    PRESENT,
    PROBABILITIES,
    image,
    mark,
    marked,
    new_figure,
    over_bins,
    over_time,
)
from sedkit.report.subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def masks(subject: Subject) -> Figure | None:
    """Draw the recording's features and the mask of each class, the present ones marked and framed."""
    if subject.masks is None:
        return None
    frontend, n = subject.frontend, len(subject.labels)
    columns = math.ceil(math.sqrt(n + 1))
    rows = math.ceil((n + 1) / columns)
    figure = new_figure(1.2 + 1.9 * columns, 1.0 + 1.35 * rows, f"{subject.filename}: masks, clip probabilities")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    panels = list(grid.flat)
    within_s = (0.0, subject.masks.shape[1] * frontend.grid.frame_s)
    features = frontend.transform(subject.waveform[None])[0, : subject.valid_frames]
    image(panels[0], features, within_s, LEVELS)
    panels[0].set_title("features", fontsize=8, style="italic")
    for axes, label, mask, score in zip(panels[1:], subject.labels, subject.masks, subject.clipwise, strict=False):
        shown = image(axes, mask, within_s, PROBABILITIES, (0.0, 1.0))
        present = subject.is_present(label)
        mark(axes.set_title(f"{marked(label, present)}  {score:.2f}", fontsize=7 if n > 20 else 8), present)
        if present:
            for spine in axes.spines.values():
                spine.set(linewidth=2.5, edgecolor=PRESENT)
    for axes in panels[n + 1 :]:
        axes.remove()
    over_bins(panels[0], frontend, frontend.n_bins, named=False)
    over_time(panels[0], subject, named=False)
    for axes in panels:
        axes.tick_params(labelsize=7)
    figure.supxlabel("time (s)", fontsize=9)
    figure.supylabel("band" if frontend.framing is None else "frequency (Hz)", fontsize=9)
    figure.colorbar(shown, ax=grid, label="mask", shrink=0.5, aspect=30, pad=0.01)
    return figure


def reconstruction(subject: Subject) -> Figure | None:
    """Draw the normalised features, the decoder's, on one scale, and how far apart they are."""
    output = subject.output
    if output is None or output.reconstruction is None:
        return None
    n = subject.valid_frames
    features, decoded = output.features[:n], output.reconstruction[:n]
    error = np.abs(decoded - features)
    both = (float(min(features.min(), decoded.min())), float(max(features.max(), decoded.max())))
    figure = new_figure(9, 6.6, subject.filename)
    panels = figure.subplots(3, 1, sharex=True)
    for axes, title, values, scale, bar in (
        (panels[0], "normalised features", features, both, "level"),
        (panels[1], "reconstruction", decoded, both, "level"),
        (panels[2], f"error (mean square {np.mean(error**2):.3f})", error, (0.0, float(error.max())), "|difference|"),
    ):
        image(axes, values, (0.0, n * subject.frontend.grid.frame_s), LEVELS, scale, bar)
        over_bins(axes, subject.frontend, subject.frontend.n_bins)
        axes.set_title(title)
    over_time(panels[-1], subject)
    return figure
