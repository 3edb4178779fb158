"""Pretrained networks at their full size against the answers of the authors' own code."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from sedkit.embeddings.ast import AstFrontEnd
from sedkit.embeddings.atst_frame import AtstFrameFrontEnd
from sedkit.embeddings.beats import BeatsFrontEnd
from sedkit.embeddings.panns import PannsFrontEnd
from sedkit.embeddings.passt import FpasstFrontEnd, PasstFrontEnd
from sedkit.features.frontends import frontend_from
from sedkit.features.normalise import Normalisation
from sedkit.models.ast import Ast, AstTagger
from sedkit.models.atst_frame import AtstFrame
from sedkit.models.beats import Beats
from sedkit.models.panns import Panns
from sedkit.models.passt import Fpasst, PasstTagger
from sedkit.models.registry import build_model
from sedkit.models.sizes import PANNS, TAGGERS, AstOptions, AtstFrameOptions, BeatsOptions, FpasstOptions, PasstOptions
from sedkit.models.weights import load_pretrained
from tests.unit.models.known_answers import answers, check, drawn, filled, parameters, wave
from tests.unit.models.transformers_files import transformers_state

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def beats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the layout of the released ones."""
    path = tmp_path_factory.mktemp("weights") / "BEATs.pt"
    torch.save(
        {"cfg": {"encoder_layers": 12, "max_distance": 800, "deep_norm": True}, "model": filled(Beats(BeatsOptions()))},
        path,
    )
    return path


def test_beats(shared: Path, beats: Path) -> None:
    known = answers(shared)["BEATs"]
    expected = known["10s"]
    network = Beats(BeatsOptions()).eval()
    assert parameters(network) == known["params_total"]
    load_pretrained(network, beats)
    frontend = BeatsFrontEnd(weights=str(beats))
    fbank = (frontend.spectrum.transform(wave(16000, 10)) - 15.41663) / (2 * 6.55582)
    seen: dict[str, Any] = {}
    modules = {
        "post_extract_proj": network.post_extract_proj,
        "after_pos_conv_layernorm": network.encoder.layer_norm,
        "layer0_out_TBC_to_BTC": network.encoder.layers[0],
    }
    for name, module in modules.items():
        module.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
    with torch.inference_mode():
        tokens = network(torch.from_numpy(fbank))
        bias = network.encoder.position_bias(496)
    for name in modules:
        check(expected[name], seen[name])
    check(expected["position_bias_BH_T_T"], bias)
    check(expected["features"], tokens)
    check(expected["global_mean_over_tokens"], tokens.mean(1))
    pooled = F.adaptive_avg_pool1d(tokens.transpose(1, 2), 156).transpose(1, 2)
    check(expected["baseline_frame_embedding_pool1d_156"], pooled)


def test_beats_as_a_front_end(shared: Path, beats: Path) -> None:
    expected = answers(shared)["BEATs"]["10s"]
    features = BeatsFrontEnd(weights=str(beats)).transform(wave(16000, 10))
    check(expected["features"], features)
    steps = features.reshape(1, 62, 8, 768)
    mean = BeatsFrontEnd(weights=str(beats), tokens="mean").transform(wave(16000, 10))
    np.testing.assert_allclose(mean, steps.mean(2), atol=1e-6)
    # 11 bits a number: half of 2^-10 of the largest, which is 4.25.
    half = features.astype(np.float16).astype(np.float32)
    assert np.abs(half - features).max() <= 2**-9
    coarse = BeatsFrontEnd(weights=str(beats), precision="bf16").transform(wave(16000, 10))
    assert 1e-4 < np.abs(coarse - features).max() < 0.2 and np.abs(coarse - features).mean() < 0.02


def test_atst_frame(shared: Path, tmp_path: Path) -> None:
    expected = answers(shared)["ATST-Frame"]
    network = AtstFrame(AtstFrameOptions())
    assert parameters(network) == expected["params_total"]
    torch.save({"state_dict": {f"encoder.encoder.{k}": v for k, v in filled(network).items()}}, tmp_path / "atst.ckpt")
    frontend = AtstFrameFrontEnd(weights=str(tmp_path / "atst.ckpt"), clip_s=None)
    check(expected["frame_features"], features := frontend.transform(wave(16000, 10)))
    assert float(features.std(1, ddof=1).mean()) == pytest.approx(expected["std_over_time_mean"], abs=1e-4)
    assert list(frontend.transform(wave(16000, 10)[:, :80000]).shape) == expected["5s_frame_features_shape"]


