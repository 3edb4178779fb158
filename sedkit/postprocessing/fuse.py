"""Ensembles: the mean of several systems' scores."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.log import log
from sedkit.dataio.scores import Member, Scores

#: Frame edges that differ by less than this are the same (grids read from text carry their rounding).
_SAME_S = 1e-4


def fuse(
    systems: Sequence[Scores], weights: Sequence[float] | None = None, names: Sequence[str] | None = None
) -> Scores:
    """Average scores of the same clips and classes on the same time grid.

    Clip scores are there when all systems have them; where some lack them (a folder of score tables holds none) they
    are left out, with a warning.

    Parameters
    ----------
    systems
        At least two; clips and classes may stand in other orders, the first one's is kept.
    weights
        One per system, above 0; scaled to sum to 1. None: all alike.
    names
        What to call the systems in messages.

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
    without = [name for system, name in zip(systems, names, strict=True) if system.clipwise is None]
    if without and len(without) < len(systems):
        log.warning(
            "%s: no clip scores, which the other%s: clip scores are left out of the ensemble, frame scores are fused",
            listed(without, 3),
            " holds" if len(systems) - len(without) == 1 else "s hold",
        )
    if without:
        systems = [replace(system, clipwise=None) for system in systems]
    framewise, clipwise = np.zeros(()), np.zeros(())
    seen: dict[str, int] = {}
    for i, (system, name, weight) in enumerate(zip(systems, names, share, strict=True)):
        one = _aligned(system, systems[0], name, names[0])
        twin = seen.setdefault(_digest(one), i)
        if twin != i:
            raise UsageError(
                f"{name}: the same scores as {names[twin]}; give each system once (weights tell how much each counts)"
            )
        framewise = framewise + weight * one.framewise
        if one.clipwise is not None:
            clipwise = clipwise + weight * one.clipwise
    members = tuple(
        Member(system.producer or name, float(weight), system.members)
        for system, name, weight in zip(systems, names, share, strict=True)
    )
    told = " + ".join(f"{member.share:.4g} x {member.producer}" for member in members)
    return replace(
        systems[0],
        framewise=framewise.astype(np.result_type(*(system.framewise for system in systems))),
        clipwise=None if without else clipwise.astype(np.result_type(*(system.clipwise for system in systems))),
        producer=f"ensemble of {len(systems)}: {told}",
        members=members,
    )


def _shares(weights: Sequence[float] | None, n: int) -> np.ndarray:
    if weights is None:
        return np.full(n, 1 / n)
    share = np.asarray(weights, dtype=np.float64)
    if len(share) != n:
        raise UsageError(f"{len(share)} weights for {n} scores, expected one each")
    if not (np.isfinite(share).all() and (share > 0).all()):
        raise UsageError(f"weights {listed(weights, 12)}: expected numbers above 0")
    return share / share.sum()


def _digest(scores: Scores) -> str:
    digest = hashlib.sha256()
    for values in (scores.framewise, scores.clipwise):
        if values is not None:
            digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()


def _aligned(system: Scores, first: Scores, name: str, first_name: str) -> Scores:
    """Return scores with clips and classes in the order of the first ones', on whose time grid they are."""
    system = system.named_as(first.filenames)
    for what, wanted, given in (
        ("clips", first.filenames, system.filenames),
        ("classes", first.labels, system.labels),
    ):
        missing, added = set(wanted) - set(given), set(given) - set(wanted)
        if missing or added:
            raise SedkitError(
                f"{name}: other {what} than {first_name} "
                f"(missing: {listed([word for word in wanted if word in missing], 3) or 'none'}; "
                f"additional: {listed([word for word in given if word in added], 3) or 'none'})"
            )
    system = system.keep_clips(first.filenames).keep_labels(first.labels)
    same_grid = "expected scores on the same time grid"
    frames, wanted_frames = system.framewise.shape[1], first.framewise.shape[1]
    if frames != wanted_frames:
        raise SedkitError(f"{name}: {frames} frames a clip, {first_name} has {wanted_frames}; {same_grid}")
    for i, clip in enumerate(first.filenames):
        if system.n_frames[i] != first.n_frames[i]:
            raise SedkitError(
                f"{name}: {system.n_frames[i]} frames in {clip}, {first_name} has {first.n_frames[i]}; {same_grid}"
            )
        if abs(system.duration_s[i] - first.duration_s[i]) > _SAME_S:
            raise SedkitError(
                f"{name}: {clip} lasts {system.duration_s[i]:.3f} s, in {first_name} {first.duration_s[i]:.3f} s; "
                "expected scores of the same recordings"
            )
        theirs, ours = system.edges(i), first.edges(i)
        k = int(np.argmax(np.abs(theirs - ours)))
        if abs(theirs[k] - ours[k]) > _SAME_S:
            raise SedkitError(
                f"{name}: frame edge {k} at {theirs[k]:.4f} s, in {first_name} at {ours[k]:.4f} s; {same_grid}"
            )
    return system
