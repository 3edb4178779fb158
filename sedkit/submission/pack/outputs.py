"""The output files of a system: event tables, operating points, folders of score tables, CodeCarbon's tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sedkit.core.energy import TABLE_SUFFIX
from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.experiment_folder import ExperimentFolder
from sedkit.core.files import read_text, write_text
from sedkit.dataio.events import Events
from sedkit.dataio.names import stem
from sedkit.dataio.tables import events_text, read_strong
from sedkit.postprocessing.rule import FrameRule
from sedkit.postprocessing.rules import Postprocessing
from sedkit.submission.check.clips import ClipList
from sedkit.submission.formats import Format
from sedkit.submission.pack.meta import energy_stages

if TYPE_CHECKING:
    from sedkit.dataio.scores import Scores


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


def write_table(folder: Path, label: str, form: Format, events: Events) -> None:
    """Write a system's event table."""
    write_text(folder / f"{label}{form.table_suffix}", events_text(events))


def write_points(folder: Path, label: str, form: Format, scores: Scores, rules: Postprocessing | None) -> None:
    """Decode scores at the format's thresholds and write a table for each; nothing where it takes none."""
    from sedkit.postprocessing import decode_thresholds

    if form.points is not None:
        points = decode_thresholds(scores, form.points.thresholds, postprocessing=rules)
        points.write(folder / f"{label}{form.points.suffix}")


def write_runs(
    folder: Path, label: str, form: Format, runs: Sequence[Scores], unprocessed: Sequence[Scores] = ()
) -> None:
    """Write the score folders of a system's runs, and those of the same runs before post-processing."""
    assert form.scores is not None
    for i, run in enumerate(runs, start=1):
        _write_scores(folder / f"{label}{form.scores.suffix.format(run=i)}", run, form)
    for i, run in enumerate(unprocessed, start=1):
        _write_scores(folder / f"{label}{form.scores.unprocessed_suffix.format(run=i)}", run, form)


def _write_scores(folder: Path, scores: Scores, form: Format) -> None:
    from sedkit.dataio.score_tsvs import write_score_tsvs

    columns = [scores.labels.index(label) for label in form.labels]
    submitted = replace(scores, framewise=scores.framewise[:, :, columns], labels=form.labels, clipwise=None)
    write_score_tsvs(folder, submitted)


def copy_energy_tables(
    folder: Path, form: Format, experiment: ExperimentFolder, name: str | None, prefix: str = ""
) -> None:
    """Lay CodeCarbon's own tables beside the output, where the year asks for energy and it was measured."""
    for stage in energy_stages(name).values() if form.energy else ():
        table = experiment.energy_file(stage, TABLE_SUFFIX)
        if table.is_file():
            write_text(folder / "codecarbon" / f"{prefix}{stage}.csv", read_text(table))


def read_output_scores(paths: Sequence[str], form: Format, clips: ClipList | None) -> list[Scores]:
    """Read the scores of a system's runs: the format's classes are there, and the clips of the list under its names.

    Raises
    ------
    UsageError
        The same scores twice: runs are trainings of their own.
    SedkitError
        Classes or clips without scores.
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


def filtered(scores: Scores, rules: Postprocessing) -> Scores:
    """Return the scores after the rules' filters, 0 where the clip gate is closed."""
    from sedkit.postprocessing.decode import Limits, filter_scores
    from sedkit.postprocessing.gate import open_gate

    rules = rules.over(scores.labels)
    if any(type(rule) is not FrameRule for rule in rules.rules):
        raise SedkitError(
            f"{rules.source}: what the decoder {rules.decoder} makes are no frame scores; give post-processed scores "
            "with --scores"
        )
    gate = open_gate(scores, rules)
    framewise = np.zeros_like(scores.framewise)
    for group in filter_scores(scores, Limits.of(rules)):
        # Past a clip's end the filter leaves whatever was in memory.
        heard = np.arange(framewise.shape[1]) < group.n_frames[:, None]
        active = heard[:, :, None] & gate[group.clips][:, None, :]
        framewise[group.clips] = np.where(active, group.planes.transpose(0, 2, 1), 0)
    return replace(scores, framewise=framewise)
