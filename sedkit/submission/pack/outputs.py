"""The output files of a system to pack: read, checked against the evaluation list, and written as the year asks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import write_text
from sedkit.dataio.event_formats import events_text
from sedkit.dataio.events import Events
from sedkit.dataio.names import stem
from sedkit.dataio.tables import read_strong
from sedkit.evaluation.reading import read_operating_points
from sedkit.submission.clip_list import ClipList
from sedkit.submission.energy_tables import write_energy_tables
from sedkit.submission.formats import Format

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores
    from sedkit.postprocessing import Postprocessing


@dataclass(frozen=True)
class OutputToPack:
    """What a system hands in: its event table, or the scores of its runs and those of the same before post-processing.

    `points` writes its operating points into a folder, `energy` are CodeCarbon's tables by name.
    """

    events: Events | None = None
    points: Callable[[Path], object] | None = None
    runs: Sequence[Scores] = ()
    unprocessed: Sequence[Scores] = ()
    energy: Mapping[str, Path] = field(default_factory=dict)

    def write(self, folder: Path, label: str, form: Format) -> None:
        """Write the files into the system's folder."""
        if self.events is not None:
            write_text(folder / f"{label}{form.table_suffix}", events_text(self.events))
        if self.points is not None and form.points is not None:
            self.points(folder / f"{label}{form.points.suffix}")
        if form.scores is not None:
            for suffix, runs in (
                (form.scores.suffix, self.runs),
                (form.scores.unprocessed_suffix, self.unprocessed),
            ):
                for i, run in enumerate(runs, start=1):
                    _write_scores(folder / f"{label}{suffix.format(run=i)}", run, form)
        write_energy_tables(folder, self.energy)


def _write_scores(folder: Path, scores: Scores, form: Format) -> None:
    from sedkit.dataio.score_tsvs import write_score_tsvs

    columns = [scores.labels.index(label) for label in form.labels]
    submitted = replace(scores, framewise=scores.framewise[:, :, columns], labels=form.labels, clipwise=None)
    write_score_tsvs(folder, submitted)


def read_output(path: Path, form: Format, clips: ClipList | None) -> Events:
    """Read an event table; every clip of the evaluation list gets its row, others are an error."""
    events = read_strong(path, form.labels)
    if clips is None:
        return events
    known = set(clips.filenames)
    strange = [name for name in events.filenames if name not in known]
    if strange:
        raise SedkitError(f"{path}: {len(strange)} clips are not in the evaluation list ({listed(strange, 3)})")
    return events.keep_clips(clips.filenames)


def read_points(folder: str, form: Format) -> Callable[[Path], object]:
    """Read tables of operating points made elsewhere; they are written under their names, which end in thresholds."""
    files = [Path(table.source) for table in read_operating_points(folder).tables]
    # Scoring forgives rows that must not be handed in.
    tables = {file.name: events_text(read_strong(file, form.labels)) for file in files}

    def write(target: Path) -> None:
        for name, text in tables.items():
            write_text(target / name, text)

    return write


def points_of_scores(scores: Scores, rules: Postprocessing | None, form: Format) -> Callable[[Path], object] | None:
    """Decode scores at the format's thresholds, when the tables are written; None where it takes none."""
    from sedkit.postprocessing import decode_thresholds

    if form.points is None:
        return None
    thresholds = form.points.thresholds
    return lambda target: decode_thresholds(scores, thresholds, postprocessing=rules).write(target)


def read_output_scores(paths: Sequence[str], form: Format, clips: ClipList | None) -> list[Scores]:
    """Read the scores of a system's runs: the format's classes are there, and the clips of the list under its names.

    Raises UsageError for the same scores twice (runs are trainings of their own), SedkitError for classes or clips that
    have none.
    """
    from sedkit.dataio.store import read_scores

    runs: list[Scores] = []
    seen: dict[str, str] = {}
    for path in paths:
        scores = read_scores(path)
        twin = seen.setdefault(hashlib.sha256(np.ascontiguousarray(scores.framewise).tobytes()).hexdigest(), path)
        if len(seen) <= len(runs):
            same = "is given twice" if twin == path else f"holds the same scores as {twin}"
            raise UsageError(f"{path} {same}; expected the runs of one system, each trained by itself")
        runs.append(_select(scores, form, clips, path))
    return runs


def _select(scores: Scores, form: Format, clips: ClipList | None, path: str) -> Scores:
    """Check the classes, and keep the clips of the list under its names (score folders know only ids)."""
    absent = [label for label in form.labels if label not in scores.labels]
    if absent and form.scores is not None:
        raise SedkitError(
            f"{path}: no scores of {listed(absent)}; {form.name} takes all of its {len(form.labels)} classes"
        )
    if clips is None:
        return scores
    names = {stem(name): name for name in scores.filenames}
    absent = [name for name in clips.filenames if stem(name) not in names]
    if absent:
        raise SedkitError(f"{path}: no scores of {len(absent)} clips of the evaluation list ({listed(absent, 3)})")
    return scores.keep_clips([names[stem(name)] for name in clips.filenames])
