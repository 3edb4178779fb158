"""Data dirs: one folder a set, validated when written and when read.

`clips.tsv` (filename, audio, duration, optional fold, group), `weak.tsv`, `strong.tsv`, `labels.txt`, `missing.tsv`,
`set.json` (which set of which data set it is, and its role).
"""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed, suggest
from sedkit.core.files import atomic_folder, read_json, write_json, write_text
from sedkit.core.vocabulary import Vocabulary
from sedkit.dataio.events import Events, Tags
from sedkit.dataio.rows import read_rows, read_table, refuse, write_table
from sedkit.dataio.tables import durations_of, read_strong, read_weak, write_events, write_weak

#: What a data dir says of its clips.
TABLES = ("clips.tsv", "labels.txt", "weak.tsv", "strong.tsv")
#: Excerpts of the recordings, each of which is scored as a clip of its own (`sedkit predict --windows`).
EXCERPTS = "excerpts.tsv"
#: What `sedkit prepare` says of the set: dataset, set, role. It decides no feature.
FACTS = "set.json"
#: Beside the data dirs that one call of `sedkit prepare` made.
SUMMARY = "prepare.json"


@dataclass(frozen=True)
class Clips:
    """The clips of a set.

    Attributes
    ----------
    filename
        Unique names, as the official tables give them.
    audio
        Paths of the recordings (absolute, or relative to the data dir, so that both can be moved together).
    duration_s
        (clips,) float64, seconds of the recording on disk.
    fold
        The part that a clip belongs to, such as `train`, `select`, `tune`; None where the set is not split.
    group
        Source recording, location or speaker ("" where unknown); None where nothing is known.
    """

    filename: tuple[str, ...]
    audio: tuple[str, ...]
    duration_s: np.ndarray
    fold: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.filename)


