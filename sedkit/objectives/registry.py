"""Objectives by name. A module of this folder registers its own with `@register`; nothing else has to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sedkit.core.registry import Registry
from sedkit.objectives.base import Objective

_OBJECTIVES: Registry[Callable[[Any], Objective]] = Registry("sedkit.objectives", "objective")

#: `@register(name, options)` of `builder(options) -> Objective`; `options` is its dataclass.
register = _OBJECTIVES.register
objective_names = _OBJECTIVES.names
resolve_objective = _OBJECTIVES.resolve

#: Builds an objective from the section `objective`; raises UsageError.
build_objective: Callable[[dict[str, Any]], Objective] = _OBJECTIVES.build
