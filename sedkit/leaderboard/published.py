"""Published figures: official baselines and leaderboards by year, and the papers of the recipes' systems.

`metadata/official/<year>.yaml` and `papers.yaml` hold them in tables that share reference, metric, variant, scorer,
version and source. Values are texts as published, so that the number of decimals is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path

YEARS = tuple(range(2018, 2025))

#: Variants of PSDS, which are never compared with each other.
VARIANTS = ("operating_points", "operating_points_0.3.0", "exact")

#: Of operating points alone: fewer or more of them give another PSDS.
_POINTS = "n_operating_points"

#: Parameters of official figures, by the block of a results file, unless they say otherwise.
_PARAMETERS: dict[str, dict[str, float]] = {
    "event_based": {"collar_s": 0.2, "offset_fraction": 0.2},
    "segment_based": {"segment_s": 1.0},
    "intersection_based": {"dtc": 0.5, "gtc": 0.5, "cttc": 0.3},
    "psds1": {"dtc": 0.7, "gtc": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0, "max_efpr": 100.0, _POINTS: 50},
    "psds2": {"dtc": 0.1, "gtc": 0.1, "cttc": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0, "max_efpr": 100.0, _POINTS: 50},
    "frame_based": {"threshold": 0.2, "gate": 0.1},
    "segmentation": {"threshold": 0.1, "level_db": -5.0},
    "separation": {"taps": 512},
    "segment_auc": {"segment_s": 1.0, "max_fpr": 0.1},
}


@dataclass(frozen=True)
class Metric:
    """A metric as it is printed.

    Attributes
    ----------
    title, short
        Its names.
    place
        Keys that lead to it in a results file, joined by points; empty where sedkit does not compute it.
    unit, decimals
        ``percent``, ``fraction``, ``ratio``, ``dB``, ``kwh``, ``million``, and how many decimals are printed.
    minor
        Shown only where the recipe's year or papers state it.
    lower
        Whether less is better.
    """

    title: str
    short: str
    place: str = ""
    unit: str = "percent"
    decimals: int = 2
    minor: bool = False
    lower: bool = False

    @property
    def block(self) -> str:
        """The block of a results file that it stands in."""
        return self.place.partition(".")[0]

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those that official figures have unless they say otherwise."""
        return _PARAMETERS.get(self.block, {})


METRICS: dict[str, Metric] = {
    "event_f1": Metric("event-based F1, macro (%)", "event F1", "event_based.macro.f1"),
    "event_er": Metric(
        "event-based error rate, macro", "event ER", "event_based.macro.error_rate", "ratio", minor=True, lower=True
    ),
    "event_f1_micro": Metric("event-based F1, micro (%)", "micro event F1", "event_based.micro.f1", minor=True),
    "event_er_micro": Metric(
        "event-based error rate, micro",
        "micro event ER",
        "event_based.micro.error_rate",
        "ratio",
        minor=True,
        lower=True,
    ),
    "segment_f1": Metric("segment-based F1, macro (%)", "segment F1", "segment_based.macro.f1"),
    "segment_f1_micro": Metric("segment-based F1, micro (%)", "micro segment F1", "segment_based.micro.f1", minor=True),
    "intersection_f1": Metric("intersection-based F1, macro (%)", "intersection F1", "intersection_based.macro.f1"),
    "psds1": Metric("PSDS1", "PSDS1", "psds1.value", "fraction", 4),
    "psds2": Metric("PSDS2", "PSDS2", "psds2.value", "fraction", 4),
    "psds_2020": Metric("PSDS of 2020", "PSDS", "", "fraction", 3),
    "map": Metric("tagging mAP (%)", "mAP", "tagging.macro.average_precision"),
    "map_micro": Metric(
        "tagging micro average precision (%)", "micro AP", "tagging.micro.average_precision", minor=True
    ),
    "roc_auc": Metric("tagging ROC AUC (%)", "AUC", "tagging.macro.roc_auc", minor=True),
    "tagging_f1": Metric("tagging F1, macro (%)", "tagging F1", "tagging.macro.f1", minor=True),
    "frame_f1": Metric("frame-based F1, macro (%)", "frame F1", "frame_based.macro.f1"),
    "frame_map": Metric("frame-based mAP (%)", "frame mAP", "frame_based.macro.average_precision"),
    "tf_segmentation_f1": Metric("time-frequency segmentation F1 (%)", "T-F F1", "segmentation.macro.f1"),
    "tf_segmentation_map": Metric(
        "time-frequency segmentation mAP (%)", "T-F mAP", "segmentation.macro.average_precision"
    ),
    "sdr": Metric("SDR, mean over sounds (dB)", "SDR", "separation.micro.sdr", "dB"),
    "sir": Metric("SIR, mean over sounds (dB)", "SIR", "separation.micro.sir", "dB"),
    "sar": Metric("SAR, mean over sounds (dB)", "SAR", "separation.micro.sar", "dB"),
    "sdr_improvement": Metric(
        "SDR improvement, mean over sounds (dB)", "SDR improvement", "separation.micro.sdr_improvement", "dB"
    ),
    "class_correlation": Metric(
        "correlation of classes, mean over pairs",
        "class correlation",
        "class_correlation.value",
        "fraction",
        3,
        lower=True,
    ),
    "mpauc": Metric("mean partial AUC", "mPAUC", "segment_auc.value", "fraction", 3),
    "chunk_first_column_f1": Metric("F1 of the first class column (%)", "first-column F1"),
    "energy_training_kwh": Metric("energy of training (kWh)", "training kWh", "", "kwh", 3, lower=True),
    "energy_devtest_kwh": Metric("energy of devtest inference (kWh)", "devtest kWh", "", "kwh", 3, lower=True),
    "macs": Metric("multiply-accumulate operations (millions)", "MACs (M)", "", "million", 3, lower=True),
}


