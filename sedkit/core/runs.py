"""What the folder of a run is called: a product of axes, declared in `metadata/run_axes.tsv` for shell and Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.resources import metadata_path

#: An empty cell: the shell's `read` takes two tabs for one.
_NOTHING = "-"
#: What a value without a prefix looks like: training sets other than the split's.
_PLAIN = r"all(?:\+[\w-]+)?"


def _axes() -> list[list[str]]:
    """Return level, axis, prefix and what goes without saying of each axis, in the order of the name."""
    rows = metadata_path("run_axes.tsv").read_text(encoding="utf-8").splitlines()[1:]
    return [row.split("\t")[:4] for row in rows]


def axis_text(value: Any) -> str:
    """Return the value of an axis as names have it.

    >>> axis_text(-6.0), axis_text("1")
    ('-6', '1')
    """
    return f"{value:g}" if isinstance(value, float) else str(value)


def run_name(axes: Mapping[str, Any]) -> str:
    """Return the folder of a run below that of its recipe: `system[.pass][@network]/[snr<dB>_][fold<k>_][all_]seed<k>`.

    Parameters
    ----------
    axes
        Values by axis (`system`, `pass`, `network`, `snr_db`, `fold`, `trained_on`, `seed`); those that are None, or
        what goes without saying, have no part in the name.

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
    known = _axes()
    names = [axis for _, axis, _, _ in known]
    for name in axes:
        if name not in names:
            raise UsageError(f"axis {name!r} of a run{suggest(name, names)}, expected one of {listed(names, 9)}")
    levels: dict[str, list[str]] = {}
    for level, axis, prefix, unsaid in known:
        value = axes.get(axis)
        text = _NOTHING if value is None else axis_text(value)
        if text not in (_NOTHING, unsaid):
            levels.setdefault(level, []).append(text if prefix == _NOTHING else prefix + text)
    return "/".join(("_" if level == "run" else "").join(parts) for level, parts in levels.items())


def pass_folder(run: Path, name: str, system: str | None = None) -> Path:
    """Return the folder of a pass of a run: beside the system's, under the same values of all other axes.

    Parameters
    ----------
    run
        Folder of the run that the pass comes before.
    name
        Of the pass.
    system
        Whose pass it is, where several systems share it; None: that of the run.

    >>> pass_folder(Path("exp/mixtures/crnn/fold2_seed3"), "tagging").as_posix()
    'exp/mixtures/crnn.tagging/fold2_seed3'
    """
    own = run_axes(run)["system"]
    return run.parent.parent / run_name({"system": system or own, "pass": name}) / run.name


def run_axes(folder: Path) -> dict[str, str]:
    """Return the axes that the folder of a run tells, the inverse of `run_name`.

    A folder that is called otherwise tells its system alone, as the folder above it.

    >>> run_axes(Path("exp/mixtures/crnn.second/snr-6_fold2_seed3"))
    {'system': 'crnn', 'pass': 'second', 'snr_db': '-6', 'fold': '2', 'seed': '3'}
    """
    out: dict[str, str] = {}
    rest = folder.parent.name
    for level, axis, prefix, _ in reversed(_axes()):
        if level == "system" and prefix == _NOTHING:
            out = {axis: rest} | out
        elif level == "system":
            rest, _, value = rest.partition(prefix)
            out = ({axis: value} if value else {}) | out
    parts = [
        f"(?P<{axis}>{_PLAIN})" if prefix == _NOTHING else f"{prefix}(?P<{axis}>[^_]+)"
        for level, axis, prefix, _ in _axes()
        if level == "run"
    ]
    match = re.fullmatch("".join(f"(?:{part}_)?" for part in parts[:-1]) + parts[-1], folder.name)
    return out | {axis: value for axis, value in (match.groupdict() if match else {}).items() if value is not None}


def training_of(run: Path) -> tuple[Path, str | None]:
    """Return the folder of the training behind a run, and the network of it that the run is of.

    A training may keep several networks: each has a run of its own, with scores, rules and figures. None: the run is
    the training's own, of the network that scores unless another is asked for.

    >>> folder, network = training_of(Path("exp/mixtures/crnn@teacher/seed3"))
    >>> folder.as_posix(), network
    ('exp/mixtures/crnn/seed3', 'teacher')
    """
    axes = run_axes(run)
    network = axes.get("network")
    if network is None or (run / "config.yaml").is_file():
        return run, None
    axes = {axis: value for axis, value in axes.items() if axis in ("system", "pass")}
    return run.parent.parent / run_name(axes) / run.name, network


def network_name(system: str, network: str | None) -> str:
    """Return what one of several networks of a system is called.

    >>> network_name("crnn", "teacher"), network_name("crnn", None)
    ('crnn@teacher', 'crnn')
    """
    return run_name({"system": system, "network": network})


def run_of(training: Path, network: str | None) -> Path:
    """Return the folder of the run of one of a training's networks, the inverse of `training_of`.

    >>> run_of(Path("exp/mixtures/crnn/seed3"), "teacher").as_posix()
    'exp/mixtures/crnn@teacher/seed3'
    """
    if network is None:
        return training
    axes = {axis: value for axis, value in run_axes(training).items() if axis in ("system", "pass")}
    return training.parent.parent / run_name(axes | {"network": network}) / training.name
