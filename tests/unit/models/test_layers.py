"""Layers that networks share."""

from __future__ import annotations

import pytest
import torch

from sedkit.models.gates import Dropout


@pytest.mark.parametrize("share", [0.5, 0.3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(share: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = (1 + torch.rand(5, 8, 37, 41)).to(dtype).to(memory_format=torch.channels_last).requires_grad_()
    y = Dropout(share).train()(x)
    kept = y != 0
    # 60,680 values: a standard deviation of the share is 0.002.
    assert 1 - float(kept.float().mean()) == pytest.approx(share, abs=0.01)
    assert (y.dtype, y.stride()) == (dtype, x.stride())
    torch.testing.assert_close(y[kept], x[kept] / (1 - share), rtol=1e-4 if dtype == torch.float32 else 1e-2, atol=0)
    y.float().sum().backward()
    torch.testing.assert_close(
        x.grad, kept.to(dtype) / (1 - share), rtol=1e-4 if dtype == torch.float32 else 1e-2, atol=0
    )


def test_dropout_draws_values_independently_and_from_torchs_generator() -> None:
    x, layer = torch.ones(64, 1024), Dropout(0.5).train()
    torch.manual_seed(7)
    first, second = layer(x), layer(x)
    torch.manual_seed(7)
    assert torch.equal(layer(x), first)
    assert not torch.equal(second, first)
    kept = (first != 0).double()
    # Neighbours, and values of one 64-bit word: 65,536 pairs, correlations below 5 standard deviations.
    for distance in range(1, 9):
        pairs = torch.stack([kept.flatten()[:-distance], kept.flatten()[distance:]])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 5 * 65536**-0.5


def test_dropout_of_a_view_of_an_odd_size_and_of_nothing() -> None:
    layer = Dropout(0.5).train()
    x = torch.ones(6, 7).t()[1:, ::2].requires_grad_()
    y = layer(x)
    y.sum().backward()
    assert set(y.unique().tolist()) <= {0.0, 2.0}
    assert torch.equal(x.grad, y.detach())
    assert layer(torch.ones(0, 3)).shape == (0, 3)
    assert torch.equal(layer.eval()(x), x)
    assert torch.equal(Dropout(0.0).train()(x), x)
