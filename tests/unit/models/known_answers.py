"""Weights and recordings from seeds, and the statistics that the authors' own code gives for them."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

TABLE = "encoder.layers.0.self_attn.relative_attention_bias.weight"


def answers(shared: Path) -> dict[str, Any]:
    return json.loads((shared / "vectors" / "pretrained" / "expected.json").read_text(encoding="utf-8"))


def wave(rate: int, seconds: float) -> NDArray[np.float32]:
    """A sweep with noise, (1, samples)."""
    n = int(rate * seconds)
    t = np.arange(n) / rate
    low, high = 50, 0.45 * rate
    x = 0.5 * np.sin(2 * np.pi * (low * t + (high - low) * t**2 / (2 * seconds)))
    return (x + 0.01 * np.random.default_rng(7).standard_normal(n)).astype(np.float32)[None]


def drawn(key: str, shape: tuple[int, ...]) -> Tensor:
    """A tensor whose seed is its key."""
    if len(shape) < 2 and key.endswith("weight"):
        return torch.ones(shape)
    scale = 1 / np.sqrt(np.prod(shape[1:])) if len(shape) >= 2 else 0.02
    seed = zlib.crc32((TABLE if "relative_attention_bias" in key else key).encode())
    return torch.from_numpy((np.random.default_rng(seed).standard_normal(shape) * scale).astype(np.float32))


def filled(network: nn.Module) -> dict[str, Tensor]:
    """A state dict of the network's keys with weights from their seeds; batch norms keep mean 0 and variance 1."""
    return {
        key: value if "running_" in key or "num_batches" in key else drawn(key, tuple(value.shape))
        for key, value in network.state_dict().items()
    }


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def check(entry: dict[str, Any], value: Any, tolerance: float = 1e-4) -> None:
    """Compare shape, statistics and picked values with those of the authors' code."""
    x = np.asarray(value, dtype=np.float64)
    assert list(x.shape) == entry["shape"]
    np.testing.assert_allclose(x.ravel()[entry["flat_index"]], entry["value"], rtol=0, atol=tolerance)
    seen = [x.mean(), x.std(), x.min(), x.max()]
    np.testing.assert_allclose(seen, [entry[key] for key in ("mean", "std", "min", "max")], rtol=0, atol=tolerance)


def check_picks(picks: dict[str, float], value: Any, tolerance: float = 1e-4) -> None:
    """Compare values at places such as "[0,0,10,5]"."""
    for place, expected in picks.items():
        assert abs(float(value[tuple(json.loads(place))]) - expected) <= tolerance, place
