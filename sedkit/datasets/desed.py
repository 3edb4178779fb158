"""DESED (DCASE task 4, 2019 on): from its official layouts to data dirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.core.resources import metadata_path
from sedkit.core.vocabulary import DESED_CLASSES
from sedkit.dataio.datadir import Clips
from sedkit.dataio.events import Events, Tags, tags_of
from sedkit.dataio.names import stem
from sedkit.dataio.rows import columns_of, read_table
from sedkit.dataio.tables import read_filenames, read_strong, read_weak
from sedkit.datasets.audiofiles import Recording, files_of, locate, read_headers
from sedkit.datasets.desed_layout import Source, find_root, find_sources, ledger_of, not_read, table_at
from sedkit.datasets.desed_places import VALIDATION_PARTS
from sedkit.datasets.prepared import Prepared, coverage_line
from sedkit.datasets.recordings import Key, clashes, groups_of, read_ledger, refuse_clashes
from sedkit.datasets.splits import split_parts

#: An event may end this much after its clip without a word: times have three decimals.
_END_TOLERANCE_S = 0.002
_STRONG_COLUMNS = ("filename", "onset", "offset", "event_label")


@dataclass
class SetOnDisk:
    """A set as found: what is listed, what is there, what is known of it."""

    source: Source
    listed: tuple[str, ...]
    paths: dict[str, Path]
    recordings: dict[str, Recording] = field(default_factory=dict)
    weak: Tags | None = None
    strong: Events | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Clips that are listed but not there, or not readable."""
        held = self.recordings or self.paths
        return tuple(name for name in self.listed if name not in held)


# ---- reading --------------------------------------------------------------------------------------------------------


def read_set(source: Source, lenient: bool, labels: bool = True) -> SetOnDisk:
    """Read the tables of a set and look which of its clips are on disk.

    Parameters
    ----------
    source
        The set.
    lenient
        Leave broken rows out and count them.
    labels
        Read the labels too, not only which clips are listed.
    """
    weak, strong = None, None
    names: dict[str, None] = {}
    files = files_of(source.folders)
    # Where none of the audio is there, labels are of no use and their faults of no harm.
    labels = labels and bool(files)
    for table in source.tables:
        columns = columns_of(table)
        if not labels or columns == ("filename",):
            names.update(dict.fromkeys(read_filenames(table)))
        elif "event_labels" in columns:
            weak = read_weak(table, DESED_CLASSES.labels, lenient)
            names.update(dict.fromkeys(weak.filenames))
        elif "event_label" in columns:
            more = read_strong(table, DESED_CLASSES.labels, lenient)
            strong = more if strong is None else joined(strong, more)
            names.update(dict.fromkeys(more.filenames))
        else:
            raise SedkitError(
                f"{table}:1: columns {listed(columns)}; expected filename alone, filename and event_labels, "
                f"or {', '.join(_STRONG_COLUMNS)}"
            )
    if not source.tables:
        names = dict.fromkeys(sorted(files))
    paths = locate(tuple(names), files)
    if source.whole_folder and source.tables:
        held = {stem(name) for name in names}
        extra = sorted(name for name in files if stem(name) not in held)
        names.update(dict.fromkeys(extra))
        paths.update({name: files[name] for name in extra})
    return SetOnDisk(source, tuple(names), paths, weak=weak, strong=strong)


def joined(first: Events, second: Events) -> Events:
    """Two strong tables as one."""
    return Events.from_rows([*first.rows(), *second.rows()], first.labels, f"{first.source}, {second.source}")


def coverage(root: Path, evaluation: str | None = None) -> list[str]:
    """One line a set, ``weak: 1570/1578 clips``, read off the lists and folders alone."""
    base = find_root(root)
    found = [read_set(source, lenient=True, labels=False) for source in find_sources(base, evaluation)]
    _need_some(base, found, evaluation)
    _say_absent(base, found)
    return [coverage_line(s.source.name, len(s.paths), len(s.listed)) for s in found if s.listed]


def _say_absent(root: Path, found: Sequence[SetOnDisk]) -> None:
    """Say of every set of the layout what is absent, and what lies in the root beside the sets."""
    for s in found:
        name, tables = s.source.name, listed(s.source.tables)
        if not s.listed:
            log.info("%s: absent: %s", name, s.source.looked_for or f"{tables or listed(s.source.folders)}: no clip")
        elif not s.paths:
            places = listed((folder for folder in s.source.folders if not folder.name.endswith("_16k")), 8)
            log.warning(
                "%s: none of the %d clips of %s is on disk; looked for in %s", name, len(s.listed), tables, places
            )
        elif s.source.labelled and not s.source.tables:
            log.warning(
                "%s: %d clips, and no table: they are taken without labels (%s)",
                name,
                len(s.paths),
                s.source.looked_for,
            )
    folders, others = not_read(root, [s.source for s in found])
    if folders:
        log.warning("not read, for they belong to none of these sets: audio in %s", listed(folders, 8))
    if others:
        log.info("not read, for they belong to none of these sets: %s", listed(others, 8))


