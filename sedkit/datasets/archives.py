"""Unpack zip and tar archives from elsewhere without letting them write anywhere else or fill the disk."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from sedkit.core.errors import SedkitError

#: No member of a public audio data set is larger. zipfile and tarfile write no more than a header says.
MEMBER_LIMIT = 4 << 30
#: No archive of one holds more files.
COUNT_LIMIT = 500_000
#: Audio hardly compresses: an archive that grows more than this is no data set.
GROWTH_LIMIT = 200


class BrokenArchive(SedkitError):
    """The archive itself is damaged or not to be trusted: keeping it is of no use."""


def unpack(archive: Path, target: Path, member_limit: int = MEMBER_LIMIT) -> None:
    """Unpack `archive` into the new folder `target`.

    Raises
    ------
    BrokenArchive
        The archive is damaged, or a member has a path outside `target`, is a link or a device, or is too large. Nothing
        is unpacked when a header says so; `target` is removed when it shows only while unpacking.
    """
    with contextlib.ExitStack() as undo:
        # Whatever ends the unpacking early, also a signal: no half of a data set stays behind.
        undo.callback(shutil.rmtree, target, ignore_errors=True)
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as zipped:
                    links = {i for i in zipped.infolist() if stat.S_ISLNK(i.external_attr >> 16)}
                    members = [(i.filename, i.file_size, "link" if i in links else "") for i in zipped.infolist()]
                    _check(archive, members, member_limit)
                    target.mkdir(parents=True)
                    zipped.extractall(target)
            elif tarfile.is_tarfile(archive):
                with tarfile.open(archive) as tarred:
                    odd = "link or device"
                    members = [(i.name, i.size, "" if i.isreg() or i.isdir() else odd) for i in tarred]
                    _check(archive, members, member_limit)
                    target.mkdir(parents=True)
                    # No owners, no modes that could lock us out.
                    tarred.extraction_filter = getattr(tarfile, "data_filter", None)
                    tarred.extractall(target)
            else:
                raise BrokenArchive(f"{archive}: neither a zip nor a tar archive; fetch it again")
        except (zipfile.BadZipFile, tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise BrokenArchive(f"{archive}: cannot be unpacked ({error}); fetch it again") from error
        except OSError as error:
            raise SedkitError(f"{target}: cannot be written ({error.strerror or error})") from error
        undo.pop_all()


def _check(archive: Path, members: Iterable[tuple[str, int, str]], member_limit: int) -> None:
    """Refuse an archive for what its headers say of a member: name, bytes, what else than file or folder it is."""
    members = list(members)
    if len(members) > COUNT_LIMIT:
        raise BrokenArchive(f"{archive}: {len(members)} members, expected at most {COUNT_LIMIT}; nothing was unpacked")
    for name, size, odd in members:
        path = PurePosixPath(name.replace("\\", "/"))
        problem = f"a {odd}, expected files and folders" if odd else ""
        if path.is_absolute() or ".." in path.parts or (path.parts and path.parts[0].endswith(":")):
            problem = "a path outside the folder it is unpacked into"
        elif size > member_limit:
            problem = f"{size} bytes, expected at most {member_limit}"
        if problem:
            raise BrokenArchive(f"{archive}: member {name!r} is {problem}; nothing was unpacked")
    total, packed = sum(size for _, size, _ in members), archive.stat().st_size
    if total > GROWTH_LIMIT * max(packed, 1 << 20):
        raise BrokenArchive(f"{archive}: {packed} bytes would become {total}; nothing was unpacked")
