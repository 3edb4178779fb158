"""Files that are never half written, and locks between processes."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sedkit.core.errors import SedkitError, first_line
from sedkit.core.log import log
from sedkit.core.yaml_text import MOST_VALUES, judge_yaml, yaml_loader

#: `.<name>.<machine>-<process>.part` is being written, `.old` has stepped aside for it.
_ASIDE = re.compile(r"\.(?P<name>.+)\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)\.(?P<kind>part|old)", re.DOTALL)
#: How often a folder may be gone when a lock is taken in it, before nobody believes in it.
_GONE = 1000
#: Folders in which nothing is left of dead processes, with the time at which this process last changed them.
_swept: dict[Path, int] = {}


@functools.cache
def _machine() -> str:
    """Return a tag of what process numbers are counted in: the machine, or a container on it."""
    try:
        counted_in = os.readlink("/proc/self/ns/pid")
    except OSError:
        counted_in = ""
    return hashlib.sha256(f"{socket.gethostname()} {counted_in}".encode()).hexdigest()[:8]


def this_process() -> str:
    """Return a name of this process that no other one has, on whatever machine that sees the same folders."""
    return f"{_machine()}-{os.getpid()}"


def aside_of(path: str | os.PathLike[str], kind: str = "part") -> Path:
    """Return the place beside `path` where this process writes what will replace it."""
    target = Path(path)
    return target.with_name(f".{target.name}.{this_process()}.{kind}")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    elif os.path.lexists(path):
        # Where nothing may be written, to remove what is not there is an error, too.
        path.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left in a folder.

    A folder that had stepped aside for one that never came goes back to its place.
    """
    if not folder.is_dir() or _swept.get(folder) == folder.stat().st_mtime_ns:
        return
    for name in os.listdir(folder):
        match = _ASIDE.fullmatch(name)
        if match is None or match["machine"] != _machine() or _alive(int(match["process"])):
            continue
        place = folder / match["name"]
        # Another process may sweep too; where nothing may be changed, the writer says so.
        with contextlib.suppress(OSError):
            if match["kind"] == "old" and not place.exists():
                os.replace(folder / name, place)
            else:
                remove(folder / name)
    _note(folder)


def _note(folder: Path) -> None:
    _swept[folder] = folder.stat().st_mtime_ns


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return True
    # Killed, and nobody has asked yet how it ended.
    return state[:1] != ["Z"]


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an error."""
    target = Path(path)
    if target.is_dir():
        raise SedkitError(f"{target}: is a folder, expected a place for a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    aside = aside_of(target)
    try:
        yield aside
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    _note(target.parent)


def check_room(path: str | os.PathLike[str], n_bytes: int) -> None:
    """Raise the system's own error where a disk has not so many bytes left: h5py and numpy raise others."""
    folder = Path(path).absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(folder).free < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(path))


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new empty folder beside `path`; it takes the place of `path` when the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    aside = aside_of(target)
    remove(aside)
    aside.mkdir()
    try:
        yield aside
        replace_folder(aside, target)
    finally:
        remove(aside)
    _note(target.parent)


def replace_folder(new: Path, target: Path) -> None:
    """Put a folder in the place of another one and remove that.

    Whoever looks, and whenever this process is killed, finds the old one or the new one: the two change places in
    one step. Where the file system cannot do that, the old one steps aside; `sweep` brings it back if need be.
    """
    if target.exists() and not target.is_dir():
        raise SedkitError(f"{target}: is a file, expected a place for a folder")
    if not target.exists():
        os.replace(new, target)
    elif _exchange(new, target):
        remove(new)
    else:
        old = aside_of(target, "old")
        os.replace(target, old)
        os.replace(new, target)
        remove(old)


