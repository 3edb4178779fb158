"""Folds of events and scenes: what stays together, and how many mixtures each gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.datadir import Clips, DataDir

Ints = NDArray[np.int64]


def groups_of(clips: Clips) -> list[str]:
    """Return the group of each clip; one of which nothing is known is a group of its own."""
    return [group or name for name, group in zip(clips.filename, clips.group or clips.filename, strict=True)]


def check_apart(groups: Sequence[str], folds: Sequence[str], where: str, what: str) -> None:
    """Raise SedkitError where a group is in two folds, naming it and both."""
    of_group: dict[str, str] = {}
    for group, fold in zip(groups, folds, strict=True):
        if of_group.setdefault(group, fold) != fold:
            raise SedkitError(
                f"{where}: {what} {group} is in fold {of_group[group]} and in fold {fold}, expected one of them"
            )


def deal(groups: Sequence[str], strata: Sequence[str], folds: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Deal groups to folds, whole, so that every fold gets its share of each stratum and of everything.

    Parameters
    ----------
    groups, strata
        Of each clip; a group is of its first clip's stratum.
    folds
        Their names.
    rng
        Decides between groups of one size.

    Returns
    -------
    The fold of each clip.

    Raises
    ------
    SedkitError
        Fewer groups than folds.
    """
    names, first, code, sizes = np.unique(groups, return_index=True, return_inverse=True, return_counts=True)
    if len(names) < len(folds):
        raise SedkitError(f"{len(names)} groups of clips cannot be dealt to {len(folds)} folds")
    order = rng.permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    of_stratum: dict[str, Ints] = {}
    total = np.zeros(len(folds), dtype=np.int64)
    fold = np.zeros(len(names), dtype=np.int64)
    for group in order:
        stratum = of_stratum.setdefault(strata[first[group]], np.zeros(len(folds), dtype=np.int64))
        fold[group] = np.lexsort((total, stratum))[0]
        stratum[fold[group]] += sizes[group]
        total[fold[group]] += sizes[group]
    return [folds[k] for k in fold[code]]


def folds_of(data: DataDir, strata: Sequence[str], names: Sequence[str], rng: np.random.Generator) -> list[str]:
    """Return the fold of each clip: the data dir's, else groups are dealt to `names`.

    Raises
    ------
    SedkitError
        A group is in two folds, or there are fewer groups than folds.
    """
    groups, where = groups_of(data.clips), f"{data.path}/clips.tsv"
    if data.clips.fold is not None:
        check_apart(groups, data.clips.fold, where, "group")
        return list(data.clips.fold)
    try:
        return deal(groups, strata, names, rng)
    except SedkitError as error:
        raise SedkitError(f"{where}: {error}") from None


def shared(mixtures: int | dict[str, int], fold: Sequence[str], where: str) -> dict[str, int]:
    """Return how many mixtures each fold gets.

    Parameters
    ----------
    mixtures
        Of each fold, which shares them with its parts (`1-select` is one of `1`) by their clips; or of each by name.
    fold
        Of each clip.
    where
        The clips' table, for messages.
    """
    clips = Counter(fold)
    folds = sorted(clips, key=lambda name: (name.partition("-")[0], name))
    if isinstance(mixtures, dict):
        for name in mixtures:
            if name not in folds:
                raise SedkitError(f"{where}: no fold {name!r} for mix.mixtures; has {listed(folds)}")
        return dict(mixtures)
    out: dict[str, int] = {}
    for _, parts in groupby(folds, lambda name: name.partition("-")[0]):
        names = list(parts)
        ends = np.rint(mixtures * np.cumsum([0, *(clips[x] for x in names)]) / sum(clips[x] for x in names))
        out |= dict(zip(names, np.diff(ends).astype(int).tolist(), strict=True))
    return {name: count for name, count in out.items() if count}
