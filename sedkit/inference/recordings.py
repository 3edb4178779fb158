"""Which recordings a call is about, and what they are called."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sedkit.core.errors import UsageError, listed
from sedkit.dataio.names import AUDIO_ENDINGS


def recordings_of(paths: Sequence[Path]) -> dict[str, Path]:
    """Return recordings by name: files as they are, and in place of each folder the audio files in it and below it.

    Returns
    -------
    A file is called by its name, one of a folder by its path from there; where two would share a name all are called by
    their paths from the innermost folder that holds all of them.

    Raises
    ------
    UsageError
        A folder holds no audio file, or a recording stands twice.
    """
    named: list[tuple[str, Path]] = []
    for path in paths:
        if not path.is_dir():
            named.append((path.name, path))
            continue
        below = [file for file in sorted(path.rglob("*")) if _is_audio(file)]
        if not below:
            raise UsageError(f"{path}: no audio file in this folder, expected some of {', '.join(AUDIO_ENDINGS)}")
        named += [(file.relative_to(path).as_posix(), file) for file in below]
    if len({name for name, _ in named}) < len(named):
        places = [os.path.abspath(path) for _, path in named]
        twice = next((path for path, place in zip(named, places, strict=True) if places.count(place) > 1), None)
        if twice is not None:
            raise UsageError(f"{twice[1]} is given twice, expected each recording once")
        top = os.path.commonpath([os.path.dirname(place) for place in places])
        named = [
            (Path(os.path.relpath(place, top)).as_posix(), path) for (_, path), place in zip(named, places, strict=True)
        ]
    return dict(named)


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".") and path.is_file()


def shard_of(recordings: dict[str, Path], shard: str | None) -> dict[str, Path]:
    """Return the recordings of one of several calls that share them, dealt out in turn by name.

    Parameters
    ----------
    shard
        `I/N`, the Ith of N from 1 on; None: all of them.

    Raises
    ------
    UsageError
        It is no such text.

    Examples
    --------
    >>> shard_of({name: Path(name) for name in "abcde"}, "2/3").keys()
    dict_keys(['b', 'e'])
    """
    if shard is None:
        return recordings
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"--shard {shard}: expected I/N, the Ith of N calls, from 1/N to N/N")
    return {name: recordings[name] for name in sorted(recordings)[int(match[1]) - 1 :: int(match[2])]}


def places_of(recordings: dict[str, Path], folder: Path, ending: str) -> dict[str, Path]:
    """Return a file in a folder for each recording: its name with another ending, its folders below that one.

    Raises
    ------
    UsageError
        Two recordings would share one, or one would take the place of a recording.
    """
    places, of_place = {}, dict[Path, str]()
    sources = {path.resolve() for path in recordings.values()}
    for name in recordings:
        stem = name[: -len(Path(name).suffix)] if Path(name).suffix.lower() in AUDIO_ENDINGS else name
        place = folder / f"{stem}{ending}"
        if of_place.setdefault(place, name) != name:
            raise UsageError(
                f"{listed([of_place[place], name])} have the same name, and so would their files in {folder}, "
                f"{place.name}; expected names that differ in more than the ending"
            )
        if place.resolve() in sources:
            raise UsageError(f"{place} is a recording, which a call never replaces; name another folder")
        places[name] = place
    return places
