"""Multiple-instance learning: the best frame answers for the clip, and classes of one clip shall differ in time.

T. Pellegrini and L. Cances, "Cosine-similarity penalty to discriminate sound classes in weakly-supervised sound event
detection", IJCNN 2019 (arXiv 1901.03146).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from sedkit.core.errors import UsageError
from sedkit.features.batch import StreamBatch
from sedkit.models.layers import no_autocast
from sedkit.models.output import valid_mask
from sedkit.models.pooling import max_over_time, mean_over_time
from sedkit.objectives.base import Context, Objective, Term, joined
from sedkit.objectives.bce import clip_bce
from sedkit.objectives.registry import register

#: Keeps the norm of a class without a score away from 0.
_EPSILON = 1e-7


def cosine_penalty(framewise: Tensor, target: Tensor, valid: Tensor | None = None) -> Term:
    """Return how alike the curves of a clip's classes are.

    The mean over all classes of what each positive one has in cosine similarities with the other positive ones, summed
    over clips; each pair counts twice. A clip with fewer than two positive classes has none.

    Parameters
    ----------
    framewise
        (clips, frames, classes) probabilities.
    target
        (clips, classes) 0 or 1.
    valid
        (clips, frames) bool, frames that count; None counts all.
    """
    with no_autocast(framewise):
        curves = framewise.float() * target[:, None]
        if valid is not None:
            curves = curves * valid[:, :, None]
        directions = curves / (curves.square().sum(dim=1, keepdim=True) + _EPSILON**2).sqrt()
        similarity = directions.transpose(1, 2) @ directions
        others = 1 - torch.eye(target.shape[1], device=target.device)
        return Term((similarity * others).sum() / target.shape[1], len(target))


@dataclass(frozen=True)
class MilOptions:
    """Options of multiple-instance learning.

    Attributes
    ----------
    cosine
        Weight of the cosine-similarity penalty: 0.1 is published, 0 does without.
    mean, minimum
        Weights of two more terms: the mean of the frames is to be half of what the clip is, the least frame 0.
    padding
        `count` takes padded frames in (published), `leave_out` does not.
    """

    cosine: float = 0.0
    mean: float = 0.0
    minimum: float = 0.0
    padding: Literal["count", "leave_out"] = "count"

    def __post_init__(self) -> None:
        for name in ("cosine", "mean", "minimum"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"objective.{name} is {getattr(self, name)}, expected at least 0")


class Mil(Objective):
    """Cross-entropy of the largest frame probability, and what is added to it, on streams with clip targets."""

    def __init__(self, options: MilOptions) -> None:
        self.options = options

    def loss(self, context: Context) -> dict[str, Term]:
        """Return the term `maximum`, and of `mean`, `minimum` and `cosine` those with a weight."""
        outputs, pooling, options = context.forward(), context.network.time_pooling, self.options
        terms: list[tuple[str, Term]] = []
        for name, stream in context.batch.items():
            target = stream.clip_target
            if target is None:
                continue
            p = outputs[name].framewise
            valid = self._valid(stream, pooling, p.shape[1])
            terms.append(("maximum", clip_bce(max_over_time(p, valid, time_axis=1), target)))
            if options.mean:
                term = clip_bce(mean_over_time(p, valid, time_axis=1), target / 2)
                terms.append(("mean", replace(term, weight=options.mean)))
            if options.minimum:
                least = 1 - max_over_time(1 - p, valid, time_axis=1)
                terms.append(("minimum", replace(clip_bce(least, torch.zeros_like(target)), weight=options.minimum)))
            if options.cosine:
                terms.append(("cosine", replace(cosine_penalty(p, target, valid), weight=options.cosine)))
        if not terms:
            raise UsageError("no stream has clip targets, which mil compares with (data.streams.*.labels.target: clip)")
        return joined(terms)

    def _valid(self, stream: StreamBatch, pooling: int, frames: int) -> Tensor | None:
        return valid_mask(stream.n_frames, pooling, frames) if self.options.padding == "leave_out" else None


@register("mil", MilOptions)
def _build(options: MilOptions) -> Objective:
    return Mil(options)
