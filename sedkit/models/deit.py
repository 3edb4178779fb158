"""Vision transformers with two tokens for the clip before those of its patches (DeiT, Touvron et al., 2012.12877)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.models.layers import no_autocast
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.sizes import VisionOptions
from sedkit.models.transformer import PreNormBlock
from sedkit.models.weights import Pretrained

#: Names behind the last block.
_LAST = ("norm.", "head.", "head_dist.")


class Deit(Pretrained, ABC):
    """A class token, a distillation token and one token a patch, with places added to all of them, through blocks.

    Patches lie in rows (of frequency) and columns (of time); patch (row, column) is token
    2 + row * columns + column. Keys `cls_token`, `dist_token`, `blocks`, `norm`.

    Attributes
    ----------
    rows
        Patches over all bins.
    step_frames, overlap
        Frames of the spectrogram from column to column, and those that a column shares with the next one.
    most_frames
        Frames of which the network knows all columns.
    """

    rows: int
    overlap: int = 0

    def __init__(self, options: VisionOptions, eps: float = 1e-6) -> None:
        super().__init__()
        self.width = options.width
        self.cls_token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, options.width))
        self.blocks = nn.Sequential(
            *(PreNormBlock(options.width, options.heads, options.hidden, eps=eps) for _ in range(options.layers))
        )
        self.norm = nn.LayerNorm(options.width, eps=eps)

    @abstractmethod
    def tokens(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        """Return all tokens of a normalised spectrogram.

        Parameters
        ----------
        x
            (batch, frames, bins).
        n_frames
            (batch,) frames that are real; None: all of them.

        Returns
        -------
        (batch, 2 + rows * columns, width)

        Raises
        ------
        SedkitError
            More frames than the network knows, or too few for a patch.
        """

    @property
    def layer_order(self) -> list[tuple[str, ...]]:  # type: ignore[override]
        blocks = [(f"blocks.{place}.",) for place in range(len(self.blocks))]
        first = [name for name, _ in self.named_parameters() if not name.startswith(("blocks.", *_LAST))]
        blocks[0] = (*first, *blocks[0])
        return [*blocks[:-1], (*blocks[-1], *_LAST)]

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> Any:
        return self.columns(x, n_frames)

    def columns(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        """Return the mean over the rows of each column that the frames fill: (batch, columns, width)."""
        patches = self.tokens(x, n_frames)[:, 2:]
        filled = max(0, x.shape[1] - self.overlap) // self.step_frames
        return patches.unflatten(1, (self.rows, -1)).mean(dim=1)[:, :filled]

    def encode(self, patches: Tensor, places: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return what the blocks make of patches.

        Parameters
        ----------
        patches
            (batch, width, rows, columns).
        places
            (1, 2 + rows * columns, width), added to the tokens.
        seen
            (batch, columns) bool: the others are no keys of the attention.

        Returns
        -------
        (batch, 2 + rows * columns, width)
        """
        clip = torch.cat([self.cls_token, self.dist_token], dim=1).expand(patches.shape[0], -1, -1)
        x = torch.cat([clip, patches.flatten(2).transpose(1, 2)], dim=1) + places
        if seen is not None:
            seen = F.pad(seen.repeat(1, patches.shape[2]), (2, 0), value=True)[:, None, None]
        for block in self.blocks:
            x = block(x, seen)
        out: Tensor = self.norm(x)
        return out


class DeitTagger(Deit, SedModel):
    """A classifier of the mean of the two tokens, which knows clips alone: each frame has its clip's probabilities.

    Key `head`: a norm and a linear layer.
    """

    def add_head(self, options: VisionOptions, n_classes: int, eps: float) -> None:
        """Make the classifier."""
        self.time_pooling = self.step_frames
        self.head = nn.Sequential(nn.LayerNorm(options.width, eps=eps), nn.Linear(options.width, n_classes))

    @property
    def layer_order(self) -> list[tuple[str, ...]]:  # type: ignore[override]
        *blocks, last = super().layer_order
        return [*blocks, last[: -len(_LAST)], _LAST]

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        clip = self.tokens(x, n_frames)[:, :2].mean(dim=1).float()
        with no_autocast(clip):
            clipwise = torch.sigmoid(self.head(clip))
        return SedOutput(clipwise, clipwise[:, None].expand(-1, max(1, x.shape[1] // self.time_pooling), -1))
