"""The rules by which scores become events: one per class, read from and written to YAML, and the published ones.

A file (`postprocessing.yaml`) holds one mapping per class under `classes` and says above it how it came about:

    version: 0.1.0            # of sedkit
    labels: [Cat, Speech]     # class order
    decoder: threshold        # threshold | published | derivative | csebbs
    tuned_on: null            # {path, sha256, clips, scores, of: sets and folds} after `sedkit tune`
    objective: null
    value: null               # on the tuning set itself
    cross_validated: null     # the same with rules chosen on other clips
    grid: {}                  # values tried
    classes:
      Cat: {clip_threshold: 0.5, threshold: 0.5, low: 0.3, median_s: 0.45, merge_gap_s: 0.15, min_duration_s: 0.25}
      Speech: {threshold: 0.4}

Durations are in seconds, so a rule means the same on every time grid.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from sedkit import __version__
from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.files import read_yaml, write_yaml
from sedkit.postprocessing.rule import DECODERS, BoxRule, FrameRule, Rule, SlopeRule


@dataclass(frozen=True)
class Postprocessing:
    """The rules of all classes and where they come from.

    Parameters
    ----------
    labels
        Class order.
    rules
        One rule per label, of the decoder's kind (`DECODERS`).
    decoder
        `threshold`: half-open frames, gaps and durations as `FrameRule` says. `published`: the double-threshold
        decoder of systems 001 and 002 as it was published. `derivative`: from where scores rise to where they fall.
        `csebbs`: change-detection-based bounding boxes.
    tuned_on
        What the rules were chosen on: path, sha256, clips, `of` (sets and folds); None when they were not tuned.
    objective, value, cross_validated, grid
        What was maximised; the value reached on that set; the value when each part of the set is decoded with rules
        chosen on the other parts, which is the honest one; the values tried.
    """

    labels: tuple[str, ...]
    rules: tuple[Rule, ...]
    decoder: str = "threshold"
    tuned_on: Mapping[str, Any] | None = None
    objective: str | None = None
    value: float | None = None
    cross_validated: float | None = None
    grid: Mapping[str, Any] = field(default_factory=dict)
    source: str = "post-processing"

    def __post_init__(self) -> None:
        if self.decoder not in DECODERS:
            raise _unknown_decoder(self.source, self.decoder)
        if len(self.labels) != len(self.rules):
            raise SedkitError(f"{self.source}: {len(self.rules)} rules for {len(self.labels)} classes")
        kind = DECODERS[self.decoder]
        for label, rule in zip(self.labels, self.rules, strict=True):
            if not isinstance(rule, kind):
                raise SedkitError(f"{self.source}: {label}: the decoder {self.decoder} needs a {kind.__name__}")

    @property
    def facts(self) -> dict[str, Any]:
        """What is known of what the rules were chosen on (see `core.facts`)."""
        places = (self.tuned_on or {}).get("of")
        return {"tuned": places} if places else {}

    @classmethod
    def uniform(cls, labels: Sequence[str], rule: Rule, decoder: str = "threshold") -> Postprocessing:
        """Return the same rule for every class."""
        return cls(tuple(labels), (rule,) * len(labels), decoder)

    def rule(self, label: str) -> Rule:
        """Return the rule of one class."""
        return self.rules[self.labels.index(label)]

    def with_rules(self, rules: Sequence[Rule]) -> Postprocessing:
        """Return the same post-processing with other rules, in the order of the labels."""
        return replace(self, rules=tuple(rules))

    def over(self, labels: Sequence[str]) -> Postprocessing:
        """Return the rules in the order of `labels`, which must be the same classes."""
        missing = [x for x in labels if x not in self.labels]
        added = [x for x in self.labels if x not in labels]
        if missing or added:
            raise SedkitError(
                f"{self.source}: rules for other classes than the scores have "
                f"(no rule for: {listed(missing) or 'none'}; no scores for: {listed(added) or 'none'})"
            )
        return replace(self, labels=tuple(labels), rules=tuple(self.rule(x) for x in labels))

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, as it stands in a file."""
        return {
            "version": __version__,
            "labels": list(self.labels),
            **{key: getattr(self, key) for key in _TOLD},
            "classes": {
                label: {key: value for key, value in asdict(rule).items() if value is not None}
                for label, rule in zip(self.labels, self.rules, strict=True)
            },
        }

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the rules as YAML, whole or not at all."""
        write_yaml(path, self.as_dict())

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Postprocessing:
        """Read rules from YAML.

        Raises
        ------
        SedkitError
            An unknown or missing key, a value that is no number or out of range, a class without a rule; the
            message names file, class and key.
        """
        return _from_dict(read_yaml(path), str(path))


def _unknown_decoder(where: str, decoder: Any) -> SedkitError:
    return SedkitError(
        f"{where}: decoder is {decoder!r}{suggest(str(decoder), DECODERS)}, expected one of {listed(DECODERS)}"
    )


#: What a file says above its rules, besides version and class order.
_TOLD = ("decoder", "tuned_on", "objective", "value", "cross_validated", "grid")


def _from_dict(raw: Any, where: str) -> Postprocessing:
    _check_keys(raw, ("version", "labels", *_TOLD, "classes"), required=("decoder", "classes"), where=where)
    classes = raw["classes"]
    if not isinstance(classes, Mapping) or not classes:
        raise SedkitError(f"{where}: classes is {classes!r}, expected a mapping with one rule per class")
    labels = tuple(str(x) for x in raw.get("labels") or classes)
    if sorted(labels) != sorted(str(x) for x in classes):
        raise SedkitError(f"{where}: labels are {listed(labels)}, but classes holds rules for {listed(classes)}")
    decoder = raw["decoder"]
    if decoder not in DECODERS:
        raise _unknown_decoder(where, decoder)
    kind = DECODERS[decoder]
    rules: list[Rule] = []
    for label in labels:
        _check_keys(
            classes[label], [item.name for item in fields(kind)], required=("threshold",), where=f"{where}: {label}"
        )
        try:
            rules.append(kind(**classes[label]))
        except SedkitError as error:
            raise SedkitError(f"{where}: {label}: {error}") from None
    return Postprocessing(
        labels, tuple(rules), decoder, source=where, **{key: raw[key] for key in _TOLD[1:] if raw.get(key) is not None}
    )


def _check_keys(raw: Any, known: Sequence[str], required: Sequence[str], where: str) -> None:
    if not isinstance(raw, Mapping):
        raise SedkitError(f"{where}: got {raw!r}, expected a mapping with the keys {listed(known, 12)}")
    for key in raw:
        if key not in known:
            raise SedkitError(f"{where}: unknown key {key!r}{suggest(key, known)}; expected {listed(known, 12)}")
    for key in required:
        if key not in raw:
            raise SedkitError(f"{where}: no key {key!r}, which is needed")


# ------------------------------------------------------------------------------------------------ published rules


@dataclass(frozen=True)
class Preset:
    """A rule for any set of classes, or one per class, under a name.

    Parameters
    ----------
    name
        As given to `sedkit decode --postprocessing`.
    decoder, rule
        As in `Postprocessing`.
    source
        Where the rule was published.
    by_label
        Rules of classes that differ from `rule`.
    """

    name: str
    decoder: str
    rule: Rule
    source: str
    by_label: Mapping[str, Rule] = field(default_factory=dict)

    def over(self, labels: Sequence[str]) -> Postprocessing:
        """Return the rules for these classes."""
        missing = [label for label in self.by_label if label not in labels]
        if missing:
            raise SedkitError(f"preset {self.name}: made for other classes, the scores lack {listed(missing)}")
        rules = tuple(self.by_label.get(label, self.rule) for label in labels)
        return Postprocessing(tuple(labels), rules, self.decoder, source=f"preset {self.name}")


#: System 002 (Kong et al. 2019, arXiv 1904.03476), the decoder of its code: 16 frames at 64 Hz for gap and salt.
PUBLISHED = Preset(
    name="published",
    decoder="published",
    rule=FrameRule(threshold=0.9, clip_threshold=0.9, low=0.5, merge_gap_s=0.25, min_duration_s=0.25),
    source="DCASE 2019 task 4 cross-task CNNs, arXiv 1904.03476",
)

_FDY_FRAMES = {
    "Alarm_bell_ringing": 5,
    "Blender": 11,
    "Cat": 5,
    "Dishes": 5,
    "Dog": 5,
    "Electric_shaver_toothbrush": 67,
    "Frying": 61,
    "Running_water": 49,
    "Speech": 5,
    "Vacuum_cleaner": 17,
}


def _medians(name: str, median_s: float, source: str, windows_s: Mapping[str, float] | None = None) -> Preset:
    """Return a threshold of 0.5 after a median filter, of another length for some classes."""
    by_label = {label: FrameRule(threshold=0.5, median_s=s) for label, s in (windows_s or {}).items()}
    return Preset(name, "threshold", FrameRule(threshold=0.5, median_s=median_s), source, by_label)


_TFSEG = FrameRule(threshold=0.2, clip_threshold=0.1, low=0.1, merge_gap_s=0.32, min_duration_s=0.32)
#: Stretched without 3 frames at each end, then 19 frames of 512 / 22050 s averaged.
_MIL = {"rescale_trim_s": 3 * 512 / 22050, "mean_s": 19 * 512 / 22050}
_MIL_SOURCE = "MIL with cosine penalty, arXiv 1901.03146"
_SLOPE = SlopeRule(threshold=0.5, low=-0.5, slope_s=5 * 512 / 22050, **_MIL)
# The area below 5 frames is to be above 5 / 4, and that is their mean above 1 / 4.
_AREA = FrameRule(threshold=0.25, rescale_trim_s=_MIL["rescale_trim_s"], mean_s=5 * 512 / 22050)
_CSEBBS = BoxRule(threshold=0.5, step_s=0.48, merge_abs=0.2)
_FDY_S = {label: n * 0.064 for label, n in _FDY_FRAMES.items()}
#: Rules that go by a name. Frames of the sources are given as seconds of their own grid.
PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        PUBLISHED,
        Preset("tfseg", "published", _TFSEG, "arXiv 1804.04715 (10 frames of 32 ms)"),
        _medians("baseline2018", 51 * 0.02, "DCASE 2018 task 4 baseline (51 frames of 20 ms)"),
        _medians("baseline2019", 5 * 8 * 511 / 44100, "DCASE 2019 task 4 baseline (5 frames of 8 x 511 / 44100 s)"),
        _medians("baseline2021", 7 * 0.064, "DESED baselines 2021 to 2023 (7 frames of 64 ms)"),
        _medians("fdy_crnn", 5 * 0.064, "FDY-CRNN, arXiv 2203.15296 (class-wise windows, frames of 64 ms)", _FDY_S),
        Preset("mil", "threshold", FrameRule(threshold=0.03, **_MIL), _MIL_SOURCE),
        Preset("mil_derivative", "derivative", _SLOPE, f"{_MIL_SOURCE}: its encoder by rises and falls"),
        Preset("mil_area", "threshold", _AREA, f"{_MIL_SOURCE}: its encoder by area, without smoothing before"),
        Preset("csebbs", "csebbs", _CSEBBS, "cSEBBs, arXiv 2406.04212: the middle of its tuning grid, not tuned"),
    )
}


def read_postprocessing(name_or_path: str, labels: Sequence[str]) -> Postprocessing:
    """Return the rules for `labels` that a word of the command line stands for.

    A number is one frame threshold for all classes and nothing else, a name is a preset, all else a file.

    >>> read_postprocessing("0.5", ["Cat"]).rules  # doctest: +ELLIPSIS
    (FrameRule(threshold=0.5, ...),)
    """
    try:
        threshold = float(name_or_path)
    except ValueError:
        pass
    else:
        return Postprocessing.uniform(labels, FrameRule(threshold=threshold))
    if name_or_path in PRESETS:
        return PRESETS[name_or_path].over(labels)
    if not os.path.exists(name_or_path):
        raise UsageError(
            f"--postprocessing {name_or_path}: no such file, nor a number, nor one of the presets "
            f"{listed(PRESETS, 12)}{suggest(name_or_path, PRESETS)}"
        )
    return Postprocessing.read(name_or_path).over(labels)
