"""Sizes, shapes and rules of the networks."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.folding import fold_batch_norms, for_prediction
from sedkit.models.layers import ConvBlock, no_autocast
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.pooling import attention_over_time, max_over_time, mean_over_time
from sedkit.models.registry import build_model, model_names, resolve_model

PARAMETERS = {
    ("cnn5_avg", 10): 4_309_450,
    ("cnn9_avg", 10): 4_691_274,
    ("cnn9_max", 10): 4_691_274,
    ("cnn13_avg", 10): 75_497_802,
    ("resnet18", 5): 11_172_805,
}


@pytest.mark.parametrize(("name", "n_classes"), PARAMETERS)
def test_published_number_of_parameters(name: str, n_classes: int) -> None:
    network = build_model({"name": name}, n_classes, 64)
    assert sum(p.numel() for p in network.parameters()) == PARAMETERS[name, n_classes]


@pytest.mark.parametrize("name", ["cnn5_avg", "cnn9_avg", "cnn9_max", "cnn9_att"])
@pytest.mark.parametrize("n_frames", [None, torch.tensor([96, 1])])
def test_shapes_and_range(name: str, n_frames: torch.Tensor | None) -> None:
    network = build_model({"name": name, "base_channels": 2}, 3, 64)
    out = network(torch.randn(2, 96, 64), n_frames)
    assert network.time_pooling == 8
    assert out.clipwise.shape == (2, 3)
    assert out.framewise.shape == (2, 12, 3)
    for part in (out.clipwise, out.framewise):
        assert part.dtype == torch.float32
        assert ((part >= 0) & (part <= 1)).all()


def test_640_frames_become_80_and_20() -> None:
    x = torch.randn(1, 640, 64)
    assert build_model({"name": "cnn9_avg", "base_channels": 1}, 10, 64)(x).framewise.shape == (1, 80, 10)
    deep = build_model({"name": "cnn13_avg", "base_channels": 1}, 10, 64)
    assert deep.time_pooling == 32
    assert deep(x).framewise.shape == (1, 20, 10)


@pytest.mark.parametrize("name", ["cnn5_avg", "cnn9_avg"])
def test_initial_weights(name: str) -> None:
    network = build_model({"name": name, "base_channels": 16}, 10, 64)
    weight = network.blocks[1].conv1.weight
    bound = np.sqrt(6.0 / weight[0].numel())
    assert weight.abs().max() <= bound
    assert float(weight.detach().abs().max()) > 0.98 * bound
    assert float(weight.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.05)
    assert torch.equal(network.fc.bias, torch.zeros(10))
    norm = network.blocks[0].bn1
    assert (norm.eps, norm.momentum) == (1e-5, 0.1)
    assert torch.equal(norm.weight, torch.ones(16))


def _features(network: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Run the body block by block: (batch, channels, frames, bins)."""
    return network.blocks(x[:, None])


@pytest.mark.parametrize(
    ("name", "reduced"), [("cnn5_avg", torch.mean), ("cnn9_avg", torch.amax), ("cnn9_max", torch.amax)]
)
def test_frequency_and_clip_rules(name: str, reduced: object) -> None:
    network = build_model({"name": name, "base_channels": 2}, 3, 64).eval()
    x = torch.randn(2, 64, 64)
    v = reduced(_features(network, x), dim=3)
    weight, bias = network.fc.weight, network.fc.bias
    framewise = torch.sigmoid(torch.einsum("bct,kc->btk", v, weight) + bias)
    clipwise = torch.sigmoid(v.amax(dim=2) @ weight.T + bias)
    out = network(x)
    torch.testing.assert_close(out.framewise, framewise)
    torch.testing.assert_close(out.clipwise, clipwise)
    # The maximum of the features is not the maximum of the probabilities.
    assert not torch.allclose(clipwise, framewise.amax(dim=1))
    strong = build_model({"name": name, "base_channels": 2, "clipwise": "frame_max"}, 3, 64).eval()
    strong.load_state_dict(network.state_dict())
    torch.testing.assert_close(strong(x).clipwise, framewise.amax(dim=1))


