"""Ensembles: the mean of several systems' scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.dataio.scores import Part, Scores

#: Frame edges that differ by less than this are the same (grids read from text carry their rounding).
_SAME_S = 1e-4


def fuse(
    systems: Sequence[Scores], weights: Sequence[float] | None = None, names: Sequence[str] | None = None
) -> Scores:
    """Average scores of the same clips and classes on the same time grid.

    Parameters
    ----------
    systems
        At least two; clips and classes may stand in other orders, the first one's is kept.
    weights
        One per system, above 0; scaled to sum to 1. None: all alike.
    names
        What to call the systems in messages.

    Returns
    -------
    fused
        Clip scores are there when all systems have them; where some lack them (a folder of score tables holds none)
        they are left out, with a warning.

    Raises
    ------
    UsageError
        Fewer than two systems, the same scores twice, or weights that are not one positive number each.
    SedkitError
        Other clips, classes, durations or time grids.
    """
    names = list(names) if names is not None else [f"scores {i + 1}" for i in range(len(systems))]
    if len(systems) < 2:
        raise UsageError(f"{len(systems)} scores to fuse, expected at least two")
    share = _shares(weights, len(systems))
    first = systems[0]
    framewise = np.zeros(first.framewise.shape, np.float64)
    without = [name for system, name in zip(systems, names, strict=True) if system.clipwise is None]
    if without and len(without) < len(systems):
        log.warning(
            "%s: no clip scores, which the other%s: clip scores are left out of the ensemble, frame scores are fused",
            listed(without, 3),
            " holds" if len(systems) - len(without) == 1 else "s hold",
        )
    clipwise = None if without or first.clipwise is None else np.zeros(first.clipwise.shape, np.float64)
    seen: dict[str, int] = {}
    for i, (system, name, weight) in enumerate(zip(systems, names, share, strict=True)):
        system = system.named_as(first.filenames)
        rows = _order(first.filenames, system.filenames, "clips", names[0], name)
        columns = _order(first.labels, system.labels, "classes", names[0], name)
        _check_grid(first, system, rows, names[0], name)
        ordered = system.framewise[rows][:, :, columns]
        tags = None if clipwise is None or system.clipwise is None else system.clipwise[np.ix_(rows, columns)]
        twin = seen.setdefault(_digest(ordered, tags), i)
        if twin != i:
            raise UsageError(
                f"{name}: the same scores as {names[twin]}; give each system once (weights tell how much each counts)"
            )
        framewise += weight * ordered
        if clipwise is not None and tags is not None:
            clipwise += weight * tags
    if clipwise is not None:
        clipwise = clipwise.astype(
            np.result_type(*(system.clipwise for system in systems if system.clipwise is not None))
        )
    parts = tuple(
        Part(system.producer or name, float(weight), system.parts)
        for system, name, weight in zip(systems, names, share, strict=True)
    )
    members = " + ".join(f"{part.share:.4g} x {part.producer}" for part in parts)
    return replace(
        first,
        framewise=framewise.astype(np.result_type(*(system.framewise for system in systems))),
        clipwise=clipwise,
        producer=f"ensemble of {len(systems)}: {members}",
        parts=parts,
    )


def _digest(framewise: np.ndarray, clipwise: np.ndarray | None) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(framewise, dtype=np.float64).tobytes())
    if clipwise is not None:
        digest.update(np.ascontiguousarray(clipwise, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _shares(weights: Sequence[float] | None, n: int) -> np.ndarray:
    if weights is None:
        return np.full(n, 1 / n)
    share = np.asarray(weights, dtype=np.float64)
    if len(share) != n:
        raise UsageError(f"{len(share)} weights for {n} scores, expected one each")
    if not (np.isfinite(share).all() and (share > 0).all()):
        raise UsageError(f"weights {listed(weights, 12)}: expected numbers above 0")
    return share / share.sum()


def _order(wanted: tuple[str, ...], given: tuple[str, ...], what: str, first: str, name: str) -> np.ndarray:
    """Return where the `wanted` clips or classes stand among those `given`."""
    at = {word: i for i, word in enumerate(given)}
    missing = [word for word in wanted if word not in at]
    added = [word for word in given if word not in set(wanted)]
    if missing or added:
        raise SedkitError(
            f"{name}: other {what} than {first} (missing: {listed(missing, 3) or 'none'}; "
            f"additional: {listed(added, 3) or 'none'})"
        )
    return np.array([at[word] for word in wanted], dtype=np.int64)


def _check_grid(a: Scores, b: Scores, rows: np.ndarray, first: str, name: str) -> None:
    if b.framewise.shape[1] != a.framewise.shape[1]:
        raise SedkitError(
            f"{name}: {b.framewise.shape[1]} frames a clip, {first} has {a.framewise.shape[1]}; "
            "expected scores on the same time grid"
        )
    differs = np.flatnonzero(np.asarray(a.n_frames) != np.asarray(b.n_frames)[rows])
    if len(differs):
        i = int(differs[0])
        raise SedkitError(
            f"{name}: {b.n_frames[rows[i]]} frames in {a.filenames[i]}, {first} has {a.n_frames[i]}; "
            "expected scores on the same time grid"
        )
    late = np.flatnonzero(np.abs(a.duration_s - b.duration_s[rows]) > _SAME_S)
    if len(late):
        i = int(late[0])
        raise SedkitError(
            f"{name}: {a.filenames[i]} lasts {b.duration_s[rows[i]]:.3f} s, in {first} {a.duration_s[i]:.3f} s; "
            "expected scores of the same recordings"
        )
    if isinstance(a.frame_edges_s, tuple) or isinstance(b.frame_edges_s, tuple):
        pairs = [(a.edges(i), b.edges(int(rows[i]))) for i in range(len(rows))]
    else:
        pairs = [(a.frame_edges_s, b.frame_edges_s)]
    for ours, theirs in pairs:
        off = np.abs(ours - theirs)
        if off.size and off.max() > _SAME_S:
            k = int(off.argmax())
            raise SedkitError(
                f"{name}: frame edge {k} at {theirs[k]:.4f} s, in {first} at {ours[k]:.4f} s; "
                "expected scores on the same time grid"
            )