@dataclass(frozen=True)
class Quantity:
    """What a figure is of: a metric with its parameters, of PSDS also the variant."""

    metric: str
    variant: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def definition(self) -> Metric:
        """The metric."""
        return METRICS[self.metric]

    @property
    def order(self) -> tuple[int, str]:
        """Place of its table among others."""
        return list(METRICS).index(self.metric), self.variant or ""

    @property
    def title(self) -> str:
        """The metric as printed, with its variant and with parameters that are not the official ones.

        >>> Quantity("segment_f1", parameters={"segment_s": 0.2}).title
        'segment-based F1, macro (%), segment_s 0.2'
        """
        return self._named(self.definition.title)

    @property
    def short_title(self) -> str:
        """The same with the metric's short name."""
        return self._named(self.definition.short)

    def _named(self, metric: str) -> str:
        parts = [metric]
        if self.variant:
            parts.append(f"variant {self.variant}")
        if self.metric == "psds_2020" or not self.has(self.definition.parameters):
            parts.append(" ".join(f"{name} {value:g}" for name, value in self.parameters.items()))
        return ", ".join(parts)

    def has(self, parameters: Mapping[str, float]) -> bool:
        """Whether it has these parameters; those that it does not state are taken as the same."""
        return all(math.isclose(self.parameters.get(name, value), value) for name, value in parameters.items())


@dataclass(frozen=True)
class Figure:
    """One published figure.

    Attributes
    ----------
    system, title, competitor
        Key and name of the system; `competitor` is the system as it counts in a rank, the same for all rows of one
        (published, recomputed, student, teacher).
    role
        ``baseline``, ``submission``, ``recomputed`` (from published output) or ``paper``.
    metric, parameters, variants
        Which figure it is; `variants` are the PSDS variants that it is valid for (empty for other metrics).
    reference
        Known reference, None where it is not published, not stated or not official; `set_name` then says what it was.
    text
        The value as published, in the metric's unit (percent, fraction, kWh).
    spread, runs
        Published standard deviation, as text, and number of runs; None where the source does not say.
    verified, ranked, note
        Whether it was confirmed; whether it may be ranked; what has to be said beside it.
    """

    system: str
    title: str
    competitor: str
    role: str
    year: int | None
    metric: str
    parameters: Mapping[str, float]
    variants: tuple[str, ...]
    reference: str | None
    set_name: str
    text: str
    spread: str | None
    runs: int | None
    scorer: str
    version: str
    source: str
    verified: bool
    ranked: bool
    note: str
    model_parameters: int | None

    @property
    def value(self) -> float:
        """The figure in its metric's unit."""
        return float(self.text)

    def beats(self, value: float) -> bool:
        """Whether the figure is better than a value in the same unit."""
        return self.value < value if METRICS[self.metric].lower else self.value > value

    @property
    def decimals(self) -> int:
        """Decimals as published."""
        return len(self.text.partition(".")[2])

    def level_with(self, value: float) -> bool:
        """Whether a value, in the same unit, cannot be told from the figure as published."""
        return round(value, self.decimals) == round(self.value, self.decimals)

    def may_stand_beside(self, quantity: Quantity) -> bool:
        """Whether it is of the same metric, parameters and variant."""
        same_variant = quantity.variant is None or quantity.variant in self.variants
        return self.metric == quantity.metric and same_variant and quantity.has(self.parameters)


