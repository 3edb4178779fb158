"""A generated copy of MAESTRO Real in small: scenes of two to three minutes, and what five people heard in them.

Recordings bear the true ones' names, so that the official lists divide them. In each the sounds of its scene come and
go, several at a time. As for the true set, every window of ten seconds, one a second, is tagged by five people; the
soft label of a second is the share of these opinions that heard the class, over the windows that hold the second.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.files import write_text
from sedkit.core.parallel import run_jobs
from sedkit.core.registry import NoOptions
from sedkit.dataio.audio import write_wav
from sedkit.datasets.maestro import AUDIO, SCENES, TRACKS, recordings
from sedkit.datasets.miniature import SAMPLE_RATE_HZ, pcm16, scale_of
from sedkit.datasets.registry import register_miniature
from sedkit.synthesis.backgrounds import HOME
from sedkit.synthesis.render import Placed, Room, mix
from sedkit.synthesis.signals import Signal
from sedkit.synthesis.sounds import DOMESTIC, OTHER, render_event

#: Class of MAESTRO Real to the procedural sound that stands for it.
SOUNDS = {
    "cutlery and dishes": "Dishes",
    "furniture dragging": "bass_drum",
    "people talking": "Speech",
    "children voices": "Cat",
    "coffee machine": "Blender",
    "footsteps": "door_wood_knock",
    "large_vehicle": "engine",
    "car": "Vacuum_cleaner",
    "brakes_squeaking": "flute",
    "cash register beeping": "Alarm_bell_ringing",
    "announcement": "Speech",
    "shopping cart": "clock_tick",
    "metro leaving": "siren",
    "metro approaching": "siren",
    "door opens/closes": "snare_drum",
    "wind_blowing": "rain",
    "birds_singing": "crickets",
}
#: What is heard in a scene.
HEARD = {
    "cafe_restaurant": ("cutlery and dishes", "furniture dragging", "people talking", "coffee machine", "footsteps"),
    "city_center": ("car", "large_vehicle", "brakes_squeaking", "footsteps", "people talking"),
    "grocery_store": ("cash register beeping", "shopping cart", "announcement", "children voices", "people talking"),
    "metro_station": ("metro approaching", "metro leaving", "door opens/closes", "announcement", "footsteps"),
    "residential_area": ("birds_singing", "wind_blowing", "car", "children voices", "footsteps"),
}
#: Level over the length of an event, from its onset to its offset.
SWELLS = {"metro approaching": (0.1, 1.0), "metro leaving": (1.0, 0.1)}
#: Recordings of each scene in the small set that are for training, and that are for validation.
TRAINING, VALIDATION = 2, 1
#: Length of a recording, and level of an event over the background, dB.
SECONDS, SNR_DB = (120.0, 180.0), (3.0, 20.0)
#: Fewest and most events of a class in a recording, and how much longer they are than in clips of ten seconds.
EVENTS, STRETCH = (2, 5), (1.0, 2.5)
BACKGROUND_LEVEL = (0.004, 0.015)
#: Those who tag a window of `WINDOW_S`, who overhear an event now and then, and seldom hear one that is not there.
PEOPLE, WINDOW_S, ATTENTIVE, MISTAKEN = 5, 10, (0.7, 1.0), 0.01
#: Seconds of an event in a window from which all who are attentive hear it.
CLEARLY_S = 2.0
#: Spawn key that sets these seeds apart from the other miniatures' of the same number.
_SEED_BRANCH = 23


@dataclass(frozen=True)
class RecordingPlan:
    """A recording before it is rendered."""

    scene: str
    name: str
    seed: np.random.SeedSequence


@register_miniature("maestro")
def generate(root: Path, options: NoOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder; in `size` the training recordings count, of which there are 33 at most."""
    plans = plan(seed, scale_of(size, TRAINING * len(SCENES)))
    for scene in SCENES:
        (root / AUDIO / scene).mkdir(parents=True)
        (root / TRACKS / f"soft_labels_{scene}").mkdir(parents=True)
    run_jobs(partial(render_recording, root=root), plans, jobs, "miniature maestro")
    parts = [recordings()[plan.name][0] for plan in plans]
    return {part: parts.count(part) for part in ("train", "validation")}


