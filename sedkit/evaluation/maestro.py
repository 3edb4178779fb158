"""The mean partial ROC area of 2024: over the evaluated classes of MAESTRO alone, not over all that were scored."""

from __future__ import annotations

import statistics

from sedkit.core.numbers import is_number
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import Vocabulary
from sedkit.evaluation.results_file import ResultsSection

#: Those of MAESTRO Real's classes that the mean partial ROC area of 2024 is taken over.
MAESTRO_EVALUATED = Vocabulary.read(metadata_path("classes", "maestro_evaluated.txt")).labels


def evaluated_area(block: ResultsSection) -> tuple[float | None, tuple[str, ...]]:
    """Average a block `segment_auc` over the evaluated classes.

    Return the mean, and the classes that keep it from being told: those the block lacks, or whose area is undefined.

    >>> classes = dict.fromkeys(MAESTRO_EVALUATED, 0.75) | {"announcement": 0.1}
    >>> evaluated_area(ResultsSection({"value": 0.5, "classes": classes}, "r.json: segment_auc."))
    (0.75, ())
    """
    classes = block.section("classes").content
    areas = [float(area) for label in MAESTRO_EVALUATED if is_number(area := classes.get(label))]
    missing = tuple(label for label in MAESTRO_EVALUATED if not is_number(classes.get(label)))
    return (None, missing) if missing else (statistics.fmean(areas), ())
