"""The first losses of CNN9 on weak labels, computed once more from the equations with nothing of the package's own.

Kong et al., arXiv 1904.03476 (network and loss); Ioffe & Szegedy 2015 (batch norm); Kingma & Ba 2015, Reddi et al. 2018
(Adam with amsgrad). Only the initial weights are taken over.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fake_data import write_config
from torch import Tensor

from sedkit.dataio.datadir import DataDir
from sedkit.dataio.store import FeatureFile
from sedkit.training.experiment import Experiment
from sedkit.training.plan import make_plan

STEPS, BATCH, RATE = 8, 4, 0.01


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    mean = x.mean(dim=(0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean(dim=(0, 2, 3), keepdim=True)
    return (x - mean) / (variance + 1e-5).sqrt() * weight[:, None, None] + bias[:, None, None]


def probabilities(w: dict[str, Tensor], x: Tensor, n_frames: list[int]) -> Tensor:
    """Clip probabilities of (clips, frames, bins)."""
    x = x[:, None]
    for block in range(4):
        for layer in (1, 2):
            name = f"blocks.{block}"
            x = F.conv2d(x, w[f"{name}.conv{layer}.weight"], padding=1)
            x = batch_norm(x, w[f"{name}.bn{layer}.weight"], w[f"{name}.bn{layer}.bias"]).clamp(min=0)
        if block < 3:
            clips, channels, frames, bins = x.shape
            x = x.reshape(clips, channels, frames // 2, 2, bins // 2, 2).mean(dim=(3, 5))
    x = x.amax(dim=3)
    # Network frames that hold nothing but padding stay out of the maximum over time.
    features = torch.stack([x[i, :, : -(-n // 8)].amax(dim=1) for i, n in enumerate(n_frames)])
    return 1 / (1 + torch.exp(-(features @ w["fc.weight"].T + w["fc.bias"])))


def by_hand(root: Path, weights: dict[str, Tensor]) -> list[float]:
    data, file = DataDir(root / "weak"), FeatureFile(next((root / "weak").glob("*.h5")))
    clips = np.array([i for i, fold in enumerate(data.clips.fold or ()) if fold == "train"])
    rows = np.array([file.filenames.index(data.clips.filename[i]) for i in clips])
    n_frames, target = file.n_frames[rows], torch.tensor(data.weak().present[clips], dtype=torch.float64)
    real = np.concatenate([file.features[r, :n] for r, n in zip(rows, n_frames, strict=True)]).astype(np.float64)
    x = torch.tensor((file.features[rows].astype(np.float64) - real.mean(axis=0)) / real.std(axis=0))
    w = {name: value.double().requires_grad_(value.is_floating_point()) for name, value in weights.items()}
    w = {name: value for name, value in w.items() if "running" not in name and "num_batches" not in name}
    m, v, most = ({name: torch.zeros_like(value) for name, value in w.items()} for _ in range(3))
    order = np.concatenate([np.random.default_rng([0, 0, epoch]).permutation(len(clips)) for epoch in range(3)])
    losses = []
    for step in range(STEPS):
        at = order[step * BATCH : (step + 1) * BATCH]
        p, y = probabilities(w, x[at], n_frames[at].tolist()), target[at]
        loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        losses.append(loss.item())
        rate = RATE * 0.9 ** (step // 2)  # a quarter of the run's 8 steps
        for (name, value), g in zip(w.items(), torch.autograd.grad(loss, list(w.values())), strict=True):
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.999 * v[name] + 0.001 * g**2
            most[name] = torch.maximum(most[name], v[name])
            unbiased = m[name] / (1 - 0.9 ** (step + 1))
            spread = (most[name] / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8
            w[name] = (value - rate * unbiased / spread).detach().requires_grad_()
    return losses


def test_first_losses_of_cnn9_on_weak_labels(data_root: Path, tmp_path: Path) -> None:
    overrides = [f"training.steps={STEPS}", "training.eval_every=1", f"optimiser.learning_rate={RATE}"]
    path = write_config(tmp_path / "c.yaml", model={"name": "cnn9_avg", "base_channels": 4}, data__draw=[])
    experiment = Experiment(make_plan(path, overrides, data_root, tmp_path))
    weights = {name: value.clone() for name, value in experiment.network.state_dict().items()}
    experiment.run(resume=False)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    losses = by_hand(data_root, weights)
    assert [row["train"]["loss"] for row in rows] == pytest.approx(losses, rel=2e-4)
    assert losses[-1] < losses[0] and len(losses) == STEPS