@dataclass(frozen=True)
class Collection:
    """All figures of one file, and the recipes they belong to."""

    title: str
    recipes: tuple[str, ...]
    figures: tuple[Figure, ...]
    year: int | None = None


@cache
def official(year: int) -> Collection:
    """Return the official figures of a year."""
    return _collection(**read_yaml(metadata_path("official", f"{year}.yaml")))


@cache
def papers() -> tuple[Collection, ...]:
    """Return the figures of the recipes' papers."""
    blocks = read_yaml(metadata_path("official", "papers.yaml"))["papers"]
    return tuple(_collection(**block, role="paper") for block in blocks)


def all_figures() -> tuple[Figure, ...]:
    """Return every figure of every year and paper."""
    return tuple(f for c in (*map(official, YEARS), *papers()) for f in c.figures)


def collections_for(recipe: str | None) -> tuple[Collection, ...]:
    """Return the year and the papers that a recipe belongs to; without a recipe nothing is assumed."""
    if not recipe:
        return ()
    years = [official(year) for year in YEARS]
    named = re.match(r"dcase(20\d\d)", recipe)
    mine = [c for c in years if recipe in c.recipes or (named and c.year == int(named[1]))]
    return (*mine, *(c for c in papers() if recipe in c.recipes))


def shown_metrics(recipe: str | None) -> set[str]:
    """Return the metrics that tables of a recipe show: all but minor ones that its publications do not state."""
    stated = {figure.metric for collection in collections_for(recipe) for figure in collection.figures}
    return {name for name, metric in METRICS.items() if not metric.minor or name in stated}


@dataclass(frozen=True)
class _System:
    """A system as a file has it; `of` is the one that it counts as in a rank."""

    title: str = ""
    role: str = "submission"
    parameters: int | None = None
    of: str = ""


@dataclass(frozen=True)
class _FigureTable:
    """A table as a file has it: figures by system, as text or with their spread."""

    metric: str
    values: Mapping[str, str | Mapping[str, str]]
    source: str
    verified: bool
    reference: str | None = None
    set: str | None = None
    variant: tuple[str, ...] = ()
    parameters: Mapping[str, float] = field(default_factory=dict)
    role: str | None = None
    scorer: str = "the authors' own"
    version: str = "unknown"
    ranked: bool = True
    note: str | None = None
    runs: int | None = None


def _collection(
    title: str,
    tables: list[dict[str, Any]],
    recipes: list[str] | None = None,
    year: int | None = None,
    systems: Mapping[str, Mapping[str, Any]] | None = None,
    role: str | None = None,
    note: str | None = None,
    **shared: Any,
) -> Collection:
    """Read a file, whose keys are the arguments; `shared` are keys that stand for all its tables."""
    known = {key: _System(**system) for key, system in (systems or {}).items()}
    figures = []
    for raw in tables:
        table = _FigureTable(**{**shared, **raw})
        parameters = {**METRICS[table.metric].parameters, **table.parameters}
        if tuple(table.variant) == ("exact",):
            parameters.pop(_POINTS, None)
        for key, value in table.values.items():
            system = known.get(key, _System())
            cell = {"value": value} if isinstance(value, str) else value
            figures.append(
                Figure(
                    system=key,
                    title=system.title or key,
                    competitor=system.of or key,
                    role=table.role or role or system.role,
                    year=year,
                    metric=table.metric,
                    parameters=parameters,
                    variants=tuple(table.variant),
                    reference=table.reference,
                    set_name=table.set or table.reference or "",
                    text=cell["value"],
                    spread=cell.get("spread"),
                    runs=table.runs,
                    scorer=table.scorer,
                    version=str(table.version),
                    source=table.source,
                    verified=table.verified,
                    ranked=table.ranked,
                    note="; ".join(x for x in (note, table.note) if x),
                    model_parameters=system.parameters,
                )
            )
    return Collection(title, tuple(recipes or ()), tuple(figures), year)
