"""A whole set: what a network says of all its clips, and what is true of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores
from sedkit.evaluation.reading import read_table_to_score


@dataclass(frozen=True)
class SetSubject:
    """A set of recordings.

    Attributes
    ----------
    name
        Of the data dir.
    labels
        Classes of the data dir.
    duration_s
        Of the longest clip.
    scores, decoded, truth
        Of its clips; None where there is none.
    lacks
        Why there is none of `scores`, `events` (decoded) or `truth`.
    """

    name: str
    labels: tuple[str, ...]
    duration_s: float
    scores: Scores | None = None
    decoded: Events | None = None
    truth: Events | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        data: DataDir,
        experiment: Path,
        scores: Path | None = None,
        events: Path | None = None,
        folds: Sequence[str] | None = None,
    ) -> SetSubject:
        """Read a set.

        Parameters
        ----------
        data
            The data dir.
        experiment
            Its `scores/<set>.h5` and `events/<set>.tsv` are read where there are no others.
        scores, events
            Others.
        folds
            Only clips of these. Where there are scores, clips that they do not list are left out.

        Raises
        ------
        SedkitError
            A file that cannot be read, or that lists none of the clips.
        """
        name, lacks = data.path.resolve().name, {}
        paths = {"scores": scores, "events": events}
        for kind, ending in (("scores", "h5"), ("events", "tsv")):
            usual = experiment / kind / f"{name}.{ending}"
            if paths[kind] is None and usual.is_file():
                paths[kind] = usual
            elif paths[kind] is None:
                lacks[kind] = f"there is no {usual} (--{kind} names another file)"
        filenames = [data.clips.filename[i] for i in data.select(folds)]
        of_set, decoded = None, None
        if paths["scores"] is not None:
            of_set = read_scores(paths["scores"])
            filenames = _shared(filenames, of_set.filenames, paths["scores"])
        if paths["events"] is not None:
            decoded = read_table_to_score(paths["events"], "table of events")
            _shared(filenames, decoded.filenames, paths["events"])
            decoded = decoded.keep_clips(filenames)
        if not data.has_strong:
            lacks["truth"] = f"{data.path} has no strong.tsv"
        truth = data.strong().keep_clips(filenames) if data.has_strong else None
        labels = data.labels.labels
        decoded = None if decoded is None else decoded.keep_labels(labels)
        return cls(name, labels, float(np.max(data.clips.duration_s)), of_set, decoded, truth, lacks)


def _shared(filenames: Sequence[str], others: Iterable[str], path: Path) -> list[str]:
    others = [*others]
    shared = {*filenames} & {*others}
    if not shared:
        raise SedkitError(
            f"{path}: lists none of the clips ({listed(others, 2)}, expected some of {listed(filenames, 2)})"
        )
    return [name for name in filenames if name in shared]
