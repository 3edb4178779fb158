"""The audio of a set on disk: find the files of a list, read their headers, tell equal ones."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sedkit.core.errors import SedkitError
from sedkit.core.files import sha256_file
from sedkit.core.log import log
from sedkit.core.parallel import run_jobs
from sedkit.dataio.audio import audio_info, header_fault
from sedkit.dataio.names import AUDIO_ENDINGS, stem

#: What a clip is called where files are compared.
Name = TypeVar("Name", bound=Hashable)
_CHUNK = 256
#: Below this many files one process is quicker than starting more.
_PARALLEL_FROM = 4000


@dataclass(frozen=True)
class Recording:
    """A readable audio file.

    Attributes
    ----------
    path
        Absolute.
    duration_s, sample_rate, channels
        From the header.
    size
        Bytes.
    probe
        Hash of 4 kB from the middle: files that differ in it or in size are not equal.
    fault
        What is wrong with the lengths in its header, though it is read whole; ``""`` where nothing is.
    """

    path: Path
    duration_s: float
    sample_rate: int
    channels: int
    size: int
    probe: str
    fault: str = ""


def files_of(folders: Iterable[Path]) -> dict[str, Path]:
    """Audio files in some folders (not below them), by name; of two of a name the first folder's."""
    files: dict[str, Path] = {}
    for folder in folders:
        for path in _audio_in(folder):
            files.setdefault(path.name, path)
    return files


def holds_audio(folder: Path) -> bool:
    """Tell whether any audio file lies in a folder (not below it)."""
    return next(_audio_in(folder), None) is not None


def _audio_in(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.lower().endswith(AUDIO_ENDINGS) and not entry.name.startswith("."):
                    yield Path(entry.path)


def locate(filenames: Sequence[str], files: dict[str, Path]) -> dict[str, Path]:
    """The file of each listed clip that is there: of the same name, else of the same stem (``.flac`` for ``.wav``)."""
    by_stem: dict[str, Path] = {}
    for name in sorted(files):
        by_stem.setdefault(stem(name), files[name])
    out = {}
    for name in filenames:
        path = files.get(name) or by_stem.get(stem(name))
        if path is not None:
            out[name] = path
    return out


def read_headers(
    paths: dict[str, Path], jobs: int = 1, lenient: bool = False, description: str = ""
) -> dict[str, Recording]:
    """Read the header of each clip's file, in `jobs` processes from some thousands of files on.

    Raises
    ------
    SedkitError
        A file is empty, cut off or no audio; with `lenient` such files are left out and counted.
    """
    names = list(paths)
    chunks = [[paths[name] for name in names[i : i + _CHUNK]] for i in range(0, len(names), _CHUNK)]
    results = run_jobs(_headers, chunks, jobs if len(names) >= _PARALLEL_FROM else 1, description)
    flat = [result for chunk in results for result in chunk]
    bad = [result for result in flat if isinstance(result, str)]
    if bad and not lenient:
        more = f" (and {len(bad) - 1} more files)" if len(bad) > 1 else ""
        raise SedkitError(f"{bad[0]}{more}; repair or fetch it again, or leave it out with --lenient true")
    if bad:
        log.warning("%s: %d broken files left out, the first: %s", description, len(bad), bad[0])
    recordings = {name: result for name, result in zip(names, flat, strict=True) if isinstance(result, Recording)}
    faults = [recording.fault for recording in recordings.values() if recording.fault]
    if faults:
        log.warning("%s: %d files state a wrong length, the first: %s", description, len(faults), faults[0])
    return recordings


def _headers(paths: list[Path]) -> list[Recording | str]:
    return [_header(path) for path in paths]


def _header(path: Path) -> Recording | str:
    try:
        info, fault = audio_info(path), header_fault(path)
        size = path.stat().st_size
        with open(path, "rb") as file:
            file.seek(size // 2)
            probe = hashlib.sha256(file.read(4096)).hexdigest()[:16]
    except (SedkitError, OSError) as error:
        return str(error)
    return Recording(path.absolute(), info.duration_s, info.sample_rate, info.channels, size, probe, fault)


def equal_files(first: Mapping[Name, Recording], second: Mapping[Name, Recording]) -> list[tuple[Name, Name]]:
    """Pairs of a clip of `first` and a clip of `second` whose files are byte for byte the same.

    Whole files are hashed only where size and probe agree.
    """
    candidates: dict[tuple[int, str], list[Name]] = defaultdict(list)
    for name, recording in first.items():
        candidates[recording.size, recording.probe].append(name)
    sha = functools.cache(sha256_file)
    return [
        (other, name)
        for name, recording in second.items()
        for other in candidates.get((recording.size, recording.probe), ())
        if sha(first[other].path) == sha(recording.path)
    ]
