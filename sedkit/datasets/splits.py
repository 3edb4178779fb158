"""Held-out parts and folds of a training set: stratified over many labels, whole recordings together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

#: Names of the parts, and the share of each.
PARTS = ("train", "select", "tune")
SHARES = (0.8, 0.1, 0.1)
#: Shares where a set is for selection and tuning alone.
HELD_OUT = (0.0, 0.5, 0.5)
#: Fewest clips of a held-out part, where the set has at least `SMALLEST_SET` clips.
FEWEST_HELD_OUT, SMALLEST_SET = 8, 40
#: Share of the selection part of a fold, and what its name ends in.
SELECT_SHARE, SELECT = 0.1, "-select"


def split_parts(
    present: np.ndarray,
    groups: Sequence[str],
    seed: int = 0,
    fixed: Mapping[str, str] | None = None,
    shares: Sequence[float] = SHARES,
    parts: Sequence[str] = PARTS,
) -> tuple[str, ...]:
    """Assign each clip to a part by iterative stratification over groups, and return the parts.

    Labels are dealt out from the rarest on: each group that holds the label goes to the part that still lacks most of
    it (Sechidis, Tsoumakas, Vlahavas, On the stratification of multi-label data, 2011; here with groups of clips in
    the place of single ones).

    Parameters
    ----------
    present
        (clips, classes) bool or 0/1. Without classes the clips are dealt out at random.
    groups
        Name of the recording of each clip; clips of a name stay together, ``""`` is a clip of its own.
    seed
        Breaks ties.
    fixed
        Groups whose part is decided already (they stand in another set).
    shares, parts
        Share of each part and its name; no part is larger than the first.

    Examples
    --------
    >>> split_parts(np.eye(2, dtype=bool).repeat(20, axis=0), [""] * 40).count("tune")
    8
    """
    n, fixed = len(groups), fixed or {}
    weights = _weights(n, shares)
    keys = [name or f"\0{i}" for i, name in enumerate(groups)]
    order = list(dict.fromkeys(keys))
    index = {key: i for i, key in enumerate(order)}
    member = np.array([index[key] for key in keys], dtype=np.int64)
    size = np.bincount(member, minlength=len(order))
    counts = np.zeros((len(order), present.shape[1]))
    np.add.at(counts, member, present.astype(np.float64))

    rng = np.random.default_rng(seed)
    bound = np.array([fixed.get(key) in parts for key in order], dtype=bool)
    choices = np.full(len(order), -1, dtype=np.int64)
    wanted = weights[:, None] * counts.sum(axis=0)  # (parts, classes)
    room = weights * n
    for i in np.flatnonzero(bound):
        _assign(int(i), parts.index(fixed[order[i]]), choices, wanted, room, counts, size)
    while True:
        left = np.where(choices[:, None] < 0, counts, 0.0).sum(axis=0)
        if not (left > 0).any():
            break
        rarest = int(np.argmin(np.where(left > 0, left, np.inf)))
        candidates = np.flatnonzero((choices < 0) & (counts[:, rarest] > 0))
        # Large groups first: they are the hardest to place.
        for i in candidates[np.lexsort((rng.random(len(candidates)), -size[candidates]))]:
            choice = np.lexsort((rng.random(len(weights)), -room, -wanted[:, rarest]))[0]
            _assign(int(i), int(choice), choices, wanted, room, counts, size)
    for i in rng.permutation(np.flatnonzero(choices < 0)):
        _assign(int(i), int(np.argmax(room)), choices, wanted, room, counts, size)
    _fill_up(choices, size, weights, n, rng, bound)
    return tuple(parts[choices[i]] for i in member)


def split_folds(
    present: np.ndarray, groups: Sequence[str], n_folds: int, seed: int = 0, fixed: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Assign each clip to a fold, ``1`` to ``n_folds`` of equal size, or to that fold's selection part, ``1-select``.

    Whoever holds fold 1 out reports on ``1`` and ``1-select``, selects on the selection parts of the other folds and
    trains on the rest of them. Parameters as `split_parts` has them.

    Examples
    --------
    >>> folds = split_folds(np.eye(2, dtype=bool).repeat(100, axis=0), [""] * 200, 4)
    >>> folds.count("1"), folds.count("1-select")
    (42, 8)
    """
    names = [str(k + 1) for k in range(n_folds)]
    whole = {group: fold.removesuffix(SELECT) for group, fold in (fixed or {}).items()}
    folds = np.array(split_parts(present, groups, seed, whole, [1 / n_folds] * n_folds, names), dtype=object)
    for name in names:
        clips = np.flatnonzero(folds == name)
        shares, parts = (1 - SELECT_SHARE, SELECT_SHARE), (name, name + SELECT)
        folds[clips] = split_parts(present[clips], [groups[i] for i in clips], seed, fixed, shares, parts)
    return tuple(folds)


def _weights(n: int, shares: Sequence[float]) -> np.ndarray:
    weights = np.array(shares, dtype=np.float64)
    if n >= SMALLEST_SET:
        weights[1:] = np.maximum(weights[1:], FEWEST_HELD_OUT / n)
        weights[0] = 1.0 - weights[1:].sum()
    return weights


def _assign(
    i: int, choice: int, choices: np.ndarray, wanted: np.ndarray, room: np.ndarray, counts: np.ndarray, size: np.ndarray
) -> None:
    choices[i] = choice
    wanted[choice] -= counts[i]
    room[choice] -= size[i]


def _fill_up(
    choices: np.ndarray, size: np.ndarray, weights: np.ndarray, n: int, rng: np.random.Generator, bound: np.ndarray
) -> None:
    """Move small groups of the first part into held-out parts that came out below their least size."""
    least = FEWEST_HELD_OUT if n >= SMALLEST_SET else int(n >= 2 * len(weights))
    for held_out in range(1, len(weights)):
        while size[choices == held_out].sum() < least:
            movable = np.flatnonzero((choices == 0) & ~bound)
            if len(movable) < 2:
                return
            choices[movable[np.lexsort((rng.random(len(movable)), size[movable]))[0]]] = held_out
