"""A call is skipped exactly when nothing that its result depends on has changed."""

import os
from pathlib import Path

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.stamp import Step


@pytest.fixture
def step(tmp_path):
    source = tmp_path / "in.txt"
    source.write_text("one")

    def make(**changes):
        return Step(
            **{"verb": "copy", "output": tmp_path / "out.txt", "config": {"a": 1}, "inputs": [source], **changes}
        )

    first = make()
    assert not first.holds()
    with first.running():
        first.output.write_text(source.read_text())
    return make


def test_an_unchanged_call_is_skipped_and_says_so(step, caplog):
    caplog.set_level("INFO", logger="sedkit")
    assert step().holds()
    assert "is up to date" in caplog.text


@pytest.mark.parametrize("changes", [{"config": {"a": 2}}, {"verb": "move"}, {"force": True}, {"inputs": []}])
def test_another_call_runs(step, changes):
    assert not step(**changes).holds()


def test_a_touched_input_with_the_same_bytes_still_holds(step, tmp_path):
    os.utime(tmp_path / "in.txt", (1, 1))
    assert step().holds()


def test_a_changed_input_or_output_runs_again(step, tmp_path):
    (tmp_path / "in.txt").write_text("two")
    assert not step().holds()
    (tmp_path / "in.txt").write_text("one")
    assert step().holds()
    (tmp_path / "out.txt").write_text("bad")
    assert not step().holds()
    (tmp_path / "out.txt").unlink()
    assert not step().holds()


def test_a_call_that_fails_leaves_no_stamp(step):
    again = step(force=True)
    with pytest.raises(RuntimeError), again.running():
        raise RuntimeError
    assert not step().holds()


def test_folders_are_inputs_too(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"123")
    call = Step("extract", tmp_path / "out", {}, [folder])
    with call.running():
        call.output.write_text("x")
    assert call.holds()
    (folder / "b.wav").write_bytes(b"")
    assert not call.holds()


def test_an_output_is_never_one_of_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("x")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "in.tsv")
    (tmp_path / "folder").mkdir()
    for out in ("in.tsv", "./in.tsv", "link.tsv", "folder", "folder/new.tsv"):
        with pytest.raises(UsageError, match="from which it is made; choose another place"):
            Step("verb", tmp_path / out, {}, [tmp_path / "in.tsv", tmp_path / "folder"])
    assert not Step("verb", tmp_path / "new.tsv", {}, [tmp_path / "in.tsv", tmp_path / "folder"]).holds()
