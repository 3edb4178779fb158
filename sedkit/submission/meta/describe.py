"""How a system works, in the words of the meta file: front end, network, decoding, and what an ensemble is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sedkit.core.errors import listed
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.log import log
from sedkit.core.numbers import is_number
from sedkit.models.complexity import complexity_of
from sedkit.postprocessing.rules import FrameRule, Postprocessing
from sedkit.submission.authors import stated_in
from sedkit.submission.energy_tables import kwh_of_experiments
from sedkit.submission.formats import Format
from sedkit.submission.pack.producer import Producer, decision_of

_ABOVE = "system.description."

#: Steps of `sedkit.features.augment` in words, where their names do not say it.
_AUGMENTATIONS = {"gain": "level", "noise": "white noise", "background": "background sounds", "pitch": "pitch shift"}


def describe_experiments(
    members: Sequence[ExperimentFolder],
    rules: Postprocessing | None,
    form: Format,
    submitted: str | None = None,
    made: Producer | None = None,
) -> dict[str, Any]:
    """Collect what an experiment says of a system, or the members of an ensemble together: sizes and energy summed.

    Parameters
    ----------
    members
        One experiment, or the sub-systems of a fused system.
    rules
        How its scores became what is handed in, None where that is not known.
    form
        The year's format.
    submitted
        The set that is handed in, whose prediction's energy is stated; None where it is not known.
    made
        Of an ensemble, who made the fused scores, as they say themselves.

    Returns
    -------
    Values by the field's path in the meta file.
    """
    each = [_describe(member) for member in members]
    values = each[0] if len(members) == 1 else _describe_ensemble(members, each, made)
    values = values | words_of_rules(rules, scores_only=form.scores is not None)
    sizes = [complexity_of(member) for member in members]
    values["system.complexity.total_parameters"] = _sum([size.parameters for size in sizes])
    values["system.complexity.MACS"] = _sum([size.macs for size in sizes])
    values |= kwh_of_experiments(members, submitted)
    stated = [stated_in(member) for member in members]
    for path in ("system.external_datasets", "system.source_code"):
        values[path] = joined([one.get(path) for one in stated])
    # What a configuration states goes before what can be read from the rules; an ensemble's is in no configuration.
    return values | stated[0] if len(members) == 1 else values


def _paths(description: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{_ABOVE}{key}": value for key, value in description.items()}


def _sum(counts: Sequence[int | None]) -> int | None:
    """Sum counts; one that is not known leaves the sum unknown."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _describe(experiment: ExperimentFolder) -> dict[str, Any]:
    """Return what a configuration says of how one system works."""
    config = experiment.config
    described = {
        "input_channels": "mono",
        "input_sampling_rate": _sampling_rate_khz(config),
        "data_augmentation": _augmentation(config),
        "acoustic_features": acoustic_features(config.get("frontend") or {}),
        "machine_learning_method": (config.get("model") or {}).get("name"),
    }
    stated = {path: value for path, value in stated_in(experiment).items() if path.startswith(_ABOVE)}
    return _paths(described) | stated


def _describe_ensemble(
    members: Sequence[ExperimentFolder], each: Sequence[Mapping[str, Any]], made: Producer | None
) -> dict[str, Any]:
    """Return what members have in common, and each of the things in which they differ."""
    out: dict[str, Any] = {path: joined([one.get(path) for one in each]) for one in each for path in one}
    rate = f"{_ABOVE}input_sampling_rate"
    rates = sorted({one[rate] for one in each if is_number(one[rate])})
    if rates:
        # The field is one number.
        out[rate] = rates[-1]
    if len(rates) > 1:
        log.warning("the members' sampling rates differ (%s kHz): the highest is stated", listed(rates))
    features = out[f"{_ABOVE}acoustic_features"]
    if isinstance(features, str) and ", " in features:
        # The validators know single features, one a text.
        out[f"{_ABOVE}acoustic_features"] = features.split(", ")
    assert made is not None
    # Whoever made the scores knows better than the call; a single network's scores are no ensemble's.
    count = len(made.parts) if made.fused else None if made.known else len(members)
    told = {"ensemble_method_subsystem_count": count, "decision_making": decision_of(made, members)}
    # What one member did after its scores is nothing that the ensemble's went through.
    return out | _paths({**told, "segmentation_method": None, "post-processing": None})


