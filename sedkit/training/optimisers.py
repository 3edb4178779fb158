"""Optimisers by name. A module of this folder registers its own with `@register`; nothing else has to change."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from sedkit.core.errors import UsageError
from sedkit.core.registry import Registry
from sedkit.training.groups import GroupSettings

_OPTIMISERS: Registry[Callable[[Any, Any], torch.optim.Optimizer]] = Registry("sedkit.training", "optimiser")

#: `@register(name, options)` of `builder(parameters, options) -> Optimizer`; `options` is its dataclass.
register = _OPTIMISERS.register


def resolve_optimiser(section: dict[str, Any] | None) -> dict[str, Any]:
    """Return the `optimiser` section with every option filled in and checked, groups included (`GroupSettings`)."""
    settings, options = GroupSettings.split(section or {})
    return _OPTIMISERS.resolve(options) | {"groups": settings.groups or {}, "layer_decay": settings.layer_decay}


def build_optimiser(
    section: dict[str, Any], parameters: Iterable[torch.nn.Parameter] | Iterable[dict[str, Any]]
) -> torch.optim.Optimizer:
    """Build an optimiser from the `optimiser` section: `name` and its own options.

    Parameters
    ----------
    section
        Its `learning_rate` is that of the parameters that name none; the schedule multiplies each group's.
    parameters
        Parameters, or groups of them as torch takes them, such as `parameter_groups` makes of a network's.

    Raises
    ------
    UsageError
        An unknown name, or an option that the optimiser does not have.
    """
    optimiser: torch.optim.Optimizer = _OPTIMISERS.build(GroupSettings.split(section)[1], parameters)
    return optimiser


def _uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Return an optimiser's class whose methods do not keep PyTorch's compiler off, which loads it."""
    kept_off = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    methods = {name: inspect.unwrap(getattr(kind, name)) for name in kept_off}
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(inspect.unwrap(kind.step))})


_Adam, _AdamW, _SGD, _RMSprop = map(
    _uncompiled, (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop)
)


#: What the options that are numbers have to be.
_RANGES: dict[str, tuple[Callable[[float], bool], str]] = {
    **dict.fromkeys(("learning_rate", "epsilon"), (lambda value: value > 0, "above 0")),
    **dict.fromkeys(("beta1", "beta2", "momentum"), (lambda value: 0 <= value < 1, "from 0 to below 1")),
    "decay": (lambda value: 0 <= value < 1, "from 0 to below 1"),
    "weight_decay": (lambda value: value >= 0, "at least 0"),
}


class _Checked:
    def __post_init__(self) -> None:
        for name, (fits, expected) in _RANGES.items():
            if not fits(getattr(self, name, 0.5)):
                raise UsageError(f"{name} is {getattr(self, name)}, expected {expected}")


@dataclass(frozen=True)
class AdamOptions(_Checked):
    """Options of Adam (Kingma & Ba 2015); the defaults are the published ones of arXiv 1904.03476.

    Attributes
    ----------
    learning_rate, beta1, beta2, epsilon, weight_decay
        As in the paper; `weight_decay` is added to the gradient.
    amsgrad
        Divide by the largest second moment so far (Reddi et al. 2018).
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = True


@dataclass(frozen=True)
class AdamWOptions(AdamOptions):
    """Options of AdamW (Loshchilov & Hutter 2019): as Adam's, `weight_decay` shrinks the weights themselves."""

    weight_decay: float = 0.01
    amsgrad: bool = False


def _adam(kind: Callable[..., torch.optim.Optimizer], parameters: Any, options: AdamOptions) -> torch.optim.Optimizer:
    return kind(
        parameters,
        lr=options.learning_rate,
        betas=(options.beta1, options.beta2),
        eps=options.epsilon,
        weight_decay=options.weight_decay,
        amsgrad=options.amsgrad,
        fused=True,
    )


register("adam", AdamOptions)(partial(_adam, _Adam))
register("adamw", AdamWOptions)(partial(_adam, _AdamW))


@dataclass(frozen=True)
class SgdOptions(_Checked):
    """Options of stochastic gradient descent, as of `torch.optim.SGD`; `nesterov` needs a momentum."""

    learning_rate: float = 0.01
    momentum: float = 0.0
    weight_decay: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and not self.momentum:
            raise UsageError("nesterov is true, but momentum is 0: give a momentum")


@register("sgd", SgdOptions)
def _sgd(parameters: Any, options: SgdOptions) -> torch.optim.Optimizer:
    plain = asdict(options)
    return _SGD(parameters, lr=plain.pop("learning_rate"), fused=True, **plain)


@dataclass(frozen=True)
class RmspropOptions(_Checked):
    """Options of RMSprop (Tieleman & Hinton 2012), with the defaults of Keras.

    Attributes
    ----------
    learning_rate
        Of the gradient over the root of its mean square.
    decay
        Of the running mean of squares.
    epsilon
        Added to the root.
    """

    learning_rate: float = 1e-3
    decay: float = 0.9
    epsilon: float = 1e-7


@register("rmsprop", RmspropOptions)
def _rmsprop(parameters: Any, options: RmspropOptions) -> torch.optim.Optimizer:
    return _RMSprop(parameters, lr=options.learning_rate, alpha=options.decay, eps=options.epsilon)
