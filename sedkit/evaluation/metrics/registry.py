"""Metrics by name. A module of this folder registers its own with `@register`; nothing else has to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sedkit.core.errors import UsageError, suggest
from sedkit.core.options import Option, filled, options_of
from sedkit.core.registry import Registry
from sedkit.evaluation.metrics.base import Metric

_METRICS: Registry[Callable[[str, Any], Metric]] = Registry("sedkit.evaluation.metrics", "metric")

#: `@register(name, parameters)` of `builder(name, parameters) -> Metric`; `parameters` is their dataclass.
register = _METRICS.register


def all_metrics(settings: Mapping[str, Any] | None = None) -> dict[str, Metric]:
    """Return every metric by name, in the order of the results; `settings` are values of options by name."""
    metrics = [_built(name, settings or {}) for name in _METRICS.names()]
    return {metric.name: metric for metric in sorted(metrics, key=lambda metric: metric.place)}


def _built(name: str, settings: Mapping[str, Any]) -> Metric:
    builder, parameters = _METRICS.entry(name)
    return builder(name, filled(parameters, settings))


def metrics_named(names: Sequence[str], settings: Mapping[str, Any] | None = None) -> list[Metric]:
    """Return the metrics that `--metrics` names; raises UsageError for an unknown one."""
    known = _METRICS.names()
    for name in names:
        if name not in known:
            ordered = all_metrics()
            raise UsageError(f"--metrics {name}: unknown{suggest(name, ordered)}, expected {','.join(ordered)}")
    return [_built(name, settings or {}) for name in names]


def declared_options() -> list[Option]:
    """Return the command-line options that metrics declare, each once."""
    of_metrics = [options_of(type(metric.parameters)).values() for metric in all_metrics().values()]
    return list({option.name: option for options in of_metrics for option in options if option.help}.values())
