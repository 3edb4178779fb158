"""Published figures: official baselines and leaderboards by year, and the papers of the recipes' systems.

`metadata/official/<year>.yaml` and `papers.yaml` hold them in tables that share reference, metric, variant, scorer,
version and source. Values are texts as published, so that the number of decimals is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path

YEARS = tuple(range(2018, 2025))


@dataclass(frozen=True)
class Metric:
    """A metric as it is printed: its title, its unit (``percent``, ``fraction``, ...), and where a results file has it.

    `block` and `value` are the keys in the results file; `parameters` are those that official figures have unless
    they say otherwise. An empty `block` means that sedkit does not compute it. A `minor` one is shown only where the
    recipe's year or papers state it. `lower` is set where less is better.
    """

    title: str
    short: str
    unit: str = "percent"
    block: str = ""
    value: tuple[str, ...] = ("macro", "f1")
    parameters: Mapping[str, float] = field(default_factory=dict)
    decimals: int = 2
    minor: bool = False
    lower: bool = False


_EVENT = {"collar_s": 0.2, "offset_fraction": 0.2}
_SEGMENT = {"segment_s": 1.0}
_FRAME = {"threshold": 0.2, "gate": 0.1}
_SEGMENTATION = {"threshold": 0.1, "level_db": -5.0}
_SEPARATION = {"taps": 512}
_CROSS = {"dtc": 0.5, "gtc": 0.5, "cttc": 0.3}
#: Of operating points alone: fewer or more of them give another PSDS.
_POINTS = {"n_operating_points": 50}
_PSDS1 = {"dtc": 0.7, "gtc": 0.7, "alpha_ct": 0.0, "alpha_st": 1.0, "max_efpr": 100.0, **_POINTS}
_PSDS2 = {"dtc": 0.1, "gtc": 0.1, "cttc": 0.3, "alpha_ct": 0.5, "alpha_st": 1.0, "max_efpr": 100.0, **_POINTS}

METRICS: dict[str, Metric] = {
    "event_f1": Metric("event-based F1, macro (%)", "event F1", block="event_based", parameters=_EVENT),
    "event_er": Metric(
        "event-based error rate, macro",
        "event ER",
        "ratio",
        block="event_based",
        value=("macro", "error_rate"),
        parameters=_EVENT,
        minor=True,
        lower=True,
    ),
    "event_f1_micro": Metric(
        "event-based F1, micro (%)",
        "micro event F1",
        block="event_based",
        value=("micro", "f1"),
        parameters=_EVENT,
        minor=True,
    ),
    "event_er_micro": Metric(
        "event-based error rate, micro",
        "micro event ER",
        "ratio",
        block="event_based",
        value=("micro", "error_rate"),
        parameters=_EVENT,
        minor=True,
        lower=True,
    ),
    "segment_f1": Metric("segment-based F1, macro (%)", "segment F1", block="segment_based", parameters=_SEGMENT),
    "segment_f1_micro": Metric(
        "segment-based F1, micro (%)",
        "micro segment F1",
        block="segment_based",
        value=("micro", "f1"),
        parameters=_SEGMENT,
        minor=True,
    ),
    "intersection_f1": Metric(
        "intersection-based F1, macro (%)", "intersection F1", block="intersection_based", parameters=_CROSS
    ),
    "psds1": Metric("PSDS1", "PSDS1", "fraction", "psds1", ("value",), _PSDS1, 4),
    "psds2": Metric("PSDS2", "PSDS2", "fraction", "psds2", ("value",), _PSDS2, 4),
    "psds_2020": Metric("PSDS of 2020", "PSDS", "fraction", decimals=3),
    "map": Metric("tagging mAP (%)", "mAP", block="tagging", value=("macro", "average_precision")),
    "map_micro": Metric(
        "tagging micro average precision (%)",
        "micro AP",
        block="tagging",
        value=("micro", "average_precision"),
        minor=True,
    ),
    "roc_auc": Metric("tagging ROC AUC (%)", "AUC", block="tagging", value=("macro", "roc_auc"), minor=True),
    "tagging_f1": Metric("tagging F1, macro (%)", "tagging F1", block="tagging", minor=True),
    "frame_f1": Metric("frame-based F1, macro (%)", "frame F1", block="frame_based", parameters=_FRAME),
    "frame_map": Metric(
        "frame-based mAP (%)",
        "frame mAP",
        block="frame_based",
        value=("macro", "average_precision"),
        parameters=_FRAME,
    ),
    "tf_segmentation_f1": Metric(
        "time-frequency segmentation F1 (%)", "T-F F1", block="segmentation", parameters=_SEGMENTATION
    ),
    "tf_segmentation_map": Metric(
        "time-frequency segmentation mAP (%)",
        "T-F mAP",
        block="segmentation",
        value=("macro", "average_precision"),
        parameters=_SEGMENTATION,
    ),
    **{
        name: Metric(f"{short}, mean over sounds (dB)", short, "dB", "separation", ("micro", name), _SEPARATION)
        for name, short in (("sdr", "SDR"), ("sir", "SIR"), ("sar", "SAR"), ("sdr_improvement", "SDR improvement"))
    },
    "class_correlation": Metric(
        "correlation of classes, mean over pairs",
        "class correlation",
        "fraction",
        "class_correlation",
        ("value",),
        decimals=3,
        lower=True,
    ),
    "mpauc": Metric(
        "mean partial AUC", "mPAUC", "fraction", "segment_auc", ("value",), {"segment_s": 1.0, "max_fpr": 0.1}, 3
    ),
    "chunk_first_column_f1": Metric("F1 of the first class column (%)", "first-column F1"),
    "energy_training_kwh": Metric("energy of training (kWh)", "training kWh", "kwh", decimals=3, lower=True),
    "energy_devtest_kwh": Metric("energy of devtest inference (kWh)", "devtest kWh", "kwh", decimals=3, lower=True),
    "macs": Metric("multiply-accumulate operations (millions)", "MACs (M)", "million", decimals=3, lower=True),
}

#: Variants of PSDS, which are never compared with each other.
VARIANTS = ("operating_points", "operating_points_0.3.0", "exact")


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
    path = metadata_path("official", f"{year}.yaml")
    return _collection(read_yaml(path), str(path), None)


@cache
def papers() -> tuple[Collection, ...]:
    """Return the figures of the recipes' papers."""
    path = metadata_path("official", "papers.yaml")
    return tuple(_collection(block, str(path), "paper") for block in read_yaml(path)["papers"])


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


