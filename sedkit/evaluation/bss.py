"""BSS-eval v3 figures of separated sounds: SDR, SIR, SAR (Vincent et al., IEEE TASLP 14 (4), 2006).

An estimate e is split by projections. P e lies in the span of the delayed references of all sources, 0 to `taps` - 1
samples, and P_j e in that of source j alone:

    SDR = |P_j e|^2 / |e - P_j e|^2,  SIR = |P_j e|^2 / |P e - P_j e|^2,  SAR = |P e|^2 / |e - P e|^2

Both need only correlations of at most `taps` samples, and one factorisation serves all estimates of a mixture.
There is no search for a permutation: what an estimate is one of is known. Only the reference's other sources enter an
estimate's figures, not the other estimates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError

Doubles = NDArray[np.float64]

#: Figures, in the order of the last axis.
FIGURES = ("sdr", "sir", "sar")
#: No figure is above this, nor below its negative: what is nearer to perfect is rounding.
LIMIT_DB = 100.0
#: Added to the references' energy: keeps silence and pure tones solvable. 1e-10 is below 16 bits.
_LOADING = 1e-10
#: Correlations go by transforms of so many times `taps` samples, and by so many blocks of it at a time.
_LONGEST, _BLOCKS = 8, 128


@dataclass(frozen=True)
class References:
    """The sources of one mixture, ready for any number of estimates.

    Attributes
    ----------
    taps
        Taps by which an estimate may differ from its reference.
    sounding
        (sources,) bool: which have figures; what is silent or constant is left out altogether.
    """

    taps: int
    sounding: NDArray[np.bool_]
    _sources: NDArray[np.floating]
    _alone: tuple[Any, ...]
    _together: Any

    @classmethod
    def of(cls, sources: NDArray[np.floating], taps: int = 512) -> References:
        """Prepare sources, (sources, samples)."""
        from scipy.linalg import cho_factor

        if taps < 1:
            raise SedkitError(f"a filter of {taps} taps, expected at least 1")
        sounding = np.ptp(sources, axis=1) > 0
        sources = sources[sounding]
        lags = _correlations(sources, sources, taps)
        n = len(sources)
        energies = lags[np.arange(n), np.arange(n), 0]
        # r_ij(-m) = r_ji(m): sum over t of s_i(t - a) s_j(t - b) is r_ij(a - b).
        both = np.concatenate([lags[..., :0:-1].swapaxes(0, 1), lags], axis=2)
        delayed = np.lib.stride_tricks.sliding_window_view(both, taps, axis=2)[..., ::-1]
        gram, delay = delayed.swapaxes(1, 2).copy(), np.arange(taps)
        for i, energy in enumerate(energies):
            gram[i, delay, i, delay] += _LOADING * energy
        alone = tuple(cho_factor(gram[i, :, i], lower=True) for i in range(n))
        whole = gram.reshape(n * taps, n * taps)
        together = cho_factor(whole.T, lower=True, overwrite_a=True, check_finite=False) if n else None
        return cls(taps, sounding, sources, alone, together)

    def figures(
        self, estimates: NDArray[np.floating], source: NDArray[np.integer], estimate: NDArray[np.integer] | None = None
    ) -> Doubles:
        """Return the figures of estimates in dB.

        Parameters
        ----------
        estimates
            (estimates, samples).
        source
            (rows,) which source each row is about.
        estimate
            (rows,) which of the estimates stands for it; None: each for one.

        Returns
        -------
        (rows, 3) `FIGURES`. NaN where a source or an estimate is silent or constant; SIR is NaN where the source is the
        only one.
        """
        from scipy.linalg import cho_solve

        samples = self._sources.shape[1]
        if estimates.ndim != 2 or estimates.shape[1] != samples:
            raise SedkitError(f"estimates of shape {estimates.shape}, expected (estimates, {samples})")
        estimate = np.arange(len(estimates)) if estimate is None else estimate
        out, heard = np.full((len(source), 3), np.nan), np.ptp(estimates, axis=1) > 0
        rows = np.flatnonzero(self.sounding[source] & heard[estimate])
        if not len(rows):
            return out
        own, of = (np.cumsum(self.sounding) - 1)[source[rows]], (np.cumsum(heard) - 1)[estimate[rows]]
        estimates = estimates[heard]
        energy = np.array([np.square(e, dtype=np.float64).sum() for e in estimates])[of]
        # (sources, estimates, taps)
        against = _correlations(self._sources, estimates, self.taps)
        flat = against.swapaxes(0, 1).reshape(len(estimates), -1)
        whole = np.einsum("ed,de->e", flat, cho_solve(self._together, flat.T))[of]
        true = np.array(
            [against[j, i] @ cho_solve(self._alone[j], against[j, i]) for i, j in zip(of, own, strict=True)]
        )
        out[rows, 0] = _decibel(true, energy - true)
        if len(self._alone) > 1:
            out[rows, 1] = _decibel(true, whole - true)
        out[rows, 2] = _decibel(whole, energy - whole)
        return out


def _decibel(signal: Doubles, noise: Doubles) -> Doubles:
    least = 10.0 ** (-LIMIT_DB / 10.0) * (np.abs(signal) + np.abs(noise))
    return np.asarray(10.0 * np.log10(np.maximum(signal, least) / np.maximum(noise, least)))


def _correlations(x: NDArray[np.floating], y: NDArray[np.floating], taps: int) -> Doubles:
    """Return sum over t of x(t) y(t + m), m from 0 to `taps` - 1: (x, samples) and (y, samples) to (x, y, taps)."""
    from scipy.fft import irfft

    n_fft, samples = _LONGEST * taps, x.shape[1]
    hop = n_fft - taps
    out = np.zeros((n_fft // 2 + 1, len(x), len(y)), dtype=np.complex128)
    for first in range(0, samples, _BLOCKS * hop):
        blocks = min(_BLOCKS, -(-(samples - first) // hop))
        ours = _spectra(x[:, first:], blocks, hop, n_fft, alone=True)
        out += ours.conj() @ _spectra(y[:, first:], blocks, hop, n_fft).swapaxes(1, 2)
    return np.asarray(irfft(out, n_fft, axis=0)[:taps].transpose(1, 2, 0))


def _spectra(
    signals: NDArray[np.floating], blocks: int, hop: int, n_fft: int, *, alone: bool = False
) -> NDArray[np.complex128]:
    """Return spectra of blocks of `hop` samples, each with what follows it unless `alone`: (bins, signals, blocks)."""
    from scipy.fft import rfft

    padded = np.zeros((len(signals), (blocks - 1) * hop + n_fft))
    there = signals[:, : padded.shape[1]]
    padded[:, : there.shape[1]] = there
    cut = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=1)[:, ::hop]
    if alone:
        cut = cut.copy()
        cut[..., hop:] = 0
    # Along the first axis, so that a bin's signals and blocks come out as the matrix that products take.
    return np.asarray(rfft(cut.transpose(2, 0, 1), axis=0))
