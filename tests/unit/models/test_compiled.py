"""What holds of all compiled layers: no compiler of torch is loaded for them, and what their gradients can be asked."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from sedkit.models.batch_norm import batch_norm
from sedkit.models.frequency_dynamic import surroundings
from sedkit.models.gates import Dropout, gated
from sedkit.models.gru import Gru
from sedkit.models.winograd import Conv2d

CNN = {"name": "cnn9_avg", "base_channels": 32}
CRNN = {"name": "crnn", "channels": [32, 64], "pooling": [[2, 4], [2, 4]], "units": 8, "block": "glu", "kernels": 4}

torch.manual_seed(0)
GRU = Gru(64, 4, 1)
LAYERS: dict[str, Callable[[Tensor], Tensor]] = {
    "gates": lambda x: gated(x, 2 * x),
    "halves": lambda x: gated(x, None),
    "dropout": Dropout(0.5).train(),
    "batch norm": lambda x: batch_norm(nn.BatchNorm2d(32).train(), x),
    "surroundings": surroundings,
    "tiles": Conv2d(32, 64, 3, padding=1).to(memory_format=torch.channels_last),
    "gru": lambda x: GRU(x.flatten(2)),
}


def maps() -> Tensor:
    x = torch.randn(2, 32, 8, 8, generator=torch.Generator().manual_seed(0))
    return x.to(memory_format=torch.channels_last).requires_grad_()


def test_prediction_does_not_load_the_compiler_of_torch() -> None:
    script = f"""
import sys, torch
from sedkit.models.folding import for_prediction
from sedkit.models.registry import build_model
for model in ({CNN}, {CRNN}):
    network = for_prediction(build_model(model, 3, 64), torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        network(*network.silence(32, 64))
    print(any(getattr(layer, "_kept", None) is not None for layer in network.modules()), "torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    # By tiles where the convolutions are plain, and without it.
    assert done.stdout.splitlines() == ["True False", "False False"]


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_a_gradient_can_be_asked_for_again_but_not_for_its_own(layer: Callable[[Tensor], Tensor]) -> None:
    x = maps()
    loss = layer(x).square().sum()
    (first,), (again,) = (torch.autograd.grad(loss, x, retain_graph=True) for _ in range(2))
    assert torch.equal(first, again)
    with pytest.raises(RuntimeError, match="no gradient of their gradient"):
        torch.autograd.grad(loss, x, create_graph=True)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "dropout"])
def test_threads_and_modes_change_nothing(name: str) -> None:
    layer = LAYERS[name]

    def gradient(_: int) -> Tensor:
        x = maps()
        return torch.autograd.grad(layer(x).square().sum(), x)[0]

    expected, wanted = layer(maps()), gradient(0)
    assert expected.requires_grad
    with ThreadPoolExecutor(4) as threads:
        assert all(torch.equal(g, wanted) for g in threads.map(gradient, range(8)))
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            y = layer(maps())
        assert not y.requires_grad
        torch.testing.assert_close(y, expected.detach(), rtol=1e-5, atol=1e-5)
