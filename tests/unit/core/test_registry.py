"""Things chosen by name: found in the modules of their room, with the options of their dataclass."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.registry import Registry

MODULE = """
from dataclasses import dataclass
from {room} import register

@dataclass(frozen=True)
class Options:
    size: int = 3
    low: float = 0.5

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"size is {{self.size}}, expected at least 1")

register({name!r}, Options)(lambda before, options: (before, {name!r}, options.size, options.low))
"""


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A room with one module that registers `big`."""
    folder = tmp_path / "room_of_things"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from sedkit.core.registry import Registry\nTHINGS = Registry(__name__, 'thing')\nregister = THINGS.register\n"
    )
    (folder / "big.py").write_text(MODULE.format(room="room_of_things", name="big"))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "room_of_things"
    for name in [name for name in sys.modules if name.startswith("room_of_things")]:
        del sys.modules[name]


def things(room: str) -> Registry:
    registry: Registry = __import__(room).THINGS
    return registry


def test_a_new_module_is_all_that_a_new_thing_needs(room: str, tmp_path: Path) -> None:
    (tmp_path / room / "small.py").write_text(MODULE.format(room=room, name="small"))
    assert things(room).names() == ("big", "small")
    assert things(room).build({"name": "small", "size": 2}, "x") == ("x", "small", 2, 0.5)


def test_options_are_filled_in_and_typed(room: str) -> None:
    section = {"name": "big", "low": 1}
    resolved = things(room).resolve(section)
    assert resolved == {"name": "big", "size": 3, "low": 1.0} and isinstance(resolved["low"], float)
    assert section == {"name": "big", "low": 1}


@pytest.mark.parametrize(
    ("section", "where", "message"),
    [
        ({"name": "bgi"}, "", "^thing.name is 'bgi' .did you mean \"big\".., expected one of big$"),
        ({"name": "bgi"}, "data.x.thing", "^data.x.thing.name is 'bgi'"),
        ({"size": 3}, "", "thing.name is None, expected one of big"),
        ({"name": ["big"]}, "", r"thing.name is \['big'\].*, expected one of"),
        (None, "", "thing.name is None"),
        (3, "", "thing is 3, expected a mapping with a name"),
        ({"name": "big", "sise": 1}, "", "thing: unknown key 'sise' .did you mean \"size\""),
        ({"name": "big", "size": "x"}, "data.x.thing", "data.x.thing: key 'size'"),
        ({"name": "big", "size": 0}, "", "thing: size is 0, expected at least 1"),
    ],
)
def test_what_cannot_be_chosen_is_one_line(room: str, section: dict, where: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        things(room).build(section, "x", where=where)
    assert "\n" not in str(caught.value)
