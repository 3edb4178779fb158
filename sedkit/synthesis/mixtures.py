"""Mixtures of a plan as tracks of samples, and as waveforms without files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.synthesis.plan import Mixture, MixturePlan
from sedkit.synthesis.render import Placed, track_of
from sedkit.synthesis.signals import Signal, rms

Samples = NDArray[np.int16]
#: When an event sounds: its label, start and end in samples.
Span = tuple[str, int, int]

#: Excerpts that a process remembers: more than a published fold has clips, 262 MB where all last 2 s.
_REMEMBERED = 1024
#: And scenes: more than a miniature has, 164 MB of 10 s each at 32 kHz.
_SCENES = 128
_PEAK = 32767.0


class Level(NamedTuple):
    """What became of a planned event: its label, start and end in samples, what its recording was multiplied with."""

    label: str
    start: int
    end: int
    gain: float


@dataclass(frozen=True)
class Tracks:
    """A rendered mixture.

    Attributes
    ----------
    mixture, scene
        (samples,) int16.
    stems
        Of each label that occurs, (samples,) int16: the sum of its events, as loud as in the mixture.
    levels
        Of each event, in the plan's order.
    """

    mixture: Samples
    scene: Samples
    stems: dict[str, Samples]
    levels: list[Level]


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
        first = round(mixture.scene_start * self.sample_rate)
        ground = _ground(str(scene), _changed_ns(scene), self.sample_rate, first, self.samples)
        placed: dict[str, list[Placed]] = {}
        gains, spans = [], []
        for event, path in zip(mixture.events, recordings, strict=True):
            length = round((event.offset - event.onset) * self.sample_rate)
            x, level = _excerpt(str(path), _changed_ns(path), self.sample_rate, event.source_start, length, self.snr)
            if not level:
                raise SedkitError(
                    f"{path}: silent, so {mixture.mixture_name} cannot have it {event.snr_db:g} dB above its scene; "
                    "take another clip in the plan"
                )
            start = round(event.onset * self.sample_rate)
            placed.setdefault(event.event_label, []).append(Placed(x, start, event.snr_db))
            gains.append(10.0 ** (event.snr_db / 20.0) / level)
            spans.append((event.event_label, start, min(start + len(x), self.samples)))
        stems = {label: track_of(events, self.samples, 1.0) for label, events in placed.items()}
        events_track = np.zeros_like(ground)
        for track in stems.values():
            events_track += track
        peaks = [2 * _peak(events_track), 2 * _peak(ground), *map(_peak, stems.values())]
        scale = np.float32(_PEAK / max(peaks))
        return Tracks(
            _rounded((events_track + ground) * scale),
            _rounded(ground * scale),
            {label: _rounded(x * scale) for label, x in stems.items()},
            [Level(*span, gain * float(scale) / 32768.0) for span, gain in zip(spans, gains, strict=True)],
        )


def _changed_ns(path: Path) -> int:
    """Return when a file was changed; of one that is gone, reading tells."""
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(_SCENES)
def _ground(path: str, _changed: int, rate: int, first: int, samples: int) -> Signal:
    """Return a scene with a root mean square of 1."""
    ground = read_audio(path, rate)[first : first + samples]
    level = rms(ground) if len(ground) else 0.0
    # Resampling may round a recording of the very length down.
    if len(ground) < samples - 1 or not level:
        what = "silent" if not level else f"{len(ground)} samples at {rate} Hz"
        raise SedkitError(f"{path}: {what}, expected a scene of {samples} that sound")
    return np.pad(ground * np.float32(1.0 / level), (0, samples - len(ground)))


@lru_cache(_REMEMBERED)
def _excerpt(path: str, _changed: int, rate: int, start_s: float, length: int, snr: str) -> tuple[Signal, float]:
    """Return an excerpt divided by what is its level, and that: of the whole recording, or its own."""
    whole = read_audio(path, rate)
    first = round(start_s * rate)
    excerpt = whole[first : first + length].copy()
    level = rms(whole if snr == "source" else excerpt) if len(excerpt) else 0.0
    if level:
        excerpt *= np.float32(1.0 / level)
    return excerpt, level


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
    return float(np.abs(x).max())


def _rounded(x: Signal) -> Samples:
    return np.rint(x).astype(np.int16)


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
