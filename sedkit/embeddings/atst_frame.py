"""Tokens of ATST-Frame (`sedkit.models.atst_frame`) as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sedkit.core.errors import UsageError
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.features.frontends import FrontEnd, frontend_from, register
from sedkit.models.sizes import ATST_FRAME_FRONTEND, ATST_FRAME_NORMALISE, AtstFrameOptions

if TYPE_CHECKING:
    from torch import Tensor, nn


@register("atst_frame")
@dataclass(frozen=True, kw_only=True)
class AtstFrameFrontEnd(NetworkFrontEnd):
    """ATST-Frame: a row of 40 ms, 250 of 10 s, of which it never sees more at once.

    Parameters
    ----------
    network : sizes, where they are not those of the released model.
    """

    normalise = ATST_FRAME_NORMALISE
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
        return frontend_from(ATST_FRAME_FRONTEND | {"n_mels": self.network.bins})

    @property
    def n_bins(self) -> int:
        return self.network.width

    def build(self) -> nn.Module:
        from sedkit.models.atst_frame import AtstFrame

        return AtstFrame(self.network)

    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        rows: Tensor = network(x)
        return rows
