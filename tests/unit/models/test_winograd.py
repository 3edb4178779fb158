"""Convolutions by tiles against torch's, computed in float64."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from sedkit.models import compiled
from sedkit.models import winograd as module
from sedkit.models.folding import for_prediction
from sedkit.models.layers import ConvBlock
from sedkit.models.output import SedModel, SedOutput
from sedkit.models.winograd import Conv2d


def layer(n_in: int, n_out: int, bias: bool = True) -> Conv2d:
    torch.manual_seed(0)
    return Conv2d(n_in, n_out, 3, padding=1, bias=bias).to(memory_format=torch.channels_last)


def maps(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(shape).to(memory_format=torch.channels_last)


@pytest.mark.parametrize("threads", [1, 2])
# Whole tiles, tiles cut on both sides, channels beside those that are computed together, several blocks.
@pytest.mark.parametrize(
    ("n_in", "n_out", "shape"),
    [(64, 64, (2, 12, 16)), (33, 70, (3, 13, 17)), (130, 32, (1, 9, 7)), (32, 32, (3, 90, 70))],
)
def test_outcomes_and_gradients_are_torchs(
    n_in: int, n_out: int, shape: tuple[int, ...], threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_WORTH_A_THREAD", 1)
    torch.set_num_threads(threads)
    ours = layer(n_in, n_out)
    exact = nn.Conv2d(n_in, n_out, 3, padding=1).double()
    exact.load_state_dict(ours.state_dict())
    x = maps(shape[0], n_in, *shape[1:])
    assert ours.by_tiles(x)
    outcomes = []
    for conv, values in ((ours, x.clone()), (exact, x.double())):
        values.requires_grad_()
        y = conv(values)
        weight = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y) ** 3
        outcomes.append([y.detach(), *torch.autograd.grad((y * weight).sum(), [values, conv.weight, conv.bias])])
    assert outcomes[0][0].is_contiguous(memory_format=torch.channels_last)
    for got, wanted in zip(*outcomes, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))


def test_a_kernel_of_one_tap_shifts_the_maps() -> None:
    conv, x = layer(32, 64, bias=False), maps(1, 32, 8, 8)
    with torch.no_grad():
        conv.weight.zero_()
        conv.weight[5, 3, 0, 2] = 1.0
        y = conv(x)
    # Row h of the outcome is row h - 1, column w column w + 1; beyond the edges there are zeros.
    torch.testing.assert_close(y[0, 5, 1:, :-1], x[0, 3, :-1, 1:])
    assert float(y[0, 5, 0].abs().max()) < 2e-5 and float(y[0, 5, :, -1].abs().max()) < 2e-5
    assert float(y[0, 6].abs().max()) == 0


@pytest.mark.parametrize(
    "case",
    [
        "rows first",
        "float64",
        "autocast",
        "tracing",
        "compiling",
        "5x5",
        "stride",
        "no zeros around",
        "groups",
        "few channels",
        "small",
    ],
)
def test_elsewhere_it_is_torchs_own(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("tiles were taken")

    monkeypatch.setattr(module, "convolved", refuse)
    kinds = {
        "5x5": Conv2d(64, 64, 5, padding=2),
        "stride": Conv2d(64, 64, 3, padding=1, stride=2),
        "no zeros around": Conv2d(64, 64, 3),
        "groups": Conv2d(64, 64, 3, padding=1, groups=2),
        "few channels": Conv2d(64, 16, 3, padding=1),
    }
    conv = kinds.get(case, layer(64, 64)).to(memory_format=torch.channels_last)
    x = maps(2, 64, 4 if case == "small" else 16, 16 if case != "small" else 4)
    x = x.contiguous() if case == "rows first" else x
    if case == "float64":
        conv, x = conv.double(), x.double()
    torchs = nn.Conv2d.forward
    monkeypatch.setattr(torch.jit, "is_tracing", lambda: case == "tracing")
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: case == "compiling")
    with torch.autocast("cpu", torch.bfloat16, enabled=case == "autocast"):
        torch.testing.assert_close(conv(x), torchs(conv, x), rtol=0, atol=0)
        torch.testing.assert_close(conv(x, relu=True), torchs(conv, x).relu(), rtol=0, atol=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("relu", [False, True])
def test_what_is_not_finite_shows(value: float, relu: bool) -> None:
    conv, x = layer(32, 64).requires_grad_(False), maps(1, 32, 8, 8)
    x[0, 7, 3, 3] = value
    conv.is_final = True
    assert conv.by_tiles(x) and not conv(x, relu=relu)[0, :, 3, 3].isfinite().any()


class Blocks(SedModel):
    """Two blocks, whose outcome is given as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ConvBlock(32, 64, 3, 2, 2, "avg"), ConvBlock(64, 64, 3, 1, 1, "max"))

    def forward(self, x: Tensor, n_frames: Tensor | None = None) -> SedOutput:
        y = self.blocks(x)
        return SedOutput(y, y)


