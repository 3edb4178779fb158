"""The loop against a loop written out, on its own: no data, no experiment."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sedkit.core.errors import SedkitError
from sedkit.features.batch import Batch, StreamBatch
from sedkit.models.output import SedModel, SedOutput
from sedkit.objectives.base import Context, Objective, Term
from sedkit.objectives.registry import build_objective
from sedkit.objectives.schedules import build_schedule
from sedkit.training.loop import Loop
from sedkit.training.optimisers import build_optimiser

STEPS = 10


class Small(SedModel):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, padding=1)
        self.drop, self.fc = nn.Dropout(0.3), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
        framewise = torch.sigmoid(self.fc(self.drop(self.conv(x[:, None])).transpose(1, 2).flatten(2)).float())
        return SedOutput(framewise.mean(dim=1), framewise)


def stream(seed: int, clips: int = 4) -> StreamBatch:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(clips, 8, 5, generator=draw)
    target = (torch.rand(clips, 3, generator=draw) < 0.5).float()
    return StreamBatch(x, torch.full((clips,), 8), target, None)


@dataclass
class Views:
    step: int

    def view(self, name: str | None) -> Batch:
        return {"weak": stream(self.step if name is None else 1000 * self.step + len(name))}


class Batches:
    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def iterate(self, first: int, last: int) -> Iterator[Views]:
        self.asked.append((first, last))
        yield from map(Views, range(first, last))


class Records:
    """Keeps what the loop hands out."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.saved: list[int] = []


def make(
    network: SedModel,
    objective: Objective | None = None,
    last_step: int | None = None,
    optimiser: torch.optim.Optimizer | None = None,
    clip_norm: float = 0.0,
    dtype: torch.dtype = torch.float32,
    schedule: dict[str, Any] | None = None,
    accumulate: int = 1,
) -> tuple[Loop, Records]:
    settings = SimpleNamespace(
        steps=STEPS,
        last_step=last_step,
        clip_norm=clip_norm,
        eval_every=4,
        checkpoint_every=3,
        accumulate=accumulate,
    )
    kept = Records()
    loop = Loop(
        network,
        objective or build_objective({"name": "clip_bce"}),
        Batches(),
        settings,  # type: ignore[arg-type]
        dtype,
        kept.records.append,
        lambda: kept.saved.append(loop.state_dict()["progress"]["step"]),
        optimiser or build_optimiser({"name": "adam", "learning_rate": 0.01}, network.parameters()),
        build_schedule(schedule or {"name": "step", "factor": 0.5, "every": 0.3}),
        seed=3,
        another=Small,
    )
    return loop, kept


def fresh() -> Small:
    torch.manual_seed(11)
    return Small()


def by_hand(network: Small, clip_norm: float = 0.0) -> tuple[list[float], list[float]]:
    """The same training as a plain script; returns losses and rates."""
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01, amsgrad=True, fused=True)
    losses, rates = [], []
    for step in range(STEPS):
        rates.append(0.01 * 0.5 ** (step // 3))
        optimiser.param_groups[0]["lr"] = rates[-1]
        clips = stream(step)
        optimiser.zero_grad()
        loss = F.binary_cross_entropy(network(clips.features).clipwise, clips.clip_target)
        loss.backward()
        if clip_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), clip_norm)
        optimiser.step()
        losses.append(float(loss.detach()))
    return losses, rates


def assert_equal_weights(network: nn.Module, other: nn.Module) -> None:
    for (name, value), wanted in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(value, wanted), name


@pytest.mark.parametrize("clip_norm", [0.0, 0.05])
def test_a_run_is_the_one_written_out(clip_norm: float) -> None:
    network, plain = fresh(), fresh()
    loop, kept = make(network, clip_norm=clip_norm)
    torch.manual_seed(2)
    loop.run()
    torch.manual_seed(2)
    losses, rates = by_hand(plain, clip_norm)
    assert_equal_weights(network, plain)
    assert [record["step"] for record in kept.records] == [4, 8, 10]
    assert [record["learning_rate"] for record in kept.records] == [rates[3], rates[7], rates[9]]
    means = [sum(losses[first:last]) / (last - first) for first, last in ((0, 4), (4, 8), (8, 10))]
    assert [record["train"] for record in kept.records] == [{"loss": pytest.approx(mean)} for mean in means]
    assert kept.saved == [3, 4, 6, 8, 9, 10]


def test_a_run_to_an_earlier_step_keeps_the_schedule() -> None:
    network, whole = fresh(), fresh()
    loop, kept = make(network, last_step=6)
    torch.manual_seed(2)
    loop.run()
    assert loop.batches.asked == [(0, 6)]
    assert [record["step"] for record in kept.records] == [4, 6]
    assert kept.saved[-1] == 6
    # As the whole run was after 6 of its 10 steps.
    longer, _ = make(whole)
    torch.manual_seed(2)
    longer.network.train()
    for step in range(6):
        longer.step(Views(step))
    assert_equal_weights(network, whole)


