"""Features in time and frequency: the mask of every class, and what a decoder makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sedkit.report.panels import (
    LEVELS,
    PRESENT,
    PRESENT_SIGN,
    PROBABILITIES,
    Grid,
    bins_name,
    image,
    mark,
    marked,
    new_figure,
    over_bins,
    over_time,
)
from sedkit.report.subject import Subject
from sedkit.report.waveform import RANGE_DB, magnitudes, sum_of_events

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def masks(subject: Subject) -> Figure:
    """Draw the recording's features and the mask of each class, the present ones marked and framed.

    Of a rendered mixture the events alone come last, without the scene: their spectrogram and their features.
    """
    assert subject.masks is not None
    frontend, n_frames, n = subject.frontend, subject.valid_frames, len(subject.labels)
    events = None if subject.stems is None else sum_of_events(subject)
    total = n + 1 + 2 * (events is not None)
    grid = Grid(total)
    title = f"{subject.filename}: masks, clip probabilities ({PRESENT_SIGN} present)"
    figure = new_figure(grid.width, grid.height, title, arranged=False)
    within_s = (0.0, subject.masks.shape[1] * frontend.grid.frame_s)
    panels = [figure.add_axes(grid.place(k)) for k in range(total)]
    images = {0: ("features", frontend.transform(subject.waveform[None])[0, :n_frames])}
    if events is not None:
        levels = 20 * np.log10(np.maximum(magnitudes(frontend, events), 1e-10))
        images[n + 1] = ("events: spectrogram", np.maximum(levels, levels.max() - RANGE_DB))
        images[n + 2] = ("events: features", frontend.transform(events[None])[0, :n_frames])
    for k, (name, values) in images.items():
        image(panels[k], values, within_s, LEVELS)
        panels[k].set_title(name, fontsize=8, style="italic")
    for axes, label, mask, score in zip(panels[1:], subject.labels, subject.masks, subject.clipwise, strict=False):
        shown = image(axes, mask, within_s, PROBABILITIES, (0.0, 1.0))
        present = subject.is_present(label)
        mark(axes.set_title(f"{marked(label, present)}  {score:.2f}", fontsize=7 if n > 20 else 8), present)
        if present:
            for spine in axes.spines.values():
                spine.set(linewidth=2.5, edgecolor=PRESENT)
    for k, axes in enumerate(panels):
        first, last = grid.outer(k, total)
        over_time(axes, subject, named=False)
        # The spectrogram has its own frequencies, evenly spaced.
        if first and k != n + 1:
            over_bins(axes, frontend, frontend.n_bins, named=False)
        else:
            axes.set_yticks([])
        if not last:
            axes.set_xticks([])
        axes.tick_params(labelsize=7)
    figure.supxlabel("time (s)", fontsize=9, y=0.1 / grid.height)
    figure.supylabel(bins_name(frontend), fontsize=9, x=0.1 / grid.width)
    figure.colorbar(shown, cax=figure.add_axes(grid.bar()), label="mask")
    return figure


def reconstruction(subject: Subject) -> Figure:
    """Draw the normalised features, the decoder's, on one scale, and how far apart they are."""
    output = subject.output
    assert output is not None and output.reconstruction is not None
    n = subject.valid_frames
    features, decoded = output.features[:n], output.reconstruction[:n]
    error = np.abs(decoded - features)
    both = (float(min(features.min(), decoded.min())), float(max(features.max(), decoded.max())))
    figure = new_figure(9, 6.6, f"{subject.filename}: features and what the decoder makes of them")
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
