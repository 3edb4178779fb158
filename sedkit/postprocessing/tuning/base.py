"""What every objective of `sedkit tune` offers: what it needs, how it searches, and what rules are worth by it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.registry import NoOptions, Registry
from sedkit.dataio.events import Events, Tags
from sedkit.postprocessing import grids
from sedkit.postprocessing.rules import Postprocessing

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

MEDIANS_S = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
#: The grid of the cSEBBs paper: step filter lengths, and absolute or relative merge thresholds.
STEPS_S = (0.32, 0.48, 0.64)
MERGES = ((0.15, None), (0.2, None), (0.3, None), (None, 1.5), (None, 2.0), (None, 3.0))


@dataclass(frozen=True)
class Problem:
    """Scores of the tuning set and what is true of them: the `tags` of its clips and, where known, their `events`.

    `start` are the rules that the search starts from, `fold` (clips,) the fold of cross-validation that each clip is
    in, `gate` the clips and classes in which events are looked for.
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

    @cached_property
    def durations_s(self) -> dict[str, float]:
        """How long each clip lasts, seconds."""
        return dict(zip(self.scores.filenames, self.scores.duration_s.tolist(), strict=True))

    @property
    def settings(self) -> list[dict[str, Any]]:
        """What searches try instead of the start's: median windows, of boxes step filters and mergings.

        Windows of as many frames on all of the scores' grids are one.
        """
        if self.start.decoder == "csebbs":
            merges = [{"merge_abs": least, "merge_rel": ratio} for least, ratio in MERGES]
            return [{"step_s": step} | merge for step in STEPS_S for merge in merges]
        half = [grids.half_window(np.array(MEDIANS_S), rate) for rate in np.unique(grids.frame_rates_hz(self.scores))]
        _, first = np.unique(np.stack(half), axis=1, return_index=True)
        return [{"median_s": MEDIANS_S[k]} for k in np.sort(first)]


def grid_of(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the values that settings try, as they stand in a file of rules."""
    return {
        key: list(dict.fromkeys(setting[key] for setting in settings if setting[key] is not None))
        for key in settings[0]
    }


class RuleSearch(ABC):
    """A way to choose rules.

    `needs_events`: a table of tags does not serve. `gated`: it chooses rules that work behind the clip gate, as all but
    the gate's own do. `joins_overlaps`: reference events of one class that overlap count as one.
    """

    needs_events = True
    gated = True
    joins_overlaps = False

    @abstractmethod
    def search(self, problem: Problem) -> Postprocessing:
        """Return the best rules for a problem, with their cross-validated value and the values tried."""

    @abstractmethod
    def value(self, problem: Problem, rules: Postprocessing) -> float:
        """Return what rules reach on the very clips of a problem."""


_SEARCHES: Registry[Callable[[NoOptions], RuleSearch]] = Registry("sedkit.postprocessing.tuning", "objective")

objective_names = _SEARCHES.names
#: Returns the search of a section that holds an objective's name; raises UsageError.
build_objective: Callable[[dict[str, Any]], RuleSearch] = _SEARCHES.build


def register(name: str, search: RuleSearch) -> None:
    """Register what chooses rules for an objective; it has no options: a start's rules say what there is to choose."""
    _SEARCHES.register(name, NoOptions)(lambda _: search)