def test_padding_does_not_reach_the_clip_score() -> None:
    network = build_model({"name": "cnn9_avg", "base_channels": 2}, 3, 64).eval()
    x = torch.randn(1, 320, 64)
    n_frames = torch.tensor([100])
    louder = x.clone()
    louder[:, 200:] += 50.0  # further away than the receptive field reaches
    torch.testing.assert_close(network(x, n_frames).clipwise, network(louder, n_frames).clipwise)
    assert not torch.allclose(network(x).clipwise, network(louder).clipwise)
    published = build_model({"name": "cnn9_avg", "base_channels": 2, "mask_padding": False}, 3, 64).eval()
    published.load_state_dict(network.state_dict())
    torch.testing.assert_close(published(x, n_frames).clipwise, network(x).clipwise)


def test_max_over_time_counts_valid_frames() -> None:
    x = torch.tensor([[[1.0, 5.0, 9.0]], [[-3.0, -2.0, -1.0]]])
    valid = torch.tensor([[True, True, False], [True, False, False]])
    assert max_over_time(x, valid, time_axis=2).tolist() == [[5.0], [-3.0]]
    assert max_over_time(x.transpose(1, 2), valid, time_axis=1).tolist() == [[5.0], [-3.0]]


def test_attention_is_a_weighted_mean() -> None:
    values, logits = torch.rand(2, 5, 3), torch.zeros(2, 5, 3)
    clip, weights = attention_over_time(values, logits, None)
    torch.testing.assert_close(clip, values.mean(dim=1))
    valid = torch.tensor([[True] * 5, [True, False, False, False, False]])
    clip, weights = attention_over_time(values, logits, valid)
    torch.testing.assert_close(clip[1], values[1, 0])
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 3))


def test_pooling_type() -> None:
    x = torch.randn(1, 1, 8, 8)
    avg, largest = ConvBlock(1, 2, 3, 2, 2, "avg").eval(), ConvBlock(1, 2, 3, 2, 2, "max").eval()
    largest.load_state_dict(avg.state_dict())
    assert (largest(x) >= avg(x)).all()
    assert avg(x).shape == (1, 2, 4, 4)


