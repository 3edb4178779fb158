"""The official recurrent baselines and FDY-CRNN: sizes as published, and each step by a slow calculation of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sedkit.models import compiled, complexity
from sedkit.models.checkpoint import read_checkpoint, write_checkpoint
from sedkit.models.folding import for_prediction
from sedkit.models.frequency_dynamic import FrequencyDynamicConv, surroundings
from sedkit.models.pooling import attention_over_classes
from sedkit.models.registry import build_model
from tests.unit.models.test_checkpoint import make

OFFICIAL = {
    "name": "crnn",
    "clipwise": "class_attention",
    "pooling_type": "avg",
    "gru_layers": 2,
    "hidden": 0,
    "conv_dropout": 0.5,
    "gru_dropout": 0.0,
    "dropout": 0.5,
    "dropout_first": True,
    "norm_momentum": 0.99,
}
DEEP = {**OFFICIAL, "pooling": [[2, 2], [2, 2], *[[1, 2]] * 5], "init": "torch"}
NARROW, WIDE = [16, 32, 64, *[128] * 4], [32, 64, 128, *[256] * 4]
FDY = {**DEEP, "block": "context_gating", "kernels": 4}
#: Options, bins and frames of the input, frames of the outcome, parameters of 10 classes.
PUBLISHED = {
    "dcase2019": (
        {**OFFICIAL, "block": "linear_glu", "pooling": [[2, 4]] * 3, "init": "dcase2019"},
        (64, 864, 108, 214_356),
    ),
    "desed2021": ({**DEEP, "block": "linear_glu", "channels": NARROW, "units": 128}, (128, 626, 156, 1_112_420)),
    "fdy": ({**FDY, "channels": WIDE, "units": 256}, (128, 626, 156, 11_061_468)),
    "fdy_small": ({**FDY, "channels": NARROW, "units": 128}, (128, 626, 156, 2_770_884)),
}
#: The same, with channels and bins for a test.
SMALL = {
    "dcase2019": ({**PUBLISHED["dcase2019"][0], "channels": [4, 4, 4], "units": 5}, 64),
    "desed2021": ({**PUBLISHED["desed2021"][0], "channels": [2, 3, 4, 5, 5, 5, 5], "units": 6}, 128),
    "fdy": ({**FDY, "channels": [2, 3, 4, 5, 5, 5, 5], "units": 6}, 128),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_size_and_frames_as_published(name: str) -> None:
    section, (n_bins, n_frames, n_output, parameters) = PUBLISHED[name]
    network = build_model(section, 10, n_bins).eval()
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert all(p.requires_grad for p in network.parameters())
    assert all((m.eps, m.momentum) == (1e-3, 0.99) for m in network.modules() if isinstance(m, nn.BatchNorm2d))
    # Time as the front end has it, width for a test.
    small = build_model({**section, "channels": [1] * len(network.blocks), "units": 1}, 10, n_bins).eval()
    out = small(torch.randn(1, n_frames, n_bins))
    assert (out.framewise.shape, out.clipwise.shape) == ((1, n_output, 10), (1, 10))
    assert n_frames // small.time_pooling == n_output


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum()


def conv3x3(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Convolve (channels, frames, bins) with (n_out, channels, 3, 3), zeros around it, an output at a time."""
    n_in, frames, bins = x.shape
    padded = np.zeros((n_in, frames + 2, bins + 2))
    padded[:, 1:-1, 1:-1] = x
    y = np.empty((len(w), frames, bins))
    for o, t, f in np.ndindex(*y.shape):
        y[o, t, f] = (w[o] * padded[:, t : t + 3, f : f + 3]).sum()
    return y


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().double().numpy()


