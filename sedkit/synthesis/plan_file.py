"""A plan of mixtures as a YAML for people: written, read back, and judged against the data dirs that it names."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import sedkit
from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import read_yaml, write_text
from sedkit.dataio.datadir import DataDir
from sedkit.synthesis.folds import check_apart, groups_of
from sedkit.synthesis.plan import (
    ASSIGNMENTS,
    SNRS,
    Mixture,
    MixturePlan,
    PlannedEvent,
)

#: A plan of a hundred thousand mixtures has fewer.
_MOST_VALUES = 10_000_000
#: Durations in tables and times in plans are rounded to a microsecond, each.
_SLACK_S = 2e-6
_ABOUT = """\
# Mixtures of events in scenes, times in seconds. An event sounds from onset to offset, taken from its recording from
# source_start on, snr_db above the scene. Data dirs are as seen from this file. `sedkit mix render` checks all of it.
"""


def write_plan(path: str | os.PathLike[str], plan: MixturePlan) -> None:
    """Write a plan; its data dirs are named as seen from its folder."""
    folder = Path(path).resolve().parent
    header = {
        "generator": f"sedkit {sedkit.__version__}",
        "seed": plan.seed,
        "sample_rate": plan.sample_rate,
        "length_s": plan.length_s,
        "snr": plan.snr,
        "assignment": plan.assignment,
        "events": os.path.relpath(plan.events.resolve(), folder),
        "scenes": os.path.relpath(plan.scenes.resolve(), folder),
    }
    lines = [f"{key}: {_scalar(value)}\n" for key, value in header.items()]
    lines.append("mixtures:\n")
    for mixture in plan.mixtures:
        fields = {key: value for key, value in vars(mixture).items() if key != "events"}
        lines.append("- " + "  ".join(f"{key}: {_scalar(value)}\n" for key, value in fields.items()) + "  events:\n")
        lines += [
            f"  - {{{', '.join(f'{key}: {_scalar(value)}' for key, value in vars(event).items())}}}\n"
            for event in mixture.events
        ]
    write_text(path, _ABOUT + "".join(lines))


def _scalar(value: object) -> str:
    """Return a text or number as YAML; JSON's are YAML's."""
    return json.dumps(value, ensure_ascii=False)


def read_plan(path: str | os.PathLike[str]) -> MixturePlan:
    """Read a plan and judge it against its data dirs.

    What the published mixture.yaml does not have may be left out: scene_group, scene_start and source_start (0), snr_db
    (that of the whole plan, else 0).

    Raises
    ------
    SedkitError
        A key is unknown, missing or of another type, a clip is unknown or has another tag, an excerpt lies outside its
        recording or the mixture, a name stands twice, or a group is in two folds. The message names file and key.
    """
    raw = _fields(read_yaml(path, _MOST_VALUES), _HEADER, str(path), ": ")
    folder = Path(path).resolve().parent
    events, scenes = (_Clips(_data_dir(folder, raw[key], f"{path}: {key}")) for key in ("events", "scenes"))
    for key, choices in (("snr", SNRS), ("assignment", ASSIGNMENTS)):
        if raw[key] not in choices:
            raise SedkitError(
                f"{path}: {key}: got {raw[key]!r}{suggest(raw[key], choices)}, expected {listed(choices)}"
            )
    length_s = raw["length_s"]
    if length_s <= 0 or raw["sample_rate"] < 1:
        raise SedkitError(f"{path}: length_s and sample_rate: expected a length and a rate above 0")
    mixtures = []
    for i, item in enumerate(raw["mixtures"]):
        where = f"{path}: mixtures[{i}]"
        fields = _fields(item, _MIXTURE, where)
        planned = tuple(
            _event(one, f"{where}.events[{j}]", raw["snr_db"], length_s, events)
            for j, one in enumerate(fields.pop("events"))
        )
        scene = scenes.row(fields["scene_audio_name"], f"{where}.scene_audio_name")
        scenes.check_inside(scene, fields["scene_start"], length_s, f"{where}.scene_start")
        group = scenes.groups[scene]
        if fields["scene_group"] not in (None, group):
            raise SedkitError(
                f"{where}.scene_group: got {fields['scene_group']!r}, expected {group!r}, as {scenes.table} has it"
            )
        mixtures.append(Mixture(**{**fields, "scene_group": group}, events=planned))
    plan = MixturePlan(
        events.data.path,
        scenes.data.path,
        **{key: raw[key] for key in ("seed", "sample_rate", "length_s", "snr", "assignment")},
        mixtures=tuple(mixtures),
    )
    _check_whole(plan, events, str(path))
    return plan


def _check_whole(plan: MixturePlan, events: _Clips, path: str) -> None:
    """Check what mixtures must be to each other."""
    if not plan.mixtures:
        raise SedkitError(f"{path}: mixtures: none, expected at least one")
    seen: dict[str, int] = {}
    for i, mixture in enumerate(plan.mixtures):
        if seen.setdefault(mixture.mixture_name, i) != i:
            raise SedkitError(
                f"{path}: mixtures[{i}].mixture_name: {mixture.mixture_name!r} is that of "
                f"mixtures[{seen[mixture.mixture_name]}], expected each name once"
            )
    placed = [(event, mixture.fold) for mixture in plan.mixtures for event in mixture.events]
    of_event = [events.groups[events.rows[event.event_audio_name]] for event, _ in placed]
    check_apart(of_event, [fold for _, fold in placed], f"{path}: mixtures", "event group")
    if plan.assignment == "grouped":
        scene_groups, folds = [m.scene_group for m in plan.mixtures], [m.fold for m in plan.mixtures]
        check_apart(scene_groups, folds, f"{path}: mixtures", "scene group")


def _event(raw: Any, where: str, snr_db: float, length_s: float, events: _Clips) -> PlannedEvent:
    fields = _fields(raw, _EVENT, where)
    if fields["snr_db"] is None:
        fields["snr_db"] = snr_db
    event = PlannedEvent(**fields)
    row = events.row(event.event_audio_name, f"{where}.event_audio_name")
    if event.event_label not in events.tags[row]:
        raise SedkitError(
            f"{where}.event_label: got {event.event_label!r}, expected {listed(events.tags[row])}, the tag of "
            f"{event.event_audio_name}"
        )
    if not 0 <= event.onset < event.offset <= length_s + _SLACK_S:
        raise SedkitError(
            f"{where}.onset: got {event.onset:g} to offset {event.offset:g}, expected 0 <= onset < offset <= "
            f"{length_s:g}"
        )
    events.check_inside(row, event.source_start, event.offset - event.onset, f"{where}.source_start")
    return event


class _Clips:
    """The clips of a data dir by name."""

    def __init__(self, data: DataDir) -> None:
        self.data, self.table = data, f"{data.path}/clips.tsv"
        self.rows = {name: i for i, name in enumerate(data.clips.filename)}
        self.groups = groups_of(data.clips)
        tags = data.weak() if data.has_weak else None
        self.tags = [[tags.labels[k] for k in row.nonzero()[0]] for row in tags.present] if tags else []

    def row(self, name: str, where: str) -> int:
        if name not in self.rows:
            raise SedkitError(f"{where}: got {name!r}{suggest(name, self.rows)}, expected a clip of {self.table}")
        return self.rows[name]

    def check_inside(self, row: int, start: float, length_s: float, where: str) -> None:
        duration = float(self.data.clips.duration_s[row])
        if not 0 <= start <= start + length_s <= duration + _SLACK_S:
            raise SedkitError(
                f"{where}: got {length_s:g} s from {start:g} s on, expected an excerpt of the {duration:g} s of "
                f"{self.data.clips.filename[row]}"
            )


def _data_dir(folder: Path, name: str, where: str) -> DataDir:
    try:
        return DataDir(folder / name)
    except SedkitError as error:
        raise SedkitError(f"{where}: {error}") from None


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a text")
    return value


def _wav_name(value: Any) -> str:
    if not isinstance(value, str) or not value.endswith(".wav") or len(value) < 5 or "/" in value or value[0] == ".":
        raise ValueError("a file name such as 00000.wav")
    return value


def _fold(value: Any) -> str:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("a number")
    return float(value)


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("a whole number")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a list")
    return value


#: What each key holds, and its value where it is left out; `...` where it must not be.
_Kinds = Mapping[str, tuple[Callable[[Any], Any], Any]]
_HEADER: _Kinds = {
    "generator": (_text, ""),
    "seed": (_whole, 0),
    "sample_rate": (_whole, ...),
    "length_s": (_number, ...),
    "snr": (_text, ...),
    "snr_db": (_number, 0.0),
    "assignment": (_text, ...),
    "events": (_text, ...),
    "scenes": (_text, ...),
    "mixtures": (_list, ...),
}
_MIXTURE: _Kinds = {
    "mixture_name": (_wav_name, ...),
    "fold": (_fold, ...),
    "scene_audio_name": (_text, ...),
    "scene_group": (_text, None),
    "scene_start": (_number, 0.0),
    "events": (_list, ...),
}
_EVENT: _Kinds = {
    "event_audio_name": (_text, ...),
    "event_label": (_text, ...),
    "onset": (_number, ...),
    "offset": (_number, ...),
    "source_start": (_number, 0.0),
    "snr_db": (_number, None),
}


def _fields(raw: Any, kinds: _Kinds, where: str, joint: str = ".") -> dict[str, Any]:
    """Return the values of a mapping, each of its kind, those left out filled in."""
    if not isinstance(raw, dict):
        raise SedkitError(f"{where}: got {raw!r:.60}, expected a mapping with {listed(kinds, 12)}")
    for key in raw:
        if key not in kinds:
            raise SedkitError(f"{where}: unknown key {key!r}{suggest(key, kinds)}; has {listed(kinds, 12)}")
    out = {}
    for key, (kind, default) in kinds.items():
        if key not in raw:
            if default is ...:
                raise SedkitError(f"{where}: key {key!r} is missing")
            out[key] = default
            continue
        try:
            out[key] = kind(raw[key])
        except ValueError as error:
            raise SedkitError(f"{where}{joint}{key}: got {raw[key]!r:.60}, expected {error}") from None
    return out
