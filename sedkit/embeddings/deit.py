"""What the transformers of `sedkit.models.deit` have in common as features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sedkit.core.errors import UsageError
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.models.sizes import AstOptions, PasstOptions, VisionOptions

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class DeitFrontEnd(NetworkFrontEnd):
    """A row is the mean over the bins of a column of patches; only columns that the recording fills are rows."""

    network: VisionOptions

    def __post_init__(self) -> None:
        rate = self.spectrum.sample_rate
        if self.sample_rate != rate:
            raise UsageError(f"sample_rate is {self.sample_rate}, expected {rate}, the only one that {self.name} knows")
        super().__post_init__()

    @property
    def n_bins(self) -> int:
        return self.network.width

    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        from sedkit.models.deit import Deit

        assert isinstance(network, Deit)
        return network.columns(x)


@dataclass(frozen=True, kw_only=True)
class PatchFrontEnd(DeitFrontEnd):
    """Columns of square patches, each of which shares frames with the next one."""

    network: PasstOptions | AstOptions

    @property
    def step_spectrum_frames(self) -> int:
        return self.network.stride

    @property
    def overlap_spectrum_frames(self) -> int:
        return self.network.overlap
