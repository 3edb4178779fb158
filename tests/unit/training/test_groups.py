"""Groups of parameters, layer-wise decay and freezing, against rates worked out by hand."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from test_loop import Views, make
from torch import Tensor, nn

from sedkit.core.errors import UsageError
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.registry import build_model
from sedkit.objectives.registry import build_objective
from sedkit.training.groups import freeze, parameter_groups
from sedkit.training.optimisers import build_optimiser, resolve_optimiser

SMALL_DEIT = {"width": 8, "hidden": 8, "layers": 3, "heads": 2}
SMALL_BEATS = {"patch_width": 8, "width": 8, "hidden": 8, "layers": 3, "heads": 2, "taps": 4, "groups": 2}


class Normed(SedModel):
    """Two convolutions with batch norms."""

    layer_order = (("conv1.", "norm1."), ("conv2.", "norm2."), ("fc.",))

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.conv2, self.norm2 = nn.Conv2d(2, 2, 3, padding=1), nn.BatchNorm2d(2)
        self.fc = nn.Linear(10, 3)

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        x = self.norm2(self.conv2(self.norm1(self.conv1(x[:, None]))))
        framewise = torch.sigmoid(self.fc(x.transpose(1, 2).flatten(2)))
        return SedOutput(framewise.mean(dim=1), framewise)


def rates(section: dict[str, Any], network: SedModel) -> dict[str, tuple[float, float]]:
    """Rate and weight decay that torch's optimiser has for each parameter."""
    section = resolve_optimiser(section)
    optimiser = build_optimiser(section, parameter_groups(section, network))
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }


def test_groups_say_what_they_say_over_those_before_them() -> None:
    groups = {
        "conv?.*": {"factor": 0.5},
        "conv2.*": {"learning_rate": 0.02},
        "*.bias": {"weight_decay": 0.0},
        "fc.bias": {"factor": 2.0, "weight_decay": 0.25},
    }
    assert rates({"name": "adamw", "learning_rate": 0.25, "weight_decay": 0.5, "groups": groups}, Normed()) == {
        "conv1.weight": (0.125, 0.5),
        "conv1.bias": (0.125, 0.0),
        "conv2.weight": (0.02, 0.5),
        "conv2.bias": (0.02, 0.0),
        **dict.fromkeys(("norm1.weight", "norm2.weight", "fc.weight"), (0.25, 0.5)),
        **dict.fromkeys(("norm1.bias", "norm2.bias"), (0.25, 0.0)),
        "fc.bias": (0.5, 0.25),
    }


def test_without_groups_there_is_one() -> None:
    network = Normed()
    (group,) = parameter_groups(resolve_optimiser({"name": "sgd"}), network)
    assert group == {"params": list(network.parameters()), "lr": 0.01}


def test_layers_decay_beside_groups() -> None:
    section = {"name": "adam", "learning_rate": 1.0, "layer_decay": 0.5, "groups": {"*.bias": {"factor": 4.0}}}
    assert {name: rate for name, (rate, _) in rates(section, Normed()).items()} == {
        **dict.fromkeys(("conv1.weight", "norm1.weight"), 0.25),
        **dict.fromkeys(("conv1.bias", "norm1.bias"), 1.0),
        **dict.fromkeys(("conv2.weight", "norm2.weight"), 0.5),
        **dict.fromkeys(("conv2.bias", "norm2.bias"), 2.0),
        "fc.weight": 1.0,
        "fc.bias": 4.0,
    }


def test_layers_of_beats_decay_from_the_classifier_down() -> None:
    """As PretrainedSED groups a transformer: what comes before the layers has the rate of the first."""
    network = build_model({"name": "beats", **SMALL_BEATS}, 4, 16)
    known = rates({"name": "adamw", "learning_rate": 1.0, "layer_decay": 0.5}, network)
    for name, (rate, _) in known.items():
        layer = next((i for i in range(3) if name.startswith(f"encoder.layers.{i}.")), 0)
        assert rate == (1.0 if name.startswith("predictor.") else 0.5 ** (3 - layer)), name


def test_layers_of_atst_frame_decay_as_published() -> None:
    """PretrainedSED: d^i from the last block (1) down; what comes before the first one and the last norm go along."""
    sizes = {"layers": 3, "width": 8, "hidden": 8, "heads": 2}
    section = {"name": "pretrained_sed", "body": {"name": "atst_frame", **sizes}, "units": 2}
    network = build_model(section, 4, 64)
    known = rates({"name": "adamw", "learning_rate": 1.0, "layer_decay": 0.5}, network)
    depths = {"body.norm_frame.": 1, "body.blocks.2.": 1, "body.blocks.1.": 2, "body.blocks.0.": 3}
    depths |= {"body.pos_embed": 3, "body.mask_embed": 3, "body.patch_embed.": 3}
    depths |= {"gru.": 0, "strong_head.": 0, "weak_head.": 0}
    for name, (rate, _) in known.items():
        (depth,) = (value for prefix, value in depths.items() if name.startswith(prefix))
        assert rate == 0.5**depth, name


