"""What every network returns, and what every network is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn


@dataclass
class SedOutput:
    """Probabilities of one batch, float32.

    Attributes
    ----------
    clipwise
        (batch, classes).
    framewise
        (batch, frames / `SedModel.time_pooling`, classes): at the network's own time resolution.
    masks
        (batch, classes, frames, bins), for networks that segment time and frequency.
    reconstruction
        (batch, frames, bins), for networks with a decoder.
    attention
        Named weights, for networks that pool by attention.
    """

    clipwise: Tensor
    framewise: Tensor
    masks: Tensor | None = None
    reconstruction: Tensor | None = None
    attention: dict[str, Tensor] | None = None


class SedModel(nn.Module):
    """Base of the networks.

    `forward(x, n_frames=None)` takes (batch, frames, bins) float32 and the number of real frames of each clip, (batch,)
    int64; None means that all of them are real. It may run under autocast to bfloat16, in training and in prediction
    alike; what has to stay float32 stands in `sedkit.models.layers.no_autocast`.

    Attributes
    ----------
    time_pooling
        Feature frames that one frame of `SedOutput.framewise` covers.
    input_frames
        The only number of frames that the network takes; None: any.
    full_output
        Fill every field of `SedOutput`. Where it is False, a network may leave out masks, reconstruction and attention,
        and what only they need.
    """

    time_pooling: int = 1
    input_frames: int | None = None
    full_output: bool = True
    #: Names of (convolution, batch norm) pairs that may become one convolution at inference.
    folding: ClassVar[tuple[tuple[str, str], ...]] = ()

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a foreign state dict under this network's names (a network that knows none returns it as it is)."""
        return state


def valid_mask(n_frames: Tensor, pooling: int, n_output: int) -> Tensor:
    """Return (batch, n_output) bool: output frames that hold at least one real feature frame.

    The first frame always counts, so that a maximum over time exists for an empty clip.
    """
    n_valid = torch.clamp((n_frames + pooling - 1) // pooling, min=1)
    return torch.arange(n_output, device=n_frames.device)[None, :] < n_valid[:, None]
