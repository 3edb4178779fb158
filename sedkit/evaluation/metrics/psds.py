"""PSDS of both scenarios, from operating points or exactly from scores.

`evaluation.psd_roc` holds the definition, the areas and the intervals, `evaluation.psds_exact` the sweep over every
threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import UsageError
from sedkit.core.log import log
from sedkit.core.options import option
from sedkit.evaluation.counts import Rates, Undefined
from sedkit.evaluation.inputs import Form, Output, Truth, Work
from sedkit.evaluation.judges import official_psds
from sedkit.evaluation.metrics.base import Measured, Metric, register
from sedkit.evaluation.parameters import PSDS1, PSDS2, PsdsParameters
from sedkit.evaluation.resample import Drawn, Resamples

if TYPE_CHECKING:
    from sedkit.dataio.events import Events
    from sedkit.evaluation.coverage import Ground, PointCounts

#: `exact_with_events` leaves out the clips without events, as the organisers' trainer of 2024 does.
Variant = Literal["operating_points", "exact", "exact_with_events", "operating_points_0.3.0"]
_EXACT = ("exact", "exact_with_events")
#: Below this number of operating points, noise hides between them (see `psd_roc`).
_FEW_POINTS = 5
#: Below this number of clips, intervals of the PSDS of poor systems are too narrow (see `psd_roc`).
_FEW_UNITS = 150


@dataclass(frozen=True)
class PsdsOptions:
    """`variant`: how PSDS is computed; None: from operating points where they are given, else exactly from scores."""

    variant: Variant | None = option(  # noqa: RUF009 - a field, by another name
        None, "--psds-variant", "default: operating points where given, else exact", choices=get_args(Variant)
    )


@dataclass(frozen=True)
class Areas:
    """PSDS and the classes' areas, how many operating points they are of, and the counts that resamples reweight."""

    labels: tuple[str, ...]
    value: float
    classes: dict[str, float]
    n_points: int | None
    points: Callable[[], PointCounts]


