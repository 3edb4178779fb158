"""The operating points of a system together: one table for each threshold, holding the less the higher it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np

from sedkit.core.errors import listed
from sedkit.dataio.events import Events
from sedkit.evaluation.reading import threshold_of
from sedkit.submission.findings import WARNING, Findings

#: Active seconds of a class may rise by so much from one threshold to a higher one: rounding of times, rules that are
#: not of frames. Thresholding, median filters, filled gaps and dropped short events only ever take time away; the
#: number of events, in contrast, rises where one falls apart.
_RISE = 0.05
_RISE_S = 1.0


@dataclass(frozen=True)
class EventTable:
    """An event table: a digest of its bytes, and the events."""

    digest: bytes
    events: Events


def check_thresholds(
    where: str, files: list[str], thresholds: tuple[float, ...], alone: str, findings: Findings
) -> None:
    """Look at the thresholds in the names of operating points; the names are not verified, so it is warned at most.

    A single table is no curve: that is of the severity `alone`.
    """
    seen: dict[float, str] = {}
    outside: list[str] = []
    for name in files:
        threshold = threshold_of(PurePosixPath(name).stem)
        if threshold is None:
            findings.add("point_name", name, "no threshold at the end of the name", "…_0.01.tsv")
            continue
        if not 0 <= threshold <= 1:
            outside.append(PurePosixPath(name).name)
        elif threshold in seen:
            findings.add("point_twice", name, f"threshold {threshold:g} as in {seen[threshold]}", "once")
        seen.setdefault(threshold, name)
    endings = Counter(PurePosixPath(name).suffix for name in files)
    usual = endings.most_common(1)[0][0] if endings else ""
    odd = [PurePosixPath(name).name for name in files if PurePosixPath(name).suffix != usual]
    if odd:
        message = f"{len(odd)} of {len(files)} tables ({listed(odd, 3)}) are not named {usual or 'without ending'}"
        findings.add("point_ending", where, message, "one ending for all")
    if outside:
        message = f"thresholds past 1 in {len(outside)} names ({listed(outside, 3)})"
        findings.add("point_threshold", where, message, "thresholds from 0 to 1: …_0.01.tsv")
    if len(files) != len(thresholds):
        absent = [] if outside else sorted(set(thresholds) - set(seen))
        message = f"{len(files)} tables" + (f" ({listed(absent)} missing)" if absent else "")
        severity = alone if len(files) == 1 else WARNING
        findings.add("points_count", where, message, f"{len(thresholds)}, one a threshold", severity=severity)


def check_order(
    where: str, points: Mapping[str, EventTable], classes: Sequence[str], gravest: str, findings: Findings
) -> None:
    """Look at the tables, by their files, in the order of their thresholds: each holds no more than those before.

    Tables in the wrong order (0.01 and 0.99 swapped) give a wrong PSDS. Thresholds that are all the wrong way round (1
    minus the threshold in the names) and copies of one table are of the severity `gravest`.
    """
    order = sorted((t, name) for name in points if (t := threshold_of(PurePosixPath(name).stem)) is not None)
    _check_copies(where, [(name, points[name]) for _, name in order], gravest, findings)
    # What is no class is a fault of its own, and there may be as many as rows.
    labels = sorted(set(classes) & {label for _, name in order for label in points[name].events.labels})
    if len(order) < 2 or not labels:
        return
    place = {label: i for i, label in enumerate(labels)}
    active_s = np.array([_active_s(points[name].events, place) for _, name in order])
    least = np.minimum.accumulate(active_s, axis=0)
    excess = active_s[1:] - np.maximum(least[:-1] * (1 + _RISE), least[:-1] + _RISE_S)
    if not (excess > 0).any():
        return
    # Where it rises most, and the table below it that holds least.
    high, label = np.unravel_index(int(np.argmax(excess)), excess.shape)
    high += 1
    low = int(np.argmin(active_s[:high, label]))
    names = [PurePosixPath(order[i][1]).name for i in (low, high)]
    message = f"{labels[label]} is active for {active_s[low, label]:.4g} s in {names[0]}, but for "
    message += f"{active_s[high, label]:.4g} s at the higher threshold of {names[1]}"
    more = int((excess > 0).any(axis=0).sum()) - 1
    message += f" (and so {more} more classes)" if more else ""
    steps = np.diff(active_s.sum(axis=1))
    turned = (steps > 0).sum() > (steps < 0).sum()
    message = f"thresholds are the wrong way round: {message}" if turned else message
    severity = gravest if turned else WARNING
    findings.add("points_order", where, message, "the less the higher the threshold is", severity=severity)


def _check_copies(where: str, points: list[tuple[str, EventTable]], gravest: str, findings: Findings) -> None:
    """Warn of tables of the same bytes; those without an event are alike by right."""
    first: dict[bytes, str] = {}
    twins: list[str] = []
    for name, point in points:
        before = first.setdefault(point.digest, name)
        if before != name and point.events.n_events:
            twins.append(f"{PurePosixPath(name).name} as {PurePosixPath(before).name}")
    if twins:
        message = f"{len(twins)} of {len(points)} tables are the same as another one ({listed(twins, 3)})"
        alone = len({point.digest for _, point in points if point.events.n_events}) == 1
        severity = gravest if alone else WARNING
        findings.add("points_identical", where, message, "the events of each threshold", severity=severity)


def _active_s(events: Events, place: Mapping[str, int]) -> np.ndarray:
    """Return how long each class is active, (n_classes,) in seconds; `place` numbers the classes that count."""
    codes = np.array([place.get(label, len(place)) for label in events.labels], dtype=np.int64)
    lasting = np.maximum(events.offset_s - events.onset_s, 0.0)
    return np.bincount(codes[events.label], lasting, len(place) + 1)[:-1] if len(lasting) else np.zeros(len(place))
