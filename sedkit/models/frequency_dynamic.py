"""Convolutions that differ from bin to bin (Nam et al., "Frequency dynamic convolution", Interspeech 2022)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.models.layers import no_autocast

#: What the logits of the mixture are divided by (arXiv 2203.15296): mixtures begin nearly even.
TEMPERATURE = 31.0


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
            shares = torch.softmax(self.mixture(x.mean(dim=2, dtype=torch.float32)) / TEMPERATURE, dim=1)
        # A matrix a bin: (batch x bins, 9 n_in, n_out).
        kernels = self.weight.unflatten(0, (-1, n_out)).permute(0, 3, 4, 2, 1).flatten(1)
        mixed = (shares.transpose(1, 2).flatten(0, 1) @ kernels).view(-1, 9 * n_in, n_out)
        padded = F.pad(x.to(mixed.dtype).permute(0, 3, 2, 1), (0, 0, 1, 1, 1, 1))
        # What lies around each frame of a bin, below each other as in its matrix: (batch x bins, frames, 9 n_in).
        around = [padded[:, bin_ : bin_ + bins, tap : tap + frames] for tap in range(3) for bin_ in range(3)]
        y = torch.bmm(torch.cat(around, dim=3).flatten(0, 1), mixed)
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
