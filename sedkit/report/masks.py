"""Features in time and frequency: the mask of every class, and what a decoder makes of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from sedkit.report.panels import (
    LEVELS,
    PRESENT,
    PRESENT_SIGN,
    PROBABILITIES,
    bins_name,
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


def masks(subject: Subject) -> Figure:
    """Draw the recording's features and the mask of each class, the present ones marked and framed.

    The panels are placed by hand and only the outer ones have ticks: with 41 classes that takes a third of the time.
    """
    assert subject.masks is not None
    frontend, n = subject.frontend, len(subject.labels)
    grid = _Grid(n + 1)
    title = f"{subject.filename}: masks, clip probabilities ({PRESENT_SIGN} present)"
    figure = new_figure(grid.width, grid.height, title, arranged=False)
    within_s = (0.0, subject.masks.shape[1] * frontend.grid.frame_s)
    panels = [figure.add_axes(grid.place(k)) for k in range(n + 1)]
    features = frontend.transform(subject.waveform[None])[0, : subject.valid_frames]
    image(panels[0], features, within_s, LEVELS)
    panels[0].set_title("features", fontsize=8, style="italic")
    for axes, label, mask, score in zip(panels[1:], subject.labels, subject.masks, subject.clipwise, strict=True):
        shown = image(axes, mask, within_s, PROBABILITIES, (0.0, 1.0))
        present = subject.is_present(label)
        mark(axes.set_title(f"{marked(label, present)}  {score:.2f}", fontsize=7 if n > 20 else 8), present)
        if present:
            for spine in axes.spines.values():
                spine.set(linewidth=2.5, edgecolor=PRESENT)
    for k, axes in enumerate(panels):
        over_time(axes, subject, named=False)
        if k % grid.columns:
            axes.set_yticks([])
        else:
            over_bins(axes, frontend, frontend.n_bins, named=False)
        if k + grid.columns <= n:
            axes.set_xticks([])
        axes.tick_params(labelsize=7)
    figure.supxlabel("time (s)", fontsize=9, y=0.1 / grid.height)
    figure.supylabel(bins_name(frontend), fontsize=9, x=0.1 / grid.width)
    figure.colorbar(shown, cax=figure.add_axes(grid.bar()), label="mask")
    return figure


class _Grid:
    """Places of panels, row by row from the top, in parts of a figure of `width` by `height` inches."""

    _BELOW, _ABOVE, _BEFORE, _BEHIND = 0.5, 0.3, 0.75, 1.0

    def __init__(self, n: int) -> None:
        self.columns = math.ceil(math.sqrt(n))
        self._rows = math.ceil(n / self.columns)
        # Inches from panel to panel; the names of few classes are written larger.
        self._across, self._down = 1.9 if n > 21 else 2.4, 1.35
        self.width = self._BEFORE + self._across * self.columns + self._BEHIND
        self.height = self._BELOW + self._down * self._rows + self._ABOVE

    def place(self, k: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height of a panel."""
        row, column = divmod(k, self.columns)
        left = self._BEFORE + column * self._across
        bottom = self._BELOW + (self._rows - 1 - row) * self._down
        return self._parts(left, bottom, 0.88 * self._across, self._down - 0.3)

    def bar(self) -> tuple[float, float, float, float]:
        """Return the place of the colour bar."""
        length = min(5.0, self.height - self._BELOW - self._ABOVE)
        return self._parts(self.width - self._BEHIND + 0.1, (self.height - length) / 2, 0.15, length)

    def _parts(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        return left / self.width, bottom / self.height, width / self.width, height / self.height


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
