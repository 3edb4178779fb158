"""What was detected in a recording, a picture a minute: its spectrogram, the events as lanes, the curves of classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.core.files import atomic_path
from sedkit.dataio.audio import read_excerpt
from sedkit.dataio.event_formats import Detected
from sedkit.dataio.scores import Scores
from sedkit.features.frontends.logmel import LogMel
from sedkit.report.figures import save
from sedkit.report.panels import LEVELS, image, new_figure, over_bins, readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of a picture.
PAGE_S = 60.0
#: Curves and lanes, the classes with events first, then those with the highest scores.
_CLASSES = 6
#: What is further below the loudest bin is drawn as that.
_RANGE_DB = 70.0
_DPI = 110
#: What a picture shows is the sound, whatever the network listens to.
_PICTURE = LogMel(sample_rate=16000, n_fft=512, hop_samples=160, n_mels=96, fmin_hz=50.0, fmax_hz=None, clip_s=None)


def pages_of(duration_s: float) -> list[tuple[float, float]]:
    """Return begin and end of each picture of a recording, seconds; a rest of under a second goes with the last one.

    >>> pages_of(60.4), pages_of(70)
    ([(0.0, 60.4)], [(0.0, 60.0), (60.0, 70)])
    """
    n = max(1, math.ceil((duration_s - 1.0) / PAGE_S))
    return [(k * PAGE_S, duration_s if k == n - 1 else (k + 1) * PAGE_S) for k in range(n)]


def draw(path: Path, scores: Scores, detected: Detected, picture: Path) -> None:
    """Draw a recording as `NAME.png` and, where it is longer than a minute, `NAME.2.png` and so on.

    Parameters
    ----------
    path
        The recording, of which a minute at a time is read.
    scores, detected
        Of this recording alone.
    picture
        The first picture.
    """
    for k, (begin_s, end_s) in enumerate(pages_of(float(scores.duration_s[0])), 1):
        first, last = round(begin_s * _PICTURE.sample_rate), round(end_s * _PICTURE.sample_rate)
        waveform = read_excerpt(path, _PICTURE.sample_rate, first, last - first)
        figure = _page(waveform, scores, detected, (begin_s, end_s))
        with atomic_path(picture if k == 1 else picture.with_name(f"{picture.stem}.{k}.png")) as aside:
            save(figure, aside, _DPI)


def _page(waveform: NDArray[np.float32], scores: Scores, detected: Detected, within_s: tuple[float, float]) -> Figure:
    """Draw a stretch of a recording."""
    events = [
        (label, onset_s, offset_s)
        for _, onset_s, offset_s, label in detected.events.rows()
        if label is not None and onset_s is not None and offset_s is not None
        if onset_s < within_s[1] and offset_s > within_s[0]
    ]
    edges_s = scores.edges(0)
    shown = np.flatnonzero((edges_s[:-1] < within_s[1]) & (edges_s[1:] > within_s[0]))
    curves = scores.framewise[0, shown]
    highest = curves.max(axis=0, initial=0.0)
    active = {label for label, _, _ in events}
    ranked = sorted(range(len(scores.labels)), key=lambda k: (scores.labels[k] not in active, -highest[k]))
    chosen = sorted(ranked[: max(_CLASSES, len(active))])
    labels = [scores.labels[k] for k in chosen]

    heights = [2.4, 0.5 + 0.22 * len(labels), 1.8]
    figure = new_figure(12, sum(heights) + 0.8, scores.filenames[0])
    spectrogram, lanes, curve = figure.subplots(3, 1, sharex=True, height_ratios=heights)
    _spectrogram(spectrogram, waveform, within_s)
    colours = [f"C{k % 10}" for k in range(len(labels))]
    for row, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        bars = [(onset_s, offset_s - onset_s) for event, onset_s, offset_s in events if event == label]
        lanes.broken_barh(bars, (row + 0.1, 0.8), color=colour, linewidth=0)
    lanes.set_yticks(np.arange(len(labels)) + 0.5, [readable(label) for label in labels], fontsize=8)
    lanes.set_ylim(len(labels), 0)
    lanes.set_title("detected events", fontsize=9)
    if len(shown):
        times_s = np.append(edges_s[shown], edges_s[shown[-1] + 1])
        for k, label, colour in zip(chosen, labels, colours, strict=True):
            values = scores.framewise[0, shown, k]
            curve.stairs(values, times_s, color=colour, baseline=None, label=readable(label))
    curve.set(ylim=(0.0, 1.05 * max(0.1, float(highest.max(initial=0.0)))), ylabel="score", xlabel="time (s)")
    curve.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7, frameon=False)
    curve.set_xlim(*within_s)
    return figure


def _spectrogram(axes: Axes, waveform: NDArray[np.float32], within_s: tuple[float, float]) -> None:
    levels = _PICTURE.transform(waveform[None], "single")[0]
    loudest = float(levels.max())
    image(axes, levels, within_s, LEVELS, (max(loudest - _RANGE_DB, -100.0), loudest))
    over_bins(axes, _PICTURE, levels.shape[1])
