"""Whether one system is better than another: paired differences over the folds and seeds that both have."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.log import log
from sedkit.core.runs import axis_text
from sedkit.leaderboard.published import METRICS, shown_metrics
from sedkit.leaderboard.runs import ScoredRun

_TERM = re.compile(r"(?P<sign>[+-]?)(?P<system>[A-Za-z_]\w*(?:@[A-Za-z_]\w*)?)(?:@(?P<snr>-?\d+(?:\.\d+)?))?")

#: (fold, seed) of a run.
_Pair = tuple[str, str]


@dataclass(frozen=True)
class ContrastTerm:
    """A system in a contrast, or its network, with its sign; at one level in dB, or at each in turn (None)."""

    sign: int
    system: str
    snr_db: str | None


def parse_contrast(text: str) -> tuple[ContrastTerm, ...]:
    """Read `a-b`, `a@teacher-a@student`, `a@0-b@0-a@10+b@10`; UsageError for other forms, or signs that stay."""
    terms: list[ContrastTerm] = []
    place = 0
    while (match := _TERM.match(text, place)) is not None and (match["sign"] or not place):
        terms.append(ContrastTerm(-1 if match["sign"] == "-" else 1, match["system"], match["snr"]))
        place = match.end()
    if place < len(text) or len(terms) < 2 or sum(term.sign for term in terms) != 0:
        raise UsageError(f"contrast {text!r}: expected systems with signs that cancel: a-b or a@0-b@0-a@10+b@10")
    return tuple(terms)


@dataclass(frozen=True)
class Contrast:
    """A contrast, as given, in one metric, at the level and post-processing `where` it was evaluated.

    There is a difference, in the metric's unit, for each fold and seed that all systems have.
    """

    text: str
    where: str
    metric: str
    differences: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the differences."""
        return statistics.fmean(self.differences)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """Student's 95 % interval of the mean, None for a single difference."""
        from scipy.stats import t

        n = len(self.differences)
        if n < 2:
            return None
        half = float(t.ppf(0.975, n - 1)) * statistics.stdev(self.differences) / math.sqrt(n)
        return self.mean - half, self.mean + half

    @property
    def verdict(self) -> str:
        """`holds` where the first system is better with an interval that excludes 0, `reversed`, or `not decided`."""
        low, high = sorted(-METRICS[self.metric].place_of(bound) for bound in self.interval or (0.0, 0.0))
        return "holds" if low > 0 else "reversed" if high < 0 else "not decided"


def contrasts(texts: Sequence[str], runs: Iterable[ScoredRun]) -> list[Contrast]:
    """Evaluate contrasts in every metric that all their systems have and that a table shows for itself.

    Those of `texts` (see `parse_contrast`) without a level are evaluated at each. There is none where no fold and seed
    has all systems; the log says so.
    """
    runs = list(runs)
    shown = set().union(*(shown_metrics(recipe) for recipe in {run.recipe for run in runs}))
    metrics = [name for name in METRICS if name in shown]
    figures: dict[tuple[str, str, str], dict[_Pair, dict[str, float]]] = {}
    for run in runs:
        level = axis_text(run.axes.get("snr_db", ""))
        # Sets of mixtures differ from level to level; what comes after the point is the post-processing.
        place = "." + run.set_name.partition(".")[2] if level else run.set_name
        pair = (str(run.axes.get("fold")), str(run.axes.get("seed")))
        values = {value.quantity.metric: value.value for value in run.values()}
        figures.setdefault((run.system, level, place), {})[pair] = values
    systems, places = {run.system for run in runs}, dict.fromkeys((level, place) for _, level, place in figures)
    out: list[Contrast] = []
    for text in texts:
        terms = parse_contrast(text)
        before = len(out)
        fixed = all(term.snr_db is not None for term in terms)
        for level, place in dict.fromkeys(("", place) if fixed else (level, place) for level, place in places):
            members = [figures.get((term.system, term.snr_db or level, place), {}) for term in terms]
            pairs = [pair for pair in members[0] if all(pair in member for member in members)]
            where = " ".join(filter(None, (f"{level} dB" if level else "", place.lstrip("."))))
            for metric in metrics:
                differences = tuple(
                    sum(term.sign * member[pair][metric] for term, member in zip(terms, members, strict=True))
                    for pair in pairs
                    if all(metric in member[pair] for member in members)
                )
                if differences:
                    out.append(Contrast(text, where, metric, differences))
        if len(out) == before:
            absent = [f"{t.system!r}{suggest(t.system, systems)}" for t in terms if t.system not in systems]
            why = f"there are no results of {listed(absent)}" if absent else "no fold and seed has all its systems"
            log.info("contrast %s: %s", text, why)
    return out
