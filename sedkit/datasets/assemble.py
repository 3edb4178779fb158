"""From a declared data set to what its data dirs hold: coverage, leak check, groups, parts, the same for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.dataio.datadir import Clips
from sedkit.dataio.events import tags_of
from sedkit.dataio.names import stem
from sedkit.datasets.audiofiles import Recording, files_of, locate, read_headers
from sedkit.datasets.base import Contents, DataSet, Source
from sedkit.datasets.prepared import Prepared, coverage_line
from sedkit.datasets.recordings import Key, clashes, groups_of, read_ledger, refuse_clashes
from sedkit.datasets.registry import dataset_named
from sedkit.datasets.splits import PARTS, split_parts

#: An event may end this much after its clip without a word: times have three decimals.
_END_TOLERANCE_S = 0.002
#: Clips that differ by less from the length of a clip are as long.
_LENGTH_TOLERANCE_S = 0.05


@dataclass
class SetOnDisk:
    """A set as it is found: what its tables say, which files are there, what their headers say."""

    source: Source
    contents: Contents
    paths: dict[str, Path]
    recordings: dict[str, Recording] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Of the set."""
        return self.source.name

    @property
    def listed(self) -> tuple[str, ...]:
        """Every clip of the set, on disk or not."""
        return self.contents.filenames

    @property
    def missing(self) -> tuple[str, ...]:
        """Clips that are listed but not there, or not readable."""
        readable = self.recordings or self.paths
        return tuple(name for name in self.listed if name not in readable)

    def keys(self, left_out: Iterable[Key] = ()) -> list[Key]:
        """(set, filename) of its clips on disk."""
        gone = frozenset(left_out)
        return [key for name in self.recordings if (key := (self.name, name)) not in gone]


def read_set(dataset: DataSet, root: Path, source: Source, lenient: bool, labels: bool = True) -> SetOnDisk:
    """Read the tables of a set, with labels or without, and look which of its clips are on disk."""
    files = files_of(source.folders)
    # Where none of the audio is there, labels are of no use and their faults of no harm.
    contents = dataset.read(root, source, lenient, labels and bool(files))
    names = dict.fromkeys(contents.filenames if source.tables else sorted(files))
    paths = locate(tuple(names), files)
    if source.layout.whole_folder and source.tables:
        stems = {stem(name) for name in names}
        unlisted = sorted(name for name in files if stem(name) not in stems)
        names.update(dict.fromkeys(unlisted))
        paths.update({name: files[name] for name in unlisted})
    contents.filenames = tuple(names)
    return SetOnDisk(source, contents, paths)


def coverage(dataset: DataSet, root: Path) -> list[str]:
    """One line a set, ``weak: 1570/1578 clips``, read off the lists and folders alone."""
    base = dataset.find_root(root)
    sets = _read_all(dataset, base, lenient=True, labels=False)
    return [coverage_line(s.name, len(s.paths), len(s.listed)) for s in sets if s.listed]


def prepare(dataset: DataSet, root: Path, *, lenient: bool = False, seed: int = 0, jobs: int = 1) -> list[Prepared]:
    """Read a data set and return what its data dirs hold.

    Parameters
    ----------
    dataset
        What is declared of it.
    root
        Where it lies.
    lenient
        Leave out and count what is broken: rows, audio files, training clips that are also reported.
    seed
        Of the split of the training sets.
    jobs
        Processes for reading headers.

    Raises
    ------
    SedkitError
        A row or a file is broken (named), or a recording stands on the training and the reported side.
    """
    base = dataset.find_root(root)
    sets = _read_all(dataset, base, lenient, labels=True)
    for s in (s for s in sets if s.listed):
        s.recordings = read_headers(s.paths, jobs, lenient, s.name)
        print(coverage_line(s.name, len(s.recordings), len(s.listed)))
        _describe(s, dataset.clip_s)
    sources = _sources_of_clips(dataset, base, sets)
    left_out = _left_out(dataset, sets, sources, lenient, jobs)
    learned = [s for s in sets if s.source.layout.learned and s.recordings]
    others = [s for s in sets if not s.source.layout.learned and s.recordings]
    keys = [key for s in learned for key in s.keys(left_out)]
    groups = _groups(learned, keys, sources, "training sets")
    folds = _folds(learned, keys, groups, seed)
    out = [_prepared(dataset, s, s.keys(left_out), folds, groups) for s in learned]
    for s in others:
        groups = _groups([s], s.keys(), sources, s.name)
        own = dict(zip(s.keys(), _given_folds(s, s.keys()), strict=True)) if s.contents.fold is not None else None
        out.append(_prepared(dataset, s, s.keys(), own, groups))
    return out


# ---- what is there --------------------------------------------------------------------------------------------------