def test_each_group_keeps_its_own_base_rate_also_when_it_goes_on() -> None:
    network = fresh()

    def optimiser() -> torch.optim.Optimizer:
        groups = [{"params": network.conv.parameters(), "lr": 0.001}, {"params": network.fc.parameters()}]
        return build_optimiser({"name": "sgd", "learning_rate": 0.1}, groups)

    loop, _ = make(network, optimiser=optimiser())
    for step in range(7):
        loop.step(Views(step))
    rates = [group["lr"] for group in loop.optimiser.param_groups]
    assert rates == [0.001 * 0.5**2, 0.1 * 0.5**2]
    again, _ = make(network, optimiser=optimiser())
    again.load_state_dict(loop.state_dict())
    again.step(Views(7))
    assert [group["lr"] for group in again.optimiser.param_groups] == rates


class Drawing(Objective):
    """Two terms; a random target and a weight that rises, a view of its own, and a count of the calls."""

    def __init__(self) -> None:
        self.ramp = build_schedule({"name": "ramp", "until": 0.5, "shape": "linear"})
        self.draws: list[float] = []
        self.started, self.after = 0, 0

    def start(self, network: SedModel, another: Callable[[], SedModel]) -> None:
        self.started += 1

    def loss(self, context: Context) -> dict[str, Term]:
        clipwise, noisy = context.forward()["weak"].clipwise, context.forward("noisy")["weak"].clipwise
        target = torch.rand(clipwise.shape, generator=context.generator)
        self.draws.append(float(target[0, 0]))
        return {
            "target": Term((clipwise - target).square().sum(), clipwise.numel()),
            "distance": Term((clipwise - noisy).square().sum(), len(noisy), weight=self.ramp(context.share)),
        }

    def after_step(self, context: Context) -> None:
        assert context.step == self.after
        self.after += 1

    def state_dict(self) -> dict[str, Any]:
        return {"after": self.after}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.after = state["after"]


def test_a_resumed_run_is_the_uninterrupted_one() -> None:
    whole = fresh()
    loop, kept = make(whole, Drawing())
    torch.manual_seed(2)
    loop.run()

    network, file = fresh(), io.BytesIO()
    before, _ = make(network, Drawing())

    def save() -> None:
        if before.progress.step == 6:
            torch.save({"loop": before.state_dict(), "network": network.state_dict()}, file)
            raise KeyboardInterrupt

    before.save = save
    torch.manual_seed(2)
    with pytest.raises(KeyboardInterrupt):
        before.run()
    file.seek(0)
    state = torch.load(file, weights_only=True)

    torch.manual_seed(99)
    network = Small()
    network.load_state_dict(state["network"])
    after, kept_after = make(network, Drawing())
    after.load_state_dict(state["loop"])
    after.run()
    assert after.batches.asked == [(6, 10)]
    assert_equal_weights(network, whole)
    assert before.objective.draws + after.objective.draws == loop.objective.draws
    assert len(set(loop.objective.draws)) == STEPS
    assert kept_after.records == kept.records[1:]
    assert (after.objective.started, after.objective.after) == (1, STEPS)


def test_several_terms_are_recorded_beside_the_loss() -> None:
    loop, _ = make(fresh(), Drawing())
    for step in range(4):
        figures = loop.step(Views(step))
        ramp = min(1.0, step / 5)
        expected = figures["target"] + ramp * figures["distance"]
        assert float(figures["loss"].detach()) == pytest.approx(float(expected.detach()), rel=1e-6)
    assert set(loop._record()["train"]) == {"loss", "target", "distance"}


def test_networks_run_under_autocast_where_that_is_asked_for() -> None:
    seen = []

    class Watching(Small):
        def forward(self, x: torch.Tensor, n_frames: torch.Tensor | None = None) -> SedOutput:
            seen.append(self.conv(x[:, None]).dtype)
            return super().forward(x, n_frames)

    for dtype in (torch.float32, torch.bfloat16):
        loop, _ = make(Watching(), dtype=dtype)
        assert loop.step(Views(0))["loss"].dtype == torch.float32
    assert seen == [torch.float32, torch.bfloat16]


def test_a_loss_that_is_not_finite_ends_the_run() -> None:
    network = fresh()
    loop, kept = make(network, Exploding())
    with pytest.raises(SedkitError, match="not finite at step 3 or shortly before: lower optimiser.learning_rate"):
        loop.run()
    assert kept.saved == []


class Exploding(Objective):
    def loss(self, context: Context) -> dict[str, Term]:
        clipwise = context.forward()["weak"].clipwise
        return {"clip": Term(clipwise.sum() * (float("inf") if context.step == 1 else 1.0), 1)}
