"""Augmentation of batches in named steps, with their labels, drawn from (seed, stream, step, view) and nothing else.

A module of this package registers steps with `@register(name)`; nothing else has to change. Importable without torch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.dataio.datadir import DataDir
from sedkit.features.batch import StreamBatch, Tensor
from sedkit.features.steps import StepRegistry

_STEPS = StepRegistry("sedkit.features.augment", "augment")
register = _STEPS.step
#: `augment_options(section, where)` fills in every option; raises UsageError.
augment_options = _STEPS.options


@dataclass(frozen=True)
class AugmentSetup:
    """What the steps of a stream work on.

    Attributes
    ----------
    sample_rate : Hz, of the waveforms.
    grid, scale : of the features; `scale` is one of `sedkit.dataio.store.SCALES`.
    samples, frames : of the window that the network sees; no samples where there is no waveform.
    data_root : folder of the data dirs.
    classes : of the targets.
    least_s : a class is present where its events cover more than this much of the window, seconds.
    n_bins, padding : of the features, and what a bin of silence holds.
    embeddings : whether windows have further features beside these (`StreamBatch.embeddings`).
    """

    sample_rate: int
    grid: TimeGrid
    scale: str
    samples: int
    data_root: Path
    classes: tuple[str, ...]
    frames: int = 0
    least_s: float = 0.0
    n_bins: int = 0
    padding: float = 0.0
    embeddings: bool = False


class Draws:
    """Random numbers of one step for one batch: those of clips are the same on any device, noise is the device's own.

    Attributes
    ----------
    host : numpy's generator.
    """

    def __init__(self, seed: tuple[int, ...], device: Any) -> None:
        self.host, self._device = np.random.default_rng(seed), device

    def tensor(self, values: Any) -> Tensor:
        """Return an array on the batch's device, floats as float32."""
        import torch

        return torch.from_numpy(values.astype(np.float32) if values.dtype.kind == "f" else values).to(self._device)

    def uniform(self, bounds: Sequence[float], clips: int) -> Tensor:
        """Return (clips,) numbers between two bounds."""
        return self.tensor(self.host.uniform(*bounds, clips))

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return standard normal numbers."""
        import torch

        generator = torch.Generator(self._device).manual_seed(int(self.host.integers(2**63)))
        return torch.randn(*shape, generator=generator, device=self._device)


@dataclass(kw_only=True)
class Augmentation:
    """Base of the steps, each a dataclass of its options.

    Attributes
    ----------
    domain : what it changes, "waveform" or "features".
    stretch : how many times the window's length of sound and frame targets it may need to see.
    moves : whether it moves sound in time, which embeddings cannot follow.
    setup : what it works on, once started.
    probability : of the step, for each clip on its own.
    """

    domain = "waveform"
    stretch = 1.0
    moves = False
    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise UsageError(f"probability is {self.probability:g}, expected above 0 and at most 1")

    def start(self, setup: AugmentSetup) -> None:
        """Read what the step needs."""
        self.setup = setup

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        """Return those `clips` of a batch that are drawn, changed, in tensors of the same shapes."""
        raise TypeError(f"{type(self).__name__} does not say what it changes")

    def drawn(self, clips: int, draws: Draws) -> NDArray[np.intp]:
        """Return which of so many clips are changed."""
        return np.flatnonzero(draws.host.random(clips) < self.probability)

    def __call__(self, batch: StreamBatch, rng: Draws) -> StreamBatch:
        """Return the batch with the drawn clips changed, in new tensors."""
        rows = self.drawn(len(batch), rng)
        if not len(rows):
            return batch
        index = rng.tensor(rows)
        changed = self.change(batch.map(lambda x: x[index]), batch, rng)
        return batch.joined(lambda columns: columns[0].index_copy(0, index, columns[1]), changed)


class Augmentations:
    """The steps of a stream.

    Attributes
    ----------
    waveform_steps, feature_steps : `Augmentation`s in order.
    stretch : how many times the window's length of sound and frame targets `on_waveform` has to be given.
    """

    def __init__(self, steps: Sequence[Augmentation]) -> None:
        self.waveform_steps = [step for step in steps if step.domain == "waveform"]
        self.feature_steps = [step for step in steps if step.domain == "features"]
        self.stretch = math.prod(step.stretch for step in steps)

    @classmethod
    def from_section(
        cls, section: Mapping[str, Any] | None, setup: AugmentSetup, where: str = "augment"
    ) -> Augmentations:
        """Build the steps of a section; `where` begins messages.

        Raises
        ------
        UsageError
            An unknown step or option, or a step of waveforms after one of features or where there is no waveform.
        """
        steps, before = _STEPS.read(section, where), None
        for name, step in steps.items():
            if step.domain == "features":
                before = name
            elif before or not setup.samples:
                ways = f"it before {before}, which changes features", "source: waveforms (views change features)"
                expected = ways[not before]
                raise UsageError(f"{where}: {name} changes waveforms, expected {expected}")
            if step.moves and setup.embeddings:
                raise UsageError(
                    f"{where}: {name} moves sound in time, which the features of the section `embeddings` cannot "
                    "follow; leave it out"
                )
            step.start(setup)
        return cls(list(steps.values()))

    def on_waveform(self, batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
        """Do the steps of waveforms; what is beyond the window is the caller's to cut off afterwards.

        Parameters
        ----------
        batch
            With `stretch` times the window's samples and frame targets, and the real frames in that much.
        seed
            Numbers of at least 0: seed, stream, step and view.
        """
        return _done(self.waveform_steps, batch, (*seed, 0))

    def on_features(self, batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
        """Do the steps of features, before normalisation; `seed` as in `on_waveform`."""
        return _done(self.feature_steps, batch, (*seed, 1))


def _done(steps: Sequence[Augmentation], batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
    for place, step in enumerate(steps):
        batch = step(batch, Draws((*seed, place), batch.n_frames.device))
    return batch


def sets_read(section: Mapping[str, Any] | None) -> dict[str, list[str] | None]:
    """Return the data dirs that the steps of a section read, their options `set`, with the folds that are named."""
    steps = [options for options in (section or {}).values() if isinstance(options, Mapping)]
    return {str(options["set"]): options.get("folds") for options in steps if options.get("set")}


def folds_read(data: DataDir, folds: list[str] | None) -> list[str] | None:
    """Return the folds that a step reads of a set: as named, else `train`; None, all, where the set has no folds."""
    return folds or (None if data.clips.fold is None else ["train"])
