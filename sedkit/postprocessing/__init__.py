"""From scores to events: decoders, their rules, tuning and ensembles."""

from sedkit.postprocessing.decode import decode, decode_thresholds
from sedkit.postprocessing.operating_points import DecodedPoints
from sedkit.postprocessing.presets import PRESETS, PUBLISHED, Preset, read_postprocessing
from sedkit.postprocessing.processed import processed_scores
from sedkit.postprocessing.rules import BoxRule, FrameRule, Postprocessing, SlopeRule

__all__ = [
    "PRESETS",
    "PUBLISHED",
    "BoxRule",
    "DecodedPoints",
    "FrameRule",
    "Postprocessing",
    "Preset",
    "SlopeRule",
    "decode",
    "decode_thresholds",
    "processed_scores",
    "read_postprocessing",
]
