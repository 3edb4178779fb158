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
#: Blocks of `taps` samples at a time.
_BLOCKS = 1024


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
        delay = np.arange(taps)
        gram = both[:, :, delay[:, None] - delay[None, :] + taps - 1].swapaxes(1, 2)
        for i, energy in enumerate(energies):
            gram[i, delay, i, delay] += _LOADING * energy
        alone = tuple(cho_factor(gram[i, :, i], lower=True) for i in range(n))
        together = cho_factor(gram.reshape(n * taps, n * taps), lower=True) if n else None
        return cls(taps, sounding, sources, alone, together)

    def figures(self, estimates: NDArray[np.floating], source: NDArray[np.integer]) -> Doubles:
        """Return the figures of estimates in dB.

        Parameters
        ----------
        estimates
            (estimates, samples).
        source
            (estimates,) which source each is an estimate of.

        Returns
        -------
        (estimates, 3) `FIGURES`. NaN where a source or an estimate is silent or constant; SIR is NaN where the source
        is the only one.
        """
        from scipy.linalg import cho_solve

        samples = self._sources.shape[1]
        if estimates.ndim != 2 or estimates.shape[1] != samples:
            raise SedkitError(f"estimates of shape {estimates.shape}, expected (estimates, {samples})")
        out = np.full((len(estimates), 3), np.nan)
        rows = np.flatnonzero(self.sounding[source] & (np.ptp(estimates, axis=1) > 0))
        if not len(rows):
            return out
        own = (np.cumsum(self.sounding) - 1)[source[rows]]
        energy = np.array([np.square(e, dtype=np.float64).sum() for e in estimates[rows]])
        # (sources, estimates, taps)
        against = _correlations(self._sources, estimates[rows], self.taps)
        flat = against.swapaxes(0, 1).reshape(len(rows), -1)
        whole = np.einsum("ed,de->e", flat, cho_solve(self._together, flat.T))
        true = np.array([against[j, i] @ cho_solve(self._alone[j], against[j, i]) for i, j in enumerate(own)])
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
    from scipy.fft import irfft, rfft

    out = np.zeros((taps + 1, len(x), len(y)), dtype=np.complex128)
    step = _BLOCKS * taps
    for first in range(0, x.shape[1], step):
        # What a block of x meets at these lags: the same block of y and the next.
        theirs = _blocks(y[:, first : first + step + taps], taps)
        ours = _blocks(x[:, first : first + step], taps)
        pairs = np.concatenate([theirs[:, :-1], theirs[:, 1:]], axis=2)[:, : ours.shape[1] - 1]
        spectra = rfft(ours[:, :-1], 2 * taps)
        out += spectra.conj().transpose(2, 0, 1) @ rfft(pairs).transpose(2, 1, 0)
    return np.asarray(irfft(out, 2 * taps, axis=0)[:taps].transpose(1, 2, 0))


def _blocks(signals: NDArray[np.floating], taps: int) -> Doubles:
    """Cut signals (n, samples) into blocks, (n, blocks + 1, taps); the last is silence."""
    n, samples = signals.shape
    padded = np.zeros((n, (-(-samples // taps) + 1) * taps))
    padded[:, :samples] = signals
    return padded.reshape(n, padded.shape[1] // taps, taps)
