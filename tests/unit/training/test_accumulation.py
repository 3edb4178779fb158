"""Steps of several batches: the loss, the weights and the figures of one large batch, written out."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch
from test_loop import STEPS, Views, assert_equal_weights, make, stream
from torch import nn

from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, Objective, Term
from sedkit.training.loop import Loop

ACCUMULATED = 3


class Plain(SedModel):
    """No dropout and no batch norm: a window's output does not depend on its neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(5, 3)
        self.runs = 0

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        self.runs += 1
        framewise = torch.sigmoid(self.fc(x))
        return SedOutput(framewise.mean(dim=1), framewise)


class Uneven(Objective):
    """A mean over clips that hold a class, and one over real frames: counts that differ from batch to batch."""

    weights = (1.0, 3.0)

    def loss(self, context: Context) -> dict[str, Term]:
        output, windows = context.forward()["weak"], context.batch["weak"]
        return {
            name: Term(value, count, weight)
            for (name, value, count), weight in zip(self.sums(output, windows), self.weights, strict=True)
        }

    @staticmethod
    def sums(output: SedOutput, windows: StreamBatch) -> list[tuple[str, torch.Tensor, Any]]:
        assert windows.clip_target is not None
        holds = windows.clip_target.any(dim=1)
        clips = ((output.clipwise - windows.clip_target).square().mean(dim=1) * holds).sum()
        real = torch.arange(8) < windows.n_frames[:, None]
        return [("clips", clips, int(holds.sum())), ("frames", (output.framewise.sum(dim=2) * real).sum(), real.sum())]


class Cut(Views):
    """Windows of different lengths."""

    def view(self, name: str | None) -> Batch:
        windows = stream(self.step)
        windows.n_frames = torch.arange(4) + 1 + self.step % 5
        return {"weak": windows}


def plain() -> Plain:
    torch.manual_seed(4)
    return Plain()


def test_a_step_is_that_of_one_large_batch() -> None:
    network, large = plain(), plain()
    loop, _ = make(network, Uneven(), accumulate=ACCUMULATED)
    optimiser = torch.optim.Adam(large.parameters(), lr=0.01, amsgrad=True)
    for step in range(STEPS):
        figures = loop.step(*(Cut(step * ACCUMULATED + place) for place in range(ACCUMULATED)))
        optimiser.param_groups[0]["lr"] = 0.01 * 0.5 ** (step // 3)
        sums = []
        for place in range(ACCUMULATED):
            windows = Cut(step * ACCUMULATED + place).view(None)["weak"]
            assert windows.features is not None
            sums.append(Uneven.sums(large(windows.features), windows))
        clips, frames = (
            sum(one[term][1] for one in sums) / sum(int(one[term][2]) for one in sums) for term in range(2)
        )
        loss = clips + 3.0 * frames
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        expected = {"loss": loss, "clips": clips, "frames": frames}
        assert {name: float(value) for name, value in figures.items()} == {
            name: pytest.approx(float(value.detach()), rel=1e-5) for name, value in expected.items()
        }
    torch.testing.assert_close(network.fc.weight, large.fc.weight, rtol=1e-4, atol=1e-6)
    # Counts are told without another run of the network.
    assert network.runs == STEPS * ACCUMULATED


class Noisy(Objective):
    """A target of the loop's generator."""

    def __init__(self) -> None:
        self.draws: list[float] = []

    def loss(self, context: Context) -> dict[str, Term]:
        clipwise = context.forward()["weak"].clipwise
        target = torch.rand(clipwise.shape, generator=context.generator)
        if clipwise.requires_grad:
            self.draws.append(float(target[0, 0]))
        return {"noise": Term((clipwise - target).square().sum(), clipwise.numel())}


def whole(accumulate: int) -> tuple[Loop, Plain, list[float]]:
    network, objective = plain(), Noisy()
    loop, _ = make(network, objective, accumulate=accumulate)
    loop.run()
    return loop, network, objective.draws


def test_steps_of_several_batches_go_on_exactly_and_draw_for_each_batch() -> None:
    loop, network, draws = whole(ACCUMULATED)
    assert loop.batches.asked == [(0, STEPS * ACCUMULATED)]  # type: ignore[attr-defined]
    assert len(set(draws)) == STEPS * ACCUMULATED

    first, file = plain(), io.BytesIO()
    before, _ = make(first, Noisy(), last_step=4, accumulate=ACCUMULATED)
    before.run()
    torch.save({"loop": before.state_dict(), "network": first.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    second = Plain()
    second.load_state_dict(state["network"])
    after, kept = make(second, Noisy(), accumulate=ACCUMULATED)
    after.load_state_dict(state["loop"])
    after.run()
    assert after.batches.asked == [(4 * ACCUMULATED, STEPS * ACCUMULATED)]  # type: ignore[attr-defined]
    assert_equal_weights(second, network)
    # Schedules count steps of the optimiser, not batches.
    assert kept.records[-1]["learning_rate"] == 0.01 * 0.5**3