def _read_all(dataset: DataSet, base: Path, lenient: bool, labels: bool) -> list[SetOnDisk]:
    sets = [read_set(dataset, base, source, lenient, labels) for source in dataset.sources(base)]
    if not any(s.paths for s in sets):
        raise SedkitError(
            f"{base}: no clip of any {dataset.title} set is on disk; "
            f"`sedkit download {dataset.name}` may say how to get them"
        )
    # A list that the data set brings along may be without audio; one that was asked for may not.
    for s in sets:
        if s.source.asked and not s.paths:
            places = listed(dict.fromkeys(map(str, s.source.folders)), 8)
            raise SedkitError(f"{s.source.asked}: none of its clips is on disk, expected audio in {places}")
    _say_absent(dataset, base, sets)
    return sets


def _say_absent(dataset: DataSet, base: Path, sets: Sequence[SetOnDisk]) -> None:
    """Say of every set of the layout what is absent, and what lies in the root beside the sets."""
    for s in sets:
        name, tables = s.name, listed(s.source.tables)
        if not s.listed:
            log.info("%s: absent: %s", name, s.source.looked_for or f"{tables or listed(s.source.folders)}: no clip")
        elif not s.paths:
            resampled = dataset.resampled or "\0"
            places = listed((folder for folder in s.source.folders if not folder.name.endswith(resampled)), 8)
            log.warning(
                "%s: none of the %d clips of %s is on disk; looked for in %s", name, len(s.listed), tables, places
            )
        elif s.source.layout.labelled and not s.source.tables:
            log.warning(
                "%s: %d clips, and no table: they are taken without labels (%s)",
                name,
                len(s.paths),
                s.source.looked_for,
            )
    folders, others = dataset.unread(base, [s.source for s in sets])
    if folders:
        log.warning("not read, for they belong to none of these sets: audio in %s", listed(folders, 8))
    if others:
        log.info("not read, for they belong to none of these sets: %s", listed(others, 8))


def _describe(s: SetOnDisk, clip_s: float | None) -> None:
    """Say what is irregular about the audio and the events of a set."""
    if not s.recordings:
        return
    recordings, strong = list(s.recordings.values()), s.contents.strong
    duration = np.array([r.duration_s for r in recordings])
    rates, counts = np.unique([r.sample_rate for r in recordings], return_counts=True)
    notes = [f"{rates[0]} Hz"]
    if len(rates) > 1:
        notes = [f"{rate} Hz: {count}" for rate, count in zip(rates, counts, strict=True)]
    irregular = {"not mono": sum(r.channels > 1 for r in recordings)}
    if clip_s is not None:
        irregular[f"shorter than {clip_s:g} s"] = int((duration < clip_s - _LENGTH_TOLERANCE_S).sum())
        irregular["longer"] = int((duration > clip_s + _LENGTH_TOLERANCE_S).sum())
    notes += [f"{count} {what}" for what, count in irregular.items() if count]
    log.info("%s: %s; %.2f h", s.name, ", ".join(notes), duration.sum() / 3600)
    if strong is not None and strong.n_events:
        end = np.array([s.recordings[n].duration_s if n in s.recordings else np.inf for n in strong.filenames])
        late = np.flatnonzero(strong.offset_s > end[strong.clip] + _END_TOLERANCE_S)
        if len(late):
            i = int(late[0])
            log.warning(
                "%s: %d events end after their clip (kept as they are), the first: %s:%d ends at %g s, clip at %g s",
                s.name,
                len(late),
                strong.source,
                strong.line[i],
                strong.offset_s[i],
                end[strong.clip[i]],
            )


# ---- the two sides --------------------------------------------------------------------------------------------------


def _sources_of_clips(dataset: DataSet, base: Path, sets: Sequence[SetOnDisk]) -> dict[Key, tuple[str, ...]]:
    """Source recordings of each clip, as far as a ledger tells them."""
    ledger = read_ledger(base / dataset.ledger)
    return {
        (s.name, name): ledger[key]
        for s in sets
        for name in s.recordings
        if (key := (s.source.layout.ledger or s.name, name)) in ledger
    }


def _reported_beside(dataset: DataSet, jobs: int) -> tuple[dict[Key, Recording], dict[Key, tuple[str, ...]]]:
    """Clips that other data sets report on, and their source recordings.

    A file that cannot be read is passed over: preparing that data set is what complains of it.
    """
    clips: dict[Key, Recording] = {}
    sources: dict[Key, tuple[str, ...]] = {}
    for name, root in dataset.compared().items():
        other = dataset_named(name)
        base = other.find_root(root)
        sets = [read_set(other, base, s, True, labels=False) for s in other.sources(base) if not s.layout.learned]
        for s in sets:
            s.recordings = read_headers(s.paths, jobs, lenient=True, description=s.name)
            clips.update({(f"{name}/{s.name}", clip): recording for clip, recording in s.recordings.items()})
        # A ledger's entry is `label:recording`; what was cut from a set of recordings carries their id there.
        for (part, clip), entries in _sources_of_clips(other, base, sets).items():
            sources[f"{name}/{part}", clip] = (*entries, *(entry.rsplit(":", 1)[-1] for entry in entries))
    return clips, sources


