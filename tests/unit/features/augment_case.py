"""Steps of augmentation, and batches to do them on."""

from pathlib import Path

import numpy as np
import torch

from sedkit.core.timegrid import TimeGrid
from sedkit.features.augment import Augmentations, AugmentSetup
from sedkit.features.batch import StreamBatch

RATE = 16000
#: Frames of 10 ms, windows of 1 s.
SETUP = AugmentSetup(
    RATE, TimeGrid(RATE, 160), "db_power", RATE, Path(), ("Cat", "Dog"), frames=100, n_bins=4, padding=-100.0
)
STEPS = {
    "gain": {"level_db": [-30, 0]},
    "noise": {"snr_db": [0, 10]},
    "background": {"set": "home", "snr_db": [0, 10]},
    "speed": {"factor": [0.8, 1.25]},
    "pitch": {"semitones": [-2, 3]},
    "mixup": {"alpha": 1.0},
    "amplitude_noise": {"std": 0.1},
    "time_shift": {"most_s": 0.2},
    "time_mask": {},
    "frequency_mask": {"share": [0.25, 0.5]},
    "filter_augment": {"bands": [2, 2], "least_bins": 1},
}


def build(section, setup=SETUP):
    return Augmentations.from_section(section, setup)


def batch_of(clips=6, samples=RATE, seed=0, **tensors):
    rng = np.random.default_rng(seed)
    frames = samples // 160
    frame_target = (rng.random((clips, frames, 2)) > 0.5).astype(np.float32)
    values = {
        "features": rng.uniform(-90, 0, (clips, frames, 4)).astype(np.float32),
        "n_frames": np.full(clips, frames),
        "clip_target": frame_target.max(axis=1),
        "frame_target": frame_target,
        "class_mask": np.ones((clips, 2), dtype=bool),
        "waveform": (0.1 * rng.standard_normal((clips, samples))).astype(np.float32),
    } | tensors
    return StreamBatch(**{name: None if x is None else torch.tensor(x) for name, x in values.items()})


def done(steps, batch, seed=(0, 0, 0, 0)):
    return steps.on_features(steps.on_waveform(batch, seed), seed)