def words_of_rules(rules: Postprocessing | None, scores_only: bool = False) -> dict[str, Any]:
    """Say how scores became events, by the field's path in the meta file; nothing where the rules are not known.

    `scores_only`: scores are handed in, and all of the rules touched them but the thresholds themselves.
    """
    if rules is None:
        return {}
    frames = [rule for rule in rules.rules if isinstance(rule, FrameRule)]
    words = ["rescaling of each clip's scores"] if any(rule.rescale_trim_s is not None for rule in frames) else []
    for kind, windows in (
        ("moving average", [1000 * rule.mean_s for rule in frames]),
        ("median filtering", [1000 * rule.median_s for rule in frames]),
    ):
        if any(windows):
            low, high = min(windows), max(windows)
            span = f"{low:.0f} ms" if low == high else f"{low:.0f}-{high:.0f} ms, class-wise"
            words.append(f"{kind} ({span})")
    double = any(rule.low is not None for rule in frames)
    if scores_only and double:
        words.append("extension of events to a second threshold")
    if any(rule.merge_gap_s for rule in frames):
        words.append("merging of near events")
    if any(rule.min_duration_s for rule in frames):
        words.append("removal of short events")
    decoder = {
        "derivative": "threshold on rises and falls",
        "csebbs": "change-detection-based bounding boxes",
    }.get(rules.decoder, "double threshold" if double else "threshold")
    if scores_only:
        return _paths({"post-processing": ", ".join(words) or (decoder if rules.decoder == "csebbs" else None)})
    return _paths({"segmentation_method": decoder, "post-processing": ", ".join(words) or None})


def acoustic_features(frontend: Mapping[str, Any]) -> str | None:
    """Name a front end in the template's words.

    >>> acoustic_features({"spectrum": "power", "log": "db"})
    'log-mel energies'
    """
    if not frontend:
        return None
    if frontend.get("log", "db") in (None, "none", False):
        return "spectrogram"
    return "log-mel energies" if frontend.get("spectrum", "power") == "power" else "log-mel amplitude"


def joined(values: Sequence[Any]) -> Any:
    """Join what several members say: each item of texts (divided by commas) and lists once, in order.

    >>> joined(["mixup, speed", None, "speed, level"])
    'mixup, speed, level'
    >>> joined([[{"name": "AudioSet"}], [{"name": "AudioSet"}], None])
    [{'name': 'AudioSet'}]
    """
    known = [value for value in values if value is not None]
    items: list[Any] = []
    for value in known:
        for item in value.split(", ") if isinstance(value, str) else value if isinstance(value, list) else [value]:
            if item not in items:
                items.append(item)
    if all(isinstance(value, str) for value in known):
        return ", ".join(items) or None
    return items if len(items) > 1 or isinstance(known[0], list) else items[0]


def _sampling_rate_khz(config: Mapping[str, Any]) -> float | int | None:
    rate = (config.get("frontend") or {}).get("sample_rate")
    return rate / 1000 if is_number(rate) and rate % 1000 else rate // 1000 if is_number(rate) else None


def _augmentation(config: Mapping[str, Any]) -> str | None:
    streams = ((config.get("data") or {}).get("streams") or {}).values()
    sections = [
        steps for stream in streams for steps in (stream.get("augment") or {}, *(stream.get("views") or {}).values())
    ]
    words = [_AUGMENTATIONS.get(step, step.replace("_", " ")) for steps in sections for step in steps or ()]
    return ", ".join(dict.fromkeys(words)) or None
