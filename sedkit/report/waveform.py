"""A recording: its events, waveform and spectrogram, and where its events are louder than the scene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sedkit.features.frontends import FrontEnd
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.separation import Separator
from sedkit.report.panels import LEVELS, PROBABILITIES, Floats, image, new_figure, over_classes, over_time, spans
from sedkit.report.subject import Subject
from sedkit.synthesis.mixture_set import SCENE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: What is further below the loudest bin is drawn as that; so are the quietest 5 % of the bins.
RANGE_DB = 80.0


def waveform(subject: Subject) -> Figure:
    """Draw events (where known), waveform, log spectrogram and ideal ratio mask (where stems are there)."""
    present = [label for label in subject.labels if subject.truth and label in {x.label for x in subject.truth}]
    heights = [0.5 + 0.25 * len(present)] * bool(present) + [1.2, 2.6] + [2.6] * (subject.stems is not None)
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
    lowest = max(loudest - RANGE_DB, float(np.percentile(levels, 5)))
    _over_hz(axes, subject, levels, LEVELS, (lowest, loudest), "level (dBFS)")
    axes.set_title("spectrogram")
    if subject.stems is not None:
        axes = panels.pop(0)
        _over_hz(axes, subject, ideal_ratio_mask(subject), PROBABILITIES, (0.0, 1.0), "events / (events + scene)")
        axes.set_title("ideal ratio mask")
    over_time(axes, subject)
    return figure


def _over_hz(axes: Axes, subject: Subject, values: Floats, colours: str, scale: tuple[float, float], bar: str) -> None:
    """Draw a spectrogram on its seconds and kHz."""
    frontend = with_spectrogram(subject.frontend)
    assert frontend.framing is not None
    half_s = frontend.framing.hop_samples / frontend.sample_rate / 2
    centres_s = Separator(frontend).centres_s(len(subject.waveform))
    half_khz, top_khz = np.array([0.5 / (values.shape[1] - 1), 1.0]) * frontend.sample_rate / 2000
    within_s = (float(centres_s[0] - half_s), float(centres_s[-1] + half_s))
    image(axes, values, within_s, colours, scale, bar, (-half_khz, top_khz + half_khz))
    axes.set_ylim(0.0, top_khz)
    axes.set_ylabel("frequency (kHz)")


def with_spectrogram(frontend: FrontEnd) -> FrontEnd:
    """Return a front end, or a usual one at its rate where it has no spectrogram."""
    if frontend.framing is not None:
        return frontend
    return LogMel(sample_rate=frontend.sample_rate, n_fft=2048, hop_samples=1024, n_mels=1, fmax_hz=None)


def magnitudes(frontend: FrontEnd, waveform: NDArray[np.float32]) -> Floats:
    """Return the magnitude spectrogram (frames, frequencies from 0 to half the rate): 1 of a sine of full scale."""
    cut = Separator(with_spectrogram(frontend))
    return np.abs(cut.spectrogram(waveform)) / cut.full_scale


def ideal_ratio_mask(subject: Subject) -> Floats:
    """Return E / (E + S), of the magnitude spectrograms of all events and of the scene; 0 where there is no sound."""
    assert subject.stems is not None
    pair = (sum_of_events(subject), subject.stems[SCENE])
    of_events, of_scene = (magnitudes(subject.frontend, x) for x in pair)
    both = of_events + of_scene
    return np.divide(of_events, both, out=np.zeros_like(both), where=both > 0)


def sum_of_events(subject: Subject) -> NDArray[np.float32]:
    """Return the waveform of a mixture's events without its scene, (samples,)."""
    assert subject.stems is not None
    silence = np.zeros_like(subject.waveform)
    events: NDArray[np.float32] = np.sum([silence, *(x for k, x in subject.stems.items() if k != SCENE)], axis=0)
    return events