class DataDir:
    """A set on disk.

    Raises
    ------
    SedkitError
        A table is missing or wrong; the message names file and row.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not (self.path / "clips.tsv").is_file():
            raise SedkitError(f"{self.path}: not a data dir (no clips.tsv); make it with `sedkit prepare`")

    @cached_property
    def clips(self) -> Clips:
        """Return the table of clips."""
        path = self.path / "clips.tsv"
        table = read_rows(path, ("filename", "audio", "duration"), ("fold", "group"), numbers=("duration",))
        refuse(table.findings, path)
        clips = Clips(
            tuple(table.cells("filename")),
            tuple(table.cells("audio")),
            durations_of(table),
            tuple(table.cells("fold")) if "fold" in table.names else None,
            tuple(table.cells("group")) if "group" in table.names else None,
        )
        _check_clips(clips, str(path))
        return clips

    @cached_property
    def labels(self) -> Vocabulary:
        """Return the class order."""
        return Vocabulary.read(self.path / "labels.txt")

    @cached_property
    def _facts(self) -> dict[str, str]:
        path = self.path / FACTS
        if not path.is_file():
            return {}
        facts: dict[str, str] = read_json(path)
        if not isinstance(facts, dict) or not all(isinstance(facts.get(x), str) for x in ("dataset", "set", "role")):
            raise SedkitError(f"{path}: expected dataset, set and role as text; make it again with `sedkit prepare`")
        return facts

    @property
    def identity(self) -> str:
        """Which set it is, whatever its folder is called: `desed/validation`; the folder's name where none is told."""
        return f"{self._facts['dataset']}/{self._facts['set']}" if self._facts else os.path.basename(self._real)

    @property
    def role(self) -> str | None:
        """What the set is for: `training`, `tuning`, `reported` or `entered`; None where none is told."""
        return self._facts.get("role")

    @property
    def has_weak(self) -> bool:
        """Whether clip-level labels are known."""
        return (self.path / "weak.tsv").is_file()

    @property
    def has_strong(self) -> bool:
        """Whether events are known."""
        return (self.path / "strong.tsv").is_file()

    def weak(self) -> Tags:
        """Return the tags of every clip, in the order of the clips."""
        path = self.path / "weak.tsv"
        if not path.is_file():
            raise SedkitError(f"{self.path}: has no weak.tsv, expected clip-level labels")
        return read_weak(path, self.labels.labels).keep_clips(self.clips.filename)

    def strong(self, soft: bool = False) -> Events:
        """Return the events of every clip, in the order of the clips; with `soft` the soft labels, where there are."""
        path = self.path / "strong.tsv"
        if not path.is_file():
            raise SedkitError(f"{self.path}: has no strong.tsv, expected events with onset and offset")
        events = read_strong(path, self.labels.labels, soft=True)
        extra = sorted(set(events.filenames) - set(self.clips.filename))
        if extra:
            raise SedkitError(f"{path}: {len(extra)} clips are not in clips.tsv ({listed(extra, 3)})")
        return (events if soft else events.active()).keep_clips(self.clips.filename)

    def audio_path(self, index: int) -> Path:
        """Return the recording of a clip: as seen from here or, where the data dir was moved alone, from before."""
        return Path(self._located(self.clips.audio[index]))

    def reachable(self) -> bool:
        """Tell, off the first row alone and without pandas, whether the recordings are where the table says."""
        with open(self.path / "clips.tsv", encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"), None)
        return row is None or os.path.exists(self._located(row["audio"]))

    def _located(self, audio: str) -> str:
        path = os.path.normpath(os.path.join(self._real, audio))
        if self._made_at is not None and not os.path.exists(path):
            made_at = os.path.normpath(os.path.join(self._made_at, audio))
            return made_at if os.path.exists(made_at) else path
        return path

    @cached_property
    def _real(self) -> str:
        return os.path.realpath(self.path)

    @cached_property
    def _made_at(self) -> str | None:
        """Where `sedkit prepare` made this data dir, if it is elsewhere now."""
        summary = Path(self._real).parent / SUMMARY
        record = read_json(summary) if summary.is_file() else None
        place = record.get("place") if isinstance(record, dict) else None
        if not isinstance(place, str) or place == str(summary.parent):
            return None
        return os.path.join(place, os.path.basename(self._real))

    def recordings(self) -> dict[str, str]:
        """Return the recording of every clip by its name; one that is not there is an error."""
        paths = {name: self._located(audio) for name, audio in zip(self.clips.filename, self.clips.audio, strict=True)}
        for i, path in enumerate(paths.values()):
            if not os.path.isfile(path):
                raise SedkitError(
                    f"{self.path / 'clips.tsv'}:{i + 2}: {path} is not there (`sedkit prepare` would leave it out)"
                )
        return paths

    def missing(self) -> tuple[str, ...]:
        """Return the clips that the official tables list and the disk lacks."""
        path = self.path / "missing.tsv"
        return tuple(read_table(path, ("filename",))["filename"]) if path.is_file() else ()

    def select(self, fold: Sequence[str] | None) -> np.ndarray:
        """Return the indices of the clips of some folds (int64); None means all of them."""
        if fold is None:
            return np.arange(len(self.clips))
        if self.clips.fold is None:
            raise SedkitError(f"{self.path}/clips.tsv: has no column fold, asked for {listed(fold)}")
        have = sorted(set(self.clips.fold))
        for name in fold:
            if name not in have:
                raise SedkitError(f"{self.path}/clips.tsv: no fold {name!r}{suggest(name, have)}; has {listed(have)}")
        return np.flatnonzero(np.isin(np.array(self.clips.fold), list(fold)))


def _check_clips(clips: Clips, where: str) -> None:
    seen: dict[str, int] = {}
    for i, name in enumerate(clips.filename):
        if not name:
            raise SedkitError(f"{where}:{i + 2}: no filename, expected the name of a clip")
        if name in seen:
            raise SedkitError(f"{where}:{i + 2}: {name} stands twice (first in line {seen[name] + 2})")
        seen[name] = i
        if not np.isfinite(clips.duration_s[i]) or clips.duration_s[i] <= 0:
            raise SedkitError(f"{where}:{i + 2}: duration {clips.duration_s[i]} of {name}, expected seconds above 0")


def write_datadir(
    path: str | os.PathLike[str],
    clips: Clips,
    labels: Vocabulary,
    weak: Tags | None = None,
    strong: Events | None = None,
    missing: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    excerpts: Mapping[str, Sequence[object]] | None = None,
) -> DataDir:
    """Write a set whole or not at all, and return it.

    Parameters
    ----------
    path
        The folder; what it held is replaced.
    missing
        Clips that the official tables list and the disk lacks.
    facts
        Which set it is: dataset, set, role.
    excerpts
        Columns of the table of excerpts.

    Raises
    ------
    SedkitError
        A name stands twice, a duration is not positive, or a label table speaks of an unknown clip.
    """
    where = f"{path}/clips.tsv"
    _check_clips(clips, where)
    for name, table in (("weak", weak), ("strong", strong)):
        extra = sorted(set(table.filenames) - set(clips.filename)) if table is not None else []
        if extra:
            raise SedkitError(f"{path}/{name}.tsv: {len(extra)} clips are not in clips.tsv ({listed(extra, 3)})")
    with atomic_folder(path) as folder:
        columns: dict[str, Sequence[object]] = {
            "filename": clips.filename,
            "audio": clips.audio,
            "duration": [f"{d:.6f}".rstrip("0").rstrip(".") for d in clips.duration_s],
        }
        if clips.fold is not None:
            columns["fold"] = clips.fold
        if clips.group is not None:
            columns["group"] = clips.group
        write_table(folder / "clips.tsv", columns)
        labels.write(folder / "labels.txt")
        if weak is not None:
            write_weak(folder / "weak.tsv", weak.keep_clips(clips.filename))
        if strong is not None:
            write_events(folder / "strong.tsv", strong.keep_clips(clips.filename))
        if excerpts is not None:
            write_table(folder / EXCERPTS, dict(excerpts))
        if missing:
            write_text(folder / "missing.tsv", "filename\n" + "".join(f"{name}\n" for name in missing))
        if facts is not None:
            write_json(folder / FACTS, facts)
    return DataDir(path)
