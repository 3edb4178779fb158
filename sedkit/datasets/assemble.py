"""From a declared data set to what its data dirs hold: coverage, leak check, groups, parts, the same for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.core.resources import metadata_path
from sedkit.dataio.datadir import Clips
from sedkit.dataio.names import stem
from sedkit.dataio.references import content_hash, known_reference
from sedkit.dataio.rows import read_table
from sedkit.datasets.audiofiles import Recording, locate, read_headers
from sedkit.datasets.base import DataSet, SetOnDisk
from sedkit.datasets.prepared import Prepared
from sedkit.datasets.recordings import Key, clashes, groups_of, read_ledger, refuse_clashes
from sedkit.datasets.registry import dataset_named
from sedkit.datasets.splits import HELD_OUT, PARTS, SHARES, split_folds, split_parts

#: An event may end this much after its clip without a word: times have three decimals.
_END_TOLERANCE_S = 0.002
#: Clips that differ by less from the length of a clip are as long.
_LENGTH_TOLERANCE_S = 0.05

Sources = Mapping[Key, tuple[str, ...]]


def coverage(dataset: DataSet, root: Path) -> list[str]:
    """One line a set, ``weak: 1570/1578 clips``, read off the lists and folders alone."""
    sets = _read_all(dataset, dataset.find_root(root), lenient=True, labels=False)
    return [f"{s.name}: {len(s.paths)}/{len(s.filenames)} clips" for s in sets if s.filenames]


def prepare(dataset: DataSet, root: Path, *, lenient: bool = False, seed: int = 0, jobs: int = 1) -> list[Prepared]:
    """Read a data set and return what its data dirs hold.

    Parameters
    ----------
    lenient
        Leave out and count what is broken: rows, audio files, training clips that are also reported.
    seed
        Of the split of the training sets.

    Raises
    ------
    SedkitError
        A row or a file is broken (named), or a recording stands on the training and the reported side.
    """
    base = dataset.find_root(root)
    sets = _read_all(dataset, base, lenient, labels=True)
    for s in (s for s in sets if s.filenames):
        s.recordings = read_headers(s.paths, jobs, lenient, s.name)
        release = known_reference(content_hash(s.strong)) if s.strong is not None else None
        s.release = release.name if release else None
        print(f"{s.name}: {len(s.recordings)}/{len(s.filenames)} clips" + (f", {release.title}" if release else ""))
        _describe(s, dataset.clip_s, dataset.step_s)
    sources = _sources_of_clips(dataset, base, sets)
    left_out = _left_out(dataset, sets, sources, lenient, jobs)
    learned = [s for s in sets if s.layout.learned]
    out = []
    # A group is never parted, not even between two sets that are learned from.
    for what, together in (("training sets", learned), *((s.name, [s]) for s in sets if not s.layout.learned)):
        keys = [key for s in together for key in _keys(s) if key not in left_out]
        given = {(s.name, name): group for s in together for name, group in s.group.items()}
        groups = groups_of([key for key in keys if key not in given], sources, what) | given
        fixed: dict[str, str] = {}
        for s in (s for s in together if s.recordings):
            clips = [key for key in keys if key[0] == s.name]
            folds = _folds(s, clips, groups, fixed, seed)
            out.append(_prepared(dataset, s, clips, folds, [groups[key] for key in clips]))
    return out


def _keys(s: SetOnDisk) -> list[Key]:
    return [(s.name, name) for name in s.recordings]


# ---- what is there --------------------------------------------------------------------------------------------------


def _read_set(dataset: DataSet, root: Path, s: SetOnDisk, lenient: bool, labels: bool) -> None:
    """Read the tables of a set, and look which of its clips are on disk."""
    files = dataset.files(s)
    # Where none of the audio is there, labels are of no use and their faults of no harm.
    dataset.read(root, s, lenient, labels and bool(files))
    names = dict.fromkeys(s.filenames if s.tables else sorted(files))
    if s.layout.whole_folder and s.tables:
        stems = {stem(name) for name in names}
        names.update(dict.fromkeys(name for name in sorted(files) if stem(name) not in stems))
    s.filenames = tuple(names)
    s.paths = locate(s.filenames, files)


def _read_all(dataset: DataSet, base: Path, lenient: bool, labels: bool) -> list[SetOnDisk]:
    sets = dataset.sources(base)
    for s in sets:
        _read_set(dataset, base, s, lenient, labels)
    if not any(s.paths for s in sets):
        raise SedkitError(
            f"{base}: no clip of any {dataset.title} set is on disk; "
            f"`sedkit download {dataset.name}` may say how to get them"
        )
    # A list that the data set brings along may be without audio; one that was asked for may not.
    for s in sets:
        if s.asked and not s.paths:
            places = listed(dict.fromkeys(map(str, s.folders)), 8)
            raise SedkitError(f"{s.asked}: none of its clips is on disk, expected audio in {places}")
        _say_absent(s, dataset.resampled)
    folders, others = dataset.unread(base, sets)
    if folders:
        log.warning("not read, for they belong to none of these sets: audio in %s", listed(folders, 8))
    if others:
        log.info("not read, for they belong to none of these sets: %s", listed(others, 8))
    return sets


def _say_absent(s: SetOnDisk, resampled: str) -> None:
    """Say of a set of the layout what is absent, and where it was looked for."""
    count, tables = len(s.filenames), listed(s.tables)
    if not count:
        log.info("%s: absent: %s", s.name, s.looked_for or f"{tables or listed(s.folders)}: no clip")
    elif not s.paths:
        places = listed([f for f in s.folders if not (resampled and f.name.endswith(resampled))], 8)
        log.warning("%s: none of the %d clips of %s is on disk; looked for in %s", s.name, count, tables, places)
    elif s.layout.labelled and not s.tables and s.weak is None:
        log.warning("%s: %d clips, and no table: they are taken without labels (%s)", s.name, count, s.looked_for)


def _describe(s: SetOnDisk, clip_s: float | None, step_s: float) -> None:
    """Say what is irregular about the audio and the events of a set."""
    if not s.recordings:
        return
    recordings, strong = list(s.recordings.values()), s.strong
    duration = np.array([r.duration_s for r in recordings])
    rates, counts = np.unique([r.sample_rate for r in recordings], return_counts=True)
    notes = [f"{rate} Hz: {count}" for rate, count in zip(rates, counts, strict=True)]
    irregular = {"not mono": sum(r.channels > 1 for r in recordings)}
    if clip_s is not None:
        irregular[f"shorter than {clip_s:g} s"] = int((duration < clip_s - _LENGTH_TOLERANCE_S).sum())
        irregular["longer"] = int((duration > clip_s + _LENGTH_TOLERANCE_S).sum())
    notes += [f"{count} {what}" for what, count in irregular.items() if count]
    log.info("%s: %s; %.2f h", s.name, ", ".join(notes), duration.sum() / 3600)
    if strong is None or not strong.n_events:
        return
    end = np.array([s.recordings[n].duration_s if n in s.recordings else np.inf for n in strong.filenames])[strong.clip]
    late = np.flatnonzero(strong.offset_s > end + max(step_s, _END_TOLERANCE_S))
    if len(late):
        i = int(late[0])
        first = f"{strong.source}:{strong.line[i]} ends at {strong.offset_s[i]:g} s, clip at {end[i]:g} s"
        log.warning("%s: %d events end after their clip (kept as they are), the first: %s", s.name, len(late), first)


# ---- the two sides --------------------------------------------------------------------------------------------------


def _sources_of_clips(dataset: DataSet, base: Path, sets: Sequence[SetOnDisk]) -> dict[Key, tuple[str, ...]]:
    """Source recordings of each clip, as far as a ledger tells them."""
    ledger = read_ledger(base / dataset.ledger)
    names = {key: (s.layout.ledger or s.name, key[1]) for s in sets for key in _keys(s)}
    return {key: ledger[name] for key, name in names.items() if name in ledger}


def _reported_beside(dataset: DataSet, jobs: int) -> tuple[dict[Key, Recording], dict[Key, tuple[str, ...]]]:
    """Clips that other data sets report on, and their source recordings.

    A file that cannot be read is passed over: preparing that data set is what complains of it.
    """
    clips: dict[Key, Recording] = {}
    sources: dict[Key, tuple[str, ...]] = {}
    for name, root in dataset.compared().items():
        other = dataset_named(name)
        base = other.find_root(root)
        sets = [s for s in other.sources(base) if not s.layout.learned]
        for s in sets:
            _read_set(other, base, s, lenient=True, labels=False)
            s.recordings = read_headers(s.paths, jobs, lenient=True, description=s.name)
            clips.update({(f"{name}/{s.name}", clip): recording for clip, recording in s.recordings.items()})
        # A ledger's entry is `label:recording`; what was cut from a set of recordings carries their id there.
        for (set_name, clip), entries in _sources_of_clips(other, base, sets).items():
            sources[f"{name}/{set_name}", clip] = (*entries, *(entry.rsplit(":", 1)[-1] for entry in entries))
    return clips, sources


def _left_out(dataset: DataSet, sets: list[SetOnDisk], sources: Sources, lenient: bool, jobs: int) -> set[Key]:
    """Training clips that are also reported: known ones of the official tables, and, leniently, any others."""
    reported, known_sources = _reported_beside(dataset, jobs)
    learned: dict[Key, Recording] = {}
    for s in sets:
        side = learned if s.layout.learned else reported
        for key in _keys(s):
            side[key] = s.recordings[key[1]]
            known_sources[key] = (*sources.get(key, ()), *filter(None, [s.group.get(key[1])]))
    shared = clashes(learned, reported, known_sources)
    table = read_table(metadata_path(dataset.shared), ("set", "filename")) if dataset.shared else {}
    known = set(zip(*table.values(), strict=True)) & set(shared)
    if known:
        log.info(
            "left out of training: %d clips whose video the official tables also report on (%s)",
            len(known),
            listed(sorted(f"{k[0]}/{k[1]}" for k in known), 3),
        )
    return known | refuse_clashes({k: text for k, text in shared.items() if k not in known}, lenient)


# ---- parts, data dirs -----------------------------------------------------------------------------------------------


def _folds(
    s: SetOnDisk, clips: list[Key], groups: Mapping[Key, str], fixed: dict[str, str], seed: int
) -> list[str] | None:
    """Part of each clip: the data set's own, else by role; a group is where an earlier set has it (`fixed`).

    Unlabelled clips serve neither selection nor tuning: they are `train`, unless their group is held out elsewhere.
    """
    names = [groups[key] for key in clips]
    if s.fold is not None:
        folds = [s.fold.get(name) or s.name for _, name in clips]
        pairs = {(name, fold) for name, fold in zip(names, folds, strict=True) if name}
        split = sorted({name for name, fold in pairs if any((name, other) in pairs for other in set(folds) - {fold})})
        if split and s.layout.learned:
            log.warning("%s: %d recordings stand in two folds (%s)", s.name, len(split), listed(split))
    elif not s.layout.learned:
        return None
    elif s.layout.role == "training" and not s.layout.labelled:
        folds = [fixed.get(name, PARTS[0]) for name in names]
    else:
        tags = s.tags([name for _, name in clips])
        present = tags.present if tags is not None else np.zeros((len(clips), 0), dtype=bool)
        if s.layout.folds:
            folds = list(split_folds(present, names, s.layout.folds, seed, fixed))
        else:
            shares = SHARES if s.layout.role == "training" else HELD_OUT
            folds = list(split_parts(present, names, seed, fixed, shares))
    fixed.update({name: fold for name, fold in zip(names, folds, strict=True) if name})
    return folds


def _prepared(dataset: DataSet, s: SetOnDisk, clips: list[Key], folds: list[str] | None, groups: list[str]) -> Prepared:
    names = tuple(name for _, name in clips)
    recordings, classes = [s.recordings[name] for name in names], s.classes or dataset.classes
    if classes is None:
        raise SedkitError(f"{dataset.name}: declares no classes, and its tables tell none")
    return Prepared(
        s.name,
        s.layout.role,
        Clips(
            names,
            tuple(str(r.path) for r in recordings),
            np.array([r.duration_s for r in recordings], dtype=np.float64),
            tuple(folds) if folds is not None else None,
            tuple(groups),
        ),
        classes,
        s.tags(names),
        s.strong.keep_clips(names) if s.strong is not None else None,
        tuple(name for name in s.filenames if name not in s.recordings),
        len(s.filenames),
        s.release,
        s.layout.excerpts_s,
    )