def _need_some(root: Path, found: Sequence[SetOnDisk], evaluation: str | None) -> None:
    if not any(s.paths for s in found):
        raise SedkitError(f"{root}: no clip of any DESED set is on disk; `sedkit download desed` says how to get them")
    # A list that the data set brings along may be without audio; one that was asked for may not.
    entered = [s for s in found if s.source.name == "evaluation"]
    if evaluation and not any(s.paths for s in entered):
        places = listed(dict.fromkeys(str(folder) for s in entered for folder in s.source.folders), 8)
        raise SedkitError(
            f"--evaluation {evaluation}: none of its clips is on disk, expected audio in {places or evaluation}"
        )


def prepare(
    root: Path, *, lenient: bool = False, evaluation: str | None = None, seed: int = 0, jobs: int = 1
) -> list[Prepared]:
    """Read a DESED root and return what its data dirs hold.

    Parameters
    ----------
    root
        Folder with `audio/` and `metadata/`, in any official layout (`desed_places`).
    lenient
        Leave out and count what is broken: rows, audio files, training clips that are also reported.
    evaluation
        Folder of audio, or list of file names, to enter the challenge with.
    seed
        Of the split of the training sets.
    jobs
        Processes for reading headers.

    Raises
    ------
    SedkitError
        A row or a file is broken (named), or a recording stands on the training and the reported side.
    """
    base = find_root(root)
    found = [read_set(source, lenient) for source in find_sources(base, evaluation)]
    _need_some(base, found, evaluation)
    _say_absent(base, found)
    for s in (s for s in found if s.listed):
        s.recordings = read_headers(s.paths, jobs, lenient, s.source.name)
        print(coverage_line(s.source.name, len(s.recordings), len(s.listed)))
        _describe(s)
    recordings = _recordings(base, found)
    left_out = _left_out(found, recordings, lenient)
    training = [s for s in found if s.source.side == "training" and s.recordings]
    others = [s for s in found if s.source.side != "training" and s.recordings]
    keys = [(s.source.name, name) for s in training for name in s.recordings if (s.source.name, name) not in left_out]
    groups = groups_of(keys, recordings, "training sets")
    parts = _parts(training, keys, groups, seed)
    out = [_prepared(s, [k[1] for k in keys if k[0] == s.source.name], parts, groups) for s in training]
    for s in others:
        own = [(s.source.name, name) for name in s.recordings]
        folds = _validation_folds(base, own) if s.source.name == "validation" else None
        out.append(_prepared(s, list(s.recordings), folds, groups_of(own, recordings, s.source.name)))
    return out


def _recordings(base: Path, found: Sequence[SetOnDisk]) -> dict[Key, tuple[str, ...]]:
    """Source recordings of each clip, as far as a ledger tells them."""
    ledger = read_ledger(ledger_of(base))
    return {
        (s.source.name, name): ledger[s.source.ledger, name]
        for s in found
        for name in s.recordings
        if (s.source.ledger, name) in ledger
    }


def reported_side(root: Path, jobs: int = 1) -> tuple[dict[Key, Recording], Mapping[Key, tuple[str, ...]]]:
    """Clips that a DESED root reports on, and their source recordings: for sets that are to be trained on beside it.

    A file that cannot be read is passed over: preparing the root itself is what complains of it.
    """
    base = find_root(root)
    found = [read_set(s, lenient=True, labels=False) for s in find_sources(base) if s.side != "training"]
    for s in found:
        s.recordings = read_headers(s.paths, jobs, lenient=True, description=s.source.name)
    clips = {(s.source.name, name): recording for s in found for name, recording in s.recordings.items()}
    return clips, _recordings(base, found)


