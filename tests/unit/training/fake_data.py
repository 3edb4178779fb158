"""A small data root whose clips are drawn as features, and a configuration for it: training without any audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sedkit.core.files import write_json, write_yaml
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.datadir import Clips, write_datadir
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.store import write_features
from sedkit.features.frontends import frontend_from
from sedkit.training.plan import Plan, make_plan

LABELS = ("Alarm", "Cat", "Dog")
FRONTEND: dict[str, Any] = {
    "name": "logmel",
    "sample_rate": 16000,
    "n_fft": 512,
    "hop_samples": 500,
    "n_mels": 16,
    "fmin_hz": 50.0,
    "fmax_hz": 7000.0,
    "clip_s": 2.0,
}
FRAMES, BINS, FRAME_RATE_HZ, CLIP_S = 64, 16, 32.0, 2.0


def config(**changes: Any) -> dict[str, Any]:
    """A configuration for the fake data; `training__steps=3` changes training.steps."""
    out: dict[str, Any] = {
        "recipe": "fake",
        "system": "fake_weak",
        "frontend": dict(FRONTEND),
        "data": {
            "streams": {"weak": {"set": "weak"}},
            "select": {"weak": {"set": "weak", "folds": ["select"]}},
            "draw": ["validation"],
        },
        "normalise": {"zscore": {}},
        "model": {"name": "cnn9_avg", "base_channels": 2},
        "objective": {"name": "clip_bce"},
        "optimiser": {"name": "adam"},
        "schedule": {"name": "step", "factor": 0.9, "every": 0.25},
        "training": {
            "steps": 12,
            "batch_size": 4,
            "eval_every": 6,
            "checkpoint_every": 4,
            "precision": "fp32",
            "device": "cpu",
        },
        "budgets": {"quick": {"training.steps": 3}, "published": {"training.steps": 9}},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            out[section][name] = value
        else:
            out[section] = value
    return out


def write_config(path: Path, **changes: Any) -> Path:
    """Write `config(**changes)`."""
    write_yaml(path, config(**changes))
    return path


def plan(root: Path, folder: Path, *overrides: str, **changes: Any) -> Plan:
    """Plan a run of `config(**changes)` in `folder`/exp."""
    return make_plan(write_config(folder / "c.yaml", **changes), list(overrides), root, folder / "exp")


def make_set(root: Path, name: str, n: int, seed: int, folds: tuple[str, ...], shuffled: bool = False) -> None:
    """Write one data dir with features: a class shows as a bump in its own bins while it is active."""
    role = "reported" if name == "validation" else "training"
    rng = np.random.default_rng(seed)
    frontend = frontend_from(FRONTEND)
    names = [f"{name}{i}.wav" for i in range(n)]
    duration_s = np.where(rng.random(n) < 0.2, rng.uniform(1.0, 2.0, n).round(3), CLIP_S)
    n_frames = np.ceil(duration_s * FRAME_RATE_HZ).astype(np.int64)
    features = rng.normal(-60, 4, (n, FRAMES, BINS)).astype(np.float32)
    rows: list[tuple[str, float | None, float | None, str | None]] = []
    for i in range(n):
        active = [c for c in range(len(LABELS)) if rng.random() < 0.4]
        for c in active:
            onset_s = rng.uniform(0, duration_s[i] - 0.6)
            offset_s = min(duration_s[i], onset_s + rng.uniform(0.5, 1.0))
            rows.append((names[i], onset_s, offset_s, LABELS[c]))
            features[i, int(onset_s * FRAME_RATE_HZ) : int(offset_s * FRAME_RATE_HZ), 5 * c : 5 * c + 4] += 25
        if not active:
            rows.append((names[i], None, None, None))
        features[i, n_frames[i] :] = -100
    events = Events.from_rows(rows, LABELS)
    if shuffled:
        order = rng.permutation(n)
        features, n_frames, duration_s = features[order], n_frames[order], duration_s[order]
    fold = tuple(folds[i % len(folds)] for i in range(n))
    clips = Clips(tuple(names), tuple(f"audio/{x}" for x in names), duration_s, fold)
    labels = Vocabulary(LABELS)
    write_datadir(root / name, clips, labels, weak=tags_of(events), strong=None if name == "weak" else events)
    write_json(root / name / "set.json", {"dataset": "fake", "set": name, "role": role})
    write_features(
        root / name / f"{frontend.name}-{frontend.hash8}.h5",
        names,
        features,
        n_frames,
        frontend=frontend.as_dict(),
        frontend_hash=frontend.hash8,
        scale=frontend.scale,
        sample_rate=frontend.sample_rate,
        hop_samples=frontend.grid.hop_samples,
    )


def make_root(root: Path) -> Path:
    """Write the sets weak, synthetic and validation."""
    folds = ("train", "train", "train", "select", "tune")
    make_set(root, "weak", 40, 0, folds)
    make_set(root, "synthetic", 30, 11, folds)
    make_set(root, "validation", 20, 2, ("validation",))
    return root