@pytest.mark.parametrize(
    ("section", "depths"),
    [
        ({"name": "cnn10", "base_channels": 1}, {"bn0": 5, "conv_block1": 5, "conv_block4": 2, "fc1": 1}),
        ({"name": "cnn14", "base_channels": 1}, {"conv_block6": 2, "fc1": 1, "fc_audioset": 0}),
        ({"name": "cnn14_decision_level_max", "base_channels": 1}, {"fc_audioset": 0}),
        ({"name": "cnn14_decision_level_att", "base_channels": 1}, {"bn0": 7, "att_block": 0}),
        ({"name": "resnet18", "base_channels": 1, "input_frames": 32}, {"conv1": 5, "bn1": 5, "layer4": 1, "fc": 0}),
        ({"name": "passt", **SMALL_DEIT}, {"patch_embed": 3, "blocks.0": 3, "blocks.2": 1, "norm": 0, "head_dist": 0}),
        ({"name": "ast", **SMALL_DEIT}, {"patch_embed": 3, "blocks.0": 3, "blocks.2": 1, "norm": 0, "head": 0}),
    ],
)
def test_networks_know_the_layer_of_every_parameter(section: dict[str, Any], depths: dict[str, int]) -> None:
    network = build_model(section, 3, 64)
    known = rates({"name": "adam", "learning_rate": 1.0, "layer_decay": 0.5}, network)
    assert known.keys() == dict(network.named_parameters()).keys()
    for name, depth in depths.items():
        assert {rate for key, (rate, _) in known.items() if key.startswith(f"{name}.")} == {0.5**depth}
    # No parameter is of two layers.
    prefixes = [prefix for layer in network.layer_order for prefix in layer]
    assert all(sum(name.startswith(prefix) for prefix in prefixes) == 1 for name in known)


def frozen_loop(objective: dict[str, Any] | None = None) -> tuple[Any, Normed]:
    torch.manual_seed(5)
    network = Normed()
    freeze(network, ["conv1.*", "norm1.*", "norm2.bias"])
    section = resolve_optimiser({"name": "adam", "learning_rate": 0.1})
    optimiser = build_optimiser(section, parameter_groups(section, network))
    loop, _ = make(network, build_objective(objective) if objective else None, optimiser=optimiser)
    return loop, network


def test_what_is_frozen_has_no_gradient_and_no_state_and_its_norms_keep_their_statistics() -> None:
    loop, network = frozen_loop()
    before = copy.deepcopy(network.state_dict())
    network.norm1.running_mean.fill_(0.5)
    network.train()
    for step in range(3):
        loop.step(Views(step))
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    # norm2 is trained in part: its statistics move. It takes away what a bias before it adds.
    assert changed - {"conv2.bias"} == {
        "norm1.running_mean",
        "conv2.weight",
        "norm2.weight",
        "norm2.running_mean",
        "norm2.running_var",
        "norm2.num_batches_tracked",
        "fc.weight",
        "fc.bias",
    }
    assert torch.equal(network.norm1.running_mean, torch.full((2,), 0.5))
    frozen = {name for name, value in network.named_parameters() if value.grad is None}
    assert frozen == {"conv1.weight", "conv1.bias", "norm1.weight", "norm1.bias", "norm2.bias"}
    assert len(loop.optimiser.state) == len(list(network.parameters())) - len(frozen)
    assert {name for name, module in network.named_modules() if not module.training} == {"norm1"}
    network.eval()
    assert not any(module.training for module in network.modules())


def test_a_teachers_norms_are_frozen_with_its_students() -> None:
    loop, network = frozen_loop({"name": "mean_teacher", "clip_weight": 1.0})
    teacher = loop.objective.teacher
    network.train()
    for step in range(3):
        loop.step(Views(step))
    assert {name for name, module in teacher.named_modules() if not module.training} == {"norm1"}
    assert int(teacher.norm1.num_batches_tracked) == 0 and int(teacher.norm2.num_batches_tracked) == 3


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"groups": {"conv9.*": {"factor": 0.1}}}, r"optimiser.groups: 'conv9.\*' matches no parameter of the network"),
        ({"groups": {"*": {"factor": 0.0}}}, r"optimiser: groups.\*: factor is 0.0, expected above 0"),
        ({"groups": {"*": {"factor": 1.0, "learning_rate": 1.0}}}, "got factor and learning_rate, expected one"),
        ({"groups": {"*": {"rate": 1.0}}}, "unknown key 'rate'"),
        ({"groups": {"*": {"weight_decay": -1.0}}}, "weight_decay is -1.0, expected at least 0"),
        ({"layer_decay": 1.5}, "layer_decay is 1.5, expected above 0, up to 1"),
    ],
)
def test_refusals(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rates({"name": "adam", **section}, Normed())


def test_a_network_without_an_order_of_layers_has_no_layer_decay() -> None:
    network = build_model({"name": "cnn9_avg", "base_channels": 2}, 3, 16)
    with pytest.raises(UsageError, match="layer_decay: the network does not say which layer blocks.0.conv1.weight is"):
        rates({"name": "adam", "layer_decay": 0.9}, network)


def test_patterns_that_freeze_nothing_or_everything_are_refused() -> None:
    with pytest.raises(UsageError, match=r"training.freeze: 'block\*' matches no parameter .* such as conv1.weight, "):
        freeze(Normed(), ["conv1.*", "block*"])
    with pytest.raises(UsageError, match="matches every parameter of the network, which leaves nothing to train"):
        freeze(Normed(), ["*"])
