"""A batch of one stream, as augmentation, normalisation and objectives see it. Importable without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
else:
    # Others take the name from here: jsonargparse runs the block above in modules whose options it reads.
    Tensor = Any


@dataclass
class StreamBatch:
    """The clips of a batch that come from one stream.

    Attributes
    ----------
    features
        (clips, frames, bins) float32, raw until they are normalised; None where only the waveform is there yet.
    n_frames
        (clips,) int64, frames that the recording fills.
    clip_target
        (clips, classes) float32 in [0, 1], or None.
    frame_target
        (clips, frames, classes) float32 in [0, 1] at the frames of the features, or None.
    waveform
        (clips, samples) float32, or None.
    class_mask
        (clips, classes) bool: which classes the clip's set is annotated for, the others being 0 in the targets without
        being known to be absent; None: all.
    embeddings
        Further features of the same windows by name, (clips, rows, bins) float32 each, as the section `embeddings` has
        their front ends; they have rows of their own and are not normalised.
    """

    features: Tensor | None
    n_frames: Tensor
    clip_target: Tensor | None = None
    frame_target: Tensor | None = None
    waveform: Tensor | None = None
    class_mask: Tensor | None = None
    embeddings: dict[str, Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.n_frames)

    def map(self, change: Callable[[Tensor], Tensor]) -> StreamBatch:
        """Return the batch with every tensor changed: moved, pinned, or clips taken out of it."""
        return self.joined(lambda columns: change(columns[0]))

    def joined(self, join: Callable[[list[Tensor]], Tensor], *others: StreamBatch) -> StreamBatch:
        """Return what `join` makes of each tensor of this batch and the same one of others; None where one has none."""

        def together(columns: list[Any]) -> Any:
            if isinstance(columns[0], dict):
                return {name: together([column[name] for column in columns]) for name in columns[0]}
            return None if any(column is None for column in columns) else join(columns)

        names = [one.name for one in fields(self)]
        return StreamBatch(**{name: together([getattr(one, name) for one in (self, *others)]) for name in names})


#: One `StreamBatch` a stream.
Batch = dict[str, StreamBatch]


def real_frames(n_frames: Tensor, frames: int) -> Tensor:
    """Return (clips, frames) bool: which frames the recordings fill."""
    import torch

    return torch.arange(frames, device=n_frames.device) < n_frames[:, None]