def test_frequency_dynamic_convolution_from_its_equations() -> None:
    """y(f) = sum_k pi_k(f) (w_k * x)(f); pi(f) = softmax over k of a second convolution along f, divided by 31."""
    torch.manual_seed(1)
    layer = FrequencyDynamicConv(20, 2, 3).eval()
    first, norm, _, last = layer.mixture
    with torch.no_grad():
        for tensor in (last.weight, last.bias):
            tensor.normal_(0, 40)  # else the mixture is even, whatever the bin
        norm.running_mean.uniform_(-1, 1)
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 20, 4, 5)
    w = array(layer.weight).reshape(3, 2, 20, 3, 3)
    assert first.weight.shape == (5, 20, 3), "a quarter of the channels, at least 4"
    assert FrequencyDynamicConv(8, 2, 3).mixture[0].weight.shape == (4, 8, 3)
    for clip, got in zip(array(x), array(layer(x)), strict=True):
        mean = np.pad(clip.mean(axis=1), ((0, 0), (1, 1)))
        each = [conv3x3(clip, w[k]) for k in range(3)]
        shares = []
        for f in range(5):
            hidden = (array(first.weight) * mean[:, f : f + 3]).sum(axis=(1, 2))
            hidden = (hidden - array(norm.running_mean)) / np.sqrt(array(norm.running_var) + norm.eps)
            logits = array(last.weight)[:, :, 0] @ np.maximum(hidden, 0) + array(last.bias)
            shares.append(softmax(logits / 31))
            expected = sum(shares[f][k] * each[k][:, :, f] for k in range(3))
            np.testing.assert_allclose(got[:, :, f], expected, rtol=1e-4, atol=1e-4)
        assert np.ptp(shares, axis=0).max() > 0.1, "the bins differ"


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(2, 3, 1, 5), (2, 5, 4, 1), (3, 8, 6, 7)])
def test_what_lies_around_each_frame_and_its_gradient(
    shape: tuple[int, ...], dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torch's `unfold` has it, whose columns are channels x bins x frames, in float64."""
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 1)
    torch.set_num_threads(threads)
    batch, n_in, bins, frames = shape
    x = torch.randn(shape).to(dtype).to(memory_format=torch.channels_last).requires_grad_()
    weight = torch.randn(batch * bins, frames, 9 * n_in).to(dtype)
    exact = x.detach().double().requires_grad_()
    columns = F.unfold(exact, 3, padding=1).view(batch, n_in, 9, bins, frames)
    wanted = columns.permute(0, 3, 4, 2, 1).reshape(weight.shape)
    got = surroundings(x)
    assert torch.equal(got.double(), wanted) and got.dtype == dtype
    (gradient,) = torch.autograd.grad(got, x, weight)
    (of_exact,) = torch.autograd.grad(wanted, exact, weight.double())
    precision = 2**-8 if dtype == torch.bfloat16 else 1e-6
    torch.testing.assert_close(gradient.double(), of_exact, rtol=precision, atol=precision)


def test_kernels_begin_each_as_a_convolution_of_its_own() -> None:
    """He et al. 2015, normal: variance 2 / (channels x 9), whatever the number of kernels."""
    torch.manual_seed(0)
    weight = FrequencyDynamicConv(64, 64, 4).weight
    assert float(weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.01)