def plan(seed: int, scale: float) -> list[RecordingPlan]:
    """Decide which of the true set's names there are, as many of each scene, and the seed of each."""
    wanted = {"train": max(2, round(TRAINING * scale)), "validation": max(1, round(VALIDATION * scale))}
    seeds = np.random.SeedSequence(seed, spawn_key=(_SEED_BRANCH,)).spawn(len(recordings()))
    known = [(name, part, one) for (name, (part, _)), one in zip(recordings().items(), seeds, strict=True)]
    return [
        RecordingPlan(scene, name, one)
        for scene in SCENES
        for part, count in wanted.items()
        for name, _, one in [x for x in known if x[0].startswith(scene) and x[1] == part][:count]
    ]


def render_recording(plan: RecordingPlan, root: Path) -> None:
    """Write a recording and its label track."""
    rng, rate = np.random.default_rng(plan.seed), SAMPLE_RATE_HZ
    n = round(rng.uniform(*SECONDS) * rate)
    background = HOME.render(HOME.draw(rng), rng, n, rate)
    placed: list[Placed] = []
    rows: list[tuple[int, int, str, str]] = []
    for label in HEARD[plan.scene]:
        spans = []
        kind = DOMESTIC.get(SOUNDS[label]) or OTHER[SOUNDS[label]]
        parameters = kind.draw(rng)
        for _ in range(int(rng.integers(EVENTS[0], EVENTS[1] + 1))):
            length = int(rng.uniform(*kind.seconds) * rng.uniform(*STRETCH) * rate)
            onset = int(rng.integers(0, n - length))
            x = _swelled(render_event(kind, parameters, rng, length, rate), SWELLS.get(label))
            placed.append(Placed(x, onset, float(rng.uniform(*SNR_DB))))
            spans.append((onset / rate, (onset + length) / rate))
        values = soft_labels(spans, n / rate, rng)
        rows += [(t, t + 1, label, repr(float(v))) for t, v in enumerate(values) if v > 0]
    level = float(np.exp(rng.uniform(*np.log(BACKGROUND_LEVEL))))
    recording = mix(placed, background, Room(), rng, rate, level)
    write_wav(root / AUDIO / plan.scene / f"{plan.name}.wav", pcm16(recording), rate)
    text = "".join(f"{on:.1f}\t{off:.1f}\t{label}\t{value}\n" for on, off, label, value in sorted(rows))
    write_text(root / TRACKS / f"soft_labels_{plan.scene}" / f"{plan.name}.txt", text)


def _swelled(x: Signal, levels: tuple[float, float] | None) -> Signal:
    return x if levels is None else x * np.linspace(*levels, len(x), dtype=np.float32)


def soft_labels(spans: list[tuple[float, float]], seconds: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the share of opinions that heard a class in each second, (seconds,), from its events' spans."""
    last = int(np.ceil(seconds))
    starts = np.arange(max(1, last - WINDOW_S + 1))
    overlap_s = np.zeros(len(starts))
    for onset_s, offset_s in spans:
        overlap_s += np.clip(np.minimum(starts + WINDOW_S, offset_s) - np.maximum(starts, onset_s), 0.0, None)
    heard = np.minimum(overlap_s / CLEARLY_S, 1.0)[:, None] * rng.uniform(*ATTENTIVE, (len(starts), PEOPLE))
    opinions = rng.random((len(starts), PEOPLE)) < np.maximum(heard, MISTAKEN)
    of_second, windows = np.zeros(last), np.zeros(last)
    for start, share in zip(starts, opinions.mean(axis=1), strict=True):
        of_second[start : start + WINDOW_S] += share
        windows[start : start + WINDOW_S] += 1
    return of_second / windows
