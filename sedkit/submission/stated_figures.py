"""What comparisons of stated results share: the reference, a figure that was found again, and how one is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.dataio.events import Events, tags_of
from sedkit.dataio.scores import Scores
from sedkit.evaluation.inputs import OperatingPoints, occurring
from sedkit.evaluation.reading import read_reference
from sedkit.submission.findings import shown
from sedkit.submission.formats import every_format
from sedkit.submission.meta.kinds import decimals
from sedkit.submission.meta.read import Meta

#: Figures from 0 to 1 are stated with two decimals or more.
_TOLERANCE = 0.00501
_TOLERANCE_OF_THREE = 0.00101


@dataclass(frozen=True)
class Confirmed:
    """A stated figure that was found again: which file and key, its value, the one recomputed, how, on what."""

    file: str
    key: str
    stated: float
    recomputed: float
    how: str
    reference: str

    def text(self) -> str:
        """Return one line for people."""
        return shown(
            f"{self.file}: {self.key} {self.stated:g} is right: {self.recomputed:.4f}, {self.how}, on {self.reference}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return a plain mapping."""
        return asdict(self)


class Reference:
    """A reference to recompute results on, read once for all systems.

    A column `confidence` (MAESTRO, 2024) is honoured: rows of 0.5 and less are not active. Events of another format's
    classes are left out: one table may hold several sets.
    """

    def __init__(self, path: str | os.PathLike[str], labels: tuple[str, ...]) -> None:
        self.path = os.fspath(path)
        events = read_reference(self.path)
        others = {label for form in every_format() for label in form.labels}
        strange = [label for label in occurring(events) if label not in labels and label not in others]
        if strange:
            hint = suggest(strange[0], labels)
            raise SedkitError(f"{path}: unknown label {strange[0]!r}{hint}; expected one of {listed(labels, 30)}")
        self.events = events.keep_labels(labels)


def figures_of(
    truth: Events,
    metric: str,
    duration_s: Mapping[str, float] | None = None,
    variant: str | None = None,
    *,
    estimate: Events | None = None,
    points: Iterable[Events] | None = None,
    scores: Scores | None = None,
) -> dict[str, Any]:
    """Return a metric's block of a results file; `variant` is one of PSDS, `points` are tables at rising thresholds."""
    from sedkit.evaluation.evaluate import evaluate
    from sedkit.evaluation.inputs import Options, Output, Truth

    tables = tuple(points) if points is not None else ()
    at = OperatingPoints("the operating points", tuple(map(float, range(len(tables)))), tables) if tables else None
    options = Options({"psds_variant": variant} if variant else {})
    found = evaluate(Truth(truth, tags_of(truth), duration_s), Output(estimate, at, scores), [metric], options)
    return dict(next(iter(found.values())))


def note(meta: Meta, message: str, expected: str = "") -> None:
    """Note why stated results are not recomputed."""
    meta.tell("results_not_recomputed", None, message, expected)


def note_durations(meta: Meta, keys: Sequence[str], reference: Reference) -> None:
    """Note that PSDS cannot be recomputed for want of durations."""
    message = f"{listed(keys)} not recomputed: the durations of the clips of {reference.path} are not known"
    note(meta, message, "--files with filename and duration")


def is_close(stated: float, computed: float) -> bool:
    """Tell whether a figure from 0 to 1 is a recomputed one, up to its rounding and the last digits of other tools.

    >>> is_close(0.36, 0.3592), is_close(0.353, 0.3592)
    (True, False)
    """
    return abs(stated - computed) <= (_TOLERANCE if decimals(stated) <= 2 else _TOLERANCE_OF_THREE)
