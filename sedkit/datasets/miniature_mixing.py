"""Generated copies in small of what mixtures are made of: FSDKaggle2018 (isolated events) and TUT Urban 2018 (scenes).

Events are those of twelve of the 41 labels, each clip a source of its own, cut to the sound and of any length. Scenes
are 10 s at 48 kHz in two channels, some clips of each place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sedkit.core.files import write_text
from sedkit.core.parallel import run_jobs
from sedkit.core.registry import NoOptions
from sedkit.dataio.audio import write_wav
from sedkit.datasets.miniature import SAMPLE_RATE_HZ, isolated, pcm16, scale_of
from sedkit.datasets.registry import register_miniature
from sedkit.synthesis.backgrounds import HOME, PLAIN, Background
from sedkit.synthesis.signals import ramps, unit_rms
from sedkit.synthesis.sounds import DOMESTIC, OTHER

#: Label of FSDKaggle2018 to the procedural sound that stands for it.
LABELS = {
    "Bark": "Dog",
    "Bass_drum": "bass_drum",
    "Bus": "engine",
    "Clarinet": "clarinet",
    "Cowbell": "cowbell",
    "Flute": "flute",
    "Glockenspiel": "glockenspiel",
    "Hi-hat": "hi_hat",
    "Knock": "door_wood_knock",
    "Meow": "Cat",
    "Snare_drum": "snare_drum",
    "Telephone": "Alarm_bell_ringing",
}
#: Clips of each label in the small set that are verified, and that are not.
VERIFIED, UNVERIFIED = 20, 5
#: Share of the clips that are not verified whose label is another sound's.
WRONG = 0.3
#: Scene to its background and the level of an engine in it over that (None: none), dB.
SCENES: dict[str, tuple[Background, float | None]] = {
    "airport": (HOME, None),
    "bus": (PLAIN, 3.0),
    "metro": (PLAIN, -6.0),
    "metro_station": (HOME, None),
    "park": (HOME, None),
    "public_square": (HOME, None),
    "shopping_mall": (HOME, None),
    "street_pedestrian": (HOME, None),
    "street_traffic": (PLAIN, -3.0),
    "tram": (PLAIN, 0.0),
}
CITIES = ("barcelona", "helsinki", "london", "paris", "stockholm", "vienna")
#: Places of each scene in the small set, clips of each place.
PLACES, SEGMENTS = 4, 2
SCENE_SECONDS, SCENE_RATE_HZ = 10.0, 48000
#: Spawn keys that set these seeds apart from the other miniatures' of the same number.
_EVENTS_BRANCH, _SCENES_BRANCH = 18, 19


@dataclass(frozen=True)
class EventPlan:
    """A clip of an event before it is rendered; `sounds` is the label that is heard, `label` what the table says."""

    filename: str
    label: str
    sounds: str
    verified: bool
    seed: np.random.SeedSequence


@dataclass(frozen=True)
class ScenePlan:
    """A clip of a scene before it is rendered; clips of a place share its seed."""

    filename: str
    scene: str
    identifier: str
    place: np.random.SeedSequence
    seed: np.random.SeedSequence


@register_miniature("fsdkaggle2018")
def generate_events(root: Path, options: NoOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder (`train.csv`, `audio_train/`); `small` has 240 verified clips and 60 that are not."""
    plans = plan_events(seed, scale_of(size, VERIFIED * len(LABELS)))
    (root / "audio_train").mkdir()
    run_jobs(partial(_render_event, folder=root / "audio_train"), plans, jobs, "miniature fsdkaggle2018")
    rows = sorted(f"{p.filename},{p.label},{int(p.verified)}" for p in plans)
    write_text(root / "train.csv", "\n".join(["fname,label,manually_verified", *rows]) + "\n")
    verified = sum(p.verified for p in plans)
    return {"verified": verified, "unverified": len(plans) - verified}


