"""Steps that take stretches of time and frequency out of features, or change the level of bands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.features.augment import Augmentation, AugmentSetup, Draws, register
from sedkit.features.batch import StreamBatch, Tensor
from sedkit.features.scales import amplified


@dataclass(kw_only=True)
class _Mask(Augmentation):
    """Base of the masks: one stretch of each clip.

    Attributes
    ----------
    share : least and greatest length of the stretch, as shares of the whole.
    """

    domain = "features"
    share: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share[0] <= self.share[1] <= 1:
            raise UsageError(f"share is {list(self.share)}, expected two rising shares from 0 to 1")

    def masked(self, whole: Tensor, size: int, draws: Draws) -> Tensor:
        """Return (clips, size) bool: a stretch that lies anywhere in the first `whole` (clips,) places of each."""
        clips = len(whole)
        length = (draws.uniform(self.share, clips) * whole).round()
        first = (draws.uniform((0, 1), clips) * (whole - length + 1)).floor()
        place = draws.tensor(np.arange(size))
        return (place >= first[:, None]) & (place < (first + length)[:, None])


@register("time_mask")
@dataclass(kw_only=True)
class TimeMask(_Mask):
    """Make a stretch of the real frames of each clip silent (Park et al., Interspeech 2019).

    Attributes
    ----------
    labels : take the stretch out of the frame targets, too; a class that is left nowhere is none of the clip's then.
    """

    share: tuple[float, float] = (0.05, 0.2)
    labels: bool = True

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        masked = self.masked(clips.n_frames, clips.features.shape[1], draws)[:, :, None]
        target, clip_target = clips.frame_target, clips.clip_target
        if target is not None and self.labels:
            target = target.masked_fill(masked, 0.0)
            clip_target = None if clip_target is None else clip_target.minimum(target.amax(1))
        features = clips.features.masked_fill(masked, self.setup.padding)
        return replace(clips, features=features, frame_target=target, clip_target=clip_target)


@register("frequency_mask")
@dataclass(kw_only=True)
class FrequencyMask(_Mask):
    """Make a stretch of the bins of each clip silent (Park et al., Interspeech 2019)."""

    share: tuple[float, float] = (0.0, 0.15)

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        bins = clips.features.shape[2]
        masked = self.masked(draws.tensor(np.full(len(clips), bins)), bins, draws)[:, None, :]
        return replace(clips, features=clips.features.masked_fill(masked, self.setup.padding))


@register("filter_augment")
@dataclass(kw_only=True)
class FilterAugment(Augmentation):
    """Change the level of each of some bands of bins by a number of dB of its own (Nam et al., ICASSP 2022, steps).

    Attributes
    ----------
    bands : least and greatest number of bands.
    gain_db : least and greatest change.
    least_bins : of a band.
    """

    domain = "features"
    bands: tuple[int, int] = (2, 5)
    gain_db: tuple[float, float] = (-4.5, 6.0)
    least_bins: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.bands[0] <= self.bands[1] or self.least_bins < 1:
            raise UsageError(
                f"bands is {list(self.bands)} and least_bins {self.least_bins}, expected two rising numbers and one, "
                "from 1 on"
            )

    def start(self, setup: AugmentSetup) -> None:
        super().start(setup)
        if self.bands[1] * self.least_bins > setup.n_bins:
            raise UsageError(
                f"filter_augment: {self.bands[1]} bands of {self.least_bins} bins, expected bands that fit into "
                f"{setup.n_bins} bins"
            )

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        gains = np.stack([self._gains(draws.host) for _ in range(len(clips))])
        features = amplified(clips.features, draws.tensor(gains)[:, None, :], self.setup.scale)
        return replace(clips, features=features)

    def _gains(self, host: np.random.Generator) -> NDArray[np.float64]:
        """Return (bins,) dB of one clip: edges of bands are drawn with room for the least bins between them."""
        n, bins = int(host.integers(self.bands[0], self.bands[1] + 1)), self.setup.n_bins
        inner = np.sort(host.integers(0, bins - n * self.least_bins + 1, n - 1)) + self.least_bins * np.arange(1, n)
        return np.repeat(host.uniform(*self.gain_db, n), np.diff([0, *inner, bins]))
