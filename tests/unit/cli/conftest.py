"""Make the helpers beside this file importable, whatever pytest's import mode."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from score_case import Case
from stage_case import Place

from sedkit.cli import main as cli
from sedkit.core.stamp import Step

Stage = Callable[..., list[list[str]]]


@pytest.fixture
def case(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Case:
    return Case(tmp_path, capsys)


@pytest.fixture
def stamped(tmp_path: Path) -> Callable[..., None]:
    """Return what gives a file or folder a stamp with facts, as the call that made it would have left."""

    def stamp(name: str, facts: dict[str, Any]) -> None:
        with Step("predict", tmp_path / name.lstrip("@"), {}, force=True, facts=facts).running():
            pass

    return stamp


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "a place")


@pytest.fixture
def calls(place: Place, capsys: pytest.CaptureFixture[str]) -> Stage:
    """The calls that a dry run prints, without `sedkit`, with paths below the place."""

    def printed(name: str, *words: str, **keywords: tuple[str, ...]) -> list[list[str]]:
        assert cli.main(place.call(name, "--dry-run", "true", *words, **keywords)) == 0
        lines = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
        assert all(words[0] in ("sedkit", "cp") for words in lines)
        base = f"{place.data.parent}/"
        return [[word.replace(base, "") for word in line] for line in lines]

    return printed
