"""Heads on pretrained bodies: numbers of parameters, slow oracles of each way, files of the authors' layout."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sedkit.core.errors import SedkitError, UsageError
from sedkit.models.pretrained_sed import PretrainedSed
from sedkit.models.registry import build_model, resolve_model
from sedkit.models.weights import load_pretrained, load_weights
from sedkit.training.groups import parameter_groups
from sedkit.training.optimisers import resolve_optimiser
from tests.unit.models.known_answers import answers, parameters
from tests.unit.models.small_networks import AST, FPASST, PASST, SHORT, SMALL, random_state, short_atst, small_beats

ATST: dict[str, Any] = {"name": "atst_frame", **vars(SHORT)}
BEATS: dict[str, Any] = {"name": "beats", **vars(SMALL)}
BODIES = {
    "atst_frame": ATST,
    "beats": BEATS,
    "passt": {"name": "passt", **vars(PASST)},
    "fpasst": {"name": "fpasst", **vars(FPASST)},
    "ast": {"name": "ast", **vars(AST)},
}
BINS = {"atst_frame": 8, "beats": 32, "passt": 18, "fpasst": 8, "ast": 18}


def small(body: dict[str, Any], n_classes: int = 3, **options: Any) -> PretrainedSed:
    network = build_model({"name": "pretrained_sed", "body": body, **options}, n_classes, BINS[body["name"]])
    assert isinstance(network, PretrainedSed)
    network.load_state_dict(random_state(network))
    return network.eval()


def clips(n: int, frames: int, bins: int) -> Tensor:
    return torch.randn(n, frames, bins, generator=torch.Generator().manual_seed(1))


def sigmoid(x: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("entry", "body", "units"),
    [("BEATs_linear", "beats", 0), ("BEATs_rnn2048", "beats", 2048), ("ATST_linear", "atst_frame", 0)],
)
def test_published_numbers_of_parameters(shared: Path, entry: str, body: str, units: int) -> None:
    with torch.device("meta"):
        section = {"name": "pretrained_sed", "body": {"name": body}, "units": units}
        network = build_model(section, 447, 128 if body == "beats" else 64)
    known = answers(shared)["PretrainedSED_counts"]
    assert parameters(network) == known[f"PretrainedSED_{entry}"]["params_total"]


def test_the_heads_of_atst_frame() -> None:
    network = build_model(ATST, 3, 8).eval()
    network.load_state_dict(state := random_state(network))
    body = short_atst()
    body.load_state_dict({key.removeprefix("body."): state[key] for key in state if key.startswith("body.")})
    x = clips(2, 30, 8)
    with torch.inference_mode():
        output, tokens = network(x, torch.tensor([30, 30])), body(x).double().numpy()
    strong, weak = ((state[f"{h}_head.weight"].double().numpy(), state[f"{h}_head.bias"]) for h in ("strong", "weak"))
    np.testing.assert_allclose(output.framewise, sigmoid(tokens @ strong[0].T + strong[1].numpy()), atol=1e-5)
    means = tokens.mean(1)
    np.testing.assert_allclose(output.clipwise, sigmoid(means @ weak[0].T + weak[1].numpy()), atol=1e-5)
    assert network.time_pooling == 4 and network.most_frames == 35


@pytest.mark.parametrize("body", ["atst_frame", "passt", "ast"])
def test_a_short_clip_is_heard_as_if_it_stood_alone(body: str) -> None:
    """AST, which always takes as many frames, sees what its extractor pads with."""
    bins, short = BINS[body], 12 if body == "atst_frame" else 23
    network = small(BODIES[body], step_frames=4 if body == "atst_frame" else 5)
    x = clips(1, short, bins)
    padded = torch.cat([x, clips(1, 33 - short, bins) + 3], dim=1)
    with torch.inference_mode():
        alone, beside = network(x), network(padded, torch.tensor([short]))
        aloud = network(padded)
    n = alone.framewise.shape[1] - 1
    torch.testing.assert_close(beside.framewise[:, :n], alone.framewise[:, :n])
    assert not torch.allclose(aloud.framewise[:, :n], alone.framewise[:, :n])
    if body == "atst_frame":
        torch.testing.assert_close(beside.clipwise, alone.clipwise)
        torch.testing.assert_close(beside.framewise[0, 3:], alone.framewise[0, [2]].expand(5, -1))


@pytest.mark.parametrize(("body", "steps"), [("passt", 8), ("fpasst", 6), ("ast", 8)])
def test_other_bodies(body: str, steps: int) -> None:
    """24 frames of a body that gives a row each 4, and 33 of those whose columns of 8 frames begin each 5."""
    network = small(BODIES[body], units=2, step_frames=4)
    x = clips(2, 24 if body == "fpasst" else 33, BINS[body])
    with torch.inference_mode():
        output, rows = network(x), network.body.columns(x)
    assert output.framewise.shape == (2, steps, 3) and rows.shape == (2, 6, 12)
    known = rates({"name": "sgd", "learning_rate": 1.0, "layer_decay": 0.5}, network)
    assert known.keys() == dict(network.named_parameters()).keys()
    assert known["body.norm.weight"] == known["body.blocks.1.mlp.fc1.weight"] == 0.5
    assert known["body.cls_token"] == known["body.blocks.0.mlp.fc1.weight"] == 0.25
    assert known["gru.weight_ih_l0"] == known["weak_head.bias"] == 1.0


def rates(section: dict[str, Any], network: PretrainedSed) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = parameter_groups(resolve_optimiser(section), network)
    return {names[id(parameter)]: group["lr"] for group in groups for parameter in group["params"]}


def resampled(rows: NDArray[Any], n: int) -> NDArray[Any]:
    """Means of neighbours where there are more rows than asked for, else what lies between the centres of two."""
    size = len(rows)
    if size > n:
        ends = [(k * size // n, -((k + 1) * size // -n)) for k in range(n)]
        return np.array([rows[first:last].mean(0) for first, last in ends])
    centres = (np.arange(n) + 0.5) * size / n - 0.5
    return np.array([[np.interp(c, np.arange(size), column) for column in rows.T] for c in centres])


# 70 frames are 4 steps of 2 patches each, 8 rows: of 4, 9 and 16 frames there are 18, 8 and 4 steps.
@pytest.mark.parametrize(("step_frames", "n"), [(4, 18), (9, 8), (16, 4), (12, 6)])
def test_rows_become_steps(step_frames: int, n: int) -> None:
    network = small(BEATS, step_frames=step_frames)
    body = small_beats()
    body.load_state_dict(network.body.state_dict())
    x = clips(1, 70, 32)
    with torch.inference_mode():
        steps, rows, output = network.steps(x)[0], body(x)[0].double().numpy(), network(x)
    np.testing.assert_allclose(steps, resampled(rows, n), atol=1e-5)
    assert output.framewise.shape == (1, n, 3)


@pytest.mark.parametrize(("frames", "steps"), [(998, 250), (1000, 250), (1001, 250), (498, 125)])
def test_ten_seconds_are_250_steps_whatever_the_front_end_makes_of_their_end(frames: int, steps: int) -> None:
    assert small(BEATS).steps(clips(1, frames, 32)).shape[1] == steps
    sizes = ATST | {"positions": 251}
    assert small(sizes).steps(clips(1, frames, 8)).shape[1] == frames // 4 <= steps


def test_a_gru_stands_between_body_and_heads() -> None:
    network = small(BEATS, units=5, gru_layers=2)
    gru = nn.GRU(16, 5, 2, batch_first=True, bidirectional=True)
    assert network.gru is not None
    gru.load_state_dict(network.gru.state_dict())
    x = clips(2, 70, 32)
    with torch.inference_mode():
        output, v = network(x), gru(network.steps(x))[0]
        torch.testing.assert_close(output.framewise, torch.sigmoid(network.strong_head(v)), atol=1e-5, rtol=0)
        torch.testing.assert_close(output.clipwise, torch.sigmoid(network.weak_head(v.mean(1))), atol=1e-5, rtol=0)


def test_attention_over_classes() -> None:
    network = small(ATST, clipwise="class_attention")
    x, known = clips(2, 30, 8), torch.tensor([[True, True, True], [True, False, True]])
    with torch.inference_mode():
        n_frames = torch.tensor([30, 9])
        output, steps = network(x, n_frames, None, known), network.steps(x, n_frames)
        p, a = torch.sigmoid(network.strong_head(steps)), network.weak_head(steps).double()
    # Of 9 frames the last one fills no step.
    for clip, frames in enumerate((7, 2)):
        classes = [c for c in range(3) if known[clip, c]]
        total, weights = np.zeros(3), np.zeros(3)
        for t in range(frames):
            exps = {c: math.exp(a[clip, t, c]) for c in classes}
            for c in classes:
                share = exps[c] / sum(exps.values())
                total[c], weights[c] = total[c] + share * p[clip, t, c], weights[c] + share
        for c in range(3):
            expected = total[c] / weights[c] if c in classes else 0.0
            assert float(output.clipwise[clip, c]) == pytest.approx(expected, abs=1e-5)
    assert output.framewise[1, :, 1].abs().max() == 0 and network.takes_class_mask


def test_beats_below_the_heads_does_not_see_padding() -> None:
    network = small(BEATS, step_frames=16)
    x = clips(2, 96, 32)
    other = x.clone()
    other[0, 48:] += 1
    n_frames = torch.tensor([48, 96])
    with torch.inference_mode():
        one, two = network(x, n_frames), network(other, n_frames)
    torch.testing.assert_close(one.clipwise, two.clipwise)
    torch.testing.assert_close(one.framewise[0, :3], two.framewise[0, :3])


# ---- files


def published(network: PretrainedSed, prefix: str, n_classes: int) -> dict[str, Tensor]:
    """The state of a network as PretrainedSED writes it, with heads of so many classes; tables of a mel spectrogram."""
    names = {"body.": prefix, "gru.": "seq_model.rnn."}
    out = {"model.mel.mel_scale.fb": torch.ones(3, 2)}
    for key, value in network.state_dict().items():
        ours = next((name for name in names if key.startswith(name)), "")
        out[names.get(ours, "") + key.removeprefix(ours)] = value[:n_classes] if "head" in key else value
    return out


@pytest.mark.parametrize(
    ("body", "prefix"),
    [
        (BEATS, "model.beats."),
        (BEATS, "model.model."),
        (ATST, "model.atst."),
        (ATST, ""),
        (BODIES["fpasst"], "model."),
        (BODIES["fpasst"], "model.fpasst."),
    ],
)
@pytest.mark.parametrize("units", [0, 4])
def test_files_of_the_authors_layout(tmp_path: Path, body: dict[str, Any], prefix: str, units: int) -> None:
    network = small(body, units=units)
    state = published(network, prefix, 3)
    if prefix in ("", "model."):
        del state["model.mel.mel_scale.fb"]
    torch.save(state, tmp_path / "strong.pt")
    section = {"name": "pretrained_sed", "body": body, "units": units}
    again = build_model(section, 3, BINS[body["name"]])
    load_pretrained(again, tmp_path / "strong.pt")
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in network.state_dict().items())
    # What is saved here is read as well, to the same outputs.
    torch.save(again.state_dict(), tmp_path / "again.pt")
    third = build_model(section, 3, BINS[body["name"]]).eval()
    load_pretrained(third, tmp_path / "again.pt")
    x = clips(1, 24, BINS[body["name"]])
    with torch.inference_mode():
        one, two = network(x), third(x)
    assert torch.equal(one.clipwise, two.clipwise) and torch.equal(one.framewise, two.framewise)


def test_a_head_of_other_classes_is_left_out_by_itself(tmp_path: Path) -> None:
    state = published(network := small(ATST, 3), "model.atst.", 3)
    state["weak_head.weight"], state["weak_head.bias"] = torch.ones(7, 12), torch.ones(7)
    torch.save(state, tmp_path / "weak.pt")
    other = build_model({"name": "pretrained_sed", "body": ATST, "units": 2}, 3, 8)
    load_weights(other, tmp_path / "weak.pt")
    assert torch.equal(other.body.pos_embed, network.body.pos_embed) and other.weak_head.weight.shape == (3, 4)
    linear = build_model({"name": "pretrained_sed", "body": ATST}, 3, 8)
    load_weights(linear, tmp_path / "weak.pt")
    assert torch.equal(linear.strong_head.weight, network.strong_head.weight)
    assert linear.weak_head.weight.shape == (3, 12) and not torch.equal(linear.weak_head.weight, torch.ones(3, 12))


def test_a_body_alone_begins_a_training(tmp_path: Path) -> None:
    state = random_state(short_atst())
    torch.save({"state_dict": {f"encoder.encoder.{key}": value for key, value in state.items()}}, tmp_path / "a.ckpt")
    network = build_model(ATST, 3, 8)
    load_weights(network, tmp_path / "a.ckpt")
    assert all(torch.equal(value, state[key]) for key, value in network.body.state_dict().items())
    with pytest.raises(SedkitError, match="a.ckpt: 4 tensors of the network are absent .strong_head.weight"):
        load_pretrained(network, tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"body": {**BEATS, "layers": 3}}, "absent|cfg.encoder_layers is 2, expected 3"),
        ({"body": {**BEATS, "hidden": 25}}, r"body.encoder.layers.0.fc1.weight is \(24, 16\), expected \(25, 16\)"),
        ({"units": 0}, "8 tensors that the network does not have .gru.weight_ih_l0"),
    ],
)
@pytest.mark.parametrize("load", [load_weights, load_pretrained])
def test_files_of_other_networks(tmp_path: Path, load: Any, change: dict[str, Any], message: str) -> None:
    state = published(small(BEATS, units=4, gru_layers=1), "model.model.", 3)
    torch.save({"cfg": {"encoder_layers": 2}, "model": state}, tmp_path / "beats.pt")
    section = {"name": "pretrained_sed", "body": BEATS, "units": 4, "gru_layers": 1} | change
    with pytest.raises(SedkitError, match=message) as error:
        load(build_model(section, 3, 32), tmp_path / "beats.pt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("section", "bins", "message"),
    [
        ({"body": {"name": "atst_fram"}}, 64, 'model.body.name is .*did you mean "atst_frame"'),
        ({"body": {"name": "beats", "width": 10}}, 128, "model.body: width is 10, expected a multiple of heads"),
        ({"body": {"name": "beats"}}, 100, "gives 100 bins, expected a multiple of the patches' 16"),
        ({"body": {"name": "atst_frame"}}, 128, "gives 128 bins, expected 64, which ATST-Frame knows"),
        ({"body": {"name": "beats"}, "units": -1}, 128, "model.units is -1, expected at least 0"),
        ({"body": {}}, 128, "model.body.name is None, expected one of"),
    ],
)
def test_sections_that_are_refused(section: dict[str, Any], bins: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model({"name": "pretrained_sed", **section}, 3, bins)


def test_a_section_is_resolved_whole() -> None:
    body = resolve_model({"name": "pretrained_sed", "body": {"name": "atst_frame", "layers": 2}})["body"]
    assert body["layers"] == 2 and body["positions"] == 251
