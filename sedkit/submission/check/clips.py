"""The evaluation list, and which of its clips a stranger was perhaps meant to be."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from dataclasses import dataclass, field

from sedkit.dataio.names import stem
from sedkit.dataio.rows import columns_of
from sedkit.dataio.tables import read_durations, read_filenames

#: Hints in one call: each of them looks through the whole list.
_MOST_HINTS = 20


@dataclass(frozen=True)
class ClipList:
    """The evaluation list: clips, and their durations in seconds where the list gives them."""

    filenames: tuple[str, ...]
    duration_s: dict[str, float] | None = None
    _hints: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def hint(self, name: str) -> str:
        """Return what `near_clip` says of a stranger; nothing after many others."""
        if name not in self._hints and len(self._hints) < _MOST_HINTS:
            self._hints[name] = near_clip(name, self.filenames)
        return self._hints.get(name, "")


def read_clip_list(path: str | os.PathLike[str]) -> ClipList:
    """Read the evaluation list: a table with `filename` and, if it has one, `duration` in seconds."""
    if "duration" not in columns_of(path):
        return ClipList(read_filenames(path))
    duration_s = read_durations(path)
    return ClipList(tuple(filter(None, duration_s)), duration_s)


def near_clip(name: str, known: Collection[str]) -> str:
    """Return `` (did you mean "x"?)`` for a clip whose name differs in little more than folder, ending or a letter.

    Names of clips are alike in shape (`Y…_30.000_40.000.wav`): what else is near in letters is another clip.
    """
    place = name.replace("\\", "/").rsplit("/", 1)[-1]
    mine = stem(place).lower()
    clips = sorted(known)
    longest = max(map(len, clips), default=0)
    if len(place) > 2 * longest:
        return ""
    for clip in clips:
        theirs = stem(clip).lower()
        short, long = sorted((mine, theirs), key=len)
        if mine == theirs or (len(short) >= 8 and short in long):
            return f' (did you mean "{clip}"?)'
    near = difflib.get_close_matches(place, clips, n=1, cutoff=0.9)
    return f' (did you mean "{near[0]}"?)' if near else ""


def clip_of_unparted(text: str) -> str | None:
    """Return the clip of a row that something else than TABs separates, None where it is a clip's name alone."""
    if len(text) > 1000 or not any(c in text for c in ",; "):
        return None
    parts = text.replace(",", " ").replace(";", " ").split(" ")
    parts = [part for part in parts if part] if "," not in text and ";" not in text else parts
    if len(parts) < 4 or not all(is_seconds(part) or not part for part in parts[1:3]):
        return None
    return parts[0]


def is_seconds(text: str) -> bool:
    """Tell whether a text is a plain number."""
    return text.replace(".", "", 1).isdecimal() and text.isascii()
