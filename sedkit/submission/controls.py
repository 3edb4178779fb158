"""Controls: figures that stand in results beside a system's, of what nobody had to train."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sedkit.submission.results import Run

#: Name of a control to the block that `sedkit score --baselines true` writes.
_CONSTANT = {"no event": "all_negative", "every class throughout": "all_positive"}
#: Name of a control to its place in the block of separation.
_SEPARATED = {
    "mixture as it is": ("mixture",),
    "ideal binary masks": ("oracles", "ibm"),
    "ideal ratio masks": ("oracles", "irm"),
}


def controls(runs: Iterable[Run]) -> list[Run]:
    """Return the controls of results, each once for a reference: systems and seeds have the same.

    Parameters
    ----------
    runs
        Results of systems.

    Returns
    -------
    Runs without system and seed, whose `control` is their name.
    """
    out: dict[tuple[object, ...], Run] = {}
    for run in runs:
        for name, blocks in _blocks(run.results).items():
            described = {key: run.results.get(key) for key in ("reference", "undefined", "overlaps", "versions", "run")}
            control = replace(run, results=described | dict(blocks), control=name)
            out.setdefault((control.key, control.run.get("fold")), control)
    return list(out.values())


def _blocks(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    of_constants = results.get("baselines") or {}
    out = {name: of_constants[key] for name, key in _CONSTANT.items() if key in of_constants}
    separation = results.get("separation") or {}
    for name, way in _SEPARATED.items():
        place: Any = separation
        for key in way:
            place = place.get(key) or {}
        if place:
            out[name] = {"separation": {"parameters": separation.get("parameters"), **place}}
    return out
