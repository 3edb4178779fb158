"""Gates, dropout and pooling in one against torch's, computed in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.models import compiled
from sedkit.models.gates import gated


def maps(*shape: int, seed: int = 0, loud: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (loud * torch.randn(shape, generator=generator)).to(memory_format=torch.channels_last)


def outcome(x: Tensor, gates: Tensor | None, weight: Tensor, pooling: tuple[int, int]) -> list[Tensor]:
    """Return the maps and the gradients of values and gates."""
    leaves = [y.detach().requires_grad_() for y in (x, gates) if y is not None]
    y = gated(leaves[0], leaves[1] if gates is not None else None, None, pooling)
    return [y.detach(), *torch.autograd.grad((y * weight).sum(), leaves)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("pooling", [(1, 1), (2, 2), (1, 4), (3, 1)])
@pytest.mark.parametrize("channels", [6, 64])
@pytest.mark.parametrize("halves", [False, True], ids=["two", "halves"])
def test_maps_and_gradients_are_torchs(
    halves: bool,
    channels: int,
    pooling: tuple[int, int],
    dtype: torch.dtype,
    threads: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 1)
    torch.set_num_threads(threads)
    # Seven rows and eleven columns, of which some are left over.
    x = maps(3, channels, 7, 11).to(dtype)
    gates = None if halves else maps(3, channels, 7, 11, seed=1).to(dtype)
    n_out = channels // 2 if halves else channels
    weight = maps(3, n_out, 7 // pooling[0], 11 // pooling[1], seed=2, loud=1).to(dtype)
    got = outcome(x, gates, weight, pooling)
    # In float64 it is torch that computes.
    wanted = outcome(x.double(), None if gates is None else gates.double(), weight.double(), pooling)
    assert got[0].dtype == dtype and got[0].is_contiguous(memory_format=torch.channels_last)
    precision = 2**-8 if dtype == torch.bfloat16 else 2e-6
    for tensor, exact in zip(got, wanted, strict=True):
        torch.testing.assert_close(tensor.double(), exact, rtol=precision, atol=precision)


def test_gates_of_all_places_of_a_map_are_torchs() -> None:
    values, gates = maps(2, 8, 4, 4), maps(2, 8, 1, 1, seed=1)
    torch.testing.assert_close(gated(values, gates), values * torch.sigmoid(gates))


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_what_is_left_out_is_the_same_ahead_and_back_pooled_or_not(share: float) -> None:
    dropout = nn.Dropout(share).train()
    # sigmoid(30) is 1: values are 0 or 1 / (1 - share).
    ones, open_ = torch.ones(4, 16, 40, 32).to(memory_format=torch.channels_last), maps(4, 16, 40, 32, loud=0) + 30
    values = ones.clone().requires_grad_()
    torch.manual_seed(5)
    y = gated(values, open_, dropout)
    stays = y != 0
    # 81,920 values: a standard deviation of the share is below 0.002.
    assert 1 - float(stays.float().mean()) == pytest.approx(share, abs=0.01)
    torch.testing.assert_close(y, stays / (1 - share))
    y.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, stays / (1 - share))
    torch.manual_seed(5)
    pooled = gated(ones, open_, dropout, (1, 2))
    torch.testing.assert_close(pooled, F.avg_pool2d(y, (1, 2)))
    assert not torch.equal(gated(ones, open_, dropout, (1, 2)), pooled)


def test_the_gradient_of_pooled_dropout_is_that_of_finite_differences() -> None:
    dropout = nn.Dropout(0.4).train()
    values, gates = maps(2, 4, 5, 6), maps(2, 4, 5, 6, seed=1)
    weight = maps(2, 4, 2, 3, seed=2)

    def loss(x: Tensor, z: Tensor) -> Tensor:
        torch.manual_seed(3)
        return (gated(x, z, dropout, (2, 2)).double() * weight).sum()

    leaves = [values.clone().requires_grad_(), gates.clone().requires_grad_()]
    gradients = torch.autograd.grad(loss(*leaves), leaves)
    direction = maps(2, 4, 5, 6, seed=4, loud=1)
    # The outcome is linear in the values; the gates are moved a little to both sides.
    ahead = loss(values + direction, gates) - loss(values, gates)
    assert float((gradients[0] * direction).sum()) == pytest.approx(float(ahead), rel=1e-4)
    step = 1e-2
    both = loss(values, gates + step * direction) - loss(values, gates - step * direction)
    assert float((gradients[1] * direction).sum()) == pytest.approx(float(both) / (2 * step), rel=1e-2)


def test_without_training_nothing_is_left_out() -> None:
    x, gates = maps(2, 4, 5, 6), maps(2, 4, 5, 6, seed=1)
    torch.testing.assert_close(gated(x, gates, nn.Dropout(0.5).eval()), x * torch.sigmoid(gates))


@pytest.mark.parametrize("of", ["values", "gates"])
def test_what_is_not_finite_is_not_hidden(of: str) -> None:
    x, gates = maps(2, 4, 5, 6), maps(2, 4, 5, 6, seed=1)
    (x if of == "values" else gates)[1, 2, 0, 0] = torch.nan
    assert bool(gated(x, gates, None, (2, 2)).isnan().any())


@pytest.mark.parametrize("case", ["rows first", "two precisions", "float64"])
def test_elsewhere_it_is_torchs_own(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the compiled way was taken")

    monkeypatch.setattr("sedkit.models.gates._gated", refuse)
    x, gates = maps(2, 4, 5, 6), maps(2, 4, 5, 6, seed=1)
    if case == "rows first":
        x = x.contiguous()
    if case == "two precisions":
        gates = gates.bfloat16()
    if case == "float64":
        x, gates = x.double(), gates.double()
    assert torch.equal(gated(x, gates, None, (2, 2)), F.avg_pool2d(x * torch.sigmoid(gates), (2, 2)))
