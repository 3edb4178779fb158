"""From placed events and a background to one clip: levels, room, microphone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .signals import Curve, Signal, add_at, gain_of_curve, rms, transform_size


@dataclass(frozen=True)
class Room:
    """What lies between the sources and the file.

    Parameters
    ----------
    reverberation_s
        Time in which the reverberation falls by 60 dB; 0 for a dry clip.
    wet
        Level of the reverberation relative to the direct sound (amplitude).
    curve
        Response of the microphone, dB over Hz, on sources and background alike; None for a flat one.
    """

    reverberation_s: float = 0.0
    wet: float = 0.0
    curve: Curve | None = None


@dataclass(frozen=True)
class Placed:
    """An event in a clip: its samples (root mean square 1), where it starts, its level over the background in dB."""

    x: Signal
    onset: int
    snr_db: float


def track_of(events: Iterable[Placed], n: int, floor: float) -> Signal:
    """Return the sum of events over a background whose root mean square is `floor`, `(n,)`; what lies beyond is cut."""
    track = np.zeros(n, dtype=np.float32)
    for event in events:
        add_at(track, event.onset, event.x, floor * 10.0 ** (event.snr_db / 20.0))
    return track


def mix(
    events: list[Placed], background: Signal, room: Room, rng: np.random.Generator, rate: int, level: float
) -> Signal:
    """Mix one clip.

    Parameters
    ----------
    events
        Their `snr_db` holds before the room: ratio of the root mean square of event and background.
    background
        `(samples,)`, the length of the clip.
    room
        Applied to the sum of the events; its microphone also to the background.
    rng
        For the reverberation's fine structure.
    rate
        Sample rate in Hz.
    level
        Root mean square of the background in the file (full scale 1), lowered where the clip would pass full scale.

    Returns
    -------
    Signal
        `(samples,)`, within ±0.98.
    """
    from scipy import fft

    n = len(background)
    floor = rms(background)
    dry = track_of(events, n, floor)
    if room.curve is None and room.reverberation_s == 0.0:
        clip = dry + background
    else:
        size = transform_size(n + int(room.reverberation_s * rate) + rate // 20)
        response = 1.0 if room.reverberation_s == 0.0 else fft.rfft(_impulse_response(room, rng, rate), size)
        spectrum = fft.rfft(dry, size) * response + fft.rfft(background, size)
        if room.curve is not None:
            spectrum *= gain_of_curve(room.curve, size // 2 + 1, rate)
        clip = fft.irfft(spectrum, size)[:n]
    clip *= np.float32(level / floor)
    peak = float(np.abs(clip).max())
    return clip if peak <= 0.98 else clip * np.float32(0.98 / peak)


def _impulse_response(room: Room, rng: np.random.Generator, rate: int) -> Signal:
    """Direct sound, then decaying noise from 3 ms on whose energy is `wet` squared."""
    n = int(room.reverberation_s * rate)
    tail = rng.standard_normal(n, dtype=np.float32)
    tail *= np.exp(np.float32(-6.91 / n) * np.arange(n, dtype=np.float32))
    tail[: int(0.003 * rate)] = 0.0
    tail *= np.float32(room.wet / np.sqrt(np.sum(tail**2)))
    tail[0] = 1.0
    return tail
