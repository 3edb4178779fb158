"""One YAML per system (and its base): read it, change single keys, turn a section into a typed dataclass.

The only place that knows jsonargparse. Reading and hashing need YAML alone, so that a call whose result is up to
date ends before anything heavy is imported.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from sedkit.core.deltas import BASE, Layer, merge, read_layers
from sedkit.core.errors import UsageError, listed, suggest
from sedkit.core.runs import axis_text, pass_folder

if TYPE_CHECKING:
    from jsonargparse import ArgumentParser

T = TypeVar("T")

#: Sections that decide what a training gives.
TRAINED = (
    "frontend",
    "embeddings",
    "data",
    "normalise",
    "model",
    "objective",
    "optimiser",
    "schedule",
    "selection",
    "training",
)
#: Every section and plain key that a configuration may hold.
SECTIONS = ("recipe", "system", "networks", "run", "mix", *TRAINED, "decoding", "submission", "budgets", "passes")

#: What sections say, by class and words.
_PARSED: dict[tuple[type, str], Any] = {}


def read_config(
    path: str | os.PathLike[str],
    overrides: Sequence[str] = (),
    budget: str | None = None,
    of_pass: str | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Read a configuration with its base, and apply a pass, a budget and overrides, in this order.

    Where the section `data` says `{fold}` or another key of the section `run`, that key's value is put in its place;
    `{NAME}` of one of the passes becomes the folder of its run.

    Parameters
    ----------
    path
        The YAML.
    overrides
        `section.key=value`; values are read as YAML.
    budget
        A mapping of dotted keys in the section `budgets`; None applies none.
    of_pass
        A mapping of the section `passes`: sections that differ from the configuration's, budgets included, merged as
        over a base.
    folder
        Of the run that it is read for, beside which its passes lie; None leaves `{NAME}` of a pass as it is.

    Raises
    ------
    UsageError
        An unknown section, budget or pass, an override without `=` or a section, or of a budget or pass (it would
        change nothing any more), a base that cannot be one (`sedkit.core.deltas`), or a `{key}` that `run` has not.
    """
    layers = read_layers(path)
    for layer in layers:
        _check_sections(layer.content, str(layer.path), (*SECTIONS, BASE))
    if late := [text for text in overrides if text.startswith(("budgets.", "passes."))]:
        raise UsageError(f"override {late[0]!r}: give the key that it sets, such as training.steps=100")
    out = copy.deepcopy(merge(layers))
    passes = _by_name(out.pop("passes", None), "passes", path)
    if of_pass is not None:
        delta = _named(passes, of_pass, "pass", path)
        _check_sections(delta, f"{path}: passes.{of_pass}", [s for s in SECTIONS if s not in ("passes", "networks")])
        # Those of the system's own training: a pass is one run.
        out.pop("networks", None)
        out = merge((Layer(Path(path), delta), Layer(Path(path), out)))
    budgets = _by_name(out.pop("budgets", None), "budgets", path)
    if budget is not None:
        for key, value in _named(budgets, budget, "budget", path).items():
            set_key(out, key, value)
    out = apply_overrides(out, overrides)
    if "data" in out:
        known = {name: f"{{{name}}}" if folder is None else pass_of(folder, passes, name) for name in passes}
        out["data"] = fill(out["data"], known | (out.get("run") or {}), "data", "the section run")
    return out


