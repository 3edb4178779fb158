"""A results file as it is read: what the comparison uses is of the right kind, or one line names file and key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, listed
from sedkit.core.files import read_json
from sedkit.submission.numbers import is_number
from sedkit.submission.official import METRICS, VARIANTS

_MAPPINGS = ("reference", "estimate", "run", "versions")
_TEXTS = (
    ("undefined",),
    ("overlaps",),
    ("reference", "known_as"),
    ("reference", "path"),
    ("reference", "sha256"),
    ("estimate", "path"),
    *(("run", key) for key in ("recipe", "system", "pass", "network", "trained_on", "budget")),
    ("versions", "sedkit"),
    ("versions", "commit"),
)
_NUMBERS = (("reference", "clips"), ("reference", "missing"), ("estimate", "coverage"))


def read_results(path: Path) -> Mapping[str, Any]:
    """Read a results file.

    Raises
    ------
    SedkitError
        No results file, or a value of another kind than `sedkit score --json` writes.
    """
    results = read_json(path)
    if not isinstance(results, dict) or "reference" not in results:
        raise SedkitError(f"{path}: is no results file (no `reference`); `sedkit score --json` writes them")
    for key in _MAPPINGS:
        if results.get(key) is not None:
            mapping(results[key], f"{path}: {key}")
    mapping(results["reference"], f"{path}: reference")
    for keys in _TEXTS:
        _checked(results, keys, f"{path}: ", (str,), "a text or null")
    for keys in _NUMBERS:
        _checked(results, keys, f"{path}: ", (int, float), "a number or null")
    _checked(results, ("estimate", "partial"), f"{path}: ", (bool,), "true, false or null")
    for name in dict.fromkeys(metric.block for metric in METRICS.values() if metric.block):
        if results.get(name) is not None:
            _check_block(mapping(results[name], f"{path}: {name}"), name, str(path))
    return results


def mapping(value: Any, where: str) -> Mapping[str, Any]:
    """Return a value that has to be a mapping; else one line says where it stands and what it is."""
    if not isinstance(value, Mapping):
        raise SedkitError(f"{where} is {value!r:.60}, expected a mapping")
    return value


def _check_block(block: Mapping[str, Any], name: str, path: str) -> None:
    for key in mapping(block.get("parameters") or {}, f"{path}: {name}.parameters"):
        _checked(block, ("parameters", key), f"{path}: {name}.", (int, float), "a number or null")
    _checked(block, ("variant",), f"{path}: {name}.", (str,), "a text")
    if name.startswith("psds") and block.get("variant") not in VARIANTS:
        raise SedkitError(f"{path}: {name}.variant is {block.get('variant')!r}, expected one of {listed(VARIANTS)}")
    _checked(block, ("points",), f"{path}: {name}.", (list,), "a list")
    for metric in METRICS.values():
        if metric.block != name:
            continue
        *way, last = metric.value
        place: Any = block
        for key in way:
            place = mapping(place.get(key) or {}, f"{path}: {name}.{key}")
        where = ".".join((f"{path}: {name}", *way))
        _checked(place, (last,), f"{where}.", (int, float), "a finite number or null")
        bounds = place.get("interval")
        if bounds is not None and not (isinstance(bounds, list) and len(bounds) == 2 and all(map(is_number, bounds))):
            raise SedkitError(f"{where}.interval is {bounds!r:.60}, expected two finite numbers or null")


def _checked(
    block: Mapping[str, Any], keys: tuple[str, ...], where: str, kinds: tuple[type, ...], expected: str
) -> None:
    """Refuse a value that is there, is not null, and is of none of the kinds; `where` goes right before its keys."""
    value: Any = block
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is None:
        return
    right = is_number(value) if float in kinds else isinstance(value, kinds)
    if not right:
        raise SedkitError(f"{where}{'.'.join(keys)} is {value!r:.60}, expected {expected}")