_FILE_KEYS = {"year", "title", "recipes", "systems", "tables", "reference", "set", "source", "verified", "note"}
_SYSTEM_KEYS = {"title", "role", "parameters", "of"}
_TABLE_KEYS = {
    "metric",
    "reference",
    "set",
    "variant",
    "parameters",
    "role",
    "scorer",
    "version",
    "source",
    "verified",
    "ranked",
    "note",
    "runs",
    "values",
}


def _collection(raw: Mapping[str, Any], where: str, role: str | None) -> Collection:
    _known_keys(raw, _FILE_KEYS, where)
    for system in (raw.get("systems") or {}).values():
        _known_keys(system, _SYSTEM_KEYS, where)
    figures = []
    for table in raw["tables"]:
        _known_keys(table, _TABLE_KEYS, where)
        figures += [_figure(raw, table, key, entry, where, role) for key, entry in table["values"].items()]
    return Collection(str(raw["title"]), tuple(raw.get("recipes") or ()), tuple(figures), raw.get("year"))


def _known_keys(raw: Mapping[str, Any], known: set[str], where: str) -> None:
    strange = sorted(set(raw) - known)
    if strange:
        raise SedkitError(f"{where}: unknown key {strange[0]!r}, expected {', '.join(sorted(known))}")


def _figure(
    raw: Mapping[str, Any], table: Mapping[str, Any], key: str, entry: Any, where: str, role: str | None
) -> Figure:
    system = (raw.get("systems") or {}).get(key, {})
    cell = entry if isinstance(entry, Mapping) else {"value": entry}
    name = table["metric"]
    if name not in METRICS or not isinstance(cell["value"], str):
        raise SedkitError(f"{where}: {key}: {name} {cell['value']!r}, expected a known metric and a quoted number")
    variants = tuple(table.get("variant") or ())
    if not set(variants) <= set(VARIANTS) or bool(variants) != name.startswith("psds"):
        raise SedkitError(f"{where}: {key}: {name} variant {listed(variants)}, expected, for PSDS: {listed(VARIANTS)}")
    both = {**raw, **table}
    parameters = {**METRICS[name].parameters, **(table.get("parameters") or {})}
    if variants == ("exact",):
        parameters = {key: value for key, value in parameters.items() if key not in _POINTS}
    return Figure(
        system=str(key),
        title=str(system.get("title", key)),
        competitor=str(system.get("of", key)),
        role=table.get("role") or role or system.get("role") or "submission",
        year=raw.get("year"),
        metric=name,
        parameters=parameters,
        variants=variants,
        reference=both.get("reference"),
        set_name=str(both.get("set") or both.get("reference") or ""),
        text=cell["value"],
        spread=cell.get("spread"),
        runs=table.get("runs"),
        scorer=str(table.get("scorer", "the authors' own")),
        version=str(table.get("version", "unknown")),
        source=str(both["source"]),
        verified=bool(both["verified"]),
        ranked=bool(table.get("ranked", True)),
        note="; ".join(str(x) for x in (raw.get("note") if role else None, table.get("note")) if x),
        model_parameters=system.get("parameters"),
    )
