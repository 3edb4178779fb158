"""The one error family: a single line that says what was got, what was expected, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SedkitError(Exception):
    """Something failed for a reason the user can act on. The command line prints it in one line."""

    status = 1


class UsageError(SedkitError):
    """The call itself is wrong: an unknown option, key, name or a missing input."""

    status = 2


def printable(text: str) -> str:
    r"""Return a text that a terminal prints and does not obey: what is no printable character is written as its code.

    >>> printable("\x1b[31mred")
    '\\x1b[31mred'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def first_line(error: BaseException) -> str:
    """Return the first line of another library's message, or the error's kind where it has none.

    >>> first_line(MemoryError())
    'MemoryError'
    """
    return printable(str(error).partition("\n")[0].strip()) or type(error).__name__


def suggest(word: str, choices: Iterable[str]) -> str:
    """Return `` (did you mean "x"?)`` for the choice nearest to `word`, or an empty string.

    >>> suggest("Speach", ["Speech", "Dog"])
    ' (did you mean "Speech"?)'
    >>> suggest("zzz", ["Speech", "Dog"])
    ''
    """
    near = difflib.get_close_matches(str(word), [str(c) for c in choices], n=1, cutoff=0.6)
    return f' (did you mean "{near[0]}"?)' if near else ""


def listed(names: Iterable[object], most: int = 5) -> str:
    """Join names for a message, cutting a long list and saying how many were left out.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    words = [str(n) for n in names]
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"
