"""The rules by which scores become events: one per class, read from and written to YAML.

A file (`postprocessing.yaml`) holds one mapping per class under `classes` and says above it how it came about:

    version: 0.1.0            # of sedkit
    labels: [Cat, Speech]     # class order
    decoder: threshold        # threshold | published | derivative | csebbs
    tuned_on: null            # {path, sha256, clips, scores, of: sets and folds} after `sedkit tune`
    objective: null
    value: null               # on the tuning set itself
    cross_validated: null     # the same with rules chosen on other clips
    grid: {}                  # values tried
    classes:
      Cat: {clip_threshold: 0.5, threshold: 0.5, low: 0.3, median_s: 0.45, merge_gap_s: 0.15, min_duration_s: 0.25}
      Speech: {threshold: 0.4}

Durations are in seconds, so a rule means the same on every time grid.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from sedkit import __version__
from sedkit.core.config import typed
from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_yaml, write_yaml


@dataclass(frozen=True)
class Rule:
    """What the rules of every decoder say of a class.

    Parameters
    ----------
    threshold
        What is greater than this is active: frame scores, rises of them (`SlopeRule`), confidences (`BoxRule`).
    clip_threshold
        Events are looked for only where the clip score is greater than this; None: everywhere.
    """

    threshold: float
    clip_threshold: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None and item.default is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                raise UsageError(f"{item.name} is {value!r}, expected a number")
            if item.name.endswith("_s") and value < 0:
                raise UsageError(f"{item.name} is {value:g}, expected seconds of at least 0")
            object.__setattr__(self, item.name, float(value))


@dataclass(frozen=True)
class FrameRule(Rule):
    """How the frame scores of one class become events (decoders `threshold` and `published`).

    What is done comes in this order: gate, rescaling, moving average, median, thresholds, gaps, short events.

    Parameters
    ----------
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

    low: float | None = None
    rescale_trim_s: float | None = None
    mean_s: float = 0.0
    median_s: float = 0.0
    merge_gap_s: float = 0.0
    min_duration_s: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low is not None and self.low > self.threshold:
            raise UsageError(f"low is {self.low:g}, expected at most the threshold {self.threshold:g}")


@dataclass(frozen=True)
class SlopeRule(FrameRule):
    """How what the scores of one class rise and fall becomes events (decoder `derivative`).

    An event begins where the scores rise by more than `threshold`, and ends where they rise by less than `low`, a
    negative number: where they fall; None: by the threshold.

    Parameters
    ----------
    slope_s
        Over which time, seconds: from half of it before a frame to half of it after.
    """

    slope_s: float = 0.0


@dataclass(frozen=True)
class BoxRule(Rule):
    """How the frame scores of one class become sound event bounding boxes (decoder `csebbs`).

    Parameters
    ----------
    step_s
        Length of the step filter that finds changes, seconds.
    merge_abs, merge_rel
        Two boxes become one when the score between them falls by less than `merge_abs`, and by a factor of less than
        `merge_rel`, below the maximum of either; None: no condition (at least one is needed).
    """

    step_s: float = 0.48
    merge_abs: float | None = None
    merge_rel: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_s <= 0:
            raise UsageError(f"step_s is {self.step_s:g}, expected seconds above 0")
        if self.merge_abs is None and self.merge_rel is None:
            raise UsageError("neither merge_abs nor merge_rel is given, expected at least one of them")


#: Decoders that a rule file can name, and the kind of rule that each needs.
DECODERS: dict[str, type[Rule]] = {
    "threshold": FrameRule,
    "published": FrameRule,
    "derivative": SlopeRule,
    "csebbs": BoxRule,
}