@pytest.mark.parametrize("name", ["Cnn14", "Cnn14_DecisionLevelMax", "Cnn14_DecisionLevelAtt"])
def test_panns(shared: Path, tmp_path: Path, name: str) -> None:
    expected = answers(shared)["PANNs"][name]
    own = name.lower().replace("decisionlevel", "decision_level_")
    network = build_model({"name": own}, 527, 64).eval()
    assert isinstance(network, Panns) and parameters(network) == expected["params_trainable"]
    torch.save({"model": filled(network)}, tmp_path / "panns.pth")
    load_pretrained(network, tmp_path / "panns.pth")
    x = torch.from_numpy(frontend_from(PANNS[own].frontend).transform(wave(32000, 3)))
    with torch.inference_mode():
        output = network(x)
        frames = network.frames(x)
        embedding = network.embedding(frames)
    check(expected["clipwise_output"], output.clipwise)
    if "embedding" in expected:
        check(expected["embedding"], embedding)
    else:
        assert expected["frame_rows_equal_in_blocks_of_32"]
        # Each row 32 times, then the last one to the number of frames.
        repeated = output.framewise.repeat_interleave(32, 1)
        repeated = torch.cat([repeated, repeated[:, -1:].expand(-1, 301 - repeated.shape[1], -1)], 1)
        check(expected["framewise_output"], repeated)
    frontend = PannsFrontEnd(weights=str(tmp_path / "panns.pth"), network=own, clip_s=None)
    np.testing.assert_allclose(frontend.transform(wave(32000, 3)), frames.transpose(1, 2), atol=1e-4)
    assert frontend.grid.frame_s == 0.32 and frontend.frames_for(10) == 31 and frontend.n_bins == 2048


def heard(name: str, rate: int) -> torch.Tensor:
    """What a tagger reads of 10 s, (1, frames, bins)."""
    frontend = frontend_from(TAGGERS[name].frontend)
    x = torch.from_numpy(frontend.transform(wave(rate, 10)))
    return Normalisation.from_section(TAGGERS[name].normalise, 128)(x, torch.tensor([x.shape[1]]))


def check_again(network: torch.nn.Module, path: Path) -> None:
    """Saved and loaded by another one, no bit has changed."""
    state = {key: value.clone() for key, value in network.state_dict().items()}
    torch.save(network.state_dict(), path)
    other = copy.deepcopy(network)
    for parameter in other.parameters():
        torch.nn.init.zeros_(parameter)
    load_pretrained(other, path)
    assert all(torch.equal(value, state[key]) for key, value in other.state_dict().items())


def test_passt(shared: Path, tmp_path: Path) -> None:
    expected = answers(shared)["PaSST-S"]
    network = PasstTagger(527, 128, PasstOptions()).eval()
    assert parameters(network) == expected["params_total"]
    torch.save(filled(network), tmp_path / "passt.pt")
    load_pretrained(network, tmp_path / "passt.pt")
    x = heard("passt", 32000)
    check(expected["mel_normalised"], x.transpose(1, 2))
    with torch.inference_mode():
        clip = network.tokens(x)[:, :2].mean(1)
        check(expected["embedding"], clip)
        check(expected["logits"], network.head(clip))
        check(expected["logits"], torch.logit(network(x).clipwise))
        columns = network.columns(x)
    check_again(network, tmp_path / "again.pt")
    rows = PasstFrontEnd(weights=str(tmp_path / "passt.pt")).transform(wave(32000, 10))
    assert rows.shape == (1, 99, 768)
    np.testing.assert_allclose(rows, columns, atol=1e-4)


def test_fpasst(shared: Path, tmp_path: Path) -> None:
    expected = answers(shared)["fPaSST"]
    network = Fpasst(FpasstOptions(), 128)
    assert parameters(network) == expected["params_total"]
    torch.save({f"model.{key}": value for key, value in filled(network).items()}, tmp_path / "fpasst.pt")
    load_pretrained(network, tmp_path / "fpasst.pt")
    check_again(network, tmp_path / "again.pt")
    rows = FpasstFrontEnd(weights=str(tmp_path / "fpasst.pt")).transform(wave(16000, 10))
    check(expected["frame_features"], rows)
    assert abs(rows.std(axis=1, ddof=1).mean() - expected["std_over_time_mean"]) < 1e-4


@pytest.mark.parametrize("version", [4, 5])
def test_ast(shared: Path, tmp_path: Path, version: int) -> None:
    expected = answers(shared)["AST"]
    network = AstTagger(527, 128, AstOptions()).eval()
    assert parameters(network) == expected["params_total_classifier"]
    with torch.device("meta"):
        assert parameters(Ast(AstOptions(), 128)) == expected["params_total_model"]
    # Seeds are the names of version 5; the tensors of version 4 are the same in the same order.
    state = {k: drawn(k, tuple(v.shape)) for k, v in transformers_state(network.state_dict(), 5).items()}
    names = transformers_state(network.state_dict(), version)
    torch.save(dict(zip(names, state.values(), strict=True)), tmp_path / "ast.bin")
    load_pretrained(network, tmp_path / "ast.bin")
    x = heard("ast", 16000)
    # Zeros before normalisation fill 998 frames up to 1024.
    padded = torch.cat([x, torch.full((1, 26, 128), 4.2677393 / (2 * 4.5689974))], 1)
    check(expected["input_values"], padded)
    with torch.inference_mode():
        tokens = network.tokens(x)
        clip = tokens[:, :2].mean(1)
        check(expected["last_hidden_state"], tokens)
        check(expected["pooler_output"], clip)
        check(expected["logits"], network.head(clip))
        check(expected["logits"], torch.logit(network(x, torch.tensor([998])).clipwise))
    check_again(network, tmp_path / "again.pt")
    rows = AstFrontEnd(weights=str(tmp_path / "ast.bin")).transform(wave(16000, 10))
    # Of 101 columns of patches, 99 lie in the recording.
    np.testing.assert_allclose(rows, tokens[:, 2:].reshape(1, 12, 101, 768).mean(1)[:, :99], atol=1e-4)
