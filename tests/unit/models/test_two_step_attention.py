"""Attention in two steps, and the auto-encoder beside it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.registry import build_model
from sedkit.models.two_step_attention import TwoStepAttention


def made(**options: object) -> TwoStepAttention:
    """A small network of three classes and 16 bins."""
    torch.manual_seed(0)
    network = build_model({"name": "two_step_attention", "base_channels": 2, **options}, 3, 16).eval()
    assert isinstance(network, TwoStepAttention)
    return network


def test_published_parts_have_their_parameters() -> None:
    section = {"name": "two_step_attention", "input_frames": 311, "decoder": "published"}
    network = build_model(section, 41, 64)
    assert isinstance(network, TwoStepAttention)
    parts = {name: sum(p.numel() for p in part.parameters()) for name, part in network.named_children()}
    assert parts["encoder"] + parts["classifier"] == 1_183_177
    assert parts["decoder"] == 581_805
    assert sum(n for name, n in parts.items() if name.startswith(("frequency", "time"))) == 202_384


@pytest.mark.parametrize("input_frames", [None, 10])
def test_weights_of_zero_give_a_half(input_frames: int | None) -> None:
    network = made(input_frames=input_frames)
    with torch.no_grad():
        for layer in (
            network.frequency_values,
            network.frequency_attention,
            network.time_values,
            network.time_attention,
        ):
            layer.weight.zero_()
            layer.bias.zero_()
        out = network(torch.randn(2, 10, 16))
    torch.testing.assert_close(out.framewise, torch.full((2, 10, 3), 0.5))
    torch.testing.assert_close(out.clipwise, torch.full((2, 3), 0.5))
    torch.testing.assert_close(out.masks, torch.full((2, 3, 10, 16), 0.5))
    torch.testing.assert_close(out.attention["frequency"], torch.full((2, 3, 10, 16), 1 / 16))
    torch.testing.assert_close(out.attention["time"], torch.full((2, 10, 3), 0.1))


@pytest.mark.parametrize("framewise", ["step_one", "step_two"])
@pytest.mark.parametrize("input_frames", [None, 10])
@pytest.mark.parametrize("n", [10, 4])
def test_two_steps_by_hand(framewise: str, input_frames: int | None, n: int) -> None:
    network = made(framewise=framewise, input_frames=input_frames)
    x = torch.randn(1, 10, 16)
    with torch.no_grad():
        out = network(x, torch.tensor([n]))
        classes = network.classifier(network.encoder(x[:, None]))[0].double().numpy()

    def linear(layer: torch.nn.Linear, values: np.ndarray) -> np.ndarray:
        return values @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()

    def sigmoid(values: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-values))

    p, a = sigmoid(linear(network.frequency_values, classes)), np.exp(linear(network.frequency_attention, classes))
    a /= a.sum(axis=2, keepdims=True)
    m = (p * a).sum(axis=2)
    m[:, n:] = 0
    if input_frames is None:
        q, b = sigmoid(linear(network.time_values, m.T)), np.exp(linear(network.time_attention, m.T))
    else:
        q, b = sigmoid(linear(network.time_values, m)).T, np.exp(linear(network.time_attention, m)).T
    b[n:] = 0
    b /= b.sum(axis=0)
    close = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(out.clipwise[0].numpy(), (q * b).sum(axis=0), **close)
    np.testing.assert_allclose(out.framewise[0].numpy(), m.T if framewise == "step_one" else q, **close)
    np.testing.assert_allclose(out.masks[0].numpy(), p * a / a.max(axis=2, keepdims=True), **close)
    np.testing.assert_allclose(out.attention["frequency"][0].numpy(), a, **close)
    np.testing.assert_allclose(out.attention["time"][0].numpy(), b, **close)


def test_layers_along_time_know_one_length() -> None:
    network = made(input_frames=12, time_pooling=2)
    assert (network.input_frames, network.time_pooling) == (12, 2)
    assert network(torch.randn(1, 12, 16)).framewise.shape == (1, 6, 3)
    with pytest.raises(SedkitError, match="windows of 12 frames, got 11 frames; set model.input_frames"):
        network(torch.randn(1, 11, 16))
    with pytest.raises(UsageError, match="input_frames is 1, expected at least time_pooling, 2"):
        made(input_frames=1, time_pooling=2)


def test_padding_does_not_reach_layers_along_time() -> None:
    network = made(input_frames=60)
    x = torch.randn(1, 60, 16)
    louder = x.clone()
    louder[:, 40:] += 5.0
    n_frames = torch.tensor([20])
    with torch.no_grad():
        torch.testing.assert_close(network(x, n_frames).clipwise, network(louder, n_frames).clipwise)
        assert not torch.equal(network(x).clipwise, network(louder).clipwise)


def test_blocks_end_in_the_published_mean() -> None:
    """Of 3x3 with zeros around: borders are damped."""
    mean = made().encoder[1](torch.ones(1, 1, 3, 3))[0, 0]
    torch.testing.assert_close(mean, torch.tensor([[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]) / 9)


def test_only_the_mended_decoder_reaches_below_zero() -> None:
    x = torch.randn(2, 10, 16)
    with torch.no_grad():
        linear, published = made()(x).reconstruction, made(decoder="published")(x).reconstruction
    assert linear.min() < 0
    assert published.min() >= 0
    assert published.shape == linear.shape == x.shape
    assert made(decoder="none")(x).reconstruction is None


def test_an_auto_encoder_learns_what_it_hears() -> None:
    torch.manual_seed(0)
    network = made(base_channels=4).train()
    x = torch.randn(4, 1, 16).expand(4, 8, 16)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(40):
        loss = (network(x).reconstruction - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    # The mean square of the features is what a reconstruction of zeros misses.
    assert losses[-1] < 0.5 * float(x.square().mean()) < losses[0]
