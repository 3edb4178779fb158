"""A whole set: what a network says of all its clips, and what is true of them."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.dataio.datadir import DataDir
from sedkit.dataio.events import Events
from sedkit.dataio.scores import Scores
from sedkit.dataio.store import read_scores
from sedkit.evaluation.inputs import OperatingPoints
from sedkit.evaluation.reading import names_as_in, read_operating_points, read_table_to_score
from sedkit.postprocessing import decode_thresholds, read_postprocessing
from sedkit.postprocessing.operating_points import even_thresholds

#: Operating points of scores that have no folder of them: enough for a curve, and decoded in a moment.
_POINTS = 25


class SetFiles(NamedTuple):
    """What there is of one system's output on a set; None where there is none.

    Attributes
    ----------
    scores, events
        `scores.h5` or a folder of score TSVs; a table of decoded events.
    points
        A folder with a table of events per threshold.
    rules
        Post-processing, with which operating points are decoded where there is no folder of them.
    """

    scores: Path | None = None
    events: Path | None = None
    points: Path | None = None
    rules: Path | None = None


@dataclass(frozen=True)
class SetSubject:
    """A set of recordings, and one system's output on it.

    Attributes
    ----------
    name
        Of the data dir.
    labels
        Classes of the data dir; without one, those of the system.
    duration_s
        Of the longest clip.
    scores, decoded, truth
        Of its clips; None where there is none.
    lacks
        Why there is none of `scores`, `events` (decoded), `truth` or `points`.
    system
        What the system is called, in legends.
    filenames
        The clips.
    durations_s
        (clips,) seconds of each.
    points
        The decoded events at several thresholds.
    points_from
        What these are, for titles.
    remarks
        What of the system's files is passed over, a line each.
    """

    name: str
    labels: tuple[str, ...]
    duration_s: float
    scores: Scores | None = None
    decoded: Events | None = None
    truth: Events | None = None
    lacks: Mapping[str, str] = field(default_factory=dict)
    system: str = "decoded"
    filenames: tuple[str, ...] = ()
    durations_s: np.ndarray = field(default_factory=lambda: np.zeros(0))
    points: OperatingPoints | None = None
    points_from: str = ""
    remarks: tuple[str, ...] = ()

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
        name = data.path.resolve().name
        usual = usual_files(experiment, name)
        files = usual._replace(scores=scores or usual.scores, events=events or usual.events)
        return cls.read(name, data, files, folds, where=experiment)

    @classmethod
    def read(
        cls,
        name: str,
        data: DataDir | None,
        files: SetFiles,
        folds: Sequence[str] | None = None,
        system: str = "decoded",
        where: Path | None = None,
    ) -> SetSubject:
        """Read the files of a set.

        Parameters
        ----------
        data
            The set's data dir; None where it is not known: the truth is not, then.
        files
            The system's output.
        folds
            Only clips of these.
        system
            What the system is called.
        where
            The experiment, for what is said of files that are not there.
        """
        lacks = {}
        for kind, ending in (("scores", "h5"), ("events", "tsv")):
            if getattr(files, kind) is None:
                usual = "no file of them" if where is None else f"no {where / kind / f'{name}.{ending}'}"
                lacks[kind] = f"there is {usual} (--{kind} names another file)"
        scores = None if files.scores is None else read_scores(files.scores)
        decoded = None if files.events is None else read_table_to_score(files.events, "table of events")
        if data is None:
            lacks["truth"] = f"the data dir of {name} is not known (--data DIR names it)"
            labels = (scores or decoded).labels if scores or decoded else ()  # type: ignore[union-attr]
            filenames = list(
                dict.fromkeys((*(scores.filenames if scores else ()), *(decoded.filenames if decoded else ())))
            )
            seconds = dict(zip(scores.filenames, scores.duration_s, strict=True)) if scores else _ends_s(decoded)
        else:
            labels, rows = data.labels.labels, data.select(folds)
            filenames = [data.clips.filename[i] for i in rows]
            seconds = dict(zip(data.clips.filename, data.clips.duration_s, strict=True))
        remarks = []
        if scores is not None:
            scores = scores.named_as(filenames)
            filenames = _shared(filenames, scores.filenames, files.scores)
        if decoded is not None:
            decoded = replace(decoded, filenames=names_as_in(filenames, decoded.filenames, decoded.source))
            shared = _shared(filenames, decoded.filenames, files.events)
            if more := len(decoded.filenames) - len(shared):
                remarks.append(f"{files.events}: {more} clips are not among the {len(filenames)} of {name}")
            decoded = decoded.keep_clips(filenames)
            if other := [
                label for k, label in enumerate(decoded.labels) if label not in labels and (decoded.label == k).any()
            ]:
                remarks.append(f"{files.events}: events of {listed(other)} are left out, which {name} does not know")
            decoded = decoded.keep_labels(labels)
        truth = None
        if data is not None and not data.has_strong:
            lacks["truth"] = f"{data.path} has no strong.tsv"
        elif data is not None:
            truth = data.strong().keep_clips(filenames)
        durations_s = np.array([seconds.get(clip, 0.0) for clip in filenames])
        longest_s = float(np.max(durations_s if data is None else data.clips.duration_s, initial=0.0))
        subject = cls(
            name,
            labels,
            longest_s,
            scores,
            decoded,
            truth,
            lacks,
            system,
            tuple(filenames),
            durations_s,
            remarks=tuple(remarks),
        )
        return subject._with_points(files)

    @property
    def occurring(self) -> tuple[str, ...]:
        """The classes that there are true or decoded events of; all where there are none at all."""
        return occurring_in([self])

    def keep_clips(self, kept: Container[str]) -> SetSubject:
        """Return the set without the clips that are not among those kept; scores keep all."""
        filenames = tuple(name for name in self.filenames if name in kept)
        if filenames == self.filenames:
            return self
        rows = [i for i, name in enumerate(self.filenames) if name in kept]
        points = self.points
        if points is not None:
            points = replace(points, tables=tuple(table.keep_clips(filenames) for table in points.tables))
        return replace(
            self,
            filenames=filenames,
            durations_s=self.durations_s[rows],
            decoded=None if self.decoded is None else self.decoded.keep_clips(filenames),
            truth=None if self.truth is None else self.truth.keep_clips(filenames),
            points=points,
        )

    def _with_points(self, files: SetFiles) -> SetSubject:
        """Add operating points: those of a folder, else those of the scores under the rules."""
        if files.points is not None:
            points = read_operating_points(files.points)
            tables = tuple(
                replace(table, filenames=names_as_in(self.filenames, table.filenames, table.source, warn=False))
                .keep_clips(self.filenames)
                .keep_labels(self.labels)
                for table in points.tables
            )
            points = replace(points, tables=tables)
            return replace(self, points=points, points_from=f"{len(tables)} operating points")
        if self.scores is None:
            return replace(self, lacks={**self.lacks, "points": f"no operating points and no scores of {self.name}"})
        scores = self.scores.keep_clips(self.filenames)
        thresholds = even_thresholds(_POINTS)
        try:
            rules = read_postprocessing("0.5" if files.rules is None else str(files.rules), scores.labels)
            decoded = decode_thresholds(scores, thresholds, rules)
        except SedkitError as error:
            # Rules behind the gate of another's tags, scores without clip scores.
            return replace(self, lacks={**self.lacks, "points": f"the scores cannot be decoded: {error}"})
        tables = tuple(events.keep_labels(self.labels) for events in decoded)
        of = "the raw scores" if files.rules is None else f"the scores under {files.rules.name}"
        points = OperatingPoints(str(files.scores), tuple(thresholds.tolist()), tables)
        return replace(self, points=points, points_from=f"{_POINTS} thresholds of {of}")


@dataclass(frozen=True)
class SystemsSubject:
    """Several systems on one set, drawn together; `name` is the set's.

    `lacks` tells why none of the systems has `events`, `points` or `truth`, by the first one's word.
    """

    name: str
    systems: tuple[SetSubject, ...]

    @property
    def lacks(self) -> dict[str, str]:
        """What no system has."""
        first, *others = (system.lacks for system in self.systems)
        return {key: why for key, why in first.items() if all(key in lacks for lacks in others)}

    def having(self, *needs: str) -> list[SetSubject]:
        """Return the systems that lack none of these."""
        return [system for system in self.systems if not {*needs} & system.lacks.keys()]


def occurring_in(systems: Sequence[SetSubject]) -> tuple[str, ...]:
    """Return the classes that any system's truth or output has events of, in the data dir's order; all if none has."""
    tables = [table for system in systems for table in (system.truth, system.decoded) if table is not None]
    classes = {table.labels[k] for table in tables for k in np.unique(table.label)}
    labels = systems[0].labels
    return tuple(label for label in labels if label in classes) or labels


def usual_files(experiment: Path, name: str) -> SetFiles:
    """Return what an experiment's folder has of a set."""
    places = {
        "scores": experiment / "scores" / f"{name}.h5",
        "events": experiment / "events" / f"{name}.tsv",
        "points": experiment / "points" / name,
        "rules": experiment / "postprocessing.yaml",
    }
    return SetFiles(**{key: path for key, path in places.items() if path.exists()})


def _ends_s(events: Events | None) -> dict[str, float]:
    """Return when the last event of each clip ends: its duration at least."""
    if events is None:
        return {}
    ends_s = np.zeros(len(events.filenames))
    np.maximum.at(ends_s, events.clip, events.offset_s)
    return dict(zip(events.filenames, ends_s.tolist(), strict=True))


def _shared(filenames: Sequence[str], others: Iterable[str], path: Path | None) -> list[str]:
    others = [*others]
    shared = {*filenames} & {*others}
    if not shared:
        raise SedkitError(
            f"{path}: lists none of the clips ({listed(others, 2)}, expected some of {listed(filenames, 2)})"
        )
    return [name for name in filenames if name in shared]