def _exchange(a: Path, b: Path) -> bool:
    """Let two paths change places in one step (Linux); False where that cannot be done."""
    import ctypes

    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    at_cwd, exchange = -100, 2
    return bool(rename(at_cwd, os.fsencode(a), at_cwd, os.fsencode(b), exchange) == 0)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    with atomic_path(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write JSON for people (indented, keys in the order given); NaN is an error, null is what is undefined."""
    text = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    # A file's name that is no UTF-8 holds half characters: escaped as JSON has them, it comes back as it was.
    write_text(path, text.encode("utf-8", "backslashreplace").decode())


def write_yaml(path: str | os.PathLike[str], value: Any) -> None:
    """Write plain YAML, keys in the order given."""
    import yaml

    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """Read a file whole."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise SedkitError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise SedkitError(f"{path}: is a folder, expected a file") from None
    except OSError as error:
        raise SedkitError(f"{path}: cannot be read ({error.strerror or error})") from None


def read_text(path: str | os.PathLike[str]) -> str:
    """Read UTF-8 text, whatever its line ends (a byte order mark is dropped)."""
    data = read_bytes(path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise SedkitError(f"{path}:{line}: holds bytes that are no UTF-8, expected UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; an error names file and line."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise SedkitError(f"{path}:{error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, endless nesting.
        raise SedkitError(f"{path}: not valid JSON ({first_line(error)})") from None


def read_records(path: Path) -> list[Any]:
    """Return the values of a file of JSON lines, up to one that its writer left unfinished; [] of none."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def read_yaml(path: str | os.PathLike[str], most_values: int = MOST_VALUES) -> Any:
    """Read a YAML file of so many values at most safely; an error names file and line."""
    import yaml

    text = read_text(path)
    try:
        judge_yaml(text, most_values)
        return yaml.load(text, Loader=yaml_loader())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or first_line(error)
        raise SedkitError(f"{path}{where}: not valid YAML ({problem})") from None
    except (ValueError, TypeError, RecursionError) as error:
        # Well-formed YAML whose values cannot be: a mapping as a key, endless nesting, aliases without end.
        raise SedkitError(f"{path}: not valid YAML ({first_line(error)})") from None


def sha256_file(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def same_place(target: Path, here: Path, before: Any, made_at: Any) -> bool:
    """Tell whether `target` is the place `before` still, or lies to `here` as that lay to `made_at`."""
    if not isinstance(before, str):
        return False
    if str(target.resolve()) == before:
        return True
    return isinstance(made_at, str) and os.path.relpath(target.resolve(), here.resolve()) == os.path.relpath(
        before, made_at
    )


def content_hash(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


@contextlib.contextmanager
def lock(path: str | os.PathLike[str], wait_s: float | None = None) -> Iterator[None]:
    """Hold `path` as a lock between processes; the system frees it when the holder ends, however it ends.

    Parameters
    ----------
    path
        The lock's file; made if missing, with its folders. It goes at the end, and folders with nothing else in them.
    wait_s
        Give up after this many seconds; None waits for as long as it takes.

    Raises
    ------
    SedkitError
        After `wait_s`, naming the holder.
    """
    target = Path(path)
    made = [folder for folder in target.parents if not folder.exists()]
    file = _locked(target, wait_s)
    try:
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield
    finally:
        # Removed while it is held: who waits for it sees that it is another file now, and asks again.
        target.unlink(missing_ok=True)
        file.close()
        for folder in made:
            # Those that nothing was put into.
            with contextlib.suppress(OSError):
                folder.rmdir()


def _locked(target: Path, wait_s: float | None) -> IO[str]:
    """Return the lock's file, opened and locked."""
    started, told, gone = time.monotonic(), False, 0
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            file = open(target, "a+", encoding="utf-8")  # noqa: SIM115 (closing it frees the lock)
        except FileNotFoundError:
            # The holder before has just removed the folder, once or twice; or nothing can be made there at all.
            gone += 1
            if gone < _GONE:
                continue
            raise SedkitError(f"{target.parent}: no file can be made there, expected a folder to write into") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            if wait_s is not None and time.monotonic() - started >= wait_s:
                raise SedkitError(
                    f"{target.parent}: in use by {holder}; wait for it to end, or choose another folder"
                ) from None
            if not told:
                log.info("waiting for %s, which holds %s", holder, target.parent)
                told = True
            time.sleep(0.2)
            continue
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), target.stat()):
                file.truncate(0)
                return file
        file.close()  # the holder before has removed it
