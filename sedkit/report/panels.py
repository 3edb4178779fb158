"""Parts of figures: images over time, classes and events as rows, and what marks the classes that are present.

Present classes are told by weight and a sign, not by colour alone; maps read the same in grey.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.features.frontends import FrontEnd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text

    from sedkit.report.subject import Span, Subject

Floats = NDArray[np.floating]
#: Maps of levels and of probabilities.
LEVELS, PROBABILITIES = "magma", "viridis"
PRESENT, PRESENT_SIGN = "#a63603", "●"
#: Of systems drawn together: colours that the colour-blind tell apart (Okabe and Ito), hatches and dashes for print.
SYSTEM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
SYSTEM_HATCHES = ("", "///", "...", "xxx")
SYSTEM_MARKERS = ("o", "s", "^", "D")
SYSTEM_DASHES = ("solid", "dashed", "dashdot", "dotted")
TRUTH_COLOUR = "0.75"
_OCTAVES_HZ = 62.5 * 2.0 ** np.arange(10)
#: Of the axis: octaves of low frequencies that lie closer to the next higher one have no room for their names.
_APART = 0.1
_BAR_INCHES = 0.13


def figure_class() -> type[Figure]:
    """Return matplotlib's figures; SedkitError where it is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise SedkitError(
            f"figures are drawn by matplotlib, which cannot be imported ({error}); `pip install 'matplotlib>=3.8'`"
        ) from None
    return Figure


def new_figure(width: float, height: float, title: str, arranged: bool = True) -> Figure:
    """Return an empty figure of so many inches; where `arranged`, matplotlib makes room for its texts."""
    figure = figure_class()(figsize=(width, height), layout="constrained" if arranged else None)
    figure.suptitle(title, fontsize=11)
    return figure


def readable(label: str) -> str:
    """Return a class name for people."""
    return label.replace("_", " ")


def marked(label: str, present: bool) -> str:
    """Return a class name, with a sign where the class is present."""
    return f"{PRESENT_SIGN} {readable(label)}" if present else readable(label)


def mark(text: Text, present: bool) -> None:
    """Set the name of a present class in bold and colour."""
    if present:
        text.set(weight="bold", color=PRESENT)


def plain(axes: Axes, across: bool = False) -> None:
    """Leave the frame of a chart at left and bottom, and faint lines to read values by (`across`: upright ones)."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x" if across else "y", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)


def over_time(axes: Axes, subject: Subject, named: bool = True) -> None:
    """Let the horizontal axis be the recording's seconds."""
    axes.set_xlim(0.0, subject.duration_s)
    if named:
        axes.set_xlabel("time (s)")


def image(
    axes: Axes,
    values: Floats,
    within_s: tuple[float, float],
    colours: str,
    scale: tuple[float, float] | None = None,
    label: str | None = None,
    rows: tuple[float, float] | None = None,
    classes: bool = False,
) -> AxesImage:
    """Draw an image over time.

    Parameters
    ----------
    values
        (frames, rows), the first row at the bottom.
    within_s
        Where the first frame begins and the last one ends.
    scale
        Lowest and highest value; None: theirs.
    label
        Of the colour bar; None: no bar.
    rows
        Where the first row begins and the last one ends; None: 0 and their number.
    classes
        Rows are classes, which are never blended; bins and frames are, where there are more of them than pixels.
    """
    box = axes.get_window_extent()
    fits = classes or (values.shape[0] <= box.width and values.shape[1] <= box.height)
    low, high = scale if scale is not None else (float(values.min()), float(values.max()))
    shown = axes.imshow(
        values.T,
        cmap=colours,
        vmin=low,
        vmax=max(high, low + 1e-6),
        origin="lower",
        aspect="auto",
        interpolation="nearest" if fits else "antialiased",
        extent=(*within_s, *((0.0, values.shape[1]) if rows is None else rows)),
    )
    if label is not None:
        aspect = box.height / axes.figure.dpi / _BAR_INCHES
        axes.figure.colorbar(shown, ax=axes, label=label, pad=0.01, fraction=0.05, aspect=aspect)
    return shown


