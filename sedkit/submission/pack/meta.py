"""The meta file of a system, filled from its experiment, the author file and its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.experiment_folder import DEVELOPMENT_RESULTS, ExperimentFolder
from sedkit.core.files import read_yaml
from sedkit.core.log import log
from sedkit.models.complexity import complexity_of
from sedkit.postprocessing.rules import Postprocessing
from sedkit.submission.check.yaml_lines import get, tracked_blocks
from sedkit.submission.formats import Format
from sedkit.submission.pack.authors import Authors
from sedkit.submission.pack.description import describe_ensemble, describe_experiment, describe_rules, joined
from sedkit.submission.pack.development import Development
from sedkit.submission.stated import stated_in

_SEPARATION = ("ss_system", "ss_results")


@dataclass(frozen=True)
class SystemMeta:
    """What is known of a system, by the field's path in the meta file; what is absent is written as null.

    Attributes
    ----------
    remarks
        What its development results are not; written as comments, which the validators drop.
    separation
        The blocks of a sound separation system before the detection, as they stand in its meta file.
    """

    name: str
    abbreviation: str
    values: Mapping[str, Any] = field(default_factory=dict)
    class_values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    separation: Mapping[str, Any] = field(default_factory=dict)


def build_meta(form: Format, label: str, authors: Authors, system: SystemMeta) -> dict[str, Any]:
    """Return the meta file's content: the format's fields in order, authors after the names.

    Parameters
    ----------
    form
        The year's format: it decides which fields are written.
    label
        Submission label.
    authors, system
        Who, and what.
    """
    out: dict[str, Any] = {}
    values = {
        "submission.label": label,
        "submission.name": system.name,
        "submission.abbreviation": system.abbreviation,
        **system.values,
    }
    if values.get("system.source_code") is None:
        values["system.source_code"] = authors.source_code
    for item in form.fields:
        if "*" not in item.path:
            _put(out, item.path, values.get(item.path))
            if item.path == "submission.abbreviation":
                out["submission"]["authors"] = authors.people
            continue
        above, _, below = item.path.partition(".*.")
        known = system.class_values.get(below, {})
        for name in form.labels:
            # A class whose figure is undefined is left out: the validators want a number wherever there is a class.
            if not known or known.get(name) is not None:
                _put(out, f"{above}.{name}.{below}", known.get(name))
    return out | dict(system.separation)


def _put(out: dict[str, Any], path: str, value: Any) -> None:
    *way, last = path.split(".")
    for key in way:
        out = out.setdefault(key, {})
    out[last] = value


def meta_text(meta: dict[str, Any], remarks: Sequence[str] = ()) -> str:
    """Return the YAML of a meta file: LF, keys in the format's order, remarks above it as comments."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Repeats what occurs twice: anchors mean nothing to a reader of the template."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    comments = "".join(f"# Development results: {' '.join(remark.split())}\n" for remark in remarks)
    return comments + str(yaml.dump(meta, Dumper=Plain, sort_keys=False, allow_unicode=True, width=120))


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


def meta_of_experiments(
    members: Sequence[ExperimentFolder],
    system: str,
    rules: Postprocessing | None,
    form: Format,
    submitted: str | None = None,
    producer: str = "",
) -> SystemMeta:
    """Collect what an experiment says of a system, or the members of an ensemble together: sizes and energy summed.

    Parameters
    ----------
    members
        One experiment, or the sub-systems of a fused system.
    system
        Its name, where the configuration states none; an ensemble's is in no configuration.
    rules
        How its scores became what is handed in, None where that is not known.
    form
        The year's format.
    submitted
        The set that is handed in, whose prediction's energy is stated; None where it is not known.
    producer
        Of an ensemble, who made the fused scores, as they say themselves.
    """
    alone = len(members) == 1
    words = describe_rules(rules, scores_only=form.scores is not None)
    if alone:
        described = {**describe_experiment(members[0]), **words}
    else:
        described = {**describe_ensemble(members, producer), **words}
    sizes = [complexity_of(member) for member in members]
    values = {f"system.description.{key}": value for key, value in described.items()}
    values["system.complexity.total_parameters"] = _sum([size.parameters for size in sizes])
    values["system.complexity.MACS"] = _sum([size.macs for size in sizes])
    values |= _energy(members, submitted)
    for key in ("external_datasets", "source_code"):
        values[f"system.{key}"] = joined([stated_in(member).get(key) for member in members])
    meta = SystemMeta(system, abbreviate(system), values)
    # What a configuration states goes before what can be read from the rules.
    return named(meta, stated_in(members[0])) if alone else meta


