"""Soundscapes as Scaper 1.6.5 makes them, written anew from its described sequence of calls.

Per soundscape: of the background and of each event the slice that is needed is read in double precision, mixed down,
its loudness measured, and it is brought to the reference level or so much above it; events get short fades and are
padded to the whole length; all are added up and written with soundfile, beside a JSON and a text annotation. Loudness
is that of ITU-R BS.1770-4: two filters with scipy's lfilter, blocks of 0.4 s that overlap by 75 %, two gates.

Scaper itself also draws from the distributions, runs sox for each effect and validates its JAMS file.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from scipy.signal import lfilter

#: Loudness of the background, LUFS, and length of a fade in seconds.
REFERENCE_LUFS, FADE_S = -30.0, 0.01


class Event(NamedTuple):
    """What sounds when: its file and label, onset and length in seconds, dB over the background."""

    path: Path
    label: str
    onset: float
    length_s: float
    snr_db: float


def _shelf(f: float, q: float, gain_db: float, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """High shelf of the recommendation by the bilinear transform (De Man 2014), for any rate."""
    k, high = np.tan(np.pi * f / rate), 10 ** (gain_db / 20)
    band = high**0.4996667741545416
    a0 = 1 + k / q + k * k
    b = np.array([high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]) / a0
    return b, np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])


def _high_pass(f: float, q: float, rate: int) -> tuple[np.ndarray, np.ndarray]:
    k = np.tan(np.pi * f / rate)
    a0 = 1 + k / q + k * k
    return np.array([1.0, -2.0, 1.0]), np.array([1.0, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0])


@functools.cache
def _filters(rate: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [
        _shelf(1681.974450955533, 0.7071752369554196, 3.999843853973347, rate),
        _high_pass(38.13547087602444, 0.5003270373238773, rate),
    ]


def loudness(x: np.ndarray, rate: int) -> float:
    """Integrated loudness of one channel, LUFS; what is shorter than a block counts as one."""
    for b, a in _filters(rate):
        x = lfilter(b, a, x)
    block, hop = min(round(0.4 * rate), len(x)), round(0.1 * rate)
    power = np.array([np.mean(np.square(x[i : i + block])) for i in range(0, len(x) - block + 1, hop)])
    levels = -0.691 + 10 * np.log10(np.maximum(power, 1e-20))
    loud = levels > -70.0
    if not loud.any():
        return -np.inf
    loud &= levels > -0.691 + 10 * np.log10(power[loud].mean()) - 10.0
    return float(-0.691 + 10 * np.log10(power[loud].mean()))


def _slice(path: Path, length_s: float, rate: int) -> np.ndarray:
    """Read the first seconds of a file."""
    x, _ = soundfile.read(path, frames=round(length_s * rate), always_2d=True)
    return x.mean(axis=1)


def soundscape(out: Path, scene: Path, events: Sequence[Event], length_s: float, rate: int) -> None:
    """Write one soundscape and what is in it (`.json`, `.txt`)."""
    n = round(length_s * rate)
    ground = _slice(scene, length_s, rate)
    tracks, fade = [ground * 10 ** ((REFERENCE_LUFS - loudness(ground, rate)) / 20)], round(FADE_S * rate)
    ramp = np.sin(0.5 * np.pi * np.arange(fade) / fade) ** 2
    for event in events:
        x = _slice(event.path, event.length_s, rate)
        x *= 10 ** ((REFERENCE_LUFS + event.snr_db - loudness(x, rate)) / 20)
        x[:fade] *= ramp
        x[-fade:] *= ramp[::-1]
        first = round(event.onset * rate)
        tracks.append(np.pad(x, (first, n))[:n])
    soundfile.write(out, np.sum(tracks, axis=0), rate, subtype="PCM_16")
    rows = [(e.onset, e.onset + e.length_s, e.label) for e in events]
    out.with_suffix(".txt").write_text("".join(f"{a}\t{b}\t{label}\n" for a, b, label in rows))
    annotation = [
        {
            "time": event.onset,
            "duration": event.length_s,
            "value": {"label": event.label, "source_file": str(event.path), "snr": event.snr_db},
            "confidence": 1.0,
        }
        for event in events
    ]
    about = {"file_metadata": {"duration": length_s}, "annotations": [{"namespace": "scaper", "data": annotation}]}
    out.with_suffix(".json").write_text(json.dumps(about, indent=2))
