"""Files are written whole or not at all; locks hold between processes."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from sedkit.core import files
from sedkit.core.errors import SedkitError
from sedkit.core.files import atomic_folder, atomic_path, check_room, lock, read_json, read_yaml, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_beside(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old\n")
    with pytest.raises(RuntimeError), atomic_path(target) as aside:
        aside.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "set"
    for content in ("one", "two"):
        with atomic_folder(target) as folder:
            (folder / content).write_text(content)
    assert [p.name for p in target.iterdir()] == ["two"]
    with pytest.raises(RuntimeError), atomic_folder(target) as folder:
        (folder / "three").write_text("x")
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["two"]
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_nan_never_reaches_a_json_file(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("reader", "text", "where"), [(read_json, '{"a": 1,\n]', ":2"), (read_yaml, "a: 1\nb: c: d\n", ":2")]
)
def test_a_broken_file_is_named_with_its_line(tmp_path, reader, text, where):
    path = tmp_path / "broken"
    path.write_text(text)
    with pytest.raises(SedkitError, match=f"broken{where}: not valid"):
        reader(path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(SedkitError, match="no such file"):
        read_json(tmp_path / "none.json")


def test_yaml_cannot_make_objects(tmp_path):
    path = tmp_path / "evil.yaml"
    path.write_text("!!python/object/apply:os.system ['true']\n")
    with pytest.raises(SedkitError, match="not valid YAML"):
        read_yaml(path)


def test_a_second_process_is_told_who_holds_the_lock(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys\nfrom sedkit.core.files import lock\nfrom sedkit.core.errors import SedkitError\n"
        f"try:\n    with lock({str(path)!r}, wait_s=0.2): print('entered')\n"
        "except SedkitError as error: print(error)\n"
    )
    with lock(path):
        held = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    free = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "in use by process" in held.stdout
    assert free.stdout == "entered\n"


HALFWAY = """
import sys, time
from pathlib import Path
from sedkit.core import files
target = Path(sys.argv[1])
def halfway(*_):
    print("halfway", flush=True)
    time.sleep(600)
"""
KILLED = {
    "a file": "with files.atomic_path(target) as aside:\n    aside.write_text('ha')\n    halfway()",
    "a folder": "with files.atomic_folder(target) as aside:\n    (aside / 'ha').write_text('lf')\n    halfway()",
    "a lock": "with files.lock(target.with_name('.lock')):\n    halfway()",
    "a folder that was exchanged": "files.remove = lambda path: path.exists() and halfway()\n"
    "with files.atomic_folder(target) as aside:\n    (aside / 'new').write_text('x')",
    "a folder that stepped aside": "files._exchange = lambda a, b: False\nreal = files.os.replace\n"
    "files.os.replace = lambda a, b: real(a, b) if str(b).endswith('.old') else halfway()\n"
    "with files.atomic_folder(target) as aside:\n    (aside / 'new').write_text('x')",
}


def kill_halfway(code, target):
    """Run a program up to its `halfway()` and kill it there."""
    process = subprocess.Popen([sys.executable, "-c", HALFWAY + code, str(target)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "halfway\n"
    process.send_signal(signal.SIGKILL)
    # It stays a zombie until the test has ended, as under a parent that does not ask for its children.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    return process


@pytest.mark.parametrize("case", KILLED)
def test_a_killed_writer_leaves_nothing_after_the_next_one(tmp_path, case):
    target = tmp_path / "target"
    if "exchanged" in case or "stepped" in case:
        with files.atomic_folder(target) as aside:
            (aside / "old").write_text("x")
    process = kill_halfway(KILLED[case], target)
    assert [p.name for p in tmp_path.iterdir()] != ["target"]
    if "exchanged" in case:
        assert [p.name for p in target.iterdir()] == ["new"]
    if "stepped" in case:
        # Between the two steps there is none; the next writer, even one that fails, brings the old one back.
        assert not target.exists()
        with pytest.raises(RuntimeError), files.atomic_folder(target):
            raise RuntimeError
        assert [p.name for p in target.iterdir()] == ["old"]
    if case == "a file":
        write_text(target, "whole")
    else:
        with lock(tmp_path / ".lock"), files.atomic_folder(target) as aside:
            (aside / "whole").write_text("x")
        assert [p.name for p in target.iterdir()] == ["whole"]
    assert [p.name for p in tmp_path.iterdir()] == ["target"]
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_what_is_still_written_is_left_alone(tmp_path):
    with atomic_path(tmp_path / "a") as aside:
        aside.write_text("x")
        code = f"from sedkit.core.files import write_text; write_text({str(tmp_path / 'a')!r}, 'other')"
        subprocess.run([sys.executable, "-c", code], check=True)
        # Of a process of another machine nobody here knows whether it lives.
        foreign = tmp_path / ".a.00000000-999999999.part"
        foreign.touch()
    write_text(tmp_path / "b", "y")
    assert (tmp_path / "a").read_text() == "x"
    assert {p.name for p in tmp_path.iterdir()} == {"a", "b", foreign.name}


def test_a_lock_goes_with_its_holder_and_with_folders_that_stayed_empty(tmp_path):
    with lock(tmp_path / "new" / "deep" / ".lock"):
        assert (tmp_path / "new" / "deep" / ".lock").exists()
    assert not (tmp_path / "new").exists()
    with lock(tmp_path / "new" / ".lock"):
        (tmp_path / "new" / "file").touch()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["file"]


def test_one_at_a_time_holds_a_lock_that_comes_and_goes(tmp_path):
    code = (
        "import sys\nfrom pathlib import Path\nfrom sedkit.core.files import lock\ncount = Path(sys.argv[1])\n"
        "for _ in range(20):\n"
        "    with lock(count.with_name('.lock')): count.write_text(str(int(count.read_text()) + 1))\n"
    )
    (tmp_path / "count").write_text("0")
    call = [sys.executable, "-c", code, str(tmp_path / "count")]
    assert [p.wait(timeout=120) for p in [subprocess.Popen(call) for _ in range(3)]] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "60"
    assert [p.name for p in tmp_path.iterdir()] == ["count"]


@pytest.mark.parametrize("text", ["a: 2020-13-45\n", "? {a: 1}\n: 2\n", "[" * 5000])
def test_values_that_cannot_be_are_one_line_too(tmp_path, text):
    path = tmp_path / "odd.yaml"
    path.write_text(text)
    with pytest.raises(SedkitError, match="odd.yaml.*not valid YAML"):
        read_yaml(path)


#: Nine lines that stand for a thousand million values.
LAUGHS = "a: &a [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("text", "message"),
    [(LAUGHS, "more than 100,000 values"), ("a: &a [*a]\n", "alias"), ("a: &a {b: *a}\n", "alias")],
)
def test_aliases_are_not_expanded(tmp_path, text, message):
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    with pytest.raises(SedkitError, match=f"bomb.yaml.*{message}"):
        read_yaml(path)


def test_a_lock_where_nothing_can_be_made_is_refused():
    with pytest.raises(SedkitError, match="/proc/self: no file can be made there"), lock("/proc/self/.x.lock"):
        pass


def test_a_disk_without_room_is_the_systems_error(tmp_path):
    check_room(tmp_path / "a" / "x.h5", 1)
    with pytest.raises(OSError, match="No space left") as caught:
        check_room(tmp_path / "a" / "x.h5", 2**62)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename.endswith("a/x.h5")
