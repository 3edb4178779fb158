"""Rules that go by a name, as they were published, and the words of the command line that stand for rules."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sedkit.core.errors import SedkitError, UsageError, listed, suggest
from sedkit.core.resources import metadata_rows
from sedkit.postprocessing.rules import BoxRule, FrameRule, Postprocessing, Rule, SlopeRule


@dataclass(frozen=True)
class Preset:
    """A rule for any set of classes, or one per class, under the name that `--postprocessing` takes.

    `decoder` and `rule` are as in `Postprocessing`, `source` says where the rule was published, `by_label` holds the
    rules of classes that differ from `rule`.
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


def _class_windows_s(name: str) -> dict[str, float]:
    """Return published median windows by class: `metadata/median_windows.tsv` has them in frames of 64 ms."""
    return {row["label"]: int(row[name]) * 0.064 for row in metadata_rows("median_windows.tsv") if row[name]}


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
_FDY_S, _S_2024 = map(_class_windows_s, ("fdy_crnn", "baseline2024"))
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
        _medians("baseline2024", 0.064, "DCASE 2024 task 4 baseline (class-wise windows, frames of 64 ms)", _S_2024),
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
