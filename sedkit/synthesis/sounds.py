"""The procedural sound sources: ten domestic classes, and a few more for sets of isolated clips.

A *source* (one dog, one blender) is a set of drawn parameters; each rendering of it differs in what the source does,
not in what it is. Two sources with the same parameters are one recording, so a data set must not use one on both its
training and its reported side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import instruments, machines, objects, voices
from .signals import Signal, ramps, unit_rms

Parameters = dict[str, float]


@dataclass(frozen=True)
class Kind:
    """How one class of sound is made.

    Parameters
    ----------
    draw
        Draws the parameters of a new source.
    render
        ``render(parameters, rng, n, rate)``: `n` samples of it.
    seconds
        Shortest and longest event.
    """

    draw: Callable[[np.random.Generator], Parameters]
    render: Callable[[Parameters, np.random.Generator, int, int], Signal]
    seconds: tuple[float, float]


DOMESTIC: dict[str, Kind] = {
    "Alarm_bell_ringing": Kind(objects.draw_alarm, objects.render_alarm, (0.8, 6.0)),
    "Blender": Kind(machines.draw_blender, machines.render_blender, (2.0, 9.0)),
    "Cat": Kind(voices.draw_cat, voices.render_cat, (0.5, 2.5)),
    "Dishes": Kind(objects.draw_dishes, objects.render_dishes, (0.4, 3.0)),
    "Dog": Kind(voices.draw_dog, voices.render_dog, (0.4, 3.0)),
    "Electric_shaver_toothbrush": Kind(machines.draw_shaver, machines.render_shaver, (2.5, 9.0)),
    "Frying": Kind(objects.draw_frying, objects.render_frying, (3.0, 9.5)),
    "Running_water": Kind(objects.draw_water, objects.render_water, (2.0, 9.0)),
    "Speech": Kind(voices.draw_speech, voices.render_speech, (0.6, 4.0)),
    "Vacuum_cleaner": Kind(machines.draw_vacuum, machines.render_vacuum, (3.0, 9.5)),
}

OTHER: dict[str, Kind] = {
    "clock_tick": Kind(objects.draw_clock, objects.render_clock, (2.0, 5.0)),
    "crickets": Kind(objects.draw_crickets, objects.render_crickets, (2.0, 5.0)),
    "rain": Kind(objects.draw_rain, objects.render_rain, (4.0, 5.0)),
    "door_wood_knock": Kind(objects.draw_knock, objects.render_knock, (1.0, 4.0)),
    "siren": Kind(objects.draw_siren, objects.render_siren, (2.0, 5.0)),
    "engine": Kind(machines.draw_engine, machines.render_engine, (3.0, 5.0)),
    "bass_drum": Kind(instruments.BASS_DRUM.draw, instruments.BASS_DRUM.render, (0.4, 2.5)),
    "snare_drum": Kind(instruments.SNARE_DRUM.draw, instruments.SNARE_DRUM.render, (0.3, 2.5)),
    "hi_hat": Kind(instruments.HI_HAT.draw, instruments.HI_HAT.render, (0.3, 2.5)),
    "cowbell": Kind(instruments.COWBELL.draw, instruments.COWBELL.render, (0.3, 2.5)),
    "glockenspiel": Kind(instruments.GLOCKENSPIEL.draw, instruments.GLOCKENSPIEL.render, (0.8, 4.0)),
    "flute": Kind(instruments.FLUTE.draw, instruments.FLUTE.render, (0.8, 5.0)),
    "clarinet": Kind(instruments.CLARINET.draw, instruments.CLARINET.render, (0.8, 5.0)),
}


def render_event(kind: Kind, parameters: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
    """One event of a source: `n` samples, faded at both ends over a few milliseconds, root mean square 1."""
    x = kind.render(parameters, rng, n, rate)[:n]
    return unit_rms(x * ramps(len(x), rate, 0.004, 0.01))
