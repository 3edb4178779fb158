"""The amplitude behind features on any scale of `sedkit.dataio.store.SCALES`. Importable without torch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sedkit.core.errors import SedkitError

if TYPE_CHECKING:
    from torch import Tensor

#: x = factor * log10(amplitude) on the logarithmic scales, x = amplitude ** power on the others.
_PER_DECADE = {"db_power": 20.0, "db_amplitude": 20.0, "ln_magnitude": math.log(10), "ln_power": 2 * math.log(10)}
_POWER = {"power": 2.0, "magnitude": 1.0}


def _check(scale: str) -> None:
    if scale not in _PER_DECADE and scale not in _POWER:
        raise SedkitError(f"features of the scale {scale} have no amplitude, which an augmentation or a level needs")


def to_amplitude(features: Tensor, scale: str) -> Tensor:
    """Return the amplitude of features on a scale (numpy arrays will do as well)."""
    _check(scale)
    return 10 ** (features / _PER_DECADE[scale]) if scale in _PER_DECADE else features ** (1 / _POWER[scale])


def amplified(features: Tensor, gain_db: Tensor, scale: str) -> Tensor:
    """Return the features on a scale of an amplitude that is `gain_db` (dB, of a shape that broadcasts) higher."""
    _check(scale)
    if scale in _PER_DECADE:
        return features + gain_db * (_PER_DECADE[scale] / 20)
    return features * 10 ** (gain_db * (_POWER[scale] / 20))


def from_amplitude(amplitude: Tensor, scale: str) -> Tensor:
    """Return the features on a scale; amplitudes below -600 dB count as that much."""
    if scale in _PER_DECADE:
        return amplitude.clamp(min=1e-30).log10() * _PER_DECADE[scale]
    return amplitude ** _POWER[scale]
