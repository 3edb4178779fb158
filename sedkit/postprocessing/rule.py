"""The rule by which the scores of one class become events, for each family of decoders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from sedkit.core.errors import SedkitError


@dataclass(frozen=True)
class FrameRule:
    """How the frame scores of one class become events (decoders `threshold` and `published`).

    Parameters
    ----------
    threshold
        A frame is active where its score is greater than this.
    clip_threshold
        Events are looked for only where the clip score is greater than this; None: everywhere.
    low
        Second threshold: an event reaches as far as the scores stay at or above it; None: no second threshold.
    median_s
        Length of the median filter run over the scores, seconds (the nearest odd number of frames; 0: none).
    merge_gap_s
        Events of the class with a gap of at most this between them become one, seconds.
    min_duration_s
        `threshold`: shorter events are dropped; `published`: events that are not longer are dropped. Seconds.
    """

    threshold: float
    clip_threshold: float | None = None
    low: float | None = None
    median_s: float = 0.0
    merge_gap_s: float = 0.0
    min_duration_s: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(
            self, optional=("clip_threshold", "low"), durations=("median_s", "merge_gap_s", "min_duration_s")
        )
        if self.low is not None and self.low > self.threshold:
            raise SedkitError(f"low is {self.low:g}, expected at most the threshold {self.threshold:g}")


@dataclass(frozen=True)
class BoxRule:
    """How the frame scores of one class become sound event bounding boxes (decoder `csebbs`).

    Parameters
    ----------
    threshold
        Boxes with a confidence greater than this are events.
    clip_threshold
        As in `FrameRule`.
    step_s
        Length of the step filter that finds changes, seconds.
    merge_abs, merge_rel
        Two boxes become one when the score between them falls by less than `merge_abs`, and by a factor of less than
        `merge_rel`, below the maximum of either; None: no condition (at least one is needed).
    """

    threshold: float
    clip_threshold: float | None = None
    step_s: float = 0.48
    merge_abs: float | None = None
    merge_rel: float | None = None

    def __post_init__(self) -> None:
        _check_numbers(self, optional=("clip_threshold", "merge_abs", "merge_rel"), durations=("step_s",))
        if self.step_s <= 0:
            raise SedkitError(f"step_s is {self.step_s:g}, expected seconds above 0")
        if self.merge_abs is None and self.merge_rel is None:
            raise SedkitError("neither merge_abs nor merge_rel is given, expected at least one of them")


Rule = FrameRule | BoxRule


def _check_numbers(rule: Rule, optional: Sequence[str], durations: Sequence[str]) -> None:
    for item in fields(rule):
        value = getattr(rule, item.name)
        if value is None and item.name in optional:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise SedkitError(f"{item.name} is {value!r}, expected a number")
        if item.name in durations and value < 0:
            raise SedkitError(f"{item.name} is {value:g}, expected seconds of at least 0")
        object.__setattr__(rule, item.name, float(value))


def rule_type(decoder: str) -> type[FrameRule] | type[BoxRule]:
    """Return the kind of rule that a decoder needs."""
    return BoxRule if decoder == "csebbs" else FrameRule
