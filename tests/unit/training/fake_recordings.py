"""A data root of recordings with stored features, and the front ends for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.audio import write_wav
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Events, Tags
from sedkit.features.extract import extract
from sedkit.features.frontends import features_path
from sedkit.features.frontends.logmel import LogMel

RATE = 16000
#: 100 frames a second.
FRONTEND = LogMel(
    sample_rate=RATE,
    n_fft=512,
    hop_samples=160,
    n_mels=16,
    fmin_hz=0.0,
    fmax_hz=None,
    window_symmetric=False,
    clip_s=None,
)
#: Every window transformed on its own.
ALONE = replace(FRONTEND, edges="window")
CATEGORIES = ("dog", "cat", "pouring_water", "vacuum_cleaner", "clock_alarm", "rain")
FIVE = ("Alarm_bell_ringing", "Cat", "Dog", "Running_water", "Vacuum_cleaner")


def make_recordings(root: Path) -> Path:
    """Write a set of tagged clips (the first one silent from 1.2 s on) and one of soundscapes with events."""
    rng = np.random.default_rng(0)

    def write(name: str, wave: np.ndarray) -> str:
        write_wav(root / "audio" / name, wave.astype(np.float32), RATE)
        return f"../../audio/{name}"

    names = tuple(f"{1 + i % 5}-{i}-A.wav" for i in range(6))
    waves = 0.1 * rng.standard_normal((6, 3 * RATE))
    waves[0, round(1.2 * RATE) :] = 0.0
    audio = tuple(write(name, wave) for name, wave in zip(names, waves, strict=True))
    clips = Clips(names, audio, np.full(6, 3.0), tuple(name[0] for name in names), names)
    write_datadir(root / "source/esc50", clips, Vocabulary(CATEGORIES), weak=Tags(names, CATEGORIES, np.eye(6) > 0))
    scenes, labels = ("x.wav", "y.wav"), ("Speech", *FIVE)
    audio = tuple(write(name, 0.05 * rng.standard_normal(4 * RATE)) for name in scenes)
    events = Events.from_rows(
        [
            ("x.wav", 0.5, 1.5, "Speech"),
            ("x.wav", 0.4, 0.8, "Dog"),
            ("x.wav", 1.2, 1.6, "Cat"),
            ("y.wav", None, None, None),
        ],
        labels,
    )
    write_datadir(root / "target/synthetic", Clips(scenes, audio, np.full(2, 4.0)), Vocabulary(labels), strong=events)
    for part in ("source/esc50", "target/synthetic"):
        extract(DataDir(root / part), FRONTEND, features_path(root / part, FRONTEND))
    return root
