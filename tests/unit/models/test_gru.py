"""The compiled recurrent layer against torch's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sedkit.models.gru import Gru


@pytest.mark.parametrize(
    ("batch", "frames", "n_in", "units", "layers"), [(3, 11, 7, 37, 2), (1, 1, 2, 1, 1), (2, 40, 5, 16, 1)]
)
def test_states_and_gradients_are_torchs(batch: int, frames: int, n_in: int, units: int, layers: int) -> None:
    torch.manual_seed(0)
    layer = Gru(n_in, units, layers)
    # As loud as features of any scale: gates from open to shut.
    x = (3 * torch.randn(batch, frames, n_in)).requires_grad_()
    weight = torch.randn(batch, frames, 2 * units)
    states, expected = layer(x), nn.GRU.forward(layer, x)[0]
    torch.testing.assert_close(states, expected, rtol=0, atol=2e-6)
    of = [x, *layer.parameters()]
    ours, torchs = (torch.autograd.grad((out * weight).sum(), of) for out in (states, expected))
    for got, wanted in zip(ours, torchs, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_shut_gates_and_saturated_states_stay_finite() -> None:
    layer = Gru(2, 3, 1)
    x = torch.tensor([1e4, -1e4, 0.0]).repeat(2).reshape(1, 3, 2).requires_grad_()
    states = layer(x)
    states.sum().backward()
    torch.testing.assert_close(states, nn.GRU.forward(layer, x)[0], rtol=0, atol=2e-6)
    assert states.abs().max() <= 1 + 1e-6 and bool(x.grad.isfinite().all())


def test_it_loads_what_torchs_saved() -> None:
    saved = nn.GRU(4, 5, 2, batch_first=True, bidirectional=True)
    layer = Gru(4, 5, 2)
    layer.load_state_dict(saved.state_dict())
    x = torch.randn(2, 9, 4)
    torch.testing.assert_close(layer(x), saved(x)[0], rtol=0, atol=2e-6)


def test_other_precisions_are_torchs_own() -> None:
    layer = Gru(4, 5, 1).double()
    x = torch.randn(2, 9, 4, dtype=torch.float64)
    assert torch.equal(layer(x), nn.GRU.forward(layer, x)[0])
