"""The rule by which the scores of one class become events, for each family of decoders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

from sedkit.core.errors import SedkitError


@dataclass(frozen=True)
class FrameRule:
    """How the frame scores of one class become events (decoders `threshold` and `published`).

    What is done comes in this order: gate, rescaling, moving average, median, thresholds, gaps, short events.

    Parameters
    ----------
    threshold
        A frame is active where its score is greater than this.
    clip_threshold
        Events are looked for only where the clip score is greater than this; None: everywhere.
    low
        Second threshold: an event reaches as far as the scores stay at or above it; None: no second threshold.
    rescale_trim_s
        The scores of a clip are stretched to the range from 0 to 1 first; this much of it at each end, seconds, has no
        say in the range. None: scores stay as they are.
    mean_s
        Length of the moving average over the scores, seconds (the nearest odd number of frames; 0: none).
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
    rescale_trim_s: float | None = None
    mean_s: float = 0.0
    median_s: float = 0.0
    merge_gap_s: float = 0.0
    min_duration_s: float = 0.0

    def __post_init__(self) -> None:
        _check_numbers(
            self,
            optional=("clip_threshold", "low", "rescale_trim_s"),
            durations=[item.name for item in fields(self) if item.name.endswith("_s")],
        )
        if self.low is not None and self.low > self.threshold:
            raise SedkitError(f"low is {self.low:g}, expected at most the threshold {self.threshold:g}")


@dataclass(frozen=True)
class SlopeRule(FrameRule):
    """How what the scores of one class rise and fall becomes events (decoder `derivative`).

    Parameters
    ----------
    threshold
        An event begins where the scores rise by more than this.
    low
        It ends where they rise by less than this, a negative number: where they fall; None: by the threshold.
    slope_s
        Over which time, seconds: from half of it before a frame to half of it after.
    """

    slope_s: float = 0.0


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


#: Decoders that a rule file can name, and the kind of rule that each needs.
DECODERS: dict[str, type[FrameRule] | type[BoxRule]] = {
    "threshold": FrameRule,
    "published": FrameRule,
    "derivative": SlopeRule,
    "csebbs": BoxRule,
}