def test_a_folded_block_goes_by_tiles_once_transformed(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, x = Blocks(), maps(2, 32, 24, 16)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.running_mean)
            nn.init.normal_(norm.bias)
    network.eval()
    with torch.no_grad():
        expected = copy.deepcopy(network).double()(x.double()).clipwise
    fast = for_prediction(network, torch.device("cpu"), torch.float32)
    convolutions = [conv for conv in fast.modules() if isinstance(conv, Conv2d)]
    assert len(convolutions) == 3
    with torch.inference_mode():
        torch.testing.assert_close(fast(x).clipwise.double(), expected, rtol=1e-4, atol=1e-5)
        # What was transformed is not transformed again.
        monkeypatch.setattr(module, "transformed", None)
        torch.testing.assert_close(fast(x).clipwise.double(), expected, rtol=1e-4, atol=1e-5)
    # A copy transforms its own, outside of that mode, too.
    monkeypatch.undo()
    torch.testing.assert_close(copy.deepcopy(fast)(x).clipwise.double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", [(1, 1), (2, 2), (1, 2)])
@pytest.mark.parametrize("size", [(12, 16), (13, 17), (9, 14), (10, 11)])
def test_means_are_those_of_the_outcomes(size: tuple[int, int], pooling: tuple[int, int]) -> None:
    conv, x = final(layer(33, 70)), maps(2, 33, *size)
    expected = functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    expected = functional.avg_pool2d(expected.relu(), pooling)
    assert conv.by_tiles(x)
    torch.testing.assert_close(conv(x, relu=True, pooling=pooling).double(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("tiles", [1, 39, 64, 65, 159, 321])
def test_kernels_serve_maps_of_any_size_once_transformed(tiles: int) -> None:
    conv = final(layer(32, 96))
    for n in (80, tiles):
        x = maps(n, 32, 8, 8)
        expected = functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
        torch.testing.assert_close(conv(x).double(), expected, rtol=0, atol=2e-5)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[str]:
    """Yield what a processor has, and let it be this one."""
    monkeypatch.setattr(module, "cpu_info", lambda key: request.param)
    module._is_quicker_than_bfloat16.cache_clear()
    yield request.param
    module._is_quicker_than_bfloat16.cache_clear()


PROCESSORS = pytest.mark.parametrize(
    "processor", ["avx2 avx512f avx512_bf16", "avx512_bf16 amx_tile amx_bf16"], indirect=True
)


@PROCESSORS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prediction_goes_by_tiles_beside_bfloat16_but_for_amx(processor: str, dtype: torch.dtype) -> None:
    conv, narrow, x = final(layer(64, 64)), final(layer(32, 64)), maps(2, 64, 12, 16).to(dtype)
    expected = functional.conv2d(x.double(), conv.weight.double(), conv.bias.double(), padding=1)
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        y = conv(x)
        assert narrow(maps(2, 32, 12, 16)).dtype == torch.bfloat16
    assert y.dtype == torch.bfloat16
    by_tiles = conv._kept is not None
    assert by_tiles == ("amx_bf16" not in processor)
    # Outcomes are rounded; so is what came as float32, and kernels where they are not transformed.
    exact = by_tiles and dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), expected, rtol=2**-8, atol=2e-5 if exact else 4e-2)


@PROCESSORS
def test_large_layers_train_by_tiles_beside_bfloat16_but_for_amx(
    processor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[torch.Size] = []
    by_tiles = module.convolved
    monkeypatch.setattr(module, "convolved", lambda x, *others: (taken.append(x.shape), by_tiles(x, *others))[1])
    conv, x = layer(128, 128, bias=False), maps(16, 128, 48, 32).bfloat16().requires_grad_()
    weight = maps(*x.shape).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        # Fewer channels, fewer tiles, more places of tiles beyond the edges.
        layer(32, 512)(maps(16, 32, 48, 32)), conv(x[:4]), conv(maps(16, 128, 48, 9))
        assert not taken
        y = conv(x)
    assert y.dtype == torch.bfloat16 and bool(taken) == ("amx_bf16" not in processor)
    gradients = torch.autograd.grad((y * weight).sum(), [x, conv.weight])
    values, exact = x.detach().double().requires_grad_(), copy.deepcopy(conv).double()
    expected = functional.conv2d(values, exact.weight, padding=1)
    wanted = torch.autograd.grad((expected * weight.double()).sum(), [values, exact.weight])
    assert [g.dtype for g in gradients] == [torch.bfloat16, torch.float32]
    # With kernels in float32 but for AMX.
    off = 3e-2 if "amx_bf16" in processor else 2e-5
    for got, exactly in zip((y.detach(), *gradients), (expected.detach(), *wanted), strict=True):
        torch.testing.assert_close(got.double(), exactly, rtol=2**-8, atol=off * float(exactly.abs().max()))


def final(conv: Conv2d) -> Conv2d:
    conv = copy.deepcopy(conv).requires_grad_(False)
    conv.is_final = True
    return conv


def test_weights_that_are_loaded_are_those_that_convolve() -> None:
    conv, x = final(layer(32, 64)), maps(1, 32, 8, 8)
    conv(x)
    others = {name: 2 * value for name, value in conv.state_dict().items()}
    once = conv(x)
    conv.load_state_dict(others)
    torch.testing.assert_close(conv(x), 2 * once)


def test_maps_have_gradients_where_weights_have_none() -> None:
    conv = layer(32, 64)
    gradients = []
    for way in (conv, final(conv)):
        x = maps(1, 32, 8, 8).requires_grad_()
        way(x, relu=True).square().sum().backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_a_gradient_is_that_of_the_way_ahead_whatever_autocast_is_then() -> None:
    conv, gradients = layer(32, 64), []
    for enabled in (False, True):
        y = conv(maps(1, 32, 8, 8)).square().sum()
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            y.backward()
        gradients.append(conv.weight.grad)
    torch.testing.assert_close(*gradients, rtol=0, atol=0)


def test_layers_whose_maps_are_small_keep_no_kernels() -> None:
    conv = final(layer(64, 64))
    conv(maps(1, 64, 2, 8))
    assert conv._kept is None
    conv(maps(1, 64, 8, 8))
    assert conv._kept is not None


def test_operations_are_counted_as_the_convolutions() -> None:
    counts = []
    for conv in (layer(32, 64, bias=False), nn.Conv2d(32, 64, 3, padding=1, bias=False)):
        x = maps(2, 32, 8, 12).requires_grad_()
        with FlopCounterMode(display=False) as counter:
            conv(x).sum().backward()
        counts.append(counter.get_total_flops())
    assert counts[1] == 3 * 2 * 9 * 32 * 64 * 2 * 8 * 12
    assert counts[0] == counts[1]
