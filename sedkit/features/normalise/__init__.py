"""Normalisation of features in named stages, the same in training, validation, prediction and `detect`.

A module of this package registers stages with `@register(name)`; nothing else has to change. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, listed
from sedkit.features.batch import Tensor
from sedkit.features.steps import StepRegistry, plain_options

#: Features (clips, frames, bins) float32 and real frames (clips,) int64.
Blocks = Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]]
State = Mapping[str, Tensor]

_STAGES = StepRegistry("sedkit.features.normalise", "normalise")
register = _STAGES.step
#: `normalise_options(section, where)` fills in every option; raises UsageError.
normalise_options = _STAGES.options


class Stage:
    """Base of the stages, each a dataclass of its options.

    Attributes
    ----------
    state : what was fitted, by name; empty where nothing is.
    """

    state: State = MappingProxyType({})

    def start(self, n_bins: int) -> None:
        """Set a `state` of the shapes that `fit` gives, which changes nothing."""

    def fit(self, blocks: Blocks) -> None:
        """Replace the `state` by what one pass over the training clips gives."""

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        """Return new (clips, frames, bins) features; those of clip k from frame `n_frames[k]` on are padding."""
        raise TypeError(f"{type(self).__name__} does not say what it does")


class Normalisation:
    """The stages of a system in turn.

    Attributes
    ----------
    stages : dict of `Stage` by name.
    """

    def __init__(self, stages: dict[str, Stage]) -> None:
        self.stages = stages

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | None, n_bins: int) -> Normalisation:
        """Build the stages of a section `normalise`; raises UsageError."""
        stages = _STAGES.read(section, "normalise")
        for stage in stages.values():
            stage.start(n_bins)
        return cls(stages)

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Return the section with every option filled in."""
        return {name: plain_options(stage) for name, stage in self.stages.items()}

    def fit(self, blocks: Callable[[], Blocks]) -> None:
        """Fit each stage that is fitted on what those before it make of the training clips, given anew at each call."""
        stages = list(self.stages.values())
        for place, stage in enumerate(stages):
            if stage.state:
                stage.fit(_through(stages[:place], blocks()))

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        """Normalise (clips, frames, bins) features of clips of `n_frames` (clips,) real frames."""
        for stage in self.stages.values():
            features = stage(features, n_frames)
        return features

    def to(self, device: Any) -> Normalisation:
        """Move what was fitted to a device."""
        for stage in self.stages.values():
            stage.state = {key: value.to(device) for key, value in stage.state.items()}
        return self

    def state_dict(self) -> dict[str, State]:
        """Return what was fitted, by stage and name, for a checkpoint."""
        return {name: {key: x.cpu() for key, x in stage.state.items()} for name, stage in self.stages.items()}

    def load_state_dict(self, state: Mapping[str, State]) -> None:
        """Take back what `state_dict` gave; raises SedkitError where stages, names or shapes are others."""
        got, expected = _shapes(state), _shapes(self.state_dict())
        if got != expected:
            raise SedkitError(f"normalise: got {listed(got) or 'no stage'}, expected {listed(expected) or 'no stage'}")
        for name, stage in self.stages.items():
            stage.state = {key: value.to(stage.state[key].device) for key, value in state[name].items()}


def _through(stages: Sequence[Stage], blocks: Blocks) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    import torch

    for features, n_frames in blocks:
        for stage in stages:
            features = stage(torch.tensor(features), torch.tensor(n_frames)).numpy()
        yield features, n_frames


def _shapes(state: Mapping[str, State]) -> list[str]:
    return [name + "".join(f" {key} {tuple(x.shape)}" for key, x in values.items()) for name, values in state.items()]
