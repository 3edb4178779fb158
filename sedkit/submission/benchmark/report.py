"""What a comparison tells: tables of our rows and the published ones, and what stands apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sedkit.submission.official import METRICS

if TYPE_CHECKING:
    from sedkit.submission.benchmark.contrasts import Contrast

#: Heading of figures that stand beside nothing.
OTHER_DATA = "published, other data, not comparable"

#: Remark on a figure that is known, or feared, to be wrong.
NOT_RANKED = "not ranked"


@dataclass(frozen=True)
class Row:
    """One line of a table: a system of ours, or a published figure.

    Attributes
    ----------
    ours
        Whether it is a result that was given.
    system
        Name as printed.
    value, text, spread, interval
        In the metric's unit; `text` as published or with the metric's decimals.
    runs
        Number of runs behind the figure; None where a source does not say.
    rank, of, tied
        Place among this system and the published ones with verified, rankable figures in the table, each counted once
        by its best figure; None without a rank. `tied` is set where one of these equals the value.
    level_with
        Published figures that the value equals at their decimals.
    difference
        To the table's baseline; None where there is none or nothing may be compared.
    parameters, ratio
        Trained parameters, and their ratio to the table's baseline.
    coverage
        How many of the reference's clips an output of ours lists; empty where it lists all, or nothing is known.
    verified, unranked, notes, scorer, source
        Of a published figure; `unranked` ones were never confirmed, or are known to be wrong; `scorer` has its
        version where it is known.
    """

    ours: bool
    system: str
    value: float
    text: str
    spread: str | None = None
    interval: tuple[float, float] | None = None
    runs: int | None = None
    rank: int | None = None
    of: int | None = None
    tied: bool = False
    level_with: tuple[str, ...] = ()
    difference: float | None = None
    parameters: int | None = None
    ratio: float | None = None
    coverage: str = ""
    verified: bool = True
    unranked: bool = False
    notes: tuple[str, ...] = ()
    scorer: str = ""
    source: str = ""


@dataclass(frozen=True)
class Table:
    """Figures of one metric, its parameters and its variant on one reference; best first.

    `systems` is the number of systems that a rank is among, `decimals` how many a difference to the baseline has: no
    more than the baseline was published with.
    """

    reference: str
    metric: str
    variant: str | None
    parameters: Mapping[str, float]
    rows: tuple[Row, ...]
    baseline: str | None = None
    systems: int | None = None
    decimals: int | None = None

    @property
    def title(self) -> str:
        """The metric as printed, with its variant and with parameters that are not the official ones."""
        return metric_title(self.metric, self.variant, self.parameters)


@dataclass(frozen=True)
class Apart:
    """Results on one set that nothing official may stand beside, with the reasons, as tables of our own rows."""

    set_title: str
    about: str
    reasons: tuple[str, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Report:
    """The whole comparison.

    Attributes
    ----------
    tables, other_variants
        Figures of the references that may be compared.
    sets, remarks
        By reference: what the experiments call it, and what has to be said of single systems on it.
    apart
        What stands beside nothing.
    published
        Figures of the recipes' years and papers on other data, by their collection.
    contrasts
        Whether systems differ, over folds and seeds.
    """

    tables: tuple[Table, ...] = ()
    other_variants: tuple[Table, ...] = ()
    sets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    apart: tuple[Apart, ...] = ()
    published: dict[str, tuple[Table, ...]] = field(default_factory=dict)
    contrasts: tuple[Contrast, ...] = ()


def metric_title(metric: str, variant: str | None, parameters: Mapping[str, float]) -> str:
    """Return a metric's printed name.

    >>> metric_title("segment_f1", None, {"segment_s": 0.2})
    'segment-based F1, macro (%), segment_s 0.2'
    """
    known = METRICS[metric]
    parts = [known.title]
    if variant:
        parts.append(f"variant {variant}")
    if metric == "psds_2020" or not same_parameters(parameters, known.parameters, only=known.parameters):
        parts.append(" ".join(f"{k} {v:g}" for k, v in parameters.items()))
    return ", ".join(parts)


def same_parameters(a: Mapping[str, float], b: Mapping[str, float], only: Mapping[str, float]) -> bool:
    """Whether two sets of parameters agree on the keys of `only`; what one does not state is taken as the other's."""
    return all(math.isclose(a.get(k, only[k]), b.get(k, only[k])) for k in only)
