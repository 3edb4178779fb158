"""Networks of others: known answers where they are quick, slow oracles of small ones, names and numbers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sedkit.core.errors import SedkitError, UsageError
from sedkit.features.frontends import frontend_from
from sedkit.features.frontends.logmel import LogMel
from sedkit.features.spectra import Spectra, filtered
from sedkit.models.atst_frame import AtstFrame
from sedkit.models.beats import Beats, BeatsTagger, buckets
from sedkit.models.panns import Panns
from sedkit.models.registry import build_model
from sedkit.models.sizes import PANNS, AtstFrameOptions, BeatsOptions
from tests.unit.models.known_answers import TABLE, answers, check, check_picks, filled, parameters, wave
from tests.unit.models.slow import blocks, gelu, linear, norm, softmax
from tests.unit.models.small_networks import SHORT, SMALL, random_state, short_atst, small_beats, small_pann

# ---- known answers


@pytest.mark.parametrize("name", ["Cnn10", "Cnn14", "Cnn14_DecisionLevelMax", "Cnn14_DecisionLevelAtt"])
def test_the_front_end_of_panns(shared: Path, name: str) -> None:
    pann = PANNS[name.lower().replace("decisionlevel", "decision_level_")]
    expected = answers(shared)["PANNs"][name]
    frontend = frontend_from(pann.frontend)
    assert isinstance(frontend, LogMel)
    logmel = frontend.transform(wave(32000, 3))[:, None]
    check(expected["logmel"], logmel)
    check_picks(expected["logmel_picks"], logmel)
    # A filter for each bin of the spectrum shows the spectrum, whose values span ten decades.
    padded, power = frontend._padded(wave(32000, 3)[0], 96000), np.empty((301, 513), np.float32)
    filtered(padded, Spectra(frontend.framing.window, 1024, np.eye(513))["double"], 1024, 320, power)
    spectrum = expected["power_spec"]
    assert [1, 1, *power.shape] == spectrum["shape"]
    np.testing.assert_allclose(power.ravel()[spectrum["flat_index"]], spectrum["value"], rtol=1e-4)
    seen = [float(power.astype(np.float64).mean()), float(power.astype(np.float64).std()), float(power.max())]
    np.testing.assert_allclose(seen, [spectrum[key] for key in ("mean", "std", "max")], rtol=1e-4)
    assert float(power.min()) == pytest.approx(spectrum["min"], rel=1e-2)


def test_cnn10(shared: Path) -> None:
    expected = answers(shared)["PANNs"]["Cnn10"]
    network = build_model({"name": "cnn10"}, 527, 64).eval()
    assert isinstance(network, Panns) and parameters(network) == expected["params_trainable"]
    network.load_state_dict(filled(network))
    x = torch.from_numpy(frontend_from(PANNS["cnn10"].frontend).transform(wave(32000, 3)))
    with torch.inference_mode():
        output, embedding = network(x), network.embedding(network.frames(x))
    check(expected["clipwise_output"], output.clipwise)
    check(expected["embedding"], embedding)
    assert output.framewise.shape == (1, 18, 527) and torch.equal(output.framewise[:, 7], output.clipwise)


def test_the_spectrum_of_atst_frame(shared: Path) -> None:
    from sedkit.embeddings.atst_frame import AtstFrameFrontEnd
    from sedkit.features.normalise import Normalisation

    expected = answers(shared)["ATST-Frame"]
    frontend = AtstFrameFrontEnd(weights="random", network=AtstFrameOptions(layers=1, width=8, heads=2, hidden=8))
    mel = torch.from_numpy(frontend.spectrum.transform(wave(16000, 10)))
    normalised = Normalisation.from_section(frontend.normalise, 64)(mel, torch.tensor([1001]))
    mel = normalised.transpose(1, 2)[:, None]
    check(expected["mel_normalised"], mel)
    check_picks(expected["mel_picks"], mel)


def test_buckets(shared: Path) -> None:
    known = answers(shared)["BEATs"]["buckets_for_relative_positions"]
    distance = torch.tensor([int(key) for key in known])
    assert buckets(distance, 320, 800).tolist() == list(known.values())


# ---- names


def test_names_and_shapes_of_beats() -> None:
    with torch.device("meta"):
        state = Beats(BeatsOptions()).state_dict()
    assert len(state) == 250 and sum("relative_attention_bias" in key for key in state) == 12
    expected = {
        "patch_embedding.weight": (512, 1, 16, 16),
        "layer_norm.bias": (512,),
        "post_extract_proj.weight": (768, 512),
        "encoder.pos_conv.0.weight_g": (1, 1, 128),
        "encoder.pos_conv.0.weight_v": (768, 48, 128),
        "encoder.pos_conv.0.bias": (768,),
        "encoder.layer_norm.weight": (768,),
        "encoder.layers.11.self_attn.out_proj.weight": (768, 768),
        "encoder.layers.11.self_attn.grep_linear.weight": (8, 64),
        "encoder.layers.11.self_attn.grep_a": (1, 12, 1, 1),
        "encoder.layers.11.self_attn.relative_attention_bias.weight": (320, 12),
        "encoder.layers.11.self_attn_layer_norm.bias": (768,),
        "encoder.layers.11.fc1.weight": (3072, 768),
        "encoder.layers.11.final_layer_norm.bias": (768,),
    }
    assert {key: tuple(state[key].shape) for key in expected} == expected


def test_names_and_numbers_of_the_others(shared: Path) -> None:
    known = answers(shared)
    with torch.device("meta"):
        beats = Beats(BeatsOptions())
        assert parameters(beats) == known["BEATs"]["params_total"]
        patches = beats.patch_embedding(torch.empty(1, 1, 998, 128))
        assert list(patches.shape) == known["BEATs"]["10s"]["patch_embedding_out_shape"]
        assert parameters(build_model({"name": "beats"}, 527, 128)) == known["BEATs"]["params_with_predictor"]
        atst = AtstFrame(AtstFrameOptions())
        networks = {name: build_model({"name": pann.model}, 527, 64) for name, pann in PANNS.items()}
    assert parameters(atst) == known["ATST-Frame"]["params_total"]
    state = atst.state_dict()
    assert len(state) == 138 and tuple(state["blocks.3.attn.qkv.weight"].shape) == (2304, 768)
    assert {"mask_embed", "pos_embed", "patch_embed.patch_embed.bias", "norm_frame.weight"} < set(state)
    for name, keys in {
        "Cnn10": 60,
        "Cnn14": 84,
        "Cnn14_16k": 84,
        "Cnn14_DecisionLevelMax": 84,
        "Cnn14_DecisionLevelAtt": 91,
    }.items():
        network = networks[name.lower().replace("decisionlevel", "decision_level_")]
        assert parameters(network) == known["PANNs"][name]["params_trainable"]
        # The authors count the tables of the transform, too: cosines, sines, 64 mels.
        frontend = PANNS[name.lower().replace("decisionlevel", "decision_level_")].frontend
        tables = (frontend["n_fft"] // 2 + 1) * (2 * frontend["n_fft"] + 64)
        assert parameters(network) + tables == known["PANNs"][name]["params_total"]
        # The published files hold three tables of the transform besides.
        assert len(network.state_dict()) in (keys, keys - 3), name


# ---- slow oracles


def slow_beats(x: NDArray[Any], state: dict[str, NDArray[Any]], o: BeatsOptions) -> NDArray[Any]:
    """One clip (frames, bins), token by token."""
    steps, bands = x.shape[0] // o.patch, x.shape[1] // o.patch
    kernel = state["patch_embedding.weight"].reshape(o.patch_width, -1)
    tokens = np.array(
        [
            kernel @ x[t * o.patch : (t + 1) * o.patch, f * o.patch : (f + 1) * o.patch].ravel()
            for t in range(steps)
            for f in range(bands)
        ]
    )
    h = linear(norm(tokens, state, "layer_norm", 1e-5), state, "post_extract_proj")
    n = len(h)
    v, g = state["encoder.pos_conv.0.weight_v"], state["encoder.pos_conv.0.weight_g"]
    weight = g * v / np.sqrt((v**2).sum(axis=(0, 1), keepdims=True))
    positions, size = np.zeros_like(h), o.width // o.groups
    for t in range(n):
        for c in range(o.width):
            first = c // size * size
            for k in range(o.taps):
                if 0 <= t + k - o.taps // 2 < n:
                    positions[t, c] += weight[c, :, k] @ h[t + k - o.taps // 2, first : first + size]
    h = norm(h + gelu(positions + state["encoder.pos_conv.0.bias"]), state, "encoder.layer_norm", 1e-5)
    alpha, d = (2 * o.layers) ** 0.25, o.width // o.heads
    half, exact = o.buckets // 2, o.buckets // 4

    def bucket(distance: int) -> int:
        size = abs(distance)
        if size >= exact:
            size = min(
                half - 1, exact + int(math.log(size / exact) / math.log(o.max_distance / exact) * (half - exact))
            )
        return size + (half if distance > 0 else 0)

    for layer in range(o.layers):
        at = f"encoder.layers.{layer}"
        q, k, val = (linear(h, state, f"{at}.self_attn.{name}_proj") for name in "qkv")
        out = np.zeros_like(h)
        for head in range(o.heads):
            part = slice(head * d, (head + 1) * d)
            for i in range(n):
                parts = linear(q[i, part], state, f"{at}.self_attn.grep_linear").reshape(2, 4).sum(1)
                a, b = 1 / (1 + np.exp(-parts))
                gate = a * (b * state[f"{at}.self_attn.grep_a"][0, head, 0, 0] - 1) + 2
                bias = np.array([state[TABLE][bucket(j - i), head] for j in range(n)])
                out[i, part] = softmax(k[:, part] @ q[i, part] / math.sqrt(d) + gate * bias) @ val[:, part]
        h = norm(alpha * h + linear(out, state, f"{at}.self_attn.out_proj"), state, f"{at}.self_attn_layer_norm", 1e-5)
        inner = linear(gelu(linear(h, state, f"{at}.fc1")), state, f"{at}.fc2")
        h = norm(alpha * h + inner, state, f"{at}.final_layer_norm", 1e-5)
    return h


def test_beats_token_by_token() -> None:
    network = small_beats()
    state = random_state(network)
    network.load_state_dict(state)
    x = torch.randn(2, 70, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        out = network(x)
    assert out.shape == (2, 4 * 2, 16)
    arrays = {key: value.double().numpy() for key, value in state.items()}
    for clip in range(2):
        np.testing.assert_allclose(out[clip], slow_beats(x[clip].double().numpy(), arrays, SMALL), atol=2e-5)


def slow_atst(x: NDArray[Any], state: dict[str, NDArray[Any]], o: AtstFrameOptions) -> NDArray[Any]:
    n = len(x) // 4
    patches = np.array([[x[4 * t + i, bin_] for bin_ in range(o.bins) for i in range(4)] for t in range(n)])
    h = linear(patches, state, "patch_embed.patch_embed") + state["pos_embed"][0, 1 : n + 1]
    h = blocks(h, state, o.layers, o.heads, 1e-6)
    return norm(h, state, "norm_frame", 1e-6)


def test_atst_frame_token_by_token() -> None:
    network = short_atst()
    state = random_state(network)
    network.load_state_dict(state)
    x = torch.randn(1, 30, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        out = network(x)
    arrays = {key: value.double().numpy() for key, value in state.items()}
    np.testing.assert_allclose(out[0], slow_atst(x[0].double().numpy(), arrays, SHORT), atol=2e-5)
    with pytest.raises(SedkitError, match="9 tokens of 4 frames, expected at most 8"):
        network(torch.zeros(1, 36, 8))


@pytest.mark.parametrize("name", ["cnn14_decision_level_max", "cnn14_decision_level_att"])
def test_decision_levels_of_panns(name: str) -> None:
    network = small_pann(name)
    network.load_state_dict(random_state(network, 3))
    x = torch.randn(1, 161, 64, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        output, frames = network(x), network.frames(x)[0].double().numpy()
    state = {key: value.double().numpy() for key, value in network.state_dict().items()}
    assert frames.shape == (64, 5) and network.time_pooling == 32
    rows = []
    for t in range(5):
        near = frames[:, max(0, t - 1) : t + 2]
        # The mean counts the padding at the ends, the maximum does not.
        rows.append(np.maximum(linear(near.max(1) + near.sum(1) / 3, state, "fc1"), 0))
    h = np.array(rows)
    if name.endswith("max"):
        framewise = 1 / (1 + np.exp(-linear(h, state, "fc_audioset")))
        clipwise = framewise.max(0)
    else:
        logits = h @ state["att_block.att.weight"][:, :, 0].T + state["att_block.att.bias"]
        framewise = 1 / (1 + np.exp(-(h @ state["att_block.cla.weight"][:, :, 0].T + state["att_block.cla.bias"])))
        weights = np.exp(np.clip(logits, -10, 10))
        clipwise = (framewise * weights / weights.sum(0)).sum(0)
    np.testing.assert_allclose(output.framewise[0], framewise, atol=1e-5)
    np.testing.assert_allclose(output.clipwise[0], clipwise, atol=1e-5)


@pytest.mark.parametrize("name", list({pann.model: None for pann in PANNS.values()}))
def test_padded_frames_of_panns_count_for_nothing(name: str) -> None:
    network = small_pann(name)
    x = torch.randn(1, 640, 64, generator=torch.Generator().manual_seed(2))
    other = x.clone()
    other[:, 480:] += torch.randn(1, 160, 64)  # further away than the receptive field reaches
    n_frames = torch.tensor([96])
    with torch.inference_mode():
        torch.testing.assert_close(network(x, n_frames).clipwise, network(other, n_frames).clipwise)
        assert not torch.allclose(network(x).framewise, network(other).framewise)


def test_the_tagger_of_beats() -> None:
    tagger = build_model({"name": "beats", **vars(SMALL)}, 3, 32).eval()
    assert isinstance(tagger, BeatsTagger)
    tagger.load_state_dict(state := random_state(tagger))
    network = small_beats()
    network.load_state_dict({key: value for key, value in state.items() if "predictor" not in key})
    x = torch.randn(1, 70, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        logits = network(x) @ state["predictor.weight"].T + state["predictor.bias"]
        output = tagger(x)
    # Four steps of two patches each.
    torch.testing.assert_close(output.clipwise, torch.sigmoid(logits.mean(1)))
    for step in range(4):
        expected = torch.sigmoid(logits[:, 2 * step : 2 * step + 2].mean(1))
        torch.testing.assert_close(output.framewise[:, step], expected)


def test_a_short_recording_of_beats_is_not_seen_with_its_padding() -> None:
    tagger = build_model({"name": "beats", **vars(SMALL)}, 3, 32).eval()
    tagger.load_state_dict(random_state(tagger))
    x = torch.randn(2, 96, 32, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        alone, padded = tagger(x[:1, :50]), tagger(x, torch.tensor([50, 96]))
        whole = tagger(x[1:])
    torch.testing.assert_close(padded.clipwise, torch.cat([alone.clipwise, whole.clipwise]))
    # 50 frames are three whole steps; what follows has the probabilities of the last one.
    torch.testing.assert_close(padded.framewise[0], alone.framewise[0, [0, 1, 2, 2, 2, 2]])
    torch.testing.assert_close(padded.framewise[1], whole.framewise[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BeatsOptions(heads=5), "width is 768, expected a multiple of heads = 5"),
        (lambda: BeatsOptions(max_distance=80), "max_distance 80"),
        (lambda: AtstFrameOptions(layers=0), "layers is 0"),
        (lambda: build_model({"name": "cnn10", "base_channels": 0}, 2, 64), "base_channels is 0"),
        (lambda: build_model({"name": "cnn14"}, 2, 16), "gives 16 bins, the network pools by 32"),
    ],
)
def test_sizes_that_are_refused(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()
