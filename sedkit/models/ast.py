"""AST (Gong et al., arXiv 2104.01778), which loads the files of transformers' ASTForAudioClassification."""

from __future__ import annotations

import re
from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.deit import Deit, DeitTagger
from sedkit.models.registry import register, register_body
from sedkit.models.sizes import AST_NORMALISE, AstOptions
from sedkit.models.weights import below_prefix, without_other_classes

_EPS = 1e-12
#: What a frame of zeros is after normalisation: the extractor pads before it.
_ZERO = -AST_NORMALISE["standardise"]["mean"] / AST_NORMALISE["standardise"]["std"]
#: Names in files of transformers, of version 5 or 4, and here.
_NAMES = {
    r"^audio_spectrogram_transformer\.": "",
    r"^embeddings\.cls_token$": "cls_token",
    r"^embeddings\.distillation_token$": "dist_token",
    r"^embeddings\.position_embeddings$": "pos_embed",
    r"^embeddings\.patch_embeddings\.projection\.": "patch_embed.proj.",
    r"^(encoder\.layer|layers)\.(\d+)\.": r"blocks.\2.",
    r"\.layernorm_before\.": ".norm1.",
    r"\.layernorm_after\.": ".norm2.",
    r"\.attention\.(attention\.)?([qkv])(uery|ey|alue|_proj)\.": r".attn.\2.",
    r"\.attention\.(output\.dense|o_proj)\.": ".attn.proj.",
    r"\.intermediate\.dense\.": ".mlp.fc1.",
    r"^(blocks\.\d+)\.output\.dense\.": r"\1.mlp.fc2.",
    r"^layernorm\.": "norm.",
    r"^classifier\.layernorm\.": "head.0.",
    r"^classifier\.dense\.": "head.1.",
}
_SPLIT = re.compile(r"\.attn\.[qkv]\.")


class Ast(Deit):
    """Patches of 16 frames and 16 bins every 10 of 1024 frames, and a table of places for all tokens; key `pos_embed`.

    What a recording does not fill is zeros before normalisation, as transformers' extractor pads it.
    """

    def __init__(self, options: AstOptions, n_bins: int) -> None:
        if n_bins < options.patch:
            raise UsageError(f"the front end gives {n_bins} bins, expected at least the patches' {options.patch}")
        super().__init__(options, _EPS)
        self.rows, self.step_frames, self.overlap = options.patches(n_bins), options.stride, options.overlap
        self.most_frames = options.frames
        places = 2 + self.rows * options.patches(options.frames)
        self.pos_embed = nn.Parameter(torch.zeros(1, places, options.width))
        patches = nn.Conv2d(1, options.width, options.patch, stride=options.stride)
        self.patch_embed = nn.Sequential(OrderedDict(proj=patches))
        for parameter in self.parameters(recurse=False):
            nn.init.trunc_normal_(parameter, std=0.02)

    def tokens(self, x: Tensor, n_frames: Tensor | None = None) -> Tensor:
        missing = self.most_frames - x.shape[1]
        if missing < 0:
            raise SedkitError(f"{x.shape[1]} frames, expected at most {self.most_frames}, which the network knows")
        if n_frames is not None:
            real = torch.arange(x.shape[1], device=x.device) < n_frames[:, None]
            x = torch.where(real[:, :, None], x, _ZERO)
        x = F.pad(x, (0, 0, 0, missing), value=_ZERO)
        return self.encode(self.patch_embed(x[:, None].transpose(2, 3)), self.pos_embed)

    def adapt_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Read files of transformers; queries, keys and values become one layer.

        A classifier is left out where the network has none, or of other classes.
        """
        adapted = {}
        for name, value in below_prefix(state, "audio_spectrogram_transformer.embeddings.cls_token").items():
            for theirs, ours in _NAMES.items():
                name = re.sub(theirs, ours, name)
            adapted[name] = value
        return without_other_classes(self, _together(adapted), ("head.",))


def _together(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with the layers `attn.q`, `attn.k` and `attn.v` as one, `attn.qkv`."""
    out = {name: value for name, value in state.items() if not _SPLIT.search(name)}
    for joint in dict.fromkeys(_SPLIT.sub(".attn.qkv.", name) for name in state if name not in out):
        names = [joint.replace(".qkv.", f".{one}.") for one in "qkv"]
        absent = [name for name in names if name not in state]
        if absent:
            raise SedkitError(f"{len(absent)} tensors of the network are absent ({', '.join(absent)})")
        for name in names[1:]:
            if state[name].shape != state[names[0]].shape:
                shapes = [tuple(state[one].shape) for one in (name, names[0])]
                raise SedkitError(f"{name} is {shapes[0]}, expected {shapes[1]} as {names[0]}")
        out[joint] = torch.cat([state[name] for name in names])
    return out


class AstTagger(Ast, DeitTagger):
    """AST with its classifier, which transformers calls `classifier`."""

    def __init__(self, n_classes: int, n_bins: int, options: AstOptions) -> None:
        super().__init__(options, n_bins)
        self.add_head(options, n_classes, _EPS)


register("ast", AstOptions)(AstTagger)
register_body("ast", AstOptions)(lambda n_bins, options: Ast(options, n_bins))
