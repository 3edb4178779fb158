"""What a metric is given: a reference, a system's output, and how to score."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.log import log
from sedkit.dataio.events import Events, Tags
from sedkit.evaluation.counts import Undefined

if TYPE_CHECKING:
    from sedkit.core.vocabulary import Vocabulary
    from sedkit.dataio.scores import Scores
    from sedkit.features.frontends import FrontEnd
    from sedkit.synthesis.mixture_set import Mixtures

#: The forms of an output, by their names in `Output`.
Form = Literal["estimate", "points", "scores", "masks"]


@dataclass(frozen=True)
class OperatingPoints:
    """Tables at rising thresholds: `thresholds[i]` made `tables[i]`."""

    path: str
    thresholds: tuple[float, ...]
    tables: tuple[Events, ...]

    def at(self, threshold: float) -> Events:
        """Return the table of a threshold; raises UsageError naming the nearest one where there is none."""
        near, table = min(zip(self.thresholds, self.tables, strict=True), key=lambda pair: abs(pair[0] - threshold))
        if abs(near - threshold) >= 1e-9:
            raise UsageError(
                f"--threshold {threshold:g}: no such operating point in {self.path}, the nearest is {near:g}"
            )
        return table


class Masks(Protocol):
    """What gives the masks of a recording: a network, or one that stands for it."""

    @property
    def labels(self) -> Vocabulary:
        """Return the classes."""

    @property
    def frontend(self) -> FrontEnd:
        """Return the front end, whose frames and bins the masks have."""

    @property
    def run(self) -> Mapping[str, Any]:
        """Return where the network comes from and, under `saw`, what it was trained and selected on."""

    def of(self, waveform: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return clip scores (classes,) and masks (classes, frames, bins), in [0, 1], of a waveform (samples,)."""


@dataclass(frozen=True)
class Output:
    """What a system put out: a table, tables at several thresholds, scores; or what gives the masks of a recording."""

    estimate: Events | None = None
    points: OperatingPoints | None = None
    scores: Scores | None = None
    masks: Masks | None = None

    def changed(self, change: Callable[[Events], Events]) -> Output:
        """Return the output with every table of it changed."""
        return replace(
            self,
            estimate=None if self.estimate is None else change(self.estimate),
            points=None if self.points is None else replace(self.points, tables=tuple(map(change, self.points.tables))),
        )

    def at(self, threshold: Any) -> Output:
        """Return the output with the table of a threshold, where it is a number and there is no table."""
        if not isinstance(threshold, float) or self.estimate is not None or self.points is None:
            return self
        return replace(self, estimate=self.points.at(threshold))


@dataclass(frozen=True)
class Truth:
    """What it is scored against: events (None for a weak reference), tags, durations in seconds.

    `durations` are those of clips, `recordings` those of the recordings that the clips are excerpts of. `mixtures` are
    the clips again, with the sounds that they are made of.
    """

    events: Events | None
    tags: Tags
    durations: Mapping[str, float] | None = None
    recordings: Mapping[str, float] = field(default_factory=dict)
    mixtures: Mixtures | None = None


@dataclass(frozen=True)
class Options:
    """How to score; the defaults are the challenge's.

    `settings` are values of the options that metrics declare, by name (`collar`, `psds_variant`).
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    undefined: Undefined = "official"
    overlaps: Literal["refuse", "merge"] = "refuse"


class Work:
    """A truth and an output with what several metrics need of them, made once."""

    def __init__(self, truth: Truth, output: Output, options: Options) -> None:
        self.truth, self.output, self.options = truth, output, options
        self._made: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` gives, made for the first metric that asks for `key` and shared with the others."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    @property
    def events(self) -> Events:
        """The reference's events."""
        if self.truth.events is None:
            raise SedkitError("the reference is a weak table, expected events with onset and offset")
        return self.truth.events

    def given(self, form: Form) -> Any:
        """Return a form of the output that must be there."""
        value = getattr(self.output, form)
        if value is None:
            raise SedkitError("an input of this metric is missing")
        return value

    @cached_property
    def pair(self) -> tuple[Events, Events]:
        """Reference and estimate on the same clips and classes."""
        return align(self.events, self.given("estimate"))

    def joined(self, *tables: Events) -> list[Events]:
        """Join overlapping events of one class where `--overlaps merge` asks for it; else return the tables."""
        if self.options.overlaps == "refuse":
            return list(tables)
        from sedkit.evaluation.overlaps import merge_overlaps

        out = []
        for table in tables:
            merged, n = merge_overlaps(table)
            if n:
                log.info("%s: %d events joined with one of their class that they overlap", table.source, n)
            out.append(merged)
        return out


def occurring(*tables: Events) -> tuple[str, ...]:
    """Return the classes that occur in any of the tables: in the first table's order, then the others'."""
    present = {table.labels[i] for table in tables for i in np.unique(table.label)}
    return tuple(dict.fromkeys(label for table in tables for label in table.labels if label in present))


def align(reference: Events, estimate: Events) -> tuple[Events, Events]:
    """Give two tables the reference's clips and the union of the classes that occur, as the challenge scripts do.

    Clips outside the reference leave the estimate; clips that the estimate does not list come without events.
    """
    labels = occurring(reference, estimate)
    return reference.keep_labels(labels), estimate.keep_clips(reference.filenames).keep_labels(labels)