def _describe(s: SetOnDisk) -> None:
    """Say what is irregular about the audio and the events of a set."""
    if not s.recordings:
        return
    found = list(s.recordings.values())
    duration = np.array([r.duration_s for r in found])
    rates, counts = np.unique([r.sample_rate for r in found], return_counts=True)
    notes = (
        [f"{rate} Hz: {count}" for rate, count in zip(rates, counts, strict=True)]
        if len(rates) > 1
        else [f"{rates[0]} Hz"]
    )
    for n, what in (
        (sum(r.channels > 1 for r in found), "not mono"),
        (int((duration < 9.95).sum()), "shorter than 10 s"),
        (int((duration > 10.05).sum()), "longer"),
    ):
        if n:
            notes.append(f"{n} {what}")
    log.info("%s: %s; %.2f h", s.source.name, ", ".join(notes), duration.sum() / 3600)
    if s.strong is not None and s.strong.n_events:
        end = np.array([s.recordings[n].duration_s if n in s.recordings else np.inf for n in s.strong.filenames])
        late = np.flatnonzero(s.strong.offset_s > end[s.strong.clip] + _END_TOLERANCE_S)
        if len(late):
            i = int(late[0])
            log.warning(
                "%s: %d events end after their clip (kept as they are), the first: %s:%d ends at %g s, clip at %g s",
                s.source.name,
                len(late),
                s.strong.source,
                s.strong.line[i],
                s.strong.offset_s[i],
                end[s.strong.clip[i]],
            )


def _left_out(found: list[SetOnDisk], recordings: dict[Key, tuple[str, ...]], lenient: bool) -> set[Key]:
    """Training clips that are also reported: known ones of the official tables, and, leniently, any others."""
    sides: dict[str, dict[Key, Recording]] = {"training": {}, "reported": {}}
    for s in found:
        side = "training" if s.source.side == "training" else "reported"
        sides[side].update({(s.source.name, name): r for name, r in s.recordings.items()})
    shared = clashes(sides["training"], sides["reported"], recordings)
    table = read_table(metadata_path("desed_shared_videos.tsv"), ("set", "filename"))
    known = set(zip(table["set"], table["filename"], strict=True)) & set(shared)
    if known:
        log.info(
            "left out of training: %d clips whose video the official tables also report on (%s)",
            len(known),
            listed(sorted(f"{k[0]}/{k[1]}" for k in known), 3),
        )
    return known | refuse_clashes({k: text for k, text in shared.items() if k not in known}, lenient)


# ---- parts and data dirs --------------------------------------------------------------------------------------------


def _tags(s: SetOnDisk, names: Sequence[str]) -> np.ndarray:
    if s.weak is not None:
        return s.weak.keep_clips(names).present
    if s.strong is not None:
        return tags_of(s.strong.keep_clips(names)).present
    return np.zeros((len(names), 0), dtype=bool)


def _parts(training: list[SetOnDisk], keys: list[Key], groups: dict[Key, str], seed: int) -> dict[Key, str]:
    """Part of each training clip; a group that two sets share is on the same part in both.

    Unlabelled clips serve neither selection nor tuning: they are `train`, unless their group is held out elsewhere.
    The synthetic validation set of 2021 is held out whole, half `select`, half `tune`.
    """
    parts: dict[Key, str] = {}
    fixed: dict[str, str] = {}
    for s in training:
        own = [key for key in keys if key[0] == s.source.name]
        names = [groups[key] for key in own]
        if s.source.shares is None:
            chosen: Sequence[str] = [fixed.get(name, "train") for name in names]
        else:
            chosen = split_parts(_tags(s, [k[1] for k in own]), names, seed, fixed, s.source.shares)
        parts.update(zip(own, chosen, strict=True))
        fixed.update({name: part for name, part in zip(names, chosen, strict=True) if name})
    return parts


def _validation_folds(base: Path, keys: list[Key]) -> dict[Key, str]:
    """The 2018 set that each validation clip comes from, where the tables of both are there."""
    folds = dict.fromkeys(keys, "validation")
    for part, tables in VALIDATION_PARTS.items():
        found = [table for table in (table_at(base, name) for name in tables) if table]
        members = {name for table in found for name in read_filenames(table)}
        folds.update({key: part for key in keys if key[1] in members})
    return folds


def _prepared(s: SetOnDisk, names: list[str], folds: dict[Key, str] | None, groups: dict[Key, str]) -> Prepared:
    keys = [(s.source.name, name) for name in names]
    found = [s.recordings[name] for name in names]
    clips = Clips(
        tuple(names),
        tuple(str(r.path) for r in found),
        np.array([r.duration_s for r in found], dtype=np.float64),
        tuple(folds[key] for key in keys) if folds is not None else None,
        tuple(groups[key] for key in keys),
    )
    strong = s.strong.keep_clips(names) if s.strong is not None else None
    # A set with events has tags too: systems train on either.
    weak = s.weak.keep_clips(names) if s.weak is not None else tags_of(strong) if strong is not None else None
    return Prepared(s.source.name, clips, DESED_CLASSES, weak, strong, s.missing, len(s.listed))
