"""BEATs, a transformer of patches of a filter bank (Chen et al., arXiv 2212.09058), under the authors' key names."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.layers import no_autocast
from sedkit.models.output import SedModel, SedOutput, valid_mask
from sedkit.models.pooling import last_valid_kept, mean_over_time
from sedkit.models.registry import register, register_body
from sedkit.models.sizes import BeatsOptions
from sedkit.models.transformer import attend, split_heads
from sedkit.models.weights import Pretrained, below_prefix, without_other_classes

_CLASSIFIER = "predictor."
#: The table of positions, which each layer has under its own name.
_TABLE = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
#: Keys of a released file's `cfg` and the sizes that they are.
_SIZES = {
    "input_patch_size": "patch",
    "embed_dim": "patch_width",
    "encoder_embed_dim": "width",
    "encoder_ffn_embed_dim": "hidden",
    "encoder_layers": "layers",
    "encoder_attention_heads": "heads",
    "conv_pos": "taps",
    "conv_pos_groups": "groups",
    "num_buckets": "buckets",
    "max_distance": "max_distance",
}
#: What `cfg` says of the architecture in every released file.
_BUILT = {
    "layer_norm_first": False,
    "deep_norm": True,
    "conv_bias": False,
    "activation_fn": "gelu",
    "relative_position_embedding": True,
    "gru_rel_pos": True,
}


class PositionConv(nn.Module):
    """Grouped convolution over the tokens with weight normalisation, one gain a tap (Salimans & Kingma 2016, eq. 2).

    Keys `weight_g` (1, 1, taps), `weight_v` (width, width / groups, taps), `bias`. (batch, width, tokens) both ways.
    """

    def __init__(self, width: int, taps: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight_v = nn.Parameter(torch.empty(width, width // groups, taps))
        nn.init.normal_(self.weight_v, 0.0, math.sqrt(4.0 / (taps * width)))
        self.weight_g = nn.Parameter(self._norm().detach().clone())
        self.bias = nn.Parameter(torch.zeros(width))

    def _norm(self) -> Tensor:
        return torch.linalg.vector_norm(self.weight_v, dim=(0, 1), keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        taps = self.weight_v.shape[2]
        weight = self.weight_g * self.weight_v / self._norm()
        # An even number of taps gives one value too many at the end.
        return F.conv1d(x, weight, self.bias, padding=taps // 2, groups=self.groups)[:, :, : x.shape[2]]


class GatedAttention(nn.Module):
    """Self-attention with a bias by relative position, which each query gates (arXiv 2110.13900, section 3.1)."""

    def __init__(self, width: int, heads: int, table: nn.Embedding) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.grep_linear = nn.Linear(width // heads, 8)
        self.grep_a = nn.Parameter(torch.ones(1, heads, 1, 1))
        # One table for all layers, known in each of them by its name.
        self.relative_attention_bias = table

    def forward(self, x: Tensor, bias: Tensor, valid: Tensor | None) -> Tensor:
        """(batch, tokens, width), bias (heads, tokens, tokens), valid (batch, tokens) -> (batch, tokens, width)."""
        query, key, value = (split_heads(layer(x), self.heads) for layer in (self.q_proj, self.k_proj, self.v_proj))
        a, b = torch.sigmoid(self.grep_linear(query).unflatten(3, (2, 4)).sum(4)).chunk(2, dim=3)
        gate = a * (b * self.grep_a - 1) + 2
        gated = gate.to(query.dtype) * bias.to(query.dtype)
        if valid is not None:
            gated = gated.masked_fill(~valid[:, None, None], torch.finfo(gated.dtype).min)
        out: Tensor = self.out_proj(attend(query, key, value, gated))
        return out


class Layer(nn.Module):
    """Post-norm layer with weighted shortcuts: x = norm(alpha x + f(x)) (DeepNorm, arXiv 2203.00555)."""

    def __init__(self, options: BeatsOptions, table: nn.Embedding) -> None:
        super().__init__()
        width = options.width
        self.alpha = (2 * options.layers) ** 0.25
        self.self_attn = GatedAttention(width, options.heads, table)
        self.self_attn_layer_norm, self.final_layer_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.fc1, self.fc2 = nn.Linear(width, options.hidden), nn.Linear(options.hidden, width)

    def forward(self, x: Tensor, bias: Tensor, valid: Tensor | None) -> Tensor:
        x = self.self_attn_layer_norm(self.alpha * x + self.self_attn(x, bias, valid))
        out: Tensor = self.final_layer_norm(self.alpha * x + self.fc2(F.gelu(self.fc1(x))))
        return out


class Encoder(nn.Module):
    """Positions by convolution, a norm, and the layers; (batch, tokens, width) both ways."""

    def __init__(self, options: BeatsOptions) -> None:
        super().__init__()
        self.options = options
        self.pos_conv = nn.Sequential(PositionConv(options.width, options.taps, options.groups), nn.GELU())
        self.layer_norm = nn.LayerNorm(options.width)
        table = nn.Embedding(options.buckets, options.heads)
        self.layers = nn.ModuleList(Layer(options, table) for _ in range(options.layers))

    def position_bias(self, tokens: int) -> Tensor:
        """Return what each layer's attention adds before its gate, (heads, tokens, tokens): query by key."""
        table = self.layers[0].self_attn.relative_attention_bias
        place = torch.arange(tokens, device=table.weight.device)
        distance = place[None, :] - place[:, None]
        bias: Tensor = table(buckets(distance, self.options.buckets, self.options.max_distance)).permute(2, 0, 1)
        return bias

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        if valid is not None:
            x = x * valid[:, :, None]
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        x, bias = self.layer_norm(x), self.position_bias(x.shape[1])
        for layer in self.layers:
            x = layer(x, bias, valid)
        return x


