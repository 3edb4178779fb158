"""Mixtures of a plan as tracks of samples, and as waveforms without files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.dataio.audio import read_audio, read_excerpt
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.synthesis.plan import Mixture, MixturePlan
from sedkit.synthesis.render import Placed, track_of
from sedkit.synthesis.signals import Signal, rms

Samples = NDArray[np.int16]
#: When an event sounds: its label, start and end in samples.
Span = tuple[str, int, int]

#: Excerpts of events that a process remembers: more than a published fold has clips, 262 MB where all last 2 s.
_EVENTS = 1024
#: Excerpts of scenes, which last as long as mixtures: more than a miniature has, 164 MB of 10 s each at 32 kHz.
_SCENES = 128
#: Bytes; a mixture of 100 s at 32 kHz has fewer.
_BLOCK = 1 << 24
_PEAK = 32767.0


class Level(NamedTuple):
    """What became of a planned event: its label, start and end in samples, what its recording was multiplied with."""

    label: str
    start: int
    end: int
    gain: float


class Track(NamedTuple):
    """A sound in a mixture: from which sample on, and its samples; silence around it."""

    start: int
    x: Signal


@dataclass(frozen=True)
class Tracks:
    """A rendered mixture.

    Attributes
    ----------
    mixture
        (samples,) int16.
    levels
        Of each event, in the plan's order.
    ground, sounds
        The scene, and of each label that occurs the sum of its events, before all was multiplied with `scale`.
    """

    mixture: Samples
    levels: list[Level]
    ground: Signal
    sounds: dict[str, Track]
    scale: np.float32

    @property
    def scene(self) -> Samples:
        """Return the scene, as loud as in the mixture, (samples,) int16."""
        return _rounded(self.ground * self.scale)

    @property
    def stems(self) -> dict[str, Samples]:
        """Return the events of each label that occurs, as loud as in the mixture, (samples,) int16."""
        out = {label: np.zeros_like(self.mixture) for label in self.sounds}
        for label, (start, x) in self.sounds.items():
            out[label][start : start + len(x)] = _rounded(x * self.scale)
        return out


@dataclass(frozen=True)
class Studio:
    """What a mixture is rendered with: rate in Hz, samples of a mixture, of what an event's level is the level."""

    sample_rate: int
    samples: int
    snr: str

    @classmethod
    def of(cls, plan: MixturePlan) -> Studio:
        """Return that of a plan."""
        return cls(plan.sample_rate, plan.samples, plan.snr)

    def planned(self, mixture: Mixture) -> list[Span]:
        """Return when each event of a mixture is to sound."""
        spans = []
        for event in mixture.events:
            start, length = (round(s * self.sample_rate) for s in (event.onset, event.offset - event.onset))
            spans.append((event.event_label, start, min(start + length, self.samples)))
        return spans

    def render(self, mixture: Mixture, scene: Path, recordings: Sequence[Path]) -> Tracks:
        """Render one mixture.

        Parameters
        ----------
        mixture
            Its plan.
        scene, recordings
            The files of its scene and events.

        Raises
        ------
        SedkitError
            A recording that cannot be read, is too short or silent.

        Notes
        -----
        The scene's root mean square is the reference, 0 dB. As published, the mixture is the mean of the sum of the
        events and the scene, the louder of which peaks at full scale; a stem above that lowers everything.
        """
        _keep_blocks()
        ground, ground_peak = self._ground(scene, mixture)
        placed: dict[str, list[Placed]] = {}
        gains, spans = [], []
        for event, path in zip(mixture.events, recordings, strict=True):
            length = round((event.offset - event.onset) * self.sample_rate)
            x, level, _ = _event(*_seen(path), self.sample_rate, event.source_start, length, self.snr)
            if not level:
                raise SedkitError(
                    f"{path}: silent, so {mixture.mixture_name} cannot have it {event.snr_db:g} dB above its scene; "
                    "take another clip in the plan"
                )
            start = round(event.onset * self.sample_rate)
            placed.setdefault(event.event_label, []).append(Placed(x, start, event.snr_db))
            gains.append(10.0 ** (event.snr_db / 20.0) / level)
            spans.append((event.event_label, start, min(start + len(x), self.samples)))
        sounds = {label: self._sum(events) for label, events in placed.items()}
        events = self._sum([Placed(sound.x, sound.start, 0.0) for sound in sounds.values()])
        peaks = [2 * _peak(events.x), 2 * ground_peak, *(_peak(sound.x) for sound in sounds.values())]
        scale = np.float32(_PEAK / max(peaks))
        mixture_track = ground * scale
        heard = slice(events.start, events.start + len(events.x))
        mixture_track[heard] = (events.x + ground[heard]) * scale
        return Tracks(
            _rounded(mixture_track),
            [Level(*span, gain * float(scale) / 32768.0) for span, gain in zip(spans, gains, strict=True)],
            ground,
            sounds,
            scale,
        )

    def _ground(self, path: Path, mixture: Mixture) -> tuple[Signal, float]:
        """Return a mixture's scene with a root mean square of 1, (samples,), and its peak."""
        ground, level, peak = _scene(*_seen(path), self.sample_rate, mixture.scene_start, self.samples)
        # Resampling may round a recording of the very length down.
        if len(ground) < self.samples - 1 or not level:
            what = f"{len(ground)} samples at {self.sample_rate} Hz" if level or not len(ground) else "silent"
            raise SedkitError(f"{path}: {what}, {mixture.mixture_name} needs a scene of {self.samples} that sound")
        return np.pad(ground, (0, self.samples - len(ground))) if len(ground) < self.samples else ground, peak

    def _sum(self, events: Sequence[Placed]) -> Track:
        """Return the sum of events, from the first one's start to the last one's end."""
        start = min((event.onset for event in events), default=0)
        end = min(max((event.onset + len(event.x) for event in events), default=0), self.samples)
        shifted = [Placed(event.x, event.onset - start, event.snr_db) for event in events]
        return Track(start, track_of(shifted, max(end - start, 0), 1.0))


