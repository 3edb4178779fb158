"""The networks of detection in two passes: sizes as Keras counted them, and what each step makes of its input."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sedkit.core.errors import UsageError
from sedkit.models.folding import for_prediction
from sedkit.models.registry import build_model

BASELINE = {"hidden": 0, "conv_dropout": 0.3, "gru_dropout": 0.3, "dropout": 0.0}
#: Options, parameters in all (running means and variances included) and those that are trained, of 10 classes.
PUBLISHED = [
    ({"name": "tagging_cnn"}, 907_018, 906_122),
    ({"name": "crnn"}, 133_706, 133_322),
    ({"name": "crnn", "block": "glu", "conv_dropout": 0.0}, 208_586, 207_818),
    ({"name": "crnn", **BASELINE}, 126_090, 125_706),
    ({"name": "crnn", **BASELINE, "clipwise": "frame_mean"}, 126_090, 125_706),
]
SMALL = {"name": "crnn", "channels": [3, 3, 3], "units": 5, "hidden": 7}


@pytest.mark.parametrize(("section", "in_all", "trained"), PUBLISHED)
def test_number_of_parameters(section: dict[str, object], in_all: int, trained: int) -> None:
    network = build_model(section, 10, 64)
    learnt = sum(p.numel() for p in network.parameters() if p.requires_grad)
    running = sum(b.numel() for name, b in network.named_buffers() if "running" in name)
    assert (learnt + running, learnt) == (in_all, trained)


def test_published_frames() -> None:
    x = torch.randn(1, 431, 64)
    assert build_model({"name": "crnn"}, 10, 64).eval()(x).framewise.shape == (1, 431, 10)
    tagging = build_model({"name": "tagging_cnn"}, 10, 64).eval()
    out = tagging(x)
    assert tagging.blocks(x[:, None]).shape == (1, 256, 215, 1)
    assert out.framewise.shape == (1, 215, 10)
    assert (out.framewise == out.clipwise[:, None]).all()


@pytest.mark.parametrize(
    "section", [{"name": "crnn", "pooling": [[4, 4], [1, 4], [1, 4]]}, {"name": "tagging_cnn", "time_pooling": 4}]
)
def test_frames_that_are_pooled(section: dict[str, object]) -> None:
    network = build_model(section, 3, 64).eval()
    assert network.time_pooling == 4
    assert network(torch.randn(2, 431, 64), torch.tensor([431, 9])).framewise.shape == (2, 107, 3)


@pytest.mark.parametrize("block", ["relu", "glu"])
def test_a_block_by_hand(block: str) -> None:
    """Keras: convolution, batch norm with epsilon 1e-3, ReLU or first half times sigmoid of second half, maximum."""
    network = build_model({**SMALL, "block": block}, 2, 64).eval()
    layer = network.blocks[0]
    assert (layer.norm.eps, layer.norm.momentum) == (1e-3, 0.01)
    assert (layer.conv.bias is None) == (block == "glu")
    layer.norm.running_mean.uniform_(-1, 1)
    layer.norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 1, 6, 64)
    z = F.conv2d(x, layer.conv.weight, layer.conv.bias, padding=1)
    mean, variance = (v[:, None, None] for v in (layer.norm.running_mean, layer.norm.running_var))
    z = (z - mean) / (variance + 1e-3).sqrt()
    z = z.clamp(min=0) if block == "relu" else z[:, :3] * torch.sigmoid(z[:, 3:])
    expected = z.reshape(2, 3, 6, 16, 4).amax(dim=4)
    torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_the_gru_sees_one_frame_a_step_and_has_one_bias_a_gate() -> None:
    network = build_model(SMALL, 2, 128).eval()
    x = torch.randn(2, 9, 128)
    v = network.blocks(x[:, None])
    assert v.shape == (2, 3, 9, 2)
    steps = torch.stack([v[:, :, t].flatten(1) for t in range(9)], dim=1)
    h, _ = torch.nn.GRU.forward(network.gru, steps)
    p = torch.sigmoid(network.fc(F.relu(network.hidden(h))))
    torch.testing.assert_close(network(x).framewise, p)
    network.train()
    network(x).framewise.sum().backward()
    for name, weight in network.gru.named_parameters():
        if name.startswith("bias_hh"):
            assert weight.grad is None and not weight.any()
        else:
            assert weight.grad is not None
    # Keras' Glorot of the matrix of all gates: U(-a, a), a = sqrt(6 / (inputs + 3 x units)).
    assert float(network.gru.weight_ih_l0.detach().abs().max()) == pytest.approx((6 / (6 + 15)) ** 0.5, rel=0.1)
    recurrent = network.gru.weight_hh_l0.detach()
    torch.testing.assert_close(recurrent.T @ recurrent, torch.eye(5), atol=1e-5, rtol=0)


@pytest.mark.parametrize("clipwise", ["frame_max", "frame_mean", "attention"])
def test_the_clip_is_made_of_its_real_frames(clipwise: str) -> None:
    section = {**SMALL, "clipwise": clipwise}
    network = build_model(section, 2, 64).eval()
    x, n_frames = torch.randn(2, 12, 64), torch.tensor([12, 5])
    out = network(x, n_frames)
    for row, n in enumerate(n_frames.tolist()):
        p = out.framewise[row, :n]
        if clipwise == "attention":
            v = network.blocks(x[:, None]).transpose(2, 3).flatten(1, 2).transpose(1, 2)
            logits = network.attention(F.relu(network.hidden(torch.nn.GRU.forward(network.gru, v)[0])))[row, :n]
            expected = (torch.softmax(logits, dim=0) * p).sum(dim=0)
            torch.testing.assert_close(out.attention["time"].sum(dim=1), torch.ones(2, 2))
        else:
            expected = p.amax(dim=0) if clipwise == "frame_max" else p.mean(dim=0)
        torch.testing.assert_close(out.clipwise[row], expected)
    published = build_model({**section, "mask_padding": False}, 2, 64).eval()
    published.load_state_dict(network.state_dict())
    torch.testing.assert_close(published(x, n_frames).clipwise, network(x).clipwise)


def test_the_tagging_network_takes_mean_and_maximum_of_real_frames() -> None:
    network = build_model({"name": "tagging_cnn", "base_channels": 2, "hidden": 5}, 3, 64).eval()
    x = torch.randn(1, 40, 64)
    v = network.blocks(x[:, None])[0, :, :10, 0]
    pooled = torch.cat([v.mean(dim=1), v.amax(dim=1)])
    expected = torch.sigmoid(network.fc(F.relu(network.hidden(pooled))))
    torch.testing.assert_close(network(x, torch.tensor([19])).clipwise[0], expected)


def test_dropout_leaves_out_whole_channels_of_the_grus_input() -> None:
    network = build_model({**SMALL, "gru_dropout": 0.5, "conv_dropout": 0.0, "dropout": 0.0}, 2, 64).train()
    seen = []
    network.gru.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    torch.manual_seed(0)
    for _ in range(8):
        network(torch.randn(2, 30, 64))
    silent = torch.cat([(x == 0).all(dim=1) for x in seen])
    assert 0.25 < float(silent.float().mean()) < 0.75
    # A ReLU gives zeros of its own, but no channel that is kept has them in all frames.
    assert ((torch.cat(seen) != 0).any(dim=1) == ~silent).all()


@pytest.mark.parametrize("section", [{"name": "tagging_cnn"}, SMALL, {**SMALL, "block": "glu"}])
def test_prediction_and_training_agree_in_bfloat16(section: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build_model(section, 3, 64)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.uniform_(-0.5, 0.5)
        norm.running_var.uniform_(0.5, 2)
    x, n_frames = torch.randn(2, 24, 64), torch.tensor([24, 10])
    expected = network.eval()(x, n_frames)
    for dtype, close in ((torch.float32, 1e-5), (torch.bfloat16, 0.02)):
        fast = for_prediction(network, torch.device("cpu"), dtype)(x, n_frames)
        assert fast.framewise.dtype == torch.float32
        torch.testing.assert_close(fast.framewise, expected.framewise, atol=close, rtol=0)
        torch.testing.assert_close(fast.clipwise, expected.clipwise, atol=close, rtol=0)
    network.train()
    with torch.autocast("cpu", torch.bfloat16):
        out = network(x, n_frames)
        F.binary_cross_entropy(out.clipwise.float(), torch.ones(2, 3))
    out.clipwise.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"pooling": [[1, 4], [1, 4], [1, 8]]},
            "front end gives 64 bins, the factors of model.pooling need at least 128",
        ),
        ({"units": 0}, "model.units is 0, expected at least 1"),
        ({"conv_dropout": 1.0}, "model.conv_dropout is 1.0, expected from 0 to below 1"),
        ({"channels": []}, r"model.channels is \[\], expected a number of at least 1 a block"),
        ({"channels": [8, 0, 8]}, r"model.channels is \[8, 0, 8\], expected a number of at least 1 a block"),
        ({"pooling": [[1, 4], [1, 4]]}, r"model.pooling is \[\[1, 4\], \[1, 4\]\], .* for each of 3 blocks"),
        ({"pooling": [[1, 4], [0, 4], [1, 4]]}, "expected two factors of at least 1"),
        ({"pooling": [4, 4, 4]}, "model: key 'pooling'"),
        ({"kernels": 0}, "model.kernels is 0, expected at least 1"),
        ({"gru_layers": 0}, "model.gru_layers is 0, expected at least 1"),
        ({"norm_momentum": 0.0}, "model.norm_momentum is 0.0, expected above 0, at most 1"),
        ({"norm_eps": 0.0}, "model.norm_eps is 0.0, expected above 0"),
        ({"block": "gated"}, "gated"),
        ({"init": "zeros"}, "zeros"),
    ],
)
def test_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model({"name": "crnn", **options}, 10, 64)
    with pytest.raises(UsageError, match="32 bins, tagging_cnn needs at least 64"):
        build_model({"name": "tagging_cnn"}, 10, 32)