def read_passes(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the section `passes` of a configuration: the trainings that come before its own, in their order."""
    return _by_name(merge(read_layers(path)).get("passes"), "passes", path)


def _by_name(raw: Any, what: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    if not isinstance(raw, dict | None):
        raise UsageError(f"{path}: {what} is {raw!r}, expected a mapping of names to sections")
    return raw or {}


def pass_of(run: Path, passes: Mapping[str, Any], name: str) -> Path:
    """Return the folder of the run's pass `name`, one of the section `passes`, which may say whose `system` it is."""
    return pass_folder(run, name, at(passes, (name,)).get("system"))


def fill(raw: Any, axes: Mapping[str, Any], where: str, source: str) -> Any:
    """Return plain data with a run's values in place of `{axis}` in its words and keys.

    Raises
    ------
    UsageError
        An axis without a value; `where` it stands and the `source` of values are named.
    """

    def value(match: re.Match[str]) -> str:
        if axes.get(match[1]) is None:
            raise UsageError(f"{where}: {match[0]} has no value, {source} has {listed(axes) or 'none'}")
        return axis_text(axes[match[1]])

    if isinstance(raw, dict):
        return {fill(key, axes, where, source): fill(one, axes, where, source) for key, one in raw.items()}
    if isinstance(raw, list):
        return [fill(one, axes, where, source) for one in raw]
    return re.sub(r"\{(\w+)\}", value, raw) if isinstance(raw, str) else raw


def _named(choices: dict[str, Any], name: str, what: str, path: str | os.PathLike[str]) -> dict[str, Any]:
    if name not in choices:
        raise UsageError(f"{path}: unknown {what} {name!r}{suggest(name, choices)}, it has {listed(choices) or 'none'}")
    choice = {} if choices[name] is None else choices[name]
    if not isinstance(choice, dict):
        raise UsageError(f"{path}: {what} {name} is {choice!r}, expected a mapping")
    return choice


def at(content: Mapping[str, Any], way: Iterable[Any]) -> Mapping[str, Any]:
    """Return the mapping that stands at the end of some keys; an empty one where there is none."""
    for key in way:
        step = content.get(key)
        content = step if isinstance(step, dict) else {}
    return content


def apply_overrides(raw: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of `raw` with `section.key=value` applied in turn."""
    import yaml

    out = copy.deepcopy(raw)
    for text in overrides:
        key, equals, value = text.partition("=")
        parts = key.split(".")
        if not equals or not all(parts):
            raise UsageError(f"override {text!r}: expected section.key=value")
        _check_sections({parts[0]: None}, f"override {text!r}")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UsageError(f"override {text!r}: {value!r} is not a YAML value") from None
        set_key(out, key, parsed)
    return out


def set_key(raw: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in place, making the mappings on its way."""
    *way, last = key.split(".")
    place = raw
    for name in way:
        step = place.setdefault(name, {})
        if not isinstance(step, dict):
            raise UsageError(f"key {key!r}: {name!r} holds {step!r}, not a mapping")
        place = step
    place[last] = value


def _check_sections(raw: dict[str, Any], where: str, sections: Sequence[str] = SECTIONS) -> None:
    for name in raw:
        if name not in sections:
            raise UsageError(f"{where}: unknown section {name!r}{suggest(name, sections)}; has {listed(sections, 12)}")


def typed(raw: dict[str, Any] | None, cls: type[T], where: str) -> T:
    """Turn a mapping into the dataclass `cls`.

    Parameters
    ----------
    raw
        Keys and values as read from YAML; None stands for an empty section.
    cls
        A dataclass; its defaults fill the keys that are not given.
    where
        Named in messages, such as ``conf/cnn9.yaml: training``.

    Raises
    ------
    UsageError
        An unknown key (with "did you mean"), a missing one, a value of another type, or a value that the
        dataclass itself refuses.
    """
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise UsageError(f"{where}: got {raw!r}, expected a mapping")
    # Parsing takes five milliseconds, and a call asks for the same sections again and again.
    asked = cls, repr(raw)
    if asked not in _PARSED:
        _PARSED[asked] = _parse(raw, cls, where)
    return copy.deepcopy(_PARSED[asked])


def _parse(raw: dict[str, Any], cls: type[T], where: str) -> T:
    from jsonargparse import ArgumentError

    names = [f.name for f in dataclasses.fields(cls) if f.init]  # type: ignore[arg-type]
    for key in raw:
        if key not in names:
            raise UsageError(f"{where}: unknown key {key!r}{suggest(str(key), names)}; has {listed(names, 30)}")
    hints = get_type_hints(cls)
    for spec in dataclasses.fields(cls):  # type: ignore[arg-type]
        hint = hints[spec.name]
        for kind in (hint, *(get_args(hint) if isinstance(hint, UnionType) else ())):
            if isinstance(kind, type) and dataclasses.is_dataclass(kind) and raw.get(spec.name) is not None:
                # For its message, which knows the section's own keys.
                typed(raw[spec.name], kind, f"{where}.{spec.name}")
        needed = spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING and spec.init
        if needed and spec.name not in raw:
            raise UsageError(f"{where}: key {spec.name!r} is missing")
    parser = _parser(cls)  # type: ignore[arg-type]
    try:
        # A copy, in which jsonargparse makes a number of a text that looks like one.
        parsed = parser.parse_object({"section": copy.deepcopy(raw)})
        return parser.instantiate(parsed).section
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    except (ArgumentError, TypeError, ValueError) as error:
        raise UsageError(f"{where}: {_first_cause(error)}") from None


@functools.cache
def _parser(cls: type) -> ArgumentParser:
    """Return the parser of a section that is a `cls`: making it takes longer than what it parses."""
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--section", type=cls)
    return parser


def _first_cause(error: BaseException) -> str:
    """Return a jsonargparse error in one line, in words a user of the YAML understands."""
    lines = [line.strip(" -:") for line in str(error).splitlines() if line.strip(" -")]
    text = "; ".join(lines).replace("section.", "")
    text = re.sub(r"<class '([^']+)'>", r"\1", text)
    union = r"Does not validate against any of the Union subtypes; Subtypes: \[(.*), NoneType\].*Given value: "
    text = re.sub(union, r"Expected \1 or null. Got value: ", text)
    # A section of a single key or of many: jsonargparse names the dataclass or not.
    text = re.sub(r"""^Parser key "section":;? Problem with given class_path '[\w.]+';? """, "", text)
    text = re.sub(r'^(?:Parser key )?"?section"?:;? ?', "", text)
    return re.sub(r"""^Parser key "([\w.]+)":?;? """, r"key '\1': ", text)
