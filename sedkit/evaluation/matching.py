"""Which estimated event answers which reference event: a maximum matching per clip, compiled.

An estimate can answer a reference event when onset and offset both lie within their tolerances. Almost every
clip leaves no choice: no event has two partners, and the hits are the matching. Where a choice exists, Hopcroft and
Karp's algorithm [1]_ finds as many pairs as can be had. It visits events in file order, because the number of
substitutions (estimates of another class in the right place, counted among the events left over) depends on *which*
maximum matching is taken; this order gives the figure of sed_eval.

.. [1] J. E. Hopcroft and R. M. Karp, "An n^5/2 algorithm for maximum matchings in bipartite graphs", 1973.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sedkit.core.compiled import compiled

_GONE = -2
_ROOT = -1


@compiled()
def _within(r: int, e: int, references: Any, estimates: Any, collar_s: float, fraction: float) -> bool:
    _, _, r_on, r_off = references
    _, _, e_on, e_off = estimates
    # Bare float64 comparisons: an epsilon would move events that lie on the limit.
    if abs(r_on[r] - e_on[e]) > collar_s:
        return False
    return abs(r_off[r] - e_off[e]) <= max(collar_s, fraction * (r_off[r] - r_on[r]))


@compiled()
def _maximum_matching(hit: Any, left_order: Any, partner: Any) -> None:
    """Fill `partner` (references,) with the estimate matched to each reference, -1 where none.

    `hit` is (references, estimates) bool; `left_order` the estimates with a hit, by their first reference.
    """
    n_ref, n_est = hit.shape
    for u in left_order:
        for v in range(n_ref):
            if hit[v, u] and partner[v] < 0:
                partner[v] = u
                break
    n_edges = 0
    for u in left_order:
        for v in range(n_ref):
            n_edges += hit[v, u]
    reached = np.empty(n_ref, np.bool_)  # references that a layer has reached
    first = np.empty(n_ref, np.int64)  # a reference's estimates of the layer before, as a linked list
    last = np.empty(n_ref, np.int64)
    following = np.empty(n_edges, np.int64)
    owner = np.empty(n_edges, np.int64)
    came_from = np.empty(n_est, np.int64)  # the reference through which an estimate was reached
    layer = np.empty(n_est, np.int64)
    fresh = np.empty(n_ref, np.int64)
    free = np.empty(n_ref, np.int64)
    stack = np.empty(n_ref, np.int64)
    choice = np.empty(n_ref, np.int64)
    while True:
        reached[:] = False
        first[:] = -1
        came_from[:] = _GONE
        for u in left_order:
            came_from[u] = _ROOT
        for v in range(n_ref):
            if partner[v] >= 0:
                came_from[partner[v]] = _GONE
        n_layer = 0
        for u in left_order:
            if came_from[u] == _ROOT:
                layer[n_layer] = u
                n_layer += 1
        n_free = 0
        n_links = 0
        while n_layer and not n_free:
            n_fresh = 0
            for k in range(n_layer):
                u = layer[k]
                for v in range(n_ref):
                    if hit[v, u] and not reached[v]:
                        if first[v] < 0:
                            fresh[n_fresh] = v
                            n_fresh += 1
                            first[v] = n_links
                        else:
                            following[last[v]] = n_links
                        last[v] = n_links
                        following[n_links] = -1
                        owner[n_links] = u
                        n_links += 1
            n_layer = 0
            for k in range(n_fresh):
                v = fresh[k]
                reached[v] = True
                if partner[v] >= 0:
                    layer[n_layer] = partner[v]
                    n_layer += 1
                    came_from[partner[v]] = v
                else:
                    free[n_free] = v
                    n_free += 1
        if not n_free:
            return
        for k in range(n_free):
            # Walk back through the layers to an unmatched estimate; each reference and estimate is tried once.
            if not reached[free[k]]:
                continue
            stack[0] = free[k]
            reached[free[k]] = False
            depth = 1
            while depth:
                v = stack[depth - 1]
                link = first[v]
                if link < 0:
                    depth -= 1
                    continue
                first[v] = following[link]
                u = owner[link]
                back = came_from[u]
                if back == _GONE:
                    continue
                came_from[u] = _GONE
                choice[depth - 1] = u
                if back == _ROOT:
                    for d in range(depth):
                        partner[stack[d]] = choice[d]
                    break
                if reached[back]:
                    reached[back] = False
                    stack[depth] = back
                    depth += 1


@compiled()
def match_clips(
    references: Any, estimates: Any, collar_s: float, fraction: float, true_positives: Any, substitutions: Any
) -> None:
    """Count, per clip, matched events of each class and substitutions.

    Parameters
    ----------
    references, estimates : `counts.Grouped`.
    collar_s, fraction : tolerance of the onset; of the offset: the larger of it and this share of the reference.
    true_positives : (clips, classes) int64, filled.
    substitutions : (clips,) int64, filled.
    """
    (r_first, r_label, _, _), (e_first, e_label, _, _) = references, estimates
    for clip in range(len(r_first) - 1):
        r0, e0 = r_first[clip], e_first[clip]
        n_ref, n_est = r_first[clip + 1] - r0, e_first[clip + 1] - e0
        if n_ref == 0 or n_est == 0:
            continue
        hit = np.zeros((n_ref, n_est), np.bool_)
        partner = np.full(n_ref, -1, np.int64)
        seen = np.zeros(n_est, np.bool_)
        order = np.empty(n_est, np.int64)
        n_order = 0
        choice_exists = False
        for r in range(n_ref):
            degree = 0
            for e in range(n_est):
                same = r_label[r0 + r] == e_label[e0 + e]
                if same and _within(r0 + r, e0 + e, references, estimates, collar_s, fraction):
                    hit[r, e] = True
                    degree += 1
                    partner[r] = e
                    if seen[e]:
                        choice_exists = True
                    else:
                        seen[e] = True
                        order[n_order] = e
                        n_order += 1
            if degree > 1:
                choice_exists = True
        if choice_exists:
            partner[:] = -1
            _maximum_matching(hit, order[:n_order], partner)
        used = np.zeros(n_est, np.bool_)
        for r in range(n_ref):
            if partner[r] >= 0:
                used[partner[r]] = True
                true_positives[clip, r_label[r0 + r]] += 1
        for r in range(n_ref):
            if partner[r] >= 0:
                continue
            for e in range(n_est):
                if not used[e] and _within(r0 + r, e0 + e, references, estimates, collar_s, fraction):
                    used[e] = True
                    substitutions[clip] += 1
                    break