@pytest.mark.parametrize("block", ["linear_glu", "context_gating"])
def test_a_gated_block_by_hand(block: str) -> None:
    """Convolution, batch norm with epsilon 1e-3, a linear layer over channels and a sigmoid, mean of what is pooled."""
    torch.manual_seed(2)
    section = {**SMALL["dcase2019"][0], "block": block, "channels": [3, 3, 3], "init": "torch"}
    layer = build_model(section, 2, 64).eval().blocks[0]
    layer.norm.running_mean.uniform_(-1, 1)
    layer.norm.running_var.uniform_(0.5, 2)
    x = torch.randn(1, 1, 7, 9)
    v = conv3x3(array(x)[0], array(layer.conv.weight)) + array(layer.conv.bias)[:, None, None]
    mean, variance = (array(v)[:, None, None] for v in (layer.norm.running_mean, layer.norm.running_var))
    v = (v - mean) / np.sqrt(variance + 1e-3)
    linear = (
        np.einsum("oc,ctf->otf", array(layer.linear.weight)[:, :, 0, 0], v) + array(layer.linear.bias)[:, None, None]
    )
    v = linear * sigmoid(v) if block == "linear_glu" else v * sigmoid(linear)
    expected = v[:, :6, :8].reshape(3, 3, 2, 2, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(array(layer(x))[0], expected, rtol=1e-4, atol=1e-5)


def test_dropout_stands_before_pooling_or_after() -> None:
    """Of 2 x 4 values that are averaged all are left out once in 256 times; of one value, once in two."""
    torch.manual_seed(0)
    for first, expected in ((True, 0.5**8), (False, 0.5)):
        section = {**OFFICIAL, "channels": [16], "pooling": [[2, 4]], "block": "linear_glu", "dropout_first": first}
        block = build_model(section, 2, 64).train().blocks[0]
        left_out = float((block(torch.randn(4, 1, 64, 64)) == 0).float().mean())
        assert left_out == pytest.approx(expected, rel=0.25)


def test_attention_over_classes_from_its_equation() -> None:
    """clip_c = sum_t p_c(t) a_c(t) / sum_t a_c(t), a(t) = softmax over the classes, at least 1e-7."""
    torch.manual_seed(3)
    values, logits = torch.rand(2, 6, 4), 4 * torch.randn(2, 6, 4)
    logits[:, :, 3] -= 60  # below 1e-7 in every frame: a plain mean
    n_valid = (6, 2)
    valid = torch.arange(6)[None] < torch.tensor(n_valid)[:, None]
    clip, weights = attention_over_classes(values, logits, valid)
    for row, n in enumerate(n_valid):
        upper, lower = np.zeros(4), np.zeros(4)
        for t in range(n):
            a = np.maximum(softmax(array(logits)[row, t]), 1e-7)
            upper, lower = upper + a * array(values)[row, t], lower + a
        np.testing.assert_allclose(array(clip)[row], upper / lower, rtol=1e-5)
        np.testing.assert_allclose(array(clip)[row, 3], array(values)[row, :n, 3].mean(), rtol=1e-5)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(2, 4))
    assert not weights[1, 2:].any()
    torch.testing.assert_close(attention_over_classes(values, logits, None)[0][0], clip[0])


