"""Heads of frames and clips on a network that others trained (Schmid et al., arXiv 2409.09546, equations 1 to 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.gru import Gru
from sedkit.models.layers import no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import attention_over_classes, last_valid_kept, max_over_time, mean_over_time
from sedkit.models.registry import build_body, register, resolve_body
from sedkit.models.weights import Pretrained, without_other_classes

#: Beginnings of the names beside the body's in the authors' files and here.
_NAMES = {"seq_model.rnn.": "gru.", "gru.": "gru.", "strong_head.": "strong_head.", "weak_head.": "weak_head."}


@dataclass(frozen=True)
class PretrainedSedOptions:
    """Options of the network.

    Attributes
    ----------
    body
        `name` and sizes of the network of others.
    step_frames
        Frames of the features that one of the output covers.
    units, gru_layers
        Of each direction of the GRU between body and heads, and how many of them; units 0: none.
    clipwise
        Clip probability: that of the `mean` of the rows over time, a mean of the frame probabilities weighted by a
        softmax over the classes (`class_attention`), or their maximum (`frame_max`), which leaves `weak_head` idle.
    mask_padding
        Padded frames are not seen by the body, and count for nothing in the clip's probability.
    """

    body: dict[str, Any] = field(default_factory=lambda: {"name": "beats"})
    step_frames: int = 4
    units: int = 0
    gru_layers: int = 2
    clipwise: Literal["mean", "class_attention", "frame_max"] = "mean"
    mask_padding: bool = True

    def __post_init__(self) -> None:
        for name, low in (("step_frames", 1), ("units", 0), ("gru_layers", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected at least {low}")
        object.__setattr__(self, "body", resolve_body(self.body))


def _overlapping(rows: Tensor, n: int) -> Tensor:
    """Return (n, rows), whose products are means of the rows that overlap each of n steps: adaptive average pooling.

    A graph for other programs has no such pooling to any number of steps.
    """
    n_rows = rows.shape[1]
    step, row = torch.arange(n, device=rows.device)[:, None], torch.arange(n_rows, device=rows.device)
    overlap = ((row * n < (step + 1) * n_rows) & ((row + 1) * n > step * n_rows)).to(rows.dtype)
    return overlap / overlap.sum(1, keepdim=True)


class PretrainedSed(Pretrained, SedModel):
    """A body whose rows become steps of equal length, a GRU in both directions where asked for, and two linear heads.

    More rows than steps are averaged (adaptive average pooling), fewer are interpolated. `strong_head` classifies the
    steps, `weak_head` their mean over time, or weighs the classes of each step.

    Steps that a recording does not fill are left out; their frames have the probabilities of the last one that it
    fills. Of a clip whose set is annotated for some of the classes (`class_mask`), the others have no part in a softmax
    over classes.
    """

    def __init__(self, body: Pretrained, n_classes: int, options: PretrainedSedOptions) -> None:
        super().__init__()
        self.options, self.body = options, body
        self.time_pooling, self.most_frames = options.step_frames, body.most_frames
        self.takes_class_mask = options.clipwise == "class_attention"
        self.gru = Gru(body.width, options.units, options.gru_layers) if options.units else None
        n_features = 2 * options.units or body.width
        self.strong_head, self.weak_head = nn.Linear(n_features, n_classes), nn.Linear(n_features, n_classes)
        layers = [tuple(f"body.{prefix}" for prefix in layer) for layer in body.layer_order]
        if layers:
            self.layer_order = [*layers, ("gru.", "strong_head.", "weak_head.")]

    def n_steps(self, frames: Any) -> Any:
        """Return how many steps so many frames are, a number or a tensor of them, which may be 0."""
        step = self.time_pooling
        # 998 frames of 25 ms are 10 s as 1001 centred ones are: 250 steps of 40 ms.
        return frames // step if self.body.step_frames == step else (frames + step // 2) // step

    def steps(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        """Return (batch, frames / `time_pooling`, width of the body) of (batch, frames, bins)."""
        rows, n = self.body(x, n_frames).float(), max(1, self.n_steps(x.shape[1]))
        if rows.shape[1] > n:
            return _overlapping(rows, n) @ rows
        if rows.shape[1] < n:
            return F.interpolate(rows.transpose(1, 2), n, mode="linear").transpose(1, 2)
        return rows

    def forward(
        self,
        x: Tensor,
        n_frames: Tensor | None = None,
        embeddings: Mapping[str, Tensor] | None = None,
        class_mask: Tensor | None = None,
    ) -> SedOutput:
        n_frames = n_frames if self.options.mask_padding else None
        v = self.steps(x, n_frames)
        with no_autocast(x):
            if self.gru is not None:
                v = self.gru(v)
            framewise, valid = torch.sigmoid(self.strong_head(v)), None
            if n_frames is not None:
                valid = valid_mask(self.n_steps(n_frames), 1, v.shape[1])
                framewise = last_valid_kept(framewise, valid)
            if self.options.clipwise == "mean":
                return SedOutput(torch.sigmoid(self.weak_head(mean_over_time(v, valid, time_axis=1))), framewise)
            if self.options.clipwise == "frame_max":
                return SedOutput(max_over_time(framewise, valid, time_axis=1), framewise)
            logits = self.weak_head(v)
            if class_mask is not None:
                known = class_mask[:, None, :]
                framewise, logits = framewise * known, logits.masked_fill(~known, -1e30)
            clipwise, weights = attention_over_classes(framewise, logits, valid)
            return SedOutput(clipwise, framewise, attention={"time": weights})

    def check_file(self, content: dict[str, Any], source: object) -> None:
        self.body.check_file(content, source)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the body as it reads its own files, and beside it GRU and heads; a head of other classes is left out."""
        body, beside = {}, {}
        for name, value in state.items():
            theirs = next((prefix for prefix in _NAMES if name.startswith(prefix)), None)
            if theirs is None:
                body[name] = value
            else:
                beside[_NAMES[theirs] + name.removeprefix(theirs)] = value
        for head in ("strong_head.", "weak_head."):
            beside = without_other_classes(self, beside, (head,))
        return {f"body.{name}": value for name, value in self.body.adapt_weights(body).items()} | beside


@register("pretrained_sed", PretrainedSedOptions)
def _build(n_classes: int, n_bins: int, options: PretrainedSedOptions) -> PretrainedSed:
    return PretrainedSed(build_body(options.body, n_bins), n_classes, options)