def buckets(distance: Tensor, n: int, max_distance: int) -> Tensor:
    """Return the bucket of relative positions key - query, of `n` in all (T5, arXiv 1910.10683, section 2.1).

    Half of them are for keys behind the query. Of each half, the first half holds one distance each, the others grow
    with its logarithm up to `max_distance`.

    Examples
    --------
    >>> buckets(torch.tensor([-100, -1, 0, 1, 2000]), 320, 800).tolist()
    [87, 1, 0, 161, 319]
    """
    half, exact = n // 2, n // 4
    size = distance.abs()
    grown = torch.log(size.clamp(min=1).float() / exact) / math.log(max_distance / exact) * (half - exact)
    far = (exact + grown.long()).clamp(max=half - 1)
    return torch.where(size < exact, size, far) + half * (distance > 0)


class Beats(Pretrained):
    """A normalised filter bank to tokens: patch f of the bins at step t is token 8 t + f (with 128 bins).

    Shapes: (batch, frames, bins) -> (batch, frames // 16 * (bins // 16), width).
    """

    def __init__(self, options: BeatsOptions) -> None:
        super().__init__()
        self.options = options
        size = options.patch
        self.patch_embedding = nn.Conv2d(1, options.patch_width, size, stride=size, bias=False)
        self.layer_norm = nn.LayerNorm(options.patch_width)
        self.post_extract_proj = nn.Linear(options.patch_width, options.width)
        self.encoder = Encoder(options)
        self.width, self.step_frames = options.width, size
        first = ("patch_embedding.", "layer_norm.", "post_extract_proj.", "encoder.pos_conv.", "encoder.layer_norm.")
        layers = [(f"encoder.layers.{place}.",) for place in range(options.layers)]
        self.layer_order = [(*first, *layers[0]), *layers[1:]]

    def tokens(self, x: Tensor, valid: Tensor | None = None) -> Tensor:
        """Return the tokens; those of which `valid` (batch, tokens) is False are not seen by the others."""
        patches = self.patch_embedding(x[:, None]).flatten(2).transpose(1, 2)
        out: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(patches)), valid)
        return out

    def whole_steps(self, x: Tensor, n_frames: Tensor | None) -> Tensor | None:
        """Return (batch, steps) bool: steps that a recording fills; None where all are real."""
        if n_frames is None:
            return None
        return valid_mask(n_frames - n_frames % self.step_frames, self.step_frames, x.shape[1] // self.step_frames)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> Any:
        valid = self.whole_steps(x, n_frames)
        return self.tokens(x, None if valid is None else valid.repeat_interleave(x.shape[2] // self.step_frames, 1))

    def check_file(self, content: dict[str, Any], source: object) -> None:
        """Compare the section `cfg` of a released file with the network; raise SedkitError where it is of another."""
        cfg = content.get("cfg")
        if not isinstance(cfg, dict):
            return
        for key, name in _SIZES.items():
            value = getattr(self.options, name)
            if cfg.get(key, value) != value:
                raise SedkitError(f"{source}: cfg.{key} is {cfg[key]!r}, expected {value} (option {name})")
        for key, built in _BUILT.items():
            if cfg.get(key, built) != built:
                raise SedkitError(f"{source}: cfg.{key} is {cfg[key]!r}, expected {built}, as all released BEATs have")

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the network below any prefix, weight norms of either spelling, the table of positions once or 12 times.

        The classifier of fine-tuned files (`predictor`) is left out where the network has none, or of other classes.
        """
        state = below_prefix(state, "patch_embedding.weight")
        spelling = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        out = {}
        for name, value in state.items():
            for theirs, ours in spelling.items():
                name = name.replace(f"pos_conv.0.{theirs}", f"pos_conv.0.{ours}")
            out[name] = value
        table = out.get(_TABLE.format(0))
        for layer in range(self.options.layers if table is not None else 0):
            if not torch.equal(out.setdefault(_TABLE.format(layer), table), table):
                raise SedkitError(f"{_TABLE.format(layer)} differs from the first layer's, expected one for all")
        return without_other_classes(self, out, (_CLASSIFIER,))


class BeatsTagger(Beats, SedModel):
    """BEATs with a classifier of tokens (`predictor`), as fine-tuned files have it.

    The clip's probability is the sigmoid of the mean over all tokens of the logits, as published; a frame's is that of
    the mean over the patches of its step. Steps that a recording does not fill are left out; their frames have the
    probabilities of the last one that it fills.
    """

    def __init__(self, n_classes: int, n_bins: int, options: BeatsOptions) -> None:
        super().__init__(options)
        _check_bins(n_bins, options)
        self.time_pooling, self.patches = options.patch, n_bins // options.patch
        self.predictor = nn.Linear(options.width, n_classes)
        self.layer_order = [*self.layer_order, (_CLASSIFIER,)]

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        steps, valid = x.shape[1] // self.time_pooling, self.whole_steps(x, n_frames)
        tokens = super().forward(x, n_frames).float()
        with no_autocast(tokens):
            logits = self.predictor(tokens).unflatten(1, (steps, self.patches)).mean(2)
            clipwise, framewise = torch.sigmoid(mean_over_time(logits, valid, time_axis=1)), torch.sigmoid(logits)
            if valid is not None:
                framewise = last_valid_kept(framewise, valid)
        return SedOutput(clipwise, framewise)


def _check_bins(n_bins: int, options: BeatsOptions) -> None:
    if n_bins % options.patch:
        raise UsageError(f"the front end gives {n_bins} bins, expected a multiple of the patches' {options.patch}")


@register_body("beats", BeatsOptions)
def _body(n_bins: int, options: BeatsOptions) -> Beats:
    _check_bins(n_bins, options)
    return Beats(options)


@register("beats", BeatsOptions)
def _build(n_classes: int, n_bins: int, options: BeatsOptions) -> BeatsTagger:
    return BeatsTagger(n_classes, n_bins, options)
