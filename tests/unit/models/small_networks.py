"""Networks of others in small, with weights that leave no part of them idle."""

from __future__ import annotations

import torch
from torch import Tensor

from sedkit.models.ast import Ast
from sedkit.models.atst_frame import AtstFrame
from sedkit.models.beats import Beats
from sedkit.models.panns import Panns
from sedkit.models.passt import Fpasst, Passt
from sedkit.models.registry import build_model
from sedkit.models.sizes import AstOptions, AtstFrameOptions, BeatsOptions, FpasstOptions, PasstOptions

SMALL = BeatsOptions(
    patch_width=12, width=16, hidden=24, layers=2, heads=2, taps=6, groups=4, buckets=16, max_distance=9
)
SHORT = AtstFrameOptions(bins=8, layers=2, width=12, heads=3, hidden=20, positions=9)
DEIT = {"layers": 2, "width": 12, "heads": 3, "hidden": 20}
PASST = PasstOptions(**DEIT, patch=8, stride=5, positions=6)
FPASST = FpasstOptions(**DEIT, positions=6)
AST = AstOptions(**DEIT, patch=8, stride=5, frames=40)


def small_passt() -> Passt:
    return Passt(PASST, 19).eval()


def small_fpasst() -> Fpasst:
    return Fpasst(FPASST, 8).eval()


def small_ast() -> Ast:
    return Ast(AST, 19).eval()


def small_beats() -> Beats:
    return Beats(SMALL).eval()


def short_atst() -> AtstFrame:
    return AtstFrame(SHORT).eval()


def small_pann(name: str = "cnn10", n_classes: int = 5) -> Panns:
    network = build_model({"name": name, "base_channels": 2}, n_classes, 64)
    assert isinstance(network, Panns)
    return network.eval()


def random_state(network: torch.nn.Module, seed: int = 0) -> dict[str, Tensor]:
    """Weights that leave no part of the network idle."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, value in network.state_dict().items():
        drawn = torch.randn(value.shape, generator=generator) * 0.4
        state[key] = 1 + drawn.abs() if key.endswith(("running_var", "norm.weight")) else drawn
        if "num_batches" in key:
            state[key] = value
    shared_table = next((value for key, value in state.items() if "relative_attention_bias" in key), None)
    return {key: shared_table if "relative_attention_bias" in key else value for key, value in state.items()}
