"""What became of each event and each clip: correct, missed, false; and which clips are worth hearing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sedkit.dataio.events import Events
from sedkit.evaluation.parameters import EventParameters
from sedkit.report.sets import SetSubject

Bools = NDArray[np.bool_]


class Outcome(NamedTuple):
    """Which true events are detected, (true events,), and which decoded ones are correct, (decoded events,)."""

    detected: Bools
    correct: Bools


def match(truth: Events, decoded: Events, parameters: EventParameters | None = None) -> Outcome:
    """Match the events of two tables of the same clips and classes, as event-based figures count them.

    An event of either side answers one of the other's at most; as many are matched as can be (`evaluation.matching`).
    Which of several possible matchings it is means nothing to the counts.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    parameters = parameters or EventParameters()
    rows, columns = _alike(truth, decoded)
    early = np.abs(truth.onset_s[rows] - decoded.onset_s[columns]) <= parameters.collar_s
    length_s = (truth.offset_s - truth.onset_s)[rows]
    tolerance_s = np.maximum(parameters.collar_s, parameters.offset_fraction * length_s)
    close = early & (np.abs(truth.offset_s[rows] - decoded.offset_s[columns]) <= tolerance_s)
    detected, correct = np.zeros(truth.n_events, np.bool_), np.zeros(decoded.n_events, np.bool_)
    if close.any():
        shape = (truth.n_events, decoded.n_events)
        graph = csr_array((np.ones(int(close.sum())), (rows[close], columns[close])), shape=shape)
        partner = maximum_bipartite_matching(graph, perm_type="column")
        detected, correct[partner[partner >= 0]] = partner >= 0, True
    return Outcome(detected, correct)


def _alike(truth: Events, decoded: Events) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of events of one clip and class: rows of either table."""
    n = len(truth.labels)
    keys = [events.clip * n + events.label for events in (truth, decoded)]
    order = np.argsort(keys[1], kind="stable")
    first = np.searchsorted(keys[1][order], keys[0])
    many = np.searchsorted(keys[1][order], keys[0], side="right") - first
    rows = np.repeat(np.arange(truth.n_events), many)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(many) - many, many)
    return rows, order[np.repeat(first, many) + within]


def outcome_of(system: SetSubject) -> Outcome | None:
    """Return what became of a system's events; None without a truth or without events."""
    if system.truth is None or system.decoded is None:
        return None
    return match(system.truth.keep_labels(system.labels), system.decoded)


def clip_errors(systems: Sequence[SetSubject]) -> NDArray[np.int64]:
    """Return how many events of each clip are missed or false, over all systems; zeros where that is not known."""
    errors = np.zeros(len(systems[0].filenames), np.int64)
    for system in systems:
        outcome = outcome_of(system)
        if outcome is not None and system.truth is not None and system.decoded is not None:
            truth = system.truth.keep_labels(system.labels)
            np.add.at(errors, truth.clip[~outcome.detected], 1)
            np.add.at(errors, system.decoded.clip[~outcome.correct], 1)
    return errors


def worth_hearing(errors: NDArray[np.int64], n: int) -> list[int]:
    """Return `n` clips, the most important first: half of them with the most errors, between others evenly spread.

    >>> worth_hearing(np.array([0, 3, 0, 0, 5, 0]), 4)
    [4, 0, 1, 5]
    """
    total = len(errors)
    n = min(n, total)
    worst = np.argsort(-errors, kind="stable")[: (n + 1) // 2]
    rest = np.setdiff1d(np.arange(total), worst)
    n_rest = n - len(worst) if len(rest) else 0
    spread = rest[np.unique(np.linspace(0, max(len(rest) - 1, 0), n_rest).round().astype(np.int64))]
    out: list[int] = []
    for k in range(len(worst)):
        out += [int(worst[k]), *(int(i) for i in spread[k : k + 1])]
    return out


def clip_rows(systems: Sequence[SetSubject]) -> list[dict[str, Any]]:
    """Return each clip with its events, as the page's script takes them.

    Returns
    -------
    A mapping a clip: `name`, `seconds`, `truth` (class, onset, offset of each event, or None) and `systems`, of each
    system None or a mapping with `events` (class, onset, offset, 1 where it is correct) and `detected` (of each true
    event 1 or 0; None without a truth).
    """
    first = systems[0]
    truth = None if first.truth is None else first.truth.keep_labels(first.labels)
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "seconds": round(float(seconds), 3),
            "truth": None if truth is None else [],
            "systems": [None if system.decoded is None else {"events": [], "detected": None} for system in systems],
        }
        for name, seconds in zip(first.filenames, first.durations_s, strict=True)
    ]
    if truth is not None:
        for clip, *event in _as_listed(truth):
            rows[clip]["truth"].append(event)
    for k, system in enumerate(systems):
        if system.decoded is None:
            continue
        outcome = outcome_of(system)
        correct = np.zeros(system.decoded.n_events, np.bool_) if outcome is None else outcome.correct
        for clip, *event in _as_listed(system.decoded, correct):
            rows[clip]["systems"][k]["events"].append(event)
        if outcome is None or truth is None:
            continue
        for row in rows:
            row["systems"][k]["detected"] = []
        for clip, *_, hit in _as_listed(truth, outcome.detected):
            rows[clip]["systems"][k]["detected"].append(hit)
    return rows


def _as_listed(events: Events, flags: Bools | None = None) -> list[list[Any]]:
    """Return clip, class, onset and offset of each event, with its flag, in order of clips and times."""
    order = np.lexsort((events.offset_s, events.onset_s, events.clip))
    columns = [events.clip, events.label, events.onset_s.round(3), events.offset_s.round(3)]
    columns += [] if flags is None else [flags.astype(np.int64)]
    return [list(row) for row in zip(*(column[order].tolist() for column in columns), strict=True)]
