"""Ways from many values to one: over frequency before the classifier, over time for the clip."""

from __future__ import annotations

import torch
from torch import Tensor


def reduce_frequency(x: Tensor, how: str) -> Tensor:
    """Reduce (batch, channels, frames, bins) to (batch, channels, frames) by `mean` or `max`."""
    return x.mean(dim=3) if how == "mean" else x.amax(dim=3)


def max_over_time(x: Tensor, valid: Tensor | None, time_axis: int) -> Tensor:
    """Take the maximum over the frames that count.

    Parameters
    ----------
    x
        (batch, channels, frames) or (batch, frames, classes).
    valid
        (batch, frames) bool; None takes all frames.
    time_axis
        Axis of the frames: 1 or 2.
    """
    if valid is not None:
        shape = valid[:, None, :] if time_axis == 2 else valid[:, :, None]
        x = x.masked_fill(~shape, torch.finfo(x.dtype).min)
    return x.amax(dim=time_axis)


def mean_over_time(x: Tensor, valid: Tensor | None, time_axis: int) -> Tensor:
    """Take the mean over the frames that count; arguments as `max_over_time`."""
    if valid is None:
        mean = x.mean(dim=time_axis)
    else:
        weight = (valid[:, None, :] if time_axis == 2 else valid[:, :, None]).to(x.dtype)
        mean = (x * weight).sum(dim=time_axis) / weight.sum(dim=time_axis)
    # Rounding may lead a hair above the largest value, and a cross-entropy refuses a probability above 1. The gradient
    # is the mean's also where all values are equal (torch.minimum halves it there).
    return mean - (mean - x.amax(dim=time_axis)).clamp(min=0).detach()


def last_valid_kept(x: Tensor, valid: Tensor) -> Tensor:
    """Give frames behind those that count the values of the last one that does.

    Parameters
    ----------
    x
        (batch, frames, classes).
    valid
        (batch, frames) bool, the first ones.
    """
    # Not the frames' own number, which a recorded graph may take for a constant.
    place = torch.arange(valid.shape[1], device=x.device).minimum(valid.sum(1, keepdim=True) - 1)
    return x.gather(1, place[:, :, None].expand_as(x))


def attention_over_time(values: Tensor, logits: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Average frame probabilities with a softmax over time.

    Parameters
    ----------
    values
        (batch, frames, classes) probabilities.
    logits
        (batch, frames, classes), what the softmax is taken of.
    valid
        (batch, frames) bool; frames outside get weight 0.

    Returns
    -------
    (batch, classes) averages, (batch, frames, classes) weights that sum to 1 over the frames
    """
    if valid is not None:
        logits = logits.masked_fill(~valid[:, :, None], torch.finfo(logits.dtype).min)
    weights = torch.softmax(logits, dim=1)
    # A float32 softmax may sum to a hair above 1, which a cross-entropy on probabilities refuses.
    return (weights * values).sum(dim=1).clamp(0.0, 1.0), weights


def attention_over_classes(values: Tensor, logits: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
    """Average frame probabilities over time, a frame's weights being a softmax over the classes.

    The attention of the official baselines since 2019: clip_c = sum_t p_c(t) a_c(t) / sum_t a_c(t), a(t) = softmax over
    the classes, at least 1e-7. Arguments and what is returned as `attention_over_time`.
    """
    weights = torch.softmax(logits, dim=2).clamp(1e-7, 1.0)
    if valid is not None:
        weights = weights * valid[:, :, None]
    weights = weights / weights.sum(dim=1, keepdim=True)
    return (weights * values).sum(dim=1).clamp(0.0, 1.0), weights


def ranked_mean(values: Tensor, r: float, n_valid: Tensor | None = None) -> Tensor:
    """Pool by global weighted rank: sum_j r^j v_(j) / sum_j r^j, the values sorted from the largest (arXiv 1804.04715).

    Parameters
    ----------
    values
        (batch, classes, n) probabilities.
    r
        0 is the maximum, 1 the mean.
    n_valid
        (batch,) how many of the values count, the first ones; None counts all.

    Returns
    -------
    (batch, classes)
    """
    rank = torch.arange(values.shape[2], device=values.device)
    weights = r ** rank.double()
    if n_valid is not None:
        valid = rank < n_valid[:, None]
        # A probability is not below 0: what does not count is sorted behind what does.
        values, weights = values.masked_fill(~valid[:, None], 0.0), weights * valid
    if r == 0:
        return values.amax(dim=2)
    if r < 1:
        values = values.sort(dim=2, descending=True).values
    weights = (weights / weights.sum(dim=-1, keepdim=True)).to(values.dtype)
    # Rounding may lead a hair above 1, which a cross-entropy on probabilities refuses.
    return (values @ weights[..., None]).squeeze(2).clamp(0.0, 1.0)
