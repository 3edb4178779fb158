"""Networks by name. A module of this folder registers its own with `@register`; nothing else has to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sedkit.core.registry import Registry
from sedkit.models.output import SedModel

_MODELS: Registry[Callable[[int, int, Any], SedModel]] = Registry("sedkit.models", "model")

#: `@register(name, options)` of `builder(n_classes, n_bins, options) -> SedModel`; `options` is its dataclass.
register = _MODELS.register
model_names = _MODELS.names
resolve_model = _MODELS.resolve

#: `build_model(section, n_classes, n_bins)` builds a network with fresh weights; raises UsageError.
build_model: Callable[[dict[str, Any], int, int], SedModel] = _MODELS.build
