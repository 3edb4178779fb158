"""Hand-made data dirs of events and scenes, small enough to render in milliseconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from sedkit.core.config import typed
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, DataDir, write_datadir
from sedkit.dataio.events import Tags
from sedkit.synthesis.mixture_set import render_plan
from sedkit.synthesis.plan import MixSettings, draw
from sedkit.synthesis.plan_file import read_plan, write_plan

RATE = 8000
LABELS = ("Bark", "Chime", "Cough", "Flute")


def table(path: Path, names, duration_s, fold=None, group=None, label=None, labels=LABELS) -> DataDir:
    """Write a data dir whose recordings need not be there."""
    audio = tuple(f"../{path.name}.wavs/{name}" for name in names)
    weak = None
    if label is not None:
        weak = Tags(tuple(names), labels, np.array([[k == x for k in labels] for x in label]))
    clips = Clips(tuple(names), audio, np.asarray(duration_s, dtype=float), fold, group)
    return write_datadir(path, clips, Vocabulary(labels), weak)


def recordings(path: Path, names, signals, rate=RATE) -> list[float]:
    """Write 16-bit recordings beside a data dir and return their seconds."""
    folder = path.with_name(f"{path.name}.wavs")
    folder.mkdir(parents=True)
    for name, x in zip(names, signals, strict=True):
        soundfile.write(folder / name, x, rate, subtype="PCM_16")
    return [len(x) / rate for x in signals]


def events_dir(path: Path, clips=24, seed=1) -> DataDir:
    """Clips of 0.2 to 0.7 s, six of each label, loud at first and then fading, without folds."""
    rng = np.random.default_rng(seed)
    names = [f"e{i:02d}.wav" for i in range(clips)]
    signals = []
    for _ in names:
        n = int(rng.integers(1600, 5600))
        signals.append(rng.normal(0, 0.1 * rng.uniform(0.3, 1.0), n) * np.exp(-np.arange(n) / 2000))
    seconds = recordings(path, names, signals)
    return table(path, names, seconds, label=[LABELS[i % 4] for i in range(clips)])


def scenes_dir(path: Path, clips=12, seconds=2.0, rate=RATE, seed=2) -> DataDir:
    """Noises of 2 s, two of each of six places, in stereo."""
    rng = np.random.default_rng(seed)
    names = [f"s{i:02d}.wav" for i in range(clips)]
    signals = [rng.normal(0, 0.03 * rng.uniform(0.3, 1.0), (int(seconds * rate), 2)) for _ in names]
    lengths = recordings(path, names, signals, rate)
    return table(path, names, lengths, group=tuple(f"place{i // 2}" for i in range(clips)))


def render_small(folder: Path) -> Path:
    """Render twelve mixtures of 2 s, three a fold, with overlaps, and return the data dir."""
    wanted = typed(
        {
            "events": "events",
            "scenes": "scenes",
            "mixtures": 3,
            "length_s": 2.0,
            "sample_rate": RATE,
            "longest_s": 0.7,
            "onsets": [0.1, 0.6, 1.1],
            "placement": "uniform",
        },
        MixSettings,
        "mix",
    )
    plan = folder / "plan.yaml"
    write_plan(plan, draw(wanted, events_dir(folder / "events"), scenes_dir(folder / "scenes")))
    render_plan(plan, read_plan(plan), folder / "snr0")
    return folder / "snr0"
