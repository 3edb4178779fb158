"""Log-mel filter banks as Kaldi's `compute-fbank-feats` gives them without dither, which several networks expect."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.features.frontends import Framing, FrontEnd, register
from sedkit.features.mel import mel_bank
from sedkit.features.spectra import Spectra, filtered

# Of Kaldi's window.
_POVEY = 0.85


@register("kaldi_fbank")
@dataclass(frozen=True)
class KaldiFbank(FrontEnd):
    """Natural logarithm of mel powers; the defaults are those of BEATs (998 frames of 10 s).

    Of each frame the mean is subtracted, then `preemphasis` times the sample before (the first sample's own); the
    window; the power spectrum of the next power of two of samples under triangles that are straight in mel. A filter
    between two bins of the transform holds `floor`, as in Kaldi (so do some of the lowest ones of the defaults).

    Parameters
    ----------
    sample_rate : Hz; recordings are resampled to it.
    frame_samples, hop_samples : of a frame, and from frame to frame; frame k begins at sample k * hop_samples.
    window : "povey", a symmetric Hann window to the power of 0.85, or "hann".
    n_mels, fmin_hz, fmax_hz : filters and their range; None means half the rate.
    preemphasis : share of the sample before.
    gain : what samples (full scale 1) are multiplied with first; Kaldi counts in steps of 16 bits.
    floor : least power.
    clip_s : seconds that a shorter recording is padded with zeros to; a longer one keeps its length.
    """

    sample_rate: int = 16000
    frame_samples: int = 400
    hop_samples: int = 160
    window: Literal["povey", "hann"] = "povey"
    n_mels: int = 128
    fmin_hz: float = 20.0
    fmax_hz: float | None = None
    preemphasis: float = 0.97
    gain: float = 32768.0
    floor: float = 2.0**-23
    clip_s: float | None = 10.0

    def __post_init__(self) -> None:
        for key in ("sample_rate", "frame_samples", "hop_samples", "n_mels"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} is {getattr(self, key)}, expected at least 1")
        if not 0 <= self.fmin_hz < self.highest_hz <= self.sample_rate / 2:
            raise UsageError(
                f"fmin_hz {self.fmin_hz:g} and fmax_hz {self.highest_hz:g}, expected 0 <= fmin_hz < fmax_hz <= "
                f"{self.sample_rate / 2:g}, half of sample_rate"
            )
        for key in ("gain", "floor"):
            if getattr(self, key) <= 0:
                raise UsageError(f"{key} is {getattr(self, key):g}, expected above 0")
        if self.clip_s is not None and self.clip_s <= 0:
            raise UsageError(f"clip_s is {self.clip_s:g}, expected above 0 (or null for whole clips)")

    @property
    def grid(self) -> TimeGrid:
        return TimeGrid(self.sample_rate, self.hop_samples)

    @property
    def n_bins(self) -> int:
        return self.n_mels

    @property
    def scale(self) -> str:
        return "ln_power"

    @property
    def padding(self) -> float:
        return float(np.log(np.float32(self.floor)))

    @property
    def highest_hz(self) -> float:
        return self.sample_rate / 2 if self.fmax_hz is None else self.fmax_hz

    @property
    def clip_frames(self) -> int | None:
        return None if self.clip_s is None else self.frames_for(self.clip_s)

    @property
    def framing(self) -> Framing:
        # Preemphasis is left out: a mask is laid over a spectrogram frame by frame and bin by bin.
        window = np.zeros(self._n_fft)
        window[: self.frame_samples] = self._window
        return Framing(window, 0, self.hop_samples, self._bank)

    def frames_for(self, duration_s: float) -> int:
        return self._n_frames(self._samples(round(duration_s * self.sample_rate)))

    def window_samples(self, length: int) -> int:
        return (length - 1) * self.hop_samples + self.frame_samples

    def pad(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        missing = self._samples(len(waveform)) - len(waveform)
        return np.pad(waveform, (0, missing)) if missing else waveform

    def transform_windows(self, waveform: NDArray[np.floating]) -> NDArray[np.float32]:
        return self._transformed(waveform, max(waveform.shape[1], self.frame_samples), "double")

    def transform(self, waveform: NDArray[np.floating], precision: str = "double") -> NDArray[np.float32]:
        if waveform.ndim != 2:
            raise SedkitError(f"waveform of shape {waveform.shape}, expected (batch, samples)")
        return self._transformed(waveform, self._samples(waveform.shape[1]), precision)

    def _transformed(self, waveform: NDArray[np.floating], samples: int, precision: str) -> NDArray[np.float32]:
        out = np.empty((len(waveform), self._n_frames(samples), self.n_mels), dtype=np.float32)
        for clip, target in zip(waveform, out, strict=True):
            padded = np.pad(clip, (0, samples - len(clip)))
            spectrum = self._spectra[precision]
            filtered(padded, spectrum, self.frame_samples, self.hop_samples, target, prepare=self._prepare)
        np.maximum(out, np.float32(self.floor), out=out)
        return np.log(out, out=out)

    def _prepare(self, frames: NDArray[np.floating]) -> None:
        frames -= frames.mean(axis=1, keepdims=True)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        before *= self.preemphasis
        frames -= before

    def _samples(self, samples: int) -> int:
        """Return the length of a recording, padding included: at least a frame."""
        return max(self.frame_samples, samples, round((self.clip_s or 0.0) * self.sample_rate))

    def _n_frames(self, samples: int) -> int:
        return 1 + (samples - self.frame_samples) // self.hop_samples

    @property
    def _n_fft(self) -> int:
        return 1 << (self.frame_samples - 1).bit_length()

    @cached_property
    def _window(self) -> NDArray[np.float64]:
        return np.hanning(self.frame_samples) ** (_POVEY if self.window == "povey" else 1)

    @cached_property
    def _bank(self) -> NDArray[np.float64]:
        return mel_bank(self.sample_rate, self._n_fft, self.n_mels, self.fmin_hz, self.highest_hz, "kaldi", "none")

    @cached_property
    def _spectra(self) -> Spectra:
        return Spectra(self._window * self.gain, self._n_fft, self._bank)