@dataclass(frozen=True)
class Postprocessing:
    """The rules of all classes and where they come from.

    Parameters
    ----------
    labels
        Class order.
    rules
        One rule per label, of the decoder's kind (`DECODERS`).
    decoder
        `threshold`: half-open frames, gaps and durations as `FrameRule` says. `published`: the double-threshold
        decoder of systems 001 and 002 as it was published. `derivative`: from where scores rise to where they fall.
        `csebbs`: change-detection-based bounding boxes.
    tuned_on
        What the rules were chosen on: path, sha256, clips, `of` (sets and folds); None when they were not tuned.
    objective, value, cross_validated, grid
        What was maximised; the value reached on that set; the value when each part of the set is decoded with rules
        chosen on the other parts, which is the honest one; the values tried.
    """

    labels: tuple[str, ...]
    rules: tuple[Rule, ...]
    decoder: str = "threshold"
    tuned_on: Mapping[str, Any] | None = None
    objective: str | None = None
    value: float | None = None
    cross_validated: float | None = None
    grid: Mapping[str, Any] = field(default_factory=dict)
    source: str = "post-processing"

    def __post_init__(self) -> None:
        kind = _kind_of(self.decoder, self.source)
        if len(self.labels) != len(self.rules):
            raise SedkitError(f"{self.source}: {len(self.rules)} rules for {len(self.labels)} classes")
        for label, rule in zip(self.labels, self.rules, strict=True):
            if not isinstance(rule, kind):
                raise SedkitError(f"{self.source}: {label}: the decoder {self.decoder} needs a {kind.__name__}")

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of what the rules were chosen on (see `core.facts`)."""
        places = (self.tuned_on or {}).get("of")
        return {"tuned": places} if places else {}

    @classmethod
    def uniform(cls, labels: Sequence[str], rule: Rule, decoder: str = "threshold") -> Postprocessing:
        """Return the same rule for every class."""
        return cls(tuple(labels), (rule,) * len(labels), decoder)

    def rule(self, label: str) -> Rule:
        """Return the rule of one class."""
        return self.rules[self.labels.index(label)]

    def column(self, name: str) -> np.ndarray:
        """Return a number of every rule, (classes,) float64; NaN where a rule has none."""
        values = (getattr(rule, name, None) for rule in self.rules)
        return np.array([np.nan if value is None else value for value in values], np.float64)

    def with_rules(self, rules: Sequence[Rule]) -> Postprocessing:
        """Return the same post-processing with other rules, in the order of the labels."""
        return replace(self, rules=tuple(rules))

    def changed(self, **numbers: float | None) -> Postprocessing:
        """Return the same post-processing with other numbers in all rules."""
        return self.with_rules([replace(rule, **numbers) for rule in self.rules])

    def over(self, labels: Sequence[str]) -> Postprocessing:
        """Return the rules in the order of `labels`, which must be the same classes."""
        missing = [x for x in labels if x not in self.labels]
        added = [x for x in self.labels if x not in labels]
        if missing or added:
            raise SedkitError(
                f"{self.source}: rules for other classes than the scores have "
                f"(no rule for: {listed(missing) or 'none'}; no scores for: {listed(added) or 'none'})"
            )
        return replace(self, labels=tuple(labels), rules=tuple(self.rule(x) for x in labels))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as it stands in a file."""
        return {
            "version": __version__,
            "labels": list(self.labels),
            **{key: getattr(self, key) for key in _TOLD},
            "classes": {
                label: {key: value for key, value in asdict(rule).items() if value is not None}
                for label, rule in zip(self.labels, self.rules, strict=True)
            },
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the rules as YAML, whole or not at all."""
        write_yaml(path, self.as_dict())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Postprocessing:
        """Read rules from YAML.

        Raises
        ------
        SedkitError
            An unknown or missing key, a value that is no number or out of range, a class without a rule; the
            message names file, class and key.
        """
        return cls.from_dict(read_yaml(path), str(path))

    @classmethod
    def from_dict(cls, raw: dict[str, Any], path: str) -> Postprocessing:
        """Take rules from plain data (`as_dict`) that stand in a file; refused as `read` does."""
        file = typed(raw, _RuleFile, path)
        labels = tuple(file.labels or file.classes)
        if not labels or sorted(labels) != sorted(file.classes):
            raise UsageError(
                f"{path}: labels are {listed(labels)}, but classes holds rules for {listed(file.classes) or 'none'}"
            )
        kind = _kind_of(file.decoder, path)
        rules = tuple(typed(file.classes[label], kind, f"{path}: {label}") for label in labels)
        # As they stand there: of texts such as a hash of digits only, a typed section makes numbers.
        told = {key: raw[key] for key in _TOLD if raw.get(key) is not None}
        return cls(labels, rules, source=path, **told)


#: What a file says above its rules, besides version and class order.
_TOLD = ("decoder", "tuned_on", "objective", "value", "cross_validated", "grid")


@dataclass(frozen=True)
class _RuleFile:
    """The keys of a file of rules."""

    decoder: str
    classes: dict[str, dict[str, Any] | None]
    version: str = ""
    labels: list[str] | None = None
    tuned_on: dict[str, Any] | None = None
    objective: str | None = None
    value: float | None = None
    cross_validated: float | None = None
    grid: dict[str, Any] | None = None


def _kind_of(decoder: str, where: str) -> type[Rule]:
    if decoder not in DECODERS:
        raise UsageError(
            f"{where}: decoder is {decoder!r}{suggest(decoder, DECODERS)}, expected one of {listed(DECODERS)}"
        )
    return DECODERS[decoder]
