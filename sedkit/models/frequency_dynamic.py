"""Convolutions that differ from bin to bin (Nam et al., "Frequency dynamic convolution", Interspeech 2022)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.compiled import kernel
from sedkit.models.compiled import Values, as_lines, bits, on_cpu, over_lines, real, stored, with_gradient
from sedkit.models.layers import no_autocast

#: What the logits of the mixture are divided by (arXiv 2203.15296): mixtures begin nearly even.
TEMPERATURE = 31.0


@kernel()
def _gather(first: int, behind: int, x: Values, around: Values) -> None:
    """Fill in what lies around each value of bins, (3, 3, n_in) after another; beyond the edges it is 0."""
    _, bins, frames, n_in = x.shape
    size = 3 * n_in
    line = np.zeros((frames + 2) * n_in, x.dtype)
    for place in range(first, behind):
        b, f = place // bins, place % bins
        for i in range(3):
            if 0 <= f + i - 1 < bins:
                for t in range(frames):
                    row, out = x[b, f + i - 1, t], line[(t + 1) * n_in : (t + 2) * n_in]
                    for k in range(n_in):
                        out[k] = row[k]
            else:
                line[:] = 0
            for t in range(frames):
                row, out = line[t * n_in : t * n_in + size], around[place, t, i * size : (i + 1) * size]
                for k in range(size):
                    out[k] = row[k]


@kernel()
def _scatter(first: int, behind: int, around: Values, x: Values) -> None:
    """Fill in lines of the gradient of x of that of what lies around each value."""
    _, bins, frames, n_in = x.shape
    size = 3 * n_in
    line = np.empty((frames + 2) * n_in, np.float32)
    for place in range(first, behind):
        b, f = place // bins, place % bins
        line[:] = 0
        for i in range(max(0, f + 2 - bins), min(3, f + 2)):
            outer = around[place - i + 1]
            for t in range(frames):
                row, total = outer[t, i * size : (i + 1) * size], line[t * n_in : t * n_in + size]
                for k in range(size):
                    total[k] += real(row[k])
        for t in range(frames):
            for k in range(n_in):
                x[b, f, t, k] = stored(line[(t + 1) * n_in + k], x[b, f, t, k])


def _gathered(x: Tensor) -> Tensor:
    """Do what `surroundings` does, with channels last."""
    batch, n_in, bins, frames = x.shape
    y = x.new_empty(batch * bins, frames, 9 * n_in)
    over_lines(_gather, batch * bins, 9 * frames * n_in, as_lines(x), bits(y))
    return y


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.shape = inputs[0].shape


def _gradient(ctx: Any, grad: Tensor) -> Tensor:
    x = torch.empty(ctx.shape, dtype=grad.dtype, memory_format=torch.channels_last)
    batch, n_in, bins, frames = ctx.shape
    over_lines(_scatter, batch * bins, 9 * frames * n_in, bits(grad.contiguous()), as_lines(x))
    return x


_around = with_gradient(_gathered, _keep, _gradient)


def surroundings(x: Tensor) -> Tensor:
    """Return what lies around each frame of a bin, of the bins below, at and above it, as the row of a matrix.

    Beyond the edges it is 0. Torch does so in nine slices that are put side by side, and in nine more, with zeros
    around each, for the gradient; where compiled code applies it is one way ahead and one back.

    Shapes: (batch, n_in, bins, frames) -> (batch x bins, frames, 3 bins x 3 frames x n_in).
    """
    if on_cpu(x):
        y: Tensor = _around(x)
        return y
    bins, frames = x.shape[2:]
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    slices = [padded[:, i : i + bins, t : t + frames] for i in range(3) for t in range(3)]
    return torch.cat(slices, dim=3).flatten(0, 1)


class FrequencyDynamicConv(nn.Module):
    """Convolution with a mixture of 3x3 kernels, in each bin its own, which the bins' means over time give.

    y(f) = sum over k of pi_k(f) (w_k * x)(f), pi(f) = softmax over k of (a(f) / 31), a = two convolutions along
    frequency of the mean of x over time, batch norm and ReLU between them (arXiv 2203.15296, section 2.2). The mean
    is over padded frames too, as published. Kernels begin as He et al. (2015) normal.

    The published code mixes the outcomes of all kernels. Here the kernels of a bin are mixed and applied once, which is
    the same and takes little more work than one convolution.

    Parameters
    ----------
    n_in, n_out
        Channels.
    n_kernels
        Kernels that are mixed; 4 is published.

    Shapes: (batch, n_in, frames, bins) -> (batch, n_out, frames, bins), which lies in memory as (batch, bins, frames,
    n_out): with frames and bins exchanged it is channels_last, and so is best what comes in.
    """

    def __init__(self, n_in: int, n_out: int, n_kernels: int) -> None:
        super().__init__()
        self.n_kernels = n_kernels
        # The kernels one after another: torch gives no tensor of five axes the layout channels_last.
        self.weight = nn.Parameter(torch.empty(n_kernels * n_out, n_in, 3, 3))
        self.bias: nn.Parameter | None = None
        nn.init.kaiming_normal_(self.weight)
        squeezed = max(4, n_in // 4)
        first, last = nn.Conv1d(n_in, squeezed, 3, padding=1, bias=False), nn.Conv1d(squeezed, n_kernels, 1)
        for layer in (first, last):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(last.bias)
        self.mixture = nn.Sequential(first, nn.BatchNorm1d(squeezed), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        batch, n_in, frames, bins = x.shape
        n_out = len(self.weight) // self.n_kernels
        with no_autocast(x):
            shares = torch.softmax(self.mixture(x.mean(dim=2, dtype=self.weight.dtype)) / TEMPERATURE, dim=1)
        # A matrix a bin: (batch x bins, 9 n_in, n_out).
        kernels = self.weight.unflatten(0, (-1, n_out)).permute(0, 4, 3, 2, 1).flatten(1)
        mixed = (shares.transpose(1, 2).flatten(0, 1) @ kernels).view(-1, 9 * n_in, n_out)
        lines = x.to(mixed.dtype).transpose(2, 3).contiguous(memory_format=torch.channels_last)
        y = torch.bmm(surroundings(lines), mixed)
        if self.bias is not None:
            y = y + self.bias.to(y.dtype)
        return y.view(batch, bins, frames, n_out).permute(0, 3, 2, 1)

    def folded(self, norm: nn.BatchNorm2d) -> FrequencyDynamicConv:
        """Take in the batch norm that follows, in place; shares sum to 1, so each kernel is scaled as their mixture."""
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
        scales = scale.repeat(self.n_kernels)[:, None, None, None]
        self.weight = nn.Parameter(self.weight * scales, requires_grad=False)
        self.bias = nn.Parameter(norm.bias - norm.running_mean * scale, requires_grad=False)
        return self
