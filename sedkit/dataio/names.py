"""Names of clips: when two of them mean the same recording."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from sedkit.core.errors import SedkitError

#: File name endings taken for audio.
AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".au")


def stem(filename: str) -> str:
    """Return a clip's name without its audio ending: the id that score files and some tables use.

    >>> stem("Y-abc_1.000_2.000.wav"), stem("Yab_70.000_80.000")
    ('Y-abc_1.000_2.000', 'Yab_70.000_80.000')
    """
    ending = PurePosixPath(filename).suffix
    return filename[: -len(ending)] if ending.lower() in AUDIO_ENDINGS else filename


def renamed(names: Sequence[str], wanted: Iterable[str], source: str) -> tuple[str, ...]:
    """Give clips the names that a reference knows them by (`wanted`).

    Scores name clips by id, without an audio ending, as the organisers' tools do: a clip is the one of its own name,
    else the one of its id (``a`` and ``a.wav`` are the reference's ``a.flac``).

    Returns
    -------
    Names in the order of `names`; those that the reference does not know stay.

    Raises
    ------
    SedkitError
        Two clips, on either side, could be meant.
    """
    known = dict.fromkeys(wanted)
    of_id: dict[str, str] = {}
    twins: dict[str, str] = {}
    for name in known:
        if of_id.setdefault(stem(name), name) != name:
            twins[stem(name)] = name
    out = []
    for name in names:
        clip = stem(name)
        if name not in known and clip in twins:
            raise SedkitError(
                f"{source}: clip {name!r} can be {of_id[clip]!r} or {twins[clip]!r}; expected ids that differ"
            )
        out.append(name if name in known else of_id.get(clip, name))
    meant: dict[str, str] = {}
    for name, new in zip(names, out, strict=True):
        if meant.setdefault(new, name) != name:
            raise SedkitError(f"{source}: {meant[new]!r} and {name!r} are one clip of the reference, expected it once")
    return tuple(out)
