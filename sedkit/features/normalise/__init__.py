"""Normalisation of features in named stages, the same in training, validation, prediction and `detect`.

A module of this package registers its stages with `@register`; nothing else has to change. Importable without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, listed
from sedkit.core.registry import Registry
from sedkit.features.steps import options_by_step

if TYPE_CHECKING:
    import torch
    from torch import Tensor

#: Features (clips, frames, bins) float32 and real frames (clips,).
Blocks = Iterable[tuple[NDArray[np.float32], NDArray[np.int64]]]

_STAGES: Registry[Callable[[int, Any], Stage]] = Registry("sedkit.features.normalise", "normalise")

#: `@register(name, options)` of `builder(n_bins, options) -> Stage`; `options` is its dataclass.
register = _STAGES.register


class Stage:
    """Base of the stages.

    Attributes
    ----------
    state
        What `fit` finds, by name; empty where nothing is fitted.
    """

    state: Mapping[str, Tensor] = {}

    def __init__(self, n_bins: int, options: Any) -> None:
        self.options = options

    def fit(self, blocks: Blocks) -> None:
        """Replace `state` by what one pass over the training clips gives; only called where there is a state."""

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        """Return new features, (clips, frames, bins); frames from `n_frames` (clips,) on are padding."""
        raise TypeError(f"{type(self).__name__} does not say what it does")


def resolve_normalise(section: Mapping[str, Any] | None, where: str = "normalise") -> dict[str, dict[str, Any]]:
    """Return a section with every option filled in and checked."""
    return {name: asdict(options) for name, options in options_by_step(_STAGES, section, where).items()}


class Normalisation:
    """Stages in turn.

    Attributes
    ----------
    stages : dict of `Stage` by name, in order.
    """

    def __init__(self, stages: dict[str, Stage]) -> None:
        self.stages = stages

    @classmethod
    def from_section(cls, section: Mapping[str, Any] | None, n_bins: int) -> Normalisation:
        """Build the stages of a `normalise` section for features of `n_bins` bins; raises UsageError."""
        options = options_by_step(_STAGES, section, "normalise")
        return cls({name: _STAGES.entry(name)[0](n_bins, given) for name, given in options.items()})

    def resolved(self) -> dict[str, dict[str, Any]]:
        """Return the section with every option filled in."""
        return {name: asdict(stage.options) for name, stage in self.stages.items()}

    def fit(self, blocks: Callable[[], Blocks]) -> None:
        """Fit what is fitted, each stage on what the stages before it make of the training clips.

        Parameters
        ----------
        blocks
            Gives the training clips anew at each call: features (clips, frames, bins) and real frames (clips,).
        """
        for place, stage in enumerate(self.stages.values()):
            if stage.state:
                stage.fit(self._through(list(self.stages.values())[:place], blocks()))

    @staticmethod
    def _through(stages: list[Stage], blocks: Blocks) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
        import torch

        for features, n_frames in blocks:
            if stages:
                features = Normalisation(dict(enumerate(stages)))(
                    torch.tensor(features), torch.tensor(n_frames)
                ).numpy()
            yield features, n_frames

    def __call__(self, features: Tensor, n_frames: Tensor) -> Tensor:
        """Normalise (clips, frames, bins) features of clips of `n_frames` (clips,) real frames."""
        for stage in self.stages.values():
            features = stage(features, n_frames)
        return features

    def to(self, device: torch.device | str) -> Normalisation:
        """Move what was fitted to another device."""
        for stage in self.stages.values():
            stage.state = {name: value.to(device) for name, value in stage.state.items()}
        return self

    def state_dict(self) -> dict[str, dict[str, Tensor]]:
        """Return what was fitted, by stage and name, for a checkpoint."""
        return {name: {key: value.cpu() for key, value in stage.state.items()} for name, stage in self.stages.items()}

    def load_state_dict(self, state: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Take back what `state_dict` gave; raises SedkitError where stages, names or shapes are others."""
        got, expected = _shapes(state), _shapes(self.state_dict())
        if got != expected:
            raise SedkitError(f"normalise: the checkpoint holds {listed(got)}, expected {listed(expected)}")
        for name, stage in self.stages.items():
            stage.state = {key: value.to(stage.state[key].device) for key, value in state[name].items()}


def _shapes(state: Mapping[str, Mapping[str, Tensor]]) -> list[str]:
    """Return one word for each stage, with the shapes of what it holds."""
    return [name + "".join(f" {key} {tuple(x.shape)}" for key, x in held.items()) for name, held in state.items()]
