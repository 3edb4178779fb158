"""What PANNs (`sedkit.models.panns`) make of frames, as features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from sedkit.core.errors import UsageError
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.features.frontends import FrontEnd, frontend_from, register
from sedkit.models.sizes import PANNS, Pann

if TYPE_CHECKING:
    from torch import Tensor, nn


@register("panns")
@dataclass(frozen=True, kw_only=True)
class PannsFrontEnd(NetworkFrontEnd):
    """PANNs: a row of 0.32 s (Cnn10: 0.16 s).

    Parameters
    ----------
    sample_rate : Hz; 0 is that of the network.
    network : which of them.
    output : "features", the mean over the bins after the last block (2048 a row; Cnn10: 512), or "probabilities" of the
        classes, which the networks with a decision level have of frames.
    base_channels, n_classes : sizes, where they are not those of the released networks.
    """

    sample_rate: int = 0
    network: Literal["cnn10", "cnn14", "cnn14_16k", "cnn14_decision_level_max", "cnn14_decision_level_att"] = "cnn14"
    output: Literal["features", "probabilities"] = "features"
    base_channels: int = 64
    n_classes: int = 527

    def __post_init__(self) -> None:
        rate = self._pann.sample_rate
        if self.sample_rate not in (0, rate):
            raise UsageError(
                f"sample_rate is {self.sample_rate}, expected {rate}, the only one that {self.network} knows"
            )
        object.__setattr__(self, "sample_rate", rate)
        if self.output == "probabilities" and not self._pann.of_frames:
            raise UsageError(
                f"output is probabilities, of which {self.network} has none of frames; expected features, or "
                "cnn14_decision_level_max or cnn14_decision_level_att"
            )
        super().__post_init__()

    @property
    def _pann(self) -> Pann:
        return PANNS[self.network]

    @cached_property
    def spectrum(self) -> FrontEnd:
        return frontend_from(self._pann.frontend)

    @property
    def step_spectrum_frames(self) -> int:
        return 2**self._pann.halvings

    @property
    def n_bins(self) -> int:
        if self.output == "probabilities":
            return self.n_classes
        return self.base_channels * 2 ** (self._pann.blocks - 1)

    def build(self) -> nn.Module:
        from sedkit.models.registry import build_model

        section = {"name": self._pann.model, "base_channels": self.base_channels}
        return build_model(section, self.n_classes, self.spectrum.n_bins)

    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        from sedkit.models.panns import Panns

        assert isinstance(network, Panns)
        if self.output == "probabilities":
            return network(x).framewise
        return network.frames(x).transpose(1, 2)
