"""Patches of PaSST and steps of fPaSST (`sedkit.models.passt`) as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sedkit.embeddings.deit import DeitFrontEnd, PatchFrontEnd
from sedkit.features.frontends import FrontEnd, frontend_from, register
from sedkit.models.sizes import FPASST_FRONTEND, PASST_FRONTEND, PASST_NORMALISE, FpasstOptions, PasstOptions

if TYPE_CHECKING:
    from torch import nn


@register("passt")
@dataclass(frozen=True, kw_only=True)
class PasstFrontEnd(PatchFrontEnd):
    """PaSST: a row of 100 ms, of which each sees 60 ms of the next; 99 of 10 s, of which it never sees more at once.

    Parameters
    ----------
    network : sizes, where they are not those of the released model.
    """

    normalise = PASST_NORMALISE

    sample_rate: int = 32000
    network: PasstOptions = field(default_factory=PasstOptions)

    @cached_property
    def spectrum(self) -> FrontEnd:
        return frontend_from(PASST_FRONTEND)

    @property
    def most_steps(self) -> int:
        return self.network.positions

    def build(self) -> nn.Module:
        from sedkit.models.passt import Passt

        return Passt(self.network, self.spectrum.n_bins)


@register("fpasst")
@dataclass(frozen=True, kw_only=True)
class FpasstFrontEnd(DeitFrontEnd):
    """fPaSST: a row of 40 ms, 250 of 10 s, of which it never sees more at once.

    Parameters
    ----------
    fmax_hz : upper end of the mels: 7000 of the models of PretrainedSED, 8000 of others.
    network : sizes, where they are not those of the released model.
    """

    normalise = PASST_NORMALISE
    step_spectrum_frames = 4

    sample_rate: int = 16000
    fmax_hz: float = 7000.0
    network: FpasstOptions = field(default_factory=FpasstOptions)

    @cached_property
    def spectrum(self) -> FrontEnd:
        return frontend_from(FPASST_FRONTEND | {"fmax_hz": self.fmax_hz})

    @property
    def most_steps(self) -> int:
        return self.network.positions

    def build(self) -> nn.Module:
        from sedkit.models.passt import Fpasst

        return Fpasst(self.network, self.spectrum.n_bins)
