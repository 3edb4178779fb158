"""Parameters that metrics share with their engines and judges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sedkit.core.options import option


@dataclass(frozen=True)
class EventParameters:
    """Tolerances: `collar_s` in seconds, `offset_fraction` of the reference event's length."""

    collar_s: float = option(
        0.2, "--collar", "event-based: tolerance of times in seconds (0.2)", within=(1e-6, 1e6), metavar="S"
    )
    offset_fraction: float = option(
        0.2, "--offset-fraction", "event-based: offset tolerance as a share of the length (0.2)", metavar="X"
    )


@dataclass(frozen=True)
class SegmentParameters:
    """`segment_s`: length of a segment in seconds."""

    segment_s: float = option(
        1.0, "--segment", "segment-based: length of a segment in seconds (1.0)", within=(1e-3, 1e6), metavar="S"
    )


@dataclass(frozen=True)
class IntersectionParameters:
    """Shares of length: detection tolerance `dtc`, reference coverage `gtc`, cross trigger `cttc`."""

    dtc: float = option(0.5, "--dtc", "intersection-based: detection tolerance (0.5)", metavar="X")
    gtc: float = option(0.5, "--gtc", "intersection-based: reference coverage (0.5)", metavar="X")
    cttc: float = option(
        0.3,
        "--cttc",
        "intersection-based: cross-trigger tolerance (0.3); no part in F1, given with the parameters",
        metavar="X",
    )

    @property
    def limits(self) -> tuple[float, float, float]:
        """The shares as compiled code takes them."""
        return float(self.dtc), float(self.gtc), float(self.cttc)


CrossTriggers = Literal["0.5.3", "0.3.0"]


@dataclass(frozen=True)
class PsdsParameters:
    """Criteria, weights (`alpha_ct`, `alpha_st`), `max_efpr` per hour, and psds_eval's version."""

    dtc: float
    gtc: float
    cttc: float | None = None
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    max_efpr: float = 100.0
    cross_triggers: CrossTriggers = "0.5.3"

    @property
    def criteria(self) -> IntersectionParameters:
        """The intersection criteria; without `cttc` the value is of no consequence."""
        return IntersectionParameters(self.dtc, self.gtc, 1.0 if self.cttc is None else self.cttc)


#: The two scenarios of DCASE 2021 to 2024 task 4.
PSDS1 = PsdsParameters(dtc=0.7, gtc=0.7)
PSDS2 = PsdsParameters(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5)


@dataclass(frozen=True)
class MaskParameters:
    """`clips`: how many of the clips figures of masks are of, evenly spread over them; None is all."""

    clips: int | None = option(
        None,
        "--mask-clips",
        "segmentation, separation: of so many clips alone, evenly spread (all; separation 20)",
        within=(1, 1e9),
        whole=True,
        metavar="N",
    )

    def chosen(self, filenames: tuple[str, ...]) -> tuple[str, ...]:
        """Return the clips, in their order."""
        n = len(filenames) if self.clips is None else min(self.clips, len(filenames))
        return tuple(filenames[i * len(filenames) // n] for i in range(n))
