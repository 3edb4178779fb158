"""From scores to events: decoders, their rules, tuning and ensembles."""

from sedkit.postprocessing.decode import decode, decode_thresholds
from sedkit.postprocessing.operating_points import OperatingPoints
from sedkit.postprocessing.rule import BoxRule, FrameRule
from sedkit.postprocessing.rules import PRESETS, PUBLISHED, Postprocessing, Preset

__all__ = [
    "PRESETS",
    "PUBLISHED",
    "BoxRule",
    "FrameRule",
    "OperatingPoints",
    "Postprocessing",
    "Preset",
    "decode",
    "decode_thresholds",
]
