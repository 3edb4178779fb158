"""Networks by name, and bodies of networks. A module of this folder registers its own; nothing else has to change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from sedkit.core.registry import Registry
from sedkit.models.output import SedModel

_MODELS: Registry[Callable[[int, int, Any], SedModel]] = Registry("sedkit.models", "model")
_BODIES: Registry[Callable[[int, Any], nn.Module]] = Registry("sedkit.models", "model.body")

#: `@register(name, options)` of `builder(n_classes, n_bins, options) -> SedModel`; `options` is its dataclass.
register = _MODELS.register
model_names = _MODELS.names
resolve_model = _MODELS.resolve

#: `build_model(section, n_classes, n_bins)` builds a network with fresh weights; raises UsageError.
build_model: Callable[[dict[str, Any], int, int], SedModel] = _MODELS.build

#: `@register_body(name, options)` of `builder(n_bins, options) -> Pretrained`, for `model.body` of `pretrained_sed`.
register_body = _BODIES.register
resolve_body = _BODIES.resolve
build_body = _BODIES.build
