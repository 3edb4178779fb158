"""Augmentation of batches in named steps, with their labels, drawn from (seed, stream, step, view) and nothing else.

A module of this package registers its steps with `@register`; nothing else has to change. Importable without torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sedkit.core.errors import UsageError
from sedkit.core.registry import Registry
from sedkit.core.timegrid import TimeGrid
from sedkit.features.batch import StreamBatch
from sedkit.features.steps import options_by_step

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_STEPS: Registry[Callable[[AugmentSetup, Any], Augmentation]] = Registry("sedkit.features.augment", "augment")

#: `@register(name, options)` of `builder(setup, options) -> Augmentation`; `options` is its dataclass.
register = _STEPS.register


@dataclass(frozen=True)
class AugmentSetup:
    """What the steps of a stream work on.

    Attributes
    ----------
    sample_rate
        Hz, of the waveforms.
    grid
        Of the features.
    scale
        Of the features, one of `sedkit.dataio.store.SCALES`.
    samples, frames
        Of the window that the network is to see; no samples where there is no waveform.
    data_root
        Folder of the data dirs.
    classes
        Of the targets.
    least_s
        A class is present in a window where its events cover more than this much of it, seconds.
    """

    sample_rate: int
    grid: TimeGrid
    scale: str
    samples: int
    data_root: Path
    classes: tuple[str, ...]
    frames: int = 0
    least_s: float = 0.0


@dataclass(frozen=True)
class StepOptions:
    """Options that every step has.

    Attributes
    ----------
    probability
        Of the step, for each clip on its own.
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.probability <= 1:
            raise UsageError(f"probability is {self.probability}, expected above 0 and at most 1")


def check_range(name: str, values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> None:
    """Refuse an option that is no range, or reaches beyond `least` or `most`."""
    if len(values) != 2 or not least <= values[0] <= values[1] <= most:
        within = "" if least == -math.inf else f", from {least:g} to {most:g}"
        raise UsageError(f"{name} is {values}, expected two numbers, the lower one first{within}")


class Draws:
    """Random numbers of one step on one batch.

    What is drawn for each clip is the same on every device; noise is drawn on the batch's own.

    Attributes
    ----------
    host : numpy's generator, for anything else.
    device : of the tensors given back.
    """

    def __init__(self, seed: tuple[int, ...], device: torch.device) -> None:
        self.host, self.device = np.random.default_rng(seed), device

    def tensor(self, values: Any) -> Tensor:
        """Return numbers as a tensor on the device, floats as float32."""
        import torch

        array = np.asarray(values)
        return torch.from_numpy(array.astype(np.float32) if array.dtype.kind == "f" else array).to(self.device)

    def uniform(self, bounds: Sequence[float], clips: int) -> Tensor:
        """Return (clips,) float32 numbers between two bounds."""
        return self.tensor(self.host.uniform(bounds[0], bounds[1], clips))

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Return standard normal float32 numbers."""
        import torch

        generator = torch.Generator(self.device).manual_seed(int(self.host.integers(2**63)))
        return torch.randn(tuple(shape), generator=generator, device=self.device)


class Augmentation:
    """Base of the steps: which clips are changed is decided here, how is the step's own `change`.

    Attributes
    ----------
    domain
        What it changes: "waveform" or "features".
    stretch
        How many times the window's length of sound and frame targets it may need to see.
    """

    domain: str = "waveform"
    stretch: float = 1.0

    def __init__(self, setup: AugmentSetup, options: Any) -> None:
        self.setup, self.options = setup, options

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        """Return the drawn `clips` of a batch changed, in tensors of the same shapes."""
        raise TypeError(f"{type(self).__name__} does not say what it changes")

    def __call__(self, batch: StreamBatch, draws: Draws) -> StreamBatch:
        """Return the batch with the clips that are drawn changed, in new tensors."""
        rows = np.flatnonzero(draws.host.random(len(batch)) < self.options.probability)
        if not len(rows):
            return batch
        index = draws.tensor(rows)
        changed = self.change(batch.map(lambda x: x[index]), batch, draws)
        return StreamBatch(
            **{
                field.name: None if old is None else old.index_copy(0, index, getattr(changed, field.name))
                for field in fields(batch)
                for old in [getattr(batch, field.name)]
            }
        )


class Augmentations:
    """The steps of a stream, those of waveforms first.

    Attributes
    ----------
    waveform_steps, feature_steps
        `Augmentation`s in order.
    stretch
        How many times the window's length of sound and frame targets `on_waveform` has to be given.
    backgrounds
        Data dirs that the steps read.
    """

    def __init__(self, steps: Sequence[Augmentation], backgrounds: tuple[str, ...] = ()) -> None:
        self.waveform_steps = [step for step in steps if step.domain == "waveform"]
        self.feature_steps = [step for step in steps if step.domain == "features"]
        self.stretch = math.prod(step.stretch for step in steps)
        self.backgrounds = backgrounds

    @classmethod
    def from_section(
        cls, section: Mapping[str, Any] | None, setup: AugmentSetup, where: str = "augment"
    ) -> Augmentations:
        """Build the steps of an `augment` section; `where` begins messages.

        Raises
        ------
        UsageError
            An unknown step or option, a step of waveforms after one of features, or where there are no waveforms.
        """
        options = options_by_step(_STEPS, section, where)
        steps = {name: _STEPS.entry(name)[0](setup, given) for name, given in options.items()}
        before = None
        for name, step in steps.items():
            if step.domain == "features":
                before = name
            elif before is not None:
                raise UsageError(f"{where}: {name} changes waveforms, expected before {before}, which changes features")
            elif not setup.samples:
                raise UsageError(f"{where}: {name} changes waveforms, expected a stream with source: waveforms")
        return cls(list(steps.values()), sets_read(section))

    def on_waveform(self, batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
        """Do the steps of waveforms; the caller then cuts waveform and frame targets to the window.

        Parameters
        ----------
        batch
            With `stretch` times the window's samples and frame targets, and the real frames in that much.
        seed
            Numbers of at least 0 that tell seed, stream, step and view.
        """
        return _done(self.waveform_steps, batch, (*seed, 0))

    def on_features(self, batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
        """Do the steps of features, on features that are not normalised yet."""
        return _done(self.feature_steps, batch, (*seed, 1))


def _done(steps: Sequence[Augmentation], batch: StreamBatch, seed: tuple[int, ...]) -> StreamBatch:
    for place, step in enumerate(steps):
        batch = step(batch, Draws((*seed, place), batch.n_frames.device))
    return batch


def resolve_augment(section: Mapping[str, Any] | None, where: str = "augment") -> dict[str, dict[str, Any]]:
    """Return a section with every option filled in and checked."""
    return {name: asdict(options) for name, options in options_by_step(_STEPS, section, where).items()}


def sets_read(section: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the data dirs that the steps of a section read: what their options `set` name."""
    sets = (options.get("set") for options in (section or {}).values() if isinstance(options, Mapping))
    return tuple(dict.fromkeys(str(name) for name in sets if name))
