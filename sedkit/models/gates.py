"""Gates, dropout and average pooling of maps in one, on a CPU.

There torch goes over the maps once for the sigmoid, once for the product, thrice for dropout and once for pooling, and
as often back, storing what each gave. Here it is one way ahead and one back, on which gate and dropout are made again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sedkit.core.compiled import kernel
from sedkit.models.compiled import (
    Lines,
    Values,
    averaged,
    bits,
    draw,
    is_recorded,
    on_cpu,
    over_lines,
    pooled,
    real,
    sigmoid,
    spread,
    stored,
    with_gradient,
)

_F, _U = np.float32, np.uint32
#: Values for which is drawn at a time.
_BLOCK = 1024


@kernel()
def _gate(
    first: int,
    behind: int,
    values: Values,
    gates: Values,
    skip: int,
    out: Values,
    rows: int,
    columns: int,
    left_out: Any,
    factor: Any,
    seeds: Any,
) -> None:
    """Fill in lines of the outcome.

    Values and gates are (batch, height, runs, values of a run), where the gates of a run begin at `skip`.
    """
    height, n_runs, n = out.shape[1], values.shape[2], gates.shape[3] - skip
    line, stays = np.empty(n_runs * n, _F), np.ones(n, _F)
    factor = factor / _F(rows * columns)
    for place in range(first, behind):
        b, i = place // height, place % height
        line[:] = 0
        for h in range(i * rows, (i + 1) * rows):
            for r in range(n_runs):
                value, gate, total = values[b, h, r], gates[b, h, r, skip:], line[r * n : (r + 1) * n]
                if left_out != _U(0):
                    draw(_U(((b * values.shape[1] + h) * n_runs + r) * n), stays, left_out, seeds)
                for k in range(n):
                    total[k] += stays[k] * real(value[k]) * sigmoid(real(gate[k]))
        pooled(line, out[b, i], columns, factor)


@kernel()
def _back(
    first: int,
    behind: int,
    values: Values,
    gates: Values,
    skip: int,
    grad: Values,
    of_values: Values,
    of_gates: Values,
    rows: int,
    columns: int,
    left_out: Any,
    factor: Any,
    seeds: Any,
) -> None:
    """Fill in lines of the gradients of values and gates, which are arranged as these."""
    height, n_runs, n = values.shape[1], values.shape[2], gates.shape[3] - skip
    line, stays = np.empty(n_runs * n, _F), np.ones(n, _F)
    for place in range(first, behind):
        b, h = place // height, place % height
        spread(grad[b], h, 0, line, rows, columns)
        for r in range(n_runs):
            value, gate, outer = values[b, h, r], gates[b, h, r, skip:], line[r * n : (r + 1) * n]
            of_value, of_gate = of_values[b, h, r], of_gates[b, h, r, skip:]
            if left_out != _U(0):
                draw(_U((place * n_runs + r) * n), stays, left_out, seeds)
            for k in range(n):
                gated, inner = sigmoid(real(gate[k])), outer[k] * stays[k] * factor
                of_value[k] = stored(inner * gated, of_value[k])
                of_gate[k] = stored(inner * real(value[k]) * gated * (_F(1) - gated), of_gate[k])


@kernel()
def _leave_out(first: int, behind: int, x: Values, out: Values, left_out: Any, factor: Any, seeds: Any) -> None:
    """Fill in blocks of x times a factor, or 0."""
    stays = np.empty(_BLOCK, _F)
    for block in range(first, behind):
        here, there = x[block * _BLOCK : (block + 1) * _BLOCK], out[block * _BLOCK : (block + 1) * _BLOCK]
        draw(_U(block * _BLOCK), stays, left_out, seeds)
        for k in range(len(here)):
            there[k] = stored(real(here[k]) * factor * stays[k], there[k])


def _arranged(values: Tensor, gates: Tensor, rows: int, columns: int) -> tuple[Lines, Values, Values, int]:
    """Return maps as lines and in runs of neighbours as long as they can be, and where in one the gates begin.

    Gates may be maps of their own or, given as the same, the second half of the channels.
    """
    lines = Lines(values, rows, columns)
    if values is gates:
        runs = lines.values.reshape(*lines.values.shape[:2], -1, lines.channels)
        return lines, runs, runs, lines.channels // 2
    return lines, lines.values[:, :, None], Lines(gates, rows, columns).values[:, :, None], 0


def _drawing(share: float, seed: int) -> tuple[Any, ...]:
    """Return the arguments of dropout: 32 bits below a limit are left out, the rest is louder by a factor."""
    left_out = min(round(share * 2**32), 2**32 - 1)
    return _U(left_out), _F(1 / (1 - left_out / 2**32)), (_U(seed & 0xFFFFFFFF), _U(seed >> 32))


def _seed() -> int:
    """Draw a seed from torch's generator."""
    return int(torch.randint(2**62, ()))


