"""What pretrained transformers share: attention of several heads, and the pre-norm block of vision transformers."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(batch, tokens, width) to (batch, heads, tokens, width / heads)."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return softmax(q k^T / sqrt(d) + bias) v of each head, the heads side by side (Vaswani et al. 2017, eq. 1).

    Parameters
    ----------
    query, key, value
        (batch, heads, tokens, d).
    bias
        What broadcasts to (batch, heads, tokens, tokens), of the same type as the query; or bool, which keys are seen.

    Returns
    -------
    (batch, tokens, heads d)
    """
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias).transpose(1, 2).flatten(2)


class SelfAttention(nn.Module):
    """Attention with one linear layer for queries, keys and values together; keys `qkv` and `proj`."""

    def __init__(self, width: int, heads: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=qkv_bias)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        query, key, value = (split_heads(part, self.heads) for part in self.qkv(x).chunk(3, dim=2))
        out: Tensor = self.proj(attend(query, key, value, bias))
        return out


class Mlp(nn.Module):
    """Two linear layers with a GELU (erf) between them; keys `fc1` and `fc2`."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class PreNormBlock(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x)), as in vision transformers (arXiv 2010.11929, eq. 2 and 3).

    Shapes: (batch, tokens, width) both ways; `bias` is that of `attend`.
    """

    def __init__(self, width: int, heads: int, hidden: int, qkv_bias: bool = True, eps: float = 1e-6) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = SelfAttention(width, heads, qkv_bias)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, hidden)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        x = x + self.attn(self.norm1(x), bias)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out
