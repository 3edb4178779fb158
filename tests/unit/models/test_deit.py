"""PaSST, fPaSST and AST: slow oracles of small ones, names and numbers, and what a classifier is told of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.ast import Ast
from sedkit.models.passt import Fpasst, PasstTagger
from sedkit.models.registry import build_model
from sedkit.models.sizes import AstOptions, FpasstOptions, PasstOptions
from tests.unit.models.known_answers import answers, parameters
from tests.unit.models.slow import State, blocks, convolution, gelu, linear, norm
from tests.unit.models.small_networks import (
    AST,
    DEIT,
    PASST,
    random_state,
    small_ast,
    small_fpasst,
    small_passt,
)

#: What a frame of zeros is after (x + 4.2677393) / (2 * 4.5689974).
ZERO = 4.2677393 / (2 * 4.5689974)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def arrays(state: dict[str, torch.Tensor]) -> State:
    return {key: value.double().numpy() for key, value in state.items()}


def encoded(patches: NDArray[Any], state: State, eps: float) -> NDArray[Any]:
    """What the blocks make of patches (width, rows, columns) with the places of PaSST, or the table of AST."""
    _, rows, columns = patches.shape
    tokens = [state["cls_token"][0, 0], state["dist_token"][0, 0]]
    tokens += [patches[:, row, column] for row in range(rows) for column in range(columns)]
    if "pos_embed" in state:
        places = list(state["pos_embed"][0])
    else:
        places = list(state["new_pos_embed"][0])
        for row in range(rows):
            places += [
                state["freq_new_pos_embed"][0, :, row, 0] + state["time_new_pos_embed"][0, :, 0, column]
                for column in range(columns)
            ]
    h = np.array([token + place for token, place in zip(tokens, places, strict=True)])
    return norm(blocks(h, state, DEIT["layers"], DEIT["heads"], eps), state, "norm", eps)


def slow_passt(x: NDArray[Any], state: State) -> NDArray[Any]:
    """One clip (frames, bins) to all of its tokens."""
    return encoded(convolution(x.T[None], state, "patch_embed.proj", PASST.stride), state, 1e-6)


def slow_fpasst(x: NDArray[Any], state: State) -> NDArray[Any]:
    maps = x.T[None]
    for name, stride in (("conv_in_1", 2), ("conv_in_2", 1), ("conv_in_3", 2)):
        maps = gelu(convolution(maps, state, name, stride, (1, 1)))
    rows = np.concatenate(maps)  # one after the other, channel by channel, is what a reshape keeps
    patches = convolution(rows.reshape(16, x.shape[1], -1), state, "patch_embed.proj", 1, (0, 1))
    return encoded(patches[:, :, 1:], state, 1e-6)


def slow_ast(x: NDArray[Any], state: State) -> NDArray[Any]:
    padded = np.full((AST.frames, x.shape[1]), ZERO)
    padded[: len(x)] = x
    return encoded(convolution(padded.T[None], state, "patch_embed.proj", AST.stride), state, 1e-12)


@pytest.mark.parametrize(
    ("network", "oracle", "shape", "rows", "columns"),
    [
        (small_passt(), slow_passt, (33, 19), 3, 6),
        (small_passt(), slow_passt, (21, 19), 3, 3),
        (small_fpasst(), slow_fpasst, (24, 8), 1, 6),
        (small_fpasst(), slow_fpasst, (16, 8), 1, 4),
        (small_ast(), slow_ast, (40, 19), 3, 7),
        (small_ast(), slow_ast, (29, 19), 3, 5),
    ],
    ids=["passt", "a short passt", "fpasst", "a short fpasst", "ast", "a short ast"],
)
def test_token_by_token(network: Any, oracle: Any, shape: tuple[int, int], rows: int, columns: int) -> None:
    state = random_state(network)
    network.load_state_dict(state)
    x = noise(2, *shape)
    with torch.inference_mode():
        tokens, means = network.tokens(x), network.columns(x)
    assert means.shape == (2, columns, 12)
    for clip in range(2):
        expected = oracle(x[clip].double().numpy(), arrays(state))
        np.testing.assert_allclose(tokens[clip], expected, atol=2e-5)
        grid = expected[2:].reshape(rows, -1, 12)
        # A column that a recording does not fill (only AST has such) is no row.
        np.testing.assert_allclose(means[clip], grid.mean(0)[:columns], atol=2e-5)


def test_frames_behind_the_last_whole_step_are_not_seen() -> None:
    network, x = small_fpasst(), noise(1, 27, 8)
    with torch.inference_mode():
        torch.testing.assert_close(network.columns(x), network.columns(x[:, :24]))


def test_a_recording_without_a_whole_patch_has_no_row() -> None:
    with torch.inference_mode():
        assert [small_ast().columns(noise(1, frames, 19)).shape[1] for frames in (2, 7, 8, 13)] == [0, 0, 1, 2]


def test_lengths_that_are_refused() -> None:
    for network, frames, message in (
        (small_passt(), 38, "38 frames, expected at most 37"),
        (small_passt(), 7, "7 frames, expected at least 8, those of a patch"),
        (small_fpasst(), 28, "28 frames, expected at most 27"),
        (small_ast(), 41, "41 frames, expected at most 40"),
    ):
        with pytest.raises(SedkitError, match=message):
            network.tokens(torch.zeros(1, frames, 8 if isinstance(network, Fpasst) else 19))


# ---- names and numbers


def test_names_and_numbers(shared: Path) -> None:
    known = answers(shared)
    with torch.device("meta"):
        networks = {
            "PaSST-S": PasstTagger(527, 128, PasstOptions()),
            "fPaSST": Fpasst(FpasstOptions(), 128),
            "AST": Ast(AstOptions(), 128),
        }
        tagger = build_model({"name": "ast"}, 527, 128)
    assert parameters(networks["PaSST-S"]) == known["PaSST-S"]["params_total"]
    assert parameters(networks["fPaSST"]) == known["fPaSST"]["params_total"]
    assert parameters(networks["AST"]) == known["AST"]["params_total_model"]
    assert parameters(tagger) == known["AST"]["params_total_classifier"]
    shapes = {name: {k: tuple(v.shape) for k, v in n.state_dict().items()} for name, n in networks.items()}
    common = {
        "cls_token": (1, 1, 768),
        "dist_token": (1, 1, 768),
        "new_pos_embed": (1, 2, 768),
        "blocks.11.attn.qkv.bias": (2304,),
        "blocks.0.mlp.fc2.weight": (768, 3072),
        "norm.bias": (768,),
    }
    passt = common | {
        "freq_new_pos_embed": (1, 768, 12, 1),
        "time_new_pos_embed": (1, 768, 1, 99),
        "patch_embed.proj.weight": (768, 1, 16, 16),
        "head.0.weight": (768,),
        "head.1.weight": (527, 768),
        "head_dist.bias": (527,),
    }
    fpasst = common | {
        "freq_new_pos_embed": (1, 768, 1, 1),
        "time_new_pos_embed": (1, 768, 1, 250),
        "conv_in_3.weight": (64, 32, 3, 3),
        "patch_embed.proj.weight": (768, 16, 128, 2),
    }
    assert passt.items() <= shapes["PaSST-S"].items() and fpasst.items() <= shapes["fPaSST"].items()
    assert not any(name.startswith("head") for name in shapes["fPaSST"])


# ---- taggers

TAGGERS = {"passt": vars(PASST), "ast": vars(AST)}


@pytest.mark.parametrize("name", TAGGERS)
def test_the_classifier_knows_clips(name: str) -> None:
    tagger = build_model({"name": name, **TAGGERS[name]}, 3, 19).eval()
    tagger.load_state_dict(random_state(tagger))
    state, x = arrays(tagger.state_dict()), noise(2, 33, 19)
    with torch.inference_mode():
        tokens, output = tagger.tokens(x), tagger(x)
    clip = tokens[:, :2].double().numpy().mean(1)
    logits = linear(norm(clip, state, "head.0", 1e-5 if name == "passt" else 1e-12), state, "head.1")
    np.testing.assert_allclose(output.clipwise, 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert output.framewise.shape == (2, 6, 3) and tagger.time_pooling == 5
    assert all(torch.equal(output.framewise[:, frame], output.clipwise) for frame in range(6))


@pytest.mark.parametrize("name", TAGGERS)
def test_a_short_recording_is_not_seen_with_its_padding(name: str) -> None:
    tagger = build_model({"name": name, **TAGGERS[name]}, 3, 19).eval()
    tagger.load_state_dict(random_state(tagger))
    x = noise(3, 33, 19)
    with torch.inference_mode():
        together = tagger(x, torch.tensor([18, 33, 2])).clipwise
        alone = torch.cat([tagger(x[:1, :18]).clipwise, tagger(x[1:2]).clipwise])
        other = tagger(x + (torch.arange(33) >= 18)[:, None], torch.tensor([18, 33, 2])).clipwise
    torch.testing.assert_close(together[:2], alone)
    torch.testing.assert_close(together[0], other[0])
    assert not torch.allclose(together[1], other[1]) and together.isfinite().all()


def test_bins_that_are_too_few() -> None:
    for name in TAGGERS:
        with pytest.raises(UsageError, match="gives 7 bins, expected at least the patches' 8"):
            build_model({"name": name, **TAGGERS[name]}, 3, 7)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "passt", "heads": 5}, "width is 768, expected a multiple of heads = 5"),
        ({"name": "passt", "positions": 0}, "positions is 0, expected at least 1"),
        ({"name": "ast", "frames": 15}, "frames is 15, expected at least patch = 16"),
    ],
)
def test_sizes_that_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(section, 3, 128)
