"""Mixtures for training: new ones in each round, from seed and round alone, without files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.synthesis.mixtures import Recordings, RenderedMixtures, Studio, events_of
from sedkit.synthesis.plan import Material, MixSettings, MixturePlan


class Rounds:
    """Plans of some folds, one a round; what the folds are made of is that of `sedkit mix plan`.

    Parameters
    ----------
    settings, events, scenes
        As `sedkit.synthesis.plan.draw` takes them.
    folds
        Whose mixtures; None: of all.
    seed
        Numbers that tell the mixtures of a stream of a run from others'.

    Raises
    ------
    SedkitError
        As `draw`; a fold that gets no mixtures.
    """

    def __init__(
        self,
        settings: MixSettings,
        events: DataDir,
        scenes: DataDir,
        folds: Sequence[str] | None = None,
        seed: Sequence[int] = (),
    ) -> None:
        self._material, self._seed = Material.of(settings, events, scenes), (settings.seed, *seed)
        self._recordings: Recordings | None = None
        self._folds = tuple(self._material.counts) if folds is None else tuple(folds)
        for fold in self._folds:
            if fold not in self._material.counts:
                raise SedkitError(
                    f"{events.path}/clips.tsv: fold {fold} gets no mixtures, expected one of "
                    f"{listed(self._material.counts, 9)} (mix.mixtures)"
                )

    def plan(self, number: int) -> MixturePlan:
        """Return the mixtures of a round."""
        (seed,) = np.random.SeedSequence([*self._seed, number]).generate_state(1).tolist()
        plan = self._material.draw(seed)
        return replace(plan, mixtures=tuple(m for m in plan.mixtures if m.fold in self._folds))

    def waveforms(self, plan: MixturePlan) -> RenderedMixtures:
        """Return a round's mixtures as waveforms."""
        self._recordings = self._recordings or Recordings(plan)
        return RenderedMixtures(plan, self._recordings)

    def events(self, plan: MixturePlan) -> Events:
        """Return when labels sound in a round's mixtures."""
        studio = Studio.of(plan)
        return events_of(plan, map(studio.planned, plan.mixtures), self._material.events.labels.labels)

    def sources(self) -> set[tuple[str, str]]:
        """Return the clips that mixtures of any round may be made of, each as (data set, filename)."""
        material = self._material
        sides = (material.events, material.event_fold), (material.scenes, material.scene_fold)
        return {
            (data.identity, name)
            for data, folds in sides
            for name, fold in zip(data.clips.filename, folds or [None] * len(data.clips), strict=True)
            if fold is None or fold in self._folds
        }
