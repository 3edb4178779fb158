"""The sections `data` and `training` of a configuration, and the budgets. Importable without torch."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from sedkit.core.config import apply_overrides, set_key, typed
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.features.chunk_settings import ChunkSettings

TRAIN_ON = ("split", "all", "all+validation")
#: Sections that decide what a training gives.
SECTIONS = ("frontend", "data", "model", "objective", "training")


@dataclass(frozen=True)
class StreamSettings:
    """One stream: a set of clips and how it is used.

    Attributes
    ----------
    set
        Name of the data dir.
    target
        `clip`: tags; `frame`: events on the frames of the features; `none`: no labels.
    share
        Share of the batch, relative to the other streams.
    folds
        Folds to take; none: the whole set. `--train-on all` takes the whole set in any case.
    chunks
        Cut the clips into chunks; none takes them whole.
    """

    set: str
    target: Literal["clip", "frame", "none"] = "clip"
    share: float = 1.0
    folds: list[str] | None = None
    chunks: ChunkSettings | None = None

    def __post_init__(self) -> None:
        if not self.share > 0:
            raise UsageError(f"share is {self.share}, expected above 0")
        if self.chunks is not None and self.target != "clip":
            raise UsageError(f"target is {self.target!r}, expected clip for a stream that is cut into chunks")


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
    """

    streams: dict[str, StreamSettings]
    select: dict[str, StreamSettings] = field(default_factory=dict)
    draw: list[str] = field(default_factory=list)
    draw_clips: int = 200


@dataclass(frozen=True)
class TrainingSettings:
    """The section `training`; the defaults are the published ones of arXiv 1904.03476.

    Attributes
    ----------
    steps
        Optimiser steps.
    batch_size
        Clips a step, over all streams.
    learning_rate, lr_factor, lr_every
        The rate is `learning_rate` * `lr_factor` ** (step // `lr_every`); an `lr_every` of 0 keeps it constant.
    beta1, beta2, epsilon, weight_decay, amsgrad
        Adam's.
    clip_norm
        Cut the gradient's norm to this; 0 does not.
    eval_every, checkpoint_every
        Steps between evaluations, and between writes of `last.pt`.
    select_by
        What makes a checkpoint the best one on `data.select`: mean average precision of the clip scores, or of the
        frame scores, or the loss; `last` takes the last step whatever the part says.
    seed
        Of the initial weights and the order of the clips.
    device, precision
        `auto`, `cpu`, `cuda`; `auto` (bfloat16 where the hardware has it), `fp32`, `bf16`.
    deterministic
        Ask torch for deterministic algorithms (a CUDA matter; on the CPU a run repeats itself anyway).
    scaler
        `fit` standardises each bin by the training clips' real frames; `none` takes the features as they are.
    weights
        File of weights to start from.
    train_on
        `split`, `all` (every fold) or `all+validation`.
    """

    steps: int = 5000
    batch_size: int = 32
    learning_rate: float = 1e-3
    lr_factor: float = 0.9
    lr_every: float = 200
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = True
    clip_norm: float = 0.0
    eval_every: int = 200
    checkpoint_every: int = 100
    select_by: Literal["clip_map", "frame_map", "loss", "last"] = "clip_map"
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    deterministic: bool = False
    scaler: Literal["fit", "none"] = "fit"
    weights: str | None = None
    train_on: Literal["split", "all", "all+validation"] = "split"

    def __post_init__(self) -> None:
        for name, low in (("steps", 1), ("batch_size", 1), ("eval_every", 1), ("checkpoint_every", 1), ("seed", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least {low}")
        for name in ("learning_rate", "lr_factor", "epsilon"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name} is {getattr(self, name)}, expected above 0")
        for name in ("lr_every", "weight_decay", "clip_norm"):
            if not getattr(self, name) >= 0:
                raise UsageError(f"{name} is {getattr(self, name)}, expected at least 0")


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
        raise UsageError("data.streams is empty, expected at least one stream, such as weak: {set: weak, target: clip}")
    rest = typed(plain, _PlainDataSettings, "data")
    return DataSettings(parts["streams"], parts["select"], rest.draw, rest.draw_clips)


@dataclass(frozen=True)
class _PlainDataSettings:
    draw: list[str] = field(default_factory=list)
    draw_clips: int = 200


def training_settings(raw: dict[str, Any] | None) -> TrainingSettings:
    """Read the section `training`."""
    return typed(raw, TrainingSettings, "training")


def apply_budget(raw: dict[str, Any], name: str | None, overrides: list[str]) -> dict[str, Any]:
    """Return a configuration with a budget's keys applied, then the overrides, and no budgets left.

    Parameters
    ----------
    raw
        As read, without overrides.
    name
        `quick`, `published`, or any other mapping of dotted keys in the section `budgets`; None applies none.
    overrides
        `section.key=value`.

    Raises
    ------
    UsageError
        An unknown budget, or an override of `budgets`, which would change nothing once the budget is applied.
    """
    if late := [text for text in overrides if text.startswith("budgets.")]:
        raise UsageError(f"override {late[0]!r}: give the key that the budget sets, such as training.steps=100")
    out = copy.deepcopy(raw)
    budgets = out.pop("budgets", None) or {}
    if name is not None:
        if name not in budgets:
            raise UsageError(
                f"unknown budget {name!r}{suggest(name, budgets)}, the configuration has {listed(budgets)}"
            )
        for key, value in (budgets[name] or {}).items():
            set_key(out, key, value)
    return apply_overrides(out, overrides)


def settings_dict(data: DataSettings, training: TrainingSettings) -> dict[str, Any]:
    """Return both sections as plain data, every key filled in."""
    return {"data": asdict(data), "training": asdict(training)}
