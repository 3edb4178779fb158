"""Schedules by name: a factor that changes over a run, of the learning rate or of a term's weight.

Times are shares of the run (0 to 1), so that a longer run is the same one stretched. A module of this folder registers
its own with `@register`; nothing else has to change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from sedkit.core.errors import UsageError
from sedkit.core.registry import Registry

#: From the share of the run that is done to a factor.
Schedule = Callable[[float], float]

_SCHEDULES: Registry[Callable[[Any], Schedule]] = Registry("sedkit.objectives", "schedule")

#: `@register(name, options)` of `builder(options) -> Schedule`; `options` is its dataclass.
register = _SCHEDULES.register
resolve_schedule = _SCHEDULES.resolve
#: Builds a schedule from a section of its name and options; raises UsageError.
build_schedule: Callable[[dict[str, Any]], Schedule] = _SCHEDULES.build

#: Shares are quotients of whole numbers of steps: one that misses a boundary by less than this has reached it.
_DUST = 1e-9


@dataclass(frozen=True)
class ConstantOptions:
    """A constant factor of 1 has no options."""


@register("constant", ConstantOptions)
def _constant(options: ConstantOptions) -> Schedule:
    return lambda share: 1.0


@dataclass(frozen=True)
class StepOptions:
    """The factor is `factor` ** floor(share / `every`)."""

    factor: float = 0.9
    every: float = 0.04

    def __post_init__(self) -> None:
        if not self.factor > 0:
            raise UsageError(f"factor is {self.factor}, expected above 0")
        if not 0 < self.every <= 1:
            raise UsageError(f"every is {self.every}, expected a share of the run above 0, up to 1")


@register("step", StepOptions)
def _step(options: StepOptions) -> Schedule:
    return lambda share: options.factor ** math.floor(share / options.every + _DUST)


@dataclass(frozen=True)
class PiecewiseOptions:
    """`factors` in turn, changed at the shares `at`: one factor more than shares."""

    factors: list[float]
    at: list[float]

    def __post_init__(self) -> None:
        if len(self.factors) != len(self.at) + 1:
            raise UsageError(f"got {len(self.factors)} factors and {len(self.at)} changes, expected one factor more")
        if self.at != sorted(self.at) or not all(0 < share < 1 for share in self.at):
            raise UsageError(f"at is {self.at}, expected rising shares of the run between 0 and 1")
        if not all(factor >= 0 for factor in self.factors):
            raise UsageError(f"factors is {self.factors}, expected none below 0")


@register("piecewise", PiecewiseOptions)
def _piecewise(options: PiecewiseOptions) -> Schedule:
    return lambda share: options.factors[sum(share >= at - _DUST for at in options.at)]


@dataclass(frozen=True)
class CosineOptions:
    """A cosine from 1 down to `last` at the end of the run.

    Attributes
    ----------
    last
        See above.
    begin
        Share of the run up to which it is 1.
    shape
        `half` of a period, or a `quarter`, which is steepest at the end.
    """

    last: float = 0.0
    begin: float = 0.0
    shape: Literal["half", "quarter"] = "half"

    def __post_init__(self) -> None:
        if not 0 <= self.last <= 1 or not 0 <= self.begin < 1:
            raise UsageError(f"last is {self.last} and begin {self.begin}, expected 0 to 1, begin below 1")


@register("cosine", CosineOptions)
def _cosine(options: CosineOptions) -> Schedule:
    def factor(share: float) -> float:
        x = min(max(share - options.begin, 0.0) / (1 - options.begin), 1.0)
        fallen = (1 + math.cos(math.pi * x)) / 2 if options.shape == "half" else math.cos(math.pi / 2 * x)
        return options.last + (1 - options.last) * fallen

    return factor


@dataclass(frozen=True)
class RampOptions:
    """Up to 1 by the share `until`, then another schedule (a warm-up is a ramp before it).

    Attributes
    ----------
    until
        Where 1 is reached.
    shape
        With x = share / `until`: `exponential` exp(-5 (1 - x)^2) (Laine & Aila 2017), or `linear` x.
    then
        A schedule of what is left of the run: its shares count from `until` (0) to the end (1).
    """

    until: float
    shape: Literal["exponential", "linear"] = "exponential"
    then: dict[str, Any] = field(default_factory=lambda: {"name": "constant"})

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            raise UsageError(f"until is {self.until}, expected a share of the run above 0, up to 1")
        object.__setattr__(self, "then", resolve_schedule(self.then))


@register("ramp", RampOptions)
def _ramp(options: RampOptions) -> Schedule:
    then = build_schedule(options.then)

    def factor(share: float) -> float:
        x = share / options.until
        if x < 1 - _DUST:
            return x if options.shape == "linear" else math.exp(-5.0 * (1.0 - x) ** 2)
        rest = 1.0 - options.until
        return then((share - options.until) / rest if rest else 0.0)

    return factor
