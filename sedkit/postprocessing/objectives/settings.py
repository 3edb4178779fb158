"""Settings that several searches try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.postprocessing import grids
from sedkit.postprocessing.rules import BoxRule, Rule

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores

MEDIANS_S = (0.0, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
#: The grid of the cSEBBs paper: step filter lengths, and absolute or relative merge thresholds.
STEPS_S = (0.32, 0.48, 0.64)
MERGES = ((0.15, None), (0.2, None), (0.3, None), (None, 1.5), (None, 2.0), (None, 3.0))


def windows_s(scores: Scores) -> list[float]:
    """Return those median windows that differ in frames on any of the scores' grids, seconds."""
    rates = np.unique(grids.frame_rates_hz(scores))
    windows: dict[tuple[int, ...], float] = {}
    for window in MEDIANS_S:
        windows.setdefault(tuple(int(grids.half_window(np.array([window]), rate)[0]) for rate in rates), window)
    return list(windows.values())


def box_settings() -> list[tuple[float, float | None, float | None]]:
    """Return every step filter with every merging."""
    return [(step, *merge) for step in STEPS_S for merge in MERGES]


def with_box(start: Rule, setting: tuple[float, float | None, float | None], threshold: float) -> BoxRule:
    """Return the rule of a setting behind the gate of `start`."""
    return BoxRule(threshold, start.clip_threshold, *setting)


def box_grid() -> dict[str, list[Any]]:
    """Return the values tried, as they stand in a file."""
    absolute, relative = zip(*MERGES, strict=True)
    return {
        "step_s": list(STEPS_S),
        "merge_abs": [limit for limit in absolute if limit is not None],
        "merge_rel": [limit for limit in relative if limit is not None],
    }
