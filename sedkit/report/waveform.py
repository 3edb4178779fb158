"""A recording: its events, waveform and spectrogram, and where its events are louder than the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.features.frontends import FrontEnd
from sedkit.report.panels import LEVELS, PROBABILITIES, Floats, image, new_figure, over_classes, over_time, spans
from sedkit.report.subject import Subject
from sedkit.synthesis.mixture_set import SCENE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is further below the loudest bin is drawn as that.
_RANGE_DB = 80.0


def waveform(subject: Subject) -> Figure | None:
    """Draw events (where known), waveform, log spectrogram and ideal ratio mask (where stems are there)."""
    present = [label for label in subject.labels if subject.truth and label in {x.label for x in subject.truth}]
    heights = [0.5 + 0.25 * len(present)] * bool(present) + [1.2, 2.2] + [2.2] * (subject.stems is not None)
    figure = new_figure(9, 0.7 + 1.05 * sum(heights), subject.filename)
    panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    if present:
        axes = panels.pop(0)
        spans(axes, subject.truth or (), present)
        over_classes(axes, subject, present)
        axes.set_title("events")
    axes = panels.pop(0)
    times_s = np.arange(len(subject.waveform)) / subject.frontend.sample_rate
    axes.plot(times_s, subject.waveform, color="black", linewidth=0.3)
    axes.set(title="waveform", ylabel="amplitude")
    axes = panels.pop(0)
    levels = 20 * np.log10(np.maximum(magnitudes(subject.frontend, subject.waveform), 1e-10))
    loudest = float(levels.max())
    _over_hz(axes, subject, levels, LEVELS, (loudest - _RANGE_DB, loudest), "level (dB)")
    axes.set_title("spectrogram")
    if subject.stems is not None:
        axes = panels.pop(0)
        _over_hz(axes, subject, ideal_ratio_mask(subject), PROBABILITIES, (0.0, 1.0), "events / (events + scene)")
        axes.set_title("ideal ratio mask of the events")
    over_time(axes, subject)
    return figure


def _over_hz(axes: Axes, subject: Subject, values: Floats, colours: str, scale: tuple[float, float], bar: str) -> None:
    """Draw a spectrogram on its seconds and kHz."""
    half_s = _framing(subject.frontend)[1] / subject.frontend.sample_rate / 2
    within_s = (-half_s, (2 * len(values) - 1) * half_s)
    image(axes, values, within_s, colours, scale, bar, top=subject.frontend.sample_rate / 2000)
    axes.set_ylabel("frequency (kHz)")


def _framing(frontend: FrontEnd) -> tuple[NDArray[np.float64], int]:
    """Return the window and the hop of a front end, or usual ones where it has no spectrogram."""
    framing = frontend.framing
    return (np.hanning(2048), 1024) if framing is None else (framing.window, framing.hop_samples)


def magnitudes(frontend: FrontEnd, waveform: NDArray[np.float32]) -> Floats:
    """Return the magnitude spectrogram (frames, frequencies from 0 to half the rate), as the front end cuts it.

    Frame k is centred on sample k times the hop, so that the first and last are half outside.
    """
    from scipy.signal import stft

    window, hop = _framing(frontend)
    padded = np.pad(waveform, (0, max(0, len(window) - len(waveform))))
    spectrum = stft(padded, window=window, nperseg=len(window), noverlap=len(window) - hop)[2]
    return np.abs(spectrum.T).astype(np.float32)


def ideal_ratio_mask(subject: Subject) -> Floats:
    """Return E / (E + S), of the magnitude spectrograms of all events and of the scene; 0 where there is no sound."""
    assert subject.stems is not None
    silence = np.zeros_like(subject.waveform)
    events = np.sum([silence, *(x for name, x in subject.stems.items() if name != SCENE)], axis=0)
    of_events, of_scene = (magnitudes(subject.frontend, x) for x in (events, subject.stems[SCENE]))
    both = of_events + of_scene
    return np.divide(of_events, both, out=np.zeros_like(both), where=both > 0)
