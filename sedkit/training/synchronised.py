"""A network whose gradients, and if asked for batch statistics, are those of all processes that train it together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel

from sedkit.models.output import SedModel, SedOutput


class _AsDict(nn.Module):
    """A network with a dict as its output, in which DistributedDataParallel finds the tensors."""

    def __init__(self, network: SedModel) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Any) -> dict[str, Any]:
        output = vars(self.network(*inputs))
        return {name: value for name, value in output.items() if value is not None}


class Synchronised(nn.Module):
    """What runs in place of a network, which keeps its parameters; same call, same output."""

    def __init__(self, network: SedModel) -> None:
        super().__init__()
        device = next(network.parameters()).device
        # Parameters may be without a gradient, as of a decoder whose term has no weight.
        self.parallel = DistributedDataParallel(
            _AsDict(network), device_ids=[device.index] if device.type == "cuda" else None, find_unused_parameters=True
        )

    def forward(self, *inputs: Any) -> SedOutput:
        """Return what the network makes of this process's windows."""
        return SedOutput(**self.parallel(*inputs))


class _Standardised(torch.autograd.Function):
    """Values of each channel less their mean, by their standard deviation, over the batches of all processes.

    Processes tell each other means and variances, not sums of squares, which would lose the digits of a small spread
    (Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        axes, channels = [0, *range(2, x.dim())], x.shape[1]
        variance, mean = torch.var_mean(x, axes, correction=0)
        # Their number, too, which float32 would round above 2^24.
        here = torch.cat([mean, variance]).double()
        here = torch.cat([here, here.new_full((1,), x.numel() // channels)])
        everyone = [torch.empty_like(here) for _ in range(distributed.get_world_size())]
        distributed.all_gather(everyone, here)
        means, variances, counts = torch.stack(everyone).split([channels, channels, 1], dim=1)
        n = counts.sum()
        mean = (counts * means).sum(dim=0) / n
        variance = (counts * (variances + (means - mean).square())).sum(dim=0) / n
        inverse = torch.rsqrt(variance + eps).to(x.dtype)
        ctx.axes, ctx.shape = axes, (channels, *[1] * (x.dim() - 2))
        y = (x - mean.to(x.dtype).view(ctx.shape)) * inverse.view(ctx.shape)
        ctx.mark_non_differentiable(mean, variance, n)
        ctx.save_for_backward(y, inverse, n)
        return y, mean, variance, n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, None]:
        # d x = (d - mean of d - y mean of d y) / deviation (Ioffe and Szegedy, arXiv 1502.03167, section 3).
        y, inverse, n = ctx.saved_tensors
        sums = torch.stack([grad.sum(ctx.axes), (grad * y).sum(ctx.axes)]).double()
        distributed.all_reduce(sums)
        mean, product = (sums / n).to(grad.dtype).view(2, *ctx.shape)
        return (grad - mean - y * product) * inverse.view(ctx.shape), None


class _OfAll(nn.modules.batchnorm._BatchNorm):
    """What a batch norm does in training where the batch lies with several processes, as many windows as each has."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        # At least float32, as a batch norm computes under autocast.
        y, mean, variance, n = _Standardised.apply(x.to(torch.promote_types(x.dtype, torch.float32)), self.eps)
        if self.track_running_stats:
            self._remember(mean, variance * (n / (n - 1)))
        if self.affine:
            shape = (-1, *[1] * (x.dim() - 2))
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _OfAll1d(_OfAll, nn.BatchNorm1d):
    """See _OfAll."""


class _OfAll2d(_OfAll, nn.BatchNorm2d):
    """See _OfAll."""


def synchronise_norms(network: nn.Module) -> None:
    """Let the batch norms of a network, in place, train by the statistics of the batches of all processes.

    They keep parameters, running statistics (the same in every process) and names; any device will do. Torch's
    `SyncBatchNorm` is for GPUs alone. All processes must train the network alike: they wait for each other.
    """
    for module in network.modules():
        if type(module) is nn.BatchNorm1d:
            module.__class__ = _OfAll1d
        elif type(module) is nn.BatchNorm2d:
            module.__class__ = _OfAll2d
