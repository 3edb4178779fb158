"""Class lists, and maps from the classes of one data set to those of another: data, in `metadata/`."""

from __future__ import annotations

import os
from pathlib import Path

from sedkit.core.errors import SedkitError
from sedkit.core.files import read_yaml
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary


def load_classes(path_or_name: str | os.PathLike[str]) -> Vocabulary:
    """Read a class list, one a line: a file, or the name of one in `metadata/classes/`.

    >>> len(load_classes("desed_maestro"))
    27
    """
    path = Path(path_or_name)
    known = path.suffix or path.is_file()
    return Vocabulary.read(path if known else metadata_path("classes", f"{path_or_name}.txt"))


def load_class_map(path_or_name: str | os.PathLike[str]) -> dict[str, tuple[str, ...]]:
    """Read which source classes stand for each target class, in the order of the file.

    Parameters
    ----------
    path_or_name
        A YAML file with a mapping `classes` (target class: source class, or a list of them, which with ``shared: true``
        may be empty: annotated, and never there), or the name of one in `metadata/maps/`.

    Raises
    ------
    SedkitError
        No such map, not of this form, or a source class stands for two target classes without ``shared: true``.

    Examples
    --------
    >>> load_class_map("esc50_desed")["Alarm_bell_ringing"]
    ('clock_alarm',)
    """
    path = Path(path_or_name)
    if path.suffix not in (".yaml", ".yml"):
        path = metadata_path("maps", f"{path_or_name}.yaml")
    raw = read_yaml(path)
    classes = raw.get("classes") if isinstance(raw, dict) else None
    if not isinstance(classes, dict) or not classes:
        raise SedkitError(f"{path}: expected a mapping `classes` of target class to source class or a list of them")
    shared = raw.get("shared", False)
    out: dict[str, tuple[str, ...]] = {}
    taken: dict[str, str] = {}
    for target, value in classes.items():
        sources = value if isinstance(value, list) else [value]
        if not (sources or shared) or not all(isinstance(x, str) and x for x in (target, *sources)):
            raise SedkitError(f"{path}: classes.{target}: got {value!r}, expected a class name or a list of them")
        for source in sources:
            if taken.setdefault(source, target) != target and not shared:
                raise SedkitError(
                    f"{path}: {source} stands for {taken[source]} and for {target}, expected one of them, or shared: "
                    "true"
                )
        out[target] = tuple(dict.fromkeys(sources))
    return out
