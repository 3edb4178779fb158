"""Files that are never half written, and locks between processes."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sedkit.core.errors import SedkitError, first_line
from sedkit.core.log import log
from sedkit.core.yaml_text import judge_yaml, yaml_loader


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; it replaces `path` when the block ends without an error."""
    target = Path(path)
    if target.is_dir():
        raise SedkitError(f"{target}: is a folder, expected a place for a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(target)
    try:
        yield aside
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new empty folder beside `path`; it takes the place of `path` when the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(target)
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        if target.exists():
            # A folder cannot be replaced in one step: the old one steps aside first.
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            os.replace(target, old)
            os.replace(aside, target)
            shutil.rmtree(old)
        else:
            os.replace(aside, target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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


def read_yaml(path: str | os.PathLike[str]) -> Any:
    """Read a YAML file safely; an error names file and line."""
    import yaml

    text = read_text(path)
    try:
        judge_yaml(text)
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


def content_hash(value: Any) -> str:
    """SHA-256 of a JSON-able value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


@contextlib.contextmanager
def lock(path: str | os.PathLike[str], wait_s: float | None = None) -> Iterator[None]:
    """Hold `path` as a lock between processes; the system frees it when the holder ends, however it ends.

    Parameters
    ----------
    path
        The lock's file; made if missing, left behind (removing it would race with a waiting process).
    wait_s
        Give up after this many seconds; None waits for as long as it takes.

    Raises
    ------
    SedkitError
        After `wait_s`, naming the holder.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    started, told = time.monotonic(), False
    with open(target, "a+", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "another process"
                if wait_s is not None and time.monotonic() - started >= wait_s:
                    raise SedkitError(
                        f"{target.parent}: in use by {holder}; wait for it to end, or choose another folder"
                    ) from None
                if not told:
                    log.info("waiting for %s, which holds %s", holder, target.parent)
                    told = True
                time.sleep(0.2)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        try:
            yield
        finally:
            file.seek(0)
            file.truncate()
