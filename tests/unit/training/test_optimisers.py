"""Optimisers by name: the same steps as torch's own, given by hand."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

from sedkit.core.errors import UsageError
from sedkit.training.optimisers import build_optimiser, resolve_optimiser

Parameters = list[torch.nn.Parameter]


def parameters() -> Parameters:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(4, 3)), torch.nn.Parameter(torch.randn(3))]


def after_steps(optimiser: torch.optim.Optimizer, values: Parameters, steps: int = 7) -> list[torch.Tensor]:
    for step in range(steps):
        optimiser.zero_grad()
        sum(((value - step).square() * (step % 3)).sum() for value in values).backward()
        optimiser.step()
    return [value.detach() for value in values]


def test_optimisers_do_not_load_the_compiler_of_torch() -> None:
    script = """
import sys, torch
from sedkit.training.optimisers import build_optimiser
for name in ("adam", "adamw", "sgd", "rmsprop"):
    value = torch.nn.Parameter(torch.ones(3))
    optimiser = build_optimiser({"name": name}, [value])
    for _ in range(2):
        optimiser.zero_grad()
        value.square().sum().backward()
        optimiser.step()
        optimiser.load_state_dict(optimiser.state_dict())
    print(bool((value < 1).all()), "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["True False"] * 4


@pytest.mark.parametrize(
    ("section", "peer"),
    [
        # The published settings of arXiv 1904.03476.
        ({"name": "adam"}, lambda p: torch.optim.Adam(p, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, amsgrad=True)),
        (
            {
                "name": "adam",
                "learning_rate": 0.1,
                "beta1": 0.5,
                "epsilon": 1e-3,
                "weight_decay": 0.2,
                "amsgrad": False,
            },
            lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.5, 0.999), eps=1e-3, weight_decay=0.2),
        ),
        ({"name": "adamw", "weight_decay": 0.3}, lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.3)),
        (
            {"name": "sgd", "learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
            lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1),
        ),
    ],
)
def test_an_optimiser_steps_as_torchs_own(section: dict[str, Any], peer: Any) -> None:
    mine, theirs = parameters(), parameters()
    done = after_steps(build_optimiser(section, mine), mine)
    expected = after_steps(peer(theirs), theirs)
    for value, wanted in zip(done, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-6)


def test_rmsprop_steps_as_keras_says() -> None:
    """a <- 0.9 a + 0.1 g^2; w <- w - 0.001 g / (sqrt(a) + 1e-7)."""
    value = torch.nn.Parameter(torch.tensor([2.0, -0.5]))
    optimiser = build_optimiser({"name": "rmsprop"}, [value])
    w, a = np.array([2.0, -0.5]), np.zeros(2)
    for _ in range(5):
        optimiser.zero_grad()
        (value**3).sum().backward()
        optimiser.step()
        g = 3 * w**2
        a = 0.9 * a + 0.1 * g**2
        w = w - 0.001 * g / (np.sqrt(a) + 1e-7)
    np.testing.assert_allclose(value.detach().numpy(), w, rtol=1e-6)


def test_groups_have_their_own_rates() -> None:
    first, second = parameters()
    optimiser = build_optimiser(
        {"name": "adam", "learning_rate": 0.5}, [{"params": [first], "lr": 0.125}, {"params": [second]}]
    )
    assert [group["lr"] for group in optimiser.param_groups] == [0.125, 0.5]


def test_defaults_are_filled_in() -> None:
    assert resolve_optimiser({"name": "adam"}) == {
        "name": "adam",
        "learning_rate": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "amsgrad": True,
        "groups": {},
        "layer_decay": 1.0,
    }


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"name": "adm"}, "optimiser.name is 'adm' .did you mean \"adam\""),
        ({"name": "sgd", "beta1": 0.9}, "optimiser: unknown key 'beta1'"),
        ({"name": "adam", "learning_rate": 0.0}, "learning_rate is 0.0, expected above 0"),
        ({"name": "adamw", "weight_decay": -1.0}, "weight_decay is -1.0, expected at least 0"),
        ({"name": "adam", "beta2": 1.0}, "beta2 is 1.0, expected from 0 to below 1"),
        ({"name": "sgd", "nesterov": True}, "nesterov is true, but momentum is 0"),
    ],
)
def test_refusals(section: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_optimiser(section, parameters())