@pytest.mark.parametrize("name", SMALL)
def test_the_attention_is_a_layer_beside_the_classifier(name: str) -> None:
    section, n_bins = SMALL[name]
    network = build_model(section, 3, n_bins).eval()
    x, n_frames = torch.randn(2, 48, n_bins), torch.tensor([48, 13])
    out = network(x, n_frames)
    v = network.blocks(x[:, None])
    assert v.shape[3] == 1
    h, _ = nn.GRU.forward(network.gru, v[..., 0].transpose(1, 2))
    torch.testing.assert_close(out.framewise, torch.sigmoid(network.fc(h)))
    valid = torch.arange(h.shape[1])[None] < torch.tensor([[h.shape[1]], [-(-13 // network.time_pooling)]])
    expected, _ = attention_over_classes(out.framewise, network.attention(h), valid)
    torch.testing.assert_close(out.clipwise, expected)
    unmasked = build_model({**section, "mask_padding": False}, 3, n_bins).eval()
    unmasked.load_state_dict(network.state_dict())
    torch.testing.assert_close(unmasked(x, n_frames).clipwise, network(x).clipwise)
    assert not torch.allclose(out.clipwise[1], network(x).clipwise[1])


@pytest.mark.parametrize("name", SMALL)
def test_a_checkpoint_gives_the_same_clip_and_frame_probabilities(tmp_path: Path, name: str) -> None:
    """The published baseline of 2019 kept its attention layer out of its checkpoints."""
    section, n_bins = SMALL[name]
    checkpoint, network = make(section, n_bins=n_bins)
    write_checkpoint(tmp_path / "best.pt", checkpoint)
    x, n_frames = torch.randn(2, 40, n_bins), torch.tensor([40, 11])
    expected, out = network(x, n_frames), read_checkpoint(tmp_path / "best.pt").network()(x, n_frames)
    assert torch.equal(out.clipwise, expected.clipwise)
    assert torch.equal(out.framewise, expected.framewise)
    assert torch.equal(out.attention["time"], expected.attention["time"])
    fresh = build_model(section, 3, n_bins).eval()
    assert not torch.equal(fresh(x, n_frames).clipwise, expected.clipwise)


@pytest.mark.parametrize("name", SMALL)
def test_prediction_folds_and_training_agrees_in_bfloat16(name: str) -> None:
    torch.manual_seed(0)
    section, n_bins = SMALL[name]
    network = build_model(section, 3, n_bins)
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm1d)):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.5, 2)
            norm.weight.uniform_(0.5, 2)
            norm.bias.uniform_(-0.5, 0.5)
    x, n_frames = torch.randn(2, 48, n_bins), torch.tensor([48, 20])
    expected = network.eval()(x, n_frames)
    for dtype, close in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        fast = for_prediction(network, torch.device("cpu"), dtype)
        assert not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
        out = fast(x, n_frames)
        for got, want in ((out.framewise, expected.framewise), (out.clipwise, expected.clipwise)):
            assert got.dtype == torch.float32
            torch.testing.assert_close(got, want, atol=close, rtol=0)
    network.train().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        out = network(x, n_frames)
    (out.clipwise.sum() + out.framewise.sum()).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_first_weights_of_the_baseline_of_2019() -> None:
    """Glorot times sqrt 2, scales N(1, 0.02), linear layers N(0, 0.01), matrices of the GRU orthogonal."""
    torch.manual_seed(0)
    network = build_model(PUBLISHED["dcase2019"][0], 10, 64)
    block = network.blocks[1]
    bound = 2**0.5 * (6 / (2 * 9 * 64)) ** 0.5
    assert float(block.conv.weight.detach().abs().max()) == pytest.approx(bound, rel=0.01)
    assert not block.conv.bias.any()
    scales = torch.cat([one.norm.weight for one in network.blocks]).detach()
    assert (float(scales.mean()), float(scales.std())) == (pytest.approx(1, abs=0.005), pytest.approx(0.02, rel=0.2))
    for linear in (block.linear, network.fc, network.attention):
        assert float(linear.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
        assert not linear.bias.any()
    for name in ("weight_ih_l1", "weight_hh_l1_reverse"):
        matrix = getattr(network.gru, name).detach()
        torch.testing.assert_close(matrix.T @ matrix, torch.eye(matrix.shape[1]), atol=1e-4, rtol=0)
    assert network.gru.bias_hh_l0.any()


def test_first_weights_of_torch() -> None:
    """U(-a, a), a = 1 / sqrt(fan_in), of convolutions; of the GRU 1 / sqrt(units)."""
    network = build_model(PUBLISHED["desed2021"][0], 10, 128)
    assert float(network.blocks[3].conv.weight.detach().abs().max()) == pytest.approx((64 * 9) ** -0.5, rel=0.01)
    assert float(network.gru.weight_hh_l0.detach().abs().max()) == pytest.approx(128**-0.5, rel=0.01)
    assert torch.equal(network.blocks[0].norm.weight, torch.ones(16))


def test_operations_of_dynamic_convolutions_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a plain convolution: each bin mixes 4 kernels of 9 x n_in x n_out numbers once, not once a frame."""
    counts = {}
    for kernels in (1, 4):
        section: dict[str, Any] = {**FDY, "channels": [8, 8], "pooling": [[4, 4], [1, 4]], "kernels": kernels}
        network = build_model(section, 3, 16).eval()
        frontend = {"name": "logmel", "sample_rate": 32000, "hop_samples": 3200, "n_mels": 16}
        content = SimpleNamespace(network=lambda network=network: network, frontend=frontend, embeddings={})
        monkeypatch.setattr("sedkit.models.checkpoint.read_checkpoint", lambda path, content=content: content)
        counts[kernels] = complexity.count_complexity("best.pt")
    mixture = 4 * (3 * 8 * 4 + 4 * 4)  # two convolutions along 4 bins: 3 taps, 8 to 4 channels; 1 tap, 4 to 4
    assert counts[4].macs - counts[1].macs == 4 * 4 * 9 * 8 * 8 + mixture
    norm, bias = 2 * 4, 8  # of the mixture; a plain convolution has a bias
    assert counts[4].parameters - counts[1].parameters == 3 * 9 * 8 * 8 + 3 * 8 * 4 + (4 * 4 + 4) + norm - bias
