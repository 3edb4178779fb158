"""What was made from what: `<output>.done.json` beside each output, written last.

A call whose stamp still holds is skipped. The check compares name, size and time of every input first and hashes
only what looks changed, so it costs milliseconds.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sedkit
from sedkit.core.errors import SedkitError, UsageError
from sedkit.core.files import content_hash, lock, sha256_file, write_json
from sedkit.core.log import log

#: Part of a folder's description that is the tool's own and says nothing about its content.
_OWN = (".done.json", ".lock", ".part")


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Describe a file (size, time, sha256) or a folder (number of files, size, hash over names, sizes and times)."""
    target = Path(path)
    if target.is_dir():
        listing = sorted(
            (str(p.relative_to(target)), p.stat().st_size, p.stat().st_mtime_ns)
            for p in _walk(target)
            if not p.name.endswith(_OWN) and not p.name.startswith(".")
        )
        return {
            "name": str(target),
            "files": len(listing),
            "size": sum(row[1] for row in listing),
            "listing": content_hash(listing),
        }
    if not target.exists():
        raise SedkitError(f"{target}: no such file or folder")
    stat = target.stat()
    return {"name": str(target), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "sha256": sha256_file(target)}


def _walk(folder: Path) -> Iterator[Path]:
    for root, _, files in os.walk(folder):
        for name in files:
            yield Path(root, name)


def same(path: str | os.PathLike[str], known: dict[str, Any]) -> bool:
    """Tell whether a file or folder is still what `known` describes."""
    target = Path(path)
    if not target.exists():
        return False
    if "listing" in known:
        return target.is_dir() and describe(target)["listing"] == known["listing"]
    if target.is_dir():
        return False
    stat = target.stat()
    if stat.st_size != known["size"]:
        return False
    return stat.st_mtime_ns == known["mtime_ns"] or sha256_file(target) == known["sha256"]


def _would_change(output: Path, given: Path) -> bool:
    """Tell whether writing `output` would change `given`: the same file by whatever name or link, or one inside it."""
    if output.exists() and given.exists() and output.samefile(given):
        return True
    return given.resolve() in (output.resolve(), *output.resolve().parents)


@dataclass
class Step:
    """One call of the command line: what it makes, from what, under which configuration.

    Parameters
    ----------
    verb
        The verb, for messages and the stamp.
    output
        File or folder that the call makes.
    config
        JSON-able: the configuration sections and options that the result depends on.
    inputs
        Files and folders that the result depends on.
    force
        Make the output again whatever the stamp says.

    Raises
    ------
    UsageError
        The output is one of the inputs, or lies inside one.
    """

    verb: str
    output: Path
    config: dict[str, Any]
    inputs: Sequence[str | os.PathLike[str]] = field(default_factory=tuple)
    force: bool = False

    def __post_init__(self) -> None:
        self.output = Path(self.output)
        for given in self.inputs:
            if _would_change(self.output, Path(given)):
                raise UsageError(f"{self.output} would change {given}, from which it is made; choose another place")

    @property
    def stamp_path(self) -> Path:
        """Where the stamp lies."""
        return self.output.with_name(self.output.name + ".done.json")

    def read_stamp(self) -> dict[str, Any] | None:
        """Return the stamp, or None where there is none that can be read."""
        try:
            stamp = json.loads(self.stamp_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return stamp if isinstance(stamp, dict) else None

    def holds(self, quiet: bool = False) -> bool:
        """Tell whether the output is there and up to date, and say so."""
        if self.force:
            return False
        stamp = self.read_stamp()
        if (
            stamp is None
            or stamp.get("verb") != self.verb
            or stamp.get("version") != sedkit.__version__
            or stamp.get("config") != content_hash(self.config)
            or [row["name"] for row in stamp["inputs"]] != [str(Path(p)) for p in self.inputs]
            or not all(same(row["name"], row) for row in stamp["inputs"])
            or not same(self.output, stamp["output"])
        ):
            return False
        if not quiet:
            log.info("%s: %s is up to date", self.verb, self.output)
        return True

    @contextlib.contextmanager
    def running(self, wait_s: float | None = None) -> Iterator[None]:
        """Hold the output's lock while the block makes it; write the stamp when the block ends without an error."""
        with lock(self.output.with_name(f".{self.output.name}.lock"), wait_s):
            self.stamp_path.unlink(missing_ok=True)
            before = [describe(p) for p in self.inputs]
            yield
            write_json(
                self.stamp_path,
                {
                    "verb": self.verb,
                    "version": sedkit.__version__,
                    "config": content_hash(self.config),
                    "inputs": before,
                    "output": describe(self.output),
                },
            )
