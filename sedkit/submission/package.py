"""Reading a package, folder or zip, without trusting it; writing zips whose bytes depend only on their content.

A zip is never unpacked to disk: its members are judged first (path, kind, number, declared size) and read into memory
with the limits enforced on the bytes that really come out.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sedkit.core.errors import SedkitError, UsageError, listed
from sedkit.core.files import atomic_path
from sedkit.submission.findings import PackageFinding, refused

#: 8 systems of 3 runs, post-processed and unprocessed, of 2200 clips make 105,600 members.
MAX_MEMBERS = 250_000
MAX_MEMBER_BYTES = 256 * 2**20
MAX_TOTAL_BYTES = 8 * 2**30

#: Each folder of a path is looked at by its whole path: a name of 64 KiB with 32,000 folders would make a gigabyte.
_DEEPEST = 50

#: What every tool unpacks; of others, a few bytes may ask for gigabytes before the first byte comes out.
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_BLOCK = 1 << 20
#: The earliest time a zip can hold; the same for every member, so equal content gives equal bytes.
_EPOCH = (1980, 1, 1, 0, 0, 0)


class UnsafePackage(SedkitError):
    """A package that must not be read any further; carries the findings that say why."""

    def __init__(self, *findings: PackageFinding) -> None:
        super().__init__(findings[0].text())
        self.findings = list(findings)


@dataclass(frozen=True)
class Limits:
    """How much a package may hold: members, bytes of one member and of all, unpacked."""

    members: int = MAX_MEMBERS
    member_bytes: int = MAX_MEMBER_BYTES
    total_bytes: int = MAX_TOTAL_BYTES


class Package(contextlib.AbstractContextManager["Package"]):
    """The files of a folder or zip by their POSIX paths; content is read when asked for. A context manager.

    Raises
    ------
    UsageError
        No such file, neither folder nor zip.
    UnsafePackage
        A zip that is broken, or with paths that escape, links, encrypted members, or more than the limits allow; a
        folder with links or pipes.
    """

    def __init__(self, path: str | os.PathLike[str], limits: Limits | None = None) -> None:
        self.path = Path(path)
        self.limits = limits or Limits()
        self.is_zip = False
        self._read_bytes = 0
        self._members: dict[str, zipfile.ZipInfo] = {}
        self._files: dict[str, Path] = {}
        self._folders: set[str] = set()
        self._archive: zipfile.ZipFile | None = None
        if self.path.is_dir():
            self._scan_folder()
        elif self.path.is_file():
            self._scan_zip()
        else:
            raise UsageError(f"{path}: no such folder or zip")
        self.names = tuple(sorted(self._members or self._files))
        filled = _folders_of(self.names) if self._folders else set()
        #: Folders without any file below them.
        self.empty_folders = tuple(sorted(self._folders - filled))

    def close(self) -> None:
        """Close the zip."""
        if self._archive is not None:
            self._archive.close()

    def __exit__(self, *error: object) -> None:
        self.close()

    def size(self, name: str) -> int:
        """Return the bytes of one file, in a zip as its directory declares them: no more come out."""
        return self._files[name].stat().st_size if name in self._files else self._members[name].file_size

    def read(self, name: str) -> bytes:
        """Return the content of one file."""
        if name in self._files:
            size = self._files[name].stat().st_size
            if size > self.limits.member_bytes:
                raise UnsafePackage(_too_large(name, size, self.limits.member_bytes))
            return self._files[name].read_bytes()
        if name not in self._members:
            raise SedkitError(f"{self.path}: no member {name}")
        out = bytearray()
        try:
            assert self._archive is not None
            with self._archive.open(self._members[name]) as stream:
                while block := stream.read(_BLOCK):
                    out += block
                    self._read_bytes += len(block)
                    # What the directory declares may be a lie: the bytes that come out are counted.
                    if len(out) > self.limits.member_bytes:
                        raise UnsafePackage(_too_large(name, len(out), self.limits.member_bytes))
                    if self._read_bytes > 2 * self.limits.total_bytes:
                        raise UnsafePackage(_too_large("", self._read_bytes, self.limits.total_bytes))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError) as error:
            message = f"cannot be unpacked ({error})"
            raise UnsafePackage(refused("zip_broken", name, message, "a readable zip member")) from None
        return bytes(out)

    def _scan_folder(self) -> None:
        odd: list[PackageFinding] = []
        for folder, folders, files in os.walk(self.path):
            folders.sort()
            for name in sorted([*folders, *files]):
                full = Path(folder, name)
                inside = full.relative_to(self.path).as_posix()
                if full.is_symlink():
                    odd.append(refused("symlink", inside, "is a link", "a file of its own"))
                elif name in files and not full.is_file():
                    # Opening a pipe would wait for ever.
                    odd.append(refused("special_file", inside, "is no plain file", "files and folders"))
                elif name in files:
                    self._files[inside] = full
                else:
                    self._folders.add(inside)
            folders[:] = [name for name in folders if not Path(folder, name).is_symlink()]
        if odd:
            raise UnsafePackage(*odd)

    def _scan_zip(self) -> None:
        self.is_zip = True
        with open(self.path, "rb") as file:
            begins = file.read(4)
        if self.path.suffix.lower() != ".zip" and not begins.startswith(b"PK"):
            raise UsageError(f"{self.path}: neither a folder nor a zip; expected a package, or one system's folder")
        try:
            # Kept open: reading the directory again for each of 100,000 members would take hours.
            self._archive = zipfile.ZipFile(self.path)
            infos = self._archive.infolist()
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            message = f"{self.path.name} is no readable zip ({error})"
            raise UnsafePackage(refused("zip_broken", "", message, "a zip")) from None
        findings = _judge_members(infos, self.limits)
        if findings:
            self.close()
            raise UnsafePackage(*findings)
        self._members = {info.filename: info for info in infos if not info.is_dir()}
        self._folders = {str(PurePosixPath(info.filename)) for info in infos if info.is_dir()}


def _too_large(name: str, size: int, limit: int) -> PackageFinding:
    return refused("too_large", name, f"{size:,} bytes when unpacked", f"at most {limit:,} bytes")


def _judge_members(infos: list[zipfile.ZipInfo], limits: Limits) -> list[PackageFinding]:
    if len(infos) > limits.members:
        return [refused("zip_too_many_members", "", f"{len(infos):,} members", f"at most {limits.members:,}")]
    out: list[PackageFinding] = []
    seen: set[str] = set()
    backslashes: list[str] = []
    for info in infos:
        fault = _judge_path(info.filename)
        if fault is None and "\\" in info.filename:
            backslashes.append(info.filename)
        else:
            fault = fault or _judge_member(info, limits)
            if fault is None and info.filename in seen:
                fault = refused("zip_duplicate_member", info.filename, "stands twice in the zip", "one file a name")
            out += [fault] if fault else []
        seen.add(info.filename)
    if backslashes:
        message = f"{len(backslashes)} names hold backslashes ({listed(backslashes, 2)}): no folders come out of them"
        out.append(refused("zip_backslash", backslashes[0], message, "folders parted by /"))
    out += _clashes([info.filename for info in infos if info.filename.count("/") <= _DEEPEST])
    total = sum(info.file_size for info in infos)
    if not out and total > limits.total_bytes:
        out.append(_too_large("", total, limits.total_bytes))
    return out


def _judge_path(name: str) -> PackageFinding | None:
    if not PurePosixPath(name).parts or _leaves(name) or "\0" in name:
        return refused("zip_unsafe_path", name, "leaves the folder", "a path inside the zip")
    if (depth := name.count("/")) > _DEEPEST:
        return refused("zip_too_deep", name[:100], f"lies {depth:,} folders deep", f"at most {_DEEPEST}")
    return None


def _judge_member(info: zipfile.ZipInfo, limits: Limits) -> PackageFinding | None:
    name, mode = info.filename, info.external_attr >> 16
    if stat.S_ISLNK(mode):
        return refused("symlink", name, "is a link", "a file of its own")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return refused("zip_special_file", name, "is no plain file", "files and folders")
    if info.flag_bits & 0x1:
        return refused("zip_encrypted", name, "is encrypted", "a zip without a password")
    if info.compress_type not in _COMPRESSIONS:
        message = f"is packed by method {info.compress_type}"
        return refused("zip_compression", name, message, "a zip that any tool unpacks (deflate)")
    if info.file_size > limits.member_bytes:
        return _too_large(name, info.file_size, limits.member_bytes)
    return None


def _leaves(name: str) -> bool:
    """Tell whether a path leads out of the folder it is unpacked in, whatever the system takes for a separator."""
    parts = re.split(r"[/\\]", name)
    return name[0] in "/\\" or ".." in parts or ":" in parts[0]


def _clashes(names: list[str]) -> list[PackageFinding]:
    """Find names that are a file and a folder at once: whichever comes second cannot be unpacked."""
    files = {name for name in names if not name.endswith("/")}
    folders = {name.rstrip("/") for name in names if name.endswith("/")}
    folders |= _folders_of(files)
    return [
        refused("zip_file_and_folder", name, "is a file and a folder at once", "one of the two")
        for name in sorted(files & folders)
    ]


def _folders_of(names: Iterable[str]) -> set[str]:
    """Return the folders that files lie in, those around them too."""
    folders: set[str] = set()
    for name in names:
        above = name.rpartition("/")[0]
        # What a known folder lies in is known.
        while above and above not in folders:
            folders.add(above)
            above = above.rpartition("/")[0]
    return folders


def write_zip(path: str | os.PathLike[str], files: Mapping[str, bytes | Path]) -> None:
    """Write a zip, whole or not at all; the same files give the same bytes.

    `files` are contents, or the files that hold them, by member name (POSIX, relative).
    """
    with atomic_path(path) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(files):
            content = files[name]
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, content if isinstance(content, bytes) else content.read_bytes(), compresslevel=6)


def folder_files(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the files of folders by member name, each folder under its own name."""
    return {
        f"{folder.name}/{file.relative_to(folder).as_posix()}": file
        for folder in folders
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
