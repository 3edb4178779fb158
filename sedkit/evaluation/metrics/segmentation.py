"""Segmentation figures: which bins of time and frequency belong to a class, by a network's masks.

The truth is the ideal binary mask at the resolution of the network's front end (Kong et al., arXiv 1804.04715): with
magnitude spectra E of the class's sound and S of the scene through the front end's mel matrix, a bin is the class's
where 20 log10(E / (S + 1e-8) + 1e-8) > -5 dB, in frames in which an event of the class is active. Published masks have
the sum of all events as E, which is the same where no two events sound at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.core.options import option
from sedkit.core.parallel import progress
from sedkit.evaluation.inputs import Masks, Work
from sedkit.evaluation.metrics.base import register
from sedkit.evaluation.metrics.frame import Activity, CellBased, CellCounts, count_cells
from sedkit.evaluation.parameters import MaskParameters

if TYPE_CHECKING:
    from sedkit.features.frontends import FrontEnd
    from sedkit.synthesis.mixture_set import Mixtures

_EPS = 1e-8


@dataclass(frozen=True)
class SegmentationParameters(MaskParameters):
    """`threshold`: a bin is found where the mask is above it; `level_db`: how far below the scene a class may be."""

    threshold: float = option(
        0.1, "--mask-threshold", "segmentation: bins with a mask above it are the class's (0.1)", metavar="T"
    )
    level_db: float = -5.0


def ideal_mask(sound: NDArray[np.float32], scene: NDArray[np.float32], level_db: float = -5.0) -> NDArray[np.bool_]:
    """Return where a sound is more than `level_db` above the scene, of magnitudes of one shape.

    >>> ideal_mask(np.array([1.0, 0.57, 0.56, 0.0]), np.array([1.0, 1.0, 1.0, 0.0]))
    array([ True,  True, False, False])
    """
    return np.asarray(20 * np.log10(sound / (scene + _EPS) + _EPS) > level_db)


def mel_magnitudes(
    frontend: FrontEnd, waveforms: Sequence[NDArray[np.float32]], frames: tuple[int, int] | None = None
) -> NDArray[np.float32]:
    """Return magnitude spectra of n waveforms (samples,) through a front end's mel matrix, (n, frames, bins).

    `frames` are the first that is wanted and the one after the last; None: all.
    """
    from sedkit.features.frontends.logmel import LogMel

    if not isinstance(frontend, LogMel):
        raise SedkitError(f"the front end {frontend.name} has no mel matrix, which ideal masks need; expected logmel")
    magnitudes = replace(frontend, spectrum="magnitude", log="none")
    if frames is None or not magnitudes.sliceable:
        return magnitudes.transform(np.stack(waveforms))[:, slice(*frames or (None,))]
    start = frames[0] * magnitudes.hop_samples
    seen = slice(start, start + magnitudes.window_samples(frames[1] - frames[0]))
    return magnitudes.transform_windows(np.stack([magnitudes.pad(waveform)[seen] for waveform in waveforms]))


@register("segmentation", SegmentationParameters)
class Segmentation(CellBased):
    """Figures of masks, on mixtures whose sounds are known one by one."""

    block, title, column = "segmentation", "segmentation", "segmentation"
    place = 9
    reads = "masks"
    lacks = ""

    def count(self, work: Work) -> CellCounts:
        """Return the bins; a class that the masks lack is 0 there. One recording's are in memory at a time."""
        events, masks, mixtures = work.events, work.given("masks"), work.truth.mixtures
        assert mixtures is not None
        filenames, activity = self.parameters.chosen(events.filenames), Activity(events)
        names = progress(filenames, description=self.name, unit="clip")
        cells = (self._bins(name, masks, mixtures, activity) for name in names)
        return count_cells(filenames, events.labels, self.parameters.threshold, cells)

    def shown(self, counts: CellCounts) -> dict[str, Any]:
        """Return the parameters, how far the areas may be off, and of how many clips the figures are."""
        return super().shown(counts) | {"clips": len(counts.filenames)}

    def _bins(
        self, name: str, masks: Masks, mixtures: Mixtures, activity: Activity
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return masks and ideal masks of a mixture, (bins, classes)."""
        from sedkit.synthesis.mixture_set import SCENE

        frontend, (_, mask) = masks.frontend, masks.of(mixtures.mixture(name))
        n_frames = mask.shape[1]
        active = activity.frames(name, frontend.grid.edges_s(n_frames))
        shape = (len(activity.labels), n_frames, mask.shape[2])
        estimated, ideal = np.zeros(shape, np.float32), np.zeros(shape, np.bool_)
        stems = cache(partial(mixtures.stems, name))
        for k, label in enumerate(activity.labels):
            if label in masks.labels:
                estimated[k] = mask[masks.labels.index(label)]
            if not active[:, k].any():
                continue
            # Elsewhere there is nothing to compute: the class is silent in most frames.
            where = np.flatnonzero(active[:, k])
            frames = int(where[0]), int(where[-1]) + 1
            # Kept as bits, for the next network that is scored on the mixtures.
            key = (name, label, frames, frontend.hash8, self.parameters.level_db)
            if key not in mixtures.kept:
                if label not in stems():
                    raise SedkitError(f"{mixtures.folder / name}: has no stem of {label}, which the reference names")
                sound, scene = mel_magnitudes(frontend, [stems()[label], stems()[SCENE]], frames)
                mixtures.kept[key] = np.packbits(ideal_mask(sound, scene, self.parameters.level_db))
            at = slice(*frames)
            bits = np.unpackbits(mixtures.kept[key], count=ideal[k, at].size).view(np.bool_)
            ideal[k, at] = bits.reshape(ideal[k, at].shape) & active[at, k, None]
        return estimated.reshape(len(estimated), -1).T, ideal.reshape(len(ideal), -1).T
