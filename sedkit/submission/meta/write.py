"""The meta file of a system: written field by field as the year asks for them, or taken from one made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sedkit.core.config import set_key
from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import read_yaml
from sedkit.core.log import log
from sedkit.submission.authors import Authors
from sedkit.submission.formats import Format
from sedkit.submission.meta.read import ABSENT, Meta, get

_SEPARATION = ("ss_system", "ss_results")


@dataclass(frozen=True)
class SystemMeta:
    """What is known of a system, by the field's path in the meta file; what is absent is written as null.

    Figures of a class have its name in the place of ``*``. `remarks` say what the development results are not, as
    comments, which the validators drop. `separation` are the blocks of a sound separation system before the detection,
    as they stand in its meta file.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    separation: Mapping[str, Any] = field(default_factory=dict)


def build_meta(form: Format, label: str, authors: Authors, system: SystemMeta) -> dict[str, Any]:
    """Return the meta file's content: the format's fields in order, authors after the names."""
    out: dict[str, Any] = {}
    values = {**system.values, "submission.label": label}
    if values.get("system.source_code") is None:
        values["system.source_code"] = authors.source_code
    for item in form.fields:
        if "*" not in item.path:
            set_key(out, item.path, values.get(item.path))
            if item.path == "submission.abbreviation":
                out["submission"]["authors"] = authors.people
            continue
        paths = [item.path.replace("*", name) for name in form.labels]
        known = any(path in values for path in paths)
        for path in paths:
            # A class whose figure is undefined is left out: the validators want a number wherever there is a class.
            if not known or values.get(path) is not None:
                set_key(out, path, values.get(path))
    return out | dict(system.separation)


def meta_text(meta: dict[str, Any], remarks: Sequence[str] = ()) -> str:
    """Return the YAML of a meta file: LF, keys in the format's order, remarks above it as comments."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Repeats what occurs twice: anchors mean nothing to a reader of the template."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    comments = "".join(f"# Development results: {' '.join(remark.split())}\n" for remark in remarks)
    return comments + str(yaml.dump(meta, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120))


def names_of(name: str) -> dict[str, str]:
    """Return how a system is called where nobody says otherwise, by the fields' paths."""
    return {"submission.name": name, "submission.abbreviation": abbreviate(name)}


def abbreviate(name: str) -> str:
    """Cut a system's name to the ten characters the results table has room for.

    >>> abbreviate("cnn9_synthetic_framewise")
    'cnn9-syn-f'
    >>> abbreviate("crnn_mean_teacher@student")
    'crnn-m-stu'
    """
    if len(name) <= 10:
        return name
    name, _, network = name.partition("@")
    if network:
        return f"{abbreviate(name)[:6].rstrip('-')}-{network[:3]}"
    first, *rest = name.replace("-", "_").split("_")
    return "-".join([first[:6], *(word[:3] for word in rest)])[:10].rstrip("-")


def meta_of_file(path: str, form: Format) -> SystemMeta:
    """Take a system's description from a meta file made elsewhere; its authors and label are not taken over.

    What the format does not ask for is left out and named. 2020 and 2021 also call the blocks `sed_system` and
    `sed_results`, and know a separation system's beside them. SedkitError where there is no block of a meta file.
    """
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise SedkitError(f"{path}: is {content!r:.60}, expected a mapping with submission, system and results")
    separation = {name: content.pop(name) for name in _SEPARATION if form.separation and name in content}
    meta = Meta.of(path, content)
    values: dict[str, Any] = {}
    for item in form.fields:
        above, every, below = item.path.partition(".*.")
        if every:
            block = meta.get(above) or {}
            if not isinstance(block, Mapping):
                raise SedkitError(f"{path}: {above} is {block!r:.60}, expected a mapping with a block per class")
            values |= {f"{above}.{name}.{below}": get(block[name], below) for name in form.labels if name in block}
        elif not item.path.startswith("submission.") and meta.get(item.path, ABSENT) is not ABSENT:
            values[item.path] = meta.get(item.path)
    names = {path: meta.get(path) for path in ("submission.name", "submission.abbreviation")}
    values |= {path: str(name) for path, name in names.items() if name}
    _name_unknown(meta, form)
    return SystemMeta(values, separation=separation)


def _name_unknown(meta: Meta, form: Format) -> None:
    asked = [*(item.path.partition(".*")[0] for item in form.fields), "submission.authors"]
    known = [meta.called(path) for path in asked]
    within = tuple(f"{path}." for path in known)
    unknown = [place for place in _leaves(meta.values) if not f"{place}.".startswith(within)]
    if unknown:
        hint = suggest(unknown[0].rpartition(".")[2], [path.rpartition(".")[2] for path in known])
        log.warning("%s: not taken over, not asked for by %s: %s%s", meta.file, form.name, listed(unknown), hint)


def _leaves(block: Any, above: str = "") -> list[str]:
    if not isinstance(block, Mapping) or not block:
        return [above] if above else []
    return [leaf for key, value in block.items() for leaf in _leaves(value, f"{above}.{key}".lstrip("."))]
