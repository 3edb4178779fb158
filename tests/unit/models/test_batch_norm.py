"""Batch norm and ReLU in one against torch's, computed in float64."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from sedkit.models import batch_norm as module
from sedkit.models import compiled
from sedkit.models.batch_norm import batch_norm


def maps(*shape: int, loud: float = 3.0, middle: float = 50.0) -> Tensor:
    torch.manual_seed(0)
    return (middle + loud * torch.randn(shape)).to(memory_format=torch.channels_last)


def trained(channels: int) -> nn.BatchNorm2d:
    torch.manual_seed(1)
    norm = nn.BatchNorm2d(channels, momentum=0.3)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


def outcome(norm: nn.BatchNorm2d, x: Tensor, weight: Tensor, relu: bool, pooling: tuple[int, int]) -> list[Tensor]:
    """Return maps, gradients of x, weight and bias, and the running statistics; in float64 by torch's own."""
    x = x.detach().requires_grad_()
    y = batch_norm(norm, x, relu=relu, pooling=pooling)
    gradients = torch.autograd.grad((y * weight).sum(), [x, norm.weight, norm.bias])
    return [y.detach(), *gradients, norm.running_mean, norm.running_var]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3, 5, 7), (2, 17, 3, 2), (3, 40, 131, 9)])
@pytest.mark.parametrize(("relu", "pooling"), [(True, (1, 1)), (True, (2, 2)), (False, (1, 1)), (False, (3, 1))])
def test_maps_gradients_and_statistics_are_torchs(
    relu: bool,
    pooling: tuple[int, int],
    shape: tuple[int, ...],
    dtype: torch.dtype,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 1)
    torch.set_num_threads(threads)
    norm, x = trained(shape[1]), maps(*shape).to(dtype)
    pooled = (*shape[:2], shape[2] // pooling[0], shape[3] // pooling[1])
    # Not parallel to x, whose gradient would be 0.
    weight = maps(*pooled, loud=1.0, middle=0.0).to(dtype).flip(2)
    got = outcome(copy.deepcopy(norm), x, weight, relu, pooling)
    # In float64 on the same values: what bfloat16 rounds is the outcome alone.
    wanted = outcome(norm.double(), x.double(), weight.double(), relu, pooling)
    assert got[0].dtype == dtype and got[0].is_contiguous(memory_format=torch.channels_last)
    coarse = 2**-8 if dtype == torch.bfloat16 else 1e-5
    for tensor, exact, precision in zip(got, wanted, [coarse, coarse, 1e-4, 1e-4, 1e-5, 1e-5], strict=True):
        torch.testing.assert_close(tensor.double(), exact, rtol=precision, atol=precision * float(exact.abs().max()))


def test_it_counts_batches_as_torch_does() -> None:
    ours, torchs, x = trained(4), trained(4), maps(2, 4, 3, 3)
    for _ in range(3):
        batch_norm(ours, x)
        torchs(x)
    assert ours.num_batches_tracked == torchs.num_batches_tracked == 3


@pytest.mark.parametrize(
    "case", ["evaluation", "rows first", "float64", "no momentum", "identity", "another batch norm"]
)
def test_elsewhere_it_is_torchs_own(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the compiled way was taken")

    monkeypatch.setattr(module, "_batch_norm", refuse)
    norm: nn.Module = trained(4)
    x = maps(2, 4, 3, 3)
    if case == "evaluation":
        norm.eval()
    if case == "rows first":
        x = x.contiguous()
    if case == "float64":
        norm, x = norm.double(), x.double()
    if case == "no momentum":
        norm.momentum = None
    if case == "identity":
        norm = nn.Identity()
    if case == "another batch norm":
        norm = nn.SyncBatchNorm(4).eval()
    assert torch.equal(batch_norm(norm, x.clone()), torch.relu(norm(x)))


def test_one_value_a_channel_has_no_spread() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        batch_norm(trained(4), maps(1, 4, 1, 1))


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf])
def test_what_is_not_finite_is_not_hidden(wrong: float) -> None:
    norm, x = trained(4), maps(2, 4, 3, 3)
    x[1, 2, 0, 0] = wrong
    assert bool(batch_norm(norm, x).isnan().any())
    x = maps(2, 4, 3, 3).requires_grad_()
    y = batch_norm(norm, x)
    grad = torch.ones_like(y)
    # Where ReLU lets it through.
    grad[tuple(torch.nonzero(y)[0])] = wrong
    y.backward(grad)
    assert x.grad is not None and bool(x.grad.isnan().any())


@pytest.mark.parametrize("kind", ["without weights", "bfloat16"])
def test_kinds_that_are_not_compiled_are_torchs_own(kind: str) -> None:
    norm = nn.BatchNorm2d(3, affine=kind != "without weights")
    x = maps(2, 3, 5, 7)
    if kind == "bfloat16":
        norm, x = norm.bfloat16(), x.bfloat16()
    wanted = nn.functional.avg_pool2d(copy.deepcopy(norm)(x).relu(), (2, 2))
    torch.testing.assert_close(batch_norm(norm, x, pooling=(2, 2)), wanted, rtol=0, atol=0)