def over_bins(axes: Axes, frontend: FrontEnd, n: int, named: bool = True) -> None:
    """Let the vertical axis be a front end's bins, or `n` equal groups of them, and name octaves in Hz."""
    axes.set_ylim(0, n)
    if named:
        axes.set_ylabel(bins_name(frontend))
    places, hz = octaves(frontend, n)
    if len(hz):
        axes.set_yticks(places, [f"{value:g}" for value in hz])


def octaves(frontend: FrontEnd, n: int) -> tuple[list[float], list[float]]:
    """Return where octaves are on an axis of a front end's bins in `n` equal groups, and their Hz, the highest first.

    There are none on an axis of bands without a spectrogram.
    """
    if frontend.framing is None:
        return [], []
    # The transform's bins, weighted as each band weighs them.
    # A filter between two of the transform's bins has no place of its own.
    filled = np.flatnonzero(frontend.framing.bank.any(axis=0))
    bank = frontend.framing.bank[:, filled]
    hz = np.arange(len(bank)) * (frontend.sample_rate / len(frontend.framing.window))
    centres_hz = hz @ bank / bank.sum(axis=0)
    ticks_hz = _OCTAVES_HZ[(centres_hz[0] <= _OCTAVES_HZ) & (centres_hz[-1] >= _OCTAVES_HZ)]
    places = np.interp(ticks_hz, centres_hz, filled + 0.5) * n / frontend.n_bins
    roomy: list[int] = []
    for k in reversed(range(len(places))):
        if not roomy or places[roomy[-1]] - places[k] >= _APART * n:
            roomy.append(k)
    return [float(places[k]) for k in roomy], [float(ticks_hz[k]) for k in roomy]


def bins_name(frontend: FrontEnd) -> str:
    """Return the name of an axis of a front end's bins."""
    return "band" if frontend.framing is None else "frequency (Hz)"


def over_classes(axes: Axes, subject: Subject, labels: Sequence[str], named: bool = True) -> None:
    """Let the vertical axis be classes, one a row, the first at the top."""
    axes.set_ylim(len(labels), 0)
    if not named:
        axes.set_yticks([])
        return
    places = np.arange(len(labels)) + 0.5
    small = 7 if len(labels) > 20 else 9
    axes.set_yticks(places, [marked(label, subject.is_present(label)) for label in labels], fontsize=small)
    for text, label in zip(axes.get_yticklabels(), labels, strict=True):
        mark(text, subject.is_present(label))


def spans(axes: Axes, events: Sequence[Span], labels: Sequence[str]) -> None:
    """Draw events as bars in the rows of their classes."""
    row = {label: i + 0.5 for i, label in enumerate(labels)}
    places, onsets_s = [row[x.label] for x in events], np.array([x.onset_s for x in events])
    lengths_s = np.array([x.offset_s for x in events]) - onsets_s
    axes.barh(places, lengths_s, left=onsets_s, height=0.8, color="black", linewidth=0)


def shade(axes: Axes, events: Sequence[Span], label: str) -> None:
    """Shade when a class is there."""
    for event in events:
        if event.label == label:
            axes.axvspan(event.onset_s, event.offset_s, color="0.8", linewidth=0)


class Grid:
    """Places of panels, row by row from the top, in parts of a figure of `width` by `height` inches.

    With 41 classes panels that are placed by hand, of which only the outer ones have ticks, take a third of the time.
    """

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

    def outer(self, k: int, n: int) -> tuple[bool, bool]:
        """Tell whether the k-th of n panels is the first of its row, and the last of its column."""
        return k % self.columns == 0, k + self.columns >= n

    def bar(self) -> tuple[float, float, float, float]:
        """Return the place of the colour bar."""
        length = min(5.0, self.height - self._BELOW - self._ABOVE)
        return self._parts(self.width - self._BEHIND + 0.1, (self.height - length) / 2, 0.15, length)

    def _parts(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        return left / self.width, bottom / self.height, width / self.width, height / self.height