class Psds(Metric):
    """PSDS of one scenario; operating points of psds_eval 0.5.3 are judged by it."""

    scenario: ClassVar[PsdsParameters]
    primary = "value"
    clips = "durations"
    tool, tolerance = "psds_eval", 1e-5
    lacks = "--durations (PSDS)"
    below_interval = "its interval is about very many clips; on few, the official figure lies lower"
    past_end = "exact PSDS counts false positives there, psds_eval does not"

    @property
    def exact(self) -> bool:
        """Whether it is computed from scores."""
        return self.parameters.variant in _EXACT

    @property
    def reads(self) -> Form:  # type: ignore[override]
        """Scores for the exact variant, else operating points."""
        return "scores" if self.exact else "points"

    def settled(self, output: Output) -> Psds:
        """Return the variant asked for, else the one whose form of output is there."""
        variant: Variant = self.parameters.variant or ("operating_points" if output.points is not None else "exact")
        return type(self)(self.name, PsdsOptions(variant))

    def plain(self) -> Psds:
        """Return the variant of operating points."""
        return type(self)(self.name, PsdsOptions())

    def require(self, truth: Truth, output: Output) -> None:
        """Raise UsageError where durations or the variant's form of output are missing."""
        self.require_events(truth)
        if truth.durations is None:
            raise UsageError(f"--metrics {self.name} needs --durations")
        settled = self.settled(output)
        if settled.exact and output.scores is None:
            both = "" if self.exact else "--operating-points or "
            raise UsageError(f"--metrics {self.name} needs {both}--scores")
        if not settled.exact and output.points is None:
            raise UsageError(f"--metrics {self.name} of variant {self.parameters.variant} needs --operating-points")

    def offered(self, truth: Truth, output: Output) -> bool:
        """Tell whether any variant can be computed: one that is asked for in vain is an error."""
        return self.plain().can(truth, output)

    def count(self, work: Work) -> Areas:
        """Return PSDS of the clips in the settled variant."""
        from sedkit.evaluation import coverage, psd_roc

        parameters = self.criteria
        strict = parameters.cross_triggers != "0.3.0"
        every_clip = self.parameters.variant != "exact_with_events"
        # psds_eval 0.3.0 let overlapping events of one class pass.
        ground: Ground = work.once(
            ("ground", strict, every_clip), lambda: coverage.prepare(*self._scored(work, every_clip), strict)
        )
        if self.exact:
            from sedkit.evaluation.psds_exact import points_of_sweep, psds_of_sweep, sweep

            swept = sweep(ground, work.given("scores"), parameters.criteria)
            value, classes = psds_of_sweep(swept, parameters)
            return Areas(ground.labels, value, classes, None, partial(points_of_sweep, swept, parameters))
        tables = work.given("points").tables
        detections = work.once(
            ("detections", strict), lambda: coverage.join_points(ground, work.joined(*tables), strict)
        )
        points = coverage.count_detections(ground, detections, parameters.criteria)
        return Areas(ground.labels, *psd_roc.psds_value(points, parameters), len(tables), lambda: points)

    @staticmethod
    def _scored(work: Work, every_clip: bool) -> tuple[Events, Mapping[str, float]]:
        """Return the reference and durations of every clip, or of those with an event of a scored class."""
        (events,), durations = work.joined(work.events), work.truth.durations or {}
        if every_clip:
            return events, durations
        names = [events.filenames[i] for i in np.unique(events.clip)]
        return events.keep_clips(names), {name: durations[name] for name in names if name in durations}

    @property
    def criteria(self) -> PsdsParameters:
        """The scenario as the variant has it."""
        old = self.parameters.variant == "operating_points_0.3.0"
        return replace(self.scenario, cross_triggers="0.3.0" if old else "0.5.3")

    def figures(self, counts: Areas, undefined: Undefined, weights: NDArray[np.float32] | None = None) -> Rates:
        """Return PSDS and the classes' areas; of resamples PSDS alone, as it is."""
        if weights is not None:
            from sedkit.evaluation.psd_roc import psds_of_weights

            return Rates({}, single={"value": psds_of_weights(counts.points(), weights.T, self.criteria)})
        return Rates({"value": np.array(list(counts.classes.values()))}, single={"value": np.array(counts.value)})

    def resampled(self, measured: Measured, undefined: Undefined, resamples: Resamples) -> dict[str, Drawn]:
        """Return PSDS in resamples, without what sampling adds to its spread."""
        from sedkit.evaluation.psd_roc import corrected_psds, psds_value

        points, parameters = measured.counts.points(), self.criteria
        if points.n_points < _FEW_POINTS:
            log.warning("PSDS from %d operating points: intervals from fewer than 5 are too narrow", points.n_points)
        drawn = corrected_psds(points, resamples, parameters)
        # Exact PSDS is resampled on some of its thresholds; what that leaves out is the same in every resample.
        rest = measured.counts.value - psds_value(points, parameters)[0]
        return {"value": Drawn(drawn.samples + rest, drawn.estimate + rest, corrected=True)}

    def shown(self, counts: Areas) -> dict[str, Any]:
        """Return the scenario, how many operating points there were, and the variant."""
        shown = asdict(self.scenario)
        del shown["cross_triggers"]
        if counts.n_points is not None:
            shown["n_operating_points"] = counts.n_points
        return {"parameters": shown, "variant": self.parameters.variant}

    def official(self, work: Work) -> Mapping[str, Any] | None:
        """Return psds_eval's figure, for its own variant of two classes and more."""
        if self.parameters.variant != "operating_points":
            log.info("%s: variant %s has no judge of record, not compared", self.name, self.parameters.variant)
            return None
        (reference,) = work.joined(work.events)
        if len(set(reference.label.tolist())) < 2:
            log.info("%s: psds_eval 0.5.3 gives 0 for a single class, not compared", self.name)
            return None
        assert work.truth.durations is not None
        tables = work.joined(*work.given("points").tables)
        return {"value": official_psds(reference, tables, work.truth.durations, self.scenario)}

    def narrow(self, resamples: Resamples) -> str:
        """Warn of intervals from few units."""
        if resamples.n_units >= _FEW_UNITS:
            return ""
        units = f"{resamples.n_units} {resamples.described()['over']}"
        return f"intervals of PSDS from {units}: those of poor systems are too narrow from fewer than {_FEW_UNITS}"


@register("psds1", PsdsOptions)
class Psds1(Psds):
    """The scenario of exact boundaries."""

    block, title, column = "psds1", "PSDS1", "PSDS1"
    place = 4
    scenario = PSDS1


@register("psds2", PsdsOptions)
class Psds2(Psds):
    """The scenario of telling classes apart."""

    block, title, column = "psds2", "PSDS2", "PSDS2"
    place = 5
    scenario = PSDS2