def plan_events(seed: int, scale: float) -> list[EventPlan]:
    """Decide labels, names and seeds."""
    counts = [(True, max(1, round(VERIFIED * scale))), (False, max(1, round(UNVERIFIED * scale)))]
    branches = np.random.SeedSequence(seed, spawn_key=(_EVENTS_BRANCH,)).spawn(len(LABELS))
    plans: list[EventPlan] = []
    for sounds, branch in zip(LABELS, branches, strict=True):
        others = [label for label in LABELS if label != sounds]
        rng = np.random.default_rng(branch)
        for verified, count in counts:
            for clip in branch.spawn(count):
                wrong = not verified and rng.random() < WRONG
                # An odd factor gives every number below 2^32 a name of its own.
                name = f"{(len(plans) + 1 + 100003 * seed) * 0x9E3779B1 % 2**32:08x}.wav"
                plans.append(EventPlan(name, str(rng.choice(others)) if wrong else sounds, sounds, verified, clip))
    return plans


def _render_event(plan: EventPlan, folder: Path) -> None:
    rng, rate = np.random.default_rng(plan.seed), SAMPLE_RATE_HZ
    kind = DOMESTIC.get(LABELS[plan.sounds]) or OTHER[LABELS[plan.sounds]]
    parameters = kind.draw(rng)
    length = int(rate * rng.uniform(*kind.seconds))
    n = length + int(rate * rng.uniform(0.02, 0.2))
    x = isolated(kind, parameters, rng, 0, length, n)
    write_wav(folder / plan.filename, pcm16(x * ramps(n, rate, 0.002, 0.02)), rate)


@register_miniature("tut2018")
def generate_scenes(root: Path, options: NoOptions, *, seed: int, size: str, jobs: int) -> dict[str, int]:
    """Fill a folder (`meta.csv`, `audio/`); `small` has 80 clips from 40 places."""
    plans = plan_scenes(seed, scale_of(size, PLACES * SEGMENTS * len(SCENES)))
    (root / "audio").mkdir()
    run_jobs(partial(_render_scene, folder=root), plans, jobs, "miniature tut2018")
    rows = [f"{p.filename}\t{p.scene}\t{p.identifier}\ta" for p in plans]
    write_text(root / "meta.csv", "\n".join(["filename\tscene_label\tidentifier\tsource_label", *rows]) + "\n")
    return {"scenes": len(plans)}


def plan_scenes(seed: int, scale: float) -> list[ScenePlan]:
    """Decide places, names and seeds."""
    n_places = max(1, round(PLACES * scale))
    branches = np.random.SeedSequence(seed, spawn_key=(_SCENES_BRANCH,)).spawn(len(SCENES) * n_places)
    plans: list[ScenePlan] = []
    for i, branch in enumerate(branches):
        scene, identifier = list(SCENES)[i // n_places], f"{CITIES[i % len(CITIES)]}-{i}"
        place, *clips = branch.spawn(1 + SEGMENTS)
        for clip in clips:
            name = f"audio/{scene}-{identifier}-{len(plans)}-a.wav"
            plans.append(ScenePlan(name, scene, identifier, place, clip))
    return plans


def _render_scene(plan: ScenePlan, folder: Path) -> None:
    n, rate = int(SCENE_SECONDS * SCENE_RATE_HZ), SCENE_RATE_HZ
    place, rng = np.random.default_rng(plan.place), np.random.default_rng(plan.seed)
    background, engine_db = SCENES[plan.scene]
    x = background.render(background.draw(place), rng, n, rate)
    if engine_db is not None:
        engine = OTHER["engine"]
        x += np.float32(10 ** (engine_db / 20)) * unit_rms(engine.render(engine.draw(place), rng, n, rate))
    x *= np.float32(10 ** (place.uniform(-40, -26) / 20))
    x *= np.float32(min(1.0, 0.98 / np.abs(x).max()))
    # The other ear hears the same a little later and softer, and noise of its own.
    noise = np.float32(0.1 * x.std()) * rng.standard_normal(n, dtype=np.float32)
    other = np.clip(np.float32(0.8) * np.roll(x, int(rng.integers(5, 30))) + noise, -1, 1)
    write_wav(folder / plan.filename, pcm16(np.stack([x, other], axis=1)), rate)
