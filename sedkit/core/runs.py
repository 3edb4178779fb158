"""What the folder of a run is called: a product of axes, declared in `metadata/run_axes.tsv` for shell and Python."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.resources import metadata_path

#: An empty cell: the shell's `read` takes two tabs for one.
_NOTHING = "-"


def run_name(axes: Mapping[str, Any]) -> str:
    """Return the folder of a run below that of its recipe: `system[.pass]/[snr<dB>_][fold<k>_][all_]seed<k>`.

    Parameters
    ----------
    axes
        Values by axis (`system`, `pass`, `snr_db`, `fold`, `trained_on`, `seed`); those that are None, or what goes
        without saying, have no part in the name.

    Raises
    ------
    UsageError
        An axis that is not declared.

    Examples
    --------
    >>> run_name({"system": "crnn", "seed": 3}), run_name({"system": "crnn", "pass": "second", "seed": 0})
    ('crnn/seed3', 'crnn.second/seed0')
    >>> run_name({"system": "crnn", "trained_on": "all", "seed": 3, "snr_db": -6.0, "fold": 2})
    'crnn/snr-6_fold2_all_seed3'
    """
    known = [row.split("\t") for row in metadata_path("run_axes.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    names = [axis for _, axis, _, _ in known]
    for name in axes:
        if name not in names:
            raise UsageError(f"axis {name!r} of a run{suggest(name, names)}, expected one of {listed(names, 9)}")
    levels: dict[str, list[str]] = {}
    for level, axis, prefix, unsaid in known:
        value = axes.get(axis)
        text = _NOTHING if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        if text not in (_NOTHING, unsaid):
            levels.setdefault(level, []).append(text if prefix == _NOTHING else prefix + text)
    return "/".join(("_" if level == "run" else "").join(parts) for level, parts in levels.items())
