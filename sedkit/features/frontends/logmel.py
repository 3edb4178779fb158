"""Mel spectrograms: a batched short-time Fourier transform, a banded mel product, a logarithm.

The transform is double by default. In single precision the rounding of a loud tone lies 130 dB below it: that is 0.1
to 0.25 dB of error in cells near the floor of -100 dB, which double precision with a single precision mel product
avoids (2e-5 dB).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.timegrid import TimeGrid
from sedkit.features.frontends import Framing, FrontEnd, register
from sedkit.features.mel import mel_bank
from sedkit.features.spectra import Spectra, filtered


@register("logmel")
@dataclass(frozen=True)
class LogMel(FrontEnd):
    """Log-mel spectrogram; the defaults are those of the DCASE 2019 task 4 CNNs (640 frames of 1/64 s).

    Parameters
    ----------
    sample_rate : Hz; recordings are resampled to it.
    n_fft : samples of a transform.
    win_length : samples of the window, centred in the transform; None means `n_fft`.
    hop_samples : samples from frame to frame.
    window : "hann" or "hamming".
    window_symmetric : True as numpy.hanning, False as librosa and torch (periodic).
    window_unit_energy : divide the window by the root of its energy, as scipy.signal.spectrogram's density scaling.
    centre : frame k is centred on sample k * hop_samples; False: it begins there.
    pad_mode : what a centred frame sees beyond the ends: "reflect" or "constant" (zeros).
    spectrum : "power" (squared magnitude) or "magnitude", before the mel product.
    n_mels, fmin_hz, fmax_hz : filters and their range; None means half the rate.
    mel_scale : "slaney", "htk", or "kaldi", a filter of which holds 0 where it lies between two bins of the transform.
    mel_norm : "slaney" (equal area) or "none" (equal height).
    log : "db" (10 log10 of power or 20 log10 of magnitude, of at least `floor`), "ln" (ln(x + floor)), "ln_clip" (ln of
        at least `floor`) or "none".
    floor : see `log`.
    clip_s : seconds that a shorter recording is padded with zeros to; a longer one keeps its length.
    end_frame : keep the frame centred on the very end too (1 + samples // hop_samples in all, as librosa and torch);
        else as many frames as hops cover the recording.
    edges : what the frames at a window's edges see beyond it: "recording" (the sound around it, so that its features
        are a slice of the recording's) or "window" (each window is transformed on its own).
    """

    sample_rate: int = 32000
    n_fft: int = 1024
    win_length: int | None = None
    hop_samples: int = 500
    window: Literal["hann", "hamming"] = "hann"
    window_symmetric: bool = True
    window_unit_energy: bool = False
    centre: bool = True
    pad_mode: Literal["reflect", "constant"] = "reflect"
    spectrum: Literal["power", "magnitude"] = "power"
    n_mels: int = 64
    fmin_hz: float = 50.0
    fmax_hz: float | None = 14000.0
    mel_scale: Literal["slaney", "htk", "kaldi"] = "slaney"
    mel_norm: Literal["slaney", "none"] = "slaney"
    log: Literal["db", "ln", "ln_clip", "none"] = "db"
    floor: float = 1e-10
    clip_s: float | None = 10.0
    end_frame: bool = False
    edges: Literal["recording", "window"] = "recording"

    def __post_init__(self) -> None:
        for key in ("sample_rate", "n_fft", "hop_samples", "n_mels"):
            if getattr(self, key) < 1:
                raise UsageError(f"{key} is {getattr(self, key)}, expected at least 1")
        if self.win_length is not None and not 1 <= self.win_length <= self.n_fft:
            raise UsageError(f"win_length is {self.win_length}, expected 1 to n_fft = {self.n_fft}")
        if not 0 <= self.fmin_hz < self.highest_hz <= self.sample_rate / 2:
            raise UsageError(
                f"fmin_hz {self.fmin_hz:g} and fmax_hz {self.highest_hz:g}, expected 0 <= fmin_hz < fmax_hz <= "
                f"{self.sample_rate / 2:g}, half of sample_rate"
            )
        if self.log != "none" and self.floor <= 0:
            raise UsageError(f"floor is {self.floor:g}, expected above 0 for a logarithm")
        if self.clip_s is not None and self.clip_s <= 0:
            raise UsageError(f"clip_s is {self.clip_s:g}, expected above 0 (or null for whole clips)")
        empty = np.flatnonzero(~self._bank.any(axis=0))
        if empty.size and self.mel_scale != "kaldi":
            raise UsageError(
                f"{empty.size} of n_mels {self.n_mels} filters lie between two bins of n_fft {self.n_fft}, expected "
                "fewer filters or a longer transform"
            )

    @property
    def grid(self) -> TimeGrid:
        return TimeGrid(self.sample_rate, self.hop_samples)

    @property
    def n_bins(self) -> int:
        return self.n_mels

    @property
    def scale(self) -> str:
        if self.log == "none":
            return self.spectrum
        unit = self.log.removesuffix("_clip")
        return f"{unit}_{'amplitude' if (unit, self.spectrum) == ('db', 'magnitude') else self.spectrum}"

    @cached_property
    def padding(self) -> float:
        return float(self._compress(np.zeros(1, dtype=np.float32))[0])

    @property
    def highest_hz(self) -> float:
        return self.sample_rate / 2 if self.fmax_hz is None else self.fmax_hz

    @property
    def clip_frames(self) -> int | None:
        return None if self.clip_s is None else self.frames_for(self.clip_s)

    @property
    def framing(self) -> Framing:
        return Framing(self._window, -(self.n_fft // 2) if self.centre else 0, self.hop_samples, self._bank)

    @property
    def sliceable(self) -> bool:
        return self.edges == "recording"

    def frames_for(self, duration_s: float) -> int:
        return self._n_frames(self._samples(round(duration_s * self.sample_rate)))

    def window_samples(self, length: int) -> int:
        return (length - 1) * self.hop_samples + self.n_fft if self.sliceable else length

    @property
    def margins(self) -> tuple[int, int]:
        side = self.n_fft // 2 if self.centre and self.sliceable else 0
        return side, side

    def pad(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._padded(waveform, self._samples(len(waveform))) if self.sliceable else waveform

    def transform_windows(self, waveform: NDArray[np.floating]) -> NDArray[np.float32]:
        return self._inside.transform(waveform)

    def transform(self, waveform: NDArray[np.floating], precision: str = "double") -> NDArray[np.float32]:
        if waveform.ndim != 2:
            raise SedkitError(f"waveform of shape {waveform.shape}, expected (batch, samples)")
        samples = self._samples(waveform.shape[1])
        out = np.empty((len(waveform), self._n_frames(samples), self.n_mels), dtype=np.float32)
        magnitude = self.spectrum == "magnitude"
        for clip, target in zip(waveform, out, strict=True):
            padded = self._padded(clip, samples)
            filtered(padded, self._spectra[precision], self.n_fft, self.hop_samples, target, magnitude)
        return self._compress(out)

    def _samples(self, samples: int) -> int:
        """Return the length of a recording, padding included."""
        return max(1, samples, round((self.clip_s or 0.0) * self.sample_rate))

    def _n_frames(self, samples: int) -> int:
        most = self._whole_frames(samples)
        return most if self.end_frame else min(most, -(-samples // self.hop_samples))

    def _whole_frames(self, samples: int) -> int:
        """Return how many frames lie in a recording and what it is padded with."""
        sides = 2 * (self.n_fft // 2) if self.centre else 0
        return 1 + max(0, samples + sides - self.n_fft) // self.hop_samples

    @cached_property
    def _inside(self) -> LogMel:
        """The front end of windows, which see what is around them (`pad`)."""
        return replace(self, centre=False, clip_s=None, end_frame=True) if self.sliceable else self

    def _padded(self, clip: NDArray[np.floating], samples: int) -> NDArray[np.floating]:
        """Return what the frames see: the clip at `samples`, with half a transform on each side if centred."""
        clip = clip[:samples]
        side = self.n_fft // 2 if self.centre else 0
        samples = max(samples, 1 if self.centre else self.n_fft)
        padded = np.empty(samples + 2 * side, dtype=clip.dtype)
        padded[:side] = 0
        padded[side : side + len(clip)] = clip
        padded[side + len(clip) :] = 0
        if side and self.pad_mode == "reflect":
            if samples <= side:
                return np.pad(padded[side : side + samples], side, mode="reflect")
            padded[:side] = padded[2 * side : side : -1]
            padded[-side:] = padded[samples + side - 2 : samples - 2 : -1]
        return padded

    def _compress(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        if self.log == "none":
            return mel
        if self.log == "ln":
            np.add(mel, np.float32(self.floor), out=mel)
            return np.log(mel, out=mel)
        np.maximum(mel, np.float32(self.floor), out=mel)
        if self.log == "ln_clip":
            return np.log(mel, out=mel)
        np.log10(mel, out=mel)
        return np.multiply(mel, np.float32(10 if self.spectrum == "power" else 20), out=mel)

    @cached_property
    def _window(self) -> NDArray[np.float64]:
        length = self.win_length or self.n_fft
        turns = np.arange(length) / max(1, length - 1 if self.window_symmetric else length)
        raised = 0.5 if self.window == "hann" else 0.54
        window = raised - (1 - raised) * np.cos(2 * np.pi * turns)
        if self.window_unit_energy:
            window /= np.sqrt(np.sum(window**2))
        before = (self.n_fft - length) // 2
        return np.pad(window, (before, self.n_fft - length - before))

    @cached_property
    def _bank(self) -> NDArray[np.float64]:
        return mel_bank(
            self.sample_rate, self.n_fft, self.n_mels, self.fmin_hz, self.highest_hz, self.mel_scale, self.mel_norm
        )

    @cached_property
    def _spectra(self) -> Spectra:
        return Spectra(self._window, self.n_fft, self._bank)
