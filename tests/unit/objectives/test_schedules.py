"""Factors over a run, judged by torch's schedulers and by hand."""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable

import pytest
import torch

from sedkit.core.errors import UsageError
from sedkit.objectives import schedules
from sedkit.objectives.schedules import build_schedule, resolve_schedule


def torchs(make: Callable[[torch.optim.Optimizer], torch.optim.lr_scheduler.LRScheduler], steps: int) -> list[float]:
    """Return the rate, of a base rate of 1, that a scheduler of torch gives to each step."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimiser)
    rates = []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return rates


def ours(section: dict[str, object], steps: int) -> list[float]:
    schedule = build_schedule(section)
    return [schedule(step / steps) for step in range(steps)]


@pytest.mark.parametrize(("steps", "every"), [(5000, 200), (400, 16), (10_000, 400), (25, 1), (75, 3), (175_000, 7000)])
def test_step_is_the_published_decay_at_every_step(steps: int, every: int) -> None:
    """0.9 ** (step // 200) over 5000 steps, to the bit, and the same run in fewer or more steps."""
    assert ours({"name": "step", "factor": 0.9, "every": 0.04}, steps) == [0.9 ** (s // every) for s in range(steps)]


@pytest.mark.parametrize("every", [1 / 3, 0.1, 0.3, 1 / 7, 1.0])
def test_step_against_torch(every: float) -> None:
    steps = 210
    expected = torchs(lambda o: torch.optim.lr_scheduler.StepLR(o, round(every * steps), 0.5), steps)
    assert ours({"name": "step", "factor": 0.5, "every": every}, steps) == pytest.approx(expected, rel=1e-12)


def test_constant() -> None:
    assert ours({"name": "constant"}, 5) == [1.0] * 5


@pytest.mark.parametrize("steps", [10, 30, 100, 700])
def test_piecewise_against_torch(steps: int) -> None:
    """The rates of a system that runs 6, 4 and 0 of 10 epochs at 1e-3, 1e-4 and 1e-6, and of one more piece."""
    expected = torchs(
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [round(0.3 * steps), round(0.6 * steps)], 0.1), steps
    )
    section = {"name": "piecewise", "factors": [1.0, 0.1, 0.01], "at": [0.3, 0.6]}
    assert ours(section, steps) == pytest.approx(expected, rel=1e-12)


def test_cosine_against_torch() -> None:
    expected = torchs(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 90, eta_min=0.1), 90)
    assert ours({"name": "cosine", "last": 0.1}, 90) == pytest.approx(expected, rel=1e-9)
    assert build_schedule({"name": "cosine"})(1.0) == 0.0


def test_a_quarter_of_a_cosine_from_a_share_on_by_hand() -> None:
    schedule = build_schedule({"name": "cosine", "begin": 0.5, "shape": "quarter", "last": 0.1})
    fallen = [schedule(share) for share in (0.0, 0.5, 0.75, 1.0)]
    assert fallen == pytest.approx([1.0, 1.0, 0.1 + 0.9 * math.sqrt(0.5), 0.1])
    with pytest.raises(UsageError, match="begin 1"):
        build_schedule({"name": "cosine", "begin": 1.0})


def test_exponential_ramp_by_hand() -> None:
    """exp(-5 (1 - x)^2): the consistency weight of mean-teacher systems at 0, half way, and from the end on."""
    ramp = build_schedule({"name": "ramp", "until": 0.5})
    shares = [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [ramp(share) for share in shares] == pytest.approx([0.0067379, 0.2865048, 1.0, 1.0, 1.0], abs=1e-7)
    # 50 of 200 epochs of 118 steps, as the baseline of 2021 counts them.
    steps, warm = 200 * 118, 50 * 118
    expected = [math.exp(-5 * (1 - min(s, warm) / warm) ** 2) for s in range(steps)]
    assert ours({"name": "ramp", "until": 0.25}, steps) == pytest.approx(expected, rel=1e-12)


def test_warm_up_and_cosine_against_torch() -> None:
    def both(optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        warm = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: step / 20)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 180)
        return torch.optim.lr_scheduler.SequentialLR(optimiser, [warm, cosine], [20])

    section = {"name": "ramp", "shape": "linear", "until": 0.1, "then": {"name": "cosine"}}
    assert ours(section, 200) == pytest.approx(torchs(both, 200), abs=1e-9)


def test_ramp_then_decay() -> None:
    """What follows a ramp counts from its end: 100 steps of ramp, then a decay each tenth of the 300 that are left."""
    section = {"name": "ramp", "until": 0.25, "then": {"name": "step", "factor": 0.5, "every": 0.1}}
    factors = ours(section, 400)
    assert factors[100:] == [0.5 ** (step // 30) for step in range(300)]
    assert factors[:100] == pytest.approx([math.exp(-5 * (1 - step / 100) ** 2) for step in range(100)])


def test_a_ramp_over_the_whole_run() -> None:
    assert ours({"name": "ramp", "until": 1.0, "shape": "linear"}, 4) == [0.0, 0.25, 0.5, 0.75]
    assert build_schedule({"name": "ramp", "until": 1.0})(1.0) == 1.0


def test_options_are_filled_in_to_the_last() -> None:
    section = {"name": "ramp", "until": 0.1, "then": {"name": "step"}}
    assert resolve_schedule(section) == {
        "name": "ramp",
        "until": 0.1,
        "shape": "exponential",
        "then": {"name": "step", "factor": 0.9, "every": 0.04},
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "stepp"}, 'did you mean "step"'),
        ({"name": "step", "evry": 1}, "schedule: unknown key 'evry'.*did you mean \"every\""),
        ({"name": "step", "every": 200}, "every is 200.*share of the run"),
        ({"name": "step", "factor": 0.0}, "factor is 0.0, expected above 0"),
        ({"name": "piecewise", "factors": [1.0], "at": [0.5]}, "got 1 factors and 1 changes"),
        ({"name": "piecewise", "factors": [1.0, 0.1, 0.0], "at": [0.5, 0.2]}, "rising shares"),
        ({"name": "piecewise", "factors": [1.0, 0.1], "at": [1000]}, "rising shares"),
        ({"name": "piecewise", "factors": [1.0, -0.1], "at": [0.5]}, "none below 0"),
        ({"name": "cosine", "last": 2.0}, "last is 2.0"),
        ({"name": "ramp"}, "key 'until' is missing"),
        ({"name": "ramp", "until": 0.0}, "until is 0.0"),
        ({"name": "ramp", "until": 0.5, "shape": "cubic"}, "shape"),
        ({"name": "ramp", "until": 0.5, "then": {"name": "stepp"}}, 'did you mean "step"'),
        ({"name": "ramp", "until": 0.5, "then": {"name": "step", "every": 2.0}}, "every is 2.0"),
    ],
)
def test_refusals(section: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_schedule(section)


def test_a_new_schedule_is_one_registration(monkeypatch: pytest.MonkeyPatch) -> None:
    schedules.resolve_schedule({"name": "constant"})
    monkeypatch.setattr(schedules._SCHEDULES, "_entries", dict(schedules._SCHEDULES._entries))
    module = types.ModuleType("sawtooth")
    monkeypatch.setitem(sys.modules, "sawtooth", module)
    exec(
        "from dataclasses import dataclass\n"
        "from sedkit.objectives.schedules import register\n"
        "@dataclass(frozen=True)\n"
        "class Options:\n"
        "    teeth: int = 2\n"
        "@register('sawtooth', Options)\n"
        "def build(options):\n"
        "    return lambda share: 1 - share * options.teeth % 1\n",
        module.__dict__,
    )
    assert ours({"name": "sawtooth", "teeth": 2}, 4) == [1.0, 0.5, 1.0, 0.5]
    warm = {"name": "ramp", "until": 0.2, "then": {"name": "sawtooth"}}
    assert build_schedule(warm)(0.2) == 1.0
