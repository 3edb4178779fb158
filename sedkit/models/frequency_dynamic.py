"""Convolutions that differ from bin to bin (Nam et al., "Frequency dynamic convolution", Interspeech 2022)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from sedkit.models.layers import no_autocast

#: What the logits of the mixture are divided by (arXiv 2203.15296): mixtures begin nearly even.
TEMPERATURE = 31.0


class FrequencyDynamicConv(nn.Module):
    """Mix the outcomes of several 3x3 kernels, in each bin by its own weights, which the bin's mean over time gives.

    y(f) = sum over k of pi_k(f) (w_k * x)(f), pi(f) = softmax over k of (a(f) / 31), a = two convolutions along
    frequency of the mean of x over time, batch norm and ReLU between them (arXiv 2203.15296, section 2.2). The mean
    is over padded frames too, as published. Kernels begin as He et al. (2015) normal.

    Parameters
    ----------
    n_in, n_out
        Channels.
    n_kernels
        Kernels that are mixed; 4 is published.

    Shapes: (batch, n_in, frames, bins) -> (batch, n_out, frames, bins).
    """

    def __init__(self, n_in: int, n_out: int, n_kernels: int) -> None:
        super().__init__()
        self.n_kernels = n_kernels
        self.kernels = nn.Conv2d(n_in, n_kernels * n_out, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(self.kernels.weight)
        squeezed = max(4, n_in // 4)
        first, last = nn.Conv1d(n_in, squeezed, 3, padding=1, bias=False), nn.Conv1d(squeezed, n_kernels, 1)
        for layer in (first, last):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(last.bias)
        self.mixture = nn.Sequential(first, nn.BatchNorm1d(squeezed), nn.ReLU(), last)

    def forward(self, x: Tensor) -> Tensor:
        with no_autocast(x):
            weights = torch.softmax(self.mixture(x.mean(dim=2, dtype=torch.float32)) / TEMPERATURE, dim=1)
        of_each = self.kernels(x).chunk(self.n_kernels, dim=1)
        shares = weights.to(of_each[0].dtype)[:, :, None, None].unbind(dim=1)
        mixed = of_each[0] * shares[0]
        for one, share in zip(of_each[1:], shares[1:], strict=True):
            mixed = torch.addcmul(mixed, one, share)
        return mixed

    def folded(self, norm: nn.BatchNorm2d) -> FrequencyDynamicConv:
        """Take in the batch norm that follows, in place: weights of a bin sum to 1, so each kernel is given all of it."""
        of_each = nn.BatchNorm2d(self.kernels.out_channels, eps=norm.eps).to(norm.weight.device).eval()
        of_each.load_state_dict(
            {k: v if v.ndim == 0 else v.repeat(self.n_kernels) for k, v in norm.state_dict().items()}
        )
        self.kernels = fuse_conv_bn_eval(self.kernels, of_each)
        return self
