"""The mean teacher against sums worked out by hand."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sedkit.core.errors import UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, total
from sedkit.objectives.bce import pooled_target
from sedkit.objectives.mean_teacher import ema_factor, mean_square
from sedkit.objectives.registry import build_objective


class Tiny(SedModel):
    """A batch norm and a layer; a network frame is two frames."""

    time_pooling = 2

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.fc = nn.BatchNorm1d(4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        pooled = x.unflatten(1, (-1, 2)).mean(dim=2)
        framewise = torch.sigmoid(self.fc(self.norm(pooled.transpose(1, 2)).transpose(1, 2)))
        return SedOutput(framewise.mean(dim=1), framewise)


def clips(n: int, seed: int, target: str = "none") -> StreamBatch:
    draw = torch.Generator().manual_seed(seed)
    frames = (torch.rand(n, 8, 3, generator=draw) < 0.4).float()
    x, clip = torch.randn(n, 8, 4, generator=draw), None if target == "none" else frames.amax(1)
    return StreamBatch(x, torch.full((n,), 8), clip, frames if target == "frame" else None)


STREAMS = {"weak": clips(2, 0, "clip"), "strong": clips(3, 1, "frame"), "unlabelled": clips(4, 2)}


def started(**options: Any) -> tuple[Any, Tiny]:
    torch.manual_seed(5)
    objective, network = build_objective({"name": "mean_teacher", **options}), Tiny()
    objective.start(network, Tiny)
    return objective, network


def context(network: SedModel, step: int = 0, **views: Batch) -> Context:
    return Context(network, STREAMS, step, 100, torch.Generator(), views.__getitem__ if views else None)


def test_the_average_is_a_plain_mean_at_first() -> None:
    assert [ema_factor(step, 0.999) for step in (0, 1, 9, 999, 5000)] == pytest.approx([0, 0.5, 0.9, 0.999, 0.999])


def test_consistency_of_two_clips_by_hand() -> None:
    student = torch.tensor([[0.5, 0.1], [0.2, 0.8]])
    teacher = torch.tensor([[0.3, 0.1], [0.2, 0.4]])
    # (0.04 + 0) / 2 and (0 + 0.16) / 2, the mean of which is 0.05.
    assert float(mean_square(student, teacher).mean) == pytest.approx(0.05)
    frames = torch.stack([student, teacher], dim=1), torch.stack([teacher, teacher], dim=1)
    assert float(mean_square(*frames).mean) == pytest.approx(0.025)
    valid = torch.tensor([[True, True], [True, False]])
    # Three frames: 0.02, 0 and 0.08.
    assert float(mean_square(*frames, valid).mean) == pytest.approx(0.1 / 3)


@pytest.mark.parametrize(("rate", "hop", "pooling"), [(44100, 511, 8), (16000, 256, 4)])
def test_targets_of_network_frames_are_the_published_ones(rate: int, hop: int, pooling: int) -> None:
    """Two events of a class never touch, and offsets to the millisecond are almost never at the edge of a frame."""
    rng, grid = np.random.default_rng(0), TimeGrid(rate, hop)
    frames = math.ceil(10 * rate / hop)
    n_out = frames // pooling
    for _ in range(200):
        onset_s = round(rng.uniform(0, 9.7), 3)
        offset_s = round(rng.uniform(onset_s + 0.02, 10), 3)
        if round(1000 * offset_s) * rate % (1000 * hop) == 0:
            continue
        roll = torch.zeros(1, frames, 1)
        roll[:, slice(*grid.span(onset_s, offset_s))] = 1
        # DCASE 2019: frames rounded down, twice, and the offset's left out.
        first, last = (math.floor(math.floor(t * rate / hop) / pooling) for t in (onset_s, offset_s))
        floor = [float(first <= k < last) for k in range(n_out)]
        assert pooled_target(roll, pooling, n_out, "floor").flatten().tolist() == floor
        # DCASE 2021: the onset rounded down, the offset up, once.
        first, last = math.floor(onset_s * rate / hop / pooling), math.ceil(offset_s * rate / hop / pooling)
        assert pooled_target(roll, pooling, n_out, "any").flatten().tolist() == [
            first <= k < last for k in range(n_out)
        ]


@pytest.mark.parametrize(("step", "ramp"), [(0, 0.0067379), (25, 0.2865048), (50, 1.0), (80, 1.0)])
def test_the_loss_is_that_of_labels_and_of_agreement_on_all_clips(step: int, ramp: float) -> None:
    objective, network = started(schedule={"name": "ramp", "until": 0.5}, clip_weight=0.5, start="own", pooled="any")
    teacher = copy.deepcopy(objective.teacher)
    terms = objective.loss(context(network, step))
    x = torch.cat([stream.features for stream in STREAMS.values()])
    own, other = network(x), teacher(x)
    clip = F.binary_cross_entropy(own.clipwise[:2], STREAMS["weak"].clip_target)
    target = STREAMS["strong"].frame_target.unflatten(1, (4, 2)).amax(2)
    frame = F.binary_cross_entropy(own.framewise[2:5], target)
    apart = F.mse_loss(own.clipwise, other.clipwise), F.mse_loss(own.framewise, other.framewise)
    assert apart[0].item() > 1e-4, "the teacher has weights of its own"
    assert {name: float(term.mean.detach()) for name, term in terms.items()} == pytest.approx(
        {
            "clip": clip.item(),
            "frame": frame.item(),
            "clip_consistency": apart[0].item(),
            "frame_consistency": apart[1].item(),
        },
        rel=1e-5,
    )
    expected = 0.5 * clip + frame + 2 * ramp * (apart[0] + apart[1])
    assert float(total(terms).detach()) == pytest.approx(expected.item(), rel=1e-5)
    total(terms).backward()
    assert network.fc.weight.grad is not None
    assert all(p.grad is None for p in objective.teacher.parameters())


@pytest.mark.parametrize("start", ["copy", "own"])
def test_the_teacher_follows_by_the_factor_of_the_step(start: str) -> None:
    objective, network = started(start=start, decay=0.8)
    expected = objective.teacher.fc.weight.clone()
    assert torch.equal(expected, network.fc.weight) == (start == "copy")
    # 1/2 of the initial weights stays, then 2/3, 3/4 and 4/5; then the greatest factor.
    for step, factor in enumerate([1 / 2, 2 / 3, 3 / 4, 4 / 5, 4 / 5, 4 / 5]):
        with torch.no_grad():
            network.fc.weight += torch.randn(3, 4)
        objective.after_step(context(network, step))
        expected = factor * expected + (1 - factor) * network.fc.weight.detach()
        torch.testing.assert_close(objective.teacher.fc.weight, expected)


def test_statistics_of_the_teacher_are_its_own_or_averages_of_the_students() -> None:
    view = {name: StreamBatch(stream.features + 3, stream.n_frames) for name, stream in STREAMS.items()}
    for averaged in ("parameters", "parameters_and_buffers"):
        objective, network = started(averaged=averaged, teacher_view="louder", decay=0.5)
        objective.loss(context(network, louder=view))
        objective.after_step(context(network))
        mean, seen = (n.norm.running_mean for n in (objective.teacher, network))
        if averaged == "parameters":
            # A tenth of the batch's mean, which is 3 higher in what the teacher sees.
            torch.testing.assert_close(mean, seen + 0.3)
        else:
            torch.testing.assert_close(mean, 0.5 * seen)
        assert objective.teacher.norm.num_batches_tracked.dtype == torch.int64


def test_each_sees_its_own_view() -> None:
    views = {
        name: {
            s: StreamBatch(x.features * factor, x.n_frames, x.clip_target, x.frame_target) for s, x in STREAMS.items()
        }
        for name, factor in (("quiet", 0.5), ("silent", 0.0))
    }
    objective, network = started(student_view="quiet", teacher_view="silent")
    terms = objective.loss(context(network, 50, **views))
    x = torch.cat([stream.features for stream in STREAMS.values()])
    expected = F.mse_loss(network(0.5 * x).clipwise, copy.deepcopy(network)(0 * x).clipwise)
    assert terms["clip_consistency"].mean.item() == pytest.approx(expected.item(), rel=1e-5)


def test_an_evaluated_network_is_compared_with_labels_alone_and_moves_nothing() -> None:
    objective, network = started(teacher_view="not there", selected="student")
    before = copy.deepcopy(objective.teacher.state_dict())
    for one in objective.networks(network).values():
        one.eval()
        assert set(objective.loss(context(one))) == {"clip", "frame"}
    assert all(torch.equal(value, before[name]) for name, value in objective.teacher.state_dict().items())


def test_who_scores_comes_first() -> None:
    for selected in ("student", "teacher"):
        objective, network = started(selected=selected)
        both = objective.networks(network)
        assert tuple(both) == objective.kept and objective.kept[0] == selected
        assert both["student"] is network and both["teacher"] is not network


def test_padding_can_be_left_out_of_the_agreement() -> None:
    objective, network = started(padding="leave_out", start="own")
    half = {"unlabelled": StreamBatch(STREAMS["unlabelled"].features, torch.full((4,), 4)), "weak": STREAMS["weak"]}
    teacher = copy.deepcopy(objective.teacher)
    term = objective.loss(Context(network, half, 0, 1, torch.Generator()))["frame_consistency"]
    x = torch.cat([stream.features for stream in half.values()])
    error = (network(x).framewise - teacher(x).framewise).square().mean(dim=2)
    real = torch.cat([error[:4, :2].flatten(), error[4:].flatten()])
    assert term.mean.item() == pytest.approx(real.mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"consistency": -1}, "objective.consistency is -1"),
        ({"decay": 1.0}, "objective.decay is 1.0, expected from 0 to below 1"),
        ({"clip_weight": -0.5}, "objective.clip_weight is -0.5"),
        ({"schedule": {"name": "rampe"}}, "schedule.name is 'rampe' .did you mean \"ramp\""),
        ({"selected": "pupil"}, "selected"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_objective({"name": "mean_teacher", **options})


def test_they_agree_on_the_streams_that_are_named() -> None:
    objective, network = started(agreeing=["unlabelled"], schedule={"name": "constant"})
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.3)
    terms = objective.loss(context(network))
    outputs = {id(n): n(torch.cat([s.features for s in STREAMS.values()])) for n in (network, objective.teacher)}
    student, teacher = outputs[id(network)], outputs[id(objective.teacher)]
    # The last four of nine clips.
    expected = (student.clipwise[5:] - teacher.clipwise[5:]).square().mean()
    assert float(terms["clip_consistency"].mean.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert float(expected.detach()) > 1e-4
    objective, network = started(agreeing=["unlabeled"])
    with pytest.raises(UsageError, match="objective.agreeing: no stream 'unlabeled'"):
        objective.loss(context(network))
