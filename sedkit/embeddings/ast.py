"""Patches of AST (`sedkit.models.ast`) as features."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sedkit.embeddings.deit import PatchFrontEnd
from sedkit.features.frontends import FrontEnd, frontend_from, register
from sedkit.models.sizes import AST_FRONTEND, AST_NORMALISE, AstOptions

if TYPE_CHECKING:
    from torch import nn


@register("ast")
@dataclass(frozen=True, kw_only=True)
class AstFrontEnd(PatchFrontEnd):
    """AST: a row of 100 ms, of which each sees 60 ms of the next; 99 of 10 s, and of 10.24 s at most at once.

    Parameters
    ----------
    network : sizes, where they are not those of the released model.
    """

    normalise = AST_NORMALISE

    sample_rate: int = 16000
    network: AstOptions = field(default_factory=AstOptions)

    @cached_property
    def spectrum(self) -> FrontEnd:
        return frontend_from(AST_FRONTEND)

    @property
    def most_steps(self) -> int:
        return self.network.patches(self.network.frames)

    def build(self) -> nn.Module:
        from sedkit.models.ast import Ast

        return Ast(self.network, self.spectrum.n_bins)
