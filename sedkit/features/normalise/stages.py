"""The stages that there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.store import SCALES
from sedkit.features.batch import Tensor, real_frames
from sedkit.features.normalise import Blocks, Stage, register
from sedkit.features.scales import from_amplitude, to_amplitude


@register("zscore")
@dataclass
class ZScore(Stage):
    """(x - mean) / standard deviation of each bin, over the real frames of the training clips.

    Attributes
    ----------
    min_std : least standard deviation, in the features' own unit: a bin that never changes must not be blown up.
    """

    min_std: float = 1e-3

    def start(self, n_bins: int) -> None:
        import torch

        self.state = {"mean": torch.zeros(n_bins), "std": torch.ones(n_bins)}

    def fit(self, blocks: Blocks) -> None:
        import torch

        count = 0
        shift: NDArray[np.float64] | None = None
        total = squares = np.zeros(0)
        for features, n_frames in blocks:
            rows = features[np.arange(features.shape[1]) < n_frames[:, None]].astype(np.float64)
            if not len(rows):
                continue
            if shift is None:
                # Sums of squares lose digits where the mean is large beside the spread: subtract a first guess.
                shift = rows.mean(axis=0)
                total, squares = np.zeros_like(shift), np.zeros_like(shift)
            rows -= shift
            count += len(rows)
            total = total + rows.sum(axis=0)
            squares = squares + np.einsum("tb,tb->b", rows, rows)
        if shift is None:
            raise SedkitError("normalise.zscore: the training clips hold no real frame, expected at least one")
        mean = total / count
        std = np.maximum(np.sqrt(np.maximum(squares / count - mean**2, 0.0)), self.min_std)
        self.state = {"mean": torch.tensor(mean + shift).float(), "std": torch.tensor(std).float()}

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        return (features - self.state["mean"]) / self.state["std"]


@register("standardise")
@dataclass
class Standardise(Stage):
    """(x - mean) / std with numbers that are given, as those of a pretrained network are."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        if self.std <= 0:
            raise UsageError(f"std is {self.std:g}, expected above 0")

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        return (features - self.mean) / self.std


@register("clamp")
@dataclass
class Clamp(Stage):
    """Raise what lies below `low` to it, and lower what lies above `high`."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UsageError(f"low is {self.low:g} and high {self.high:g}, expected low below high")

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        return features.clamp(self.low, self.high)


@register("minmax")
@dataclass
class MinMax(Clamp):
    """Spread each clip's real frames from `low` to `high`; a clip of one value becomes `low`, padding is clamped."""

    low: float = -1.0
    high: float = 1.0

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        least, most = -_greatest(-features, n_frames), _greatest(features, n_frames)
        share = (features - least) / (most - least + 1e-8)
        return super().__call__(self.low + (self.high - self.low) * share, n_frames)


@register("top_db")
@dataclass
class TopDb(Stage):
    """Raise what lies more than `db` below the greatest real value of its clip, as librosa's `top_db` does.

    Attributes
    ----------
    db : dB.
    scale : of the features, one of `sedkit.dataio.store.SCALES`.
    """

    db: float = 80.0
    scale: str = "db_power"

    def __post_init__(self) -> None:
        if self.db <= 0 or self.scale not in SCALES:
            raise UsageError(f"db is {self.db:g} and scale {self.scale}, expected above 0 and one of {SCALES}")

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        loudest = to_amplitude(_greatest(features, n_frames), self.scale)
        return features.maximum(from_amplitude(loudest * 10 ** (-self.db / 20), self.scale))


@register("pad")
@dataclass
class Pad(Stage):
    """Give every frame behind the end of its recording one value."""

    value: float

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        return features.masked_fill(~real_frames(n_frames, features.shape[1])[:, :, None], self.value)


def _greatest(features: Tensor, n_frames: Tensor) -> Tensor:
    """Return the greatest value of each clip's real frames, (clips, 1, 1)."""
    return Pad(float("-inf"))(features, n_frames).amax((1, 2), keepdim=True)
