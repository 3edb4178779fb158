"""Binary cross-entropy on clips, on frames, or on both, and what a reconstruction misses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from sedkit.core.errors import UsageError
from sedkit.features.batch import Batch, StreamBatch, real_frames
from sedkit.models.layers import no_autocast
from sedkit.models.output import SedOutput
from sedkit.objectives.base import Context, Objective, Term, joined
from sedkit.objectives.registry import register

#: What a network frame's target is made of, `pooled_target`.
Pooled = Literal["share", "any", "floor"]


def pooled_target(target: Tensor, pooling: int, n_out: int, pooled: Pooled = "share") -> Tensor:
    """Return (clips, n_out, classes) targets of network frames.

    Parameters
    ----------
    target
        (clips, at least `n_out * pooling` frames, classes) labels in [0, 1].
    pooling
        Frames that a network frame covers.
    pooled
        `share`: the mean over those frames. `any`: the greatest, so that an event reaches from the network frame of its
        onset to that of its offset, both included (DCASE 2021 to 2024). `floor`: onset and offset are rounded down to
        frames and then to network frames, the offset's exclusive (DCASE 2019). Frames know of an offset which one it
        falls into: on the very edge of one, it counts as inside the frame before.
    """
    blocks = target[:, : n_out * pooling].unflatten(1, (n_out, pooling))
    if pooled == "share":
        return blocks.mean(dim=2)
    if pooled == "any":
        return blocks.amax(dim=2)
    # floor(f / p) <= k < floor((l - 1) / p) says that [f, l) holds the last frame of k and the one after it.
    after = F.pad(target[:, pooling::pooling][:, :n_out], (0, 0, 0, n_out))[:, :n_out]
    return blocks[:, :, -1].minimum(after)


def clip_bce(clipwise: Tensor, target: Tensor) -> Term:
    """Return -y ln p - (1 - y) ln(1 - p), mean over classes, summed over clips.

    Parameters
    ----------
    clipwise, target
        (clips, classes); probabilities and labels in [0, 1].
    """
    with no_autocast(clipwise):
        return Term(F.binary_cross_entropy(clipwise.float(), target) * len(target), len(target))


def frame_bce(
    framewise: Tensor, target: Tensor, pooling: int, n_frames: Tensor | None = None, pooled: Pooled = "share"
) -> Term:
    """Return the cross-entropy at the frames of the features, each network frame standing for those that it covers.

    With `share` equal to repeating each network frame `pooling` times and comparing frame by frame over the common
    length (Kong et al., arXiv 1904.03476), at 1 / `pooling` of the cost: the cross-entropy is linear in the target, so
    the targets are averaged instead.

    Parameters
    ----------
    framewise
        (clips, network frames, classes) probabilities.
    target
        (clips, frames, classes) labels in [0, 1]; frames that do not fill a whole network frame are left out.
    pooling
        Frames that a network frame covers.
    n_frames
        (clips,) frames to count, the rest being padding; None counts all, as published.
    pooled
        As `pooled_target` takes it.

    Returns
    -------
    the mean over frames and classes, summed over clips; with `n_frames` the sum over real frames and classes
    """
    clips, n_out, classes = framewise.shape
    common = min(target.shape[1] // pooling, n_out)
    with no_autocast(framewise):
        p = framewise[:, :common].float()
        if n_frames is None:
            return Term(F.binary_cross_entropy(p, pooled_target(target, pooling, common, pooled)) * clips, clips)
        real = real_frames(n_frames, target.shape[1]).float()
        n_real = real[:, : common * pooling].unflatten(1, (common, pooling)).sum(dim=2)[:, :, None]
        known = pooled_target(target * real[:, :, None], pooling, common, pooled)
        if pooled == "share":
            known = known * pooling / n_real.clamp(min=1)
        loss = F.binary_cross_entropy(p, known, reduction="none") * n_real
        return Term(loss.sum(), n_real.sum() * classes)


def reconstruction_mse(reconstruction: Tensor, features: Tensor, n_frames: Tensor | None = None) -> Term:
    """Return the squared error of a reconstruction.

    Parameters
    ----------
    reconstruction, features
        (clips, frames, bins), normalised.
    n_frames
        (clips,) frames to count, the rest being padding; None counts all, as published.

    Returns
    -------
    the mean over frames and bins, summed over clips; with `n_frames` the mean over bins, summed over real frames
    """
    with no_autocast(reconstruction):
        error = (reconstruction.float() - features).square().mean(dim=2)
        if n_frames is None:
            return Term(error.mean(dim=1).sum(), len(error))
        real = real_frames(n_frames, error.shape[1])
        return Term((error * real).sum(), real.sum())


@dataclass(frozen=True)
class ClipOptions:
    """The clip-level cross-entropy has no options."""


@dataclass(frozen=True)
class FrameOptions:
    """Options of the frame-level cross-entropy.

    Attributes
    ----------
    padding
        `count` compares padded frames too (published), `leave_out` does not.
    pooled
        Target of a network frame: see `pooled_target`.
    """

    padding: Literal["count", "leave_out"] = "count"
    pooled: Pooled = "share"


@dataclass(frozen=True)
class WeakStrongOptions(FrameOptions):
    """Options of the joint objective, beside those of the frame-level term.

    Attributes
    ----------
    clip_weight, frame_weight
        Weights of the clip-level and the frame-level term.
    """

    clip_weight: float = 1.0
    frame_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("clip_weight", "frame_weight"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"objective.{name} is {getattr(self, name)}, expected at least 0")


@dataclass(frozen=True)
class ReconstructionOptions:
    """Options of the clip-level cross-entropy with a reconstruction.

    Attributes
    ----------
    alpha
        Weight of the reconstruction's mean squared error: 0.001 is published, 0 is the published ablation.
    padding
        See `FrameOptions`, here for the reconstruction.
    """

    alpha: float = 0.001
    padding: Literal["count", "leave_out"] = "count"

    def __post_init__(self) -> None:
        if not self.alpha >= 0:
            raise UsageError(f"objective.alpha is {self.alpha}, expected at least 0")


class BinaryCrossEntropy(Objective):
    """Clip-level term on the streams with clip targets, frame-level term on those with frame targets.

    Parameters
    ----------
    clip_weight, frame_weight
        Weight of each term; a term of weight 0 is not computed.
    mask_padding
        Leave padded frames out of the other terms than the clip-level one.
    reconstruction_weight
        Of the reconstruction's error, on all streams.
    pooled
        See `pooled_target`.
    """

    def __init__(
        self,
        clip_weight: float,
        frame_weight: float,
        mask_padding: bool = False,
        reconstruction_weight: float = 0.0,
        pooled: Pooled = "share",
    ) -> None:
        self.clip_weight, self.frame_weight, self.mask_padding = clip_weight, frame_weight, mask_padding
        self.reconstruction_weight, self.pooled = reconstruction_weight, pooled

    def loss(self, context: Context) -> dict[str, Term]:
        """Return the terms of the default view."""
        return self.terms(context.batch, context.forward(), context.network.time_pooling)

    def terms(self, batch: Batch, outputs: dict[str, SedOutput], pooling: int) -> dict[str, Term]:
        """Return the terms `clip` and `frame`, each over all streams that have its targets, and `reconstruction`."""
        terms: list[tuple[str, Term]] = []
        for name, stream in batch.items():
            if stream.frame_target is not None and self.frame_weight:
                n_frames = stream.n_frames if self.mask_padding else None
                term = frame_bce(outputs[name].framewise, stream.frame_target, pooling, n_frames, self.pooled)
                terms.append(("frame", replace(term, weight=self.frame_weight)))
            elif stream.clip_target is not None and self.clip_weight:
                term = clip_bce(outputs[name].clipwise, stream.clip_target)
                terms.append(("clip", replace(term, weight=self.clip_weight)))
        if not terms:
            raise UsageError("no stream has the targets that the objective compares with (see data.streams)")
        if self.reconstruction_weight:
            terms += [("reconstruction", self._error(outputs[name], s)) for name, s in batch.items()]
        return joined(terms)

    def _error(self, output: SedOutput, stream: StreamBatch) -> Term:
        if output.reconstruction is None:
            raise UsageError(
                "the objective compares a reconstruction, the network gives none; take a network with a decoder, such "
                "as two_step_attention, or the objective clip_bce"
            )
        assert stream.features is not None, "a waveform without its features"
        n_frames = stream.n_frames if self.mask_padding else None
        term = reconstruction_mse(output.reconstruction, stream.features, n_frames)
        return replace(term, weight=self.reconstruction_weight)


@register("clip_bce", ClipOptions)
def _clip(options: ClipOptions) -> Objective:
    return BinaryCrossEntropy(1.0, 0.0)


@register("frame_bce", FrameOptions)
def _frame(options: FrameOptions) -> Objective:
    return BinaryCrossEntropy(0.0, 1.0, options.padding == "leave_out", pooled=options.pooled)


@register("weak_strong_bce", WeakStrongOptions)
def _both(options: WeakStrongOptions) -> Objective:
    return weak_strong(options)


def weak_strong(options: WeakStrongOptions) -> BinaryCrossEntropy:
    """Build the joint objective, also as a part of another one."""
    masked = options.padding == "leave_out"
    return BinaryCrossEntropy(options.clip_weight, options.frame_weight, masked, pooled=options.pooled)


@register("clip_reconstruction", ReconstructionOptions)
def _with_reconstruction(options: ReconstructionOptions) -> Objective:
    return BinaryCrossEntropy(1.0, 0.0, options.padding == "leave_out", options.alpha)
