"""Plans of mixtures: which clips lie where over which scene, and how loud (Kong et al. 2018, arXiv 1804.04715).

Everything random is drawn here, so a plan and its sources decide every sample of the mixtures.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.dataio.datadir import DataDir
from sedkit.synthesis.folds import Ints, folds_of, groups_of, shared

PLACEMENTS = ("slots", "uniform")
REPEATS = ("fresh", "published")
ASSIGNMENTS = ("grouped", "published")
SNRS = ("source", "excerpt")


@dataclass(frozen=True)
class MixSettings:
    """The section `mix` of a configuration.

    Attributes
    ----------
    events, scenes
        Data dirs, as seen from the folder of data dirs: clips with one tag each, and what they are mixed into.
    mixtures
        How many each fold gets, which it shares with its parts (`1-select` is one of `1`) by their clips; a mapping
        gives each its own number, and others none.
    fewest_clips
        Labels of fewer clips are not mixed.
    events_per_mixture
        Clips in one mixture.
    folds
        Folds that the events' groups are dealt to where their data dir has none.
    length_s, sample_rate
        Of a mixture, in seconds and Hz.
    longest_s
        Seconds of an event; longer clips are cut.
    placement
        `slots`: event j starts at onsets[j]. `uniform`: anywhere where it fits.
    onsets
        Seconds, one for each event of a mixture.
    overlap
        Whether uniformly placed events may sound at the same time.
    repeat
        A fold's clips are shuffled again and again until there are enough: `fresh` draws a new order each time,
        `published` repeats the last order, as the authors' code does.
    assignment
        `grouped`: no scene location in two folds. `published`: scenes go to the mixtures in one shuffled order.
    snr
        What an event's level over the scene is the level of: the whole `source` clip, as published, or the `excerpt`.
    snr_db
        That level in dB, of every event.
    seed
        Of everything that is drawn.
    """

    events: str
    scenes: str
    mixtures: int | dict[str, int] = 2000
    fewest_clips: int = 1
    events_per_mixture: int = 3
    folds: int = 4
    length_s: float = 10.0
    sample_rate: int = 32000
    longest_s: float = 2.0
    placement: str = "slots"
    onsets: tuple[float, ...] = (0.5, 3.0, 5.5)
    overlap: bool = True
    repeat: str = "fresh"
    assignment: str = "grouped"
    snr: str = "source"
    snr_db: float = 0.0
    seed: int = 1234

    def __post_init__(self) -> None:
        for key, choices in (
            ("placement", PLACEMENTS),
            ("repeat", REPEATS),
            ("assignment", ASSIGNMENTS),
            ("snr", SNRS),
        ):
            if getattr(self, key) not in choices:
                raise UsageError(f"{key} is {getattr(self, key)!r}, expected one of {listed(choices)}")
        for key in ("fewest_clips", "events_per_mixture", "folds", "sample_rate"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} is {getattr(self, key)}, expected at least 1")
        counts = self.mixtures.values() if isinstance(self.mixtures, dict) else [self.mixtures]
        if not counts or min(counts) < 1:
            raise UsageError(f"mixtures is {self.mixtures}, expected at least 1 a fold")
        for key in ("length_s", "longest_s"):
            if not (np.isfinite(getattr(self, key)) and getattr(self, key) > 0):
                raise UsageError(f"{key} is {getattr(self, key)}, expected seconds above 0")
        if not np.isfinite(self.snr_db):
            raise UsageError(f"snr_db is {self.snr_db}, expected a number of dB")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed is {self.seed}, expected a whole number from 0 to {2**32 - 1}")
        if self.placement == "slots" and len(self.onsets) != self.events_per_mixture:
            raise UsageError(f"onsets is {list(self.onsets)}, expected {self.events_per_mixture}, one for each event")
        if not all(onset >= 0 and onset + self.longest_s <= self.length_s for onset in self.onsets):
            raise UsageError(
                f"onsets is {list(self.onsets)}, expected seconds of a mixture of {self.length_s:g} s, each with room "
                f"for {self.longest_s:g} s after it"
            )
        together = self.longest_s * (1 if self.overlap else self.events_per_mixture)
        if self.placement == "uniform" and together > self.length_s:
            raise UsageError(f"longest_s is {self.longest_s:g}, the events do not fit into {self.length_s:g} s")


@dataclass(frozen=True)
class PlannedEvent:
    """An excerpt of a clip in a mixture: from `source_start` on, between `onset` and `offset`, all in seconds."""

    event_audio_name: str
    event_label: str
    onset: float
    offset: float
    source_start: float
    snr_db: float


@dataclass(frozen=True)
class Mixture:
    """One mixture: its scene from `scene_start` seconds on, `scene_group` being where that was recorded."""

    mixture_name: str
    fold: str
    scene_audio_name: str
    scene_group: str
    scene_start: float
    events: tuple[PlannedEvent, ...]


@dataclass(frozen=True)
class MixturePlan:
    """Mixtures of the clips of two data dirs; see `MixSettings` for what the attributes mean."""

    events: Path
    scenes: Path
    seed: int
    sample_rate: int
    length_s: float
    snr: str
    assignment: str
    mixtures: tuple[Mixture, ...]

    @property
    def samples(self) -> int:
        """Samples of a mixture."""
        return round(self.length_s * self.sample_rate)

    def at_snr(self, snr_db: float) -> MixturePlan:
        """Return the plan with every event at this level over its scene, dB."""
        return replace(
            self,
            mixtures=tuple(
                replace(m, events=tuple(replace(event, snr_db=snr_db) for event in m.events)) for m in self.mixtures
            ),
        )


def labels_of(events: DataDir) -> tuple[str, ...]:
    """Return the one tag of each clip.

    Raises
    ------
    SedkitError
        A clip with another number of tags.
    """
    present = events.weak().present
    wrong = np.flatnonzero(present.sum(axis=1) != 1)
    if len(wrong):
        name, count = events.clips.filename[wrong[0]], int(present[wrong[0]].sum())
        raise SedkitError(f"{events.path}/weak.tsv: {name} has {count} tags, expected clips of one to mix")
    return tuple(events.labels.labels[k] for k in present.argmax(axis=1))


@dataclass(frozen=True)
class Material:
    """Clips of two data dirs in the folds that mixtures keep apart; any number of plans can be drawn from it.

    Attributes
    ----------
    settings, events, scenes
        As `draw` takes them.
    event_label, event_fold
        Of each clip of `events`; no fold ("") where its label has too few.
    scene_fold
        Of each of `scenes`; None where any fold may have it (`assignment: published`).
    counts
        Mixtures of each fold.
    """

    settings: MixSettings
    events: DataDir
    scenes: DataDir
    event_label: tuple[str, ...]
    event_fold: tuple[str, ...]
    scene_fold: tuple[str, ...] | None
    counts: dict[str, int]

    @classmethod
    def of(cls, settings: MixSettings, events: DataDir, scenes: DataDir) -> Material:
        """Take or deal folds: `settings.seed` alone decides. Arguments and errors as of `draw`."""
        labels = labels_of(events)
        dealer = np.random.default_rng([settings.seed, 0])
        grouped = settings.assignment == "grouped"
        event_fold = folds_of(events, labels, [str(k + 1) for k in range(settings.folds)], dealer)
        if grouped and scenes.clips.fold is not None:
            if lacking := sorted(x for x in {*event_fold} - {*scenes.clips.fold} if "-" in x):
                log.info("mix plan: no scene in %s, so the events there are mixed with the fold's", listed(lacking))
            event_fold = [x.partition("-")[0] if x in lacking else x for x in event_fold]
        clips = Counter(labels)
        event_fold = [x if clips[y] >= settings.fewest_clips else "" for x, y in zip(event_fold, labels, strict=True)]
        if not any(event_fold):
            raise SedkitError(
                f"{events.path}/weak.tsv: no label has {settings.fewest_clips} clips, as mix.fewest_clips asks"
            )
        counts = shared(settings.mixtures, [x for x in event_fold if x], f"{events.path}/clips.tsv")
        short = np.flatnonzero(scenes.clips.duration_s < settings.length_s - 0.5 / settings.sample_rate)
        if len(short):
            name, seconds = scenes.clips.filename[short[0]], scenes.clips.duration_s[short[0]]
            raise SedkitError(f"{scenes.path}/clips.tsv: {name} lasts {seconds:g} s, expected {settings.length_s:g} s")
        scene_fold = tuple(folds_of(scenes, [""] * len(scenes.clips), list(counts), dealer)) if grouped else None
        return cls(settings, events, scenes, labels, tuple(event_fold), scene_fold, counts)

    def draw(self, seed: int) -> MixturePlan:
        """Plan the mixtures of every fold; of what the folds are made of, the seed decides nothing."""
        settings, events, scenes = self.settings, self.events, self.scenes
        names, of_event = events.clips.filename, np.array(self.event_fold)
        dealt = None if self.scene_fold is None else np.array(self.scene_fold)
        scene_groups = groups_of(scenes.clips)
        rng = np.random.RandomState(seed)
        scene_order = rng.permutation(len(scenes.clips))
        length = np.minimum(events.clips.duration_s, settings.longest_s)
        mixtures: list[Mixture] = []
        for fold, count in self.counts.items():
            first = len(mixtures)
            pool = np.flatnonzero(of_event == fold)
            rows = _repeated(pool, count * settings.events_per_mixture, settings.repeat, rng)
            rows = rows.reshape(count, settings.events_per_mixture)
            onsets = _onsets(settings, length[rows], np.random.default_rng([seed, 1, first]))
            scene_pool = np.roll(scene_order, -first) if dealt is None else scene_order[dealt[scene_order] == fold]
            if not len(scene_pool):
                raise SedkitError(f"{scenes.path}/clips.tsv: no scene in fold {fold}, which has events")
            over = np.resize(scene_pool, count)
            spare = np.maximum(scenes.clips.duration_s[over] - settings.length_s, 0.0)
            begins = np.floor(np.random.default_rng([seed, 2, first]).random(count) * spare * 1e4) / 1e4
            for i, (scene, begin) in enumerate(zip(over.tolist(), begins.tolist(), strict=True)):
                placed = tuple(
                    PlannedEvent(
                        names[row],
                        self.event_label[row],
                        onset,
                        round(onset + float(length[row]), 6),
                        0.0,
                        settings.snr_db,
                    )
                    for row, onset in zip(rows[i].tolist(), onsets[i].tolist(), strict=True)
                )
                name = f"{len(mixtures):05d}.wav"
                mixtures.append(Mixture(name, fold, scenes.clips.filename[scene], scene_groups[scene], begin, placed))
        return MixturePlan(
            events.path,
            scenes.path,
            seed,
            settings.sample_rate,
            settings.length_s,
            settings.snr,
            settings.assignment,
            tuple(mixtures),
        )


def draw(settings: MixSettings, events: DataDir, scenes: DataDir) -> MixturePlan:
    """Plan the mixtures of every fold.

    Parameters
    ----------
    settings
        What is wanted.
    events
        Clips with one tag each. Their column `fold` decides which mixtures they are in; without it groups are dealt.
    scenes
        Clips of `length_s` at least; of longer ones, any `length_s` of them. A column `fold` decides as for events;
        without it locations are dealt.

    Raises
    ------
    SedkitError
        A group in two folds, a fold without clips, a scene that is too short, a clip with several tags, no label with
        clips enough.

    Notes
    -----
    The order of draws is the published one: scenes once, then each fold's events as often as they are needed. Onsets
    and where a scene begins come from streams of their own, so a plan with others has the same clips over the same
    scenes. Few clips may leave a part of a fold (`1-select`) without scenes: its events are then mixed with the fold's.
    """
    return Material.of(settings, events, scenes).draw(settings.seed)


def _repeated(pool: Ints, count: int, repeat: str, rng: np.random.RandomState) -> Ints:
    """Shuffle a pool again and again, until there are `count`."""
    rounds = []
    for _ in range(-(-count // len(pool))):
        rng.shuffle(pool)
        # The authors' code hands out one array each time, so all rounds end up in the order of the last.
        rounds.append(pool if repeat == "published" else pool.copy())
    return np.concatenate(rounds)[:count]


def _onsets(settings: MixSettings, length: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return where events of these lengths start, (mixtures, events) seconds, to a tenth of a millisecond."""
    if settings.placement == "slots":
        return np.broadcast_to(np.array(settings.onsets), length.shape)
    point = rng.random(length.shape)
    if settings.overlap:
        return np.floor(point * (settings.length_s - length) * 1e4) / 1e4
    # Rests of a uniform split of the free time lie before, between and after the events, whose order is drawn.
    order = np.argsort(rng.random(length.shape), axis=1)
    ticks = np.ceil(np.take_along_axis(length, order, axis=1) * 1e4)
    free = np.floor(settings.length_s * 1e4) - ticks.sum(axis=1, keepdims=True)
    starts = np.floor(np.sort(point, axis=1) * np.maximum(free, 0)) + np.cumsum(ticks, axis=1) - ticks
    out = np.empty_like(length)
    np.put_along_axis(out, order, starts / 1e4, axis=1)
    return out
