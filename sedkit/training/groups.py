"""Which parameters are trained, and how fast: groups by the patterns of their names, layer-wise decay, freezing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from sedkit.core.config import typed
from sedkit.core.errors import UsageError, listed
from sedkit.models.output import SedModel


@dataclass(frozen=True)
class Group:
    """What a pattern of names says of the parameters that it matches; None leaves it to the optimiser's section.

    Attributes
    ----------
    factor
        Of the optimiser's `learning_rate`.
    learning_rate
        In its place.
    weight_decay
        In place of the optimiser's.
    """

    factor: float | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None

    def __post_init__(self) -> None:
        for name in ("factor", "learning_rate"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UsageError(f"{name} is {value}, expected above 0 (training.freeze trains nothing of a pattern)")
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise UsageError(f"weight_decay is {self.weight_decay}, expected at least 0")
        if self.factor is not None and self.learning_rate is not None:
            raise UsageError("got factor and learning_rate, expected one of them")


@dataclass(frozen=True)
class GroupSettings:
    """The keys of the section `optimiser` that every optimiser has.

    Attributes
    ----------
    groups
        Pattern of names of parameters -> `Group`. Where several match, each says what it says over those before it.
    layer_decay
        Factor of the rate from a layer to the one before it, in the order of `SedModel.layer_order`: d^i for the
        layer i below the last one (arXiv 2106.08254, appendix).
    """

    groups: dict[str, Any] | None = None
    layer_decay: float = 1.0
    by_pattern: dict[str, Group] = field(init=False)

    def __post_init__(self) -> None:
        if not 0 < self.layer_decay <= 1:
            raise UsageError(f"layer_decay is {self.layer_decay}, expected above 0, up to 1")
        groups = {str(name): typed(one, Group, f"groups.{name}") for name, one in (self.groups or {}).items()}
        object.__setattr__(self, "by_pattern", groups)

    @classmethod
    def split(cls, section: Mapping[str, Any]) -> tuple[GroupSettings, dict[str, Any]]:
        """Return what a section `optimiser` says of groups, and the section without it."""
        rest = dict(section)
        given: dict[str, Any] = {name: rest.pop(name) for name in ("groups", "layer_decay") if name in rest}
        return typed(given, cls, "optimiser"), rest


def matching(network: nn.Module, pattern: str, key: str) -> set[str]:
    """Return the names of the parameters that a pattern of the shell (`conv_block1.*`) matches.

    Raises
    ------
    UsageError
        None; `key` of the configuration is named.
    """
    names = [name for name, _ in network.named_parameters()]
    matched = {name for name in names if fnmatchcase(name, pattern)}
    if not matched:
        raise UsageError(
            f"{key}: {pattern!r} matches no parameter of the network, expected a pattern of names such as "
            f"{listed([names[0], *names[-2:]])}"
        )
    return matched


def freeze(network: SedModel, patterns: Iterable[str]) -> None:
    """Train nothing of the parameters that match, and leave batch norms that are frozen whole to their statistics.

    Raises
    ------
    UsageError
        A pattern that matches nothing, or nothing that is left to train.
    """
    frozen = {name for pattern in patterns for name in matching(network, pattern, "training.freeze")}
    for name, parameter in network.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise UsageError("training.freeze: matches every parameter of the network, which leaves nothing to train")
    network.frozen_norms = tuple(
        name
        for name, norm in network.named_modules()
        if isinstance(norm, nn.modules.batchnorm._BatchNorm)
        and norm.affine
        and all(f"{name}.{parameter}" in frozen for parameter in ("weight", "bias"))
    )


def parameter_groups(section: Mapping[str, Any], network: SedModel) -> list[dict[str, Any]]:
    """Return the groups of a network's parameters, as torch's optimisers take them.

    Parameters
    ----------
    section
        A resolved section `optimiser`.
    network
        Frozen parameters are in no group.

    Raises
    ------
    UsageError
        A pattern that matches nothing, or `layer_decay` of a network that does not know the order of its layers.
    """
    settings, options = GroupSettings.split(section)
    matched = {pattern: matching(network, pattern, "optimiser.groups") for pattern in settings.by_pattern}
    groups: dict[tuple[float, float | None], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rate, weight_decay = options["learning_rate"], None
        for pattern, group in settings.by_pattern.items():
            if name not in matched[pattern]:
                continue
            if group.factor is not None:
                rate = options["learning_rate"] * group.factor
            rate = rate if group.learning_rate is None else group.learning_rate
            weight_decay = weight_decay if group.weight_decay is None else group.weight_decay
        if settings.layer_decay != 1:
            rate *= settings.layer_decay ** _layers_above(network, name)
        groups.setdefault((rate, weight_decay), []).append(parameter)
    return [
        {"params": parameters, "lr": rate} | ({} if decay is None else {"weight_decay": decay})
        for (rate, decay), parameters in groups.items()
    ]


def _layers_above(network: SedModel, name: str) -> int:
    """Return how many layers stand above a parameter's."""
    for above, prefixes in enumerate(reversed(network.layer_order)):
        if name.startswith(prefixes):
            return above
    raise UsageError(f"optimiser.layer_decay: the network does not say which layer {name} is of; leave it at 1")
