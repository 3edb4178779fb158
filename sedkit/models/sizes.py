"""Sizes of pretrained networks and what they read. Importable without torch: front ends are made before it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from sedkit.core.errors import UsageError


@dataclass(frozen=True)
class BeatsOptions:
    """Sizes of BEATs; the defaults are those of the released base models (iterations 1 to 3+).

    Attributes
    ----------
    patch
        Frames and bins of a patch.
    patch_width, width, hidden
        Size of a patch's and of a token's vector, units between the linear layers of a layer.
    layers, heads
        Of the transformer.
    taps, groups
        Of the convolution that tells positions.
    buckets, max_distance
        Of the relative positions, and the distance, in tokens, from which on all are alike.
    """

    patch: int = 16
    patch_width: int = 512
    width: int = 768
    hidden: int = 3072
    layers: int = 12
    heads: int = 12
    taps: int = 128
    groups: int = 16
    buckets: int = 320
    max_distance: int = 800

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UsageError(f"{name} is {value}, expected at least 1")
        for name in ("heads", "groups"):
            if self.width % getattr(self, name):
                raise UsageError(f"width is {self.width}, expected a multiple of {name} = {getattr(self, name)}")
        if self.buckets % 4 or self.max_distance <= self.buckets // 4:
            raise UsageError(
                f"buckets is {self.buckets} and max_distance {self.max_distance}, expected a multiple of 4, and more "
                "than a quarter of it"
            )


@dataclass(frozen=True)
class AtstFrameOptions:
    """Sizes of ATST-Frame; the defaults are those of the published base model.

    Attributes
    ----------
    bins
        Of the mel spectrogram.
    layers, width, heads, hidden
        Blocks, size of a token, heads of the attention, units between the linear layers of a block.
    positions
        Rows of the table of positions, of which the first is not used: one token less at most.
    """

    bins: int = 64
    layers: int = 12
    width: int = 768
    heads: int = 12
    hidden: int = 3072
    positions: int = 251

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < (2 if name == "positions" else 1):
                raise UsageError(f"{name} is {value}, expected more")
        if self.width % self.heads:
            raise UsageError(f"width is {self.width}, expected a multiple of heads = {self.heads}")


class Pann(NamedTuple):
    """One of the PANNs.

    Attributes
    ----------
    model
        Its section `model.name`.
    sample_rate
        Hz.
    blocks, halvings
        Blocks of convolutions, and how many of them halve frames and bins.
    of_frames
        Whether it classifies frames, and not clips alone.
    classifier
        A tensor of its classifier with one number a class.
    """

    model: str
    sample_rate: int = 32000
    blocks: int = 6
    halvings: int = 5
    of_frames: bool = False
    classifier: str = "fc_audioset.bias"

    @property
    def frontend(self) -> dict[str, Any]:
        """The section `frontend` of what it reads: 31.25 ms of every 10, 64 mels up to 14 kHz, or half the rate."""
        n_fft, hop_samples = 1024 * self.sample_rate // 32000, self.sample_rate // 100
        return {
            "name": "logmel",
            "sample_rate": self.sample_rate,
            "n_fft": n_fft,
            "hop_samples": hop_samples,
            "window_symmetric": False,
            "fmax_hz": min(14000.0, self.sample_rate / 2),
            "clip_s": None,
            "end_frame": True,
        }


#: The published PANNs.
PANNS = {
    "cnn10": Pann("cnn10", blocks=4, halvings=4),
    "cnn14": Pann("cnn14"),
    "cnn14_16k": Pann("cnn14", sample_rate=16000),
    "cnn14_decision_level_max": Pann("cnn14_decision_level_max", of_frames=True),
    "cnn14_decision_level_att": Pann("cnn14_decision_level_att", of_frames=True, classifier="att_block.cla.bias"),
}

#: What BEATs reads, and how it is normalised.
BEATS_FRONTEND: dict[str, Any] = {"name": "kaldi_fbank", "clip_s": None}
BEATS_NORMALISE: dict[str, Any] = {"standardise": {"mean": 15.41663, "std": 2 * 6.55582}}


class Tagger(NamedTuple):
    """A published tagger as a system: `model.name`, sections `frontend` and `normalise`, and `Pann.classifier`."""

    model: str
    frontend: dict[str, Any]
    normalise: dict[str, Any]
    classifier: str


#: The published taggers.
TAGGERS = {name: Tagger(pann.model, pann.frontend, {}, pann.classifier) for name, pann in PANNS.items()} | {
    "beats": Tagger("beats", BEATS_FRONTEND, BEATS_NORMALISE, "predictor.bias")
}
