"""The evaluation list, and which of its clips a stranger was perhaps meant to be."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass, field
from functools import cached_property

from sedkit.dataio.names import stem
from sedkit.dataio.rows import columns_of
from sedkit.dataio.tables import read_durations, read_filenames

#: Hints in one call: each of them looks through the whole list.
_MOST_HINTS = 3
#: How alike a name is that may be meant.
_LIKENESS = 0.9


@dataclass(frozen=True)
class ClipList:
    """The evaluation list: clips, and their durations in seconds where the list gives them."""

    filenames: tuple[str, ...]
    duration_s: dict[str, float] | None = None
    _hints: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def hint(self, name: str) -> str:
        """Return `` (did you mean "x"?)`` for a stranger that a clip is near to; nothing after a few others."""
        if name not in self._hints and len(self._hints) < _MOST_HINTS:
            near = self._near(name)
            self._hints[name] = f' (did you mean "{near}"?)' if near else ""
        return self._hints.get(name, "")

    def is_misnamed(self, name: str) -> bool:
        """Tell whether nothing but folder or ending keeps a name from being a clip's."""
        return stem(name.replace("\\", "/").rsplit("/", 1)[-1]).lower() in self._ids

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(theirs for _, theirs in self._stems)

    @cached_property
    def _stems(self) -> tuple[tuple[str, str], ...]:
        """The clips in order, each with its id in lower case."""
        return tuple((clip, stem(clip).lower()) for clip in sorted(self.filenames))

    def _near(self, name: str) -> str | None:
        """Return the clip whose name differs in little more than folder, ending or a letter.

        Names of clips are alike in shape (`Y…_30.000_40.000.wav`): what else is near in letters is another clip.
        """
        place = name.replace("\\", "/").rsplit("/", 1)[-1]
        mine = stem(place).lower()
        for clip, theirs in self._stems:
            short, long = sorted((mine, theirs), key=len)
            if mine == theirs or (len(short) >= 8 and short in long):
                return clip
        # What `_LIKENESS` asks for, 2 * matches / both lengths, is out of reach of names much longer or shorter.
        most = 2 / _LIKENESS - 1
        alike = [clip for clip, _ in self._stems if len(place) <= most * len(clip) and len(clip) <= most * len(place)]
        return next(iter(difflib.get_close_matches(place, alike, n=1, cutoff=_LIKENESS)), None)


def read_clip_list(path: str | os.PathLike[str]) -> ClipList:
    """Read the evaluation list: a table with `filename` and, if it has one, `duration` in seconds."""
    if "duration" not in columns_of(path):
        return ClipList(read_filenames(path))
    duration_s = read_durations(path)
    return ClipList(tuple(filter(None, duration_s)), duration_s)


def clip_of_unparted(text: str) -> str | None:
    """Return the clip of a row that something else than TABs separates, None where it is a clip's name alone."""
    if len(text) > 1000 or not any(c in text for c in ",; "):
        return None
    fields = text.replace(",", " ").replace(";", " ").split(" ")
    fields = [field for field in fields if field] if "," not in text and ";" not in text else fields
    if len(fields) < 4 or not all(is_seconds(field) or not field for field in fields[1:3]):
        return None
    return fields[0]


def is_seconds(text: str) -> bool:
    """Tell whether a text is a plain number."""
    return text.replace(".", "", 1).isdecimal() and text.isascii()
