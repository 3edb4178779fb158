"""Broken texts: tables, YAML and JSON that are nearly what a parser expects."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml
from hypothesis import strategies as st

#: Cells that tables and documents should never hold, or hold in another place.
ODD = (
    *(
        "",
        " ",
        "nan",
        "NaN",
        "inf",
        "-inf",
        "-1",
        "-0.0",
        "1e400",
        "1e-400",
        "0x10",
        "１",
        "1,5",
        "1 2",
        "None",
        "null",
    ),
    *("true", "\x00", "a\x00b", '"', '""', "'", '"unclosed', "\\", "\ufeff", "\u2028", "é", "日本", "💥", "=1+1"),
    *("../../etc/passwd", "/etc/passwd", "C:\\x", "<script>", "$(touch x)", "%s%n", "{}", "[]", "9" * 400, "x" * 5000),
)
NAMES = ("a.wav", "b.wav", "b", "audio/c.flac", "d d.wav", "ü.wav", "A.WAV")
LABELS = ("Cat", "Dog", "Alarm_bell_ringing", "cat", "Speech,Dog")


class Bytes(NamedTuple):
    """The content of a file, and whether its header (first row, kind, keys) is as it should be."""

    content: bytes
    header: bool


@st.composite
def spoilt(draw: st.DrawFn, content: bytes) -> bytes:
    """Spoil some bytes: change, put in, take out, cut off, repeat."""
    for _ in range(draw(st.integers(0, 3))):
        if not content:
            break
        at = draw(st.integers(0, len(content) - 1))
        how = draw(st.integers(0, 4))
        some = draw(st.binary(min_size=1, max_size=4))
        if how == 0:
            content = content[:at] + some + content[at + len(some) :]
        elif how == 1:
            content = content[:at] + some + content[at:]
        elif how == 2:
            content = content[:at] + content[at + len(some) :]
        elif how == 3:
            content = content[:at]
        else:
            content += content[at:]
    return content


@st.composite
def tables(
    draw: st.DrawFn, columns: Sequence[str], row: Sequence[st.SearchStrategy[str]], counted: tuple[int, ...] = ()
) -> Bytes:
    """Draw a table: its columns in another order, missing, twice or renamed; cells of another kind; odd line ends.

    Columns that are `counted` hold the number of the row, each one more than the one before.
    """
    header = draw(st.integers(0, 3)) > 0
    names, order = list(columns), list(range(len(columns)))
    if not header:
        how = draw(st.integers(0, 5))
        if how == 0:
            order = draw(st.permutations(order))
        elif how == 1:
            order = order[: draw(st.integers(0, len(order)))]
        elif how == 2:
            order = [*order, draw(st.sampled_from(order))]
        elif how == 3:
            names[draw(st.sampled_from(order))] = draw(st.sampled_from(ODD))
        elif how == 4:
            names, order = ["", *names], list(range(len(names) + 1))
        else:
            names = [name.upper() for name in names]
    cells = [st.just("0"), *row] if len(names) > len(columns) else list(row)
    lines = [[names[i] for i in order]]
    for number in range(draw(st.integers(0, 6))):
        line = [str(number + counted.index(i)) if i in counted else draw(cells[i % len(cells)]) for i in order]
        if draw(st.integers(0, 2)) == 0:
            how = draw(st.integers(0, 2))
            if how == 0 and line:
                line[draw(st.integers(0, len(line) - 1))] = draw(st.sampled_from(ODD))
            elif how == 1:
                line = line[: draw(st.integers(0, len(line)))]
            else:
                line = [*line, draw(st.sampled_from(ODD))]
        lines.append(line)
    between, end = (
        draw(st.sampled_from(["\t"] * 6 + [",", " ", ";"])),
        draw(st.sampled_from(["\n"] * 6 + ["\r\n", "\r", "\n\n"])),
    )
    text = end.join(between.join(line) for line in lines) + draw(st.sampled_from([end] * 3 + ["", "\t"]))
    encoding = draw(st.sampled_from(["utf-8"] * 8 + ["utf-8-sig", "utf-16", "latin-1"]))
    content = text.encode(encoding, errors="replace")
    if draw(st.integers(0, 4)) == 0:
        content = draw(spoilt(content))
    return Bytes(content, header)


def numbers(*usual: str) -> st.SearchStrategy[str]:
    """Draw numbers as cells of a table have them."""
    return st.one_of(st.sampled_from(usual), st.floats(0, 12, width=32).map(lambda x: f"{x:.3f}"))


def values() -> st.SearchStrategy[Any]:
    """Draw any value that YAML and JSON know, some deep, some large."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 5),
        st.just(10**40),
        st.floats(),
        st.sampled_from(ODD),
        st.text(max_size=8),
    )
    keys = st.one_of(st.text(max_size=6), st.sampled_from(("name", "set", "labels", "a.b", "", "__class__")))
    return st.recursive(
        plain, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(keys, v, max_size=3)), max_leaves=6
    )


@st.composite
def changed(draw: st.DrawFn, document: Any) -> tuple[Any, bool]:
    """Change a valid document in some places; tell whether its first keys are still there."""
    document, header = json.loads(json.dumps(document)), True
    for _ in range(draw(st.integers(0, 2))):
        place, depth = document, 0
        while isinstance(place, (dict, list)) and place:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw(st.booleans()):
                how = draw(st.integers(0, 4))
                header = header and not (depth == 0 and how in (1, 2))
                if how == 1:
                    del place[key]
                elif how == 2 and isinstance(place, dict):
                    place[draw(st.sampled_from([f"{key}x", str(key).upper(), "", "zz"]))] = place.pop(key)
                elif how == 3:
                    place[key] = [place[key]]
                else:
                    place[key] = draw(values())
                break
            place, depth = place[key], depth + 1
    return document, header


#: What only YAML can say, and a reader of settings should never do.
EVIL = (
    "a: !!python/object/apply:os.system ['touch made']\n",
    "a: &a [*a]\n",
    "a: &a {<<: *a}\n",
    "x: &x [0, 0, 0, 0, 0, 0, 0, 0]\ny: &y [*x, *x, *x, *x, *x, *x, *x, *x]\nz: [*y, *y, *y, *y, *y, *y]\n",
    "- " * 3000 + "a\n",
    "{" * 500,
    "? [a, b]\n: c\n",
    "a: 1\na: 2\n",
    "--- a\n--- b\n",
    "a: 2019-01-01T00:00:00Z\n",
    "a: 0o17\nb: 1_000\nc: 12:30:00\n",
    "\ta: b\n",
)


@st.composite
def yamls(draw: st.DrawFn, document: Any) -> Bytes:
    """Draw YAML near a valid document."""
    value, header = draw(changed(document))
    try:
        content = yaml.safe_dump(value, sort_keys=False, allow_unicode=draw(st.booleans())).encode("utf-8", "replace")
    except yaml.YAMLError:
        content = repr(value).encode("utf-8", "replace")
    if draw(st.integers(0, 9)) == 0:
        content, header = draw(st.sampled_from(EVIL)).encode() + content, False
    if draw(st.integers(0, 4)) == 0:
        content = draw(spoilt(content))
    return Bytes(content, header)


@st.composite
def jsons(draw: st.DrawFn, document: Any) -> Bytes:
    """Draw JSON near a valid document."""
    value, header = draw(changed(document))
    content = json.dumps(value).encode("utf-8", "replace")
    if draw(st.integers(0, 4)) == 0:
        content = draw(spoilt(content))
    return Bytes(content, header)
