"""The mel spectrograms of PaSST and of its frame-wise kin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.features.frontends import register
from sedkit.features.frontends.logmel import LogMel


@register("passt_mel")
@dataclass(frozen=True)
class PasstMel(LogMel):
    """`logmel` of y(i) = x(i + 1) - preemphasis x(i); the defaults are those of PaSST (1000 frames of 10 s).

    A recording has one sample more than what is transformed of it, and frame k is centred between its samples k hop and
    k hop + 1 (Koutini et al., arXiv 2110.05069, and the code that belongs to it).

    Parameters
    ----------
    preemphasis : share of the sample before; 0 transforms the recording as it is.
    """

    sample_rate: int = 32000
    win_length: int | None = 800
    hop_samples: int = 320
    n_mels: int = 128
    fmin_hz: float = 0.0
    fmax_hz: float | None = 15000.0
    mel_scale: Literal["slaney", "htk", "kaldi"] = "kaldi"
    mel_norm: Literal["slaney", "none"] = "none"
    log: Literal["db", "ln", "ln_clip", "none"] = "ln"
    floor: float = 1e-5
    preemphasis: float = 0.97

    @cached_property
    def _inside(self) -> LogMel:
        # Windows are cut out of what `pad` gives, where the preemphasis is done.
        inside = super()._inside
        return replace(inside, preemphasis=0.0) if self.sliceable else inside

    def _whole_frames(self, samples: int) -> int:
        return super()._whole_frames(samples - 1 if self.preemphasis else samples)

    def _padded(self, clip: NDArray[np.floating], samples: int) -> NDArray[np.floating]:
        if not self.preemphasis:
            return super()._padded(clip, samples)
        # At least two samples, so that there is a difference.
        whole = np.zeros(max(2, samples), dtype=clip.dtype)
        whole[: min(len(clip), samples)] = clip[:samples]
        return super()._padded(whole[1:] - self.preemphasis * whole[:-1], len(whole) - 1)
