"""Tokens of ATST-Frame (`sedkit.models.atst_frame`) as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from sedkit.core.errors import UsageError
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.features.frontends import FrontEnd, register
from sedkit.features.frontends.logmel import LogMel
from sedkit.models.sizes import AtstFrameOptions

if TYPE_CHECKING:
    from torch import Tensor, nn

#: What the published features lie between, dB, spread to -1 to 1.
_LOW, _HIGH = -79.6482, 50.6842


@register("atst_frame")
@dataclass(frozen=True, kw_only=True)
class AtstFrameFrontEnd(NetworkFrontEnd):
    """ATST-Frame: a row of 40 ms, 250 of 10 s, of which it never sees more at once.

    Parameters
    ----------
    network : sizes, where they are not those of the released model.
    """

    normalise: ClassVar = {
        "top_db": {"db": 80.0},
        "clamp": {"low": -50.0, "high": 80.0},
        "standardise": {"mean": (_HIGH + _LOW) / 2, "std": (_HIGH - _LOW) / 2},
    }
    step_spectrum_frames = 4

    sample_rate: int = 16000
    network: AtstFrameOptions = field(default_factory=AtstFrameOptions)

    def __post_init__(self) -> None:
        if self.sample_rate != 16000:
            raise UsageError(f"sample_rate is {self.sample_rate}, expected 16000, the only one that ATST-Frame knows")
        super().__post_init__()

    @property
    def most_steps(self) -> int:
        return self.network.positions - 1

    @cached_property
    def spectrum(self) -> FrontEnd:
        return LogMel(
            sample_rate=16000,
            hop_samples=160,
            window_symmetric=False,
            n_mels=self.network.bins,
            fmin_hz=60.0,
            fmax_hz=7800.0,
            mel_scale="htk",
            mel_norm="none",
            clip_s=None,
            end_frame=True,
        )

    @property
    def n_bins(self) -> int:
        return self.network.width

    def build(self) -> nn.Module:
        from sedkit.models.atst_frame import AtstFrame

        return AtstFrame(self.network)

    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        rows: Tensor = network(x)
        return rows