def named(system: SystemMeta, stated: Mapping[str, Any]) -> SystemMeta:
    """Return a system with what is stated of it in place of what was found.

    Parameters
    ----------
    system
        What was found.
    stated
        As `sedkit.submission.stated.read_stated` returns it.
    """
    values = dict(system.values)
    values |= {f"system.description.{key}": value for key, value in (stated.get("description") or {}).items()}
    for key in ("external_datasets", "source_code"):
        if stated.get(key) is not None:
            values[f"system.{key}"] = stated[key]
    return replace(
        system,
        name=stated.get("name") or system.name,
        abbreviation=stated.get("abbreviation") or system.abbreviation,
        values=values,
    )


def meta_of_file(path: str, form: Format, fallback: str) -> SystemMeta:
    """Take a system's description from a meta file made elsewhere; its authors and label are not taken over.

    What the format does not ask for is left out and named. 2020 and 2021 also call the blocks `sed_system` and
    `sed_results`, and know a separation system's beside them.

    Raises
    ------
    SedkitError
        No such file, or none that holds a meta file's blocks.
    """
    meta = read_yaml(path)
    if not isinstance(meta, dict):
        raise SedkitError(f"{path}: is {meta!r:.60}, expected a mapping with submission, system and results")
    separation = {name: meta.pop(name) for name in _SEPARATION if form.separation and name in meta}
    for tracked, plain in tracked_blocks(meta).items():
        meta[plain] = meta.pop(tracked)
    values = {}
    class_values: dict[str, dict[str, Any]] = {}
    for item in form.fields:
        if "*" in item.path:
            above, _, below = item.path.partition(".*.")
            block = get(meta, above)[1] or {}
            if not isinstance(block, Mapping):
                raise SedkitError(f"{path}: {above} is {block!r:.60}, expected a mapping with a block per class")
            class_values[below] = {name: get(block[name], below)[1] for name in form.labels if name in block}
        elif get(meta, item.path)[0] and not item.path.startswith("submission."):
            values[item.path] = get(meta, item.path)[1]
    _name_unknown(path, meta, form)
    name = get(meta, "submission.name")[1] or fallback
    short = get(meta, "submission.abbreviation")[1] or abbreviate(fallback)
    return SystemMeta(str(name), str(short), values, class_values, separation=separation)


def _name_unknown(path: str, meta: Mapping[str, Any], form: Format) -> None:
    known = [*(item.path for item in form.fields), "submission.authors"]
    above = tuple(f"{path.partition('.*')[0]}." for path in known)
    unknown = [place for place in _leaves(meta) if place not in known and not place.startswith(above)]
    if unknown:
        last = unknown[0].rpartition(".")[2]
        hint = suggest(last, [one.rpartition(".")[2] for one in known])
        log.warning("%s: not taken over, not asked for by %s: %s%s", path, form.name, listed(unknown), hint)


def _leaves(block: Any, above: str = "") -> list[str]:
    if not isinstance(block, Mapping) or not block:
        return [above] if above else []
    return [leaf for key, value in block.items() for leaf in _leaves(value, f"{above}.{key}".lstrip("."))]


def with_rules(system: SystemMeta, rules: Postprocessing | None) -> SystemMeta:
    """Return a system with its decoding described, where its meta file says nothing of it."""
    words = {f"system.description.{key}": value for key, value in describe_rules(rules).items()}
    return replace(
        system, values={**words, **{k: v for k, v in system.values.items() if v is not None or k not in words}}
    )


def with_results(system: SystemMeta, results: Development) -> SystemMeta:
    """Return the description with these development results in place of those it states."""
    return replace(
        system,
        values={**system.values, **results.values},
        class_values={**system.class_values, **results.class_values},
        remarks=(*system.remarks, *results.remarks),
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    """Sum counts; one that is not known leaves the sum unknown."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def energy_stages(submitted: str | None) -> dict[str, str]:
    """Return the stages that formats with energy ask for: field, and name below `EXP/energy`."""
    stages = {"training": "training", "devtest_inference": DEVELOPMENT_RESULTS}
    return stages | ({"evaluation_inference": submitted} if submitted else {})


def _energy(members: Sequence[ExperimentFolder], submitted: str | None) -> dict[str, Any]:
    """Energy in kWh summed over the members; one that was not measured leaves the sum unknown."""
    out: dict[str, Any] = {}
    for key, name in energy_stages(submitted).items():
        known = [kwh for member in members if (kwh := member.energy_kwh(name)) is not None]
        if len(known) == len(members):
            out[f"system.complexity.energy.{key}"] = float(f"{sum(known):.6g}")
    return out