def torchvision_names() -> set[str]:
    """The parameter and buffer names of torchvision.models.resnet18."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"conv1.weight", "fc.weight", "fc.bias"} | {f"bn1.{part}" for part in norm}
    for layer in range(1, 5):
        for block in range(2):
            at = f"layer{layer}.{block}"
            names |= {f"{at}.conv1.weight", f"{at}.conv2.weight"}
            names |= {f"{at}.bn{i}.{part}" for i in (1, 2) for part in norm}
        if layer > 1:
            names |= {f"layer{layer}.0.downsample.0.weight"}
            names |= {f"layer{layer}.0.downsample.1.{part}" for part in norm}
    return names


def test_resnet_has_torchvisions_names_and_shapes() -> None:
    state = build_model({"name": "resnet18", "stem_channels": 3}, 1000, 64).state_dict()
    assert set(state) == torchvision_names()
    assert len(state) == 122
    assert sum(v.numel() for k, v in state.items() if "running" not in k and "num_" not in k) == 11_689_512
    assert state["conv1.weight"].shape == (64, 3, 7, 7)
    assert state["layer4.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert state["layer2.0.conv1.weight"].shape == (128, 64, 3, 3)


def test_resnet_scores_one_window() -> None:
    network = build_model({"name": "resnet18", "input_frames": 32, "base_channels": 4}, 2, 32).eval()
    assert (network.input_frames, network.time_pooling) == (32, 32)
    out = network(torch.randn(3, 32, 32), torch.tensor([32, 1, 0]))
    assert (out.clipwise.shape, out.framewise.shape) == ((3, 2), (3, 1, 2))
    assert torch.equal(out.clipwise, out.framewise[:, 0])
    with pytest.raises(SedkitError, match="windows of 32 frames, got 33 frames"):
        network(torch.randn(1, 33, 32))
    for option in ("input_frames", "base_channels"):
        with pytest.raises(UsageError, match=f"{option} is 0, expected at least 1"):
            build_model({"name": "resnet18", option: 0}, 2, 32)


def test_resnet_of_fewer_channels_is_as_wide_as_stated() -> None:
    state = build_model({"name": "resnet18", "base_channels": 16}, 5, 64).state_dict()
    assert set(state) == torchvision_names()
    widths = [state[f"layer{i}.1.conv2.weight"].shape[:2] for i in range(1, 5)]
    assert widths == [(16, 16), (32, 32), (64, 64), (128, 128)]
    assert state["fc.weight"].shape == (5, 128)


def test_networks_of_any_length_say_so() -> None:
    network = build_model({"name": "cnn9_avg", "base_channels": 1}, 2, 32)
    assert (network.input_frames, network.time_pooling) == (None, 8)


def test_registry_refuses_what_it_does_not_know() -> None:
    assert set(model_names()) >= {"cnn5_avg", "cnn9_avg", "cnn9_max", "cnn13_avg", "cnn9_att", "resnet18"}
    with pytest.raises(UsageError, match='did you mean "cnn9_avg"'):
        build_model({"name": "cnn9avg"}, 10, 64)
    with pytest.raises(UsageError, match="model: unknown key 'base_chanels'.*did you mean"):
        build_model({"name": "cnn9_avg", "base_chanels": 3}, 10, 64)
    with pytest.raises(UsageError, match="use more bins"):
        build_model({"name": "cnn9_avg"}, 10, 4)
    assert resolve_model({"name": "cnn9_avg"})["base_channels"] == 64


def seen(network: SedModel, frames: int, n_bins: int) -> SedModel:
    """Return a network in evaluation mode whose batch norms have seen something."""
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, frames, n_bins) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize("name", ["cnn5_avg", "cnn9_max", "cnn9_att", "resnet18"])
def test_folded_network_gives_the_same_scores(name: str) -> None:
    torch.manual_seed(3)
    frames = 32 if name == "resnet18" else 64
    options = {"input_frames": 32} if name == "resnet18" else {}
    network = seen(build_model({"name": name, "base_channels": 4, **options}, 3, 32), frames, 32)
    x = torch.randn(2, frames, 32)
    with torch.no_grad():
        expected = network(x)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    fast = for_prediction(network, torch.device("cpu"), torch.float32)
    out = fast(x)
    torch.testing.assert_close(out.clipwise, expected.clipwise, atol=1e-5, rtol=0)
    torch.testing.assert_close(out.framewise, expected.framewise, atol=1e-5, rtol=0)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fast.modules())
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    half = for_prediction(network, torch.device("cpu"), torch.bfloat16)(x)
    assert half.clipwise.dtype == torch.float32
    difference = (half.framewise - expected.framewise).abs().max().item()
    assert 0 < difference < 0.05


def test_a_network_for_prediction_can_be_copied_pickled_and_made_again() -> None:
    torch.manual_seed(3)
    network = seen(build_model({"name": "cnn5_avg", "base_channels": 4}, 3, 32), 64, 32)
    half = for_prediction(network, torch.device("cpu"), torch.bfloat16)
    x = torch.randn(2, 64, 32)
    expected = half(x).framewise
    torch.testing.assert_close(pickle.loads(pickle.dumps(half))(x).framewise, expected, atol=0, rtol=0)
    other = copy.deepcopy(half)
    for parameter in other.parameters():
        parameter.zero_()
    assert torch.equal(other(x).framewise, torch.full_like(expected, 0.5))
    full = for_prediction(half, torch.device("cpu"), torch.float32)
    torch.testing.assert_close(full(x).framewise, network(x).framewise, atol=1e-5, rtol=0)


def test_a_network_compiles() -> None:
    # A graph has torch's operations: what is quicker here is not known there.
    torch.manual_seed(0)
    network = build_model({"name": "cnn5_avg"}, 3, 64).eval().to(memory_format=torch.channels_last)
    x = torch.randn(2, 48, 64)
    with torch.no_grad():
        compiled = torch.compile(network, backend="eager", fullgraph=True)(x)
        torch.testing.assert_close(compiled.framewise, network(x).framewise, atol=1e-5, rtol=0)


class Glu(SedModel):
    """Convolution, batch norm, gate over channels, twice; then Conv1d, GRU and a linear classifier."""

    time_pooling = 4

    class Block(nn.Module):
        folding = (("conv", "norm"),)

        def __init__(self, n_in: int, n_out: int) -> None:
            super().__init__()
            self.conv = nn.Conv2d(n_in, n_out, 3, padding=1)
            self.norm = nn.BatchNorm2d(n_out, eps=1e-3, momentum=0.99)
            self.gate = nn.Linear(n_out, n_out)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.norm(self.conv(x))
            x = self.gate(x.transpose(1, 3)).transpose(1, 3) * torch.sigmoid(x)
            return F.avg_pool2d(x, (2, 4))

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(self.Block(1, 8), self.Block(8, 16))
        self.mix = nn.Conv1d(32, 32, 3, padding=1)
        self.gru = nn.GRU(32, 8, batch_first=True, bidirectional=True)
        self.fc, self.last = nn.Linear(16, 3), nn.Conv1d(3, 3, 1)

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        v = self.mix(self.blocks(x[:, None]).transpose(2, 3).flatten(1, 2))
        logits = self.fc(self.gru(v.transpose(1, 2))[0]).float()
        with no_autocast(x):
            framewise = torch.sigmoid(self.last(logits.transpose(1, 2)).transpose(1, 2))
        return SedOutput(framewise.amax(dim=1), framewise)


def test_a_network_with_gates_and_a_gru_predicts_in_bfloat16_as_it_trains() -> None:
    torch.manual_seed(0)
    network = Glu().train()
    x = torch.randn(4, 32, 32)
    optimiser = torch.optim.Adam(network.parameters())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(x)
    F.binary_cross_entropy(out.clipwise, torch.ones(4, 3)).backward()
    optimiser.step()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
    network = seen(network, 32, 32)
    with torch.no_grad():
        expected = network(x)
    with torch.inference_mode():
        half = for_prediction(network, torch.device("cpu"), torch.bfloat16)(x)
        full = for_prediction(network, torch.device("cpu"), torch.float32)(x)
    torch.testing.assert_close(full.framewise, expected.framewise, atol=1e-5, rtol=0)
    assert half.framewise.dtype == torch.float32
    assert 0 < (half.framewise - full.framewise).abs().max().item() < 0.02


def test_folding_leaves_training_networks_alone() -> None:
    block = ConvBlock(1, 2, 3, 1, 1, "avg").eval()
    fold_batch_norms(block)
    assert isinstance(block.bn1, torch.nn.Identity)
    assert block.conv1.bias is not None


def test_the_gradient_of_a_mean_is_one_nth_also_where_all_values_are_equal() -> None:
    for frames in (1, 5):
        x = torch.full((1, frames, 2), 0.3, requires_grad=True)
        mean_over_time(x, None, time_axis=1).sum().backward()
        torch.testing.assert_close(x.grad, torch.full_like(x, 1 / frames))
    # Of values whose mean rounds above them.
    near = torch.full((1, 7, 1), float(torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))))
    assert float(mean_over_time(near, None, time_axis=1).detach()) <= float(near.max())
