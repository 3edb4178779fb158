"""Instruments: struck bodies (drums, cymbals, bells) and pipes that are blown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .signals import Signal, add_at, modes, ramps, shaped_noise, unit_rms

Parameters = dict[str, float]
Range = tuple[float, float]


def _between(rng: np.random.Generator, limits: Range) -> float:
    """Draw from a range, evenly over its logarithm."""
    return float(np.exp(rng.uniform(*np.log(limits))))


@dataclass(frozen=True)
class Struck:
    """A body that is struck: modes that decay, and the noise of the stroke or of snares and plates.

    Attributes
    ----------
    pitch_hz, decay_s
        Of the lowest mode; the decay is that to 1/e.
    ratios
        Frequencies of the modes over that of the lowest. Modes decay faster the higher they are.
    noise
        Level of the noise over that of the modes (amplitude).
    noise_hz, noise_s
        Middle of its band and its decay.
    strokes_per_s
        How often it is struck.
    """

    pitch_hz: Range
    decay_s: Range
    ratios: tuple[float, ...]
    noise: Range
    noise_hz: Range
    noise_s: Range
    strokes_per_s: Range

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Draw one instrument and its player."""
        names = ("pitch_hz", "decay_s", "noise", "noise_hz", "noise_s", "strokes_per_s")
        return {name: _between(rng, getattr(self, name)) for name in names}

    def render(self, p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
        """Render strokes of nearly even times, the first at the start."""
        out = np.zeros(n, dtype=np.float32)
        length = min(n, int(rate * 5 * max(p["decay_s"], p["noise_s"])))
        ratios = np.array(self.ratios)
        body = modes(p["pitch_hz"] * ratios, p["decay_s"] / ratios**0.7, 1 / ratios**0.5, length, rate)
        fall = np.exp(-np.arange(length, dtype=np.float32) / np.float32(rate * p["noise_s"]))
        band = ([p["noise_hz"] / 8, p["noise_hz"] / 2, p["noise_hz"] * 1.5, 20000], [-50, 0, 0, -18])
        position = 0
        while position < n:
            noise = shaped_noise(rng, length, rate, band) * fall
            add_at(out, position, body + np.float32(p["noise"]) * noise, rng.uniform(0.6, 1.0))
            position += int(rate / p["strokes_per_s"] * rng.uniform(0.9, 1.1))
        return out


@dataclass(frozen=True)
class Blown:
    """A pipe that is blown: harmonics and breath, one note after another.

    Attributes
    ----------
    pitch_hz
        Of the lowest note.
    harmonics
        Amplitudes, the fundamental's first.
    breath
        Level of the breath's noise over the tone's (amplitude).
    notes_per_s
        Tempo.
    """

    pitch_hz: Range
    harmonics: tuple[float, ...]
    breath: Range
    notes_per_s: Range

    def draw(self, rng: np.random.Generator) -> Parameters:
        """Draw one instrument and its player."""
        own = {name: _between(rng, getattr(self, name)) for name in ("pitch_hz", "breath", "notes_per_s")}
        return own | {"vibrato_hz": float(rng.uniform(4, 6.5)), "vibrato": float(rng.uniform(0.0, 0.012))}

    def render(self, p: Parameters, rng: np.random.Generator, n: int, rate: int) -> Signal:
        """Render a melody on a major scale."""
        frequency, envelope = np.zeros(n, dtype=np.float64), np.zeros(n, dtype=np.float32)
        position = 0
        while position < n:
            length = max(2, min(n - position, int(rate / p["notes_per_s"] * rng.uniform(0.7, 1.6))))
            note = slice(position, position + length)
            frequency[note] = p["pitch_hz"] * 2.0 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
            envelope[note] = rng.uniform(0.6, 1.0) * ramps(length, rate, 0.03, 0.04)[: n - position]
            position += length
        wave = 1.0 + p["vibrato"] * np.sin(2 * np.pi * p["vibrato_hz"] * np.arange(n) / rate)
        phase = 2 * np.pi * np.cumsum(frequency * wave) / rate
        tone = sum(gain * np.sin(k * phase) for k, gain in enumerate(self.harmonics, start=1))
        centre = p["pitch_hz"] * 3
        breath = shaped_noise(rng, n, rate, ([50, centre / 3, centre, centre * 4, 20000], [-40, -10, 0, -12, -30]))
        return envelope * (unit_rms(np.asarray(tone, dtype=np.float32)) + np.float32(p["breath"]) * breath)


BASS_DRUM = Struck((42, 75), (0.12, 0.3), (1.0, 1.6, 2.3), (0.05, 0.2), (300, 900), (0.01, 0.03), (1.2, 3.0))
SNARE_DRUM = Struck((160, 240), (0.05, 0.1), (1.0, 1.6, 2.2), (0.8, 2.0), (2500, 5000), (0.08, 0.16), (2.0, 6.0))
HI_HAT = Struck((4200, 7000), (0.02, 0.05), (1.0, 1.34, 1.67), (2.0, 5.0), (9000, 12000), (0.02, 0.2), (2.0, 8.0))
COWBELL = Struck((500, 650), (0.06, 0.15), (1.0, 1.48, 2.1, 3.3), (0.05, 0.2), (2500, 4500), (0.01, 0.03), (1.5, 5.0))
GLOCKENSPIEL = Struck((1050, 3200), (0.4, 1.2), (1.0, 2.76, 5.4), (0.02, 0.08), (6000, 9000), (0.004, 0.01), (1.0, 4.0))
FLUTE = Blown((500, 900), (1.0, 0.25, 0.08, 0.02), (0.08, 0.25), (1.0, 4.0))
CLARINET = Blown((150, 350), (1.0, 0.03, 0.6, 0.03, 0.4, 0.03, 0.25, 0.02, 0.12), (0.01, 0.05), (1.0, 4.0))
