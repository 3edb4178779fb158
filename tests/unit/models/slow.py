"""Parts of transformers written out in NumPy, token by token."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

State = dict[str, NDArray[Any]]


def norm(x: NDArray[Any], state: State, key: str, eps: float) -> NDArray[Any]:
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return x * state[f"{key}.weight"] + state[f"{key}.bias"]


def linear(x: NDArray[Any], state: State, key: str) -> NDArray[Any]:
    return x @ state[f"{key}.weight"].T + state.get(f"{key}.bias", 0.0)


def gelu(x: NDArray[Any]) -> NDArray[Any]:
    return np.vectorize(lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2))))(x)


def softmax(x: NDArray[Any]) -> NDArray[Any]:
    e = np.exp(x - x.max())
    return e / e.sum()


def convolution(
    x: NDArray[Any], state: State, key: str, stride: int, padding: tuple[int, int] = (0, 0)
) -> NDArray[Any]:
    """(channels, height, width) to (channels, height, width), place by place."""
    weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
    x = np.pad(x, ((0, 0), *((side, side) for side in padding)))
    height, width = ((x.shape[i + 1] - weight.shape[i + 2]) // stride + 1 for i in range(2))
    out = np.zeros((len(weight), height, width))
    for i in range(height):
        for j in range(width):
            seen = x[:, i * stride :, j * stride :][:, : weight.shape[2], : weight.shape[3]]
            out[:, i, j] = (weight * seen).sum(axis=(1, 2, 3)) + bias
    return out


def blocks(h: NDArray[Any], state: State, layers: int, heads: int, eps: float) -> NDArray[Any]:
    """Pre-norm blocks of a vision transformer on the tokens of one clip, (tokens, width)."""
    width = h.shape[1]
    d = width // heads
    for block in range(layers):
        at = f"blocks.{block}"
        qkv = linear(norm(h, state, f"{at}.norm1", eps), state, f"{at}.attn.qkv")
        out = np.zeros_like(h)
        for head in range(heads):
            q, k, v = (qkv[:, p * width + head * d :][:, :d] for p in range(3))
            for i in range(len(h)):
                out[i, head * d : (head + 1) * d] = softmax(k @ q[i] / math.sqrt(d)) @ v
        h = h + linear(out, state, f"{at}.attn.proj")
        inner = linear(norm(h, state, f"{at}.norm2", eps), state, f"{at}.mlp.fc1")
        h = h + linear(gelu(inner), state, f"{at}.mlp.fc2")
    return h
