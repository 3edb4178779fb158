"""What every network returns, and what every network is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

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

    `forward(x, n_frames=None, embeddings=None)` takes (batch, frames, bins) float32 and the number of real frames of
    each clip, (batch,) int64; None means that all of them are real; networks that know embeddings take those, too, by
    name, (batch, rows, bins). It may run under autocast to bfloat16, in training and in prediction
    alike; what has to stay float32 stands in `sedkit.models.layers.no_autocast`.

    Attributes
    ----------
    time_pooling
        Feature frames that one frame of `SedOutput.framewise` covers.
    input_frames
        The only number of frames that the network takes; None: any.
    most_frames
        The largest number of them; None: there is none.
    layer_order
        Prefixes of the names of the parameters of each layer, from the input to the classifier, for layer-wise decay;
        empty: the network knows no order.
    frozen_norms
        Names of batch norms that train nothing: they normalise by their running statistics, and keep them.
    full_output
        Fill every field of `SedOutput`. Where it is False, a network may leave out masks, reconstruction and attention,
        and what only they need.
    """

    time_pooling: int = 1
    input_frames: int | None = None
    most_frames: int | None = None
    layer_order: Sequence[tuple[str, ...]] = ()
    frozen_norms: tuple[str, ...] = ()
    full_output: bool = True
    #: What a network made for prediction (`folding.for_prediction`) computes in under autocast; None: as it is called.
    autocast: torch.dtype | None = None
    #: Name -> bins of each embedding that `forward` takes.
    embeddings: Mapping[str, int] = MappingProxyType({})
    #: Whether `forward` takes `class_mask` (`sedkit.features.batch.StreamBatch`).
    takes_class_mask: bool = False
    #: Names of (convolution, batch norm) pairs that may become one convolution at inference.
    folding: ClassVar[tuple[tuple[str, str], ...]] = ()

    def __call__(self, x: Tensor, *args: Any, **kwargs: Any) -> Any:
        if self.autocast is None:
            return super().__call__(x, *args, **kwargs)
        with torch.autocast(x.device.type, self.autocast):
            return super().__call__(x, *args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Set training mode, but for `frozen_norms`."""
        super().train(mode)
        for name in self.frozen_norms:
            self.get_submodule(name).eval()
        return self

    def silence(self, frames: int, bins: int) -> tuple[Any, ...]:
        """Return what to call the network with for a clip of zeros; it is as long as the only one that it takes."""
        frames = self.input_frames or frames
        rows = max(1, frames // self.time_pooling)
        embeddings = {name: torch.zeros(1, rows, n) for name, n in self.embeddings.items()}
        return inputs_of(torch.zeros(1, frames, bins), None, embeddings)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return a foreign state dict under this network's names (a network that knows none returns it as it is)."""
        return state


def inputs_of(
    x: Tensor, n_frames: Tensor | None, embeddings: Mapping[str, Tensor], class_mask: Tensor | None = None
) -> tuple[Any, ...]:
    """Return what to call a network with: it is called without what there is none of."""
    if class_mask is not None:
        return x, n_frames, embeddings, class_mask
    return (x, n_frames, embeddings) if embeddings else (x, n_frames)


def valid_mask(n_frames: Tensor, pooling: int, n_output: int) -> Tensor:
    """Return (batch, n_output) bool: output frames that hold at least one real feature frame.

    The first frame always counts, so that a maximum over time exists for an empty clip.
    """
    n_valid = torch.clamp((n_frames + pooling - 1) // pooling, min=1)
    return torch.arange(n_output, device=n_frames.device)[None, :] < n_valid[:, None]
