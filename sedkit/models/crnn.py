"""Convolutions, recurrent layers, one probability a frame: detection from weak labels, and the official baselines.

T. Pellegrini and L. Cances, "Cosine-similarity penalty to discriminate sound classes in weakly-supervised sound event
detection", IJCNN 2019 (arXiv 1901.03146), the baselines of DCASE task 4 from 2018 to 2023 and FDY-CRNN (H. Nam et al.,
Interspeech 2022, arXiv 2203.15296) are one network with different options.
The first of them and the baseline of 2018 were written in Keras. What torch does otherwise: its GRU applies the reset
gate after the recurrent product, and has no dropout of the recurrent state.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.blocks import Activation, Block
from sedkit.models.fusion import Fusion, FusionOptions
from sedkit.models.gates import Dropout
from sedkit.models.gru import Gru
from sedkit.models.layers import INITIALISATIONS, no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import attention_over_classes, attention_over_time, max_over_time, mean_over_time
from sedkit.models.registry import register
from sedkit.models.weights import below_prefix, without_other_classes

#: Names of tensors in the official baselines' files, as patterns, and what they are called here.
_PUBLISHED = (
    (r"^cnn\.cnn\.conv(\d+)\.", r"blocks.\1.conv."),
    (r"^cnn\.cnn\.batchnorm(\d+)\.", r"blocks.\1.norm."),
    (r"^cnn\.cnn\.glu(\d+)\.linear\.", r"blocks.\1.linear."),
    (r"^rnn\.rnn\.", "gru."),
    (r"^dense\.", "fc."),
    (r"^dense_softmax\.", "attention."),
    (r"^cat_tf\.", "fusion.linear."),
)
_ATTENTION = {"attention": attention_over_time, "class_attention": attention_over_classes}


@dataclass(frozen=True)
class CrnnOptions:
    """Options of the network.

    Attributes
    ----------
    block
        Activation of the blocks (see `sedkit.models.blocks.Block`): `relu`, `glu`, `linear_glu`, `context_gating`.
    clipwise
        Clip probability: `frame_max`, `frame_mean`, or a mean of the frame probabilities weighted by a softmax over
        time (`attention`) or over the classes (`class_attention`).
    channels
        Of each block's outcome.
    pooling
        Factors by which each block shrinks time and bins.
    pooling_type
        `max` or `avg`.
    kernels
        Basis kernels that the convolutions after the first mix, each bin its own mixture (FDY-CRNN: 4); 1: plain.
    units, gru_layers, hidden
        Of each direction of the GRU; how many GRUs; of the layer before the classifier (0: none).
    conv_dropout, gru_dropout, dropout
        Shares left out in each block; of the GRU's input, the same channels in all frames; of the GRU's outcome and
        of the hidden layer's.
    dropout_first
        The blocks leave out values before they pool, not after.
    norm_momentum, norm_eps
        Of the batch norms: weight of a batch in the running means (short runs need more than 0.01), addition to the
        variance.
    init
        First weights: `keras`, which leaves the GRU one bias a gate, `torch`, or `dcase2019`, that baseline's own.
        Frequency-dynamic convolutions have theirs.
    mask_padding
        Leave padded frames out of the clip's probability; the published code takes them in.
    fusion
        An embedding that joins the values of frames before the GRU; None: none.
    """

    block: Activation = "relu"
    clipwise: Literal["frame_max", "frame_mean", "attention", "class_attention"] = "frame_max"
    channels: tuple[int, ...] = (64, 64, 64)
    pooling: tuple[tuple[int, int], ...] = ((1, 4), (1, 4), (1, 4))
    pooling_type: Literal["max", "avg"] = "max"
    kernels: int = 1
    units: int = 64
    gru_layers: int = 1
    hidden: int = 64
    conv_dropout: float = 0.1
    gru_dropout: float = 0.1
    dropout: float = 0.1
    dropout_first: bool = False
    norm_momentum: float = 0.01
    norm_eps: float = 1e-3
    init: Literal["keras", "torch", "dcase2019"] = "keras"
    mask_padding: bool = True
    fusion: FusionOptions | None = None

    def __post_init__(self) -> None:
        for name, low in (("kernels", 1), ("units", 1), ("gru_layers", 1), ("hidden", 0)):
            if getattr(self, name) < low:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected at least {low}")
        if not self.channels or min(self.channels) < 1:
            raise UsageError(f"model.channels is {list(self.channels)}, expected a number of at least 1 a block")
        factors = [list(pair) for pair in self.pooling]
        if len(factors) != len(self.channels) or min(map(min, factors)) < 1:
            raise UsageError(
                f"model.pooling is {factors}, expected two factors of at least 1, time and bins, for each of "
                f"{len(self.channels)} blocks (model.channels)"
            )
        for name in ("conv_dropout", "gru_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"model.{name} is {getattr(self, name)}, expected from 0 to below 1")
        if not 0 < self.norm_momentum <= 1:
            raise UsageError(f"model.norm_momentum is {self.norm_momentum}, expected above 0, at most 1")
        if self.norm_eps <= 0:
            raise UsageError(f"model.norm_eps is {self.norm_eps}, expected above 0")


class Crnn(SedModel):
    """Blocks that keep time, a GRU in both directions, a classifier that all frames share.

    `attention` has `time` (batch, frames, classes), which sums to 1 over the frames, where it makes the clip's
    probability. Of a clip whose set is annotated for some of the classes (`class_mask`), the others are 0 and have no
    part in a softmax over classes.
    """

    takes_class_mask = True

    def __init__(self, n_classes: int, n_bins: int, options: CrnnOptions) -> None:
        super().__init__()
        self.options = options
        self.time_pooling = math.prod(time for time, _ in options.pooling)
        bin_pooling = math.prod(bins for _, bins in options.pooling)
        if n_bins < bin_pooling:
            raise UsageError(
                f"the front end gives {n_bins} bins, the factors of model.pooling need at least {bin_pooling}"
            )
        self.blocks = nn.Sequential(
            *(
                Block(
                    options.channels[i - 1] if i else 1,
                    n_out,
                    pooling,
                    Dropout(options.conv_dropout),
                    activation=options.block,
                    pooling_type=options.pooling_type,
                    dropout_first=options.dropout_first,
                    n_kernels=options.kernels if i else 1,
                    init=options.init,
                    momentum=options.norm_momentum,
                    eps=options.norm_eps,
                )
                for i, (n_out, pooling) in enumerate(zip(options.channels, options.pooling, strict=True))
            )
        )
        n_in, n_features = options.channels[-1] * (n_bins // bin_pooling), options.hidden or 2 * options.units
        self.fusion = None
        if options.fusion is not None:
            self.fusion = Fusion(n_in, options.fusion, Dropout(options.dropout))
            self.embeddings = {options.fusion.embedding: options.fusion.bins}
        self.gru = Gru(n_in, options.units, options.gru_layers)
        begin = INITIALISATIONS[options.init]
        begin(self.gru)
        self.dropout = Dropout(options.dropout)
        self.hidden = nn.Linear(2 * options.units, options.hidden) if options.hidden else None
        self.fc = nn.Linear(n_features, n_classes)
        self.attention = nn.Linear(n_features, n_classes) if options.clipwise in _ATTENTION else None
        for layer in (self.hidden, self.fc, self.attention):
            if layer is not None:
                begin(layer)

    def forward(
        self,
        x: Tensor,
        n_frames: Tensor | None = None,
        embeddings: Mapping[str, Tensor] | None = None,
        class_mask: Tensor | None = None,
    ) -> SedOutput:
        v = self.blocks(x[:, None])
        with no_autocast(x):
            # (batch, channels x bins, frames): whole channels are dropped, in all frames.
            v = F.dropout1d(v.float().transpose(2, 3).flatten(1, 2), self.options.gru_dropout, self.training)
            v = v.transpose(1, 2)
            if self.fusion is not None:
                v = self.fusion(v, (embeddings or {})[self.fusion.options.embedding])
            v = self.dropout(self.gru(v))
            if self.hidden is not None:
                v = self.dropout(F.relu(self.hidden(v)))
            framewise = torch.sigmoid(self.fc(v))
            known = None if class_mask is None else class_mask[:, None, :]
            if known is not None:
                framewise = framewise * known
            valid = None
            if n_frames is not None and self.options.mask_padding:
                valid = valid_mask(n_frames, self.time_pooling, framewise.shape[1])
            if self.attention is not None:
                logits = self.attention(v)
                if known is not None:
                    logits = logits.masked_fill(~known, -1e30)
                clipwise, weights = _ATTENTION[self.options.clipwise](framewise, logits, valid)
                return SedOutput(clipwise, framewise, attention={"time": weights})
            pool = max_over_time if self.options.clipwise == "frame_max" else mean_over_time
            return SedOutput(pool(framewise, valid, time_axis=1), framewise)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Take the names of the official baselines since 2021, of a Lightning checkpoint the teacher's."""
        if not any(name.endswith("cnn.cnn.conv0.weight") for name in state):
            return state
        named = {}
        for name, tensor in below_prefix(state, "cnn.cnn.conv0.weight").items():
            for pattern, replacement in _PUBLISHED:
                name = re.sub(pattern, replacement, name)
            # A layer over channels is a convolution here.
            is_gate = re.fullmatch(r"blocks\.\d+\.linear\.weight", name)
            named[name] = tensor[:, :, None, None] if is_gate else tensor
        return without_other_classes(self, named, ("fc.", "attention."))


@register("crnn", CrnnOptions)
def _build(n_classes: int, n_bins: int, options: CrnnOptions) -> Crnn:
    return Crnn(n_classes, n_bins, options)
