"""A recurrent layer in both directions that is fast on a CPU, too.

There torch runs each direction of a layer by itself and records every operation of every frame for its gradient, so
that a narrow network spends half of its time in calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import register_flop_formula

from sedkit.core.compiled import kernel
from sedkit.models.compiled import Floats, is_recorded, operator, over_lines, sigmoid, tanh, with_gradient

_F = np.float32


@kernel(fastmath=True)
def _ahead(
    first: int,
    behind: int,
    inputs: Floats,
    weight: Floats,
    bias: Floats,
    states: Floats,
    gates: Floats,
    products: Floats,
) -> None:
    """Fill in states, the three gates and the recurrent part of the third of directions, frame by frame."""
    for d in range(first, behind):
        _direction_ahead(d, inputs, weight, bias, states, gates, products)


@kernel(fastmath=True)
def _direction_ahead(
    d: int, inputs: Floats, weight: Floats, bias: Floats, states: Floats, gates: Floats, products: Floats
) -> None:
    frames, _, batch, units = states.shape
    both = 2 * units
    a, state = np.empty((batch, 3 * units), np.float32), np.zeros((batch, units), np.float32)
    for t in range(frames):
        np.dot(state, weight[d], a)
        for b in range(batch):
            x, here, known, last = inputs[t, d, b], a[b], bias[d], state[b]
            gate, out, product = gates[t, d, b], states[t, d, b], products[t, d, b]
            # Loops of one kind of work each, which become vector code.
            for u in range(both):
                gate[u] = sigmoid(x[u] + here[u] + known[u])
            for u in range(units):
                product[u] = here[both + u] + known[both + u]
                gate[both + u] = tanh(x[both + u] + gate[u] * product[u])
            for u in range(units):
                out[u] = gate[both + u] + gate[units + u] * (last[u] - gate[both + u])
                last[u] = out[u]


@kernel(fastmath=True)
def _back(
    first: int,
    behind: int,
    grad: Floats,
    weight: Floats,
    states: Floats,
    gates: Floats,
    products: Floats,
    inputs: Floats,
    recurrent: Floats,
) -> None:
    """Fill in the gradients of the input and of the recurrent parts of the gates of directions, last frame first."""
    for d in range(first, behind):
        _direction_back(d, grad, weight, states, gates, products, inputs, recurrent)


@kernel(fastmath=True)
def _direction_back(
    d: int,
    grad: Floats,
    weight: Floats,
    states: Floats,
    gates: Floats,
    products: Floats,
    inputs: Floats,
    recurrent: Floats,
) -> None:
    frames, _, batch, units = states.shape
    both, one = 2 * units, _F(1)
    carried, through = np.zeros((batch, units), np.float32), np.empty((batch, units), np.float32)
    nothing = np.zeros(units, np.float32)
    for t in range(frames - 1, -1, -1):
        for b in range(batch):
            outer, gate, product, later, along = (
                grad[t, d, b],
                gates[t, d, b],
                products[t, d, b],
                carried[b],
                through[b],
            )
            of_inputs, of_recurrent = inputs[t, d, b], recurrent[t, d, b]
            before = states[t - 1, d, b] if t else nothing
            for u in range(units):
                reset, update, new = gate[u], gate[units + u], gate[both + u]
                total = outer[u] + later[u]
                by_new = total * (one - update) * (one - new * new)
                by_reset = by_new * product[u] * reset * (one - reset)
                by_update = total * (before[u] - new) * update * (one - update)
                of_inputs[u] = of_recurrent[u] = by_reset
                of_inputs[units + u] = of_recurrent[units + u] = by_update
                of_inputs[both + u] = by_new
                of_recurrent[both + u] = by_new * reset
                along[u] = total * update
        np.dot(recurrent[t, d], weight[d], carried)
        carried += through


def _each_direction(work: Callable[..., None], *tensors: Tensor) -> None:
    """Let each direction of a layer be gone through, on threads of their own where torch takes several."""
    over_lines(work, tensors[0].shape[1], tensors[0].numel(), *(x.numpy() for x in tensors))


@operator("gru(Tensor inputs, Tensor weight, Tensor bias) -> (Tensor, Tensor, Tensor)")
def _states(inputs: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the states of a GRU, all directions; its gates and the recurrent part of the third for the gradient.

    With a the recurrent and x the input part of a gate: r = sigmoid(x_r + a_r), z = sigmoid(x_z + a_z),
    n = tanh(x_n + r a_n), h' = (1 - z) n + z h (Cho et al., arXiv 1406.1078, with the reset gate behind the product as
    cuDNN has it).

    Shapes: inputs (frames, directions, batch, 3 units), weight (directions, 3 units, units), bias (directions, 3 units)
    -> states and recurrent part (frames, directions, batch, units), gates as inputs.
    """
    gates = torch.empty_like(inputs)
    states, products = (inputs.new_empty(*inputs.shape[:3], weight.shape[2]) for _ in range(2))
    turned = weight.transpose(1, 2).contiguous()
    _each_direction(_ahead, inputs, turned, bias, states, gates, products)
    return states, gates, products


def _keep(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(inputs[1], *output)


def _gradient(ctx: Any, grad: Tensor | None, *_: None) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    if grad is None:
        return None, None, None
    weight, states, gates, products = ctx.saved_tensors
    inputs, recurrent = torch.empty_like(gates), torch.empty_like(gates)
    _each_direction(_back, grad.contiguous(), weight, states, gates, products, inputs, recurrent)
    before = torch.cat([torch.zeros_like(states[:1]), states[:-1]]).transpose(0, 1).flatten(1, 2)
    flat = recurrent.transpose(0, 1).flatten(1, 2)
    return inputs, flat.transpose(1, 2) @ before, flat.sum(1)


_scan = with_gradient(_states, _keep, _gradient)


@register_flop_formula(_states)
def _operations(inputs: tuple[int, ...], weight: tuple[int, ...], *_: Any, **__: Any) -> int:
    """Return the floating point operations of the recurrent products, for shapes."""
    return 2 * math.prod(inputs) * weight[2]


class Gru(nn.GRU):
    """`torch.nn.GRU` in both directions with the batch first; in float32 on a CPU several times faster.

    A graph that is recorded for other programs has torch's own operation, which they know.

    Shapes: (batch, frames, `n_in`) -> (batch, frames, 2 `units`).
    """

    def __init__(self, n_in: int, units: int, layers: int) -> None:
        super().__init__(n_in, units, layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        if x.device.type != "cpu" or x.dtype != torch.float32 or is_recorded():
            out: Tensor = super().forward(x)[0]
            return out
        for directions in zip(self.all_weights[::2], self.all_weights[1::2], strict=True):
            of_inputs, weights, input_biases, biases = zip(*directions, strict=True)
            # (batch, frames, directions x 3 units) to (frames, directions, batch, 3 units).
            inputs = F.linear(x, torch.cat(of_inputs), torch.cat(input_biases)).transpose(0, 1)
            ahead, back = inputs.chunk(2, dim=-1)
            inputs = torch.stack([ahead, back.flip(0)], dim=1)
            states, _, _ = _scan(inputs, torch.stack(weights), torch.stack(biases))
            x = torch.cat([states[:, 0], states[:, 1].flip(0)], dim=-1).transpose(0, 1)
        return x
