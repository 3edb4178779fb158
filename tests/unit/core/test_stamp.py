"""A call is skipped exactly when nothing that its result depends on has changed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sedkit.core.errors import UsageError
from sedkit.core.files import lock
from sedkit.core.stamp import Step


def copy_step(folder, **changes):
    return Step(
        **{
            "verb": "copy",
            "output": folder / "out.txt",
            "config": {"a": 1},
            "inputs": {"source": folder / "in.txt", "set": folder / "set", "named": {"b": folder / "set" / "b.wav"}},
            **changes,
        }
    )


@pytest.fixture
def made(tmp_path):
    folder = tmp_path / "made"
    (folder / "set" / "deep").mkdir(parents=True)
    for name in ("in.txt", "set/b.wav", "set/deep/c.wav"):
        (folder / name).write_text("one")
    first = copy_step(folder)
    assert not first.holds()
    assert first.run(lambda: first.output.write_text("one"))
    return folder


def test_an_unchanged_call_is_skipped_and_says_so(made, caplog):
    caplog.set_level("INFO", logger="sedkit")
    assert copy_step(made).holds()
    assert not copy_step(made).run(lambda: pytest.fail("was done already"))
    assert caplog.text.count("is up to date") == 2
    # Left by a process that was killed when all was done.
    copy_step(made).lock_path.touch()
    assert not copy_step(made).run(lambda: pytest.fail("was done already"))
    assert sorted(p.name for p in made.iterdir()) == ["in.txt", "out.txt", "out.txt.done.json", "set"]


@pytest.mark.parametrize("changes", [{"config": {"a": 2}}, {"verb": "move"}, {"force": True}, {"inputs": {}}])
def test_another_call_runs(made, changes):
    assert not copy_step(made, **changes).holds()


def test_touched_copied_and_moved_files_of_the_same_bytes_still_hold(made, tmp_path):
    for path in made.rglob("*"):
        os.utime(path, (1, 1))
    assert copy_step(made).holds()
    other = tmp_path / "other"
    # New times for every file, and another place; then another place alone.
    shutil.copytree(made, other, copy_function=shutil.copyfile)
    assert copy_step(other).holds()
    assert copy_step(other.rename(tmp_path / "third")).holds()


@pytest.mark.parametrize("name", ["in.txt", "set/b.wav", "set/deep/c.wav", "out.txt"])
def test_changed_bytes_run_again_however_the_file_looks(made, name):
    path = made / name
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not copy_step(made).holds()
    path.write_text("one")
    assert copy_step(made).holds()
    path.unlink()
    assert not copy_step(made).holds()


def test_a_file_more_or_under_another_name_is_another_folder(made):
    (made / "set" / "d.wav").write_bytes(b"")
    assert not copy_step(made).holds()
    (made / "set" / "d.wav").unlink()
    assert copy_step(made).holds()
    (made / "set" / "deep" / "c.wav").rename(made / "set" / "deep" / "e.wav")
    assert not copy_step(made).holds()


def test_linked_folders_are_looked_into(made, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "x.wav").write_text("one")
    (made / "set" / "link").symlink_to(tmp_path / "elsewhere")
    (made / "set" / "round").symlink_to(made / "set")
    call = copy_step(made)
    assert call.run(lambda: None)
    assert call.holds()
    (tmp_path / "elsewhere" / "x.wav").write_text("two")
    assert not call.holds()


def test_what_is_made_beside_the_output_counts_too(made):
    def call():
        return copy_step(made, beside=lambda: {"more": made / "more.txt"})

    assert call().run(lambda: (made / "more.txt").write_text("x"))
    assert call().holds()
    (made / "more.txt").write_text("y")
    assert not call().holds()
    (made / "more.txt").unlink()
    assert not call().holds()


def test_what_was_hashed_once_is_believed_from_then_on(made, monkeypatch):
    for path in made.rglob("*"):
        os.utime(path, (2, 2))
    assert copy_step(made).holds()
    monkeypatch.setattr("sedkit.core.stamp.sha256_file", lambda path: pytest.fail(f"{path} was hashed again"))
    assert copy_step(made).holds()


def test_a_call_that_fails_leaves_no_stamp(made):
    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        copy_step(made, force=True).run(fail)
    assert not copy_step(made).holds()
    assert sorted(p.name for p in made.iterdir()) == ["in.txt", "out.txt", "set"]


def test_a_stamp_that_is_none_is_no_stamp(made):
    stamp = copy_step(made).stamp_path
    for text in ("", "[]", "{}", '{"verb": "copy", "inputs": [], "outputs": {}}'):
        stamp.write_text(text)
        assert not copy_step(made).holds()


CALL = """
import sys
from pathlib import Path
from sedkit.core.log import start_logging
from sedkit.core.stamp import Step
start_logging()
folder = Path(sys.argv[1])
def make():
    with open(folder / "calls", "a") as file:
        file.write("made\\n")
    (folder / "new").write_text("x")
Step("make", folder / "new", {}, {"in": folder / "in.txt"}).run(make)
"""


def test_of_two_that_wait_for_one_output_the_second_finds_it_done(made):
    call = [sys.executable, "-c", CALL, str(made)]
    with lock(made / ".new.lock"):
        waiting = [subprocess.Popen(call, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        for process in waiting:
            assert process.stderr.readline().startswith("waiting for process")
    said = [process.communicate(timeout=60)[1] for process in waiting]
    assert [process.returncode for process in waiting] == [0, 0]
    assert (made / "calls").read_text() == "made\n"
    assert sorted("is up to date" in text for text in said) == [False, True]


def test_an_output_is_never_one_of_its_inputs(tmp_path: Path) -> None:
    (tmp_path / "in.tsv").write_text("x")
    (tmp_path / "link.tsv").symlink_to(tmp_path / "in.tsv")
    (tmp_path / "folder").mkdir()
    for out in ("in.tsv", "./in.tsv", "link.tsv", "folder", "folder/new.tsv"):
        with pytest.raises(UsageError, match="from which it is made; choose another place"):
            Step("verb", tmp_path / out, {}, [tmp_path / "in.tsv", tmp_path / "folder"])
    for out in ("in.tsv", "link.tsv"):
        with pytest.raises(UsageError, match="from which it is made; choose another place"):
            Step("verb", tmp_path / out, {}, {"named": {"a": tmp_path / "in.tsv"}}).run(lambda: None)
    assert not Step("verb", tmp_path / "new.tsv", {}, [tmp_path / "in.tsv", tmp_path / "folder"]).holds()
