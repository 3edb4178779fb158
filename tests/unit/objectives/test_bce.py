"""What training minimises."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sedkit.core.errors import UsageError
from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, total
from sedkit.objectives.bce import clip_bce, frame_bce, reconstruction_mse
from sedkit.objectives.registry import build_objective, objective_names


class Fixed(SedModel):
    """Returns given probabilities."""

    time_pooling = 8

    def __init__(
        self, clipwise: torch.Tensor, framewise: torch.Tensor, reconstruction: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.output = SedOutput(clipwise, framewise, reconstruction=reconstruction)

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        assert len(x) == len(self.output.clipwise)
        return self.output


def test_clip_bce_by_hand() -> None:
    p, y = torch.tensor([[0.25, 0.5]]), torch.tensor([[1.0, 0.0]])
    assert float(clip_bce(p, y).mean) == pytest.approx((np.log(4) + np.log(2)) / 2)


@pytest.mark.parametrize(("frames", "n_out"), [(640, 80), (644, 80), (639, 79), (645, 81), (640, 20)])
def test_frame_bce_is_the_published_upsampled_one(frames: int, n_out: int) -> None:
    torch.manual_seed(0)
    pooling = 32 if n_out == 20 else 8
    p = torch.rand(3, n_out, 10)
    y = (torch.rand(3, frames, 10) < 0.3).float()
    upsampled = p.repeat_interleave(pooling, dim=1)
    n = min(upsampled.shape[1], frames // pooling * pooling)
    published = F.binary_cross_entropy(upsampled[:, :n], y[:, :n])
    assert float(frame_bce(p, y, pooling).mean) == pytest.approx(float(published), rel=1e-6)


def test_frame_bce_has_the_published_gradient() -> None:
    torch.manual_seed(0)
    y = (torch.rand(2, 640, 10) < 0.3).float()
    a = torch.rand(2, 80, 10, requires_grad=True)
    b = a.detach().clone().requires_grad_()
    frame_bce(a, y, 8).mean.backward()
    F.binary_cross_entropy(b.repeat_interleave(8, dim=1), y).backward()
    torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-9)


def test_frame_bce_without_padding() -> None:
    torch.manual_seed(0)
    p, y = torch.rand(2, 4, 3), (torch.rand(2, 32, 3) < 0.5).float()
    full = p.repeat_interleave(8, dim=1)
    real = torch.cat(
        [F.binary_cross_entropy(full[i, :n], y[i, :n], reduction="none").flatten() for i, n in enumerate([32, 11])]
    )
    term = frame_bce(p, y, 8, torch.tensor([32, 11]))
    assert float(term.count) == 43 * 3
    assert float(term.mean) == pytest.approx(float(real.mean()), rel=1e-6)
    # Two processes with a clip each: their sums over their counts are the mean of both.
    alone = [frame_bce(p[i : i + 1], y[i : i + 1], 8, torch.tensor([n])) for i, n in enumerate([32, 11])]
    assert float((alone[0] + alone[1]).mean) == pytest.approx(float(real.mean()), rel=1e-6)
    all_real = frame_bce(p, y, 8, torch.tensor([32, 32])).mean
    assert float(all_real) == pytest.approx(float(frame_bce(p, y, 8).mean), rel=1e-6)
    assert float(frame_bce(p, y, 8, torch.tensor([0, 0])).mean) == 0.0


def test_targets_of_whole_network_frames_count_by_their_real_frames() -> None:
    """One clip of three network frames of 8, its event in frames 6 to 12, with 20 real frames."""
    p, y = torch.tensor([0.2, 0.5, 0.9]).reshape(1, 3, 1), torch.zeros(1, 24, 1)
    y[:, 6:13] = 1
    real = torch.tensor([20])
    # any: [1, 1, 0]; floor: the offset falls into frame 12, so that only network frame 0 is active.
    for pooled, target in (("any", (1, 1, 0)), ("floor", (1, 0, 0))):
        losses = [-np.log(q if t else 1 - q) for q, t in zip((0.2, 0.5, 0.9), target, strict=True)]
        assert float(frame_bce(p, y, 8, None, pooled).mean) == pytest.approx(np.mean(losses), rel=1e-5)
        weighted = np.average(losses, weights=(8, 8, 4))
        assert float(frame_bce(p, y, 8, real, pooled).mean) == pytest.approx(weighted, rel=1e-5)


def batch(n: int, seed: int, frame: bool) -> StreamBatch:
    torch.manual_seed(seed)
    y = (torch.rand(n, 32, 3) < 0.3).float()
    return StreamBatch(torch.randn(n, 32, 16), torch.full((n,), 32), y.amax(dim=1), y if frame else None)


def loss_of(section: dict[str, object], network: Fixed, streams: Batch) -> tuple[torch.Tensor, dict[str, float]]:
    terms = build_objective(section).loss(Context(network, streams, 0, 1, torch.Generator()))
    return total(terms), {name: float(term.mean) for name, term in terms.items()}


def test_objectives_take_the_streams_they_know() -> None:
    weak, strong = batch(2, 0, False), batch(3, 1, True)
    network = Fixed(torch.rand(5, 3), torch.rand(5, 4, 3))
    clip = F.binary_cross_entropy(network.output.clipwise[:2], weak.clip_target)
    frame = F.binary_cross_entropy(network.output.framewise[2:].repeat_interleave(8, dim=1), strong.frame_target)
    both = {"weak": weak, "strong": strong}
    loss, means = loss_of({"name": "weak_strong_bce", "frame_weight": 0.5}, network, both)
    assert float(loss) == pytest.approx(float(clip + 0.5 * frame), rel=1e-6)
    assert means == pytest.approx({"clip": float(clip), "frame": float(frame)}, rel=1e-6)
    loss, means = loss_of({"name": "frame_bce"}, network, both)
    assert float(loss) == pytest.approx(float(frame), rel=1e-6)
    assert list(means) == ["frame"]
    tags = {"a": weak, "b": batch(3, 1, False)}
    everything = torch.cat([stream.clip_target for stream in tags.values()])
    mean = F.binary_cross_entropy(network.output.clipwise, everything)
    assert float(loss_of({"name": "clip_bce"}, network, tags)[0]) == pytest.approx(float(mean), rel=1e-6)


def by_hand(p: torch.Tensor, y: torch.Tensor) -> float:
    """Mean cross-entropy in float64 numpy."""
    p64, y64 = p.numpy().astype(np.float64), y.numpy().astype(np.float64)
    return float(-(y64 * np.log(p64) + (1 - y64) * np.log1p(-p64)).mean())


def as_first_released(network: Fixed, streams: Batch, clip_weight: float, frame_weight: float) -> torch.Tensor:
    """The loss of version 0.1, written out: means of streams, weighted by their clips, in that order of operations."""
    means: dict[str, list[tuple[torch.Tensor, int]]] = {"clip": [], "frame": []}
    first = 0
    for stream in streams.values():
        rows = slice(first, first + len(stream))
        first += len(stream)
        if stream.frame_target is not None and frame_weight:
            target = stream.frame_target.reshape(len(stream), 4, 8, 3).mean(dim=2)
            means["frame"].append((F.binary_cross_entropy(network.output.framewise[rows], target), len(stream)))
        elif stream.clip_target is not None and clip_weight:
            means["clip"].append(
                (F.binary_cross_entropy(network.output.clipwise[rows], stream.clip_target), len(stream))
            )
    joined = {
        kind: torch.stack([value * n for value, n in values]).sum() / sum(n for _, n in values)
        for kind, values in means.items()
        if values
    }
    weights = {"clip": clip_weight, "frame": frame_weight}
    return torch.stack([weights[kind] * value for kind, value in joined.items()]).sum()


@pytest.mark.parametrize("clips", [(6,), (7, 12), (3, 24)])
@pytest.mark.parametrize(
    ("section", "frames", "weights"),
    [
        ({"name": "clip_bce"}, (False, False), (1.0, 0.0)),
        ({"name": "frame_bce"}, (True, True), (0.0, 1.0)),
        ({"name": "weak_strong_bce", "frame_weight": 0.7}, (False, True), (1.0, 0.7)),
        ({"name": "weak_strong_bce", "frame_weight": 0.7}, (True, False), (1.0, 0.7)),
    ],
)
def test_sums_and_counts_change_no_bit_of_the_loss(
    clips: tuple[int, ...], section: dict[str, object], frames: tuple[bool, bool], weights: tuple[float, float]
) -> None:
    torch.manual_seed(5)
    network = Fixed(torch.rand(sum(clips), 3), torch.rand(sum(clips), 4, 3))
    streams = {str(i): batch(n, i, frame) for i, (n, frame) in enumerate(zip(clips, frames, strict=False))}
    loss, _ = loss_of(section, network, streams)
    assert torch.equal(loss, as_first_released(network, streams, *weights))
    clip_parts, frame_parts, first = [], [], 0
    for stream in streams.values():
        rows = slice(first, first + len(stream))
        first += len(stream)
        if stream.frame_target is not None and weights[1]:
            full = network.output.framewise[rows].repeat_interleave(8, dim=1)
            frame_parts.append((by_hand(full, stream.frame_target), len(stream)))
        elif stream.clip_target is not None:
            clip_parts.append((by_hand(network.output.clipwise[rows], stream.clip_target), len(stream)))
    expected = sum(
        weight * sum(value * n for value, n in parts) / sum(n for _, n in parts)
        for weight, parts in zip(weights, (clip_parts, frame_parts), strict=True)
        if parts
    )
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_a_reconstruction_is_compared_with_the_features() -> None:
    tagged, other = batch(2, 0, False), batch(3, 1, False)
    other.clip_target, other.n_frames = None, torch.tensor([32, 5, 0])
    network = Fixed(torch.rand(5, 3), torch.rand(5, 4, 3), torch.randn(5, 32, 16))
    streams = {"tagged": tagged, "other": other}
    x = np.concatenate([s.features.numpy() for s in streams.values()]).astype(np.float64)
    error = (network.output.reconstruction.numpy().astype(np.float64) - x) ** 2
    clip = by_hand(network.output.clipwise[:2], tagged.clip_target)
    loss, means = loss_of({"name": "clip_reconstruction"}, network, streams)
    assert means == pytest.approx({"clip": clip, "reconstruction": float(error.mean())}, rel=1e-6)
    assert float(loss) == pytest.approx(clip + 0.001 * float(error.mean()), rel=1e-6)
    real = np.concatenate([error[i, :n] for i, n in enumerate([32, 32, 32, 5, 0])])
    section = {"name": "clip_reconstruction", "alpha": 0.5, "padding": "leave_out"}
    loss, means = loss_of(section, network, streams)
    assert means["reconstruction"] == pytest.approx(float(real.mean()), rel=1e-6)
    assert float(loss) == pytest.approx(clip + 0.5 * float(real.mean()), rel=1e-6)
    assert float(loss_of({"name": "clip_reconstruction", "alpha": 0.0}, network, streams)[0]) == pytest.approx(clip)


def test_terms_of_a_reconstruction_are_sums_over_counts() -> None:
    y, x = torch.tensor([[[1.0, 2.0], [0.0, 4.0]]]), torch.tensor([[[0.0, 2.0], [0.0, 0.0]]])
    whole, first = reconstruction_mse(y, x), reconstruction_mse(y, x, torch.tensor([1]))
    assert (float(whole.sum), whole.count) == (17 / 4, 1)
    assert (float(first.sum), int(first.count)) == (1 / 2, 1)


def test_a_reconstruction_needs_a_decoder() -> None:
    network = Fixed(torch.rand(2, 3), torch.rand(2, 4, 3))
    with pytest.raises(UsageError, match="the network gives none; take a network with a decoder"):
        loss_of({"name": "clip_reconstruction"}, network, {"weak": batch(2, 0, False)})
    with pytest.raises(UsageError, match="alpha is -1"):
        build_objective({"name": "clip_reconstruction", "alpha": -1.0})


def test_no_target_is_an_error() -> None:
    unlabelled = StreamBatch(torch.randn(2, 32, 16), torch.full((2,), 32), None, None)
    network = Fixed(torch.rand(2, 3), torch.rand(2, 4, 3))
    with pytest.raises(UsageError, match="no stream has the targets"):
        loss_of({"name": "clip_bce"}, network, {"u": unlabelled})


def test_registry_and_state() -> None:
    assert set(objective_names()) >= {"clip_bce", "clip_reconstruction", "frame_bce", "weak_strong_bce"}
    with pytest.raises(UsageError, match='did you mean "clip_bce"'):
        build_objective({"name": "clip_bec"})
    with pytest.raises(UsageError, match="frame_weight is -1"):
        build_objective({"name": "weak_strong_bce", "frame_weight": -1.0})
    objective = build_objective({"name": "clip_bce"})
    assert objective.state_dict() == {}
    objective.load_state_dict({})
    with pytest.raises(UsageError, match="keeps nothing"):
        objective.load_state_dict({"teacher": 1})
    network = Fixed(torch.rand(1, 1), torch.rand(1, 1, 1))
    assert objective.networks(network) == {"network": network}
