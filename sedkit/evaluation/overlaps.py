"""Events of one class that overlap in a clip: PSDS and intersection figures refuse them, or have them joined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sedkit.core.compiled import compiled, sort_rows
from sedkit.core.errors import SedkitError
from sedkit.dataio.events import Events


def checked_order(table: Events, refuse: bool = True) -> NDArray[np.int64]:
    """Return the rows in order of clip and onset, equal ones in file order.

    Refuses a table in which events of one class overlap in a clip (equal rows pass), or end before they begin.
    psds_eval refuses both, overlaps since 0.4 (`refuse`); `merge_overlaps` joins the events.
    """
    order, overlap, backwards = _checked_order(table.clip, table.label, table.onset_s, table.offset_s, refuse)
    if backwards >= 0:
        raise SedkitError(
            f"{table.source}:{table.line[backwards]}: onset {table.onset_s[backwards]:g} s after offset "
            f"{table.offset_s[backwards]:g} s, expected onset first (PSDS and intersection figures cannot use the row)"
        )
    if overlap >= 0:
        i = overlap
        raise SedkitError(
            f"{table.source}:{table.line[i]}: {table.labels[table.label[i]]} at {table.onset_s[i]:g} s overlaps "
            f"another event of its class in {table.filenames[table.clip[i]]}, which PSDS and intersection figures do "
            "not allow; correct the table, or join such events with --overlaps merge"
        )
    return np.asarray(order, dtype=np.int64)


@compiled()
def _checked_order(clip: Any, label: Any, onset: Any, offset: Any, refuse: bool) -> Any:
    n = len(clip)
    order = np.arange(n)
    for i in range(n):
        if onset[i] > offset[i]:
            return order, -1, i
    for i in range(1, n):
        if clip[i] < clip[i - 1]:
            sort_rows(order, clip)
            break
    start = 0
    while start < n:
        stop = start + 1
        while stop < n and clip[order[stop]] == clip[order[start]]:
            stop += 1
        sort_rows(order[start:stop], onset)
        if refuse:
            for i in range(start, stop):
                a = order[i]
                for j in range(i + 1, stop):
                    b = order[j]
                    if onset[b] >= offset[a]:
                        break
                    equal = onset[a] == onset[b] and offset[a] == offset[b]
                    if label[a] == label[b] and onset[a] < offset[b] and not equal:
                        return order, b, -1
        start = stop
    return order, -1, -1


def merge_overlaps(table: Events) -> tuple[Events, int]:
    """Join events of one class that overlap in a clip; return the table and how many events were absorbed."""
    group = table.clip * len(table.labels) + table.label
    order = np.lexsort((table.offset_s, table.onset_s, group))
    keep, offset = _merged(group[order], table.onset_s[order], table.offset_s[order])
    offsets = table.offset_s.copy()
    offsets[order] = offset
    rows = np.sort(order[keep])
    merged = table.take(rows)
    return Events(**{**merged.__dict__, "offset_s": offsets[rows]}), table.n_events - len(rows)


@compiled()
def _merged(group: Any, onset: Any, offset: Any) -> Any:
    keep = np.ones(len(group), np.bool_)
    out = offset.copy()
    last = 0
    for i in range(1, len(group)):
        if group[i] == group[last] and onset[i] < out[last]:
            keep[i] = False
            out[last] = max(out[last], offset[i])
        else:
            last = i
    return keep, out
