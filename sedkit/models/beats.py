"""BEATs, a transformer of patches of a filter bank (Chen et al., arXiv 2212.09058), under the authors' key names."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import SedkitError
from sedkit.models.sizes import BeatsOptions
from sedkit.models.transformer import attend, split_heads
from sedkit.models.weights import Pretrained, below_prefix

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

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """(batch, tokens, width), bias (heads, tokens, tokens) -> (batch, tokens, width)."""
        query, key, value = (split_heads(layer(x), self.heads) for layer in (self.q_proj, self.k_proj, self.v_proj))
        a, b = torch.sigmoid(self.grep_linear(query).unflatten(3, (2, 4)).sum(4)).chunk(2, dim=3)
        gate = a * (b * self.grep_a - 1) + 2
        out: Tensor = self.out_proj(attend(query, key, value, gate.to(query.dtype) * bias.to(query.dtype)))
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

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = self.self_attn_layer_norm(self.alpha * x + self.self_attn(x, bias))
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

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_conv(x.transpose(1, 2)).transpose(1, 2)
        x, bias = self.layer_norm(x), self.position_bias(x.shape[1])
        for layer in self.layers:
            x = layer(x, bias)
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

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patch_embedding(x[:, None]).flatten(2).transpose(1, 2)
        out: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(patches)))
        return out

    def check_file(self, content: dict[str, Any], source: object) -> None:
        """Compare the section `cfg` of a released file with the network; raise SedkitError where it is of another."""
        cfg = content.get("cfg")
        if not isinstance(cfg, dict):
            return
        for key, name in _SIZES.items():
            value = getattr(self.options, name)
            if cfg.get(key, value) != value:
                raise SedkitError(f"{source}: cfg.{key} is {cfg[key]!r}, expected {value} (network.{name})")
        for key, built in _BUILT.items():
            if cfg.get(key, built) != built:
                raise SedkitError(f"{source}: cfg.{key} is {cfg[key]!r}, expected {built}, as all released BEATs have")

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read the network below any prefix, weight norms of either spelling, the table of positions once or 12 times.

        The classifier of fine-tuned files (`predictor`) is left out: tokens are those before it.
        """
        state = below_prefix(state, "patch_embedding.weight")
        spelling = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
        out = {}
        for name, value in state.items():
            for theirs, ours in spelling.items():
                name = name.replace(f"pos_conv.0.{theirs}", f"pos_conv.0.{ours}")
            if not name.startswith("predictor."):
                out[name] = value
        table = out.get(_TABLE.format(0))
        for layer in range(self.options.layers if table is not None else 0):
            out.setdefault(_TABLE.format(layer), table)
        return out


_TABLE = "encoder.layers.{}.self_attn.relative_attention_bias.weight"
