"""A network of random weights as a checkpoint file, for what begins with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from sedkit.core.vocabulary import Vocabulary
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.normalise import Normalisation
from sedkit.models.checkpoint import Checkpoint, write_checkpoint
from sedkit.models.registry import build_model, resolve_model

FRONTEND, WINDOW = LogMel(), 640
LABELS = Vocabulary(tuple("abcdefghij"))


def make_checkpoint(path: Path, model: Mapping[str, Any], mean: float = -40.0, std: float = 20.0) -> None:
    """Write a network whose batch norms have seen noise of this mean and standard deviation."""
    torch.manual_seed(0)
    network = build_model(model, len(LABELS), FRONTEND.n_bins)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(std * torch.randn(4, WINDOW, FRONTEND.n_bins) + mean)
    normalisation = Normalisation.from_section(None, FRONTEND.n_bins)
    write_checkpoint(
        path,
        Checkpoint(
            model=resolve_model(model),
            labels=LABELS,
            frontend=FRONTEND.as_dict(),
            frontend_hash=FRONTEND.hash8,
            window=WINDOW,
            normalise=normalisation.resolved(),
            fitted=normalisation.state_dict(),
            networks={"network": network.state_dict()},
        ),
    )
