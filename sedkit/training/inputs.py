"""What a training depends on, by content: the files that it reads, and what of its configuration is compared."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sedkit.core.config import TRAINED
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.stamp import Source
from sedkit.dataio.datadir import TABLES
from sedkit.synthesis.plan import MixSettings

#: Keys of `labels` that may name a file of the user's.
_FILES = ("map", "source")


def _naming_files(config: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield each section that names a file of the user's, with its key that does, after the key of it all."""
    data = config["data"]
    if isinstance(data.get("classes"), str) and Path(data["classes"]).is_file():
        yield "classes", data, "classes"
    for side in ("streams", "select"):
        for name, stream in (data.get(side) or {}).items():
            labels = stream.get("labels") or {}
            for key in _FILES:
                if isinstance(labels.get(key), str) and Path(labels[key]).is_file():
                    yield f"{side}.{name}.labels.{key}", labels, key


def name_files(config: dict[str, Any], named: Callable[[Path], str]) -> None:
    """Name the files of a configuration otherwise, in place."""
    for _, section, key in list(_naming_files(config)):
        section[key] = named(Path(section[key]))


def compared(config: dict[str, Any], mix: MixSettings | None) -> dict[str, Any]:
    """Return what a stamp compares of a configuration: what weights, maps and labels are counts, not where they lie.

    The section `mix` counts where a stream is of mixtures (None: none is).
    """
    sections = copy.deepcopy({name: config[name] for name in TRAINED if name in config})
    name_files(sections, lambda path: path.name)
    # Hashes do not see the order of keys, which counts where steps are done in turn.
    sections["normalise"] = list((sections.get("normalise") or {}).items())
    for stream in (sections["data"].get("streams") or {}).values():
        stream["augment"] = list((stream.get("augment") or {}).items())
        stream["views"] = {name: list((steps or {}).items()) for name, steps in (stream.get("views") or {}).items()}
    training = {name: value for name, value in (sections.get("training") or {}).items() if name != "weights"}
    if mix is not None:
        sections["mix"] = asdict(mix)
    return sections | {"training": training} | {name: config.get(name) for name in ("recipe", "system")}


def check_weights(file: str | None) -> None:
    """Raise UsageError where the file of weights that a network begins with is not there (None: it needs none)."""
    if file and not Path(file).is_file():
        raise UsageError(
            f"{file}: no such file (training.weights), expected weights to start from: name it by --weights"
        )


def inputs_of(plan: Any) -> dict[str, Source]:
    """Return the files that a `Plan` depends on, as seen from its data root; not those of sets that are only drawn.

    Raises
    ------
    SedkitError
        A data dir, features, a recording, a table of labels or a file of weights that is not there.
    """
    inputs: dict[str, Source] = {}
    for key, stream in plan.sets.streams:
        source = stream.labels.source
        if source is not None and not Path(source).is_file():
            raise SedkitError(
                f"{source}: no such table ({key}.labels.source); `sedkit tag` writes tags, `sedkit decode` events"
            )
        beside = [name for _, name, _ in plan.sets.beside(stream, key)]
        for name in (*plan.sets.of(stream, key), *beside):
            data = plan.sets.data_dir(name)
            inputs |= {f"{name}/{t}": data.path / t for t in TABLES if (data.path / t).is_file()}
            if stream.source != "features" or name in beside:
                inputs[f"{name}/recordings"] = data.recordings()
            else:
                inputs |= {f"{name}/{role}": path for role, path in plan.sets.features(name).items()}
    inputs |= {key: section[name] for key, section, name in _naming_files(plan.config)}
    if plan.training.weights:
        check_weights(plan.training.weights)
        inputs["weights"] = plan.training.weights
    return inputs
