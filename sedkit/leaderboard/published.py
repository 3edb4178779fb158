"""Published figures: official baselines and leaderboards by year, and the papers of the recipes' systems.

`metadata/official/<year>.yaml` and `papers.yaml` hold them in tables that share reference, metric, variant, scorer,
version and source. Values are texts as published, so that the number of decimals is known.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path, metadata_rows

#: A year is a file.
YEARS = tuple(sorted(int(path.stem) for path in metadata_path("official").glob("[0-9]*.yaml")))

#: Variants of PSDS, which are never compared with each other.
VARIANTS = ("operating_points", "operating_points_0.3.0", "exact", "exact_with_events")

#: Parameters of official figures, by the block of a results file, unless they say otherwise.
_PARAMETERS: dict[str, dict[str, float]] = read_yaml(metadata_path("official", "parameters.yaml"))


@dataclass(frozen=True)
class PrintedMetric:
    """A metric as it is printed, a row of `metadata/official/metrics.tsv`.

    Attributes
    ----------
    place
        Keys that lead to it in a results file, joined by points; empty where sedkit does not compute it.
    unit, decimals
        ``percent``, ``fraction``, ``ratio``, ``dB``, ``kwh``, ``million``, and how many decimals are printed.
    shown
        ``always``, or where the recipe's year or papers have it ``stated``.
    better
        ``higher`` or ``lower``.
    """

    title: str
    short: str
    place: str
    unit: str
    decimals: int
    shown: str
    better: str

    @property
    def block(self) -> str:
        """The block of a results file that it stands in."""
        return self.place.partition(".")[0]

    @property
    def parameters(self) -> Mapping[str, float]:
        """Those that official figures have unless they say otherwise."""
        return _PARAMETERS.get(self.block, {})

    def place_of(self, value: float) -> float:
        """Return what values sort by, the best first."""
        return value if self.better == "lower" else -value


#: Metrics by name, in the order in which their tables are shown.
METRICS = {
    row.pop("metric"): PrintedMetric(decimals=int(row.pop("decimals")), **row)
    for row in metadata_rows("official", "metrics.tsv")
}


@dataclass(frozen=True)
class Quantity:
    """What a figure is of: a metric with its parameters, of PSDS also the variant."""

    metric: str
    variant: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)

    @property
    def definition(self) -> PrintedMetric:
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
    metric: str
    text: str
    source: str
    verified: bool
    competitor: str = ""
    role: str = "submission"
    year: int | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    variants: tuple[str, ...] = ()
    reference: str | None = None
    set_name: str = ""
    spread: str | None = None
    runs: int | None = None
    scorer: str = "the authors' own"
    version: str = "unknown"
    ranked: bool = True
    note: str = ""
    model_parameters: int | None = None

    @property
    def value(self) -> float:
        """The figure in its metric's unit."""
        return float(self.text)

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
    return {name for name, metric in METRICS.items() if metric.shown == "always" or name in stated}


def _collection(
    title: str,
    tables: Sequence[Mapping[str, Any]],
    recipes: Sequence[str] = (),
    year: int | None = None,
    systems: Mapping[str, Mapping[str, Any]] | None = None,
    note: str = "",
    **shared: Any,
) -> Collection:
    """Read a file, whose keys are the arguments; `shared` are attributes of `Figure` that all its tables have."""
    figures = []
    for table in tables:
        common = {**shared, **table, "year": year, "variants": tuple(table.get("variants", ()))}
        common["note"] = "; ".join(filter(None, (note, common.get("note"))))
        common.setdefault("set_name", common.get("reference") or "")
        parameters = {**METRICS[table["metric"]].parameters, **table.get("parameters", {})}
        if common["variants"] and all(variant.startswith("exact") for variant in common["variants"]):
            # Of operating points alone: fewer or more of them give another PSDS.
            parameters.pop("n_operating_points", None)
        for name, cell in common.pop("values").items():
            system = {"title": name, "competitor": name, **(systems or {}).get(name, {}), "system": name}
            value = {"text": cell} if isinstance(cell, str) else cell
            figures.append(Figure(**{**system, **common, **value, "parameters": parameters}))
    return Collection(title, tuple(recipes), tuple(figures), year)
