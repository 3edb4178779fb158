"""Mixtures of a tone of 1 kHz from 2 s to 4 s and faint noise, and where things are in pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
from fake_data import LABELS
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Events, tags_of

RATE, SECONDS, FRAMES = 8000, 6.0, 600
NAMES = ("00000.wav", "00012.wav", "00013.wav")


def tone() -> NDArray[np.float64]:
    """Half of full scale, on a frequency of transforms of 256 samples."""
    t = np.arange(round(RATE * SECONDS)) / RATE
    return np.where((t >= 2) & (t < 4), 0.5 * np.sin(2 * np.pi * 1000 * t), 0.0)


def noise() -> NDArray[np.float64]:
    return np.random.default_rng(0).normal(0, 0.01, round(RATE * SECONDS))


def make_mixtures(folder: Path, labels: tuple[str, ...] = LABELS) -> Path:
    """A rendered set, snr0, in which every recording is the same."""
    for name in NAMES:
        stems = folder / "snr0.stems" / name.removesuffix(".wav")
        stems.mkdir(parents=True)
        sounds = {stems / f"{labels[-1]}.wav": tone(), stems / "scene.wav": noise()}
        (folder / "snr0.audio").mkdir(exist_ok=True)
        for path, x in (sounds | {folder / "snr0.audio" / name: tone() + noise()}).items():
            soundfile.write(path, x, RATE, subtype="PCM_16")
    events = Events.from_rows([(name, 2.0, 4.0, labels[-1]) for name in NAMES], labels)
    audio = tuple(f"../snr0.audio/{name}" for name in NAMES)
    clips = Clips(NAMES, audio, np.full(len(NAMES), SECONDS), ("1", "1", "2"))
    write_datadir(folder / "snr0", clips, Vocabulary(labels), weak=tags_of(events), strong=events)
    return folder / "snr0"


def named(figure: Figure, title: str) -> Axes:
    """The one panel whose title begins so."""
    (axes,) = [axes for axes in all_axes(figure) if axes.get_title().startswith(title)]
    return axes


def all_axes(figure: Figure) -> list[Axes]:
    return [
        axes for part in (figure, *figure.subfigs) for axes in part.axes if part is figure or axes not in figure.axes
    ]


def at(axes: Axes, x: float, y: float) -> float:
    """The value that a panel's image shows at a place of its axes."""
    (image,) = axes.images
    left, right, bottom, top = image.get_extent()
    values = image.get_array()
    row, column = (y - bottom) / (top - bottom) * len(values), (x - left) / (right - left) * values.shape[1]
    return float(values[int(row), int(column)])


def bars(axes: Axes) -> list[tuple[float, float, int]]:
    """Onset, offset and row of the bars of events."""
    return [(p.get_x(), round(p.get_x() + p.get_width(), 9), int(p.get_y() + p.get_height() / 2)) for p in axes.patches]
