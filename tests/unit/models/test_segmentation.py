"""Networks that segment time and frequency."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sedkit.core.errors import UsageError
from sedkit.models.folding import for_prediction
from sedkit.models.pooling import ranked_mean
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.segmentation import AttentionHead

NAMES = (
    "segmentation_gmp",
    "segmentation_gap",
    "segmentation_gwrp",
    "segmentation_attention",
    "atrous_attention",
    "two_step_attention",
)
#: Small and of 16 bins.
SMALL = {"base_channels": 4}


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ({"name": "segmentation_gmp"}, 587_593),
        ({"name": "segmentation_gap"}, 587_593),
        ({"name": "segmentation_gwrp"}, 587_593),
        ({"name": "segmentation_attention"}, 587_593 + 128 * 41 + 41),
        ({"name": "atrous_attention", "head": "log_softmax"}, 1_047_570),
        ({"name": "two_step_attention", "input_frames": 311, "decoder": "published"}, 1_967_366),
        ({"name": "two_step_attention", "input_frames": 311, "decoder": "none"}, 1_183_177 + 202_384),
        # A last convolution of 32 * 9 + 1 in place of 32 * 9 + 9 and two batch norms of 2.
        ({"name": "two_step_attention", "input_frames": 311}, 1_967_366 - 301 + 289),
        # 4 * (41 + 1) * 41 / 2 instead of 2 * 312 * 311 along time.
        ({"name": "two_step_attention", "decoder": "none"}, 1_183_177 + 2 * 65 * 64 + 2 * 42 * 41),
    ],
)
def test_published_number_of_parameters(section: dict[str, object], expected: int) -> None:
    network = build_model(section, 41, 64)
    assert sum(p.numel() for p in network.parameters()) == expected
    assert network.time_pooling == 1


def gwrp(masks: np.ndarray, r: float) -> np.ndarray:
    """Pool (clips, classes, frames, bins) by rank, in float64."""
    ranked = -np.sort(-masks.reshape(*masks.shape[:2], -1).astype(np.float64), axis=2)
    weights = r ** np.arange(ranked.shape[2], dtype=np.float64)
    return (ranked * weights).sum(axis=2) / weights.sum()


def test_weights_of_ranks_are_the_published_ones() -> None:
    n, r = 311 * 64, 0.9998
    peak, hole = torch.zeros(1, 1, n, dtype=torch.float64), torch.ones(1, 1, n, dtype=torch.float64)
    peak[0, 0, 1234], hole[0, 0, 4321] = 1, 0
    z = 1 / float(ranked_mean(peak, r))
    assert z == pytest.approx(4906.6837, abs=5e-5)
    assert (1 - float(ranked_mean(hole, r))) * z == pytest.approx(0.0186670, abs=5e-8)
    tenth = (torch.arange(n) < n // 10).double()[None, None]
    assert float(ranked_mean(tenth, r)) == pytest.approx(0.335, abs=5e-4)


@pytest.mark.parametrize("shape", [(1, 1), (5, 3), (311, 64)])
def test_ranked_mean_of_any_size(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    masks = torch.rand(2, 3, *shape)
    flat = masks.flatten(2)
    assert torch.equal(ranked_mean(flat, 0.0), flat.amax(dim=2))
    torch.testing.assert_close(ranked_mean(flat, 1.0), flat.mean(dim=2))
    torch.testing.assert_close(ranked_mean(torch.full_like(flat, 0.3), 0.9998), torch.full((2, 3), 0.3))
    for r in (1e-9, 0.5, 0.9998, 1 - 1e-12):
        np.testing.assert_allclose(ranked_mean(flat, r).numpy(), gwrp(masks.numpy(), r), rtol=1e-5)


def test_ranked_mean_by_hand_and_its_gradient() -> None:
    values = torch.tensor([[[0.2, 0.8, 0.4]]], requires_grad=True)
    # Weights 1, 1/2, 1/4 of 0.8, 0.4, 0.2, their sum 7/4.
    clip = ranked_mean(values, 0.5)
    assert float(clip.detach()) == pytest.approx((0.8 + 0.2 + 0.05) * 4 / 7)
    clip.sum().backward()
    torch.testing.assert_close(values.grad, torch.tensor([[[1 / 7, 4 / 7, 2 / 7]]]))


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9998, 1.0])
def test_ranked_mean_counts_the_first_values(r: float) -> None:
    torch.manual_seed(0)
    values = torch.rand(2, 3, 12)
    short = ranked_mean(values, r, torch.tensor([12, 5]))
    torch.testing.assert_close(short[:1], ranked_mean(values[:1], r))
    torch.testing.assert_close(short[1:], ranked_mean(values[1:, :, :5], r))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("pooling", "frames"), [((1, 1), 7), ((2, 4), 7), ((3, 1), 11)])
@pytest.mark.parametrize("n_frames", [None, torch.tensor([7, 1])])
def test_every_field_has_its_shape(
    name: str, pooling: tuple[int, int], frames: int, n_frames: torch.Tensor | None
) -> None:
    section = {"name": name, "time_pooling": pooling[0], "bin_pooling": pooling[1], **SMALL}
    network = build_model(section, 3, 16)
    out, body = network(torch.randn(2, frames, 16), n_frames), (frames // pooling[0], 16 // pooling[1])
    assert (network.time_pooling, network.input_frames) == (pooling[0], None)
    assert (out.clipwise.shape, out.framewise.shape) == ((2, 3), (2, body[0], 3))
    assert out.masks.shape == (2, 3, frames, 16)
    for part in (out.clipwise, out.framewise, out.masks):
        assert part.dtype == torch.float32
        assert ((part >= 0) & (part <= 1)).all()
    if name in ("segmentation_gmp", "segmentation_gap", "segmentation_gwrp"):
        assert out.attention is None
    elif name == "two_step_attention":
        assert out.attention["frequency"].shape == (2, 3, *body)
        assert out.attention["time"].shape == (2, body[0], 3)
        assert out.reconstruction.shape == (2, frames, 16)
    else:
        assert out.attention["bins"].shape == (2, 3, *body)
        torch.testing.assert_close(out.attention["bins"].sum(dim=(2, 3)), torch.ones(2, 3))
    if name != "two_step_attention":
        assert out.reconstruction is None
        whole = out.masks[:, :, : body[0] * pooling[0]].unflatten(2, (-1, pooling[0]))
        torch.testing.assert_close(out.framewise, whole.mean(dim=(3, 4)).transpose(1, 2))
        # What is left over goes with the last frame.
        tail = out.masks[:, :, body[0] * pooling[0] - 1 :]
        assert torch.equal(tail, tail[:, :, :1].expand_as(tail))


@pytest.mark.parametrize(
    ("name", "r"), [("segmentation_gmp", 0.0), ("segmentation_gap", 1.0), ("segmentation_gwrp", 0.9)]
)
@pytest.mark.parametrize("pooling", [(1, 1), (2, 4)])
def test_the_clip_is_pooled_from_the_masks_of_the_features_size(name: str, r: float, pooling: tuple[int, int]) -> None:
    """At a lower resolution too: each of its bins counts as those that it stands for."""
    torch.manual_seed(0)
    options = {"r": r} if name == "segmentation_gwrp" else {}
    section = {"name": name, "time_pooling": pooling[0], "bin_pooling": pooling[1], **options, **SMALL}
    network = build_model(section, 3, 16).eval()
    x = torch.randn(2, 10, 16)
    with torch.no_grad():
        out, short = network(x), network(x, torch.tensor([10, 4]))
    np.testing.assert_allclose(out.clipwise.numpy(), gwrp(out.masks.numpy(), r), rtol=1e-5)
    torch.testing.assert_close(short.clipwise[:1], out.clipwise[:1])
    np.testing.assert_allclose(short.clipwise[1:].numpy(), gwrp(out.masks[1:, :, :4].numpy(), r), rtol=1e-5)


def test_a_bin_sees_eight_bins_each_way() -> None:
    torch.manual_seed(0)
    network = build_model({"name": "segmentation_gap", **SMALL}, 2, 32).eval()
    x = torch.randn(1, 32, 32)
    changed = x.clone()
    changed[0, 16, 16] += 5.0
    with torch.no_grad():
        moved = (network(x).masks != network(changed).masks).any(dim=1)[0]
    assert not moved.sum(dim=1)[[7, 25]].any()
    assert not moved.sum(dim=0)[[7, 25]].any()
    assert moved.sum(dim=1)[[8, 24]].all()
    assert moved.sum(dim=0)[[8, 24]].all()


def head(values: str, weights: str) -> AttentionHead:
    """A head of one channel, two classes and given weights."""
    made = AttentionHead(1, 2, values, weights)
    with torch.no_grad():
        made.classifier.weight.copy_(torch.tensor([1.0, -2.0]).reshape(2, 1, 1, 1))
        made.attention.weight.copy_(torch.tensor([3.0, 0.5]).reshape(2, 1, 1, 1))
    return made


@pytest.mark.parametrize("valid", [None, torch.tensor([[True, False]])])
@pytest.mark.parametrize("values", ["sigmoid", "log_softmax"])
@pytest.mark.parametrize("weights", ["softmax", "clamped"])
def test_attention_heads_by_hand(values: str, weights: str, valid: torch.Tensor | None) -> None:
    v = np.array([[0.5, -1.0], [2.0, 0.1]])
    classes, logits = np.stack([v, -2 * v]), np.stack([3 * v, v / 2])

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    attention = np.exp(logits) if weights == "softmax" else np.clip(sigmoid(logits), 0.1, 0.9)
    if valid is not None:
        attention[:, 1] = 0
    attention /= attention.sum(axis=(1, 2), keepdims=True)
    if values == "sigmoid":
        masks = sigmoid(classes)
        clip = (attention * masks).sum(axis=(1, 2))
    else:
        scores = np.log(np.exp(classes) / np.exp(classes).sum(axis=0))
        masks, clip = sigmoid(scores), sigmoid((attention * scores).sum(axis=(1, 2)))
    out = head(values, weights)(torch.tensor(v, dtype=torch.float32)[None, None], valid)
    np.testing.assert_allclose(out.masks[0].detach().numpy(), masks, rtol=1e-5)
    np.testing.assert_allclose(out.clipwise[0].detach().numpy(), clip, rtol=1e-5)
    np.testing.assert_allclose(out.weights[0].detach().numpy(), attention, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["segmentation_attention", "atrous_attention"])
def test_attention_begins_as_the_mean(name: str) -> None:
    out = build_model({"name": name, **SMALL}, 3, 16)(torch.randn(2, 9, 16))
    torch.testing.assert_close(out.clipwise, out.masks.mean(dim=(2, 3)))


def test_the_published_atrous_head_never_says_more_than_a_half() -> None:
    torch.manual_seed(0)
    published = build_model({"name": "atrous_attention", "head": "log_softmax", **SMALL}, 3, 16).eval()
    mended = build_model({"name": "atrous_attention", **SMALL}, 3, 16).eval()
    with torch.no_grad():
        published.head.classifier.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
        mended.load_state_dict(published.state_dict())
        x = torch.randn(4, 9, 16)
        assert float(published(x).clipwise.max()) == pytest.approx(0.5)
        assert float(mended(x).clipwise.max()) > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_padding_does_not_reach_the_clip_score(name: str) -> None:
    torch.manual_seed(0)
    network = build_model({"name": name, **SMALL}, 3, 16).eval()
    x = torch.randn(1, 60, 16)
    n_frames = torch.tensor([20])
    louder = x.clone()
    louder[:, 40:] += 5.0  # further away than any of them sees
    with torch.no_grad():
        torch.testing.assert_close(network(x, n_frames).clipwise, network(louder, n_frames).clipwise)
        assert not torch.allclose(network(x).clipwise, network(louder).clipwise, atol=1e-4)
        published = build_model({"name": name, "mask_padding": False, **SMALL}, 3, 16).eval()
        published.load_state_dict(network.state_dict())
        torch.testing.assert_close(published(x, n_frames).clipwise, network(x).clipwise)


@pytest.mark.parametrize("name", NAMES)
def test_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    network = build_model({"name": name, "time_pooling": 2, "bin_pooling": 2, **SMALL}, 3, 16)
    with torch.no_grad():  # from attention that is not the same everywhere
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    out = network(torch.randn(4, 12, 16))
    target = (torch.rand(4, 3) < 0.5).float()
    loss = torch.nn.functional.binary_cross_entropy(out.clipwise, target)
    if out.reconstruction is not None:
        loss = loss + out.reconstruction.square().mean()
    loss.backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", NAMES)
def test_prediction_folds_leaves_out_and_rounds(name: str) -> None:
    torch.manual_seed(3)
    network = build_model({"name": name, **SMALL}, 3, 16)
    x = torch.randn(2, 21, 16)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(4, 21, 16) * 2 + 1)
        expected = network.eval()(x)
    cpu = torch.device("cpu")
    fast, half = for_prediction(network, cpu, torch.float32), for_prediction(network, cpu, torch.bfloat16)
    full = for_prediction(network, cpu, torch.float32, full_output=True)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in fast.modules())
    with torch.inference_mode():
        scores, rounded, everything = fast(x), half(x), full(x)
    assert (scores.masks, scores.reconstruction, scores.attention) == (None, None, None)
    for out, tolerance in ((scores, 1e-5), (everything, 1e-5), (rounded, 0.05)):
        assert out.framewise.dtype == torch.float32
        torch.testing.assert_close(out.clipwise, expected.clipwise, atol=tolerance, rtol=0)
        torch.testing.assert_close(out.framewise, expected.framewise, atol=tolerance, rtol=0)
    torch.testing.assert_close(everything.masks, expected.masks, atol=1e-5, rtol=0)
    assert not torch.equal(rounded.framewise, scores.framewise)
    assert network.full_output


def test_training_under_bfloat16_keeps_probabilities_whole() -> None:
    network = build_model({"name": "segmentation_gwrp", **SMALL}, 3, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = network(torch.randn(2, 9, 16))
    assert {out.clipwise.dtype, out.framewise.dtype, out.masks.dtype} == {torch.float32}


def test_initial_weights() -> None:
    network = build_model({"name": "segmentation_gwrp"}, 41, 64)
    for layer, fan_in in ((network.body[2].conv1, 64 * 9), (network.head.classifier, 128)):
        largest, bound = float(layer.weight.detach().abs().max()), np.sqrt(6 / fan_in)
        assert 0.98 * bound < largest <= bound
    assert not network.head.classifier.bias.any()


@pytest.mark.parametrize("name", NAMES)
def test_a_network_begins_with_its_prior(name: str) -> None:
    network = build_model({"name": name, "prior": 0.05, **SMALL}, 3, 16).eval()
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
                layer.weight.zero_()
        torch.testing.assert_close(network(torch.randn(2, 9, 16)).clipwise, torch.full((2, 3), 0.05))


def test_options_are_checked() -> None:
    assert resolve_model({"name": "segmentation_gwrp"})["r"] == 0.9998
    for name in ("base_channels", "time_pooling", "bin_pooling"):
        with pytest.raises(UsageError, match=f"model.{name} is 0, expected at least 1"):
            build_model({"name": "segmentation_gap", name: 0}, 3, 16)
    for model in NAMES:
        with pytest.raises(UsageError, match="model.bin_pooling is 3, expected a divisor of the 16 bins"):
            build_model({"name": model, "bin_pooling": 3}, 3, 16)
        with pytest.raises(UsageError, match=r"model.prior is 1(.0)?, expected a probability between 0 and 1"):
            build_model({"name": model, "prior": 1}, 3, 16)
    with pytest.raises(UsageError, match="model.prior is 0.1, expected 0.5 with model.head log_softmax"):
        build_model({"name": "atrous_attention", "head": "log_softmax", "prior": 0.1}, 3, 16)
    with pytest.raises(UsageError, match="model.r is 1.5, expected 0 to 1"):
        build_model({"name": "segmentation_gwrp", "r": 1.5}, 3, 16)
    with pytest.raises(UsageError, match="unknown key 'r'"):
        build_model({"name": "segmentation_gmp", "r": 0.5}, 3, 16)
