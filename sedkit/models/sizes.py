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
class VisionOptions:
    """Sizes of a vision transformer; the defaults are those of the base model.

    Attributes
    ----------
    layers, width, heads, hidden
        Blocks, size of a token, heads of the attention, units between the linear layers of a block.
    """

    layers: int = 12
    width: int = 768
    heads: int = 12
    hidden: int = 3072

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 1:
                raise UsageError(f"{name} is {value}, expected at least 1")
        if self.width % self.heads:
            raise UsageError(f"width is {self.width}, expected a multiple of heads = {self.heads}")


@dataclass(frozen=True)
class AtstFrameOptions(VisionOptions):
    """Sizes of ATST-Frame; the defaults are those of the published base model.

    Attributes
    ----------
    bins
        Of the mel spectrogram.
    positions
        Rows of the table of positions, of which the first is not used: one token less at most.
    """

    bins: int = 64
    positions: int = 251

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions < 2:
            raise UsageError(f"positions is {self.positions}, expected at least 2")


@dataclass(frozen=True)
class PatchOptions(VisionOptions):
    """Sizes of a vision transformer of patches that overlap.

    Attributes
    ----------
    patch, stride
        Frames and bins of a patch, and from patch to patch.
    """

    patch: int = 16
    stride: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stride > self.patch:
            raise UsageError(f"stride is {self.stride}, expected at most patch = {self.patch}")

    @property
    def overlap(self) -> int:
        """Frames and bins that a patch shares with the next one."""
        return self.patch - self.stride

    def patches(self, size: int) -> int:
        """Return how many patches lie within so many frames or bins."""
        return max(0, size - self.overlap) // self.stride


@dataclass(frozen=True)
class PasstOptions(PatchOptions):
    """Sizes of PaSST; the defaults are those of the published PaSST-S for 10 s.

    Attributes
    ----------
    positions
        Places in time that it knows: columns of patches.
    """

    positions: int = 99


@dataclass(frozen=True)
class FpasstOptions(VisionOptions):
    """Sizes of fPaSST; the defaults are those of the published model.

    Attributes
    ----------
    positions
        Places in time that it knows: steps of 4 frames.
    """

    positions: int = 250


@dataclass(frozen=True)
class AstOptions(PatchOptions):
    """Sizes of AST; the defaults are those of the model published for AudioSet.

    Attributes
    ----------
    frames
        What it always takes.
    """

    frames: int = 1024

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < self.patch:
            raise UsageError(f"frames is {self.frames}, expected at least patch = {self.patch}")


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


#: What ATST-Frame reads; the features lie between -79.6482 and 50.6842 dB, which become -1 and 1.
ATST_FRAME_FRONTEND: dict[str, Any] = {
    "name": "logmel",
    "sample_rate": 16000,
    "hop_samples": 160,
    "window_symmetric": False,
    "fmin_hz": 60.0,
    "fmax_hz": 7800.0,
    "mel_scale": "htk",
    "mel_norm": "none",
    "clip_s": None,
    "end_frame": True,
}
ATST_FRAME_NORMALISE: dict[str, Any] = {
    "top_db": {"db": 80.0},
    "clamp": {"low": -50.0, "high": 80.0},
    "standardise": {"mean": (50.6842 - 79.6482) / 2, "std": (50.6842 + 79.6482) / 2},
}

#: What PaSST, fPaSST and AST read, and how it is normalised.
PASST_FRONTEND: dict[str, Any] = {"name": "passt_mel", "clip_s": None}
FPASST_FRONTEND: dict[str, Any] = PASST_FRONTEND | {
    "sample_rate": 16000,
    "n_fft": 512,
    "win_length": 400,
    "hop_samples": 160,
    "window_symmetric": False,
    "fmax_hz": 7000.0,
    "log": "ln_clip",
    "floor": 1e-7,
}
PASST_NORMALISE: dict[str, Any] = {"standardise": {"mean": -4.5, "std": 5.0}}
AST_FRONTEND: dict[str, Any] = {"name": "kaldi_fbank", "window": "hann", "gain": 1.0, "clip_s": None}
AST_NORMALISE: dict[str, Any] = {"standardise": {"mean": -4.2677393, "std": 2 * 4.5689974}}


class Tagger(NamedTuple):
    """A published tagger as a system: sections `model`, `frontend` and `normalise`, and `Pann.classifier`."""

    model: dict[str, Any]
    frontend: dict[str, Any]
    normalise: dict[str, Any]
    classifier: str


def _strong(body: str, frontend: dict[str, Any], normalise: dict[str, Any]) -> Tagger:
    """Return a network of PretrainedSED for strong labels, whose head of clips was not trained."""
    model = {"name": "pretrained_sed", "body": {"name": body}, "clipwise": "frame_max"}
    return Tagger(model, frontend, normalise, "strong_head.bias")


#: The published taggers.
TAGGERS = {name: Tagger({"name": pann.model}, pann.frontend, {}, pann.classifier) for name, pann in PANNS.items()} | {
    "beats": Tagger({"name": "beats"}, BEATS_FRONTEND, BEATS_NORMALISE, "predictor.bias"),
    "passt": Tagger({"name": "passt"}, PASST_FRONTEND, PASST_NORMALISE, "head.1.bias"),
    "ast": Tagger({"name": "ast"}, AST_FRONTEND, AST_NORMALISE, "classifier.dense.bias"),
    "beats_strong": _strong("beats", BEATS_FRONTEND, BEATS_NORMALISE),
    "atst_frame_strong": _strong("atst_frame", ATST_FRAME_FRONTEND, ATST_FRAME_NORMALISE),
    "fpasst_strong": _strong("fpasst", FPASST_FRONTEND, PASST_NORMALISE),
}
