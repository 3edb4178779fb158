"""The sections of a configuration that decide what a training gives. Importable without torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sedkit.core.config import typed
from sedkit.core.errors import UsageError

#: Folds that nothing is trained on.
HELD_OUT = ("select", "tune")


@dataclass(frozen=True)
class RunSettings:
    """The section `run`: what tells a run from others of its system, beside seed and training sets.

    Attributes
    ----------
    fold
        Of a cross-validation, the one that is held out.
    snr_db
        Level of the events in mixtures, dB.
    """

    fold: str | int | None = None
    snr_db: float | None = None


@dataclass(frozen=True)
class WindowSettings:
    """Windows of recordings in place of whole clips.

    Attributes
    ----------
    length_s, hop_s
        Seconds of a window and from window to window; by default side by side.
    silence_db
        Leave out windows this far below the loudest one of their recording (padding); 0 keeps all.
    """

    length_s: float
    hop_s: float | None = None
    silence_db: float = 0.0

    def __post_init__(self) -> None:
        for name in ("length_s", "hop_s"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UsageError(f"window.{name} is {getattr(self, name)}, expected above 0")
        if not self.silence_db >= 0:
            raise UsageError(f"window.silence_db is {self.silence_db}, expected at least 0")


@dataclass(frozen=True)
class LabelSettings:
    """What is known of a window.

    Attributes
    ----------
    target
        `clip`: classes; `frame`: events on the frames of the features; `tiled`: the clip's classes on each frame (false
        strong labels); `none`: nothing.
    map
        Which categories of the set stand for which class: a map in `metadata/maps` or a file. None: the set has the
        classes of the first stream, or more, which are left out.
    others
        Of a set with tags: keep clips that hold none of the classes, as examples of nothing.
    least_s
        Of a set with events: a class is present where one of its events covers more than this much of the window
        (seconds), or more than half of itself.
    source
        Another table of tags or events in place of the data dir's own, such as pseudo labels.
    overlaps
        Of soft labels, what a frame has where several of a class meet in it: the greatest (`max`), or that which stands
        last (`last`, published in 2024), so that announcements nobody heard silence the people talking beside them.
    """

    target: Literal["clip", "frame", "tiled", "none"] = "clip"
    map: str | None = None
    others: bool = True
    least_s: float = 0.0
    source: str | None = None
    overlaps: Literal["max", "last"] = "max"

    def __post_init__(self) -> None:
        if not self.least_s >= 0:
            raise UsageError(f"labels.least_s is {self.least_s}, expected at least 0")


@dataclass(frozen=True)
class StreamSettings:
    """One stream: windows of a set, and how they are used.

    Attributes
    ----------
    set
        Name of the data dir.
    folds
        Folds to take; none: `train` (of a set without folds, all). `--train-on all` takes the whole set in any case.
    window
        None takes each clip whole, at the front end's clip length.
    labels
        What is known of them.
    source
        `features`: of the data dir; `waveforms`: its recordings, with the front end run on what is cut out of them;
        `mixtures`: its recordings mixed into scenes as the section `mix` says, anew each time that all were seen.
    augment
        Steps by name with their options, in this order (`sedkit.features.augment`).
    views
        Further steps that make another view of the same windows, by name: a teacher's, say.
    share
        Share of the batch, relative to the other streams.
    train_on
        Leave the stream out of runs that train on anything else; None keeps it in all.
    """

    set: str
    folds: list[str] | None = None
    window: WindowSettings | None = None
    labels: LabelSettings = field(default_factory=LabelSettings)
    source: Literal["features", "waveforms", "mixtures"] = "features"
    augment: dict[str, Any] = field(default_factory=dict)
    views: dict[str, Any] = field(default_factory=dict)
    share: float = 1.0
    train_on: Literal["split", "all", "all+validation"] | None = None

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise UsageError(f"share is {self.share}, expected above 0")


@dataclass(frozen=True)
class DataSettings:
    """The section `data`.

    Attributes
    ----------
    streams
        What is trained on, by name.
    select
        What the checkpoint is chosen on, by name; its shares mean nothing.
    draw
        Sets that are evaluated along the way for the curves alone; one that is not there is left out.
    draw_clips
        At most this many clips of each of them, evenly spread.
    draw_figures
        Figures of them beside mean average precision (`sedkit.training.selection`), where they can be computed.
    held_out
        A fold of a cross-validation, with its parts (`1-select` is one of `1`): of sets with such folds `train` then
        means the other folds, and `select` the parts of that name of the others.
    classes
        The run's classes: a file with one a line, or the name of one in `metadata/classes`. Each set may then be
        annotated for some of them alone (`StreamBatch.class_mask`). None: the first stream's, which every set has.
    """

    streams: dict[str, StreamSettings] = field(default_factory=dict)
    select: dict[str, StreamSettings] = field(default_factory=dict)
    draw: list[str] = field(default_factory=list)
    draw_clips: int = 200
    draw_figures: list[str] = field(default_factory=list)
    held_out: str | None = None
    classes: str | None = None

    def of_run(self, train_on: str) -> Iterator[tuple[str, StreamSettings]]:
        """Yield the streams of a run that trains on this under their keys; what is selected on is there on a split."""
        for side in ("streams", "select") if train_on == "split" else ("streams",):
            for name, stream in getattr(self, side).items():
                if stream.train_on in (None, train_on):
                    yield f"data.{side}.{name}", stream


@dataclass(frozen=True)
class TrainingSettings:
    """The section `training`.

    Attributes
    ----------
    steps
        Optimiser steps; schedules are in shares of them.
    last_step
        Stop here, on the schedule of `steps`; None goes to the end.
    batch_size
        Windows that go through the network at once, over all streams.
    accumulate
        Batches of an optimiser step: its loss is that of the windows of all of them.
    freeze
        Patterns of the names of parameters that are not trained (`sedkit.training.groups.freeze`).
    clip_norm
        Cut the gradient's norm to this; 0 does not.
    eval_every, checkpoint_every
        Steps between evaluations, and between writes of `last.pt`.
    seed
        Of the initial weights, the order of the windows and their augmentation.
    device, precision
        `auto`, `cpu`, `cuda`; `auto` (bfloat16 where the hardware has it), `fp32`, `bf16`.
    resident
        Keep stored features that are trained on in the device's memory: all, none, or (None) what fits into half of a
        GPU's free memory. On a CPU a memory map is as fast, but for a slow disk.
    sync_batch_norm
        Of processes that train together: batch norms use the statistics of all their windows, not each its own.
    deterministic
        Ask torch for deterministic algorithms (a CUDA matter; on the CPU a run repeats itself anyway).
    weights
        File of weights to start from.
    train_on
        `split`, `all` (every fold) or `all+validation`.
    """

    steps: int = 5000
    last_step: int | None = None
    batch_size: int = 32
    accumulate: int = 1
    freeze: list[str] = field(default_factory=list)
    clip_norm: float = 0.0
    eval_every: int = 200
    checkpoint_every: int = 100
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    resident: bool | None = None
    sync_batch_norm: bool = False
    deterministic: bool = False
    weights: str | None = None
    train_on: Literal["split", "all", "all+validation"] = "split"

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "accumulate", "eval_every", "checkpoint_every")
        for name, low in (*((count, 1) for count in counts), ("seed", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least {low}")
        if self.last_step is not None and not 1 <= self.last_step <= self.steps:
            raise UsageError(f"last_step is {self.last_step}, expected 1 to steps = {self.steps}")
        if not self.clip_norm >= 0:
            raise UsageError(f"clip_norm is {self.clip_norm}, expected at least 0")


@dataclass(frozen=True)
class SelectionSettings:
    """The section `selection`: which checkpoint is the best one.

    Attributes
    ----------
    name
        `best`: the evaluation with the highest sum of figures; `last`: the last step, with or without `data.select`.
    network
        Whose figures they are, where the objective keeps several; None: those of the one that scores.
    figures
        Figure of each stream of `data.select` (`sedkit.training.selection`); none: mean average precision of the clips.
    postprocessing
        For figures of events: a threshold, a preset or a file, as `sedkit decode` takes it.
    """

    name: Literal["best", "last"] = "best"
    network: str | None = None
    figures: dict[str, str] = field(default_factory=dict)
    postprocessing: str = "0.5"


def data_settings(raw: dict[str, Any]) -> DataSettings:
    """Read the section `data`, naming the stream in a message about it."""
    plain = dict(raw)
    parts: dict[str, dict[str, StreamSettings]] = {}
    for key in ("streams", "select"):
        value = plain.pop(key, None) or {}
        if not isinstance(value, dict):
            raise UsageError(f"data.{key}: got {value!r}, expected a mapping of names to streams")
        parts[key] = {str(name): typed(stream, StreamSettings, f"data.{key}.{name}") for name, stream in value.items()}
    if not parts["streams"]:
        raise UsageError("data.streams is empty, expected at least one stream, such as weak: {set: weak}")
    return replace(typed(plain, DataSettings, "data"), **parts)


def features_read(raw: dict[str, Any] | None) -> list[str]:
    """Return the sets whose stored features the section `data` reads, each once; none without such a section."""
    if raw is None:
        return []
    settings = data_settings(raw)
    streams = [*settings.streams.values(), *settings.select.values()]
    return list(dict.fromkeys([*(s.set for s in streams if s.source == "features"), *settings.draw]))
