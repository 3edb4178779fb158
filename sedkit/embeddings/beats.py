"""Tokens of BEATs (`sedkit.models.beats`) as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from sedkit.core.errors import UsageError
from sedkit.embeddings.network import NetworkFrontEnd
from sedkit.features.frontends import FrontEnd, register
from sedkit.features.frontends.kaldi_fbank import KaldiFbank
from sedkit.models.sizes import BEATS_NORMALISE, BeatsOptions

if TYPE_CHECKING:
    from torch import Tensor, nn


@register("beats")
@dataclass(frozen=True, kw_only=True)
class BeatsFrontEnd(NetworkFrontEnd):
    """BEATs: a token a patch of 160 ms and 16 of the 128 bins.

    Parameters
    ----------
    tokens : "published": every token a row, the 8 of a step one after the other (row 8 t + f, 496 of 10 s, as the
        official baselines since 2023 store them); "mean" of the 8 (6.25 rows a second); "concat": side by side.
    network : sizes, where they are not those of the released models.
    """

    normalise = BEATS_NORMALISE

    sample_rate: int = 16000
    tokens: Literal["published", "mean", "concat"] = "published"
    network: BeatsOptions = field(default_factory=BeatsOptions)

    def __post_init__(self) -> None:
        if self.sample_rate != 16000:
            raise UsageError(f"sample_rate is {self.sample_rate}, expected 16000, the only one that BEATs knows")
        if self.spectrum.n_bins % self.network.patch:
            raise UsageError(f"network.patch is {self.network.patch}, expected a part of {self.spectrum.n_bins} bins")
        super().__post_init__()

    @cached_property
    def spectrum(self) -> FrontEnd:
        return KaldiFbank(clip_s=None)

    @property
    def _patches(self) -> int:
        """Patches of a step."""
        return self.spectrum.n_bins // self.network.patch

    @property
    def step_spectrum_frames(self) -> int:
        return self.network.patch

    @property
    def step_rows(self) -> int:
        return self._patches if self.tokens == "published" else 1

    @property
    def n_bins(self) -> int:
        return self.network.width * (self._patches if self.tokens == "concat" else 1)

    def build(self) -> nn.Module:
        from sedkit.models.beats import Beats

        return Beats(self.network)

    def embed(self, network: nn.Module, x: Tensor) -> Tensor:
        rows: Tensor = network(x)
        if self.tokens == "published":
            return rows
        steps = rows.unflatten(1, (-1, self._patches))
        return steps.mean(dim=2) if self.tokens == "mean" else steps.flatten(2)
