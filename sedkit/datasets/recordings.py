"""Which clips are not independent: video ids in their names, ledgers of sources, and what both imply."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from sedkit.core.errors import SedkitError, listed
from sedkit.core.log import log
from sedkit.dataio.names import stem
from sedkit.dataio.rows import read_table
from sedkit.datasets.audiofiles import Recording, equal_files

#: A clip of a set: (set, filename).
Key = tuple[str, str]

# Y<11 characters>_<start>_<end>; the public evaluation set leaves out the Y and writes whole seconds.
_DEVELOPMENT = re.compile(r"Y(?P<id>[\w-]{11})_\d+\.\d+_\d+\.\d+")
_PUBLIC = re.compile(r"(?P<id>[\w-]{11})_\d+_\d+")
#: Recordings that chain more than this share of the clips together are no help in splitting them.
LARGEST_COMPONENT = 0.1


def video_id(filename: str) -> str:
    """YouTube id in the name of a clip, ``""`` where there is none.

    >>> video_id("Y-2DF8mtDke8_460.000_470.000.wav"), video_id("1Ro0FgMWTUE_120_130.wav"), video_id("7.wav")
    ('-2DF8mtDke8', '1Ro0FgMWTUE', '')
    """
    match = _DEVELOPMENT.fullmatch(stem(filename)) or _PUBLIC.fullmatch(stem(filename))
    return match["id"] if match else ""


def read_ledger(path: Path) -> dict[Key, tuple[str, ...]]:
    """Recordings that went into each clip, from a table `set filename recordings`; empty where there is none."""
    if not path.is_file():
        return {}
    table = read_table(path, ("set", "filename", "recordings"))
    return {
        (set_name, name): tuple(x.strip() for x in cell.split(",") if x.strip())
        for set_name, name, cell in zip(table["set"], table["filename"], table["recordings"], strict=True)
    }


def groups_of(clips: Iterable[Key], recordings: Mapping[Key, tuple[str, ...]], what: str) -> dict[Key, str]:
    """Name of the group of each clip: clips of a group share a video or a recording, directly or through others.

    Where recordings chain more than a tenth of the clips into one group, no split could keep them apart: then only
    the video id counts, and a message says so. A clip of which nothing is known gets ``""``.
    """
    keys = list(clips)
    if not any(recordings.get(key) for key in keys):
        return {key: video_id(key[1]) for key in keys}
    components = _components(keys, recordings)
    largest = max(map(len, components))
    if largest > max(3, LARGEST_COMPONENT * len(keys)):
        text = "%s: shared source recordings chain %d of %d clips together; grouped by video id or clip instead"
        log.info(text, what, largest, len(keys))
        return {key: video_id(key[1]) for key in keys}
    log.info("%s: grouped by source recording (%d groups of at most %d clips)", what, len(components), largest)
    first = {key: members[0] for members in components for key in members}
    return {key: video_id(name) or f"{set_name}/{stem(name)}" for key, (set_name, name) in first.items()}


def _components(keys: list[Key], recordings: Mapping[Key, tuple[str, ...]]) -> list[list[Key]]:
    """Connected components of clips over shared recordings and video ids, each in the order of `keys`."""
    parent = {key: key for key in keys}

    def root(key: Key) -> Key:
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    first: dict[str, Key] = {}
    for key in keys:
        for token in _tokens(key, recordings):
            parent[root(key)] = root(first.setdefault(token, key))
    out: dict[Key, list[Key]] = defaultdict(list)
    for key in keys:
        out[root(key)].append(key)
    return list(out.values())


def clashes(
    training: Mapping[Key, Recording], reported: Mapping[Key, Recording], recordings: Mapping[Key, tuple[str, ...]]
) -> dict[Key, str]:
    """Training clips that share something with a reported clip, and what: video, source recording, or all bytes."""
    tokens: dict[str, Key] = {}
    for key in reported:
        for token in _tokens(key, recordings):
            tokens.setdefault(token, key)
    out: dict[Key, str] = {}
    for key in training:
        for token in (token for token in _tokens(key, recordings) if token in tokens and key not in out):
            other = tokens[token]
            out[key] = f"{token} is in {training[key].path} ({key[0]}) and in {reported[other].path} ({other[0]})"
    for other, key in equal_files(reported, training):
        files = f"{training[key].path} ({key[0]}) and {reported[other].path} ({other[0]})"
        out.setdefault(key, f"{files} are equal byte for byte")
    return out


def _tokens(key: Key, recordings: Mapping[Key, tuple[str, ...]]) -> list[str]:
    video = video_id(key[1])
    return [*(f"recording {x}" for x in recordings.get(key, ())), *([f"video {video}"] if video else [])]


def refuse_clashes(shared: Mapping[Key, str], lenient: bool) -> set[Key]:
    """Stop where training and reported side share a recording; leniently, return the training clips to leave out."""
    if not shared:
        return set()
    what = f"{len(shared)} training clips share a recording with the reported side: {next(iter(shared.values()))}"
    if not lenient:
        raise SedkitError(f"{what}; take them out of one side, or leave them out of training with --lenient true")
    log.warning("%s; left out of training: %s", what, listed([f"{k[0]}/{k[1]}" for k in shared], 3))
    return set(shared)