def _through_gates(values: Tensor, gates: Tensor | None, share: float, seed: int, rows: int, columns: int) -> Tensor:
    """Return values sigmoid(gates) with a share of them left out, averaged over `rows` x `columns`.

    Without gates, these are the second half of the channels.

    Shapes: (batch, channels, height, width) each -> (batch, channels, height // rows, width // columns).
    """
    batch, channels, height, width = values.shape
    lines, *arrays = _arranged(values, values if gates is None else gates, rows, columns)
    shape = batch, channels if gates is not None else channels // 2, height // rows, width // columns
    out = torch.empty(shape, dtype=values.dtype, memory_format=torch.channels_last)
    form = (rows, columns, *_drawing(share, seed))
    rest = lines.pooled(out)
    over_lines(_gate, rest.shape[0] * rest.shape[1], rows * lines.size, *arrays, rest, *form)
    return out


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    values, gates, *ctx.drawing, ctx.rows, ctx.columns = inputs
    ctx.save_for_backward(values, gates)


def _gradient(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    values, gates = ctx.saved_tensors
    of_values = torch.empty_like(values)
    of_gates = None if gates is None else torch.empty_like(gates)
    form = ctx.rows, ctx.columns
    lines, *arrays = _arranged(values, values if gates is None else gates, *form)
    _, *inner, _ = _arranged(of_values, of_values if of_gates is None else of_gates, *form)
    outer = lines.pooled(grad.contiguous(memory_format=torch.channels_last))
    over_lines(_back, lines.n, lines.size, *arrays, outer, *inner, *form, *_drawing(*ctx.drawing))
    return of_values, of_gates, None, None, None, None


_gated = with_gradient(_through_gates, _keep, _gradient)


def _some_of(x: Tensor, share: float, seed: int) -> Tensor:
    """Return x without a share of its values, drawn anew from a seed; x lies without gaps, in any order of axes."""
    out = torch.empty_like(x)
    arrays = (bits(y.as_strided((y.numel(),), (1,))) for y in (x, out))
    over_lines(_leave_out, -(-x.numel() // _BLOCK), _BLOCK, *arrays, *_drawing(share, seed))
    return out


def _keep_seed(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, *ctx.drawing = inputs
    ctx.strides = x.stride()


def _same_left_out(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
    if grad.stride() != ctx.strides:
        grad = torch.empty_strided(grad.shape, ctx.strides, dtype=grad.dtype).copy_(grad)
    return _some_of(grad, *ctx.drawing), None, None


_dropout = with_gradient(_some_of, _keep_seed, _same_left_out)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`, several times faster on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        quick = x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16) and x.numel() > 0
        if not self.training or not self.p or not quick or is_recorded():
            return super().forward(x)
        maps = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
        out: Tensor = _dropout(x if maps else x.contiguous(), self.p, _seed())
        return out


def gated(
    values: Tensor, gates: Tensor | None, dropout: nn.Dropout | None = None, pooling: tuple[int, int] = (1, 1)
) -> Tensor:
    """Return `avg_pool2d(dropout(values * sigmoid(gates)), pooling)`, several times faster on a CPU.

    Parameters
    ----------
    values, gates
        (batch, channels, height, width), channels last for the quicker way. Gates of None: of the 2 C channels of
        `values` the second half (GLU; Dauphin et al., arXiv 1612.08083).
    dropout
        What leaves out values while it trains; None: nothing.
    pooling
        Factors by which height and width shrink.

    Returns
    -------
    (batch, channels, height // pooling[0], width // pooling[1]); C channels without gates.
    """
    if not on_cpu(*(x for x in (values, gates) if x is not None), pooling=pooling):
        value, gate = values.chunk(2, dim=1) if gates is None else (values, gates)
        y = value * torch.sigmoid(gate)
        return averaged(y if dropout is None else dropout(y), pooling)
    share = dropout.p if dropout is not None and dropout.training else 0.0
    out: Tensor = _gated(values, gates, share, _seed() if share else 0, *pooling)
    return out
