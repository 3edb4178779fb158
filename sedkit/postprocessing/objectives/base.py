"""What every objective of `sedkit tune` offers: what it needs, how it searches, and what rules are worth by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.registry import Registry
from sedkit.dataio.events import Events, Tags
from sedkit.postprocessing.rules import Postprocessing

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


@dataclass(frozen=True)
class Problem:
    """Scores and what is true of them.

    Attributes
    ----------
    scores
        Of the tuning set.
    tags
        Which classes its clips hold.
    events
        Its events, of the clips and classes of the scores; None where only tags are known.
    start
        The rules that the search starts from.
    fold
        (clips,) int64, the fold of cross-validation that each clip is in.
    gate
        Clips and classes in which events are looked for.
    """

    scores: Scores
    tags: Tags
    events: Events | None
    start: Postprocessing
    fold: np.ndarray
    gate: Tags

    @property
    def truth(self) -> Events:
        """The events, which objectives that need them are given."""
        assert self.events is not None
        return self.events


@dataclass(frozen=True)
class Solution:
    """What a search came to: the rules, the value with rules chosen on other clips, and the values tried."""

    rules: Postprocessing
    cross_validated: float
    grid: dict[str, Any]


@dataclass(frozen=True)
class Objective:
    """A way to choose rules.

    Attributes
    ----------
    search
        Returns the best rules for a problem.
    value
        Returns what rules reach on the very clips of a problem.
    needs_events
        Whether a table of tags does not serve.
    gated
        Whether it chooses rules that work behind the clip gate, as all but the gate's own do.
    joins_overlaps
        Whether reference events of one class that overlap count as one.
    """

    search: Callable[[Problem], Solution]
    value: Callable[[Problem, Postprocessing], float]
    needs_events: bool = True
    gated: bool = True
    joins_overlaps: bool = False


@dataclass(frozen=True)
class NoOptions:
    """Objectives have no options: the rules of a start say what there is to choose."""


_OBJECTIVES: Registry[Callable[[Any], Objective]] = Registry("sedkit.postprocessing.objectives", "objective")

objective_names = _OBJECTIVES.names
#: Returns the objective of a section that holds its name; raises UsageError.
build_objective: Callable[[dict[str, Any]], Objective] = _OBJECTIVES.build


def register(name: str, objective: Objective) -> None:
    """Register an objective under a name."""
    _OBJECTIVES.register(name, NoOptions)(lambda _: objective)
