"""A data root of events and scenes to be mixed, in folds, and the configuration's sections for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.config import typed
from sedkit.dataio.datadir import DataDir
from sedkit.features.frontends.logmel import LogMel
from sedkit.synthesis.plan import MixSettings
from tests.unit.synthesis.mix_case import LABELS, RATE, events_dir, scenes_dir, table

#: 100 frames a second.
FRONTEND = LogMel(
    sample_rate=RATE,
    n_fft=256,
    hop_samples=80,
    n_mels=16,
    fmin_hz=0.0,
    fmax_hz=None,
    window_symmetric=False,
    clip_s=2.0,
)
MIX: dict[str, Any] = {
    "events": "events/verified",
    "scenes": "scenes",
    "mixtures": 5,
    "length_s": 2.0,
    "sample_rate": RATE,
    "longest_s": 0.4,
    "onsets": [0.1, 0.6, 1.1],
    "seed": 7,
}
STREAM: dict[str, Any] = {"set": "events/verified", "folds": ["1", "2"], "source": "mixtures"}
#: Of six events and three scenes each, or two.
FOLDS = ("1", "2", "3", "3-select")


def mix(**changes: Any) -> MixSettings:
    return typed(MIX | changes, MixSettings, "mix")


def make_sounds(root: Path, places: bool = True, folds: tuple[str, ...] = FOLDS) -> Path:
    """Write 24 events, six of each label, and 12 scenes at six places; `places`: the scenes have folds, too."""
    made = events_dir(root / "events/verified")
    fold = tuple(folds[i // 4 % 4] for i in range(24))
    group = tuple(f"take{i // 2}" for i in range(24))
    seconds, names = made.clips.duration_s, made.clips.filename
    table(root / "events/verified", names, seconds, fold, group, label=[LABELS[i % 4] for i in range(24)])
    made = scenes_dir(root / "scenes")
    places_of = tuple(folds[i // 2 % 4] for i in range(12)) if places else None
    table(root / "scenes", made.clips.filename, made.clips.duration_s, places_of, made.clips.group)
    return root


def groups(data: DataDir) -> dict[str, set[str]]:
    """Return the groups of each fold, off the table alone."""
    out: dict[str, set[str]] = {}
    for fold, group in zip(np.array(data.clips.fold), data.clips.group or (), strict=True):
        out.setdefault(str(fold), set()).add(group)
    return out
