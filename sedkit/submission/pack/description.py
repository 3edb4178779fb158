"""How a system works, in the words of the meta file: front end, network, decoding, and what an ensemble is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sedkit.core.errors import listed
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.log import log
from sedkit.core.numbers import is_number
from sedkit.postprocessing.rule import FrameRule
from sedkit.postprocessing.rules import Postprocessing
from sedkit.submission.pack.producer import decision_of, read_producer
from sedkit.submission.stated import stated_in

#: Steps of `sedkit.features.augment` in words, where their names do not say it.
_AUGMENTATIONS = {"gain": "level", "noise": "white noise", "background": "background sounds", "pitch": "pitch shift"}


def describe_experiment(experiment: ExperimentFolder) -> dict[str, Any]:
    """Return what a configuration says of one system, by the key in `system.description`."""
    config = experiment.config
    return {
        "input_channels": "mono",
        "input_sampling_rate": _sampling_rate_khz(config),
        "data_augmentation": _augmentation(config),
        "acoustic_features": acoustic_features(config.get("frontend") or {}),
        "machine_learning_method": (config.get("model") or {}).get("name"),
        **(stated_in(experiment).get("description") or {}),
    }


def describe_ensemble(members: Sequence[ExperimentFolder], producer: str) -> dict[str, Any]:
    """Return what members have in common, and each of the things in which they differ.

    Parameters
    ----------
    members
        The sub-systems, two or more.
    producer
        Who made the fused scores, as they say themselves.
    """
    each = [describe_experiment(member) for member in members]
    out: dict[str, Any] = {key: joined([one.get(key) for one in each]) for one in each for key in one}
    rates = sorted({one["input_sampling_rate"] for one in each if is_number(one["input_sampling_rate"])})
    if rates:
        # The field is one number.
        out["input_sampling_rate"] = rates[-1]
    if len(rates) > 1:
        log.warning("the members' sampling rates differ (%s kHz): the highest is stated", listed(rates))
    features = out["acoustic_features"]
    if isinstance(features, str) and ", " in features:
        # The validators know single features, one a text.
        out["acoustic_features"] = features.split(", ")
    made = read_producer(producer)
    # Whoever made the scores knows better than the call; a single network's scores are no ensemble's.
    count = made.count if made.fused else None if made.known else len(members)
    out["ensemble_method_subsystem_count"] = count
    out["decision_making"] = decision_of(made, members)
    # What one member did after its scores is nothing that the ensemble's went through.
    out["segmentation_method"] = out["post-processing"] = None
    return out


def describe_rules(rules: Postprocessing | None, scores_only: bool = False) -> dict[str, Any]:
    """Say how scores became events.

    Parameters
    ----------
    rules
        None where it is not known: nothing is said.
    scores_only
        Scores are handed in: of the rules nothing but the filters touched them.
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
    if scores_only:
        return {"post-processing": ", ".join(words) or None}
    if any(rule.merge_gap_s for rule in frames):
        words.append("merging of near events")
    if any(rule.min_duration_s for rule in frames):
        words.append("removal of short events")
    decoder = "double threshold" if any(rule.low is not None for rule in frames) else "threshold"
    if rules.decoder == "derivative":
        decoder = "threshold on rises and falls"
    if rules.decoder == "csebbs":
        decoder = "change-detection-based bounding boxes"
    return {"segmentation_method": decoder, "post-processing": ", ".join(words) or None}


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
    if not is_number(rate):
        return None
    return int(rate // 1000) if rate % 1000 == 0 else rate / 1000


def _augmentation(config: Mapping[str, Any]) -> str | None:
    streams = ((config.get("data") or {}).get("streams") or {}).values()
    sections = [
        steps for stream in streams for steps in (stream.get("augment") or {}, *(stream.get("views") or {}).values())
    ]
    words = [_AUGMENTATIONS.get(step, step.replace("_", " ")) for steps in sections for step in steps or ()]
    return ", ".join(dict.fromkeys(words)) or None
