"""The steps that there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import soxr
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.dataio.audio import read_audio
from sedkit.dataio.datadir import DataDir
from sedkit.features.augment import Augmentation, AugmentSetup, Draws, folds_read, register
from sedkit.features.batch import StreamBatch, Tensor
from sedkit.features.scales import from_amplitude, to_amplitude


@register("gain")
@dataclass(kw_only=True)
class Gain(Augmentation):
    """Change the level by a number of dB between two: a recording at home is seldom as loud as a sound on its own."""

    level_db: tuple[float, float]

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        gain = 10 ** (draws.uniform(self.level_db, len(clips)) / 20)
        return replace(clips, waveform=clips.waveform * gain[:, None])


@register("noise")
@dataclass(kw_only=True)
class Noise(Augmentation):
    """Add white noise; the ratio of the mean powers of clip and noise lies between two, dB. Silence stays silent."""

    snr_db: tuple[float, float]

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        other = self.other(clips.waveform, draws)
        power, of_other = (x.double().square().mean(1, keepdim=True) for x in (clips.waveform, other))
        ratio = 10 ** (draws.uniform(self.snr_db, len(clips))[:, None].double() / 10)
        # Digital silence cannot be scaled to a ratio: nothing is added then.
        gain = (power / (ratio * of_other)).sqrt().where(of_other > 0, 0.0)
        return replace(clips, waveform=clips.waveform + gain.float() * other)

    def other(self, waveform: Tensor, draws: Draws) -> Tensor:
        """Return what is added, at any level, (clips, samples)."""
        return draws.normal(waveform.shape)


@register("background")
@dataclass(kw_only=True)
class Background(Noise):
    """Add excerpts of another set, at a ratio as in `noise`: of stretches in which none of its classes is active.

    Attributes
    ----------
    set : data dir with events.
    folds : of its clips; none: those of the fold `train`, or all of a set without folds.
    least_s : shortest stretch to take; one that is shorter than the window is repeated.
    """

    set: str
    folds: list[str] | None = None
    least_s: float = 1.0

    def start(self, setup: AugmentSetup) -> None:
        super().start(setup)
        data = DataDir(setup.data_root / self.set)
        self.stretches = quiet_stretches(data, setup.sample_rate, self.least_s, folds_read(data, self.folds))

    def other(self, waveform: Tensor, draws: Draws) -> Tensor:
        excerpts = np.empty(tuple(waveform.shape), dtype=np.float32)
        for excerpt in excerpts:
            stretch = self.stretches[int(draws.host.integers(len(self.stretches)))]
            first = int(draws.host.integers(max(len(stretch) - len(excerpt), 0) + 1))
            excerpt[:] = np.resize(stretch[first : first + len(excerpt)], len(excerpt))
        return draws.tensor(excerpts)


@register("amplitude_noise")
@dataclass(kw_only=True)
class AmplitudeNoise(Augmentation):
    """Add |N(0, std)| to the amplitude of each cell of the features (a teacher's view in DCASE 2019)."""

    domain = "features"
    std: float

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        amplitude = to_amplitude(clips.features, self.setup.scale)
        noise = self.std * draws.normal(amplitude.shape).abs()
        return replace(clips, features=from_amplitude(amplitude + noise, self.setup.scale))


@register("speed")
@dataclass(kw_only=True)
class Speed(Augmentation):
    """Play clips by a factor between two faster (shorter, higher) or slower; their frame targets move with them.

    Where there are frame targets, clip targets become what the window then holds.
    """

    factor: tuple[float, float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.5 <= min(self.factor) <= max(self.factor) <= 2:
            raise UsageError(f"factor is {self.factor}, expected two factors from 0.5 to 2")
        self.stretch = max(1.0, *self.factor)

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        rate, speed = self.setup.sample_rate, draws.host.uniform(*self.factor, len(clips))
        waveform = clips.waveform.cpu().numpy()
        played = np.zeros_like(waveform)
        for x, y, factor in zip(waveform, played, speed, strict=True):
            whole = soxr.resample(x, rate * factor, rate, quality="HQ")[: len(y)]
            y[: len(whole)] = whole
        frames = self.setup.frames or self.setup.grid.n_frames(self.setup.samples / rate)
        n_frames = (clips.n_frames / draws.tensor(speed) - 1e-3).ceil().long().clamp(max=frames)
        target, clip_target = clips.frame_target, clips.clip_target
        if target is not None:
            target = _played(target, speed, draws)
            if clip_target is not None:
                covered_s = (target[:, :frames] > 0).sum(1) * self.setup.grid.frame_s
                clip_target = target[:, :frames].amax(1) * (covered_s > self.setup.least_s)
        return replace(
            clips, n_frames=n_frames, clip_target=clip_target, frame_target=target, waveform=draws.tensor(played)
        )


def _played(target: Tensor, speed: NDArray[np.float64], draws: Draws) -> Tensor:
    """Move (clips, frames, classes): frame k of a played clip holds what [k, k + 1) * speed held, whole or in part."""
    clips, frames, _ = target.shape
    # Rounding must not let a product that is a whole number touch one frame more.
    first = np.floor(np.arange(frames) * speed[:, None] + 1e-6).astype(np.int64)
    last = np.ceil(np.arange(1, frames + 1) * speed[:, None] - 1e-6).astype(np.int64)
    clip, moved = draws.tensor(np.arange(clips)[:, None]), target.new_zeros(target.shape)
    for source in (first + further for further in range(math.ceil(speed.max()) + 1)):
        inside = draws.tensor((source < last) & (source < frames))[:, :, None]
        moved = moved.maximum(target[clip, draws.tensor(source.clip(max=frames - 1))] * inside)
    return moved


@register("pitch")
@dataclass(kw_only=True)
class Pitch(Augmentation):
    """Shift the pitch by one of some numbers of semitones at unchanged tempo, by librosa's phase vocoder."""

    semitones: list[float]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.semitones or not all(0 < abs(s) <= 12 for s in self.semitones):
            raise UsageError(f"semitones is {self.semitones}, expected some, up to 12 either way, not 0")

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        # librosa takes seconds to load: only those who shift pitches wait for it.
        from librosa.effects import pitch_shift

        shift = draws.host.choice(self.semitones, len(clips))
        waveform = clips.waveform.cpu().numpy()
        for n_steps in np.unique(shift):
            rows = shift == n_steps
            waveform[rows] = pitch_shift(waveform[rows], sr=self.setup.sample_rate, n_steps=n_steps, res_type="soxr_hq")
        return replace(clips, waveform=draws.tensor(waveform))


@register("mixup")
@dataclass(kw_only=True)
class Mixup(Augmentation):
    """Replace clips by weighted means with another clip of the batch each (Zhang et al., ICLR 2018).

    Attributes
    ----------
    alpha : the clip's own weight is drawn from Beta(alpha, alpha).
    hard : a class is active where it is in either clip; else labels are mixed like the sounds.
    of : what is mixed, `waveform`, `features`, or the `amplitude` of features on any scale; embeddings as they are.
    draw : partner, weight and whether at all of each `clip`, or whether and weight once for the `batch` (published).
    embeddings : mixed as the `same` sounds; `kept` as they are, so that they are of one sound and the labels of two
        (baseline of DCASE 2023); `apart`, with partners and a weight of their own, by which labels that are mixed are
        mixed again (2024).
    """

    alpha: float = 0.2
    hard: bool = False
    of: str = "waveform"
    draw: Literal["clip", "batch"] = "clip"
    embeddings: Literal["same", "kept", "apart"] = "same"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha <= 0 or self.of not in ("waveform", "features", "amplitude"):
            raise UsageError(
                f"alpha is {self.alpha:g} and of {self.of!r}, expected above 0 and waveform, features or amplitude"
            )
        if self.embeddings == "apart" and self.draw == "clip":
            raise UsageError("embeddings is apart and draw clip, expected draw: batch, of which all clips are mixed")
        self.domain = "waveform" if self.of == "waveform" else "features"

    def drawn(self, clips: int, draws: Draws) -> NDArray[np.intp]:
        if self.draw == "clip":
            return super().drawn(clips, draws)
        return np.arange(clips if draws.host.random() < self.probability else 0)

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        mixed = self._mixed(clips, batch, draws, [self.domain], self.embeddings == "same")
        return self._mixed(mixed, mixed, draws, [], True) if self.embeddings == "apart" else mixed

    def _mixed(
        self, clips: StreamBatch, batch: StreamBatch, draws: Draws, sounds: list[str], embeddings: bool
    ) -> StreamBatch:
        """Mix labels, the fields `sounds` and the embeddings of clips with those of others of the batch."""
        partner = draws.tensor(draws.host.permutation(len(batch))[: len(clips)])
        others = batch.map(lambda x: x[partner])
        weight = draws.tensor(draws.host.beta(self.alpha, self.alpha, len(clips) if self.draw == "clip" else 1))

        def mean_of(x: Tensor, y: Tensor) -> Tensor:
            return y + weight.view(-1, *[1] * (x.ndim - 1)) * (x - y)

        def mixed(name: str) -> Tensor | None:
            x, y = getattr(clips, name), getattr(others, name)
            if x is None:
                return None
            if self.hard and name.endswith("target"):
                return x.maximum(y)
            amplitude = name == "features" and self.of == "amplitude"
            if amplitude:
                x, y = to_amplitude(x, self.setup.scale), to_amplitude(y, self.setup.scale)
            return from_amplitude(mean_of(x, y), self.setup.scale) if amplitude else mean_of(x, y)

        changed: dict[str, Any] = {name: mixed(name) for name in (*sounds, "clip_target", "frame_target")}
        if clips.class_mask is not None:
            changed["class_mask"] = clips.class_mask & others.class_mask
        if embeddings:
            changed["embeddings"] = {name: mean_of(x, others.embeddings[name]) for name, x in clips.embeddings.items()}
        return replace(clips, n_frames=clips.n_frames.maximum(others.n_frames), **changed)


@register("time_shift")
@dataclass(kw_only=True)
class TimeShift(Augmentation):
    """Roll the real frames of clips, and their frame targets, by up to `most_s` seconds either way."""

    domain = "features"
    moves = True
    most_s: float

    def change(self, clips: StreamBatch, batch: StreamBatch, draws: Draws) -> StreamBatch:
        most = self.setup.grid.n_frames(self.most_s)
        shift = draws.tensor(draws.host.integers(-most, most + 1, (len(clips), 1)))
        frame, real = draws.tensor(np.arange(clips.features.shape[1])), clips.n_frames[:, None]
        source = ((frame - shift) % real).where(frame < real, frame)
        clip, target = draws.tensor(np.arange(len(clips))[:, None]), clips.frame_target
        return replace(
            clips,
            features=clips.features[clip, source],
            frame_target=None if target is None else target[clip, source],
        )


def quiet_stretches(
    data: DataDir, sample_rate: int, least_s: float, folds: list[str] | None = None
) -> list[NDArray[np.float32]]:
    """Return the stretches of at least `least_s` seconds of a set's recordings in which none of its classes is active.

    Of all recordings, or those of some folds.

    Raises
    ------
    SedkitError
        No events, or no such stretch.
    """
    if not data.has_strong:
        raise UsageError(f"{data.path}: has no events, so that nobody knows where it is quiet (augment.background.set)")
    events, stretches = data.strong(), []
    for clip in data.select(folds):
        duration_s = data.clips.duration_s[clip]
        onset_s, offset_s = events.onset_s[events.clip == clip], events.offset_s[events.clip == clip]
        order = np.argsort(onset_s)
        # From the latest end so far to the next onset.
        ended = np.concatenate([[0.0], np.maximum.accumulate(offset_s[order])])
        gaps = np.stack([ended, np.append(onset_s[order], duration_s)], axis=1)
        gaps = gaps[gaps[:, 1] - gaps[:, 0] >= least_s]
        if len(gaps):
            waveform = read_audio(data.audio_path(clip), sample_rate)
            pieces = [waveform[first:last] for first, last in np.rint(gaps * sample_rate).astype(int)]
            # A recording may be shorter than the table of clips says.
            stretches += [piece for piece in pieces if len(piece) >= round(least_s * sample_rate) - 1]
    if not stretches:
        raise SedkitError(f"{data.path}: no stretch of {least_s:.2f} s without an event (augment.background.set)")
    return stretches
