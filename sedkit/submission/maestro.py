"""The mean partial ROC area of 2024: over the evaluated classes of MAESTRO alone, not over all that were scored."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

from sedkit.submission.formats._format import MAESTRO_EVALUATED
from sedkit.submission.numbers import is_number

#: Why official figures must not stand beside a mean of other classes.
OTHER_CLASSES = "mean of other classes than MAESTRO's evaluated ones, which the official figures are of"


def classes_of(block: Any) -> Mapping[str, Any]:
    """Return the figures of a results block by class; empty where it holds none."""
    classes = block.get("classes") if isinstance(block, Mapping) else None
    return classes if isinstance(classes, Mapping) else {}


def evaluated_area(block: Any) -> tuple[float | None, tuple[str, ...]]:
    """Average a block `segment_auc` over the evaluated classes.

    Returns
    -------
    The mean, and the classes that keep it from being told: those the block lacks, or whose area is undefined.

    >>> evaluated_area({"value": 0.5, "classes": dict.fromkeys(MAESTRO_EVALUATED, 0.75) | {"announcement": 0.1}})
    (0.75, ())
    """
    classes = classes_of(block)
    areas = [classes.get(label) for label in MAESTRO_EVALUATED]
    known = [float(v) for v in areas if is_number(v)]
    if len(known) < len(MAESTRO_EVALUATED):
        return None, tuple(name for name, v in zip(MAESTRO_EVALUATED, areas, strict=True) if v not in known)
    return statistics.fmean(known), ()


def of_evaluated(block: Any, value: float, interval: Any) -> tuple[float, Any]:
    """Return a block's value and interval as those of the evaluated classes, unchanged where that cannot be told.

    The interval of a mean over other classes is about something else: it is left out.
    """
    area, _ = evaluated_area(block)
    if area is None or math.isclose(area, value, abs_tol=1e-9):
        return value, interval
    return area, None
