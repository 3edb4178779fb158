"""Convolutions 3x3 with two ninths of the multiplications, on a CPU.

They go by tiles (`tiles.py`), and so do their gradients. What is transformed is added up in another order than a
convolution does: outcomes differ by some 1e-5 of their spread. Maps are float32, or bfloat16 between layers; the
products are float32.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from sedkit.core.compiled import kernel
from sedkit.models.compiled import (
    Floats,
    Values,
    as_lines,
    averaged,
    lowest,
    on_cpu,
    operator,
    over_lines,
    with_gradient,
)
from sedkit.models.precision import cpu_info
from sedkit.models.products import PANEL, STRIP, STRIP_OF_SUMS, add_products, multiply, rows_for
from sedkit.models.tiles import (
    POINTS,
    tiles_of,
    transform_kernels,
    transform_maps,
    transform_products,
    transform_sums,
)

#: Fewest tiles that are transformed, multiplied and transformed back at a time, where there are as many.
_ROWS = 24
#: Tiles that are worth a thread's own sums of kernels' gradients.
_TOGETHER = 64
#: Fewest channels, tiles of a map, and times fewer multiplications that are worth the transforms.
_CHANNELS, _FEWEST, _GAIN = 32, 4, 2.0
#: The same beside bfloat16, in which a convolution is twice as fast: fewest channels and, where kernels are transformed
#: at each step, fewest products (tiles by pairs of channels) and times fewer multiplications.
_MORE_CHANNELS, _PRODUCTS, _MORE_GAIN = 64, 2**23, 4.0


def transformed(weight: Tensor) -> Tensor:
    """Return G g G' of kernels (n_out, n_in, 3, 3) as `multiply` takes them: (48, panels, n_in, PANEL)."""
    n_out, n_in = weight.shape[:2]
    panels = -(-n_out // PANEL)
    taps, kernels = torch.zeros(3, 3, n_in, panels * PANEL), torch.empty(POINTS, panels, n_in, PANEL)
    taps[..., :n_out] = weight.permute(2, 3, 1, 0)
    over_lines(transform_kernels, n_in, POINTS * panels * PANEL, taps.view(9, n_in, -1).numpy(), kernels.numpy())
    return kernels


def _rows_of(tiles: int, n_in: int, n_out: int) -> int:
    """Return how many tiles go through at a time, so that all threads have as much to do.

    What is between stays in caches: their values and products are about as many as the kernels, which each block reads.
    """
    threads, most = torch.get_num_threads(), max(_ROWS, n_in * n_out // (n_in + n_out))
    each = -(-tiles // (threads * -(-tiles // (threads * most))))
    return -(-each // STRIP) * STRIP


@kernel()
def _convolve(
    first: int,
    behind: int,
    rows: int,
    maps: Values,
    kernels: Floats,
    y: Values,
    bias: Floats,
    low: Floats,
    height: int,
    width: int,
) -> None:
    """Convolve a range of blocks of tiles of maps of height x width."""
    tiles = tiles_of(len(maps), height, width)
    n_out = y.shape[3]
    values, products = rows_for(POINTS, rows, maps.shape[3]), rows_for(POINTS, rows, n_out)
    for begin in range(first * rows, min(behind * rows, tiles), rows):
        n = min(rows, tiles - begin)
        transform_maps(n, begin, maps, values, False)
        multiply(n, values, kernels, products, n_out)
        transform_products(n, begin, products, bias, low, height, width, y)


@operator("winograd(Tensor x, Tensor kernels, Tensor? bias, int n_out, bool relu, bool pooled) -> Tensor")
def convolved(x: Tensor, kernels: Tensor, bias: Tensor | None, n_out: int, relu: bool, pooled: bool) -> Tensor:
    """Convolve maps, zeros around them; add a bias; take ReLU and means of 2x2 if asked to.

    Shapes: x (batch, n_in, height, width), channels last, kernels as `transformed` gives them, bias (n_out,) -> (batch,
    n_out, height, width), or half the height and width.
    """
    batch, n_in, height, width = x.shape
    shape = (batch, n_out, height // 2, width // 2) if pooled else (batch, n_out, height, width)
    y = torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
    more = torch.zeros(n_out) if bias is None else bias
    tiles = tiles_of(batch, height, width)
    rows = _rows_of(tiles, n_in, n_out)
    figures = (rows, as_lines(x), kernels.numpy(), as_lines(y), more.numpy(), np.full(n_out, lowest(relu)))
    over_lines(_convolve, -(-tiles // rows), rows * POINTS * (n_in + n_out), *figures, height, width)
    return y


@kernel()
def _sum_of_products(first: int, behind: int, rows: int, maps: Values, grads: Values) -> Floats:
    """Return the products of transformed values and gradients of outcomes, added up over a range of blocks of tiles."""
    (batch, height, width, n_in), n_out = maps.shape, grads.shape[3]
    tiles = tiles_of(batch, height, width)
    values, outer = rows_for(POINTS, rows, n_in), rows_for(POINTS, rows, n_out)
    sums = rows_for(POINTS, n_out + STRIP_OF_SUMS - 1, n_in)
    for begin in range(first * rows, min(behind * rows, tiles), rows):
        n = min(rows, tiles - begin)
        transform_maps(n, begin, maps, values, False)
        transform_maps(n, begin, grads, outer, True)
        add_products(n, outer, values, sums, n_out, n_in)
    return sums


@operator("winograd_weights(Tensor x, Tensor grad) -> Tensor")
def _of_weights(x: Tensor, grad: Tensor) -> Tensor:
    """Return the gradient of the kernels, (n_out, n_in, 3, 3), of that of the outcomes of x."""
    batch, n_in, height, width = x.shape
    n_out = grad.shape[1]
    tiles = tiles_of(batch, height, width)
    rows = _rows_of(tiles, n_in, n_out)
    values = rows * POINTS * (n_in + n_out)
    maps, grads = as_lines(x), as_lines(grad)
    together = -(-_TOGETHER // rows)
    sums, *others = over_lines(_sum_of_products, -(-tiles // rows), values, rows, maps, grads, block=together)
    for more in others:
        torch.from_numpy(sums).add_(torch.from_numpy(more))
    taps = torch.empty(n_out, 3, 3, n_in)
    over_lines(transform_sums, n_out, POINTS * n_in, sums, taps.view(n_out, 9, n_in).numpy())
    return taps.permute(0, 3, 1, 2)


@register_flop_formula(convolved)
def _operations(x: tuple[int, ...], kernels: Any, bias: Any, n_out: int, *_: Any, **__: Any) -> int:
    """Return the floating point operations of the convolution itself, for shapes."""
    return 18 * x[0] * x[1] * x[2] * x[3] * n_out


@register_flop_formula(_of_weights)
def _operations_of_weights(x: tuple[int, ...], grad: tuple[int, ...], *_: Any, **__: Any) -> int:
    return 18 * x[0] * x[2] * x[3] * x[1] * grad[1]


def _ahead(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve maps (batch, n_in, height, width) with kernels (n_out, n_in, 3, 3), zeros around them."""
    y: Tensor = convolved(x, transformed(weight), None, len(weight), False, False)
    return y


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    x, weight = ctx.saved_tensors
    grad = grad.contiguous(memory_format=torch.channels_last)
    # As ahead, whatever is around the call back.
    with torch.autocast("cpu", enabled=False):
        back = _ahead(grad, weight.flip(2, 3).transpose(0, 1)) if ctx.needs_input_grad[0] else None
        return back, _of_weights(x, grad) if ctx.needs_input_grad[1] else None


_convolution = with_gradient(_ahead, lambda ctx, inputs, _: ctx.save_for_backward(*inputs), _gradient)


@cache
def _is_quicker_than_bfloat16() -> bool:
    """Tell whether tiles are quicker than convolutions in bfloat16: unless the processor has matrix units for that."""
    return "amx_bf16" not in cpu_info("flags").split()


class Conv2d(nn.Conv2d):
    """Torch's convolution; one of 3x3 with zeros around goes by tiles where that is quicker.

    That is on a CPU, channels last, for enough channels and maps that fill the tiles.
    """

    #: Whether the weights stay as they are, so that their kernels are kept from their first use on.
    is_final: bool = False
    _kept: Tensor | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is of a kind that tiles are for."""
        return (
            (self.kernel_size, self.stride, self.padding, self.dilation) == ((3, 3), (1, 1), (1, 1), (1, 1))
            and self.groups == 1
            and self.padding_mode == "zeros"
            and min(self.in_channels, self.out_channels) >= _CHANNELS
        )

    def by_tiles(self, x: Tensor) -> bool:
        """Tell whether maps x go by tiles: float32, or what autocast would have in bfloat16."""
        height, width = x.shape[-2:]
        tiles = tiles_of(1, height, width)
        gain = 9 * height * width / (POINTS * tiles) if tiles else 0
        if not (
            self.is_plain and tiles >= _FEWEST and gain >= _GAIN and self.weight.dtype == torch.float32 and on_cpu(x)
        ):
            return False
        if not torch.is_autocast_enabled("cpu"):
            return x.dtype == torch.float32
        products = len(x) * tiles * self.in_channels * self.out_channels
        is_kept = self.is_final and not torch.is_grad_enabled()
        return (
            min(self.in_channels, self.out_channels) >= _MORE_CHANNELS
            and (is_kept or (gain >= _MORE_GAIN and products >= _PRODUCTS))
            and torch.get_autocast_dtype("cpu") == torch.bfloat16
            and _is_quicker_than_bfloat16()
        )

    def _kernels(self) -> Tensor:
        """Return the transformed kernels."""
        if not self.is_final:
            return transformed(self.weight)
        if self._kept is None:
            with torch.inference_mode(False):
                self._kept = transformed(self.weight.detach())
        return self._kept

    def __getstate__(self) -> dict[str, Any]:
        # How the kernels are laid out is the library's own.
        return {**self.__dict__, "_kept": None}

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._kept = None
        super()._load_from_state_dict(*args, **kwargs)

    def forward(self, x: Tensor, relu: bool = False, pooling: tuple[int, int] = (1, 1)) -> Tensor:
        """Convolve; with `relu`, leave out what is below 0; average over so many rows and columns."""
        if not self.by_tiles(x):
            y = super().forward(x)
            return averaged(F.relu_(y) if relu else y, pooling)
        dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
        with torch.autocast("cpu", enabled=False):
            x = x.to(dtype)
            if torch.is_grad_enabled() and any(v is not None and v.requires_grad for v in (x, self.weight, self.bias)):
                y = _convolution(x, self.weight)
                y = y if self.bias is None else y.add_(self.bias[:, None, None])
                return averaged(F.relu_(y) if relu else y, pooling)
            halved = pooling == (2, 2)
            y = convolved(x, self._kernels(), self.bias, self.out_channels, relu, halved)
            return y if halved else averaged(y, pooling)