def _left_out(
    dataset: DataSet, sets: list[SetOnDisk], sources: Mapping[Key, tuple[str, ...]], lenient: bool, jobs: int
) -> set[Key]:
    """Training clips that are also reported: known ones of the official tables, and, leniently, any others."""
    reported, known_sources = _reported_beside(dataset, jobs)
    learned: dict[Key, Recording] = {}
    for s in sets:
        side = learned if s.source.layout.learned else reported
        side.update({(s.name, name): recording for name, recording in s.recordings.items()})
        for name in s.recordings:
            group = s.contents.group.get(name, "")
            known_sources[s.name, name] = (*sources.get((s.name, name), ()), *filter(None, [group]))
    shared = clashes(learned, reported, known_sources)
    known = dataset.known_shared() & set(shared)
    if known:
        log.info(
            "left out of training: %d clips whose video the official tables also report on (%s)",
            len(known),
            listed(sorted(f"{k[0]}/{k[1]}" for k in known), 3),
        )
    return known | refuse_clashes({k: text for k, text in shared.items() if k not in known}, lenient)


# ---- groups, parts, data dirs ---------------------------------------------------------------------------------------


def _groups(
    sets: Sequence[SetOnDisk], keys: list[Key], sources: Mapping[Key, tuple[str, ...]], what: str
) -> dict[Key, str]:
    """The group that the data set names, else what names and ledger imply."""
    given = {(s.name, name): group for s in sets for name, group in s.contents.group.items()}
    return groups_of([key for key in keys if key not in given], sources, what) | {
        key: given[key] for key in keys if key in given
    }


def _folds(learned: list[SetOnDisk], keys: list[Key], groups: dict[Key, str], seed: int) -> dict[Key, str]:
    """Part of each clip that is learned from; a group that two sets share is on the same part in both.

    Unlabelled clips serve neither selection nor tuning: they are `train`, unless their group is held out elsewhere.
    """
    folds: dict[Key, str] = {}
    fixed: dict[str, str] = {}
    for s in learned:
        clips = [key for key in keys if key[0] == s.name]
        names, shares = [groups[key] for key in clips], s.source.layout.shares
        chosen: Sequence[str]
        if s.contents.fold is not None:
            chosen = _given_folds(s, clips)
            _tell_split_groups(s.name, names, chosen)
        elif shares is None:
            chosen = [fixed.get(name, PARTS[0]) for name in names]
        else:
            chosen = split_parts(_present(s, [key[1] for key in clips]), names, seed, fixed, shares)
        folds.update(zip(clips, chosen, strict=True))
        fixed.update({name: fold for name, fold in zip(names, chosen, strict=True) if name and fold in PARTS})
    return folds


def _given_folds(s: SetOnDisk, clips: Sequence[Key]) -> list[str]:
    return [(s.contents.fold or {}).get(name) or s.name for _, name in clips]


def _tell_split_groups(name: str, groups: Sequence[str], folds: Sequence[str]) -> None:
    """Say which groups stand in two folds of the data set's own: four recordings of ESC-50 do."""
    first: dict[str, str] = {}
    pairs = [(group, fold) for group, fold in zip(groups, folds, strict=True) if group]
    split = {group for group, fold in pairs if first.setdefault(group, fold) != fold}
    if split:
        log.warning("%s: %d recordings stand in two folds (%s)", name, len(split), listed(sorted(split)))


def _present(s: SetOnDisk, names: Sequence[str]) -> np.ndarray:
    weak, strong = s.contents.weak, s.contents.strong
    if weak is not None:
        return weak.keep_clips(names).present
    if strong is not None:
        return tags_of(strong.keep_clips(names)).present
    return np.zeros((len(names), 0), dtype=bool)


def _prepared(
    dataset: DataSet, s: SetOnDisk, keys: Sequence[Key], folds: Mapping[Key, str] | None, groups: Mapping[Key, str]
) -> Prepared:
    names = tuple(name for _, name in keys)
    recordings = [s.recordings[name] for name in names]
    clips = Clips(
        names,
        tuple(str(r.path) for r in recordings),
        np.array([r.duration_s for r in recordings], dtype=np.float64),
        tuple(folds[key] for key in keys) if folds is not None else None,
        tuple(groups[key] for key in keys),
    )
    weak, strong, classes = s.contents.weak, s.contents.strong, s.contents.classes or dataset.classes
    if classes is None:
        raise SedkitError(f"{dataset.name}: declares no classes, and its tables tell none")
    strong = strong.keep_clips(names) if strong is not None else None
    # A set with events has tags too: systems train on either.
    weak = weak.keep_clips(names) if weak is not None else tags_of(strong) if strong is not None else None
    return Prepared(s.name, s.source.layout.role, clips, classes, weak, strong, s.missing, len(s.listed))
