"""AST under the names of transformers' files."""

from __future__ import annotations

import torch
from torch import Tensor

_OUTSIDE = {
    "cls_token": "audio_spectrogram_transformer.embeddings.cls_token",
    "dist_token": "audio_spectrogram_transformer.embeddings.distillation_token",
    "pos_embed": "audio_spectrogram_transformer.embeddings.position_embeddings",
    "patch_embed.proj": "audio_spectrogram_transformer.embeddings.patch_embeddings.projection",
    "norm": "audio_spectrogram_transformer.layernorm",
    "head.0": "classifier.layernorm",
    "head.1": "classifier.dense",
}
#: Of version 4 and of version 5.
_LAYER = {4: "audio_spectrogram_transformer.encoder.layer.{}.", 5: "audio_spectrogram_transformer.layers.{}."}
_INSIDE = {
    "norm1": ("layernorm_before", "layernorm_before"),
    "norm2": ("layernorm_after", "layernorm_after"),
    "attn.q": ("attention.attention.query", "attention.q_proj"),
    "attn.k": ("attention.attention.key", "attention.k_proj"),
    "attn.v": ("attention.attention.value", "attention.v_proj"),
    "attn.proj": ("attention.output.dense", "attention.o_proj"),
    "mlp.fc1": ("intermediate.dense", "mlp.fc1"),
    "mlp.fc2": ("output.dense", "mlp.fc2"),
}


def transformers_state(state: dict[str, Tensor], version: int) -> dict[str, Tensor]:
    """A state dict of `sedkit.models.ast` as transformers writes it."""
    out = {}
    for key, value in state.items():
        name, kind = (key, "") if key in _OUTSIDE else key.rsplit(".", 1)
        if name in _OUTSIDE:
            out[f"{_OUTSIDE[name]}.{kind}".rstrip(".")] = value
            continue
        _, layer, name = name.split(".", 2)
        whole = {"attn.q": 0, "attn.k": 1, "attn.v": 2} if name == "attn.qkv" else {name: 0}
        for part, tensor in zip(whole, torch.chunk(value, len(whole)), strict=True):
            out[f"{_LAYER[version].format(layer)}{_INSIDE[part][version - 4]}.{kind}"] = tensor.clone()
    return out