@cache
def _keep_blocks() -> None:
    """Have the C library keep blocks as large as a mixture for the next one, instead of giving them back.

    glibc gives back what is larger than the largest block that was freed before (mallopt(3), M_MMAP_THRESHOLD). Fresh
    pages for every mixture cost more than all its arithmetic.
    """
    np.empty(_BLOCK, dtype=np.uint8)


def _seen(path: Path) -> tuple[str, int]:
    """Return what a file is remembered by: it may change. Of one that is gone, reading tells."""
    return str(path), path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(_EVENTS)
def _event(path: str, _changed: int, rate: int, start_s: float, length: int, snr: str) -> tuple[Signal, float, float]:
    """Return an excerpt over what is its level (of the whole recording, or its own), the level, and its peak then."""
    whole, first = read_audio(path, rate), round(start_s * rate)
    excerpt = whole[first : first + length]
    return _levelled(excerpt, whole if snr == "source" else excerpt)


@lru_cache(_SCENES)
def _scene(path: str, _changed: int, rate: int, start_s: float, length: int) -> tuple[Signal, float, float]:
    """Return an excerpt over its level, the level, and its peak then; a scene may last for hours."""
    excerpt = read_excerpt(path, rate, round(start_s * rate), length)
    return _levelled(excerpt, excerpt)


def _levelled(x: Signal, of: Signal) -> tuple[Signal, float, float]:
    level = rms(of) if len(x) else 0.0
    x = x * np.float32(1.0 / level) if level else x.copy()
    x.flags.writeable = False
    return x, level, _peak(x)


def events_of(plan: MixturePlan, spans: Iterable[Iterable[Span]], labels: Sequence[str]) -> Events:
    """Return when labels sound in each mixture, of its events' spans; events of a label that meet are one."""
    rows = (
        (mixture.mixture_name, start / plan.sample_rate, end / plan.sample_rate, label)
        for mixture, of_mixture in zip(plan.mixtures, spans, strict=True)
        for label, start, end in _merged(of_mixture)
    )
    return Events.from_rows(rows, labels).keep_clips([m.mixture_name for m in plan.mixtures])


def _merged(spans: Iterable[Span]) -> list[Span]:
    out: list[Span] = []
    for label, start, end in sorted(spans):
        if out and out[-1][0] == label and start <= out[-1][2]:
            out[-1] = (label, out[-1][1], max(out[-1][2], end))
        else:
            out.append((label, start, end))
    return out


def _peak(x: Signal) -> float:
    return max(float(x.max(initial=0.0)), -float(x.min(initial=0.0)))


def _rounded(x: Signal) -> Samples:
    """Round in place, and to 16 bits."""
    return np.rint(x, out=x).astype(np.int16)


class Recordings:
    """The files of a plan's mixtures."""

    def __init__(self, plan: MixturePlan) -> None:
        self.events, self.scenes = DataDir(plan.events).recordings(), DataDir(plan.scenes).recordings()

    def of(self, mixture: Mixture) -> tuple[Path, list[Path]]:
        """Return the files of the scene and of each event."""
        events = [Path(self.events[event.event_audio_name]) for event in mixture.events]
        return Path(self.scenes[mixture.scene_audio_name]), events

    def used(self, mixtures: Iterable[Mixture]) -> dict[str, Path]:
        """Return the files that mixtures are made from, by kind and name."""
        out = {}
        for mixture in mixtures:
            scene, events = self.of(mixture)
            out[f"scenes/{mixture.scene_audio_name}"] = scene
            out |= {f"events/{e.event_audio_name}": p for e, p in zip(mixture.events, events, strict=True)}
        return out


class RenderedMixtures(Sequence[Signal]):
    """The mixtures of a plan as waveforms, each rendered when it is asked for: what `render` would write, no files.

    Attributes
    ----------
    duration_s
        (mixtures,) float64, seconds: with them `features.sources.Waveforms` takes the sequence.
    """

    def __init__(self, plan: MixturePlan, recordings: Recordings | None = None) -> None:
        self._mixtures, self._studio, self._recordings = plan.mixtures, Studio.of(plan), recordings or Recordings(plan)
        self.duration_s = np.full(len(plan.mixtures), plan.samples / plan.sample_rate)

    def __len__(self) -> int:
        return len(self._mixtures)

    def __getitem__(self, index: int) -> Signal:  # type: ignore[override]
        mixture = self._mixtures[index]
        tracks = self._studio.render(mixture, *self._recordings.of(mixture))
        return np.multiply(tracks.mixture, np.float32(1 / 32768), dtype=np.float32)
