"""ATST-Frame, a transformer of 40-ms frames (Li et al., arXiv 2306.04186), under the authors' key names."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.output import valid_mask
from sedkit.models.pretrained_sed import PretrainedSed, PretrainedSedOptions
from sedkit.models.registry import register, register_body
from sedkit.models.sizes import AtstFrameOptions
from sedkit.models.transformer import PreNormBlock
from sedkit.models.weights import Pretrained, below_prefix

#: Frames of the mel spectrogram in a token.
PATCH_FRAMES = 4


class PatchEmbedding(nn.Module):
    """One linear layer over all bins of four frames, bin by bin; key `patch_embed`."""

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.patch_embed = nn.Linear(bins * PATCH_FRAMES, width)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, bins) to (batch, frames // 4, width)."""
        tokens = x.shape[1] // PATCH_FRAMES
        patches = x[:, : tokens * PATCH_FRAMES].unflatten(1, (tokens, PATCH_FRAMES)).transpose(2, 3).flatten(2)
        out: Tensor = self.patch_embed(patches)
        return out


class AtstFrame(Pretrained):
    """Frames of a normalised mel spectrogram to one token for each four of them.

    Shapes: (batch, frames, bins) -> (batch, frames // 4, width).
    """

    def __init__(self, options: AtstFrameOptions) -> None:
        super().__init__()
        # Replaces masked tokens while the network is pretrained, and does nothing here.
        self.mask_embed = nn.Parameter(torch.zeros(1, 1, options.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, options.positions, options.width))
        self.patch_embed = PatchEmbedding(options.bins, options.width)
        self.blocks = nn.Sequential(
            *(PreNormBlock(options.width, options.heads, options.hidden, qkv_bias=False) for _ in range(options.layers))
        )
        self.norm_frame = nn.LayerNorm(options.width, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.width, self.step_frames = options.width, PATCH_FRAMES
        self.most_frames = PATCH_FRAMES * options.positions - 1
        blocks = [(f"blocks.{place}.",) for place in range(options.layers)]
        blocks[0] = ("mask_embed", "pos_embed", "patch_embed.", *blocks[0])
        blocks[-1] = (*blocks[-1], "norm_frame.")
        self.layer_order = blocks

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        """Return the tokens; those of padding are not seen by the others, where `n_frames` is known.

        Raises
        ------
        SedkitError
            More tokens than there are positions.
        """
        # Not the tokens' own number, which a recorded graph takes for a constant.
        n, most = x.shape[1] // PATCH_FRAMES, self.pos_embed.shape[1] - 1
        if n > most:
            raise SedkitError(f"{n} tokens of 4 frames, expected at most {most}, which ATST-Frame knows")
        seen = None if n_frames is None else valid_mask(n_frames // PATCH_FRAMES, 1, n)[:, None, None]
        tokens = self.patch_embed(x) + self.pos_embed[:, 1 : n + 1]
        for block in self.blocks:
            tokens = block(tokens, seen)
        out: Tensor = self.norm_frame(tokens)
        return out

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the network below any prefix, the teacher's of two; `norm` of the self-supervised files is `norm_frame`.

        A token for whole clips (`cls_token`) is left out.
        """
        state = below_prefix(state, "patch_embed.patch_embed.weight")
        renamed = {re.sub(r"^norm\.", "norm_frame.", name): value for name, value in state.items()}
        return {name: value for name, value in renamed.items() if name != "cls_token"}


@register_body("atst_frame", AtstFrameOptions)
def _body(n_bins: int, options: AtstFrameOptions) -> AtstFrame:
    if n_bins != options.bins:
        raise UsageError(f"the front end gives {n_bins} bins, expected {options.bins}, which ATST-Frame knows")
    return AtstFrame(options)


@register("atst_frame", AtstFrameOptions)
def _build(n_classes: int, n_bins: int, options: AtstFrameOptions) -> PretrainedSed:
    return PretrainedSed(_body(n_bins, options), n_classes, PretrainedSedOptions({"name": "atst_frame"}))
